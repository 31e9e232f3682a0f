"""New rows of a model, or new columns."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.completion._labels import Labels, check_same
from nearlinear.completion._low_rank import LowRank, Seen, frozen
from nearlinear.completion._observations import observe
from nearlinear.completion._validation import refuse_duplicates


class FoldOptions(NamedTuple):
    """How a model was fitted, as far as new lines have to know."""

    lam: float
    nonneg: bool
    implicit: bool


@dataclass(frozen=True, repr=False, eq=False)
class FoldIn(LowRank):
    r"""
    What `Completion.fold_in` returns: a model of the new rows, or of the new columns.

    Attributes
    ----------
    factors : ndarray, shape (p, k)
        Of the new lines: `U` if they are rows, `V` if they are columns.
    bias : ndarray, shape (p,)
        Of the new lines; zeros for a model without biases.
    axis : int
        0: they are rows; 1: columns.
    U, V, mu, row_bias, col_bias
        Of the model: entry (i, j) is :math:`\mu + b_i + c_j + u_i^T v_j`, where i, for `axis` 0, or j counts new lines.
    row_labels, col_labels : pandas.Index or None
        Labels, those of the new lines from `X_new`.

    Notes
    -----
    `predict`, `recommend` and `dense` are those of `Completion`, for the new lines; what was seen is what `X_new`
    holds. Objects can be pickled.
    """

    axis: int
    U: NDArray[np.floating]
    V: NDArray[np.floating]
    mu: float
    row_bias: NDArray[np.floating]
    col_bias: NDArray[np.floating]
    row_labels: Any
    col_labels: Any
    _has_biases: bool = field(repr=False)
    _seen: Seen = field(repr=False)

    @property
    def factors(self) -> NDArray[np.floating]:
        """The factors of the new lines."""
        return self.U if self.axis == 0 else self.V

    @property
    def bias(self) -> NDArray[np.floating]:
        """The biases of the new lines."""
        return self.row_bias if self.axis == 0 else self.col_bias

    def __repr__(self) -> str:
        what = "row" if self.axis == 0 else "column"
        count, rank = self.factors.shape
        return f"FoldIn({count} new {what}{'' if count == 1 else 's'} of a model of rank {rank})"


def fold_in(
    model: LowRank,
    options: FoldOptions,
    X_new: Any,
    axis: Literal[0, 1],
    *,
    mask: ArrayLike | None,
    weights: Any,
    n_threads: int | None,
    callback: _inputs.Callback | None,
    verbose: _progress.Verbose,
) -> FoldIn:
    """Return new lines of a model."""
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}; it must be 0 or 1")
    threads = _inputs.check_n_threads(n_threads)
    known = Labels(None, model.col_labels) if axis == 0 else Labels(model.row_labels, None)
    check_same("X_new", X_new, known, "X")
    observed = observe("X_new", X_new, mask=mask, weights=weights, function="fold_in")
    new_labels = observed.labels
    size = model.shape[1 - axis]
    if observed.shape[1 - axis] != size:
        what = "columns" if axis == 0 else "rows"
        raise ValueError(f"X_new has shape {observed.shape} and X had {size} {what}; X_new must have as many")
    _check_finite(observed.csr.data, observed.rows, observed.cols)
    refuse_duplicates(observed, function="fold_in", name="X_new", hint="")
    lines = observed if axis == 0 else observed.transposed()
    factors = np.zeros((lines.shape[0], model.U.shape[1]))
    biases = np.zeros(lines.shape[0])
    with _progress.watch("fold_in", callback, verbose) as keep_going:
        model._model.fold_in(
            lines.csr,
            lines.weights,
            factors,
            biases if model._has_biases else np.empty(0),
            _core.FoldAxis.rows if axis == 0 else _core.FoldAxis.cols,
            *options,
            n_threads=threads,
            callback=keep_going,
        )
    own = frozen(factors, model.U.dtype), frozen(biases, model.U.dtype)
    seen = Seen(observed.csr.indptr.copy(), observed.csr.indices.copy())
    if axis == 0:
        U, V, b, c = own[0], model.V, own[1], model.col_bias
        labels = Labels(new_labels.rows, model.col_labels)
    else:
        U, V, b, c = model.U, own[0], model.row_bias, own[1]
        labels = Labels(model.row_labels, new_labels.cols)
    return FoldIn(axis, U, V, model.mu, b, c, *labels, model._has_biases, seen)


def _check_finite(values: NDArray[np.float64], rows: NDArray[Any], cols: NDArray[Any]) -> None:
    if not _inputs.is_finite(values):
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"X_new has the entry {values[first]} at index ({rows[first]}, {cols[first]}); it must be finite"
        )
