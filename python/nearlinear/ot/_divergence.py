"""Sinkhorn divergences between clouds of points."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike, DTypeLike

from nearlinear import _progress
from nearlinear._results import Result
from nearlinear.ot._result import SinkhornGradient, SinkhornIteration, SinkhornResult
from nearlinear.ot._sinkhorn import sinkhorn


@dataclass(frozen=True, repr=False, eq=False)
class SinkhornDivergence(Result):
    """
    What `sinkhorn_divergence` returns.

    Attributes
    ----------
    success : bool
        Whether all three problems reached the tolerance.
    status : int
        The largest status of the three, as in `SinkhornResult`.
    message : str
        The status in words.
    nit : int
        Iterations of the three.
    value : float
        The divergence, not negative but for rounding and `tol`.
    marginal_error : float
        The largest of the three.
    xy, xx, yy : SinkhornResult
        Transport from x to y, and of each cloud to itself.
    """

    value: float
    marginal_error: float
    xy: SinkhornResult
    xx: SinkhornResult
    yy: SinkhornResult

    def grad(self) -> SinkhornGradient:
        """
        Return the derivatives of the divergence by masses and points; see `SinkhornResult.grad`.

        Returns
        -------
        gradient : SinkhornGradient
            Without `dC`.
        """
        xy, xx, yy = self.xy.grad(), self.xx.grad(), self.yy.grad()
        assert xy.dx is not None
        assert xy.dy is not None
        assert xx.dx is not None
        assert xx.dy is not None
        assert yy.dx is not None
        assert yy.dy is not None
        return SinkhornGradient(
            xy.da - (xx.da + xx.db) / 2,
            xy.db - (yy.da + yy.db) / 2,
            None,
            xy.dx - (xx.dx + xx.dy) / 2,
            xy.dy - (yy.dx + yy.dy) / 2,
        )

    def __float__(self) -> float:
        """Return the value."""
        return self.value

    def __repr__(self) -> str:
        """Leave out the three results."""
        shown = ("success", "status", "message", "nit", "value", "marginal_error")
        width = max(map(len, shown))
        return "\n".join(f"{name:>{width}}: {getattr(self, name)}" for name in shown)


def sinkhorn_divergence(
    x: ArrayLike,
    y: ArrayLike,
    reg: float,
    *,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    metric: Literal["sqeuclidean", "euclidean", "cityblock", "cosine"] = "sqeuclidean",
    tol: float = 1e-9,
    maxiter: int | None = None,
    dtype: DTypeLike | None = None,
    n_threads: int | None = None,
    callback: Callable[[SinkhornIteration], object] | None = None,
    verbose: _progress.Verbose = False,
) -> SinkhornDivergence:
    r"""
    Sinkhorn divergence between two clouds of points.

    .. math:: S(x, y) = \mathrm{OT}(x, y) - \tfrac12 \mathrm{OT}(x, x) - \tfrac12 \mathrm{OT}(y, y),

    where OT is the value of `sinkhorn`. It is zero where the clouds are equal, which OT itself is not. It is never
    negative where :math:`e^{-c / \mathrm{reg}}` is a positive definite kernel [1]_, as it is for all of these metrics.
    It is the same whether OT has the entropy or :math:`\mathrm{KL}(P | a b^T)`: what they differ by cancels.

    Parameters
    ----------
    x, y : array_like, shape (n, d) and (m, d)
        Points.
    reg : float
        Regularisation, positive, in units of the cost.
    a, b : array_like, shape (n,) and (m,), optional
        Masses of the same sum. By default 1/n and 1/m each.
    metric, tol, maxiter, dtype, n_threads, callback, verbose
        As for `sinkhorn`, for each of the three problems.

    Returns
    -------
    result : SinkhornDivergence
        With the value, the three results, and the gradient.

    Warns
    -----
    SinkhornWarning
        If one of the three does not reach the tolerance.

    Raises
    ------
    ValueError
        If shapes do not match, a mass is negative, or an entry is not finite.

    Notes
    -----
    Cost: that of three problems, without a matrix of all pairs. The value is a difference: its absolute error is some
    `tol` times the costs, which may be more than a small value itself.

    References
    ----------
    .. [1] J. Feydy, T. Sejourne, F.-X. Vialard, S. Amari, A. Trouve and G. Peyre, "Interpolating between optimal
       transport and MMD using Sinkhorn divergences", AISTATS 2019, theorem 1.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> nl.ot.sinkhorn_divergence(x, x, 0.1).value
    0.0
    >>> round(nl.ot.sinkhorn_divergence(x, x + 0.5, 0.1).value, 6)
    0.25
    """

    def solve(
        first: ArrayLike, second: ArrayLike, masses: ArrayLike | None, others: ArrayLike | None
    ) -> SinkhornResult:
        return sinkhorn(
            masses,
            others,
            x=first,
            y=second,
            metric=metric,
            reg=reg,
            tol=tol,
            maxiter=maxiter,
            plan=None,
            dtype=dtype,
            n_threads=n_threads,
            callback=callback,
            verbose=verbose,
        )

    xy = solve(x, y, a, b)  # first: it checks both
    xx, yy = solve(x, x, a, a), solve(y, y, b, b)
    worst = max((xy, xx, yy), key=lambda result: result.status)
    return SinkhornDivergence(
        success=worst.success,
        status=worst.status,
        message=worst.message,
        nit=xy.nit + xx.nit + yy.nit,
        value=xy.value - (xx.value + yy.value) / 2,
        marginal_error=max(xy.marginal_error, xx.marginal_error, yy.marginal_error),
        xy=xy,
        xx=xx,
        yy=yy,
    )
