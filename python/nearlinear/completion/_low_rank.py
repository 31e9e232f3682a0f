"""What a matrix of low rank with biases says of its entries."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearlinear import _core, _inputs
from nearlinear.completion._labels import positions


class Recommendation(NamedTuple):
    """
    What `Completion.recommend` returns.

    Attributes
    ----------
    cols : ndarray, shape (n,) or (rows, n)
        Positions of columns or, where X was a DataFrame, their labels; the best one first.
    scores : ndarray, shape (n,) or (rows, n)
        The model's entries there.
    """

    cols: NDArray[Any]
    scores: NDArray[np.floating]


class Seen(NamedTuple):
    """Where something was observed, in compressed rows."""

    indptr: NDArray[np.signedinteger]
    indices: NDArray[np.signedinteger]

    def of_row(self, row: int) -> NDArray[np.int64]:
        """Return the columns, each once."""
        return np.unique(self.indices[self.indptr[row] : self.indptr[row + 1]]).astype(np.int64)


class LowRank:
    """A model whose attributes its subclasses have as fields."""

    U: NDArray[np.floating]
    V: NDArray[np.floating]
    mu: float
    row_bias: NDArray[np.floating]
    col_bias: NDArray[np.floating]
    row_labels: Any
    col_labels: Any
    _has_biases: bool
    _seen: Seen

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.U.shape[0], self.V.shape[0]

    def predict(self, rows: Any, cols: Any, *, n_threads: int | None = None) -> Any:
        r"""
        Return entries of the model, :math:`\mu + b_i + c_j + u_i^T v_j`.

        Parameters
        ----------
        rows, cols : int or array_like of int
            Positions, which broadcast against each other. Where X was a DataFrame they are labels; integers are, too,
            if there are numbers among its labels, and positions otherwise.
        n_threads : int, optional
            Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

        Returns
        -------
        float or ndarray
            One number for each pair.

        Raises
        ------
        IndexError
            If a position is negative or out of range.
        KeyError
            If there is no such label.
        ValueError
            If the shapes do not broadcast, or of labels if not all are different.
        TypeError
            If positions are no integers.

        Notes
        -----
        Takes 2 k operations for each pair, and a copy of the factors at the first call on a model of float32 or one
        that was unpickled.
        """
        m, n = self.shape
        threads = _inputs.check_n_threads(n_threads)
        i = positions("rows", rows, m, self.row_labels, "row")
        j = positions("cols", cols, n, self.col_labels, "column")
        try:
            i, j = np.broadcast_arrays(i, j)
        except ValueError:
            raise ValueError(
                f"rows has shape {i.shape} and cols has shape {j.shape}; they must be the same or broadcast"
            ) from None
        values = np.empty(i.size)
        self._model.predict(np.ascontiguousarray(i.ravel()), np.ascontiguousarray(j.ravel()), values, threads)
        found = values.astype(self.U.dtype, copy=False).reshape(i.shape)
        return found if i.ndim > 0 else float(found)

    def recommend(
        self, row: Any, n: int = 10, filter_seen: bool = True, *, n_threads: int | None = None
    ) -> Recommendation:
        """
        Return the columns in which a row of the model is largest.

        Parameters
        ----------
        row : int or array_like of int, shape (rows,)
            Positions, or labels as for `predict`.
        n : int, default 10
            How many columns.
        filter_seen : bool, default True
            Leave out columns whose entry in that row was observed.
        n_threads : int, optional
            Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

        Returns
        -------
        Recommendation
            A tuple of ``cols`` and ``scores``, descending; of equal ones the lower column comes first. If fewer than n
            columns are left, one row gets fewer; of several rows, the rest is filled with the position -1, or the label
            None, and the score -inf.

        Raises
        ------
        IndexError, KeyError
            If there is no such row.
        """
        wanted = min(_inputs.check_int("n", n, minimum=1), max(self.shape[1], 1))
        threads = _inputs.check_n_threads(n_threads)
        rows = positions("row", row, self.shape[0], self.row_labels, "row")
        if rows.ndim > 1:
            raise ValueError(f"row has shape {rows.shape}; it must have at most 1 dimension")
        cols = np.full((rows.size, wanted), -1, dtype=np.intp)
        scores = np.full((rows.size, wanted), -np.inf)
        nothing = np.empty(0, np.int64)
        left = wanted
        for place, i in enumerate(rows.ravel().tolist()):
            seen = self._seen.of_row(i) if filter_seen else nothing
            left = min(wanted, self.shape[1] - seen.size)
            self._model.recommend(i, seen, cols[place, :left], scores[place, :left], threads)
        found = scores.astype(self.U.dtype, copy=False)
        if rows.ndim == 0:
            return Recommendation(self._named(cols[0, :left]), found[0, :left])
        return Recommendation(self._named(cols), found)

    def dense(self, max_bytes: int | None = 2**30) -> NDArray[np.floating]:
        """
        Return all entries of the model.

        Parameters
        ----------
        max_bytes : int or None, default 2**30
            Refuse to make an array that is larger. None: no limit.

        Returns
        -------
        ndarray, shape (m, n)

        Raises
        ------
        MemoryError
            If the array would have more than `max_bytes` bytes, or there is no memory for it; with its size.
        """
        m, n = self.shape
        needed = m * n * self.U.dtype.itemsize
        if max_bytes is not None and needed > _inputs.check_int("max_bytes", max_bytes, minimum=0):
            raise MemoryError(
                f"dense: an array of shape {self.shape} takes {needed} bytes, and max_bytes is {max_bytes}; "
                "predict computes some of the entries"
            )
        entries: NDArray[np.floating] = self.U @ self.V.T
        if self._has_biases:
            entries += self.row_bias[:, np.newaxis]
            entries += self.col_bias
            entries += self.U.dtype.type(self.mu)
        return entries

    @cached_property
    def _model(self) -> _core.LowRankModel:
        biases = (self.row_bias, self.col_bias) if self._has_biases else (np.empty(0), np.empty(0))
        U, V, b, c = (np.ascontiguousarray(part, dtype=np.float64) for part in (self.U, self.V, *biases))
        return _core.LowRankModel(U, V, self.mu, b, c)

    def _named(self, cols: NDArray[np.intp]) -> NDArray[Any]:
        """Return the labels of columns, if there are any."""
        if self.col_labels is None:
            return cols
        labels = np.asarray(self.col_labels)
        if labels.size == 0 or (cols >= 0).all():
            return labels[cols]
        named = labels.astype(object)[cols]
        named[cols < 0] = None
        return named

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for part in (self.U, self.V, self.row_bias, self.col_bias):
            part.flags.writeable = False  # the model in the core is made of them once


def frozen(array: NDArray[np.floating], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """Return a part of a model, of which predictions are made, read-only."""
    part = array.astype(dtype, copy=False)
    part.flags.writeable = False
    return part
