"""Sums of exponentials, and the largest entries."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress

__all__ = ["TopK", "log_sum_exp", "top_k"]


def log_sum_exp(
    x: ArrayLike,
    axis: int | None = None,
    *,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> NDArray[np.floating]:
    r"""
    Logarithm of a sum of exponentials, without overflow or underflow.

    Computes :math:`\log \sum_i e^{x_i} = m + \log(1 + \sum_{i \ne k} e^{x_i - m})`, :math:`m = x_k = \max_i x_i`.

    Parameters
    ----------
    x : array_like, shape (n,) or (n, d)
        Real numbers; -Inf stands for a term of 0.
    axis : int, optional
        What is summed over: 0 gives a result per column, 1 (or -1) one per row. By default all entries.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    result : ndarray
        Without the axis that is summed over, of shape () by default: float32 for float32 and float16 input, float64
        otherwise. -Inf where there is no term or all are 0, +Inf where an entry is, NaN where an entry is. The same for
        every number of threads.

    Raises
    ------
    ValueError
        If `x` has the wrong number of dimensions, or `axis` is none of them.
    TypeError
        If `x` is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    One exponential per entry and one read of memory. The shift with ``log1p`` [1]_ keeps the digits of results near 0.
    In float32 the sum is taken in float64. The error, to first order, is at most
    :math:`u (|\mathrm{result}| + 2 \log n + 4 + d)`, where d bounds the additions that a term goes through.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
       IMA Journal of Numerical Analysis 41 (2021) 2311-2330.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.log_sum_exp([[1000, 1000], [-1000, -1000]], axis=1)
    array([1000.69314718, -999.30685282])
    """
    array = _inputs.check_array("x", x, ndim=(1, 2), check_finite=False)
    if axis is not None and not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis is {axis}; x has shape {array.shape}")
    of_columns = axis is not None and array.ndim == 2 and axis % 2 == 0
    matrix = array.reshape(1, -1) if axis is None or array.ndim == 1 else array
    result = np.empty(matrix.shape[1] if of_columns else matrix.shape[0], array.dtype)
    function = _core.column_log_sum_exp if of_columns else _core.row_log_sum_exp
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("log_sum_exp", callback, verbose) as keep_going:
        function(matrix, result, n_threads=threads, callback=keep_going)
    return result.reshape(()) if axis is None or array.ndim == 1 else result


class TopK(NamedTuple):
    """What `top_k` returns: ``values[..., j]`` is ``x[..., indices[..., j]]``."""

    values: NDArray[np.floating]
    indices: NDArray[np.int64]


def top_k(x: ArrayLike, k: int) -> TopK:
    r"""
    The k largest entries and where they are, in descending order.

    Parameters
    ----------
    x : array_like, shape (n,) or (m, n)
        Real numbers. NaN counts as smaller than all of them.
    k : int
        How many, at most n.

    Returns
    -------
    TopK
        ``values`` and ``indices``, of shape (k,), or (m, k) for the entries of each row. Among equal entries the lower
        index comes first. Values are float32 for float32 and float16 input, float64 otherwise.

    Raises
    ------
    ValueError
        If `x` has the wrong number of dimensions, or `k` is negative or larger than n.
    TypeError
        If `x` is complex, masked, sparse, or not numeric, or `k` is no integer.

    Notes
    -----
    Takes n comparisons, expected O(n) time in any case and :math:`O(k \log k)` for the order, where
    `numpy.argpartition` makes an array of n indices. One thread.

    Examples
    --------
    >>> import nearlinear as nl
    >>> values, indices = nl.linalg.top_k([3, 1, 4, 1, 5, 4], 3)
    >>> values, indices
    (array([5., 4., 4.]), array([4, 2, 5]))
    """
    array = _inputs.check_array("x", x, ndim=(1, 2), check_finite=False)
    count = _inputs.check_int("k", k, minimum=0)
    if count > array.shape[-1]:
        raise ValueError(f"k is {count} and x has shape {array.shape}; k must be at most {array.shape[-1]}")
    indices = np.empty((*array.shape[:-1], count), np.int64)
    for row, found in zip(np.atleast_2d(array), np.atleast_2d(indices), strict=True):
        _core.top_k(row, found)
    return TopK(np.take_along_axis(array, indices, axis=-1), indices)
