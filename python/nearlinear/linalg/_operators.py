"""Matrices that are known by their products alone: arrays, sparse arrays and SciPy's linear operators as one thing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearlinear import _core, _inputs

Product = Callable[[NDArray[np.floating]], NDArray[np.floating]]


class Operator(NamedTuple):
    """What the core takes: the shape, and a dense matrix or its products with matrices of a few columns."""

    rows: int
    cols: int
    matrix: NDArray[np.floating] | None
    apply: Product | None
    apply_transposed: Product | None


class Matrix(NamedTuple):
    """A matrix that is checked, and its type; `operator` makes what the core takes."""

    name: str
    shape: tuple[int, int]
    dtype: np.dtype[np.floating]
    value: Any
    is_dense: bool

    def operator(self, dtype: np.dtype[np.floating]) -> Operator:
        """Return its products in the given precision."""
        rows, cols = self.shape
        if self.is_dense:
            return Operator(rows, cols, np.ascontiguousarray(self.value, dtype=dtype), None, None)
        value = self.value
        if hasattr(value, "rmatmat"):
            forward = _of_vectors(getattr(value, "matvec", None), value.matmat)
            backward = _of_vectors(getattr(value, "rmatvec", None), value.rmatmat)
        else:  # sparse
            value = value.astype(dtype)
            transposed = value.T.tocsr()
            forward = _of_vectors(value.__matmul__, value.__matmul__)
            backward = _of_vectors(transposed.__matmul__, transposed.__matmul__)
        return Operator(rows, cols, None, self._checked(forward, rows, dtype), self._checked(backward, cols, dtype))

    def _checked(self, product: Product, rows: int, dtype: np.dtype[np.floating]) -> Product:
        """Return a product that gives the core what it needs, or says what is wrong with it."""

        def checked(x: NDArray[np.floating]) -> NDArray[np.floating]:
            y = np.asarray(product(x))
            if y.shape != (rows, x.shape[1]):
                raise ValueError(
                    f"{self.name} of shape {self.shape} times a matrix of shape {x.shape} has shape {y.shape}; "
                    f"it must have shape {(rows, x.shape[1])}"
                )
            if y.dtype.kind not in "fiub":
                raise TypeError(f"{self.name} times a matrix has dtype {y.dtype}; it must hold real numbers")
            return np.ascontiguousarray(y, dtype=dtype)

        return checked


def _of_vectors(product: Product | None, product_of_many: Product) -> Product:
    """Return a product that hands single vectors on with one dimension, as SciPy's own solvers do."""
    if product is None:
        return product_of_many

    def multiply(x: NDArray[np.floating]) -> NDArray[np.floating]:
        if x.shape[1] != 1:
            return product_of_many(x)
        y = np.asarray(product(x[:, 0]))
        return y[:, np.newaxis] if y.ndim == 1 else y

    return multiply


def check_matrix(name: str, value: Any, *, function: str, check_finite: bool = True) -> Matrix:
    """Return a matrix that is an array, a SciPy sparse array or matrix, or has SciPy's ``matmat`` and ``rmatmat``."""
    if hasattr(value, "tocsr"):
        csr = _inputs.check_sparse(name, value, function=function)
        _core.require_valid_csr(csr, function=function, argument=name)
        if check_finite and not _inputs.is_finite(csr.data):
            raise ValueError(f"{name} has entries that are NaN or Inf; all entries must be finite")
        from scipy.sparse import csr_array

        return Matrix(name, csr.shape, csr.data.dtype, csr_array((csr.data, csr.indices, csr.indptr), csr.shape), False)
    if hasattr(value, "matmat") and hasattr(value, "rmatmat"):
        rows, cols = map(int, value.shape)
        dtype = np.dtype(np.float64 if value.dtype is None else value.dtype)
        if dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {dtype}; it must hold real numbers")
        single = dtype.kind == "f" and dtype.itemsize <= 4
        return Matrix(name, (rows, cols), np.dtype(np.float32 if single else np.float64), value, False)
    array = _inputs.check_array(name, value, ndim=2, check_finite=check_finite)
    return Matrix(name, (array.shape[0], array.shape[1]), array.dtype, array, True)


def check_square(matrix: Matrix, size: int | None = None) -> Matrix:
    """Return the matrix if it has as many rows as columns and, where a size is given, so many."""
    rows, cols = matrix.shape
    if rows != cols:
        raise ValueError(f"{matrix.name} has shape {matrix.shape}; it must be square")
    if size is not None and rows != size:
        raise ValueError(f"{matrix.name} has shape {matrix.shape}; it must have shape {(size, size)}")
    return matrix
