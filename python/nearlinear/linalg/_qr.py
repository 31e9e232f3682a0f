"""The QR factorisation of tall matrices."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress

Method = Literal["automatic", "cholesky", "tall_skinny", "householder"]
METHODS = ("automatic", "cholesky", "tall_skinny", "householder")


class QrFactors(NamedTuple):
    """The factors of `qr`."""

    Q: NDArray[np.floating]
    R: NDArray[np.floating]


def qr(
    A: ArrayLike,
    *,
    mode: Literal["reduced", "r"] = "reduced",
    method: Method = "automatic",
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> QrFactors | NDArray[np.floating]:
    r"""
    QR factorisation of a tall matrix.

    Computes :math:`A = Q R` with orthonormal columns, :math:`Q^T Q = I`, and an upper triangle R whose diagonal is not
    negative, which makes R unique when A has full rank.

    Parameters
    ----------
    A : array_like, shape (n, d)
        Real numbers, n >= d.
    mode : {"reduced", "r"}, default "reduced"
        "reduced" returns Q and R, "r" only R, in half the time or less.
    method : {"automatic", "cholesky", "tall_skinny", "householder"}, default "automatic"
        "householder": blocked Householder reflections of the whole matrix. "tall_skinny": reflections of blocks of
        rows, merged in a tree [1]_; without Q, and where A has rows for two blocks of max(2 d, 65536 / d).
        "cholesky": CholeskyQR2 [2]_, where A is well-conditioned enough, which is found out; else one of the others.
        "automatic": "householder" for n < 16 d; beyond, "cholesky" for Q and R and "tall_skinny" for R alone.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.
    check_finite : bool, default True
        Check that A is finite. Without it NaN and Inf spread.

    Returns
    -------
    QrFactors
        Named tuple of Q, shape (n, d), and R, shape (d, d); with ``mode="r"`` R alone. float32 for float32 and float16
        input, float64 otherwise; equal to the last bit for every number of threads.

    Raises
    ------
    ValueError
        If A has fewer rows than columns, the wrong number of dimensions or an entry that is NaN or Inf, or an option is
        unknown.
    TypeError
        If A is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    qr_multiply : R and the product with the transpose of Q, without Q.

    Notes
    -----
    Takes :math:`2 n d^2` operations for R and twice that with Q. The factors are those of a matrix whose columns differ
    from A's by :math:`\gamma_{c n d} \|a_j\|_2` at most, u being the unit round-off, :math:`\gamma_k = k u / (1 - k u)`
    and c a small constant, whatever the condition of A ([3]_, theorem 19.4).

    References
    ----------
    .. [1] J. Demmel, L. Grigori, M. Hoemmen and J. Langou, "Communication-optimal parallel and sequential QR and LU
       factorizations", SIAM Journal on Scientific Computing 34 (2012) A206-A239.
    .. [2] Y. Yamamoto, Y. Nakatsukasa, Y. Yanagisawa and T. Fukaya, "Roundoff error analysis of the CholeskyQR2
       algorithm", Electronic Transactions on Numerical Analysis 44 (2015) 306-326.
    .. [3] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002.

    Examples
    --------
    >>> import nearlinear as nl
    >>> Q, R = nl.linalg.qr([[3, 1], [4, 2], [0, 5]])
    >>> R.round(3)
    array([[5.   , 2.2  ],
           [0.   , 5.016]])
    >>> (Q @ R).round(12)
    array([[3., 1.],
           [4., 2.],
           [0., 5.]])
    """
    _inputs.check_choice("mode", mode, ("reduced", "r"))
    matrix = _check_tall(A, check_finite)
    R = np.empty((matrix.shape[1], matrix.shape[1]), dtype=matrix.dtype)
    threads, core_method = _inputs.check_n_threads(n_threads), _core_method(method)
    with _progress.watch("qr", callback, verbose) as keep_going:
        if mode == "r":
            _core.qr(matrix, R, method=core_method, n_threads=threads, callback=keep_going)
            return R
        Q = np.empty_like(matrix)
        _core.qr_thin(matrix, Q, R, method=core_method, n_threads=threads, callback=keep_going)
    return QrFactors(Q, R)


def qr_multiply(
    A: ArrayLike,
    B: ArrayLike,
    *,
    method: Method = "automatic",
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    r"""
    R and the product :math:`Q^T B` of the QR factorisation of a tall matrix: what least squares needs.

    With :math:`A = Q R` and :math:`C = Q^T B`, the solution of :math:`\min_X \|A X - B\|_F` is :math:`R^{-1} C`.

    Parameters
    ----------
    A : array_like, shape (n, d)
        Real numbers, n >= d.
    B : array_like, shape (n,) or (n, p)
        Real numbers.
    method, n_threads, callback, verbose, check_finite
        As in `qr`.

    Returns
    -------
    R : ndarray, shape (d, d)
        Upper triangular, with a diagonal that is not negative.
    C : ndarray, shape (d,) or (d, p)
        Both are float32 if A and B are, float64 otherwise.

    Raises
    ------
    ValueError
        If shapes do not fit, A has fewer rows than columns, or an entry is NaN or Inf.
    TypeError
        If A or B is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    qr : The factors themselves.

    Notes
    -----
    Takes :math:`2 n d^2 + 4 n d p` operations. R and C are those of a nearby A and B, column by column, so that least
    squares by them is backward stable (Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002,
    theorem 20.3).

    Examples
    --------
    The line through three points:

    >>> import numpy as np
    >>> import nearlinear as nl
    >>> R, c = nl.linalg.qr_multiply([[1, 0], [1, 1], [1, 2]], [1, 3, 5])
    >>> np.linalg.solve(R, c).round(12)
    array([1., 2.])
    """
    matrix = _check_tall(A, check_finite)
    rhs = _inputs.check_array("B", B, ndim=(1, 2), check_finite=check_finite)
    if rhs.shape[0] != matrix.shape[0]:
        raise ValueError(f"A has shape {matrix.shape} and B has shape {rhs.shape}; they must have as many rows")
    dtype = np.result_type(matrix, rhs)
    matrix, rhs = (np.ascontiguousarray(array, dtype=dtype) for array in (matrix, rhs))
    d = matrix.shape[1]
    R = np.empty((d, d), dtype=dtype)
    C = np.empty((d, *rhs.shape[1:]), dtype=dtype)
    threads, core_method = _inputs.check_n_threads(n_threads), _core_method(method)
    with _progress.watch("qr_multiply", callback, verbose) as keep_going:
        _core.qr_multiply(
            matrix,
            _inputs.as_columns(rhs),
            R,
            _inputs.as_columns(C),
            method=core_method,
            n_threads=threads,
            callback=keep_going,
        )
    return R, C


def _check_tall(A: ArrayLike, check_finite: bool) -> NDArray[np.floating]:
    matrix = _inputs.check_array("A", A, ndim=2, check_finite=check_finite)
    if matrix.shape[0] < matrix.shape[1]:
        raise ValueError(f"A has shape {matrix.shape}; it must not have fewer rows than columns")
    return matrix


def _core_method(method: Method) -> _core.QrMethod:
    return getattr(_core.QrMethod, _inputs.check_choice("method", method, METHODS))  # type: ignore[no-any-return]
