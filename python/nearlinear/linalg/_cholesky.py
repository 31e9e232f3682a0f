"""The Cholesky factorisation, triangular systems, and updates of the factor."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress

__all__ = ["cholesky", "cholesky_slide", "cholesky_solve", "cholesky_update", "triangular_solve"]


def cholesky(
    A: ArrayLike,
    *,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> NDArray[np.floating]:
    r"""
    Cholesky factorisation.

    Finds the lower triangular L with a positive diagonal such that :math:`A = L L^T`.

    Parameters
    ----------
    A : array_like, shape (n, n)
        Positive definite. Only its lower triangle counts; A is taken as symmetric.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.
    check_finite : bool, default True
        Check that `A` is finite. Without it, NaN or Inf in the lower triangle is reported as not positive definite.

    Returns
    -------
    L : ndarray, shape (n, n)
        A new array, zero above the diagonal: float32 for float32 and float16 input, float64 otherwise. The same for
        every number of threads.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `A` is not positive definite; the message names the first leading minor that is not.
    ValueError
        If `A` is not a square matrix, or an entry is NaN or Inf.
    TypeError
        If `A` is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    Takes :math:`n^3 / 3` operations. :math:`|A - L L^T| \le \gamma_{n+1} |L| |L^T|` entrywise [1]_, theorem 10.3.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.cholesky([[4, 2], [2, 5]])
    array([[2., 0.],
           [1., 2.]])
    """
    L = _lower("A", A, check_finite)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("cholesky", callback, verbose) as keep_going:
        minor = _core.cholesky_inplace(L, n_threads=threads, callback=keep_going)
    if minor != 0:
        raise np.linalg.LinAlgError(f"A is not positive definite: its leading minor of order {minor} is not")
    return L


def cholesky_solve(
    L: ArrayLike,
    B: ArrayLike,
    *,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> NDArray[np.floating]:
    r"""
    Solve systems with a matrix that `cholesky` has factored.

    Solves :math:`A X = B`, :math:`A = L L^T`.

    Parameters
    ----------
    L : array_like, shape (n, n)
        The factor; what stands above the diagonal is not read.
    B : array_like, shape (n,) or (n, p)
        Right-hand sides.
    n_threads, callback, verbose
        As in `cholesky`.
    check_finite : bool, default True
        Check that `L` and `B` are finite. Without it NaN and Inf spread.

    Returns
    -------
    X : ndarray, same shape as `B`
        float32 when `L` and `B` are, float64 otherwise. The same for every number of threads.

    Raises
    ------
    ValueError
        If shapes do not match, a diagonal entry of `L` is 0, or an entry is NaN or Inf.
    TypeError
        If an argument is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    Takes :math:`2 n^2 p` operations. Each column x solves a system nearby, :math:`(A + \Delta A) x = b` with
    :math:`|\Delta A| \le \gamma_{3n+1} |L| |L^T|`, the errors of the factorisation included [1]_, theorem 10.4.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.cholesky_solve(nl.linalg.cholesky([[4, 2], [2, 5]]), [8, 8])
    array([1.5, 1. ])
    """
    matrix, X = _system(L, B, check_finite)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("cholesky_solve", callback, verbose) as keep_going:
        _core.cholesky_solve_inplace(matrix, _inputs.as_columns(X), n_threads=threads, callback=keep_going)
    return X


def triangular_solve(
    L: ArrayLike,
    B: ArrayLike,
    *,
    lower: bool = True,
    transpose: bool = False,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> NDArray[np.floating]:
    r"""
    Solve triangular systems.

    Solves :math:`L X = B` or, with ``transpose=True``, :math:`L^T X = B`.

    Parameters
    ----------
    L : array_like, shape (n, n)
        Triangular; the other triangle is not read.
    B : array_like, shape (n,) or (n, p)
        Right-hand sides.
    lower : bool, default True
        Whether `L` is lower triangular, as it stands; else it is upper triangular.
    transpose : bool, default False
        Whether to solve with the transpose of `L`.
    n_threads, callback, verbose
        As in `cholesky`.
    check_finite : bool, default True
        Check that `L` and `B` are finite. Without it NaN and Inf spread.

    Returns
    -------
    X : ndarray, same shape as `B`
        float32 when `L` and `B` are, float64 otherwise. The same for every number of threads.

    Raises
    ------
    ValueError
        If shapes do not match, a diagonal entry of `L` is 0, or an entry is NaN or Inf.
    TypeError
        If an argument is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    Takes :math:`n^2 p` operations. Each column x solves a system nearby, :math:`(L + \Delta L) x = b` with
    :math:`|\Delta L| \le \gamma_{n+1} |L|`, whatever the condition of `L` [1]_, theorem 8.5. Results beyond the range
    of their type are Inf, and may make NaN of what depends on them.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.triangular_solve([[2, 0], [1, 4]], [2, 9])
    array([1., 2.])
    """
    matrix, X = _system(L, B, check_finite)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("triangular_solve", callback, verbose) as keep_going:
        _core.triangular_solve_inplace(
            matrix,
            _inputs.as_columns(X),
            lower=bool(lower),
            transpose=bool(transpose),
            n_threads=threads,
            callback=keep_going,
        )
    return X


def cholesky_update(
    L: ArrayLike, x: ArrayLike, *, n_threads: int | None = None, check_finite: bool = True
) -> NDArray[np.floating]:
    r"""
    Cholesky factor of a matrix that a vector was added to.

    Finds the lower triangular :math:`L'` such that :math:`L' L'^T = L L^T + x x^T`.

    Parameters
    ----------
    L : array_like, shape (n, n)
        The factor before, with a positive diagonal; what stands above the diagonal is not read.
    x : array_like, shape (n,)
        The vector.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    check_finite : bool, default True
        Check that `L` and `x` are finite.

    Returns
    -------
    updated : ndarray, shape (n, n)
        A new array, zero above the diagonal; float32 when `L` and `x` are, float64 otherwise. The same for every number
        of threads.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a pivot is not a positive number: `L` has a zero on the diagonal, or the factor leaves the range of its type.
    ValueError
        If shapes do not match, or an entry is NaN or Inf.
    TypeError
        If an argument is complex, masked, sparse, or not numeric.

    Notes
    -----
    Takes :math:`3 n^2` operations by plane rotations [1]_, method C3, which are backward stable: the errors of many
    updates add up and are not amplified.

    References
    ----------
    .. [1] P. E. Gill, G. H. Golub, W. Murray and M. A. Saunders, "Methods for modifying matrix factorizations",
       Mathematics of Computation 28 (1974) 505-535.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.cholesky_update([[3, 0], [0, 1]], [4, 0])
    array([[5., 0.],
           [0., 1.]])
    """
    factor, vector = _factor_and_vector("x", L, x, check_finite)
    row = _core.cholesky_update_inplace(factor, vector, n_threads=_inputs.check_n_threads(n_threads))
    if row != 0:
        raise np.linalg.LinAlgError(f"L is no factor that can be updated: pivot {row} is not a positive number")
    return factor


def cholesky_slide(
    L: ArrayLike, last_row: ArrayLike, *, n_threads: int | None = None, check_finite: bool = True
) -> NDArray[np.floating]:
    r"""
    Cholesky factor of a matrix that loses its first row and column and gets new last ones: a window that slides.

    With :math:`L L^T = \begin{pmatrix} a & b^T \\ b & C \end{pmatrix}`, finds the lower triangular :math:`L'` such that
    :math:`L' L'^T = \begin{pmatrix} C & k \\ k^T & g \end{pmatrix}`.

    Parameters
    ----------
    L : array_like, shape (n, n)
        The factor before, with a positive diagonal; what stands above the diagonal is not read.
    last_row : array_like, shape (n,)
        The new last row :math:`(k^T, g)`, its diagonal entry last.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    check_finite : bool, default True
        Check that `L` and `last_row` are finite.

    Returns
    -------
    slid : ndarray, shape (n, n)
        A new array, zero above the diagonal; float32 when `L` and `last_row` are, float64 otherwise. The same for every
        number of threads.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the new matrix is not positive definite, or `L` is no factor.
    ValueError
        If shapes do not match, or an entry is NaN or Inf.
    TypeError
        If an argument is complex, masked, sparse, or not numeric.

    Notes
    -----
    Takes :math:`4 n^2` operations, and subtracts nothing from C: the window can slide for ever.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.linalg.cholesky_slide([[1, 0], [4, 3]], [10, 13])
    array([[5., 0.],
           [2., 3.]])
    """
    factor, vector = _factor_and_vector("last_row", L, last_row, check_finite)
    row = _core.cholesky_slide_inplace(factor, vector, n_threads=_inputs.check_n_threads(n_threads))
    if row != 0 and row == len(factor):
        raise np.linalg.LinAlgError(f"last_row gives no positive definite matrix: its leading minor of order {row}")
    if row != 0:
        raise np.linalg.LinAlgError(f"L is no factor: pivot {row} of its update is not a positive number")
    return factor


def _lower(name: str, value: ArrayLike, check_finite: bool) -> NDArray[np.floating]:
    """Return a copy of the lower triangle, zero above the diagonal."""
    matrix = _inputs.check_square(name, value, check_finite=check_finite)
    lower: NDArray[np.floating] = np.tril(matrix)
    return lower


def _system(L: ArrayLike, B: ArrayLike, check_finite: bool) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the matrix of a system and a copy of its right-hand sides."""
    matrix = _inputs.check_square("L", L, check_finite=check_finite)
    rhs = _inputs.check_array("B", B, ndim=(1, 2), check_finite=check_finite, copy=True)
    if rhs.shape[0] != matrix.shape[0]:
        raise ValueError(f"L has shape {matrix.shape} and B has shape {rhs.shape}; they must have as many rows")
    return _inputs.common_dtype(matrix, rhs)


def _factor_and_vector(
    name: str, L: ArrayLike, x: ArrayLike, check_finite: bool
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return copies of a factor, zero above the diagonal, and of a vector."""
    factor = _lower("L", L, check_finite)
    vector = _inputs.check_array(name, x, ndim=1, check_finite=check_finite, copy=True)
    if vector.shape[0] != factor.shape[0]:
        raise ValueError(
            f"L has shape {factor.shape} and {name} has shape {vector.shape}; {name} must have an entry per row"
        )
    return _inputs.common_dtype(factor, vector)
