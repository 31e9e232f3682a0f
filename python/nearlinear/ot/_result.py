"""What `sinkhorn` returns."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from nearlinear import _inputs
from nearlinear._results import Result, _abbreviated
from nearlinear.ot._gradients import mass_gradients, point_gradients
from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._plots import plot_history
from nearlinear.ot._problem import Problem

PlanForm = Literal["dense", "csr"] | None
MESSAGES = (
    "converged",
    "the largest number of iterations is reached",
    "stopped by the callback",
    "no step makes progress: the precision is reached",
    "the pairs that C allows admit no plan with these marginals",
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
    r"""
    Derivatives of the optimal value; `SinkhornResult.grad` says by what. What does not apply is None.

    Attributes
    ----------
    da, db : ndarray, shape (n,) and (m,)
        By the masses: f and g. Masses must keep their sum, so that constants do not count. Of soft marginals
        :math:`\rho (1 - (P 1)_i / a_i)`, which has no constant.
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


class ResultWithPlan(Result):
    """A result whose plan is sparse, and has a history."""

    plan: scipy.sparse.sparray

    def __repr__(self) -> str:
        """Leave out the plan's entries and the history."""
        shown = [name for name in self._names() if name not in ("plan", "history")]
        width = max(map(len, shown))
        lines = [f"{name:>{width}}: {_abbreviated(getattr(self, name), width + 2)}" for name in shown]
        return "\n".join([*lines, f"{'plan':>{width}}: {self.plan.nnz} entries of {self.plan.shape}"])


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
        because the precision of double is reached; 4: the pairs that `C` allows admit no plan with these marginals.
    message : str
        The status in words.
    nit : int
        Sweeps and Newton steps.
    f, g : ndarray of float64, shape (n,) and (m,)
        Dual variables; the mean of f is 0.
    value : float
        :math:`\langle C, P \rangle + \mathrm{reg} \sum P_{ij} \log P_{ij}`, and the penalties of soft marginals.
    cost : float
        :math:`\langle C, P \rangle`.
    marginal_error : float
        :math:`\|P 1 - a\|_1 + \|P^T 1 - b\|_1`. Of soft marginals, the distance from what the dual variables ask for,
        over the mass of the plan.
    n_newton : int
        Newton steps.
    n_passes : int
        Passes over all pairs with an exponential for each.
    reg : float
        The regularisation.
    reg_marginals : tuple of float
        The penalties of the two marginals; infinite where they hold exactly.
    operator : TransportPlan
        The plan as a linear operator, which stores no matrix: ``result.operator @ v``.
    history : list of SinkhornIteration
        What each iteration was and reached.
    plan : ndarray, csr_array or TransportPlan, shape (n, m)
        Computed when it is first asked for, in the form that `sinkhorn` was told; `operator` for ``plan=None``.
    """

    f: NDArray[np.float64]
    g: NDArray[np.float64]
    value: float
    cost: float
    marginal_error: float
    n_newton: int
    n_passes: int
    reg: float
    reg_marginals: tuple[float, float]
    operator: TransportPlan
    history: list[SinkhornIteration]
    _problem: Problem
    _form: PlanForm

    @cached_property
    def plan(self) -> Any:
        """The plan, dense, sparse, or as an operator, as `sinkhorn` was told."""
        if self._form is None:
            return self.operator
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
        `dx` and `dy` is some d passes, without a matrix of all pairs; soft marginals take two passes for theirs.

        Returns
        -------
        gradient : SinkhornGradient
            With `dC` where a matrix of costs was given, else with `dx` and `dy`.
        """
        da, db = mass_gradients(
            self._problem, self.operator, self.f, self.g, reg=self.reg, penalties=self.reg_marginals
        )
        cost = self._problem.cost
        if not cost.metric:
            return SinkhornGradient(da, db, self.operator, None, None)
        return SinkhornGradient(da, db, None, *point_gradients(cost, self.operator))

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
        if not self._problem.cost.metric:
            raise ValueError("transform needs points: sinkhorn was given C; compute operator @ y / a instead")
        points = self._problem.cost.first if x_new is None else _inputs.check_array("x_new", x_new, ndim=2)
        if points.shape[1] != self._problem.cost.y.shape[1]:
            raise ValueError(f"x_new has shape {points.shape}; it must have {self._problem.cost.y.shape[1]} columns")
        return self.operator.barycentres(points)

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
        return [name for name in super()._names() if not name.startswith("_")] + ["plan"]

    def __repr__(self) -> str:
        """Leave out what is long or takes time to compute."""
        shown = [name for name in self._names() if name not in ("history", "operator", "plan")]
        width = max(map(len, shown))
        return "\n".join(f"{name:>{width}}: {_abbreviated(getattr(self, name), width + 2)}" for name in shown)


def make_result(
    found: tuple[Any, ...],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    problem: Problem,
    *,
    reg: float,
    reg_marginals: tuple[float, float],
    plan: PlanForm,
    n_threads: int,
) -> SinkhornResult:
    """Return what the core has found, with its dual variables, as a result."""
    status, value, cost, error, nit, n_newton, n_passes, history = found
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
        reg=reg,
        reg_marginals=reg_marginals,
        operator=TransportPlan(problem.cost, f=f, g=g, reg=reg, a=problem.a, b=problem.b, n_threads=n_threads),
        history=[SinkhornIteration(*iteration) for iteration in history],
        _problem=problem,
        _form=plan,
    )
