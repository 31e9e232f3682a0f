"""What products have in common: their factors, and what is to be dropped of the result."""

from typing import Any

import numpy as np

from nearlinear import _inputs


def operands(A: Any, B: Any, function: str) -> tuple[_inputs.Csr, _inputs.Csr]:
    a = _inputs.check_sparse("A", A, function=function)
    b = a if B is A else _inputs.check_sparse("B", B, function=function)
    data = np.result_type(a.data, b.data)
    index = np.result_type(a.indices, b.indices)
    return a.astype(data, index), b.astype(data, index)


def selection(prune_zeros: bool, threshold: float | None, top_k: int | None) -> dict[str, Any]:
    """Return the core's arguments, in which 0 stands for None."""
    return {
        "prune_zeros": bool(prune_zeros),
        "threshold": 0.0 if threshold is None else _inputs.check_real("threshold", threshold),
        "top_k": 0 if top_k is None else _inputs.check_int("top_k", top_k, minimum=1),
    }
