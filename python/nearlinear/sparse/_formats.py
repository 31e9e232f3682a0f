"""Operands in the order in which a product is computed: by rows, or by columns as the rows of the transpose."""

from typing import Any

import numpy as np
import scipy.sparse

from nearlinear import _core, _inputs
from nearlinear.sparse._semirings import Types


def operand(name: str, value: Any, types: Types, *, by_columns: bool) -> _inputs.Csr:
    """Return `value` in compressed rows, or its transpose; its indices are not yet checked."""
    if not by_columns:
        matrix = _inputs.check_sparse(name, value, function="matmul", dtype=value.dtype)
    elif value.format == "csc":
        matrix = _inputs.check_sparse(f"{name}.T", value.T, function="matmul", dtype=value.dtype)
    else:
        matrix = _transpose(name, _inputs.check_sparse(name, value, function="matmul", dtype=value.dtype))
    return matrix._replace(data=np.ascontiguousarray(types.cast(matrix.data)))


def _transpose(name: str, matrix: _inputs.Csr) -> _inputs.Csr:
    """Convert what was checked, since SciPy trusts what it is given; duplicates stay."""
    _core.require_valid_csr(matrix.astype(np.bool_, matrix.indices.dtype), function="matmul", argument=name)
    nnz = int(matrix.indptr[-1])
    parts = (matrix.data[:nnz], matrix.indices[:nnz], matrix.indptr)
    columns = scipy.sparse.csr_array(parts, shape=matrix.shape).tocsc()
    transposed = _inputs.Csr(matrix.shape[::-1], columns.data, columns.indices, columns.indptr)
    return transposed.astype(matrix.dtype, matrix.indices.dtype)


def mask(value: Any, *, values: bool, by_columns: bool) -> _inputs.Csr:
    """Return a mask with booleans for entries, or without any if values do not count."""
    boolean = np.dtype(np.bool_)
    places = operand("mask", value, Types(boolean, boolean, boolean), by_columns=by_columns)
    argument = "mask.T" if by_columns else "mask"
    if not values:
        if len(places.data) < len(places.indices):
            require_valid(argument, places)
        return places._replace(data=np.empty(0, np.bool_))
    if not require_valid(argument, places):  # whether a place holds zero, their sum tells
        numbers = operand("mask", value, Types(value.dtype, value.dtype, value.dtype), by_columns=by_columns)
        parts = (numbers.data, numbers.indices, numbers.indptr)
        summed = scipy.sparse.csr_array(parts, shape=numbers.shape, copy=True)
        summed.sum_duplicates()
        places = _inputs.Csr(numbers.shape, summed.data, summed.indices, summed.indptr)
    return places.astype(np.bool_, places.indices.dtype)


def require_valid(name: str, matrix: _inputs.Csr) -> bool:
    """Raise ValueError unless the matrix is valid, and tell whether its rows increase strictly."""
    return bool(_core.require_valid_csr(matrix, function="matmul", argument=name))


def require_as_flagged(name: str, value: Any) -> None:
    """Refuse NaN, and flags of SciPy's that are not true of the entries."""
    if value.format not in ("csr", "csc"):
        return
    rows = value if value.format == "csr" else value.T
    argument = name if value.format == "csr" else f"{name}.T"
    matrix = _inputs.check_sparse(argument, rows, function="matmul", dtype=value.dtype)
    is_canonical = require_valid(argument, matrix.astype(np.bool_, matrix.indices.dtype))
    nnz = int(matrix.indptr[-1])
    if not is_canonical:
        steps = np.diff(matrix.indices[:nnz].astype(np.int64))
        within_rows = np.ones(max(nnz - 1, 0), np.bool_)
        ends = matrix.indptr[1:-1]
        within_rows[ends[(ends > 0) & (ends < nnz)] - 1] = False
        is_sorted = bool((steps[within_rows] >= 0).all())
        for flag, is_true in {"has_canonical_format": False, "has_sorted_indices": is_sorted}.items():
            if not is_true and getattr(value, f"_{flag}", False):
                raise ValueError(f"{name}.{flag} is set, but its indices are not as it says")
    if matrix.dtype.kind in "fc":
        bad = np.flatnonzero(np.isnan(matrix.data[:nnz]))
        if bad.size > 0:
            raise ValueError(f"{name}.data has NaN at index {bad[0]}")
