"""Entropic optimal transport between clouds of points, with POT's signatures."""
# ruff: noqa: PLR0917 (POT has these arguments, in this order)

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from nearlinear import _inputs
from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._problem import METRICS
from nearlinear.ot.compat._solve import Costs, check_method, check_options, check_pair, solve


class LazyPlan:
    """
    A plan whose entries are computed when they are indexed, like POT's ``LazyTensor``.

    Integers, slices and arrays of indices select rows, and columns. As in POT, an integer leaves its axis in place.

    Parameters
    ----------
    operator : TransportPlan
        The plan.

    Attributes
    ----------
    shape : tuple of int
        (n, m).
    ndim : int
        2.
    operator : TransportPlan
        The plan as a linear operator, for products, and as a sparse array.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> x = [[0.0], [1.0], [2.0]]
    >>> f, g, log = ot.empirical_sinkhorn(x, x, 0.1, isLazy=True, log=True)
    >>> log["lazy_plan"][0].shape, log["lazy_plan"][:2, :1].shape
    ((1, 3), (2, 1))
    """

    def __init__(self, operator: TransportPlan):
        self.operator = operator
        self.shape = (operator.shape[0], operator.shape[1])
        self.ndim = 2

    def __getitem__(self, key: Any) -> NDArray[np.floating]:
        """Return selected rows, or selected columns of selected rows."""
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > 2:
            raise IndexError(f"a plan has 2 axes, but {len(keys)} were indexed")
        rows, cols = (
            np.atleast_1d(np.arange(size)[selected])
            for size, selected in zip(self.shape, (*keys, slice(None), slice(None)), strict=False)
        )
        begin, end = (rows.min(), rows.max() + 1) if rows.size > 0 else (0, 0)
        block = self.operator.rows(int(begin), int(end))
        selection: NDArray[np.floating] = block[np.ix_(rows - begin, cols)]
        return selection

    def __repr__(self) -> str:
        """Tell the shape."""
        return f"LazyPlan(shape={self.shape})"


def empirical_sinkhorn(
    X_s: ArrayLike,
    X_t: ArrayLike,
    reg: float,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    metric: str = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    isLazy: bool = False,
    batchSize: Any = 100,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """
    Plan of entropic optimal transport between two clouds of points, with the signature of POT's function.

    The problem is that of `sinkhorn`, with the distances of the points, or their squares, as costs.

    Parameters
    ----------
    X_s, X_t : array_like, shape (n, d) and (m, d)
        The points.
    reg : float
        The regularisation.
    a, b : array_like, shape (n,) and (m,), optional
        Their masses, by default the same for all. `b` may be a matrix, as in `sinkhorn`, unless `isLazy`.
    metric : str
        "sqeuclidean", "euclidean", "cityblock" or "cosine": costs are computed when they are needed, and no matrix is
        stored but the plan. Any other of `scipy.spatial.distance.cdist`: the n x m costs are stored.
    numIterMax : int, default 10000
        As `numItermax` in `sinkhorn`.
    stopThr : float, default 1e-9
        As in `sinkhorn`.
    isLazy : bool
        Return the logarithms of u and v in place of the plan, which is not formed.
    batchSize : int or tuple of int
        Without effect: entries are computed in registers, not in batches.
    verbose : bool
        Log progress to the logger "nearlinear". Nothing is printed.
    log : bool
        Return a dictionary, too.
    warn : bool
        Warn if `stopThr` is not reached. POT does so in any case, unless `isLazy`.
    warmstart : pair of array_like, optional
        As in `sinkhorn`; with `isLazy`, the logarithms of u and v.
    **kwargs
        method: as in `sinkhorn`, without effect if `isLazy`. All that has no effect there.

    Returns
    -------
    P : ndarray, shape (n, m), or losses, shape (n_hists,)
        As `sinkhorn` returns.
    log : dict
        If `log`: as `sinkhorn` returns.
    f, g : ndarray, shape (n,) and (m,)
        If `isLazy`, in place of P: the logarithms of u and v, which POT calls f and g. The plan is
        ``exp(f[:, None] + g - M / reg)``. With `log` the dictionary is third: err and niter, f and g as u and v, and
        lazy_plan, a `LazyPlan`.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> ot.empirical_sinkhorn([[0.0], [1.0]], [[0.0], [1.0]], reg=0.5).round(4)
    array([[0.4404, 0.0596],
           [0.0596, 0.4404]])
    """
    method = _check("empirical_sinkhorn", kwargs, isLazy)
    solutions = solve(
        a,
        b,
        _costs(X_s, X_t, metric),
        reg,
        iterations=("numIterMax", numIterMax),
        stopThr=stopThr,
        verbose=verbose,
        warn=warn,
        method=method,
        warmstart=warmstart,
        one_column=isLazy,
    )
    if not isLazy:
        value = solutions.losses if solutions.several else solutions.results[0].plan
        return (value, solutions.log(method)) if log else value
    scalings = solutions.log("sinkhorn_log")
    f, g = scalings["log_u"], scalings["log_v"]
    return (f, g, _lazy_log(scalings, solutions.results[0].operator)) if log else (f, g)


def empirical_sinkhorn2(
    X_s: ArrayLike,
    X_t: ArrayLike,
    reg: float,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    metric: str = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    isLazy: bool = False,
    batchSize: Any = 100,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """
    Loss of entropic optimal transport between two clouds of points, with the signature of POT's function.

    The plan is not formed, lazy or not.

    Parameters
    ----------
    X_s, X_t, reg, a, b, metric, numIterMax, stopThr, isLazy, batchSize, verbose, log, warn, warmstart, **kwargs
        As in `empirical_sinkhorn`.

    Returns
    -------
    loss : float, or ndarray of shape (n_hists,)
        As `sinkhorn2` returns.
    log : dict
        If `log`: as `empirical_sinkhorn` returns.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> round(float(ot.empirical_sinkhorn2([[0.0], [1.0]], [[0.0], [1.0]], reg=0.5)), 4)
    0.1192
    """
    method = _check("empirical_sinkhorn2", kwargs, isLazy)
    solutions = solve(
        a,
        b,
        _costs(X_s, X_t, metric),
        reg,
        iterations=("numIterMax", numIterMax),
        stopThr=stopThr,
        verbose=verbose,
        warn=warn,
        method=method,
        warmstart=warmstart,
        one_column=isLazy,
    )
    if not log:
        return solutions.losses
    if isLazy:
        return solutions.losses, _lazy_log(solutions.log("sinkhorn_log"), solutions.results[0].operator)
    return solutions.losses, solutions.log(method)


def empirical_sinkhorn_divergence(
    X_s: ArrayLike,
    X_t: ArrayLike,
    reg: float,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    metric: str = "sqeuclidean",
    numIterMax: int = 10000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    r"""
    Sinkhorn divergence between two clouds of points, with the signature and the formula of POT's function.

    That is :math:`\max(0, W(a, b) - (W(a, a) + W(b, b)) / 2)` with the loss :math:`W = \langle P, M \rangle` of
    `empirical_sinkhorn2`, which leaves the entropy out. The divergence of the literature has it in:
    `nearlinear.ot.sinkhorn_divergence`.

    Parameters
    ----------
    X_s, X_t, reg, a, b, metric, numIterMax, stopThr, verbose, log, warn, **kwargs
        As in `empirical_sinkhorn`; `b` is a vector.
    warmstart : pair of array_like, optional
        As in `empirical_sinkhorn`, for W(a, b). Its parts are the start of both sides of W(a, a) and W(b, b).

    Returns
    -------
    divergence : float
        Not negative.
    log : dict
        If `log`: sinkhorn_loss_ab, sinkhorn_loss_a and sinkhorn_loss_b, the three losses, and log_sinkhorn_ab,
        log_sinkhorn_a and log_sinkhorn_b, their logs.

    Examples
    --------
    >>> import nearlinear.ot.compat as ot
    >>> round(float(ot.empirical_sinkhorn_divergence([[0], [1]], [[0], [1], [2], [3]], 0.1)), 6)
    1.499966
    """
    method = _check("empirical_sinkhorn_divergence", kwargs)
    starts: dict[str, Any] = {"ab": None, "a": None, "b": None}
    if warmstart is not None:
        u, v = check_pair(warmstart)
        starts = {"ab": (u, v), "a": (u, u), "b": (v, v)}
    clouds = {"ab": (X_s, X_t, a, b), "a": (X_s, X_s, a, a), "b": (X_t, X_t, b, b)}
    solutions = {}
    for case, (x, y, masses_x, masses_y) in clouds.items():
        solutions[case] = solve(
            masses_x,
            masses_y,
            _costs(x, y, metric),
            reg,
            iterations=("numIterMax", numIterMax),
            stopThr=stopThr,
            verbose=verbose,
            warn=warn,
            method=method,
            warmstart=starts[case],
            one_column=True,
        )
    losses = {case: solution.losses for case, solution in solutions.items()}
    divergence = np.maximum(0, losses["ab"] - 0.5 * (losses["a"] + losses["b"]))
    if not log:
        return divergence
    return divergence, {
        **{f"sinkhorn_loss_{case}": loss for case, loss in losses.items()},
        **{f"log_sinkhorn_{case}": solution.log(method) for case, solution in solutions.items()},
    }


def _check(function: str, options: dict[str, Any], lazy: bool = False) -> str:
    """Return the method among the options, after a check of the others; it does not matter to what is lazy."""
    check_options(function, options.keys() - {"method"})
    method = check_method(options.get("method", "sinkhorn"))
    return "sinkhorn" if lazy else method


def _costs(X_s: ArrayLike, X_t: ArrayLike, metric: str) -> Costs:
    """Return the points, or the matrix of their distances by a metric that is not computed from points."""
    points = [_inputs.check_array(name, cloud, ndim=2) for name, cloud in (("X_s", X_s), ("X_t", X_t))]
    if metric in METRICS:
        return Costs({"x": points[0], "y": points[1], "metric": metric}, {"x": "X_s", "y": "X_t"})
    try:
        M = cdist(*points, metric=metric)
    except ValueError as error:  # SciPy states columns that do not match, and names that it does not know
        raise ValueError(
            f"metric is {metric!r}, for X_s {points[0].shape} and X_t {points[1].shape}: {error}"
        ) from None
    return Costs({"C": M}, {"C": f"the matrix of distances by metric {metric!r}"})


def _lazy_log(scalings: dict[str, Any], operator: TransportPlan) -> dict[str, Any]:
    """Return what POT logs where it is lazy; u and v are logarithms there."""
    return {
        "err": scalings["err"],
        "u": scalings["log_u"],
        "v": scalings["log_v"],
        "niter": scalings["niter"],
        "lazy_plan": LazyPlan(operator),
    }
