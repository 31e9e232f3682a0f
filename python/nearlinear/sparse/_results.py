"""Results in compressed rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from nearlinear import _inputs

_KINDS = {
    (False, False): scipy.sparse.csr_matrix,
    (False, True): scipy.sparse.csr_array,
    (True, False): scipy.sparse.csc_matrix,
    (True, True): scipy.sparse.csc_array,
}


def canonical(parts: Any, shape: tuple[int, int], *operands: Any, by_columns: bool = False) -> Any:
    """Return data, indices and indptr in canonical format: as an array if one of the operands is, else as a matrix."""
    is_array = any(isinstance(operand, scipy.sparse.sparray) for operand in operands)
    result = _KINDS[by_columns, is_array](parts, shape=shape)
    result.has_canonical_format = True  # or SciPy looks at every entry to find out
    return result


def with_wide_indices_if_needed(call: Callable[..., Any], *operands: _inputs.Csr) -> Any:
    """Return ``call(*operands)``, with indices of 64 bits where 32 cannot count the entries of the result."""
    try:
        return call(*operands)
    except OverflowError:
        if operands[0].indices.dtype == np.int64:
            raise
        return call(*(operand.astype(operand.dtype, np.int64) for operand in operands))
