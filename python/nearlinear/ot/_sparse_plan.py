"""Optimal transport with sparsity constraints."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.ot._plots import new_axes
from nearlinear.ot._problem import (
    bad_entries_named,
    check_balanced,
    check_positive,
    check_warmstart,
    each_iteration,
    sparse_plan_of,
)
from nearlinear.ot._quadratic import QuadraticResult
from nearlinear.ot._result import ResultWithPlan, SinkhornIteration

MESSAGES = (
    "optimal: no plan with so few entries has a lower value, up to the tolerance",
    "the largest number of iterations is reached",
    "stopped by the callback",
    "feasible: the value is above the least one by at most the gap",
    "no plan with so few entries that has these marginals is known; this one misses some of them",
    "the pairs that C allows admit no plan with these marginals",
)
OPTIMAL, FEASIBLE = 0, 3
_METHODS = ("auto", "newton", "lbfgs", "alternating")
_FORMULATIONS = ("semi_dual", "dual")


class SparsePlanWarning(UserWarning):
    """`sparse_plan` has not found a plan that satisfies everything."""


@dataclass(frozen=True, repr=False, eq=False)
class SparsePlanResult(ResultWithPlan):
    r"""
    What `sparse_plan` returns.

    Attributes
    ----------
    success : bool
        Whether the plan satisfies everything: status 0 or 3.
    status : int
        0: optimal; 1: `maxiter` iterations were not enough; 2: the callback stopped it; 3: feasible, and `gap` says how
        far from optimal at most; 4: the plan misses marginals; 5: the pairs that `C` allows admit no plan at all.
    message : str
        The status in words.
    nit : int
        Iterations on the bound.
    plan : csc_array or csr_array, shape (n, m)
        The plan's positive entries, at most `max_nz` per column (CSC, axis 0) or row (CSR, axis 1).
    f, g : ndarray of float64, shape (n,) and (m,)
        Dual variables of the bound; the mean of f is 0.
    primal_value : float
        :math:`\langle C, P \rangle + \frac{\mathrm{reg}}{2} \sum P_{ij}^2`.
    dual_value : float
        A lower bound of the value of every plan that has these marginals and so few entries.
    gap : float
        `primal_value` - `dual_value`. It certifies a feasible plan, and means nothing for one that is not.
    cost : float
        :math:`\langle C, P \rangle`.
    marginal_error : float
        :math:`\|P 1 - a\|_1 + \|P^T 1 - b\|_1`.
    feasible : bool
        Whether that is within the tolerance.
    n_ties : int
        Lines in which pairs are as good as the last one that was chosen, at f and g: there the bound has a corner.
    n_passes : int
        Passes over all pairs.
    reg : float
        The regularisation.
    history : list of SinkhornIteration
        What each iteration was and reached.
    """

    plan: scipy.sparse.sparray
    f: NDArray[np.float64]
    g: NDArray[np.float64]
    primal_value: float
    dual_value: float
    gap: float
    cost: float
    marginal_error: float
    feasible: bool
    n_ties: int
    n_passes: int
    reg: float
    history: list[SinkhornIteration]

    def plot(self, axes: Any = None) -> Any:
        """
        Draw where the plan has entries, by their mass; needs Matplotlib.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            Where to draw; by default the axes of a new figure.

        Returns
        -------
        axes : matplotlib Axes
        """
        axes = new_axes() if axes is None else axes
        entries = self.plan.tocoo()
        n, m = self.plan.shape
        rows, cols = entries.coords
        points = axes.scatter(cols, rows, c=entries.data, s=min(40.0, 3e4 / max(n, m, 1) ** 1.5 + 1), cmap="viridis")
        axes.figure.colorbar(points, ax=axes, label="mass")
        axes.set(xlim=(-0.5, m - 0.5), ylim=(n - 0.5, -0.5), xlabel="column", ylabel="row", aspect="equal")
        axes.set_title(f"{entries.nnz} entries, gap {self.gap:.2g} of {self.primal_value:.4g}")
        return axes


def sparse_plan(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    metric: Literal["sqeuclidean", "euclidean", "cityblock", "cosine"] = "sqeuclidean",
    reg: float,
    max_nz: int,
    axis: Literal[0, 1] = 0,
    formulation: Literal["semi_dual", "dual"] = "semi_dual",
    method: Literal["auto", "newton", "lbfgs", "alternating"] = "auto",
    feasible: bool = True,
    tol: float = 1e-9,
    maxiter: int = 1000,
    warmstart: SparsePlanResult | QuadraticResult | tuple[ArrayLike, ArrayLike] | None = None,
    dtype: DTypeLike | None = None,
    n_threads: int | None = None,
    callback: Callable[[SinkhornIteration], object] | None = None,
    verbose: _progress.Verbose = False,
) -> SparsePlanResult:
    r"""
    Optimal transport with at most so many entries per column or row of the plan, and a bound on what it may miss.

    Solves

    .. math:: \min_P \; \langle C, P \rangle + \frac{\mathrm{reg}}{2} \sum_{ij} P_{ij}^2 \quad
        \text{subject to} \quad P 1 = a, \; P^T 1 = b, \; P \ge 0, \;
        \|P_{\cdot j}\|_0 \le \mathrm{max\_nz} \text{ for all } j.

    Parameters
    ----------
    a, b : array_like or None, shape (n,) and (m,)
        Masses, as for `sinkhorn`.
    C : array_like, shape (n, m), optional
        Costs, +Inf for forbidden pairs.
    x, y : array_like, shape (n, d) and (m, d), optional
        Points in place of `C`.
    metric : {"sqeuclidean", "euclidean", "cityblock", "cosine"}
        The cost between two points.
    reg : float
        Regularisation, positive. With masses near 1/n, the plan without limits has some k entries in a column where
        `reg` is k n times what neighbouring costs differ by.
    max_nz : int
        The most entries of a column, at least 1. More than there are rows count as that many.
    axis : {0, 1}, default 0
        1 limits the entries of rows in place of columns.
    formulation : {"semi_dual", "dual"}
        What L-BFGS takes as variables: the dual variables of the side without limits, the others being the best ones
        for them, or both. Other methods always eliminate the others, and the bound is the same.
    method : {"auto", "newton", "lbfgs", "alternating"}
        How the bound is maximised: "newton" by semismooth Newton steps, which stall where it has corners; "lbfgs" by
        L-BFGS and supergradients, which do not; "alternating" takes the best plan on some pairs, and the best pairs
        for its dual variables, in turn, which improves plans more than the bound. "auto" is Newton's method as far
        as it leads, and then the second.
    feasible : bool, default True
        Search for a plan that meets both marginals. If False, the plan is what f and g imply: it has few enough
        entries, and meets the marginals of the side with limits.
    tol : float, default 1e-9
        Of the marginal error, relative to the sum of `a`, and of the gap, relative to the value.
    maxiter : int, default 1000
        Most iterations on the bound. Where masses are uneven, a search for a vertex may take a hundred times as many
        pivots in each of some rounds.
    warmstart : SparsePlanResult, QuadraticResult or (f, g), optional
        Dual variables to start from.
    dtype : float32 or float64, optional
        Of the costs and of the plan; by default that of `C`, or of the points.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(state)`` with a `SinkhornIteration` after every iteration; returning True stops.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    result : SparsePlanResult
        With the plan, its value, and a lower bound of all values.

    Warns
    -----
    SparsePlanWarning
        If the plan does not satisfy everything; ``result.success`` is then False.

    Raises
    ------
    ValueError
        If shapes do not match, a mass is negative, sums differ, an option is out of its range, or an entry is not
        finite where it must be. If `max_nz` is so small that there clearly is no plan, while one is asked for: a column
        has more mass than any `max_nz` rows together, or there are more than `max_nz` rows for each column.
    TypeError
        If an input is complex, masked, or not numeric, or `max_nz` is not an integer.

    See Also
    --------
    quadratic : The same without limits.
    exact : The least cost, by a plan of at most n + m - 1 entries.

    Notes
    -----
    Lagrangian relaxation of one side's marginals [1]_ gives the concave function

    .. math:: F(f) = a \cdot f + \sum_j \min \left\{ \langle C_{\cdot j} - f, t \rangle + \tfrac{\mathrm{reg}}{2}
        \|t\|^2 : t \ge 0, \; \textstyle\sum_i t_i = b_j, \; \|t\|_0 \le \mathrm{max\_nz} \right\},

    a lower bound for every f, whose terms take the `max_nz` largest entries of :math:`f - C_{\cdot j}` and project them
    onto a simplex [2]_. `dual_value` is the largest one found. Where the limit does not bind, `quadratic` has the
    answer, and no gap. Where it binds, the plans that F implies miss marginals, by several percent of the mass as a
    rule. A plan that does not is found by quadratic transport on few pairs, those of a vertex of exact transport and
    the best ones beside, which are then exchanged as long as the value falls. If a vertex has too many entries, as
    happens with uneven masses, simulated annealing over pivots searches for another one. Whether there is a plan at all
    is NP-hard to tell in general: status 4 means that none was found.

    Cost: that of `quadratic`, and where the limit binds, that of `exact` and one reading of all costs for each of some
    hundred iterations on the bound.

    References
    ----------
    .. [1] T. Liu, J. Puigcerver and M. Blondel, "Sparsity-constrained optimal transport", ICLR 2023.
    .. [2] A. Kyrillidis, S. Becker, V. Cevher and C. Koch, "Sparse projections onto the simplex", ICML 2013.

    Examples
    --------
    >>> import nearlinear as nl
    >>> C = [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    >>> result = nl.ot.sparse_plan([0.5, 0.3, 0.2], [0.3, 0.4, 0.3], C, reg=20, max_nz=2)
    >>> result.plan.toarray().round(3)
    array([[0.2, 0.2, 0.1],
           [0.1, 0.2, 0. ],
           [0. , 0. , 0.2]])
    >>> result.feasible
    True
    """
    problem = check_balanced(a, b, C, x, y, metric, dtype)
    cost = problem.cost
    number, tolerance = check_positive("reg", reg), check_positive("tol", tol)
    limit = _inputs.check_int("max_nz", max_nz, minimum=1)
    most = _inputs.check_int("maxiter", maxiter, minimum=0)
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}; it must be 0 or 1")
    _inputs.check_choice("formulation", formulation, _FORMULATIONS)
    _inputs.check_choice("method", method, _METHODS)
    threads = _inputs.check_n_threads(n_threads)
    ask = _inputs.check_callback(callback)
    f, g = check_warmstart(warmstart, *cost.shape)
    solve: Any = _core.sparse_plan  # of the type of the costs
    with bad_entries_named({"": cost}), _progress.watch("sparse_plan", None, verbose) as keep_going:
        found = solve(
            problem.a,
            problem.b,
            cost.first,
            cost.y,
            cost.metric,
            f,
            g,
            warmstart is not None,
            number,
            min(limit, max(cost.shape)),
            axis,
            formulation == "dual",
            _METHODS.index(method),
            bool(feasible),
            tolerance,
            most,
            n_threads=threads,
            callback=keep_going,
            each_iteration=each_iteration(SinkhornIteration, ask),
        )
    status, plan, primal, dual, total, error, is_feasible, n_ties, nit, n_passes, history = found
    by_lines = scipy.sparse.csr_array if axis == 1 else scipy.sparse.csc_array
    result = SparsePlanResult(
        success=status in (OPTIMAL, FEASIBLE),
        status=status,
        message=MESSAGES[status],
        nit=nit,
        plan=sparse_plan_of(plan, cost.shape, by_lines),
        f=f,
        g=g,
        primal_value=primal,
        dual_value=dual,
        gap=primal - dual,
        cost=total,
        marginal_error=error,
        feasible=is_feasible,
        n_ties=n_ties,
        n_passes=n_passes,
        reg=number,
        history=[SinkhornIteration(*iteration) for iteration in history],
    )
    if not result.success and feasible:
        warnings.warn(f"sparse_plan: {result.message} (marginal error {error:.2g})", SparsePlanWarning, stacklevel=2)
    return result
