"""Samples of rows that come block by block."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs
from nearlinear.sampling._checks import check_p

HEADER = 5  # numbers: columns of A and of b or -1, dimensions of b, bytes of a number, whether there are rows


@dataclass(frozen=True, repr=False, eq=False)
class Coreset:
    r"""
    What `StreamingCoreset.result` returns. Its length is the number of rows.

    Attributes
    ----------
    rows : ndarray, shape (k, d)
        Rows of A, as they came.
    rhs : ndarray, shape (k,) or (k, q), or None
        The same rows of b, if there was one.
    indices : ndarray of int, shape (k,)
        Where they stand in the whole matrix, ascending.
    weights : ndarray, shape (k,)
        :math:`\sum_i \text{weight}_i f(a_i)` over the coreset is unbiased for the sum over all rows. For every
        ``sample_weight``.
    scale : ndarray, shape (k,)
        :math:`\text{weight}_i^{1/p}`: rows times it are S A, and :math:`|S A x|_p^p` is unbiased for
        :math:`|A x|_p^p`.
    p : float
        The exponent.
    """

    rows: NDArray[np.floating]
    rhs: NDArray[np.floating] | None
    indices: NDArray[np.intp]
    weights: NDArray[np.floating]
    scale: NDArray[np.floating]
    p: float

    def __len__(self) -> int:
        return self.indices.size

    def __repr__(self) -> str:
        return f"Coreset({len(self)} rows of {self.rows.shape[1]} columns, p={self.p:g})"


class StreamingCoreset:
    r"""
    A coreset for :math:`|A x|_p`, or :math:`|A x - b|_p`, of rows that come block by block, by merging and reducing.

    Rows are gathered until there are `budget` of them. Two sets of the same level are joined and reduced to `budget`
    rows of the next level [1]_ [2]_, section 7, by systematic sampling with the Lewis weights of the rows as they are
    scaled. The same rows in the same order give the same coreset, however they are cut into blocks; coresets of
    different rows are put together with `merge` or ``+``. Objects can be pickled.

    Parameters
    ----------
    p : float
        :math:`1 \leq p < \infty`.
    budget : int
        Rows of the coreset at the most; more than there are columns, those of b included.
    seed : int or numpy.random.Generator, optional
        Coresets of parts of one matrix need the same seed.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

    Attributes
    ----------
    rows_seen : int
        Rows so far.

    Raises
    ------
    ValueError
        If p or an option is out of range.

    See Also
    --------
    sample_rows : samples of rows of a matrix that is at hand.
    lp_regression : takes ``rows``, ``rhs`` and, as `sample_weight`, ``weights`` of the result.

    Notes
    -----
    A stream of n rows has :math:`\log_2(n / \text{budget})` levels at the most; each row has gone through as many
    reductions, and distortions add up: for one of :math:`\epsilon` in all, the budget is that of a single sample times
    the square of the number of levels in the worst case, and times the number itself where errors are independent, as
    they are here. Each row and level takes 4 to 10 iterations of Lewis weights, of :math:`2 (d + q)^2` operations;
    each level takes budget rows of memory.

    References
    ----------
    .. [1] J. L. Bentley and J. B. Saxe, "Decomposable searching problems I: static-to-dynamic transformation", Journal
       of Algorithms 1 (1980) 301-358.
    .. [2] S. Har-Peled and S. Mazumdar, "On coresets for k-means and k-median clustering", STOC 2004, 291-300.

    Examples
    --------
    Two machines see parts of the data; the third solves.

    >>> import pickle
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((20000, 4))
    >>> b = A @ [1.0, 2, 3, 4] + rng.standard_t(2, 20000)
    >>> first = nl.sampling.StreamingCoreset(1, 1000, seed=7).partial_fit(A[:9000], b[:9000])
    >>> second = nl.sampling.StreamingCoreset(1, 1000, seed=7).partial_fit(A[9000:], b[9000:], row_offset=9000)
    >>> coreset = (pickle.loads(pickle.dumps(first)) + second).result()
    >>> x = nl.sampling.lp_regression(coreset.rows, coreset.rhs, 1, sample_weight=coreset.weights).x
    >>> bool(abs(A @ x - b).sum() < 1.1 * nl.sampling.lp_regression(A, b, 1).norm)
    True
    """

    def __init__(
        self,
        p: float,
        budget: int,
        seed: int | np.random.Generator | None = None,
        *,
        n_threads: int | None = None,
    ) -> None:
        self._p = check_p(p)
        self._budget = min(_inputs.check_int("budget", budget, minimum=2), 2**62)
        self._seed = _inputs.check_seed(seed)
        self._threads = _inputs.check_n_threads(n_threads)
        self._n_cols = 0
        self._n_rhs = -1  # none
        self._rhs_ndim = 1
        self._dtype: np.dtype[np.floating] | None = None  # of all rows so far
        self._state: _core.StreamingCoreset | None = None

    def partial_fit(
        self, block: ArrayLike, rhs: ArrayLike | None = None, *, row_offset: int | None = None
    ) -> "StreamingCoreset":
        """
        Take in rows.

        Parameters
        ----------
        block : array_like, shape (rows, d)
            Rows of A. The first block decides d.
        rhs : array_like, shape (rows,) or (rows, q), optional
            The same rows of b: the coreset is then one of the columns of [A b]. All blocks have it or none has.
        row_offset : int, optional
            Where the first of them stands in the whole matrix. By default behind all rows so far.

        Returns
        -------
        StreamingCoreset
            Itself.

        Raises
        ------
        ValueError
            If shapes do not match, there are no columns or as many as `budget`, an entry is NaN or Inf, or a row was
            taken in before. The coreset is then unchanged.
        TypeError
            If an input is complex, masked, sparse or not numeric.
        """
        matrix = _inputs.check_array("block", block, ndim=2)
        rows, n_cols = matrix.shape
        n_rhs, rhs_ndim = -1, 1
        parts = [matrix]
        if rhs is not None:
            array = _inputs.check_array("rhs", rhs, ndim=(1, 2))
            if array.shape[0] != rows:
                raise ValueError(
                    f"block has shape {matrix.shape} and rhs has shape {array.shape}; they must have as many rows"
                )
            parts.append(_inputs.as_columns(array))
            n_rhs, rhs_ndim = parts[1].shape[1], array.ndim
        if n_cols == 0:
            raise ValueError(f"block has shape {matrix.shape}; it must have columns")
        self._check_columns(f"block has shape {matrix.shape}", n_cols, n_rhs)
        state = self._state
        if row_offset is not None:
            offset = _inputs.check_int("row_offset", row_offset, minimum=0)
            if offset >= 2**62:
                raise OverflowError(f"row_offset is {offset}; it must be below 2**62")
        else:
            offset = state.stretches[-1][1] if state is not None and state.stretches else 0
        if state is None:
            state = _core.StreamingCoreset(n_cols + max(n_rhs, 0), self._p, self._budget, self._seed)
        typed = [part.astype(np.float64, copy=False) for part in parts]
        joined = typed[0] if len(typed) == 1 else np.ascontiguousarray(np.hstack(typed))
        state.add_rows(offset, joined, n_threads=self._threads)
        if self._state is None:
            self._state, self._n_cols, self._n_rhs, self._rhs_ndim = state, n_cols, n_rhs, rhs_ndim
        self._widen(np.result_type(*parts))
        return self

    def merge(self, other: "StreamingCoreset") -> "StreamingCoreset":
        """
        Take in what another one has, and return itself.

        Raises
        ------
        ValueError
            Unless both have the same p, `budget`, `seed` and columns, and no row in common.
        """
        if not isinstance(other, StreamingCoreset):
            raise TypeError(f"other is a {type(other).__name__}; it must be a StreamingCoreset")
        for name in ("p", "budget", "seed"):
            mine, theirs = getattr(self, f"_{name}"), getattr(other, f"_{name}")
            if mine != theirs:
                raise ValueError(f"{name} is {mine} and that of other is {theirs}; they must be the same")
        if other._state is None:
            return self
        self._check_columns(f"other has {other._n_cols} columns", other._n_cols, other._n_rhs)
        state = self._state
        if state is None:
            state = _core.StreamingCoreset(other._state.cols, self._p, self._budget, self._seed)
        state.merge(other._state, n_threads=self._threads)
        if self._state is None:
            self._state, self._n_cols, self._n_rhs = state, other._n_cols, other._n_rhs
            self._rhs_ndim = other._rhs_ndim
        if other._dtype is not None:
            self._widen(other._dtype)
        return self

    def __add__(self, other: "StreamingCoreset") -> "StreamingCoreset":
        if not isinstance(other, StreamingCoreset):
            return NotImplemented
        return StreamingCoreset.from_bytes(self.to_bytes()).merge(other)

    def result(self) -> Coreset:
        """
        Return at most `budget` rows for all so far; all of them, with weight 1, while there are no more.

        Returns
        -------
        Coreset
            float32 if all blocks were float32 or float16, else float64. More rows can be taken in afterwards.

        Raises
        ------
        ValueError
            If no block was taken in.
        """
        if self._state is None or self._dtype is None:
            raise ValueError("the coreset is empty; call partial_fit first")
        entries, indices, weights = self._state.result(n_threads=self._threads)
        columns = entries.reshape(indices.size, self._state.cols).astype(self._dtype, copy=False)
        rows: NDArray[np.floating] = columns
        rhs: NDArray[np.floating] | None = None
        if self._n_rhs >= 0:
            rows = np.ascontiguousarray(columns[:, : self._n_cols])
            last = columns[:, -1] if self._rhs_ndim == 1 else columns[:, self._n_cols :]
            rhs = np.ascontiguousarray(last)
        scale = weights ** (1 / self._p)
        return Coreset(
            rows,
            rhs,
            indices,
            weights.astype(self._dtype, copy=False),
            scale.astype(self._dtype, copy=False),
            self._p,
        )

    @property
    def rows_seen(self) -> int:
        return 0 if self._state is None else int(self._state.rows_seen)

    def to_bytes(self) -> bytes:
        """Return the coreset as bytes, which `from_bytes` reads on machines of the same byte order."""
        item_size = 0 if self._dtype is None else self._dtype.itemsize
        begun = self._state is not None
        header = np.array([self._n_cols, self._n_rhs, self._rhs_ndim, item_size, begun], dtype=np.int64)
        state = self._state
        if state is None:  # an empty one says as much
            state = _core.StreamingCoreset(1, self._p, self._budget, self._seed)
        return bytes(header.tobytes() + state.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int | None = None) -> "StreamingCoreset":
        """Return the coreset that `to_bytes` wrote. Raises ValueError for anything else."""
        if not isinstance(data, bytes):
            raise TypeError(f"data is a {type(data).__name__}; it must be bytes")
        if len(data) < 8 * HEADER:
            raise ValueError("data does not hold a StreamingCoreset")
        n_cols, n_rhs, rhs_ndim, item_size, begun = np.frombuffer(data[: 8 * HEADER], dtype=np.int64).tolist()
        if rhs_ndim not in (1, 2) or begun not in (0, 1) or item_size not in ((4, 8) if begun else (0,)):
            raise ValueError("data does not hold a StreamingCoreset")
        state = _core.StreamingCoreset.from_bytes(data[8 * HEADER :])
        is_single = rhs_ndim == 1 and n_rhs in (-1, 1)
        if begun and not (
            n_cols >= 0 and n_rhs >= -1 and (is_single or rhs_ndim == 2) and state.cols == n_cols + max(n_rhs, 0)
        ):
            raise ValueError("data does not hold a StreamingCoreset")
        result = cls(state.p, state.budget, state.seed, n_threads=n_threads)
        if begun:
            result._n_cols, result._n_rhs, result._rhs_ndim = n_cols, n_rhs, rhs_ndim
            result._dtype = np.dtype(np.float32 if item_size == 4 else np.float64)
            result._state = state
        return result

    def _check_columns(self, what: str, n_cols: int, n_rhs: int) -> None:
        """Refuse a block, or what another one has, whose columns are not those of the blocks before."""
        if self._state is None:
            return
        if n_cols != self._n_cols:
            raise ValueError(f"{what}; it must have {self._n_cols} columns")
        if n_rhs != self._n_rhs:
            now, before = ("no columns" if count < 0 else f"{count} columns" for count in (n_rhs, self._n_rhs))
            raise ValueError(f"rhs has {now}, and the blocks before have {before}; all must have as many")

    def _widen(self, dtype: np.dtype[np.floating]) -> None:
        self._dtype = dtype if self._dtype is None else np.result_type(self._dtype, dtype)

    def __getstate__(self) -> bytes:
        return self.to_bytes()

    def __setstate__(self, data: bytes) -> None:
        self.__dict__.update(StreamingCoreset.from_bytes(data).__dict__)

    def __repr__(self) -> str:
        return f"StreamingCoreset(p={self._p:g}, budget={self._budget}, seed={self._seed}, rows_seen={self.rows_seen})"
