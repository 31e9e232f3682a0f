"""What products have in common: their factors, and what is to be dropped of the result."""

from typing import Any

import numpy as np

from nearlinear import _inputs
from nearlinear.sparse import _semirings


def operands(function: str, **matrices: Any) -> list[_inputs.Csr]:
    """Return matrices of real numbers with one type of entries and of indices; one given twice is converted once."""
    distinct: dict[int, _inputs.Csr] = {}
    for name, matrix in matrices.items():
        if id(matrix) not in distinct:
            distinct[id(matrix)] = _inputs.check_sparse(name, matrix, function=function)
    return _with_common_types(distinct, matrices)


def patterns(function: str, **matrices: Any) -> list[_inputs.Csr]:
    """Do the same for matrices of any numbers, whose values do not matter: they become zeros."""
    distinct: dict[int, _inputs.Csr] = {}
    for name, matrix in matrices.items():
        if id(matrix) in distinct:
            continue
        _inputs.check_is_sparse(name, matrix)
        _semirings.check_number(name, matrix.dtype)
        places = _inputs.check_sparse(name, matrix, function=function, dtype=matrix.dtype)
        distinct[id(matrix)] = places._replace(data=np.zeros(len(places.data), np.float32))  # no memory until read
    return _with_common_types(distinct, matrices)


def _with_common_types(distinct: dict[int, _inputs.Csr], matrices: dict[str, Any]) -> list[_inputs.Csr]:
    data = np.result_type(*(matrix.data for matrix in distinct.values()))
    index = np.result_type(*(matrix.indices for matrix in distinct.values()))
    common = {key: matrix.astype(data, index) for key, matrix in distinct.items()}
    return [common[id(matrix)] for matrix in matrices.values()]


def selection(prune_zeros: bool, threshold: float | None, top_k: int | None) -> dict[str, Any]:
    """Return the core's arguments, in which 0 stands for None."""
    return {
        "prune_zeros": bool(prune_zeros),
        "threshold": 0.0 if threshold is None else _inputs.check_real("threshold", threshold),
        "top_k": 0 if top_k is None else _inputs.check_int("top_k", top_k, minimum=1),
    }
