"""Product of a sparse and a dense matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearlinear import _core, _inputs, _progress


def product(
    A: Any, B: Any, n_threads: int | None, callback: _inputs.Callback | None, verbose: _progress.Verbose
) -> NDArray[np.floating]:
    """Return A B, of which one is sparse."""
    left, right = _factor("A", A), _factor("B", B)
    dtype = np.result_type(left.dtype, right.dtype)
    left, right = _as_matrix(left, dtype, (1, -1)), _as_matrix(right, dtype, (-1, 1))
    result = np.empty((left.shape[0], right.shape[1]), dtype)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("matmul", callback, verbose) as keep_going:
        _core.matmul(left, right, result, n_threads=threads, callback=keep_going)
    return result.ravel() if 1 in (np.ndim(A), np.ndim(B)) else result


def _factor(name: str, value: Any) -> Any:
    if hasattr(value, "tocsr"):
        return _inputs.check_sparse(name, value, function="matmul")
    return _inputs.check_array(name, value, ndim=(1, 2), check_finite=False)


def _as_matrix(factor: Any, dtype: Any, shape_of_vector: tuple[int, int]) -> Any:
    if isinstance(factor, _inputs.Csr):
        return factor.astype(dtype, factor.indices.dtype)
    matrix = factor.astype(dtype, copy=False)
    return matrix.reshape(shape_of_vector) if matrix.ndim == 1 else matrix
