"""Entropic optimal transport."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nearlinear import _core, _inputs, _progress
from nearlinear.ot._problem import (
    Problem,
    bad_entries_named,
    check_cost,
    check_entries,
    check_masses,
    check_positive,
    check_reg_marginals,
    check_sums,
    check_warmstart,
)
from nearlinear.ot._result import PlanForm, SinkhornIteration, SinkhornResult, SinkhornWarning, make_result

METHODS = ("auto", "sns", "sinkhorn")
PLANS = ("dense", "csr", None)


def sinkhorn(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    metric: Literal["sqeuclidean", "euclidean", "cityblock", "cosine"] = "sqeuclidean",
    reg: float,
    method: Literal["auto", "sns", "sinkhorn"] = "auto",
    tol: float = 1e-9,
    maxiter: int | None = None,
    warmstart: SinkhornResult | tuple[ArrayLike, ArrayLike] | None = None,
    plan: PlanForm = "dense",
    reg_marginals: float | tuple[float, float] | None = None,
    dtype: DTypeLike | None = None,
    sns_sweeps: int = 20,
    sns_density: float | None = None,
    n_threads: int | None = None,
    callback: Callable[[SinkhornIteration], object] | None = None,
    verbose: _progress.Verbose = False,
) -> SinkhornResult:
    r"""
    Entropic optimal transport by Sinkhorn sweeps and sparse Newton steps.

    Solves

    .. math:: \min_P \; \langle C, P \rangle + \mathrm{reg} \sum_{ij} P_{ij} \log P_{ij} \quad
        \text{subject to} \quad P 1 = a, \; P^T 1 = b, \; P \ge 0,

    whose solution is :math:`P_{ij} = \exp((f_i + g_j - C_{ij}) / \mathrm{reg})`, mean(f) = 0.

    Parameters
    ----------
    a, b : array_like or None, shape (n,) and (m,)
        Masses, not negative, of the same sum up to 1e-6 of it unless marginals are soft; `b` is scaled to the sum of
        `a`. None: 1/n each, 1/m each. What has no mass takes no part: rows and columns of zeros in the plan.
    C : array_like, shape (n, m), optional
        Costs of any sign. +Inf forbids a pair, but no row or column may have nothing else.
    x, y : array_like, shape (n, d) and (m, d), optional
        In place of `C`: points, between which costs are computed when they are needed. The n x m matrix is never
        stored, unless `plan` is looked at.
    metric : {"sqeuclidean", "euclidean", "cityblock", "cosine"}
        Of the points, as in `scipy.spatial.distance.cdist`.
    reg : float
        The regularisation, absolute: what counts is how it compares to the range of the costs.
    method : {"auto", "sns", "sinkhorn"}
        "auto": the fastest, see the notes. "sns": Sinkhorn-Newton-Sparse as its paper [1]_ has it, in two stages.
        "sinkhorn": Sinkhorn's algorithm [3]_ in the logarithmic domain.
    tol : float, default 1e-9
        Stop when the marginal error :math:`\|P 1 - a\|_1 + \|P^T 1 - b\|_1` is at most `tol` times the sum of `a`.
    maxiter : int, optional
        Most sweeps and Newton steps in all. By default 1000, and 10000 for "sinkhorn".
    warmstart : SinkhornResult or (f, g), optional
        Dual variables to start from.
    plan : {"dense", "csr", None}
        What ``result.plan`` is: an array, a sparse array without entries below 1e-12 of their row, or a
        `TransportPlan`, with which ``result.plan @ v`` stores no matrix. It is computed when it is first looked at.
    reg_marginals : float or (float, float), optional
        Penalties :math:`\rho_a, \rho_b` of soft marginals, one for both or one each; inf for one that holds exactly.
        Then :math:`\rho_a \mathrm{KL}(P 1 | a) + \rho_b \mathrm{KL}(P^T 1 | b)` is minimised in addition, with
        :math:`\mathrm{KL}(p | q) = \sum p \log (p / q) - p + q`, and masses may have different sums. Not for "sns".
    dtype : float32 or float64, optional
        Of the costs and of the plan; by default that of `C`, or of the points. Dual variables, and all that is
        computed, are float64 in any case.
    sns_sweeps : int, default 20
        For "sns": sweeps before the first Newton step.
    sns_density : float, optional
        For "sns": the fraction of the n m entries of the plan, zeros included, that the Hessian has; by default
        2 / max(n, m).
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(state)`` with a `SinkhornIteration` after every iteration; returning True stops.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    result : SinkhornResult
        With the dual variables, the value, and the plan in several forms.

    Warns
    -----
    SinkhornWarning
        If the tolerance is not reached; ``result.success`` is then False.

    Raises
    ------
    ValueError
        If shapes do not match, a mass is negative, sums differ that must not, an option is out of its range, or an
        entry is not finite where it must be.
    TypeError
        If an input is complex, masked, or not numeric.

    Notes
    -----
    With f eliminated, what is left is the maximum of the concave semi-dual :math:`F(g) = a \cdot f(g) + b \cdot g`.
    "auto" finds it by Newton's method at regularisations that come down to `reg` by halves: small entries of the plan
    are left out of the Hessian, but not out of its diagonal, which keeps it semidefinite [2]_; systems are factored
    when their graph is like a tree, otherwise solved by conjugate gradients. Where `reg` is above a hundredth of the
    range of the costs, the plan is full, and sweeps and conjugate gradients work on a stored matrix of floats. Cost: a
    few passes of n m exponentials there, and 20 to 60 below, as a rule; results are the same bits for every number of
    threads.

    Soft marginals are those of unbalanced transport [4]_: :math:`P 1 = a e^{-u / \rho_a}` with u = f up to a constant,
    and the same methods find them. Where others regularise by :math:`\sum P (\log P - 1)`, their solution is that of
    `C` - `reg` here; by :math:`\mathrm{KL}(P | a b^T)`, that of `C` - `reg` - `reg` :math:`\log(a b^T)`.

    Where `reg` is below some 1e-4 of the range of the costs, the exact problem, a linear program, is often solved
    faster than this one, by `exact`.

    References
    ----------
    .. [1] X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini, K. K. Thekumparampil, T. Xiao and L. Ying, "Accelerating
       Sinkhorn algorithm with sparse Newton iterations", ICLR 2024.
    .. [2] Z. Tang and Y. Qiu, "Safe and sparse Newton method for entropic-regularized optimal transport", NeurIPS 2024.
    .. [3] M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013.
    .. [4] L. Chizat, G. Peyre, B. Schmitzer and F.-X. Vialard, "Scaling algorithms for unbalanced optimal transport
       problems", Mathematics of Computation 87, 2018.

    Examples
    --------
    >>> import nearlinear as nl
    >>> result = nl.ot.sinkhorn([0.5, 0.5], [0.25, 0.75], [[0, 1], [1, 0]], reg=0.1)
    >>> result.plan.round(4)
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    >>> result.success
    True

    Between points, and where each of them goes:

    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0]]), np.array([[10.0], [11.0], [12.0]])
    >>> nl.ot.sinkhorn(None, None, x=x, y=y, reg=0.01).transform().round(2)
    array([[10.33],
           [11.67]])

    With soft marginals, mass that is too far away is not moved:

    >>> soft = nl.ot.sinkhorn([1, 1], [1, 1], [[0, 90], [90, 40]], reg=0.1, reg_marginals=1.0)
    >>> round(float(soft.plan.sum()), 2)
    0.95
    """
    result = find_plan(
        a,
        b,
        C,
        x=x,
        y=y,
        metric=metric,
        reg=reg,
        method=method,
        tol=tol,
        maxiter=maxiter,
        warmstart=warmstart,
        plan=plan,
        reg_marginals=reg_marginals,
        dtype=dtype,
        sns_sweeps=sns_sweeps,
        sns_density=sns_density,
        n_threads=n_threads,
        callback=callback,
        verbose=verbose,
    )
    warn_unless_converged("sinkhorn", result, stacklevel=3)
    return result


def find_plan(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    metric: str = "sqeuclidean",
    reg: float,
    method: str = "auto",
    tol: float = 1e-9,
    maxiter: int | None = None,
    warmstart: SinkhornResult | tuple[ArrayLike, ArrayLike] | None = None,
    plan: PlanForm = "dense",
    reg_marginals: float | tuple[float, float] | None = None,
    dtype: DTypeLike | None = None,
    sns_sweeps: int = 20,
    sns_density: float | None = None,
    n_threads: int | None = None,
    callback: Callable[[SinkhornIteration], object] | None = None,
    verbose: _progress.Verbose = False,
) -> SinkhornResult:
    """Return what `sinkhorn` does, without a warning."""
    costs = check_cost(C, x, y, metric, dtype)
    n, m = costs.shape
    problem = Problem(costs, check_masses("a", a, n), check_masses("b", b, m))
    penalties = check_reg_marginals(reg_marginals)
    check_sums(problem.a, problem.b, equal=penalties == (np.inf, np.inf))
    if not (problem.a.all() and problem.b.all()):
        check_entries(costs)  # the core looks at what has mass
    number = check_positive("reg", reg)
    options = check_options(method, tol, maxiter, penalties, sns_sweeps=sns_sweeps, sns_density=sns_density)
    check_form(plan)
    threads = _inputs.check_n_threads(n_threads)
    ask = _inputs.check_callback(callback)
    f, g = check_warmstart(warmstart, n, m)

    def each_iteration(iteration: tuple[Any, ...]) -> object:
        return ask is not None and ask(SinkhornIteration(*iteration))

    solve: Any = _core.sinkhorn  # of the type of the costs
    with bad_entries_named({"": costs}), _progress.watch("sinkhorn", None, verbose) as keep_going:
        found = solve(
            problem.a,
            problem.b,
            costs.first,
            costs.y,
            costs.metric,
            f,
            g,
            warmstart is not None,
            number,
            *options,
            n_threads=threads,
            callback=keep_going,
            each_iteration=None if ask is None else each_iteration,
        )
    return make_result(found, f, g, problem, reg=number, reg_marginals=penalties, plan=plan, n_threads=threads)


def check_options(
    method: str,
    tol: float,
    maxiter: int | None,
    penalties: tuple[float, float],
    *,
    sns_sweeps: int = 20,
    sns_density: float | None = None,
) -> tuple[Any, ...]:
    """Return the options in the order of the core, after `reg`."""
    tolerance = check_positive("tol", tol)
    _inputs.check_choice("method", method, METHODS)
    if method == "sns" and penalties != (np.inf, np.inf):
        raise ValueError("reg_marginals is given and method is 'sns', which is for marginals that hold exactly")
    most = None if maxiter is None else _inputs.check_int("maxiter", maxiter, minimum=0)
    sweeps = _inputs.check_int("sns_sweeps", sns_sweeps, minimum=0)
    density = 0.0 if sns_density is None else check_positive("sns_density", sns_density)
    if density > 1:
        raise ValueError(f"sns_density is {density}; it must be at most 1")
    return method, tolerance, most, penalties, sweeps, density


def check_form(plan: object) -> None:
    """Refuse what is no form of a plan."""
    if plan not in PLANS:
        raise ValueError(f"plan is {plan!r}; it must be 'dense', 'csr' or None")


def warn_unless_converged(function: str, result: Any, stacklevel: int) -> None:
    """Say why the tolerance is not reached."""
    if not result.success:
        warnings.warn(
            f"{function}: {result.message}; the marginal error is {result.marginal_error:.3g}",
            SinkhornWarning,
            stacklevel=stacklevel,
        )
