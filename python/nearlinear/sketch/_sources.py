"""Problems of least squares, checked: dense, sparse, known by products, or in blocks of rows."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs
from nearlinear.linalg._operators import check_matrix
from nearlinear.sketch._blocks import Blocks, is_blocks

Array = NDArray[np.floating]


class Source(ABC):
    """The problem min |A X - B|."""

    cols: int
    rhs: int
    rhs_ndim: int
    dtype: np.dtype[np.floating]
    is_sparse = False

    @property
    @abstractmethod
    def rows(self) -> int:
        """Of A; of blocks, what is known so far."""

    @abstractmethod
    def solve(self, x: Array, options: _core.LstsqOptions, n_threads: int, keep_going: Any) -> Any:
        """Make x, which may hold a guess, the solution; return what the core tells of it."""

    def ridge_path(self, ridges: NDArray[np.float64], n_threads: int, keep_going: Any) -> Any:
        """Return what the core tells of solutions for several ridges."""
        raise TypeError("A must be an array or a sparse array")

    def leave_one_out(self, ridge: float, residuals: NDArray[np.float64], n_threads: int, keep_going: Any) -> None:
        """Write the errors of rows that are left out."""
        raise TypeError("A must be an array or a sparse array")


class DenseSource(Source):
    """An array that is stored by rows or by columns."""

    def __init__(self, A: ArrayLike, rhs: Array, roots: Array | None) -> None:
        array = _inputs.as_stored("A", A)
        check_rows(array.shape, rhs)
        self.dtype = np.result_type(array, rhs)
        array = array.astype(self.dtype, copy=False)
        columns = np.ascontiguousarray(_inputs.as_columns(rhs), dtype=self.dtype)
        if roots is not None:
            roots = roots.astype(self.dtype, copy=False)
            if array.shape[0] < array.shape[1]:  # whose transpose is what is solved with
                array, columns, roots = array * roots[:, np.newaxis], columns * roots[:, np.newaxis], None
        self._is_transposed = not array.flags.c_contiguous
        self._stored: Any = array.T if self._is_transposed else array
        self._columns: Any = columns
        self._roots: Any = roots
        self._rows: int = array.shape[0]
        self.cols = array.shape[1]
        self.rhs, self.rhs_ndim = columns.shape[1], rhs.ndim

    @property
    def rows(self) -> int:
        return self._rows

    def solve(self, x: Array, options: _core.LstsqOptions, n_threads: int, keep_going: Any) -> Any:
        return _core.lstsq_dense(
            self._stored,
            self._is_transposed,
            self._columns,
            x,
            self._roots,
            options,
            n_threads=n_threads,
            callback=keep_going,
        )

    def ridge_path(self, ridges: NDArray[np.float64], n_threads: int, keep_going: Any) -> Any:
        return _core.ridge_path_dense(
            self._stored,
            self._is_transposed,
            self._columns,
            self._roots,
            ridges,
            n_threads=n_threads,
            callback=keep_going,
        )

    def leave_one_out(self, ridge: float, residuals: NDArray[np.float64], n_threads: int, keep_going: Any) -> None:
        _core.leave_one_out_dense(
            self._stored,
            self._is_transposed,
            self._columns,
            self._roots,
            ridge,
            residuals,
            n_threads=n_threads,
            callback=keep_going,
        )


class SparseSource(Source):
    """A sparse array."""

    is_sparse = True

    def __init__(self, A: Any, rhs: Array, roots: Array | None) -> None:
        csr = _inputs.check_sparse("A", A, function="lstsq")
        check_rows(csr.shape, rhs)
        self.dtype = np.result_type(csr.dtype, rhs)
        csr = csr.astype(self.dtype, csr.indices.dtype)
        columns = np.ascontiguousarray(_inputs.as_columns(rhs), dtype=self.dtype)
        if roots is not None:
            _core.require_valid_csr(csr, function="lstsq", argument="A")
            roots = roots.astype(self.dtype, copy=False)
            csr = csr._replace(data=csr.data * np.repeat(roots, np.diff(csr.indptr)))
            columns = columns * roots[:, np.newaxis]
        self._csr, self._columns = csr, columns
        self.cols, self.rhs, self.rhs_ndim = csr.shape[1], columns.shape[1], rhs.ndim

    @property
    def rows(self) -> int:
        return self._csr.shape[0]

    def solve(self, x: Array, options: _core.LstsqOptions, n_threads: int, keep_going: Any) -> Any:
        return _core.lstsq_sparse(self._csr, self._columns, x, options, n_threads=n_threads, callback=keep_going)

    def ridge_path(self, ridges: NDArray[np.float64], n_threads: int, keep_going: Any) -> Any:
        return _core.ridge_path_sparse(self._csr, self._columns, ridges, n_threads=n_threads, callback=keep_going)

    def leave_one_out(self, ridge: float, residuals: NDArray[np.float64], n_threads: int, keep_going: Any) -> None:
        _core.leave_one_out_sparse(self._csr, self._columns, ridge, residuals, n_threads=n_threads, callback=keep_going)


class OperatorSource(Source):
    """A matrix that is known by its products."""

    def __init__(self, A: Any, rhs: Array) -> None:
        matrix = check_matrix("A", A, function="lstsq")
        check_rows(matrix.shape, rhs)
        self.dtype = np.result_type(matrix.dtype, rhs)
        self._operator = tuple(matrix.operator(self.dtype))
        self._columns = np.ascontiguousarray(_inputs.as_columns(rhs), dtype=self.dtype)
        self._rows, self.cols = matrix.shape
        self.rhs, self.rhs_ndim = self._columns.shape[1], rhs.ndim

    @property
    def rows(self) -> int:
        return self._rows

    def solve(self, x: Array, options: _core.LstsqOptions, n_threads: int, keep_going: Any) -> Any:
        return _core.lstsq_operator(self._operator, self._columns, x, options, n_threads=n_threads, callback=keep_going)


class BlocksSource(Source):
    """Blocks of rows."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.cols, self.rhs, self.rhs_ndim, self.dtype = blocks.cols, blocks.rhs, blocks.rhs_ndim, blocks.dtype

    @property
    def rows(self) -> int:
        return self._blocks.rows

    def solve(self, x: Array, options: _core.LstsqOptions, n_threads: int, keep_going: Any) -> Any:
        blocks = self._blocks
        rewind = blocks.rewind if blocks.is_repeatable else None
        return _core.lstsq_blocks(blocks.next, rewind, x, options, n_threads=n_threads, callback=keep_going)


def source_of(A: Any, b: ArrayLike | None, sample_weight: ArrayLike | None) -> Source:
    """Return the problem that A and b are."""
    if isinstance(A, Blocks) or is_blocks(A):
        if sample_weight is not None:
            raise ValueError("sample_weight goes with an array A; multiply blocks by the roots of the weights instead")
        return BlocksSource(A if isinstance(A, Blocks) else Blocks.of_iterable(A, b))
    if b is None:
        raise TypeError("b is None; it must be an array, unless A yields pairs of blocks of A and of b")
    is_operator = hasattr(A, "matmat") and hasattr(A, "rmatmat") and not hasattr(A, "tocsr")
    if is_operator and sample_weight is not None:
        raise ValueError("sample_weight goes with an array A, and A is a linear operator")
    rhs = _inputs.check_array("b", b, ndim=(1, 2), check_finite=is_operator)
    if is_operator:
        return OperatorSource(A, rhs)
    roots = _check_weights(sample_weight, rhs.shape[0])
    return SparseSource(A, rhs, roots) if hasattr(A, "tocsr") else DenseSource(A, rhs, roots)


def check_rows(shape: tuple[int, ...], rhs: Array) -> None:
    """Raise ValueError unless A has rows and columns, and b as many rows."""
    if rhs.shape[0] != shape[0]:
        raise ValueError(f"A has shape {tuple(shape)} and b has shape {rhs.shape}; they must have as many rows")
    if 0 in shape:
        raise ValueError(f"A has shape {tuple(shape)}; it must have rows and columns")


def _check_weights(value: ArrayLike | None, rows: int) -> Array | None:
    if value is None:
        return None
    weights = _inputs.check_array("sample_weight", value, ndim=1)
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight has shape {weights.shape} and b has {rows} rows; it must have as many entries")
    bad = np.flatnonzero(weights < 0)
    if bad.size > 0:
        raise ValueError(f"sample_weight has the entry {weights[bad[0]]} at index {bad[0]}; it must not be negative")
    roots: Array = np.sqrt(weights)
    return roots
