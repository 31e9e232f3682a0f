"""Quadratically regularised optimal transport."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.ot._plots import plot_history
from nearlinear.ot._problem import (
    bad_entries_named,
    check_balanced,
    check_positive,
    check_warmstart,
    each_iteration,
    sparse_plan_of,
)
from nearlinear.ot._result import MESSAGES, ResultWithPlan, SinkhornIteration
from nearlinear.ot._sinkhorn import warn_unless_converged


@dataclass(frozen=True, repr=False, eq=False)
class QuadraticResult(ResultWithPlan):
    r"""
    What `quadratic` returns.

    Attributes
    ----------
    success : bool
        Whether the marginal error is at most `tol` times the sum of the masses.
    status : int
        0: converged; 1: `maxiter` iterations were not enough; 2: the callback stopped it; 3: no step makes progress; 4:
        the pairs that `C` allows admit no plan with these marginals.
    message : str
        The status in words.
    nit : int
        Newton steps.
    plan : csr_array, shape (n, m)
        The plan's positive entries.
    f, g : ndarray of float64, shape (n,) and (m,)
        Dual variables; the mean of f is 0.
    primal_value : float
        :math:`\langle C, P \rangle + \frac{\mathrm{reg}}{2} \sum P_{ij}^2`.
    dual_value : float
        A lower bound of the value of every plan with these marginals, equal to `primal_value` at the solution.
    gap : float
        `primal_value` - `dual_value`.
    cost : float
        :math:`\langle C, P \rangle`.
    marginal_error : float
        :math:`\|P 1 - a\|_1 + \|P^T 1 - b\|_1`.
    n_passes : int
        Passes over all pairs.
    reg : float
        The regularisation.
    history : list of SinkhornIteration
        What each iteration was and reached.
    """

    plan: scipy.sparse.csr_array
    f: NDArray[np.float64]
    g: NDArray[np.float64]
    primal_value: float
    dual_value: float
    gap: float
    cost: float
    marginal_error: float
    n_passes: int
    reg: float
    history: list[SinkhornIteration]

    def plot(self, axes: Any = None) -> Any:
        """
        Draw the marginal error of each iteration; needs Matplotlib.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            Where to draw; by default the axes of a new figure.

        Returns
        -------
        axes : matplotlib Axes
        """
        return plot_history(self.history, axes)


def quadratic(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    metric: Literal["sqeuclidean", "euclidean", "cityblock", "cosine"] = "sqeuclidean",
    reg: float,
    tol: float = 1e-9,
    maxiter: int = 1000,
    warmstart: QuadraticResult | tuple[ArrayLike, ArrayLike] | None = None,
    dtype: DTypeLike | None = None,
    n_threads: int | None = None,
    callback: Callable[[SinkhornIteration], object] | None = None,
    verbose: _progress.Verbose = False,
) -> QuadraticResult:
    r"""
    Quadratically regularised optimal transport, whose plan is sparse.

    Solves

    .. math:: \min_P \; \langle C, P \rangle + \frac{\mathrm{reg}}{2} \sum_{ij} P_{ij}^2 \quad
        \text{subject to} \quad P 1 = a, \; P^T 1 = b, \; P \ge 0,

    whose solution is :math:`P_{ij} = [f_i + g_j - C_{ij}]_+ / \mathrm{reg}`.

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
        Regularisation, positive. With masses near 1/n, a row has some k entries where `reg` is k n times what
        neighbouring costs differ by.
    tol : float, default 1e-9
        Stop when the marginal error is at most `tol` times the sum of `a`.
    maxiter : int, default 1000
        Most Newton steps.
    warmstart : QuadraticResult or (f, g), optional
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
    result : QuadraticResult
        With the plan, the dual variables, and both values.

    Warns
    -----
    SinkhornWarning
        If the tolerance is not reached; ``result.success`` is then False.

    Raises
    ------
    ValueError
        If shapes do not match, a mass is negative, sums differ, an option is out of its range, or an entry is not
        finite where it must be.
    TypeError
        If an input is complex, masked, or not numeric.

    Notes
    -----
    Semismooth Newton steps [1]_ on the semi-dual [2]_, in which f is eliminated so that rows are exact, from the dual
    variables of entropic transport at a regularisation of the same width. The Hessian is the Laplacian of the graph of
    positive entries. Cost: one reading of all costs for each pass, 20 to 100 passes as a rule; where `reg` is so small
    that rows have hardly more than one entry, many more.

    References
    ----------
    .. [1] D. A. Lorenz, P. Manns and C. Meyer, "Quadratically regularized optimal transport", Applied Mathematics and
       Optimization 83, 2021.
    .. [2] M. Blondel, V. Seguy and A. Rolet, "Smooth and sparse optimal transport", AISTATS 2018.

    Examples
    --------
    >>> import nearlinear as nl
    >>> result = nl.ot.quadratic([0.5, 0.5], [0.25, 0.75], [[0, 1], [1, 0]], reg=0.1)
    >>> result.plan.toarray().round(4)
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    >>> abs(result.gap) < 1e-12
    True
    """
    problem = check_balanced(a, b, C, x, y, metric, dtype)
    cost = problem.cost
    number, tolerance = check_positive("reg", reg), check_positive("tol", tol)
    most = _inputs.check_int("maxiter", maxiter, minimum=0)
    threads = _inputs.check_n_threads(n_threads)
    ask = _inputs.check_callback(callback)
    f, g = check_warmstart(warmstart, *cost.shape)
    solve: Any = _core.quadratic  # of the type of the costs
    with bad_entries_named({"": cost}), _progress.watch("quadratic", None, verbose) as keep_going:
        status, plan, primal, dual, total, error, nit, n_passes, history = solve(
            problem.a,
            problem.b,
            cost.first,
            cost.y,
            cost.metric,
            f,
            g,
            warmstart is not None,
            number,
            tolerance,
            most,
            n_threads=threads,
            callback=keep_going,
            each_iteration=each_iteration(SinkhornIteration, ask),
        )
    result = QuadraticResult(
        success=status == 0,
        status=status,
        message=MESSAGES[status],
        nit=nit,
        plan=sparse_plan_of(plan, cost.shape),
        f=f,
        g=g,
        primal_value=primal,
        dual_value=dual,
        gap=primal - dual,
        cost=total,
        marginal_error=error,
        n_passes=n_passes,
        reg=number,
        history=[SinkhornIteration(*iteration) for iteration in history],
    )
    warn_unless_converged("quadratic", result, stacklevel=3)
    return result
