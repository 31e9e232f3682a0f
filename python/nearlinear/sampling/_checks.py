"""What functions of this room take: a matrix, an exponent, some of the rows, and weights."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs


class Matrix(NamedTuple):
    """A matrix as the core takes it; whether it is finite, and its indices valid, the core looks."""

    stored: Any  # an array of float64 and whether it is the transpose of the matrix, or compressed rows of float64
    shape: tuple[int, int]
    dtype: np.dtype[np.floating]  # of results

    def operand(self, function: str) -> Any:
        """Return the matrix as an array or a csr_array in the same memory."""
        if isinstance(self.stored, _inputs.Csr):
            return as_csr_array("A", self.stored, function=function)
        array, is_transposed = self.stored
        return array.T if is_transposed else array

    def take(self, rows: NDArray[np.intp], function: str) -> "Matrix":
        """Return some of the rows."""
        some = self.operand(function)[rows]
        if isinstance(self.stored, _inputs.Csr):
            csr = _inputs.check_sparse("A", some, function=function)
            return Matrix(csr, csr.shape, self.dtype)
        return Matrix((np.ascontiguousarray(some), False), (some.shape[0], some.shape[1]), self.dtype)


def check_matrix(name: str, value: Any, *, function: str) -> Matrix:
    """Return a dense or sparse matrix, converted to float64 if it is of another type."""
    if hasattr(value, "tocsr"):
        csr = _inputs.check_sparse(name, value, function=function)
        return Matrix(csr.astype(np.float64, csr.indices.dtype), csr.shape, csr.dtype)
    array = _inputs.as_stored(name, value)
    double = array.astype(np.float64, copy=False)
    is_transposed = not double.flags.c_contiguous
    return Matrix((double.T if is_transposed else double, is_transposed), (array.shape[0], array.shape[1]), array.dtype)


def as_csr_array(name: str, csr: _inputs.Csr, *, function: str) -> Any:
    """Return SciPy's array in the same memory. SciPy trusts indices, so they are checked before."""
    from scipy.sparse import csr_array

    _core.require_valid_csr(csr, function=function, argument=name)
    nnz = int(csr.indptr[-1])
    return csr_array((csr.data[:nnz], csr.indices[:nnz], csr.indptr), shape=csr.shape)


def check_p(p: float) -> float:
    """Return a finite exponent of at least 1."""
    number = check_p_or_inf(p)
    if number == np.inf:
        raise ValueError("p is inf; it must be finite")
    return number


def check_p_or_inf(p: float) -> float:
    """Return an exponent of at least 1."""
    try:
        number = float(p)
    except (TypeError, ValueError):
        raise TypeError(f"p is {p!r}; it must be a number") from None
    if not number >= 1:
        raise ValueError(f"p is {number}; it must be at least 1")
    return number


def check_rows(name: str, value: ArrayLike, n: int) -> NDArray[np.intp]:
    """Return indices of rows of a matrix that has n."""
    array = _inputs._as_ndarray(name, value)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must have 1 dimension")
    if array.size == 0:
        return np.zeros(0, dtype=np.intp)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}; it must hold integers")
    bad = np.flatnonzero((array < 0) | (array >= n))
    if bad.size > 0:
        raise ValueError(f"{name} has the entry {array[bad[0]]} at index {bad[0]}; A has {n} rows")
    return np.ascontiguousarray(array, dtype=np.intp)


def check_weights(name: str, value: ArrayLike, size: int, of: str) -> NDArray[np.float64]:
    """Return finite numbers that are not negative; `of` says what they must be as many as."""
    weights = _inputs.check_array(name, value, ndim=1)
    if weights.shape != (size,):
        raise ValueError(f"{name} has shape {weights.shape} and {of}; it must have shape ({size},)")
    bad = np.flatnonzero(weights < 0)
    if bad.size > 0:
        raise ValueError(f"{name} has the entry {weights[bad[0]]} at index {bad[0]}; it must not be negative")
    return weights.astype(np.float64, copy=False)
