"""What `complete` returns."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result, _abbreviated
from nearlinear.completion._fold_in import FoldIn, FoldOptions, fold_in
from nearlinear.completion._labels import Labels
from nearlinear.completion._low_rank import LowRank, Seen, frozen
from nearlinear.completion._plots import plot_history

CONVERGED, MAXITER, STOPPED, EARLY_STOP = range(4)
MESSAGES = (
    "converged",
    "maxiter iterations were not enough",
    "stopped by the callback",
    "the validation error had stopped falling; the best model is returned",
)
STEP_TYPE = np.dtype(
    [
        ("iteration", np.int64),
        ("phase", "U10"),
        ("lam", np.float64),
        ("objective", np.float64),
        ("training_rmse", np.float64),
        ("validation_rmse", np.float64),
        ("seconds", np.float64),
        ("inner_iterations", np.int64),
    ]
)


class CompletionWarning(UserWarning):
    """`complete` has not converged, or has found rows or columns with too few entries."""


class CompletionStep(NamedTuple):
    r"""
    What the callback of `complete` gets; its history has the same fields.

    Attributes
    ----------
    iteration : int
        Sweeps (an update of U and one of V) and Newton steps so far.
    phase : {"biases", "descent", "plain", "homotopy", "polish", "projection"}
        What kind this one was: biases alone; one sweep for each of a few :math:`\lambda` that fall fast; a sweep that
        tells how fast they contract; a sweep on the slow path of :math:`\lambda`; a sweep at its last value; a
        Newton step.
    lam : float
        :math:`\lambda` of this one.
    objective : float
        Reached with this :math:`\lambda`.
    training_rmse : float
        :math:`(\sum w r^2 / \sum w)^{1/2}` over the entries that are fitted.
    validation_rmse : float
        Of the entries that are not fitted; NaN if there are none.
    seconds : float
        Since the call began.
    inner_iterations : int
        Iterations of conjugate gradients in a Newton step.
    """

    iteration: int
    phase: str
    lam: float
    objective: float
    training_rmse: float
    validation_rmse: float
    seconds: float
    inner_iterations: int


@dataclass(frozen=True, repr=False, eq=False)
class Completion(LowRank, Result):
    r"""
    What `complete` returns: a matrix of low rank, :math:`X_{ij} \approx \mu + b_i + c_j + u_i^T v_j`.

    Attributes
    ----------
    success : bool
        Whether the fit converged, or the validation error had stopped falling.
    status : int
        0: converged; 1: `maxiter` iterations were not enough; 2: the callback stopped it; 3: the validation error had
        not fallen for `patience` iterations, and this is the best model.
    message : str
        The status in words.
    nit : int
        Sweeps and Newton steps.
    U, V : ndarray, shape (m, k) and (n, k)
        Factors, read-only: :math:`U^T U = V^T V = \mathrm{diag}(s)`, except for non-negative ones.
    s : ndarray of float64, shape (k,)
        Singular values of :math:`U V^T`, descending.
    mu : float
        The mean of what was observed; 0 for a model without biases.
    row_bias, col_bias : ndarray, shape (m,) and (n,)
        b and c, read-only; zeros for a model without biases.
    rank : int
        k.
    lam : float
        :math:`\lambda`, the one that was chosen for ``lam="auto"``.
    objective : float
        What was minimised.
    training_rmse : float
        :math:`(\sum w r^2 / \sum w)^{1/2}` over the entries that were fitted.
    validation_rmse : float
        Of the entries that were held out or given for validation, NaN without. If all entries were fitted in the end
        (``lam="auto"``), that of the model before that.
    used_homotopy : bool
        Whether :math:`\lambda` came down from far above.
    history : recarray
        What each iteration was and reached, with the fields of `CompletionStep`: ``history["training_rmse"]``.
    empty_rows, empty_cols : ndarray of int
        Rows and columns that were left out: without entries, or dropped. Their factors and biases are 0.
    row_labels, col_labels : pandas.Index or None
        Labels of X, if it was a DataFrame.

    Notes
    -----
    It also keeps the places of what was observed, 4 bytes for each entry and row, or 8 beyond 2^31 entries, for
    `recommend`. Objects can be copied and pickled.
    """

    U: NDArray[np.floating]
    V: NDArray[np.floating]
    s: NDArray[np.float64]
    mu: float
    row_bias: NDArray[np.floating]
    col_bias: NDArray[np.floating]
    rank: int
    lam: float
    objective: float
    training_rmse: float
    validation_rmse: float
    used_homotopy: bool
    history: Any
    empty_rows: NDArray[np.intp]
    empty_cols: NDArray[np.intp]
    row_labels: Any
    col_labels: Any
    _has_biases: bool
    _seen: Seen
    _fold_options: FoldOptions

    def fold_in(
        self,
        X_new: Any,
        axis: Literal[0, 1] = 0,
        *,
        mask: ArrayLike | None = None,
        weights: Any = None,
        n_threads: int | None = None,
        callback: _inputs.Callback | None = None,
        verbose: _progress.Verbose = False,
    ) -> FoldIn:
        r"""
        New rows, or new columns, without another fit.

        .. math:: \min_{u, b} \sum_j w_j (x_j - \mu - b - c_j - u^T v_j)^2 + \lambda (\|u\|^2 + b^2)

        over what is observed of each: what `complete` solves for each line of its own.

        Parameters
        ----------
        X_new : sparse array, DataFrame or array_like, shape (p, n) or, for `axis` 1, (m, p)
            As X of `complete`; no place may be stored twice. A DataFrame must have the columns of X, or its rows for
            `axis` 1, in the same order.
        axis : {0, 1}, default 0
            0: they are rows; 1: they are columns.
        mask, weights
            As for `complete`.
        n_threads : int, optional
            Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
        callback : callable, optional
            Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
        verbose : bool or "progress", default False
            True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

        Returns
        -------
        FoldIn
            With the factors and biases of the new lines, and the methods of this class for them.

        Raises
        ------
        ValueError
            If shapes or labels do not match, an entry is not finite or stored twice, or a weight is negative.
        TypeError
            If an input is complex, masked or not numeric.
        Interrupted
            If `callback` returned True.

        Notes
        -----
        :math:`\lambda`, and whether factors are non-negative or feedback is implicit, are those of the fit. If
        :math:`\lambda = 0` and a line has fewer entries than unknowns, the solution is that of least norm. A line
        without entries gets zeros: its prediction is :math:`\mu + c_j`. Cost: O(entries :math:`k^2 + p k^3`).
        """
        return fold_in(
            self,
            self._fold_options,
            X_new,
            axis,
            mask=mask,
            weights=weights,
            n_threads=n_threads,
            callback=callback,
            verbose=verbose,
        )

    def plot(self, axes: Any = None) -> Any:
        r"""
        Draw the errors of each iteration, and :math:`\lambda` where it changes; needs Matplotlib.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            Where to draw; by default the axes of a new figure.

        Returns
        -------
        axes : matplotlib Axes
        """
        return plot_history(self.history, axes)

    def _names(self) -> list[str]:
        return [name for name in super()._names() if not name.startswith("_")]

    def __repr__(self) -> str:
        """Leave out the history, and labels if there are none."""
        shown = [name for name in self._names() if name != "history" and getattr(self, name) is not None]
        width = max(map(len, shown))
        lines = []
        for name in shown:
            value = getattr(self, name)
            if name.endswith("_labels"):
                value = f"{len(value)} labels"
            lines.append(f"{name:>{width}}: {_abbreviated(value, width + 2)}")
        return "\n".join(lines)


def history_of(steps: list[tuple[Any, ...]]) -> Any:
    """Return the core's history as an array of records."""
    return np.array(steps, dtype=STEP_TYPE).view(np.recarray)


def make_result(
    found: "Found",
    *,
    lam: float,
    validation_rmse: float,
    history: Any,
    seen: Seen,
    dtype: np.dtype[np.floating],
    labels: Labels,
    has_biases: bool,
    nonneg: bool,
    implicit: bool,
) -> Completion:
    """Return what the core has found as a result."""
    model = found.model
    biases = (model.row_bias, model.col_bias) if has_biases else (np.zeros(len(model.U)), np.zeros(len(model.V)))
    result = Completion(
        success=found.status in (CONVERGED, EARLY_STOP),
        status=found.status,
        message=MESSAGES[found.status],
        nit=len(history),
        U=frozen(model.U, dtype),
        V=frozen(model.V, dtype),
        s=model.s,
        mu=model.mu,
        row_bias=frozen(biases[0], dtype),
        col_bias=frozen(biases[1], dtype),
        rank=model.rank,
        lam=lam,
        objective=found.objective,
        training_rmse=found.training_rmse,
        validation_rmse=validation_rmse,
        used_homotopy=found.used_homotopy,
        history=history,
        empty_rows=found.left_out_rows,
        empty_cols=found.left_out_cols,
        row_labels=labels.rows,
        col_labels=labels.cols,
        _has_biases=has_biases,
        _seen=seen,
        _fold_options=FoldOptions(lam, nonneg, implicit),
    )
    if dtype == np.float64:
        result.__dict__["_model"] = model  # in whose memory U and V are; float32 ones make a model of what they are
    return result


class Found(NamedTuple):
    """What the core returns."""

    status: int
    model: _core.LowRankModel
    iterations: int
    lam: float
    objective: float
    training_rmse: float
    validation_rmse: float
    used_homotopy: bool
    history: list[tuple[Any, ...]]
    left_out_rows: NDArray[np.intp]
    left_out_cols: NDArray[np.intp]
