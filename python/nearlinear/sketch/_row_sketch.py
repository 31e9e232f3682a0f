"""Sketches of rows that come block by block."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs
from nearlinear.sketch._families import (
    WHOLE_KINDS,
    SketchKind,
    SketchOperator,
    check_rows,
    core_kind,
    kind_name,
    refuse_non_finite,
)
from nearlinear.sketch._solution import SketchSolution, as_solution, check_probability


class RowSketch:
    r"""
    The sketch :math:`S [A \; b]` of rows that come block by block.

    Entries of S are functions of the seed and of where a row stands in the whole matrix. Any split of the rows, in any
    order, on any number of machines gives the same sketch up to rounding: add what each has seen with `merge` or ``+``.
    Objects can be pickled, and take m (d + p) numbers.

    Parameters
    ----------
    n_cols : int
        Columns d of A.
    m : int
        Rows of the sketch. For error bars m > d; see `sketch_rows`.
    kind : {"block-hadamard", "srht", "gaussian", "sjlt", "countsketch"}, default "block-hadamard"
        See `sketch`; "dct" and "pooled" need all rows at once.
    seed : int or numpy.random.Generator, optional
        Sketches of parts of one matrix need the same seed.
    n_rhs : int, optional
        Number of right-hand sides. By default that of the first block.
    dtype : {float64, float32}, default float64
        Precision of sums.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

    Attributes
    ----------
    rows_seen : int
        Rows so far.
    SA, Sb : ndarray, shapes (m, d) and (m,) or (m, p)
        The sketch; Sb is None when there are no right-hand sides.

    Notes
    -----
    A block costs as much as in `sketch` where it begins and ends at multiples of 1024 rows (for "block-hadamard" with
    many columns or rows of S: at multiples of a larger power of two, ``block_rows``), and up to twice a whole block of
    1024 more where it does not.

    Examples
    --------
    Two machines see halves of the data; the third solves.

    >>> import pickle
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((20000, 4))
    >>> b = A @ [1.0, 2, 3, 4] + rng.standard_normal(20000)
    >>> first = nl.sketch.RowSketch(4, 400, seed=7).partial_fit(A[:9000], b[:9000])
    >>> second = nl.sketch.RowSketch(4, 400, seed=7).partial_fit(A[9000:], b[9000:], row_offset=9000)
    >>> solution = (pickle.loads(pickle.dumps(first)) + second).solve()
    >>> bool(np.all(abs(solution.x - [1, 2, 3, 4]) < 5 * solution.coef_err))
    True
    """

    def __init__(
        self,
        n_cols: int,
        m: int,
        kind: SketchKind = "block-hadamard",
        seed: int | np.random.Generator | None = None,
        *,
        n_rhs: int | None = None,
        dtype: DTypeLike = np.float64,
        n_threads: int | None = None,
    ) -> None:
        self._n_cols = _inputs.check_int("n_cols", n_cols, minimum=1)
        m = _inputs.check_int("m", m, minimum=1)
        core = core_kind("kind", kind)
        if kind in WHOLE_KINDS:
            raise ValueError(f"kind is {kind!r}, which needs all rows at once; use nearlinear.sketch.sketch")
        self._dtype = np.dtype(dtype)
        if self._dtype not in (np.float32, np.float64):
            raise TypeError(f"dtype is {self._dtype}; it must be float32 or float64")
        self._spec = _core.sketch_for(0, self._n_cols, core, m, _inputs.check_seed(seed))
        self._threads = _inputs.check_n_threads(n_threads)
        self._rhs_ndim = 1
        self._state: Any = None
        if n_rhs is not None:
            self._rhs_ndim = 2
            self._begin(_inputs.check_int("n_rhs", n_rhs, minimum=0))

    def _begin(self, n_rhs: int) -> None:
        of_dtype = _core.RowSketch32 if self._dtype == np.float32 else _core.RowSketch64
        self._state = of_dtype(self._n_cols, n_rhs, self._spec)

    def partial_fit(
        self, block: ArrayLike, rhs: ArrayLike | None = None, *, row_offset: int | None = None
    ) -> "RowSketch":
        """
        Take in rows.

        Parameters
        ----------
        block : array_like or sparse array, shape (rows, n_cols)
            Rows of A.
        rhs : array_like, shape (rows,) or (rows, p), optional
            The same rows of b. All blocks have it or none has.
        row_offset : int, optional
            Where the first of them stands in the whole matrix. By default behind all rows so far.

        Returns
        -------
        RowSketch
            Itself.

        Raises
        ------
        ValueError
            If shapes do not match, an entry is NaN or Inf, or a row was taken in before. The sketch is then unchanged.
        """
        matrix = check_rows("block", block, function="RowSketch.partial_fit")
        refuse_if_not_finite("block", matrix)
        rows = matrix.shape[0]
        if matrix.shape[1] != self._n_cols:
            raise ValueError(f"block has shape {matrix.shape}; it must have {self._n_cols} columns")
        columns = np.zeros((rows, 0), dtype=self._dtype)
        if rhs is not None:
            array = _inputs.check_array("rhs", rhs, ndim=(1, 2))
            if array.shape[0] != rows:
                raise ValueError(
                    f"block has shape {matrix.shape} and rhs has shape {array.shape}; they must have as many rows"
                )
            columns = np.ascontiguousarray(_inputs.as_columns(array), dtype=self._dtype)
            if self._state is None:
                self._rhs_ndim = array.ndim
        if self._state is not None and self._state.rhs != columns.shape[1]:
            raise ValueError(f"rhs has {columns.shape[1]} columns; the blocks before have {self._state.rhs}")
        if row_offset is None:
            stretches = [] if self._state is None else self._state.stretches
            offset = stretches[-1][1] if stretches else 0
        else:
            offset = _inputs.check_int("row_offset", row_offset, minimum=0)
        if self._state is None:
            self._begin(columns.shape[1])
        typed = (
            matrix.astype(self._dtype, matrix.indices.dtype)
            if isinstance(matrix, _inputs.Csr)
            else matrix.astype(self._dtype, copy=False)
        )
        self._state.add_rows(offset, typed, columns, n_threads=self._threads)
        return self

    def merge(self, other: "RowSketch") -> "RowSketch":
        """
        Add the sketch of other rows, and return itself.

        Raises
        ------
        ValueError
            Unless both have the same `n_cols`, m, `kind`, `seed` and right-hand sides, and no row in common.
        """
        if not isinstance(other, RowSketch):
            raise TypeError(f"other is a {type(other).__name__}; it must be a RowSketch")
        if other._dtype != self._dtype:
            raise ValueError(f"one sketch is {self._dtype} and the other {other._dtype}; they must be the same")
        if other._state is None:
            return self
        if self._state is None:
            self._begin(other._state.rhs)
            self._rhs_ndim = other._rhs_ndim
        self._state.merge(other._state)
        return self

    def __add__(self, other: "RowSketch") -> "RowSketch":
        if not isinstance(other, RowSketch):
            return NotImplemented
        return RowSketch.from_bytes(self.to_bytes()).merge(other)

    def solve(self, *, ridge: float = 0.0, delta: float = 0.05) -> SketchSolution:
        r"""
        Solve the problem of the sketch.

        Parameters
        ----------
        ridge : float, default 0.0
            Adds :math:`\lambda |x|^2`.
        delta : float, default 0.05
            `linf_bound` holds with probability 1 - delta.

        Returns
        -------
        SketchSolution

        Raises
        ------
        ValueError
            If there is no right-hand side, or m <= n_cols.
        """
        if self._state is None:
            raise ValueError("the sketch is empty; call partial_fit first")
        ridge = _inputs.check_real("ridge", ridge)
        parts = self._state.solve(ridge, check_probability("delta", delta), n_threads=self._threads)
        shape = (self._n_cols,) if self._rhs_ndim == 1 else (self._n_cols, self._state.rhs)
        return as_solution(parts, self._n_cols, shape, self._spec.rows - self._n_cols)

    @property
    def rows_seen(self) -> int:
        return 0 if self._state is None else int(self._state.rows_seen)

    @property
    def block_rows(self) -> int:
        """Blocks of rows that begin and end at multiples of it cost least."""
        return int(self._spec.block) if kind_name(self._spec) == "block-hadamard" else 1024

    @property
    def SA(self) -> NDArray[np.floating]:  # noqa: N802
        return self._matrices()[0]

    @property
    def Sb(self) -> NDArray[np.floating] | None:  # noqa: N802
        result = self._matrices()[1]
        if result.shape[1] == 0:
            return None
        return result[:, 0] if self._rhs_ndim == 1 else result

    def _matrices(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        rhs = 0 if self._state is None else self._state.rhs
        SA = np.zeros((self._spec.rows, self._n_cols), dtype=self._dtype)
        SB = np.zeros((self._spec.rows, rhs), dtype=self._dtype)
        if self._state is not None:
            self._state.matrices(SA, SB)
        return SA, SB

    def as_operator(self, n_rows: int | None = None) -> SketchOperator:
        """Return S for `n_rows` rows as a linear operator; by default for all rows up to the last so far."""
        stretches = [] if self._state is None else self._state.stretches
        seen = stretches[-1][1] if stretches else 0
        n = seen if n_rows is None else _inputs.check_int("n_rows", n_rows, minimum=0)
        return SketchOperator(self._spec, n, self._dtype, self._threads)

    def to_bytes(self) -> bytes:
        """Return the sketch as bytes, which `from_bytes` reads on machines of the same byte order."""
        header = np.array([self._n_cols, self._rhs_ndim, self._dtype.itemsize, self._state is not None], dtype=np.int64)
        state = self._state
        if state is None:  # an empty one says as much
            of_dtype = _core.RowSketch32 if self._dtype == np.float32 else _core.RowSketch64
            state = of_dtype(self._n_cols, 0, self._spec)
        return bytes(header.tobytes() + state.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int | None = None) -> "RowSketch":
        """Return the sketch that `to_bytes` wrote. Raises ValueError for anything else."""
        if not isinstance(data, bytes):
            raise TypeError(f"data is a {type(data).__name__}; it must be bytes")
        if len(data) < 32:
            raise ValueError("data does not hold a RowSketch")
        n_cols, rhs_ndim, item_size, begun = np.frombuffer(data[:32], dtype=np.int64).tolist()
        if item_size not in (4, 8) or rhs_ndim not in (1, 2) or begun not in (0, 1):
            raise ValueError("data does not hold a RowSketch")
        state = (_core.RowSketch32 if item_size == 4 else _core.RowSketch64).from_bytes(data[32:])
        if state.cols != n_cols:
            raise ValueError("data does not hold a RowSketch")
        result = cls.__new__(cls)
        result._n_cols, result._rhs_ndim = n_cols, rhs_ndim
        result._dtype = np.dtype(np.float32 if item_size == 4 else np.float64)
        result._spec = state.spec
        result._threads = _inputs.check_n_threads(n_threads)
        result._state = state if begun else None
        return result

    def __getstate__(self) -> bytes:
        return self.to_bytes()

    def __setstate__(self, data: bytes) -> None:
        self.__dict__.update(RowSketch.from_bytes(data).__dict__)

    def __repr__(self) -> str:
        return (
            f"RowSketch(n_cols={self._n_cols}, m={self._spec.rows}, kind={kind_name(self._spec)!r}, "
            f"seed={self._spec.seed}, rows_seen={self.rows_seen})"
        )


def refuse_if_not_finite(name: str, matrix: NDArray[np.floating] | _inputs.Csr) -> None:
    """Raise ValueError, before anything is added, if an entry is NaN or infinite."""
    entries = matrix.data if isinstance(matrix, _inputs.Csr) else matrix
    if not _inputs.is_finite(entries):
        refuse_non_finite(name, matrix)
