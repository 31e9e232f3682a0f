"""Entropic optimal transport on a matrix of costs, with POT's signatures."""
# ruff: noqa: PLR0917 (POT has these arguments, in this order)

from typing import Any

from numpy.typing import ArrayLike

from nearlinear.ot.compat._solve import check_method, check_options, matrix_costs, solve


def sinkhorn(
    a: ArrayLike,
    b: ArrayLike,
    M: ArrayLike,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    r"""
    Plan of entropic optimal transport, with the signature of POT's ``ot.sinkhorn``.

    Solves

    .. math:: \min_P \; \langle P, M \rangle + \mathrm{reg} \sum_{ij} P_{ij} \log P_{ij} \quad
        \text{subject to} \quad P 1 = a, \; P^T 1 = b, \; P \ge 0

    by `nearlinear.ot.sinkhorn`, whatever the `method`.

    Parameters
    ----------
    a : array_like, shape (n,)
        Masses of the rows. An empty array, or None: 1/n each.
    b : array_like, shape (m,) or (m, n_hists)
        Masses of the columns, with the sum of `a` up to 1e-6 of it. An empty array, or None: 1/m each. A matrix: one
        problem for each of its columns.
    M : array_like, shape (n, m)
        Costs. +Inf forbids a pair.
    reg : float
        The regularisation.
    method : str
        One of POT's: "sinkhorn", "sinkhorn_log", "greenkhorn", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling". It
        decides on the entries of the log and on the units of `warmstart`, and on nothing else.
    numItermax : int, default 1000
        Most sweeps and Newton steps. A call takes some 10 to 100 of them, at several regularisations down to `reg`;
        POT's iterations are others.
    stopThr : float, default 1e-9
        Stop when the sum of all absolute violations of the masses, of rows and columns, is at most this. POT's norm
        of the violation is never larger. Below 1e-13 times the sum of `a`, which is about what rounding allows, it
        counts as that.
    verbose : bool
        Log progress to the logger "nearlinear". Nothing is printed.
    log : bool
        Return a dictionary, too.
    warn : bool
        Warn if `stopThr` is not reached.
    warmstart : pair of array_like, shape (n,) and (m,), optional
        Where to start: the logarithms of u and v; for "sinkhorn_stabilized" and "sinkhorn_epsilon_scaling" alpha and
        beta, which are `reg` times as much. -Inf is taken where there is no mass. For a matrix `b`, the arrays may have
        n_hists columns, too; for "sinkhorn_log" it is a list of n_hists pairs, as in POT.
    **kwargs
        tau, print_period, epsilon0, numInnerItermax: of POT's algorithms, without effect.

    Returns
    -------
    P : ndarray, shape (n, m), or losses, shape (n_hists,)
        The plan, in the type of `M`; for a matrix `b`, :math:`\langle P, M \rangle` for each of its columns.
    log : dict
        If `log`: the entries that POT has for this `method`.

        err
            Marginal errors of all iterations; for a matrix `b`, of the last ones alone, their norm.
        niter, n_iter
            Iterations; the largest number of all columns of `b`.
        u, v, log_u, log_v, logu, logv
            ``u[:, None] * exp(-M / reg) * v`` is the plan. Zero, and -Inf, where there is no mass. Both have the same
            largest entry, so that they are finite if :math:`M_{ij} \le 1400 \, \mathrm{reg}` for masses below 1.
            Beyond, an entry of u or v may be Inf; the logarithms are finite.
        alpha, beta
            `reg` times the logarithms, but finite where there is no mass.
        warmstart
            (alpha, beta).

        For a matrix `b`, arrays have a column for each of its columns.

    Warns
    -----
    SinkhornWarning
        If `stopThr` is not reached, and `warn`.

    Raises
    ------
    ValueError
        If shapes do not match, a mass is negative, sums differ, an option is out of its range, or an entry is not
        finite where it must be.
    TypeError
        If an input is complex, masked, sparse or not numeric, or a keyword is none of POT's.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> ot.sinkhorn([0.5, 0.5], [0.5, 0.5], [[0, 1], [1, 0]], 1)
    array([[0.36552929, 0.13447071],
           [0.13447071, 0.36552929]])
    """
    check_options("sinkhorn", kwargs)
    name = check_method(method)
    solutions = solve(
        a,
        b,
        matrix_costs(M),
        reg,
        iterations=("numItermax", numItermax),
        stopThr=stopThr,
        verbose=verbose,
        warn=warn,
        method=name,
        warmstart=warmstart,
    )
    value = solutions.losses if solutions.several else solutions.results[0].plan
    return (value, solutions.log(name)) if log else value


def sinkhorn2(
    a: ArrayLike,
    b: ArrayLike,
    M: ArrayLike,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = False,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    r"""
    Loss of entropic optimal transport, with the signature of POT's ``ot.sinkhorn2``.

    That is :math:`\langle P, M \rangle` with the plan of `sinkhorn`, without the entropy. The plan is not formed.

    Parameters
    ----------
    a, b, M, reg, method, numItermax, stopThr, verbose, log, warn, warmstart, **kwargs
        As in `sinkhorn`. As in POT, `warn` is False here.

    Returns
    -------
    loss : float, or ndarray of shape (n_hists,)
        One number; for a matrix `b`, one for each of its columns.
    log : dict
        If `log`: as in `sinkhorn`.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> round(float(ot.sinkhorn2([0.5, 0.5], [0.5, 0.5], [[0, 1], [1, 0]], 1)), 9)
    0.268941421
    """
    check_options("sinkhorn2", kwargs)
    name = check_method(method)
    solutions = solve(
        a,
        b,
        matrix_costs(M),
        reg,
        iterations=("numItermax", numItermax),
        stopThr=stopThr,
        verbose=verbose,
        warn=warn,
        method=name,
        warmstart=warmstart,
    )
    return (solutions.losses, solutions.log(name)) if log else solutions.losses
