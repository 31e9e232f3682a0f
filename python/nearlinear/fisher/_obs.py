"""Optimal brain surgeon: which weights a network can do without, and how the others make up for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.fisher import _obs_checks, _obs_steps
from nearlinear.fisher._obs_steps import Method, UpdateResult
from nearlinear.fisher._static import FisherInverse

__all__ = ["PruneResult", "UpdateResult", "obs_prune", "obs_saliency", "obs_update"]


@dataclass(frozen=True, eq=False)
class PruneResult:
    """
    What `obs_prune` returns.

    Attributes
    ----------
    w : ndarray, shape (d,)
        The new weights, exactly 0 where they are pruned.
    mask : ndarray of bool, shape (d,)
        Which weights are kept.
    loss_increase : float
        By how much the quadratic model says that the loss grows: the sum over the rounds, each with a model of its own.
    sparsity : float
        Share of the weights that are pruned.
    """

    w: NDArray[np.floating]
    mask: NDArray[np.bool_]
    loss_increase: float
    sparsity: float


def obs_saliency(w: ArrayLike, finv: FisherInverse, groups: ArrayLike | None = None) -> NDArray[np.float64]:
    r"""
    How much the loss grows when a weight, or a group of them, is pruned and all others make up for it.

    In the quadratic model :math:`\frac12 \delta^T F \delta` of the loss, the best step with :math:`\delta_Q = -w_Q`
    costs

    .. math:: \rho_Q = \tfrac12 w_Q^T \bigl( [F^{-1}]_{QQ} \bigr)^{-1} w_Q ,
              \qquad \rho_q = \frac{w_q^2}{2 [F^{-1}]_{qq}}

    for a group Q and for a single weight q.

    Parameters
    ----------
    w : array_like, shape (d,)
        The weights of a trained network.
    finv : FisherInverse, shape (d, d)
        The inverse of :math:`F = \lambda I + \frac1m \sum_i g_i g_i^T`, made of gradients at `w`.
    groups : array_like of int, shape (n_groups, size), optional
        Indices of weights, a group in each row. No weight may be in two groups; it may be in none. By default every
        weight is a group of its own.

    Returns
    -------
    saliency : ndarray of float64, shape (d,) or (n_groups,)
        Of every weight or group, if it were the only one to be pruned.

    Raises
    ------
    ValueError
        If shapes do not match, a weight is NaN or Inf, an index of `groups` is out of range or occurs twice, or there
        are groups and `finv` has no factor because it runs the recurrence.
    TypeError
        If `w` is complex, masked, sparse or not numeric, `groups` does not hold integers, or `finv` is no
        `FisherInverse`.
    OverflowError
        If a saliency exceeds the range of float64.
    numpy.linalg.LinAlgError
        If a diagonal block of :math:`F^{-1}` is not positive definite for its rounding errors: the damping is too small
        for the precision.

    See Also
    --------
    obs_update : Prune what you have chosen.
    obs_prune : Choose and prune.

    Notes
    -----
    Single weights take the diagonal of :math:`F^{-1}`, :math:`m^2 d` operations. Groups of c weights take
    :math:`m^2 + 2 c m + c^2` operations for each weight in them. With blocks of fewer than m weights, their number
    stands for m. Saliencies do not add up: weights that replace each other are each cheap to prune, and dear together.

    References
    ----------
    .. [1] B. Hassibi and D. G. Stork, "Second order derivatives for network pruning: optimal brain surgeon", Advances
       in Neural Information Processing Systems 5 (1993) 164-171.
    .. [2] E. Kurtic, D. Campos, T. Nguyen, E. Frantar, M. Kurtz, B. Fineran, M. Goin and D. Alistarh, "The optimal BERT
       surgeon: scalable and accurate second-order pruning for large language models", EMNLP 2022: groups.

    Examples
    --------
    >>> import nearlinear as nl
    >>> finv = nl.fisher.FisherInverse([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], damping=0.5)
    >>> nl.fisher.obs_saliency([1.0, 2.0, 1.0], finv).round(6)
    array([0.375, 1.5  , 0.5  ])
    >>> nl.fisher.obs_saliency([1.0, 2.0, 1.0], finv, groups=[[0, 1]]).round(6)
    array([3.5])
    """
    weights = _obs_checks.check_weights(w, finv)
    return _obs_steps.saliency_and_force(weights, finv, _obs_checks.check_groups(groups, weights.size))[0]


def obs_update(w: ArrayLike, finv: FisherInverse, prune: ArrayLike, method: Method = "joint") -> UpdateResult:
    r"""
    Prune given weights, and change the others so that the loss grows as little as possible.

    Finds the step :math:`\delta` with :math:`\delta_Q = -w_Q` for the pruned weights Q that minimises
    :math:`\frac12 \delta^T F \delta`. With R, the weights that are kept, G, the gradients in rows, and
    :math:`S_R = m \lambda I + G_R G_R^T`,

    .. math:: \delta_R = G_R^T S_R^{-1} G_Q w_Q , \qquad
              \tfrac12 \delta^T F \delta
              = \tfrac{\lambda}{2} \bigl( \|w_Q\|^2 + (G_Q w_Q)^T S_R^{-1} (G_Q w_Q) \bigr) .

    Parameters
    ----------
    w : array_like, shape (d,)
        The weights of a trained network.
    finv : FisherInverse, shape (d, d)
        The inverse of :math:`F = \lambda I + \frac1m \sum_i g_i g_i^T`, made of gradients at `w`.
    prune : array_like of bool, shape (d,), or of int, shape (k,)
        Which weights to prune: a mask that is True for them, or their indices, in any order; twice is once.
    method : {"joint", "independent"}, default "joint"
        "joint" is the minimum. "independent" adds the steps that are best for each weight alone,
        :math:`-F^{-1} (w_Q / \mathrm{diag}(F^{-1})_Q)`, and sets the pruned weights to 0: the update of M-FAC [2]_,
        which ignores what pruned weights have to do with one another.

    Returns
    -------
    result : UpdateResult
        With the new weights ``result.w``, the step and the increase of the loss in the quadratic model, which is that
        of the step as it is, for both methods. float32 if `w` and `finv` are, else float64.

    Raises
    ------
    ValueError
        If shapes do not match, a weight is NaN or Inf, for any other `method`, or if `finv` has no factor because it
        runs the recurrence.
    IndexError
        If an index is negative or not below d.
    TypeError
        If `w` is complex, masked, sparse or not numeric, `prune` holds neither booleans nor integers, or `finv` is no
        `FisherInverse`.
    numpy.linalg.LinAlgError
        "independent" only: if the diagonal of :math:`F^{-1}` is not positive for its rounding errors.

    See Also
    --------
    obs_saliency : What each weight alone would cost.
    obs_prune : Choose and prune.

    Notes
    -----
    The joint step takes :math:`m^2 |R|` operations for :math:`S_R`, :math:`m^3 / 3` to factor it and two passes over
    the gradients, however many weights are pruned; no system of the size of Q is solved. :math:`S_R` is summed over the
    kept columns: to subtract those of Q from the Gram matrix would cancel where heavy weights are pruned. The
    independent step takes the diagonal of :math:`F^{-1}` and a product with it. With blocks each of them is a problem
    of its own. For one weight both are the step of Hassibi and Stork [1]_.

    References
    ----------
    .. [1] B. Hassibi and D. G. Stork, "Second order derivatives for network pruning: optimal brain surgeon", Advances
       in Neural Information Processing Systems 5 (1993) 164-171.
    .. [2] E. Frantar, E. Kurtic and D. Alistarh, "M-FAC: efficient matrix-free approximations of second-order
       information", Advances in Neural Information Processing Systems 34 (2021).

    Examples
    --------
    The first two weights stand for each other, so that one takes over from the other:

    >>> import nearlinear as nl
    >>> finv = nl.fisher.FisherInverse([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], damping=0.5)
    >>> result = nl.fisher.obs_update([1.0, 2.0, 1.0], finv, prune=[0])
    >>> result.w.round(6)
    array([0. , 2.5, 1. ])
    >>> round(result.loss_increase, 6)
    0.375
    """
    weights = _obs_checks.check_weights(w, finv)
    pruned = _obs_checks.check_prune(prune, weights.size)
    if _inputs.check_choice("method", method, ("joint", "independent")) == "joint":
        return _obs_steps.joint(weights, finv, pruned)
    return _obs_steps.independent(
        weights, finv, pruned, np.where(pruned, _obs_steps.saliency_and_force(weights, finv, None)[1], 0.0)
    )


def obs_prune(
    w: ArrayLike,
    grads: ArrayLike | None,
    sparsity: float,
    *,
    damping: ArrayLike = 1e-5,
    block_size: int | None = None,
    groups: ArrayLike | None = None,
    recompute: Callable[[NDArray[Any]], ArrayLike] | None = None,
    n_recompute: int = 1,
    method: Method = "joint",
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> PruneResult:
    r"""
    Prune a network to a given sparsity, in one or several rounds.

    A round makes :math:`F = \lambda I + \frac1m \sum_i g_i g_i^T` of gradients at the present weights, chooses those
    with the least `obs_saliency`, and prunes them by `obs_update`. What is pruned stays pruned.

    Parameters
    ----------
    w : array_like, shape (d,)
        The weights of a trained network.
    grads : array_like, shape (m, d), or None
        Gradients of the loss of single samples, or of small batches, at `w`. None to call `recompute` for these, too.
    sparsity : float
        Share of the d weights that is pruned, at least 0 and below 1. It is rounded to a whole number of weights, or of
        groups.
    damping : float or array of one per block, default 1e-5
        :math:`\lambda`, absolute: it is added to F, whatever the size of the gradients.
    block_size : int, optional
        Treat as many weights in a row as a block, and F as zero between blocks. By default there is one block.
    groups : array_like of int, shape (n_groups, size), optional
        Indices of weights that are pruned together, a group in each row. No weight may be in two groups. A weight that
        is in none is kept.
    recompute : callable, optional
        Called as ``recompute(w)`` with a copy of the present weights; returns their gradients, shape (m, d), where m
        may be another number every time. What stands in the columns of pruned weights does not matter.
    n_recompute : int, default 1
        Number of rounds. After round t of T, a share of :math:`(1 - \mathrm{sparsity})^{t/T}` of the weights is left.
    method : {"joint", "independent"}, default "joint"
        How the kept weights make up for the others, as in `obs_update`. With groups, "independent" adds the steps that
        are best for each group alone [3]_.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    result : PruneResult
        With the new weights ``result.w``, the ``mask`` of those that are kept, the increase of the loss in the
        quadratic model and the sparsity. ``result.w`` is float32 if `w` and the gradients are, else float64.

    Raises
    ------
    ValueError
        If shapes do not match, an entry is NaN or Inf, an option is out of range, `groups` is not as it should be or
        holds too few weights, or if gradients are needed that nobody gives: more than one round, or no `grads`,
        without `recompute`.
    TypeError
        If an array is complex, masked, sparse or not numeric, or an option has the wrong type.
    OverflowError, numpy.linalg.LinAlgError
        As `obs_saliency`.
    MemoryError
        If there is no memory; the message states the size.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    obs_saliency : The measure by which weights are chosen.
    obs_update : The step.

    Notes
    -----
    A round takes some :math:`3 m^2 d` operations: for the Gram matrix, the diagonal of :math:`F^{-1}` and the joint
    step. The quadratic model is good near the weights where it was made. To keep each round as near as the others, each
    prunes the same share of what is left, not of what there was: to 90 % in 8 rounds a quarter in each, while equal
    numbers would take an eighth at first and more than half of the rest in the end.

    Gradients are not those of a minimum, and :math:`-w_Q` is no small step: the increase in the quadratic model is good
    to compare choices and poor to predict a loss.

    References
    ----------
    .. [1] B. Hassibi and D. G. Stork, "Second order derivatives for network pruning: optimal brain surgeon", Advances
       in Neural Information Processing Systems 5 (1993) 164-171.
    .. [2] E. Frantar, E. Kurtic and D. Alistarh, "M-FAC: efficient matrix-free approximations of second-order
       information", Advances in Neural Information Processing Systems 34 (2021).
    .. [3] E. Kurtic, D. Campos, T. Nguyen, E. Frantar, M. Kurtz, B. Fineran, M. Goin and D. Alistarh, "The optimal BERT
       surgeon: scalable and accurate second-order pruning for large language models", EMNLP 2022: groups.

    Examples
    --------
    >>> import nearlinear as nl
    >>> grads = [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    >>> result = nl.fisher.obs_prune([1.0, 2.0, 1.0], grads, sparsity=1 / 3, damping=0.5)
    >>> result.w.round(6)
    array([0. , 2.5, 1. ])
    >>> result.mask
    array([False,  True,  True])
    """
    weights = _inputs.check_array("w", w, ndim=1, copy=True)
    d = weights.size
    rows = _obs_checks.check_groups(groups, d)
    rounds = _inputs.check_int("n_recompute", n_recompute, minimum=1)
    totals = _obs_steps.schedule(sparsity, rounds, d, rows)
    _inputs.check_choice("method", method, ("joint", "independent"))
    if recompute is not None and not callable(recompute):
        raise TypeError(f"recompute is {recompute!r}; it must be callable or None")
    if recompute is None and rounds > 1:
        raise ValueError(f"n_recompute is {rounds}; more than one round needs recompute, for gradients at new weights")
    if recompute is None and grads is None:
        raise ValueError("grads is None; it must be an array unless recompute is there to be called for it")
    _inputs.check_n_threads(n_threads)

    kept = np.ones(d, dtype=np.bool_)
    gone = np.zeros(d if rows is None else len(rows), dtype=np.bool_)
    loss_increase = 0.0
    with _progress.watch("obs_prune", callback, verbose) as keep_going:
        for t, total in enumerate(totals):
            if t == 0 and grads is not None:
                gradients = _obs_checks.check_gradients("grads", grads, d)
            else:
                assert recompute is not None
                # A pruned weight stays at 0: it has no part in the model any more, and without gradients its step is 0.
                gradients = _obs_checks.check_gradients("recompute(w)", recompute(weights.copy()), d) * kept
            finv = FisherInverse(
                gradients,
                damping,
                block_size=block_size,
                copy=False,
                n_threads=n_threads,
                callback=_obs_steps.part(keep_going, t / rounds, (t + 1 / 3) / rounds),
            )
            saliency, force = _obs_steps.saliency_and_force(
                weights, finv, rows, _obs_steps.part(keep_going, (t + 1 / 3) / rounds, (t + 2 / 3) / rounds)
            )
            saliency[gone] = np.inf
            chosen = np.argsort(saliency, kind="stable")[: total - np.count_nonzero(gone)]
            indices = chosen if rows is None else rows[chosen]
            update = _obs_steps.update_of_all(weights, finv, indices, force[chosen], method)
            del gradients, finv  # before the next ones are there
            weights = update.w
            gone[chosen] = True
            kept[indices] = False
            loss_increase += update.loss_increase
            if t + 1 < rounds and keep_going is not None and keep_going((t + 1) / rounds):
                raise _core.Interrupted("stopped by the caller")
    return PruneResult(weights, kept, loss_increase, float(np.count_nonzero(~kept) / d))
