"""What both inverses have in common: they are symmetric operators that SciPy can use."""

import abc
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from nearlinear import _inputs

Storage = Literal["float64", "float32", "float16", "bfloat16"]
STORAGES = ("float64", "float32", "float16", "bfloat16")
BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


class FisherOperator(LinearOperator):  # type: ignore[misc]  # SciPy has no types
    """A symmetric operator of which a derived class applies ``_apply`` to rows."""

    shape: tuple[int, int]
    dtype: np.dtype[np.floating]

    @abc.abstractmethod
    def _apply(self, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the products of all rows, as rows."""

    def matvec(self, x: ArrayLike) -> NDArray[np.floating]:
        """
        Multiply a vector by the inverse.

        Parameters
        ----------
        x : array, shape (d,) or (d, 1)
            Real and finite.

        Returns
        -------
        y : ndarray of the shape of `x`
            :math:`F^{-1} x`, of the operator's `dtype`.
        """
        vector = self._checked("x", x, columns=1)
        return self._apply(vector.reshape(1, -1)).reshape(vector.shape)

    def rmatvec(self, x: ArrayLike) -> NDArray[np.floating]:
        """Multiply by the transpose, which is the same."""
        return self.matvec(x)

    def matmat(self, X: ArrayLike) -> NDArray[np.floating]:
        """
        Multiply several vectors, all of them in two passes over the gradients.

        Parameters
        ----------
        X : array, shape (d, p)
            A vector per column. Stored by columns, as NumPy's order "F" does, it is not copied.

        Returns
        -------
        Y : ndarray, shape (d, p)
            :math:`F^{-1} X`, stored by columns.
        """
        return self._map_columns(self._apply, self._checked("X", X))

    def rmatmat(self, X: ArrayLike) -> NDArray[np.floating]:
        """Multiply several vectors by the transpose, which is the same."""
        return self.matmat(X)

    def solve(self, b: ArrayLike) -> NDArray[np.floating]:
        """Return the solution of :math:`F x = b`: `matvec` of a vector, `matmat` of a matrix."""
        return self.matvec(b) if np.ndim(b) == 1 else self.matmat(b)

    def _adjoint(self) -> "FisherOperator":
        return self

    def _transpose(self) -> "FisherOperator":
        return self

    def _matvec(self, x: Any) -> Any:
        return self.matvec(x)

    def _matmat(self, X: Any) -> Any:
        return self.matmat(X)

    def _map_columns(self, function: Any, array: NDArray[np.floating]) -> NDArray[np.floating]:
        """Apply a function of rows to a vector or to the columns of a matrix."""
        if array.ndim == 1:
            vector: NDArray[np.floating] = function(array.reshape(1, -1)).reshape(-1)
            return vector
        columns: NDArray[np.floating] = function(np.ascontiguousarray(array.T)).T
        return columns

    def _checked(self, name: str, value: ArrayLike, columns: int | None = None) -> NDArray[np.floating]:
        """Return a vector or a matrix of as many rows as there are parameters, of the operator's type."""
        array = _inputs.check_array(name, value, ndim=(1, 2), order="F")
        if array.shape[0] != self.shape[0] or (columns is not None and array.size != self.shape[0] * columns):
            wanted = f"({self.shape[0]},)" if columns is not None else f"({self.shape[0]}, p)"
            raise ValueError(f"{name} has shape {array.shape}; it must have shape {wanted}")
        return array.astype(self.dtype, copy=False)  # in the same order


def check_damping(name: str, value: Any) -> list[float]:
    """Return one or several positive finite numbers."""
    numbers = np.atleast_1d(np.asarray(value))
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name} is {value!r}; it must be a number, or one per block")
    if numbers.ndim != 1 or numbers.size == 0:
        raise ValueError(f"{name} has shape {numbers.shape}; it must be a number, or one per block")
    bad = np.flatnonzero(~((numbers > 0) & np.isfinite(numbers)))
    if bad.size > 0:
        raise ValueError(f"{name} is {numbers[bad[0]]}; it must be positive and finite")
    return [float(number) for number in numbers]
