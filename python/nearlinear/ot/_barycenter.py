"""Averages of masses by optimal transport."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result, _abbreviated
from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._plots import plot_history
from nearlinear.ot._problem import Cost, bad_entries_named, check_cost, check_entries, check_masses, check_positive
from nearlinear.ot._result import MESSAGES, SinkhornIteration
from nearlinear.ot._sinkhorn import warn_unless_converged


@dataclass(frozen=True, repr=False, eq=False)
class BarycenterResult(Result):
    r"""
    What `barycenter` returns.

    Attributes
    ----------
    success : bool
        Whether the marginal error is at most `tol` times the sum of the masses.
    status : int
        0: converged; 1: `maxiter` iterations were not enough; 2: the callback stopped it; 3: no step makes progress.
    message : str
        The status in words.
    nit : int
        Sweeps and Newton steps.
    masses : ndarray of float64, shape (m,)
        The barycentre p, with the sum of each row of A.
    f, g : ndarray of float64, shape (K, n) and (K, m)
        Dual variables of each transport; the mean of each row of f is 0.
    value : float
        :math:`\sum_k w_k (\langle C, P_k \rangle + \mathrm{reg} \sum P_k \log P_k)`.
    cost : float
        :math:`\sum_k w_k \langle C, P_k \rangle`.
    marginal_error : float
        :math:`\sum_k w_k (\|P_k 1 - a_k\|_1 + \|P_k^T 1 - p\|_1)`.
    n_newton : int
        Newton steps.
    n_passes : int
        Passes over all pairs, each for one of the K.
    reg : float
        The regularisation.
    history : list of SinkhornIteration
        What each iteration was and reached.
    """

    masses: NDArray[np.float64]
    f: NDArray[np.float64]
    g: NDArray[np.float64]
    value: float
    cost: float
    marginal_error: float
    n_newton: int
    n_passes: int
    reg: float
    history: list[SinkhornIteration]
    _cost: Cost
    _A: NDArray[np.float64]
    _n_threads: int

    def operator(self, k: int) -> TransportPlan:
        """
        Return the plan from row k of A to the barycentre, as a linear operator that stores no matrix.

        Parameters
        ----------
        k : int
            Row of A.

        Returns
        -------
        plan : TransportPlan, shape (n, m)
        """
        return TransportPlan(
            self._cost,
            f=self.f[k],
            g=self.g[k],
            reg=self.reg,
            a=self._A[k],
            b=self.masses,
            n_threads=self._n_threads,
        )

    def plot(self, axes: Any = None) -> Any:
        """
        Draw the marginal error of each iteration, with Newton steps marked; needs Matplotlib.

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
        """Leave out the history."""
        shown = [name for name in self._names() if name != "history"]
        width = max(map(len, shown))
        return "\n".join(f"{name:>{width}}: {_abbreviated(getattr(self, name), width + 2)}" for name in shown)


def barycenter(
    A: ArrayLike,
    C: ArrayLike | None = None,
    reg: float | None = None,
    weights: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    metric: Literal["sqeuclidean", "euclidean", "cityblock", "cosine"] = "sqeuclidean",
    tol: float = 1e-9,
    maxiter: int = 1000,
    dtype: DTypeLike | None = None,
    n_threads: int | None = None,
    callback: Callable[[SinkhornIteration], object] | None = None,
    verbose: _progress.Verbose = False,
) -> BarycenterResult:
    r"""
    Barycentre of masses on given places by entropic optimal transport.

    Solves

    .. math:: \min_p \; \sum_k w_k \mathrm{OT}(a_k, p), \quad
        \mathrm{OT}(a, p) = \min_P \; \langle C, P \rangle + \mathrm{reg} \sum_{ij} P_{ij} \log P_{ij}, \;
        P 1 = a, \; P^T 1 = p,

    for the rows :math:`a_k` of A.

    Parameters
    ----------
    A : array_like, shape (K, n)
        Masses, one set of them per row, not negative, all of the same sum.
    C : array_like, shape (n, m), optional
        Costs between the places of the masses and those of the barycentre, +Inf for forbidden pairs.
    reg : float
        Regularisation, positive, in units of the costs. The larger it is, the smoother is the barycentre.
    weights : array_like, shape (K,), optional
        Not negative, scaled to the sum 1. By default 1/K each.
    x, y : array_like, shape (n, d) and (m, d), optional
        Places in place of `C`.
    metric, dtype, n_threads
        As for `sinkhorn`.
    tol : float, default 1e-9
        Stop when the marginal error is at most `tol` times the sum of a row of A.
    maxiter : int, default 1000
        Most sweeps and Newton steps in all.
    callback : callable, optional
        Called as ``callback(state)`` with a `SinkhornIteration` after every iteration; returning True stops.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    result : BarycenterResult
        With the masses of the barycentre, and the dual variables of each transport.

    Warns
    -----
    SinkhornWarning
        If the tolerance is not reached; ``result.success`` is then False.

    Raises
    ------
    ValueError
        If shapes do not match, a mass or a weight is negative, sums differ, or an option is out of its range.

    Notes
    -----
    The dual is the maximum of :math:`\sum_k w_k a_k \cdot f_k(g_k)` under :math:`\sum_k w_k g_k = 0`. Sweeps are those
    of iterated Bregman projections [1]_; Newton steps solve for all :math:`g_k` at once, by conjugate gradients in the
    subspace of the constraint. Cost: K passes of n m exponentials for each pass of `sinkhorn`.

    References
    ----------
    .. [1] J.-D. Benamou, G. Carlier, M. Cuturi, L. Nenna and G. Peyre, "Iterative Bregman projections for regularized
       transportation problems", SIAM Journal on Scientific Computing 37, 2015.

    Examples
    --------
    Halfway between masses on the left and on the right:

    >>> import numpy as np
    >>> import nearlinear as nl
    >>> places = np.arange(5.0)[:, None]
    >>> A = [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    >>> nl.ot.barycenter(A, x=places, y=places, reg=0.1).masses.round(3)
    array([0., 0., 1., 0., 0.])
    """
    if reg is None:
        raise TypeError("reg is None; it must be a positive number")
    masses = np.ascontiguousarray(_inputs.check_array("A", A, ndim=2), dtype=np.float64)
    cost = check_cost(C, x, y, metric, dtype)
    n, m = cost.shape
    if masses.shape[1] != n or len(masses) == 0:
        hint = "; did you mean A.T?" if masses.shape[0] == n else ""
        raise ValueError(f"A has shape {masses.shape}; it must have rows of {n} masses{hint}")
    for k, row in enumerate(masses):
        check_masses(f"A[{k}]", row, n)
    sums = masses.sum(axis=1)
    different = np.flatnonzero(abs(sums - sums[0]) > 1e-6 * np.maximum(sums, sums[0]))
    if different.size > 0:
        k = int(different[0])
        raise ValueError(f"A[0] sums to {sums[0]} and A[{k}] to {sums[k]}; the sums must be equal")
    if not masses.all():
        check_entries(cost)
    w = check_masses("weights", weights, len(masses))
    number, tolerance = check_positive("reg", reg), check_positive("tol", tol)
    most = _inputs.check_int("maxiter", maxiter, minimum=0)
    threads = _inputs.check_n_threads(n_threads)
    ask = _inputs.check_callback(callback)
    p, f, g = np.zeros(m), np.zeros((len(masses), n)), np.zeros((len(masses), m))

    def each_iteration(iteration: tuple[Any, ...]) -> object:
        return ask is not None and ask(SinkhornIteration(*iteration))

    solve: Any = _core.barycenter  # of the type of the costs
    with bad_entries_named({"": cost}), _progress.watch("barycenter", None, verbose) as keep_going:
        status, value, total_cost, error, nit, n_newton, n_passes, history = solve(
            masses,
            cost.first,
            cost.y,
            cost.metric,
            w,
            p,
            f,
            g,
            number,
            tolerance,
            most,
            n_threads=threads,
            callback=keep_going,
            each_iteration=None if ask is None else each_iteration,
        )
    result = BarycenterResult(
        success=status == 0,
        status=status,
        message=MESSAGES[status],
        nit=nit,
        masses=p,
        f=f,
        g=g,
        value=value,
        cost=total_cost,
        marginal_error=error,
        n_newton=n_newton,
        n_passes=n_passes,
        reg=number,
        history=[SinkhornIteration(*iteration) for iteration in history],
        _cost=cost,
        _A=masses,
        _n_threads=threads,
    )
    warn_unless_converged("barycenter", result, stacklevel=3)
    return result
