"""Leverage scores."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.sampling._checks import check_matrix

METHODS = ("auto", "exact", "sketch")


def leverage_scores(
    A: Any,
    *,
    method: Literal["auto", "exact", "sketch"] = "auto",
    ridge: float = 0.0,
    rcond: float | None = None,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> NDArray[np.floating]:
    r"""
    Leverage scores: the largest share that a row can have of :math:`|A x|_2^2`.

    .. math:: \tau_i = a_i^T (A^T A + \lambda I)^+ a_i = \max_x \frac{(a_i^T x)^2}{|A x|_2^2 + \lambda |x|_2^2}

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    method : {"auto", "exact", "sketch"}, default "auto"
        "auto" is "exact". "sketch" takes R from a sketch of A with 12 d + 128 rows [1]_, algorithm 1, and for d > 192
        norms of :math:`a_i^T R^{-1}` from 96 random projections: scores are right within some tens of per cent.
    ridge : float, default 0.0
        :math:`\lambda`.
    rcond : float, optional
        Singular values of A below ``rcond`` times the largest count as 0, as in SciPy. By default A is deficient if its
        columns, scaled to one length, are dependent to 15 units of rounding; badly scaled columns are no reason.
    seed : int or numpy.random.Generator, optional
        Decides the sketch. By default a new one every time.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    ndarray, shape (n,)
        :math:`0 \leq \tau_i \leq 1`; the sum of exact scores is the rank of A, or with a ridge its effective dimension.
        float32 for float32 and float16 input, float64 otherwise; equal to the last bit for every number of threads.

    Raises
    ------
    ValueError
        If A is no matrix of finite numbers, has no rows or no columns, or an option is out of range.
    TypeError
        If A is complex, masked or not numeric.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    lewis_weights : the same for :math:`|A x|_p`.
    sample_rows : samples of rows by these scores and others.

    Notes
    -----
    "exact" takes the Cholesky factor of :math:`A^T A` where A, with columns scaled to one length, has a condition
    number below some 3000: relative errors are below 1e-8, and as a rule those of the square of that number. Up to 10^7
    a second Gram matrix corrects the factor, beyond that it is QR; errors are then those of the rows of Q by
    Householder's QR up to a small factor. It takes :math:`2 n d^2` operations and two reads of A,
    for ill-conditioned A :math:`4 n d^2` and up to four; for sparse A the squares of rows' numbers of entries and
    O(d) for each entry. "sketch" takes :math:`n d^2` or 192 n d. Beside A, O(d^2) numbers are kept. Input in float32 is
    copied to float64.

    For d <= 192, estimates by "sketch" are within factors of 0.5 to 1.9; beyond, there is a standard deviation of 15 %
    more. For n < d, scores are those of the singular vectors of A.

    References
    ----------
    .. [1] P. Drineas, M. Magdon-Ismail, M. W. Mahoney and D. P. Woodruff, "Fast approximation of matrix coherence and
       statistical leverage", Journal of Machine Learning Research 13 (2012) 3475-3506.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.sampling.leverage_scores([[1, 0], [0, 1], [0, 1]]).round(6)
    array([1. , 0.5, 0.5])
    """
    core_method = getattr(_core.LeverageMethod, _inputs.check_choice("method", method, METHODS))
    ridge = _inputs.check_real("ridge", ridge)
    rcond = _inputs.check_optional_real("rcond", rcond)
    if rcond is not None and rcond >= 1:
        raise ValueError(f"rcond is {rcond}; it must be below 1")
    key = 0 if seed is None and method != "sketch" else _inputs.check_seed(seed)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="leverage_scores")
    scores = np.zeros(matrix.shape[0])
    with _progress.watch("leverage_scores", callback, verbose) as keep_going:
        _core.leverage_scores(
            matrix.stored, scores, core_method, ridge, rcond, key, n_threads=threads, callback=keep_going
        )
    return scores.astype(matrix.dtype, copy=False)
