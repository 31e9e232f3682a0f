"""Sensitivities, their sum and the largest of them."""

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.sampling._checks import check_matrix, check_p, check_rows

Loss = Literal["lp", "huber", "logistic"]
LOSSES = ("lp", "huber", "logistic")
METHODS = ("exact", "coreset", "bucket")


def sensitivities(
    A: Any,
    p: float | None,
    *,
    loss: Loss = "lp",
    rows: ArrayLike | None = None,
    method: Literal["exact", "coreset", "bucket"] = "exact",
    alpha: int | None = None,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> NDArray[np.floating]:
    r"""
    Sensitivities: the largest share that a row can have of a loss.

    .. math:: s_i = \max_x \frac{|a_i^T x|^p}{|A x|_p^p}, \qquad
        s_i = \sup_x \frac{\rho(a_i^T x)}{\sum_j \rho(a_j^T x)} \quad \text{for other losses}

    and 0 for a row of zeros.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    p : float
        :math:`1 \leq p < \infty`. For p = 2, sensitivities are leverage scores. Other losses do not look at it; it may
        be None for them.
    loss : {"lp", "huber", "logistic"}, default "lp"
        ==========  ===============================================================================
        loss        :math:`\rho(t)`
        ==========  ===============================================================================
        "lp"        :math:`|t|^p`
        "huber"     :math:`t^2 / 2` for :math:`|t| \leq 1`, :math:`|t| - 1/2` beyond
        "logistic"  :math:`\log(1 + e^t)`; rows are :math:`-y_i x_i` for labels :math:`y_i = \pm 1`
        ==========  ===============================================================================
    rows : array_like of int, shape (k,), optional
        For which rows. By default for all.
    method : {"exact", "coreset", "bucket"}, default "exact"
        "exact": a convex program over all rows for every one.
        "coreset": the programs of some 100 d rows, sampled by Lewis weights; their solutions are evaluated with all
        rows, or with up to 2^15 rows of another such sample.
        "bucket", for "lp" alone: overestimates by n / alpha programs. Rows are dealt at random into buckets, and each
        gets the largest sensitivity of 8 sums of the rows of its bucket with random signs [2]_.
    alpha : int, optional
        Rows in a bucket, 32 by default.
    seed : int or numpy.random.Generator, optional
        Decides the sample or the buckets. By default a new one every time.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    ndarray, shape (n,) or (k,)
        float32 for float32 and float16 input, float64 otherwise; equal to the last bit for every number of threads.

    Raises
    ------
    ValueError
        If A is no matrix of finite numbers, has no rows or no columns, a row is out of range, or p or an option is.
    TypeError
        If A is complex, masked or not numeric, or `rows` are no integers.
    Interrupted
        If `callback` returned True.

    Warns
    -----
    RuntimeWarning
        If a convex program did not reach the accuracy that it should have.

    See Also
    --------
    total_sensitivity : their sum, from few programs.
    max_sensitivity : the largest, from few programs.
    sample_rows : samples of rows by these scores and others.

    Notes
    -----
    "lp": :math:`1 / s_i = \min \{ |A x|_p^p : a_i^T x = 1 \}`, by Newton's method with a line search, and for p = 1, a
    linear program, by a primal-dual interior point method. Dual solutions v with :math:`A^T v = a_i` bound
    :math:`s_i` from above by way of :math:`|v|_q`, 1/p + 1/q = 1. The gap between both bounds is below 1e-7, and what
    is returned is the lower one, which x attains. Other losses: such a program for every value t of :math:`a_i^T x`,
    the best of which is looked for on a grid of factors of 2 and by golden section from there on: from below, exact to
    1e-3 or so.

    With "bucket", each value is at least the sensitivity with probability :math:`1 - 2^{-8}`, and their sum is some
    :math:`\alpha^{\max(1, p)}` times larger at most ([2]_, theorem 1.1 for p = 1).

    Each program takes 5 to 20 iterations of O(n d^2) operations; with "coreset" of O(d^3), and n d. Memory: n d numbers
    and 8 n for every thread.

    References
    ----------
    .. [1] D. P. Woodruff and T. Yasuda, "Sharper bounds for l_p sensitivity sampling", ICML 2023.
    .. [2] S. Padmanabhan, D. P. Woodruff and Q. Zhang, "Computing approximate l_p sensitivities", NeurIPS 2023.
    .. [3] A. Munteanu and S. Omlor, "Optimal bounds for l_p sensitivity sampling via l_2 augmentation", ICML 2024.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.sampling.sensitivities([[1, 0], [0, 1], [0, 3]], p=3).round(4)
    array([1.    , 0.0357, 0.9643])
    >>> nl.sampling.sensitivities([[1, 0], [0, 1], [0, 3]], p=1, rows=[2]).round(4)
    array([0.75])
    """
    core_loss = getattr(_core.RowLoss, _inputs.check_choice("loss", loss, LOSSES))
    core_method = getattr(_core.SensitivityMethod, _inputs.check_choice("method", method, METHODS))
    if p is None and loss == "lp":
        raise TypeError("p is None; it must be a number for loss 'lp'")
    number = check_p(p) if p is not None and loss == "lp" else 1.0
    if loss != "lp" and method == "bucket":
        raise ValueError(f"method is 'bucket' and loss is {loss!r}; buckets are for loss 'lp'")
    if alpha is not None and method != "bucket":
        raise ValueError(f"alpha is for method 'bucket', and method is {method!r}")
    bucket = 0 if alpha is None else min(_inputs.check_int("alpha", alpha, minimum=1), 2**62)
    key = 0 if seed is None and method == "exact" else _inputs.check_seed(seed)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="sensitivities")
    n = matrix.shape[0]
    indices = np.arange(n, dtype=np.intp) if rows is None else check_rows("rows", rows, n)
    values = np.zeros(indices.size)
    with _progress.watch("sensitivities", callback, verbose) as keep_going:
        programs, unconverged, gap = _core.sensitivities(
            matrix.stored,
            number,
            indices,
            values,
            core_loss,
            core_method,
            bucket,
            key,
            n_threads=threads,
            callback=keep_going,
        )
    if unconverged > 0:
        of_bounds = f"; the largest gap between bounds is {gap:.1e}" if method == "exact" and loss == "lp" else ""
        warnings.warn(
            f"sensitivities: {unconverged} of {programs} convex programs did not reach full accuracy{of_bounds}",
            RuntimeWarning,
            stacklevel=2,
        )
    return values.astype(matrix.dtype, copy=False)


class SensitivityEstimate(NamedTuple):
    """
    What `total_sensitivity` returns.

    Attributes
    ----------
    estimate : float
        Of the sum of all sensitivities.
    standard_error : float
        Of the estimate.
    """

    estimate: float
    standard_error: float


def total_sensitivity(
    A: Any,
    p: float,
    *,
    n_solves: int | None = None,
    method: Literal["exact", "coreset"] = "exact",
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> SensitivityEstimate:
    r"""
    Total sensitivity: an estimate of the sum of all `sensitivities` from few of them.

    .. math:: \sum_i s_i \approx \frac{1}{k} \sum_{j = 1}^{k} \frac{d}{w_{i_j}} s_{i_j}

    for k rows :math:`i_j` that are drawn with probabilities :math:`w_i / d`, w the Lewis weights [1]_, theorem 1.3.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    p : float
        :math:`1 \leq p < \infty`. For p = 2 the sum is the rank of A, exactly.
    n_solves : int, optional
        k, at least 2. By default :math:`\max(64, 8 \sqrt{d})`.
    method : {"exact", "coreset"}, default "exact"
        How each sensitivity is computed, see `sensitivities`.
    seed : int or numpy.random.Generator, optional
        Decides the rows. By default new ones every time.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    SensitivityEstimate
        A tuple of ``estimate``, which is unbiased for exact sensitivities, and ``standard_error``, from the scatter of
        the k values.

    Raises
    ------
    ValueError
        If A is no matrix of finite numbers, has no rows or no columns, or p or an option is out of range.
    TypeError
        If A is complex, masked or not numeric.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    sensitivities : each of them.

    Notes
    -----
    The sum is at most :math:`d^{\max(1, p/2)}`, and for structured matrices much smaller; it decides how many rows
    sampling by sensitivities takes (`sample_rows`). Takes Lewis weights and k convex programs.

    References
    ----------
    .. [1] S. Padmanabhan, D. P. Woodruff and Q. Zhang, "Computing approximate l_p sensitivities", NeurIPS 2023.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> A = np.random.default_rng(0).standard_normal((2000, 5))
    >>> total = nl.sampling.total_sensitivity(A, p=1, seed=0)
    >>> 2 < total.estimate < 5
    True
    """
    number = check_p(p)
    programs = 0 if n_solves is None else min(_inputs.check_int("n_solves", n_solves, minimum=2), 2**62)
    core_method = getattr(_core.SensitivityMethod, _inputs.check_choice("method", method, METHODS[:2]))
    key = _inputs.check_seed(seed)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="total_sensitivity")
    with _progress.watch("total_sensitivity", callback, verbose) as keep_going:
        estimate, standard_error, _ = _core.total_sensitivity(
            matrix.stored, number, programs, core_method, key, n_threads=threads, callback=keep_going
        )
    return SensitivityEstimate(estimate, standard_error)


def max_sensitivity(
    A: Any,
    p: float,
    *,
    max_solves: int = 10000,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> float:
    r"""
    Largest of all `sensitivities`, from few of them.

    Computes :math:`\max_i s_i`, rows in the order of the upper bounds [1]_

    .. math:: s_i \leq d^{\max(p/2 - 1, 0)} w_i, \qquad s_i \leq \tau_i^{p/2} \; (p < 2),
        \qquad s_i \leq n^{p/2 - 1} \tau_i^{p/2} \; (p > 2),

    w the Lewis weights and :math:`\tau` the leverage scores, until no row that is left can have more than what was
    found.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    p : float
        :math:`1 \leq p < \infty`.
    max_solves : int, default 10000
        Convex programs at the most.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    float
        A lower bound, which a row attains; the largest unless there is a warning.

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
        If rows are left, after `max_solves` programs, that may have more; the warning says how much.

    See Also
    --------
    sensitivities : each of them.

    Notes
    -----
    Takes Lewis weights, leverage scores, and 5 to 20 iterations of O(n d^2) operations for each program.

    References
    ----------
    .. [1] D. P. Woodruff and T. Yasuda, "Sharper bounds for l_p sensitivity sampling", ICML 2023.

    Examples
    --------
    >>> import nearlinear as nl
    >>> round(nl.sampling.max_sensitivity([[1, 1], [1, -1], [1, 1], [1, -1], [1, 1]], p=1), 4)
    0.5
    """
    number = check_p(p)
    most = min(_inputs.check_int("max_solves", max_solves, minimum=1), 2**62)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="max_sensitivity")
    with _progress.watch("max_sensitivity", callback, verbose) as keep_going:
        value, bound, _, programs = _core.max_sensitivity(
            matrix.stored, number, most, n_threads=threads, callback=keep_going
        )
    if bound > value * (1 + 1e-6):  # below that, both are as close as a program's bounds are
        warnings.warn(
            f"max_sensitivity: after {programs} convex programs other rows may have up to {bound:.6g}; "
            f"the largest found is {value:.6g}",
            RuntimeWarning,
            stacklevel=2,
        )
    return float(value)
