"""Products of a matrix with itself."""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress

__all__ = ["gram", "normal_product"]


def gram(
    A: ArrayLike,
    *,
    dtype_sum: DTypeLike | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> NDArray[np.floating]:
    r"""
    Gram matrix of the columns, the normal matrix of least squares.

    Computes :math:`C = A^T A`.

    Parameters
    ----------
    A : array_like, shape (n, d)
        Real numbers.
    dtype_sum : {None, "float32", "float64"}, optional
        In what products are summed, and the type of the result. By default that of `A`. With float64 for float32 input,
        blocks of rows are multiplied in float32 and added in float64, so that the error does not grow with n.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.
    check_finite : bool, default True
        Check that `A` is finite.

    Returns
    -------
    C : ndarray, shape (d, d)
        Symmetric to the last bit, and the same for every number of threads.

    Raises
    ------
    ValueError
        If `A` is not a matrix, an entry is NaN or Inf, or `dtype_sum` is another type or float32 for float64 input.
    TypeError
        If `A` is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    Takes :math:`n d (d + 1)` operations and one read of `A`. The error is at most
    :math:`\gamma_n |A|^T |A|` entrywise [1]_, section 3.5; with float32 summed in float64 at most :math:`\gamma_{4096}`
    of float32 and :math:`\gamma_n` of float64. Products beyond the range of the type give Inf.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.gram([[1, 2], [3, 4]])
    array([[10., 14.],
           [14., 20.]])
    """
    matrix = _inputs.check_array("A", A, ndim=2, check_finite=check_finite)
    dtype = matrix.dtype if dtype_sum is None else np.dtype(dtype_sum)
    if dtype not in (matrix.dtype, np.float64):
        raise ValueError(f"dtype_sum is {dtype}; it must be float64, or float32 where A is float32")
    C = np.empty((matrix.shape[1], matrix.shape[1]), dtype)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("gram", callback, verbose) as keep_going:
        _core.gram(matrix, C, n_threads=threads, callback=keep_going)
    return C


def normal_product(
    A: ArrayLike,
    Z: ArrayLike,
    *,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> NDArray[np.floating]:
    r"""
    Product with the normal matrix in one read of the matrix.

    Computes :math:`Y = A^T (A Z)`, each block of rows of A being used for both products while it is in the cache. It is
    what an iteration for least squares or for singular vectors needs.

    Parameters
    ----------
    A : array_like, shape (n, d)
        Real numbers.
    Z : array_like, shape (d,) or (d, p)
        Real numbers.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.
    check_finite : bool, default True
        Check that `A` and `Z` are finite. This is another read of A: leave it out when `A` is known.

    Returns
    -------
    Y : ndarray, same shape as `Z`
        float32 when `A` and `Z` are, float64 otherwise. The same for every number of threads.

    Raises
    ------
    ValueError
        If shapes do not match, or an entry is NaN or Inf.
    TypeError
        If an argument is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    Takes :math:`4 n d p` operations; while p is small, one read of `A` is what takes the time. The error is at most
    :math:`\gamma_{n+d} |A|^T |A| |Z|` entrywise. Where A is needed more often than d times, `gram` is less work.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.normal_product([[1, 2], [3, 4]], [1, -1])
    array([-4., -6.])
    """
    matrix = _inputs.check_array("A", A, ndim=2, check_finite=check_finite)
    vectors = _inputs.check_array("Z", Z, ndim=(1, 2), check_finite=check_finite)
    if vectors.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"A has shape {matrix.shape} and Z has shape {vectors.shape}; Z must have a row per column of A"
        )
    matrix, vectors = _inputs.common_dtype(matrix, vectors)
    Y = np.empty_like(vectors)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("normal_product", callback, verbose) as keep_going:
        _core.normal_product(
            matrix, _inputs.as_columns(vectors), _inputs.as_columns(Y), n_threads=threads, callback=keep_going
        )
    return Y
