"""Smooth optimal transport, with POT's signatures and under the name of its module."""
# ruff: noqa: PLR0917 (POT has these arguments, in this order)

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from nearlinear.ot._quadratic import QuadraticResult
from nearlinear.ot._result import SinkhornResult
from nearlinear.ot._sparse_plan import SparsePlanResult
from nearlinear.ot.compat._solve import matrix_costs, solve, solve_quadratic


class _Smooth(NamedTuple):
    """A result with f and g, its plan and value, and what POT's alpha + beta have in addition to f + g."""

    result: SinkhornResult | QuadraticResult | SparsePlanResult
    plan: Any
    value: float
    constant: float


def smooth_ot_dual(
    a: ArrayLike,
    b: ArrayLike,
    M: ArrayLike,
    reg: float,
    reg_type: str = "l2",
    method: str = "L-BFGS-B",
    stopThr: float = 1e-9,
    numItermax: int = 500,
    verbose: bool = False,
    log: bool = False,
    max_nz: int | None = None,
) -> Any:
    r"""
    Plan of smooth optimal transport, with the signature of POT's ``ot.smooth.smooth_ot_dual``.

    Solves

    .. math:: \min_P \; \langle P, M \rangle + \Omega(P)
        \quad \text{subject to} \quad P 1 = a, \; P^T 1 = b, \; P \ge 0 .

    Parameters
    ----------
    a, b : array_like, shape (n,) and (m,)
        Masses of the same sum up to 1e-6 of it. An empty array, or None: 1/n each, 1/m each.
    M : array_like, shape (n, m)
        Costs.
    reg : float
        The regularisation.
    reg_type : str
        "l2", or "squaredl2": :math:`\Omega(P) = \frac{\mathrm{reg}}{2} \sum_{ij} P_{ij}^2`. "kl", or "entropic", or
        "negentropy": :math:`\Omega(P) = \mathrm{reg} \sum_{ij} P_{ij} \log P_{ij}`. "sparsity_constrained": that of
        "l2", and at most `max_nz` entries in every column. Where that binds, POT's plan misses the masses of the rows
        by several percent; this one has them, if `nearlinear.ot.sparse_plan` finds one that does.
    method : str
        Without effect, as in POT.
    stopThr : float, default 1e-9
        Stop when the sum of all absolute violations of the masses, the gradient of the dual, is at most this. Below
        1e-13 times the sum of `a` it counts as that.
    numItermax : int, default 500
        Most sweeps and Newton steps.
    verbose : bool
        Log progress to the logger "nearlinear". Nothing is printed.
    log : bool
        Return a dictionary, too.
    max_nz : int, optional
        Needed for "sparsity_constrained", and without effect for others.

    Returns
    -------
    P : ndarray, shape (n, m)
        The plan, in the type of `M`.
    log : dict
        If `log`:

        alpha, beta
            Dual variables, with which the plan is :math:`[\alpha_i + \beta_j - M_{ij}]_+ / \mathrm{reg}`, or
            :math:`\exp((\alpha_i + \beta_j - M_{ij}) / \mathrm{reg} - 1)`; where `max_nz` binds, they are those of
            a lower bound. As in POT both have the same sum.
        res
            A `scipy.optimize.OptimizeResult`: x holds alpha and beta, fun is what was minimised, the negative of the
            dual objective; success, status, message and nit are those of `nearlinear.ot.QuadraticResult`,
            `nearlinear.ot.SparsePlanResult` or `nearlinear.ot.SinkhornResult`.

    Warns
    -----
    SinkhornWarning
        If `stopThr` is not reached.
    SparsePlanWarning
        The same for "sparsity_constrained".

    Raises
    ------
    ValueError
        If `reg_type` is not there, or `max_nz` is missing, or else as `nearlinear.ot.compat.sinkhorn` does.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> ot.smooth.smooth_ot_dual([0.5, 0.5], [0.5, 0.5], [[0, 1], [1, 0]], 1, reg_type="kl").round(6)
    array([[0.365529, 0.134471],
           [0.134471, 0.365529]])
    """
    found = _solver(reg_type, max_nz)(a, b, M, reg, stopThr, numItermax, verbose)
    if not log:
        return found.plan
    result, constant = found.result, found.constant
    # A constant may move from one to the other. From zero, every step of POT's keeps both sums equal.
    f, g = result.f, result.g
    shift = (g.sum() + g.size * constant - f.sum()) / (f.size + g.size)
    alpha, beta = f + shift, g + constant - shift
    return found.plan, {"alpha": alpha, "beta": beta, "res": _optimize_result(found, alpha, beta)}


def smooth_ot_semi_dual(
    a: ArrayLike,
    b: ArrayLike,
    M: ArrayLike,
    reg: float,
    reg_type: str = "l2",
    max_nz: int | None = None,
    method: str = "L-BFGS-B",
    stopThr: float = 1e-9,
    numItermax: int = 500,
    verbose: bool = False,
    log: bool = False,
) -> Any:
    r"""
    Plan of smooth optimal transport, with the signature of POT's ``ot.smooth.smooth_ot_semi_dual``.

    The problem, and the plan, are those of `smooth_ot_dual`; the order of the arguments and the log are not.

    Parameters
    ----------
    a, b, M, reg, reg_type, max_nz, method, stopThr, numItermax, verbose, log
        As in `smooth_ot_dual`.

    Returns
    -------
    P : ndarray, shape (n, m)
        The plan, in the type of `M`.
    log : dict
        If `log`:

        alpha
            Dual variables, with the sum 0 as in POT. For "kl", the plan is
            :math:`b_j \exp((\alpha_i - M_{ij}) / \mathrm{reg}) / \sum_k \exp((\alpha_k - M_{kj}) / \mathrm{reg})`.
        res
            As in `smooth_ot_dual`, with alpha as x.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> P, log = ot.smooth.smooth_ot_semi_dual([0.5, 0.5], [0.5, 0.5], [[0, 1], [1, 0]], 1, reg_type="kl", log=True)
    >>> P.round(6)
    array([[0.365529, 0.134471],
           [0.134471, 0.365529]])
    >>> bool(abs(log["alpha"]).max() < 1e-12)
    True
    """
    found = _solver(reg_type, max_nz)(a, b, M, reg, stopThr, numItermax, verbose)
    if not log:
        return found.plan
    alpha = found.result.f - found.result.f.mean()
    return found.plan, {"alpha": alpha, "res": _optimize_result(found, alpha)}


def _entropic(
    a: ArrayLike, b: ArrayLike, M: ArrayLike, reg: float, stopThr: float, numItermax: int, verbose: bool
) -> _Smooth:
    """Return the solution for reg sum P log P, whose gradient reg (log P + 1) has the constant reg."""
    (result,) = solve(
        a,
        b,
        matrix_costs(M),
        reg,
        iterations=("numItermax", numItermax),
        stopThr=stopThr,
        verbose=verbose,
        warn=True,
        one_column=True,
        stacklevel=4,
    ).results
    return _Smooth(result, result.plan, result.value, constant=result.reg)


def _quadratic(
    a: ArrayLike,
    b: ArrayLike,
    M: ArrayLike,
    reg: float,
    stopThr: float,
    numItermax: int,
    verbose: bool,
    max_nz: int | None = None,
) -> _Smooth:
    """Return the solution for reg / 2 sum P^2, with at most `max_nz` entries per column."""
    result = solve_quadratic(
        a, b, matrix_costs(M), reg, stopThr=stopThr, numItermax=numItermax, verbose=verbose, max_nz=max_nz
    )
    return _Smooth(result, result.plan.toarray(), result.dual_value, constant=0.0)


_SOLVERS: dict[str, Callable[..., _Smooth]] = {
    **dict.fromkeys(("l2", "squaredl2", "sparsity_constrained"), _quadratic),
    **dict.fromkeys(("kl", "entropic", "negentropy"), _entropic),
}


def _solver(reg_type: str, max_nz: int | None) -> Callable[..., _Smooth]:
    """Return the function for a regularisation by one of its names."""
    name = str(reg_type).lower()
    if name not in _SOLVERS:
        raise ValueError(f"reg_type is {reg_type!r}; it must be one of {', '.join(map(repr, _SOLVERS))}")
    if name != "sparsity_constrained":
        return _SOLVERS[name]
    if max_nz is None:
        raise ValueError("max_nz is None; reg_type 'sparsity_constrained' needs it")
    return functools.partial(_SOLVERS[name], max_nz=max_nz)


def _optimize_result(found: _Smooth, *x: NDArray[np.float64]) -> OptimizeResult:
    result = found.result
    return OptimizeResult(
        x=np.concatenate(x),
        fun=-found.value,
        success=result.success,
        status=result.status,
        message=result.message,
        nit=result.nit,
    )
