"""Steps of optimal brain surgeon: what they need to know of F^-1, and what they do to the weights."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nearlinear import _inputs, _progress
from nearlinear.fisher._static import FisherInverse
from nearlinear.linalg import solve_spd_batch

Method = Literal["joint", "independent"]


@dataclass(frozen=True, eq=False)
class UpdateResult:
    r"""
    What `obs_update` returns.

    Attributes
    ----------
    w : ndarray, shape (d,)
        The new weights, exactly 0 where they are pruned.
    step : ndarray, shape (d,)
        :math:`\delta`, the change of the weights.
    loss_increase : float
        :math:`\frac12 \delta^T F \delta`, by which the quadratic model says that the loss grows.
    """

    w: NDArray[np.floating]
    step: NDArray[np.floating]
    loss_increase: float


def update_of_all(
    w: NDArray[np.floating],
    finv: FisherInverse,
    indices: NDArray[np.signedinteger],
    force: NDArray[np.float64],
    method: Method,
) -> UpdateResult:
    pruned = np.zeros(w.size, dtype=np.bool_)
    pruned[indices] = True
    if method == "joint":
        return joint(w, finv, pruned)
    forces = np.zeros(w.size)
    forces[indices] = force
    return independent(w, finv, pruned, forces)


def saliency_and_force(
    w: NDArray[np.floating],
    finv: FisherInverse,
    groups: NDArray[np.int64] | None,
    callback: _inputs.Callback | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return w_Q^T x_Q / 2 and x_Q = ([F^-1]_QQ)^-1 w_Q, the force that holds Q at 0, for every weight or group."""
    if groups is None:
        diagonal = finv.diagonal(callback=callback)
        bad = np.flatnonzero(~(diagonal > 0))
        where = "diagonal entry {}"
        part = w.astype(np.float64)
        with np.errstate(all="ignore"):
            force = part / diagonal
    else:
        part = w[groups].astype(np.float64)
        result = solve_spd_batch(finv._group_inverses(groups, finv._n_threads), part, check_finite=False)
        bad = np.flatnonzero(result.info)
        where = "the block of group {}"
        force = result.x.astype(np.float64, copy=False)
    if bad.size > 0:
        raise np.linalg.LinAlgError(
            f"{where.format(bad[0])} of finv is not positive definite, for rounding errors; increase the damping"
        )
    with np.errstate(over="ignore"):
        products = part * force / 2
        saliency: NDArray[np.float64] = products if groups is None else products.sum(axis=1)
    if not _inputs.is_finite(saliency):
        raise OverflowError("a saliency exceeds the range of float64; scale w")
    return saliency, force


def joint(w: NDArray[np.floating], finv: FisherInverse, pruned: NDArray[np.bool_]) -> UpdateResult:
    step, loss_increase = finv._joint_step(w.astype(finv.dtype, copy=False), pruned.view(np.uint8), finv._n_threads)
    new, step = with_exact_zeros(w, step, pruned)
    return UpdateResult(new, step, float(loss_increase))


def independent(
    w: NDArray[np.floating], finv: FisherInverse, pruned: NDArray[np.bool_], force: NDArray[np.float64]
) -> UpdateResult:
    new, step = with_exact_zeros(w, -finv.matvec(force.astype(finv.dtype)), pruned)
    product = finv.fisher_matvec(step.astype(finv.dtype, copy=False))
    return UpdateResult(new, step, float(np.dot(step.astype(np.float64), product.astype(np.float64))) / 2)


def with_exact_zeros(
    w: NDArray[np.floating], step: NDArray[np.floating], pruned: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    step = np.where(pruned, -w, step)
    new = w + step
    new[pruned] = 0  # and no other zero than +0
    return new, step


def schedule(sparsity: float, rounds: int, d: int, groups: NDArray[np.int64] | None) -> list[int]:
    """Return how many weights or groups are gone after each round."""
    share = _inputs.check_real("sparsity", sparsity)
    if share >= 1:
        raise ValueError(f"sparsity is {share}; it must be at least 0 and below 1")
    size = 1 if groups is None else groups.shape[1]
    totals = [round((1 - (1 - share) ** (t / rounds)) * d / size) for t in range(1, rounds)] + [round(share * d / size)]
    if groups is not None and totals[-1] > len(groups):
        raise ValueError(
            f"sparsity is {share}, which takes {totals[-1]} groups of {size} weights; groups has shape {groups.shape}"
        )
    return totals


def part(keep_going: _progress.FractionDone | None, begin: float, end: float) -> _inputs.Callback | None:
    """Return what a part of the work reports to."""
    return None if keep_going is None else lambda fraction_done: keep_going(begin + (end - begin) * fraction_done)
