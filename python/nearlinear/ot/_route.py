"""Assignment of tokens to experts of limited capacity."""

from typing import Any, Literal, NamedTuple, overload

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress


class RouteCertificate(NamedTuple):
    """
    Why an assignment of `route` is the best one.

    Attributes
    ----------
    score : float
        The sum of the scores of all pairs that are assigned.
    bound : float
        What no assignment exceeds: the sum over tokens of their k largest scores less prices, and the capacity times
        the sum of the prices. Equal to `score` up to rounding.
    prices : ndarray of float64, shape (experts,)
        Prices of the experts, not negative, and 0 where capacity is left.
    """

    score: float
    bound: float
    prices: NDArray[np.float64]


@overload
def route(
    scores: ArrayLike,
    capacity: int,
    k: int,
    *,
    certificate: Literal[False] = False,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> Any: ...
@overload
def route(
    scores: ArrayLike,
    capacity: int,
    k: int,
    *,
    certificate: Literal[True],
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> tuple[Any, Any]: ...
def route(
    scores: ArrayLike,
    capacity: int,
    k: int,
    *,
    certificate: bool = False,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> Any:
    r"""
    Assign each token to k experts, none of which takes more tokens than its capacity, with the largest score.

    .. math:: \max_X \sum_{te} X_{te} S_{te} \quad \text{subject to} \quad X 1 = k, \; X^T 1 \le \mathrm{capacity},
        \; X_{te} \in \{0, 1\}.

    Parameters
    ----------
    scores : array_like, shape (tokens, experts) or (batch, tokens, experts)
        What it is worth to send a token to an expert, finite.
    capacity : int
        Tokens that an expert takes at most.
    k : int
        Experts of each token, from 1 to their number.
    certificate : bool, default False
        Return prices, and the bound that they prove, too.
    n_threads : int, optional
        Upper limit on the number of threads, which share a batch. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the call, which then raises
        `nearlinear.Interrupted`.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    X : csr_array, shape (tokens, experts), or a list of them
        k entries in each row, which hold the scores; a list for a batch.
    certificate : RouteCertificate, or a list of them
        If asked for.

    Raises
    ------
    ValueError
        If tokens * k > experts * capacity, `k` is larger than the number of experts, or a score is not finite.
    TypeError
        If `scores` is complex, masked, or not numeric.

    Notes
    -----
    The linear program with :math:`0 \le X \le 1` has a solution in integers, so that this one is exact, where routers
    that fill experts in order of the scores are not. Experts with too many tokens raise their prices in turn; what is
    left over then moves along shortest paths between experts [1]_. It is the router that [2]_ approximates by sparse
    transport. Cost: O(tokens experts), and O(experts) for each token that has to move. Of equal experts, a token takes
    the one with fewer tokens so far, and then the first.

    References
    ----------
    .. [1] R. K. Ahuja, T. L. Magnanti and J. B. Orlin, "Network flows", Prentice Hall, 1993, section 9.7.
    .. [2] T. Liu, J. Puigcerver and M. Blondel, "Sparsity-constrained optimal transport", ICLR 2023.

    Examples
    --------
    Both tokens like the first expert, which takes one. It is worth more to the first of them:

    >>> import nearlinear as nl
    >>> X, certificate = nl.ot.route([[3, 0], [2, 1]], capacity=1, k=1, certificate=True)
    >>> X.toarray()
    array([[3., 0.],
           [0., 1.]])
    >>> certificate.score, certificate.bound
    (4.0, 4.0)
    """
    array = _inputs.check_array("scores", scores, ndim=(2, 3))
    if 0 in array.shape[-2:]:
        raise ValueError(f"scores has shape {array.shape}; it must have tokens and experts")
    tokens, experts = array.shape[-2:]
    most = _inputs.check_int("capacity", capacity, minimum=0)
    each = _inputs.check_int("k", k, minimum=1)
    if each > experts:
        raise ValueError(f"k is {each}; there are only {experts} experts")
    if tokens * each > experts * min(most, tokens):
        raise ValueError(
            f"{tokens} tokens with k = {each} experts each are more than {experts} experts with capacity {most} take"
        )
    threads = _inputs.check_n_threads(n_threads)
    parts = [array] if array.ndim == 2 else list(array)
    prices = [np.zeros(experts) for _ in parts]
    solve: Any = _core.route32 if array.dtype == np.float32 else _core.route64
    with _progress.watch("route", callback, verbose) as keep_going:
        found = solve(parts, prices, min(most, tokens), each, n_threads=threads, callback=keep_going)
    plans, certificates = [], []
    for (data, indices, indptr, score, bound), price in zip(found, prices, strict=True):
        places = (indices.astype(np.int32), indptr.astype(np.int32)) if len(data) < 2**31 else (indices, indptr)
        plans.append(scipy.sparse.csr_array((data, *places), shape=(tokens, experts)))
        certificates.append(RouteCertificate(score, bound, price))
    if array.ndim == 2:
        return (plans[0], certificates[0]) if certificate else plans[0]
    return (plans, certificates) if certificate else plans
