"""Entropic optimal transport."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result, _abbreviated
from nearlinear.ot._gradients import point_gradients
from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._problem import Cost, check_cost, check_masses, check_positive

METHODS = ("auto", "sns", "sinkhorn")
PLANS = ("dense", "csr", None)
MESSAGES = (
    "converged",
    "the largest number of iterations is reached",
    "stopped by the callback",
    "no step makes progress: the precision is reached, or no plan has these marginals",
)


class SinkhornWarning(UserWarning):
    """`sinkhorn` has not reached its tolerance."""


class SinkhornIteration(NamedTuple):
    """
    What the callback of `sinkhorn` gets, and what its history is made of.

    Attributes
    ----------
    nit : int
        Iterations so far.
    reg : float
        The regularisation that this one was made at.
    marginal_error : float
        There, relative to the sum of the masses.
    newton : bool
        Whether it was a Newton step, else a sweep of Sinkhorn's algorithm.
    cg_iterations : int
        Iterations of conjugate gradients in the Newton step, 0 where its system was factored.
    nnz : int
        Entries of the plan in the Newton step's Hessian.
    """

    nit: int
    reg: float
    marginal_error: float
    newton: bool
    cg_iterations: int
    nnz: int


class SinkhornGradient(NamedTuple):
    """
    Derivatives of the optimal value; `SinkhornResult.grad` says by what. What does not apply is None.

    Attributes
    ----------
    da, db : ndarray, shape (n,) and (m,)
        By the masses: f and g, f less its mean. Masses must keep their sum, so that constants do not count.
    dC : TransportPlan or None
        By the costs: the plan.
    dx, dy : ndarray or None, shape (n, d) and (m, d)
        By the points.
    """

    da: NDArray[np.float64]
    db: NDArray[np.float64]
    dC: TransportPlan | None  # noqa: N815
    dx: NDArray[np.float64] | None
    dy: NDArray[np.float64] | None


@dataclass(frozen=True, repr=False, eq=False)
class SinkhornResult(Result):
    r"""
    What `sinkhorn` returns.

    Attributes
    ----------
    success : bool
        Whether the marginal error is at most `tol` times the sum of the masses.
    status : int
        0: converged; 1: `maxiter` iterations were not enough; 2: the callback stopped it; 3: no step makes progress,
        because the precision is reached or no plan has these marginals.
    message : str
        The status in words.
    nit : int
        Sweeps and Newton steps.
    f, g : ndarray of float64, shape (n,) and (m,)
        Dual variables; the mean of f is 0.
    value : float
        :math:`\langle C, P \rangle + \mathrm{reg} \sum P_{ij} \log P_{ij}`.
    cost : float
        :math:`\langle C, P \rangle`.
    marginal_error : float
        :math:`\|P 1 - a\|_1 + \|P^T 1 - b\|_1`.
    n_newton : int
        Newton steps.
    n_passes : int
        Passes over all pairs with an exponential for each.
    reg : float
        The regularisation.
    operator : TransportPlan
        The plan as a linear operator, which stores no matrix: ``result.operator @ v``.
    history : list of SinkhornIteration
        What each iteration was and reached.
    plan : ndarray or csr_array, shape (n, m)
        Computed when it is first asked for, in the form that `sinkhorn` was told.
    """

    f: NDArray[np.float64]
    g: NDArray[np.float64]
    value: float
    cost: float
    marginal_error: float
    n_newton: int
    n_passes: int
    reg: float
    operator: TransportPlan
    history: list[SinkhornIteration]
    _cost: Cost
    _form: str | None

    @cached_property
    def plan(self) -> Any:
        """The plan, dense or sparse as `sinkhorn` was told."""
        if self._form is None:
            raise ValueError("plan is None: ask sinkhorn for plan='dense' or 'csr', or use to_csr() or operator")
        return self.operator.toarray() if self._form == "dense" else self.to_csr()

    def to_csr(
        self, *, mass: float | None = None, tol: float | None = None, top_k: int | None = None
    ) -> scipy.sparse.csr_array:
        """Return the plan's large entries as a sparse array; see `TransportPlan.to_csr`."""
        return self.operator.to_csr(mass=mass, tol=tol, top_k=top_k)

    def grad(self) -> SinkhornGradient:
        r"""
        Return the derivatives of the optimal value.

        By the envelope theorem, :math:`\partial / \partial a = f`, :math:`\partial / \partial b = g` along changes
        that keep the sum of all masses, and :math:`\partial / \partial C = P`; for points, the chain rule. The cost of
        `dx` and `dy` is some d passes, without a matrix of all pairs.

        Returns
        -------
        gradient : SinkhornGradient
            With `dC` where a matrix of costs was given, else with `dx` and `dy`.
        """
        if not self._cost.metric:
            return SinkhornGradient(self.f, self.g, self.operator, None, None)
        dx, dy = point_gradients(self._cost, self.operator)
        return SinkhornGradient(self.f, self.g, None, dx, dy)

    def transform(self, x_new: ArrayLike | None = None) -> NDArray[np.float64]:
        r"""
        Map points of the first cloud to where their mass goes: the barycentric map.

        Parameters
        ----------
        x_new : array_like, shape (k, d), optional
            Points anywhere; by default x, for which this is :math:`\sum_j P_{ij} y_j / \sum_j P_{ij}`. Others are
            mapped by the same formula with the weights :math:`\exp((g_j - c(x_{new}, y_j)) / \mathrm{reg})`.

        Returns
        -------
        points : ndarray, shape (k, d)

        Raises
        ------
        ValueError
            If costs were given as a matrix, or `x_new` has another number of columns.
        """
        if not self._cost.metric:
            raise ValueError("transform needs points: sinkhorn was given C; compute operator @ y / a instead")
        points = self._cost.first if x_new is None else _inputs.check_array("x_new", x_new, ndim=2)
        if points.shape[1] != self._cost.y.shape[1]:
            raise ValueError(f"x_new has shape {points.shape}; it must have {self._cost.y.shape[1]} columns")
        return self.operator.barycentres(points)

    def _names(self) -> list[str]:
        return [name for name in super()._names() if not name.startswith("_")] + ["plan"]

    def __repr__(self) -> str:
        """Leave out what is long or takes time to compute."""
        shown = [name for name in self._names() if name not in ("history", "operator", "plan")]
        width = max(map(len, shown))
        return "\n".join(f"{name:>{width}}: {_abbreviated(getattr(self, name), width + 2)}" for name in shown)


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
    plan: Literal["dense", "csr"] | None = "dense",
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
        Masses, not negative, of the same sum up to 1e-6 of it; `b` is scaled to the sum of `a`. None: 1/n each, 1/m
        each. What has no mass takes no part: rows and columns of zeros in the plan.
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
        What ``result.plan`` is: an array, a sparse array without entries below 1e-12 of their row, or an error. It is
        computed when it is first looked at.
    dtype : float32 or float64, optional
        Of the costs and of the plan; by default that of `C`, or of the points. Dual variables, and all that is
        computed, are float64 in any case.
    sns_sweeps : int, default 20
        For "sns": sweeps before the first Newton step.
    sns_density : float, optional
        For "sns": the fraction of the plan's entries in the Hessian, by default 2 / max(n, m).
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
        If shapes do not match, a mass is negative, sums differ, an option is out of its range, or an entry is not
        finite where it must be.
    TypeError
        If an input is complex, masked, or not numeric.

    Notes
    -----
    With f eliminated, what is left is the maximum of the concave semi-dual :math:`F(g) = a \cdot f(g) + b \cdot g`.
    "auto" finds it by Newton's method at regularisations that come down to `reg` by halves: small entries of the plan
    are left out of the Hessian, but not out of its diagonal, which keeps it semidefinite [2]_; systems are factored
    when their graph is like a tree, otherwise solved by conjugate gradients. Where `reg` is above a hundredth of the
    range of the costs, the plan is full, and sweeps and conjugate gradients work on a stored matrix of floats. Cost: 20
    to 60 passes of n m exponentials, as a rule; results are the same bits for every number of threads.

    Where `reg` is below some 1e-4 of the range of the costs, the exact problem, a linear program, is often solved
    faster than this one.

    References
    ----------
    .. [1] X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini, K. K. Thekumparampil, T. Xiao and L. Ying, "Accelerating
       Sinkhorn algorithm with sparse Newton iterations", ICLR 2024.
    .. [2] Z. Tang and Y. Qiu, "Safe and sparse Newton method for entropic-regularized optimal transport", NeurIPS 2024.
    .. [3] M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013.

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
    """
    costs = check_cost(C, x, y, metric, dtype)
    n, m = costs.shape
    masses = check_masses("a", a, n), check_masses("b", b, m)
    _check_sums(*masses)
    number = check_positive("reg", reg)
    tolerance = check_positive("tol", tol)
    _inputs.check_choice("method", method, METHODS)
    if plan not in PLANS:
        raise ValueError(f"plan is {plan!r}; it must be 'dense', 'csr' or None")
    most = None if maxiter is None else _inputs.check_int("maxiter", maxiter, minimum=0)
    sweeps = _inputs.check_int("sns_sweeps", sns_sweeps, minimum=0)
    density = 0.0 if sns_density is None else check_positive("sns_density", sns_density)
    if density > 1:
        raise ValueError(f"sns_density is {density}; it must be at most 1")
    threads = _inputs.check_n_threads(n_threads)
    ask = _inputs.check_callback(callback)
    f, g = _start(warmstart, n, m)

    def each_iteration(iteration: tuple[Any, ...]) -> object:
        return ask is not None and ask(SinkhornIteration(*iteration))

    with _progress.watch("sinkhorn", None, verbose) as keep_going:
        status, value, cost, error, nit, n_newton, n_passes, history = _core.sinkhorn(
            *masses,
            costs.first,
            costs.y,
            costs.metric,
            f,
            g,
            warmstart is not None,
            number,
            method,
            tolerance,
            most,
            sweeps,
            density,
            n_threads=threads,
            callback=keep_going,
            each_iteration=None if ask is None else each_iteration,
        )
    if status != 0:
        warnings.warn(f"sinkhorn: {MESSAGES[status]}; the marginal error is {error:.3g}", SinkhornWarning, stacklevel=2)
    return SinkhornResult(
        success=status == 0,
        status=status,
        message=MESSAGES[status],
        nit=nit,
        f=f,
        g=g,
        value=value,
        cost=cost,
        marginal_error=error,
        n_newton=n_newton,
        n_passes=n_passes,
        reg=number,
        operator=TransportPlan(costs, f=f, g=g, reg=number, a=masses[0], b=masses[1], n_threads=threads),
        history=[SinkhornIteration(*iteration) for iteration in history],
        _cost=costs,
        _form=plan,
    )


def _check_sums(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    """Refuse sums that differ by more than 1e-6, or overflow."""
    with np.errstate(over="ignore"):
        sums = a.sum(), b.sum()
    for name, total in zip("ab", sums, strict=True):
        if not np.isfinite(total):
            raise ValueError(f"the sum of {name} is {total}; it must be finite")
    if abs(sums[0] - sums[1]) > 1e-6 * max(sums):
        raise ValueError(f"a sums to {sums[0]} and b to {sums[1]}; the sums must be equal")


def _start(
    warmstart: SinkhornResult | tuple[ArrayLike, ArrayLike] | None, n: int, m: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return new arrays that the core turns from a guess of f and g into the solution."""
    if warmstart is None:
        return np.zeros(n), np.zeros(m)
    if isinstance(warmstart, SinkhornResult):
        warmstart = (warmstart.f, warmstart.g)
    if not isinstance(warmstart, tuple | list) or len(warmstart) != 2:
        raise ValueError("warmstart must be a result of sinkhorn or a pair (f, g)")
    duals = []
    for name, value, size in zip("fg", warmstart, (n, m), strict=True):
        dual = _inputs.check_array(f"warmstart's {name}", value, ndim=1)
        if dual.size != size:
            raise ValueError(f"warmstart's {name} has shape {dual.shape}; it must have shape ({size},)")
        duals.append(np.array(dual, dtype=np.float64))
    return duals[0], duals[1]
