"""Lewis weights."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.sampling._checks import check_matrix, check_p, check_weights
from nearlinear.sketch._solution import check_positive

MESSAGES = (
    "the certificate is at most tol",
    "maxiter iterations were not enough",
    "rounding allows no smaller certificate",
)


def lewis_weights(
    A: Any,
    p: float,
    *,
    tol: float = 1e-2,
    maxiter: int | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> NDArray[np.floating]:
    r"""
    Lewis weights: how much rows matter for :math:`|A x|_p`.

    .. math:: w_i = \tau_i(W^{1/2 - 1/p} A), \qquad W = \operatorname{diag}(w)

    are the only positive weights that are the leverage scores of the rows that they scale [1]_; rows of zeros have the
    weight 0.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    p : float
        :math:`1 \leq p < \infty`. For p = 2, weights are the leverage scores.
    tol : float, default 1e-2
        Wanted certificate :math:`\max_i |\tau_i / w_i - 1|`, see `lewis_certificate`. For sampling, the default is as
        good as exact weights.
    maxiter : int, optional
        Iterations, 300 by default. 4 to 50 are enough as a rule.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    ndarray, shape (n,)
        float32 for float32 and float16 input, float64 otherwise; equal to the last bit for every number of threads.

    Raises
    ------
    ValueError
        If A is no matrix of finite numbers, has no rows or no columns, or p or an option is out of range.
    TypeError
        If A is complex, masked or not numeric.
    Interrupted
        If `callback` returned True.

    Warns
    -----
    RuntimeWarning
        If `tol` was not reached; the weights with the least certificate are returned.

    See Also
    --------
    lewis_certificate : how good weights are.
    sample_rows : samples of rows by these weights and others.

    Notes
    -----
    The iteration is :math:`w \leftarrow w^{1 - a} \tau^a`, with a = p / 2 and a = 1 in turn: the first ends errors of
    many rows that share what there is, the second those of rows that have a direction for themselves, and near the
    weights both together multiply by at most :math:`(p - 2)^2 / (8 p)`. Where the certificate does not go down,
    a = p / 2 alone follows for p < 2, a contraction with the rate :math:`|1 - p / 2|` [2]_, lemma 3.2. For p > 2 it is
    a = 2 p / (p + 2), with the local rate :math:`|p - 2| / (p + 2)`, and where extreme data defeat that, a = 1, each of
    whose steps lowers the convex function

    .. math:: F(v) = -\log \det(A^T V A) + (1 - 2 / p) \sum_i v_i^{p / (p - 2)}, \qquad v_i = w_i^{1 - 2 / p}

    that Lewis weights minimise [2]_, section 4.

    With `tol` of 1e-3 or more, iterations run in single precision, with sums in double, while the condition number of
    scaled columns is below 100: that costs some 1e-4 of accuracy.

    The sum of the weights is the rank of A, but so is that of any leverage scores: it is no certificate. Each iteration
    takes :math:`2 n d^2` operations; 3 to 10 are enough for the default `tol`. Memory: O(n + d^2) numbers beside A, and
    n d where A is ill-conditioned, sparse with dense rows, or float32.

    References
    ----------
    .. [1] D. R. Lewis, "Finite dimensional subspaces of L_p", Studia Mathematica 63 (1978) 207-212.
    .. [2] M. B. Cohen and R. Peng, "l_p row sampling by Lewis weights", STOC 2015, 183-192.

    Examples
    --------
    Of a single column, weights are the shares of :math:`|a_i|^p`; here for the rows behind the first:

    >>> import nearlinear as nl
    >>> nl.sampling.lewis_weights([[1, 0], [0, 1], [0, 3]], p=1, tol=1e-8).round(6)
    array([1.  , 0.25, 0.75])
    """
    number = check_p(p)
    tol = check_positive("tol", tol)
    limit = 300 if maxiter is None else min(_inputs.check_int("maxiter", maxiter, minimum=0), 2**62)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="lewis_weights")
    weights = np.zeros(matrix.shape[0])
    with _progress.watch("lewis_weights", callback, verbose) as keep_going:
        status, certificate, _ = _core.lewis_weights(
            matrix.stored, number, weights, tol, limit, n_threads=threads, callback=keep_going
        )
    if status != 0:
        warnings.warn(
            f"lewis_weights: {MESSAGES[status]}; the certificate is {certificate:.1e}", RuntimeWarning, stacklevel=2
        )
    return weights.astype(matrix.dtype, copy=False)


def lewis_certificate(A: Any, weights: ArrayLike, p: float, *, n_threads: int | None = None) -> float:
    r"""
    How far weights are from being Lewis weights.

    .. math:: \max_i |\tau_i(W^{1/2 - 1/p} A) / w_i - 1|

    over rows that are not zero; infinite where such a row has the weight 0.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    weights : array_like, shape (n,)
        Weights, at least 0.
    p : float
        :math:`1 \leq p < \infty`.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

    Returns
    -------
    float
        To first order, relative errors of the weights, in the norm that w weighs, are at most this times max(1, p / 2).

    Raises
    ------
    ValueError
        If A is no matrix of finite numbers, has no rows or no columns, p is out of range, or weights have the wrong
        shape or are negative, NaN or Inf.
    TypeError
        If an input is complex, masked or not numeric.

    See Also
    --------
    lewis_weights : weights with a small certificate.

    Notes
    -----
    Takes what `leverage_scores` takes, and n d numbers of memory.

    Examples
    --------
    >>> import nearlinear as nl
    >>> A = [[1, 0], [0, 1], [0, 3]]
    >>> nl.sampling.lewis_certificate(A, [1, 0.25, 0.75], p=1) < 1e-12
    True
    >>> round(nl.sampling.lewis_certificate(A, [1, 0.5, 0.5], p=1), 6)
    0.8
    """
    number = check_p(p)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="lewis_certificate")
    given = check_weights("weights", weights, matrix.shape[0], f"A has shape {matrix.shape}")
    return _core.lewis_certificate(matrix.stored, number, given, n_threads=threads)
