"""Exact optimal transport."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result
from nearlinear.ot._problem import (
    bad_entries_named,
    check_balanced,
    check_entries,
    check_warmstart,
    each_iteration,
    sparse_plan_of,
)
from nearlinear.ot._result import SinkhornResult

MESSAGES = (
    "optimal",
    "the largest number of pivots is reached",
    "stopped by the callback",
    "infeasible: the pairs that are not forbidden admit no plan with these masses",
)
INFEASIBLE = 3


class ExactWarning(UserWarning):
    """`exact` has not found an optimal plan."""


class ExactIteration(NamedTuple):
    """
    What the callback of `exact` gets.

    Attributes
    ----------
    nit : int
        Pivots so far.
    cost : float
        What the plan costs where pairs are allowed, for masses with the sum 1.
    forbidden_mass : float
        The fraction of the mass that the plan moves over forbidden pairs. It comes down to 0 before the cost does to
        its minimum.
    """

    nit: int
    cost: float
    forbidden_mass: float


@dataclass(frozen=True, repr=False, eq=False)
class ExactResult(Result):
    r"""
    What `exact` returns.

    Attributes
    ----------
    success : bool
        Whether the plan is optimal.
    status : int
        0: optimal; 1: `maxiter` pivots were not enough; 2: the callback stopped it; 3: the pairs that are not
        forbidden admit no plan.
    message : str
        The status in words.
    nit : int
        Pivots.
    plan : csr_array, shape (n, m)
        A vertex: at most n + m - 1 entries, whose pairs form no cycle. Of the type of the costs.
    f, g : ndarray of float64, shape (n,) and (m,)
        Dual variables: :math:`f_i + g_j \le C_{ij}`, and equality where :math:`P_{ij} > 0`; the mean of f is 0. For
        status 3 they prove it: :math:`f_i + g_j \le 0` for all pairs that are allowed, but
        :math:`a \cdot f + b \cdot g > 0`.
    cost : float
        :math:`\langle C, P \rangle`.
    gap : float
        :math:`\langle C, P \rangle - a \cdot f - b \cdot g`: zero up to rounding for an optimal plan; for one that was
        not finished, its cost is above the least one by at most so much. Infinite where there is no plan yet without
        forbidden pairs.
    marginal_error : float
        :math:`\|P 1 - a\|_1 + \|P^T 1 - b\|_1`, before entries were rounded to float32.
    """

    plan: scipy.sparse.csr_array
    f: NDArray[np.float64]
    g: NDArray[np.float64]
    cost: float
    gap: float
    marginal_error: float


def exact(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    metric: Literal["sqeuclidean", "euclidean", "cityblock", "cosine"] = "sqeuclidean",
    warmstart: ExactResult | SinkhornResult | tuple[ArrayLike, ArrayLike] | None = None,
    maxiter: int | None = None,
    dtype: DTypeLike | None = None,
    n_threads: int | None = None,
    callback: Callable[[ExactIteration], object] | None = None,
    verbose: _progress.Verbose = False,
) -> ExactResult:
    r"""
    Exact optimal transport by the network simplex method.

    Solves the linear program

    .. math:: \min_P \; \langle C, P \rangle \quad \text{subject to} \quad P 1 = a, \; P^T 1 = b, \; P \ge 0.

    Parameters
    ----------
    a, b : array_like or None, shape (n,) and (m,)
        Masses, not negative, of the same sum up to 1e-6 of it; `b` is scaled to the sum of `a`. None: 1/n each, 1/m
        each. What has no mass takes no part: rows and columns of zeros in the plan.
    C : array_like, shape (n, m), optional
        Costs of any sign. +Inf forbids a pair, but no row or column may have nothing else.
    x, y : array_like, shape (n, d) and (m, d), optional
        In place of `C`: points, between which costs are computed when they are needed. No n x m matrix is stored.
    metric : {"sqeuclidean", "euclidean", "cityblock", "cosine"}
        Of the points, as in `scipy.spatial.distance.cdist`.
    warmstart : ExactResult, SinkhornResult or (f, g), optional
        A guess of the dual variables: the first plan follows the pairs that it makes cheap.
    maxiter : int, optional
        Most pivots. By default as many as it takes.
    dtype : float32 or float64, optional
        Of the costs and of the plan; by default that of `C`, or of the points. Dual variables, and all that is
        computed, are float64 in any case.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`. Pivots follow one another on one
        thread.
    callback : callable, optional
        Called as ``callback(state)`` with an `ExactIteration` at the start and after every n + m pivots or so;
        returning True stops.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    result : ExactResult
        With the plan, the dual variables that prove it optimal, and the cost.

    Warns
    -----
    ExactWarning
        If the plan is not optimal; ``result.success`` is then False.

    Raises
    ------
    ValueError
        If shapes do not match, a mass is negative, sums differ, an option is out of its range, or an entry is not
        finite where it must be.
    TypeError
        If an input is complex, masked, or not numeric.

    See Also
    --------
    sinkhorn : The same with an entropy, which makes the plan unique and the value smooth.

    Notes
    -----
    The basis is a spanning tree of rows, columns and a root [1]_; by Cunningham's rule [2]_ it stays strongly feasible,
    so that the method ends. Masses are counted in integers, which keeps ties exact: equal masses and whole numbers as
    they are, others to 2^-61 of their sum.

    Where the best plan is not unique, the result is one vertex of several. A vertex depends on the data without
    continuity, but its cost does not.

    References
    ----------
    .. [1] R. K. Ahuja, T. L. Magnanti and J. B. Orlin, "Network flows", Prentice Hall, 1993, chapter 11.
    .. [2] W. H. Cunningham, "A network simplex method", Mathematical Programming 11, 1976.

    Examples
    --------
    >>> import nearlinear as nl
    >>> result = nl.ot.exact([0.5, 0.5], [0.25, 0.75], [[0, 1], [1, 0]])
    >>> result.plan.toarray()
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    >>> result.cost, result.success
    (0.25, True)

    Points on a line:

    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0]]), np.array([[10.0], [11.0]])
    >>> nl.ot.exact(None, None, x=x, y=y, metric="cityblock").cost
    10.0
    """
    costs, *masses = check_balanced(a, b, C, x, y, metric, dtype)
    most = None if maxiter is None else _inputs.check_int("maxiter", maxiter, minimum=0)
    threads = _inputs.check_n_threads(n_threads)
    ask = _inputs.check_callback(callback)
    f, g = check_warmstart(warmstart, *costs.shape)
    solve: Any = _core.exact  # of the type of the costs
    with bad_entries_named({"": costs}), _progress.watch("exact", None, verbose) as keep_going:
        status, *plan, cost, gap, error, nit = solve(
            *masses,
            costs.first,
            costs.y,
            costs.metric,
            f,
            g,
            warmstart is not None,
            most,
            n_threads=threads,
            callback=keep_going,
            each_round=each_iteration(ExactIteration, ask),
        )
    if status == INFEASIBLE:
        check_entries(costs)  # of which a row or column of nothing but +Inf is an error
    if status != 0:
        warnings.warn(f"exact: {MESSAGES[status]}", ExactWarning, stacklevel=2)
    return ExactResult(
        success=status == 0,
        status=status,
        message=MESSAGES[status],
        nit=nit,
        plan=sparse_plan_of(plan, costs.shape),
        f=f,
        g=g,
        cost=cost,
        gap=gap,
        marginal_error=error,
    )
