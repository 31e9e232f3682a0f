"""Low-rank approximation."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress, _results

__all__ = ["RandomizedSvdResult", "randomized_svd"]

_AUTOMATIC = -1
_Product = Callable[[NDArray[np.floating], NDArray[np.floating]], None]
_Prepared = tuple[tuple[int, int], Callable[..., Any]]  # the shape, and what takes the options


@dataclass(frozen=True, repr=False, eq=False)
class RandomizedSvdResult(_results.Result):
    """
    What `randomized_svd` returns.

    Attributes
    ----------
    U : ndarray, shape (m, k)
        Left singular vectors, with orthonormal columns.
    s : ndarray, shape (k,)
        Singular values, descending.
    Vt : ndarray, shape (k, n)
        Right singular vectors, with orthonormal rows; a transposed view of an array of shape (n, k).
    error : float
        The Frobenius norm of ``A - U @ np.diag(s) @ Vt``, which is also a bound on its spectral norm; an estimate of it
        where the norm of A is not known, or where roundings hide the difference.
    norm : float
        The Frobenius norm of A, or an estimate of it.
    settled : bool
        Whether the singular values had settled when the iteration ended, or nothing was left outside the subspace.
    success, status, message, nit
        ``status`` is 0, or 1 if `tol` was not reached with `rank` columns. ``nit`` counts how often A or its transpose
        was multiplied by a block of columns.
    """

    U: NDArray[np.floating]
    s: NDArray[np.floating]
    Vt: NDArray[np.floating]
    error: float
    norm: float
    settled: bool


def randomized_svd(
    A: ArrayLike | Any,
    rank: int,
    *,
    oversampling: int = 10,
    power_iterations: int | Literal["auto"] = "auto",
    tol: float | None = None,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> RandomizedSvdResult:
    r"""
    Dominant singular values and vectors of a large matrix, approximately.

    Finds :math:`A \approx U \operatorname{diag}(s) V^T` with :math:`U^T U = V^T V = I`,
    :math:`s_1 \ge \dots \ge s_k \ge 0` and :math:`k = \min(\mathrm{rank}, m, n)`, by subspace iteration from a Gaussian
    block of :math:`l = k + \mathrm{oversampling}` columns.

    Parameters
    ----------
    A : array_like, sparse array or scipy.sparse.linalg.LinearOperator, shape (m, n)
        Real numbers. A LinearOperator must have ``matmat`` and ``rmatmat``.
    rank : int
        How many singular values and vectors to compute; with `tol`, how many at most.
    oversampling : int, default 10
        Columns beyond the rank that the iteration works with.
    power_iterations : int or "auto", default "auto"
        The number q of iterations in :math:`(A A^T)^q A`. "auto" goes on until the squares of the singular values
        change by less than :math:`10^{-3} s_{k+1}^2` in a pass, or what is left outside the subspace is below
        :math:`10^{-3} s_k^2`, or seven iterations are over.
    tol : float, optional
        Return the smallest rank at which :math:`\|A - U \operatorname{diag}(s) V^T\|_F \le \mathrm{tol} \|A\|_F`. The
        iteration begins with few columns and doubles their number until there is one, or `rank` is reached.
    seed : int, numpy.random.Generator or None, default None
        Of the Gaussian block. The same seed gives the same result.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`. Products with sparse arrays are
        SciPy's, on one thread.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation. How many passes
        there will be is not known before, so that the fraction is a guess that approaches 1.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    RandomizedSvdResult
        With ``U``, ``s``, ``Vt`` and ``error``; float32 for float32 and float16 input, float64 otherwise. Of each
        column of U, the first entry of largest absolute value is positive. For dense and sparse A it is equal to the
        last bit for every number of threads on one instruction set.

    Raises
    ------
    ValueError
        If `rank` or an option is out of range, `A` has the wrong number of dimensions, an entry is NaN or Inf, or
        the products of an operator are.
    TypeError
        If `A` is complex, masked, or not numeric.
    OverflowError
        If a singular value exceeds the range of its type.
    Interrupted
        If `callback` returned True.

    Warns
    -----
    RuntimeWarning
        If `tol` was not reached.

    Notes
    -----
    Takes about :math:`2 m n l` operations for every pass over a dense A, of which q power iterations need
    :math:`2 q + 2`, and :math:`4 (m + n) l^2` for orthonormal bases between them. It is worth it while l is well below
    m and n; otherwise take `scipy.linalg.svd`.

    For :math:`p = \mathrm{oversampling} \ge 2` the expected spectral error before the l columns are cut to k is at most
    :math:`\sigma_{k+1}` times a factor that falls towards 1 like :math:`c^{1/(2q+1)}` [1]_, theorem 10.6 and corollary
    10.10. Where singular values are close, vectors need far more iterations than values and errors do.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, "Finding structure with randomness: probabilistic algorithms for
       constructing approximate matrix decompositions", SIAM Review 53 (2011) 217-288.
    .. [2] C. Musco and C. Musco, "Randomized block Krylov methods for stronger and faster approximate singular value
       decomposition", NIPS 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> x = np.linspace(0, 1, 200)
    >>> A = np.exp(-np.subtract.outer(x, x) ** 2)
    >>> result = nl.linalg.randomized_svd(A, 5, seed=0)
    >>> bool(np.allclose(result.s, np.linalg.svd(A, compute_uv=False)[:5]))
    True
    >>> bool(np.linalg.norm(A - result.U * result.s @ result.Vt) < 1.01 * result.error)
    True
    >>> nl.linalg.randomized_svd(A, 50, tol=1e-6, seed=0).s.size
    5
    """
    rank = _inputs.check_int("rank", rank, minimum=1)
    oversampling = _inputs.check_int("oversampling", oversampling, minimum=0)
    if isinstance(power_iterations, str):
        _inputs.check_choice("power_iterations", power_iterations, ("auto",))
        iterations = _AUTOMATIC
    else:
        iterations = _inputs.check_int("power_iterations", power_iterations, minimum=0)
    options = {
        "rank": min(rank, 2**62),
        "oversampling": min(oversampling, 2**62),
        "power_iterations": min(iterations, 2**60),
        "tol": _check_tol(tol),
        "seed": _inputs.check_seed(seed),
        "n_threads": _inputs.check_n_threads(n_threads),
    }
    shape, call = _of_operator(A) if _is_operator(A) else _of_sparse(A) if hasattr(A, "tocsr") else _of_dense(A)
    with _progress.watch("randomized_svd", callback, verbose) as keep_going:
        left, s, right, error, norm, passes, settled, converged = call(callback=keep_going, **options)
    if not np.isfinite(s).all():
        raise OverflowError(f"A has entries so large that its singular values exceed the range of {s.dtype}")
    k = s.size
    U, V = (entries.reshape(size, k) for entries, size in zip((left, right), shape, strict=True))
    if converged:
        message = "the singular values settled" if settled else "all iterations done"
    else:
        message = f"tol was not reached with {k} columns: the error is {error / norm:.3g} of the norm"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return RandomizedSvdResult(
        success=converged,
        status=0 if converged else 1,
        message=message,
        nit=passes,
        U=U,
        s=s,
        Vt=V.T,
        error=error,
        norm=norm,
        settled=settled,
    )


def _check_tol(tol: float | None) -> float:
    if tol is None:
        return 0.0
    try:
        number = float(tol)
    except (TypeError, ValueError):
        raise TypeError(f"tol is {tol!r}; it must be a number or None") from None
    if not 0 < number < 1:
        raise ValueError(f"tol is {number}; it must lie between 0 and 1")
    return number


def _is_operator(A: Any) -> bool:
    return hasattr(A, "matmat") and hasattr(A, "rmatmat") and not hasattr(A, "tocsr")


def _of_dense(A: ArrayLike) -> _Prepared:
    array = _inputs.check_array("A", A, ndim=2, check_finite=False)  # the core looks as it takes the norm
    rows, cols = array.shape
    return (rows, cols), lambda **options: _core.randomized_svd(array, **options)


def _of_sparse(A: Any) -> _Prepared:
    from scipy.sparse import csr_array

    parts = _inputs.check_sparse("A", A, function="randomized_svd")
    _core.require_valid_csr(parts, function="randomized_svd", argument="A")
    if not _inputs.is_finite(parts.data):
        index = int(np.flatnonzero(~np.isfinite(parts.data))[0])
        raise ValueError(f"A.data has the entry {parts.data[index]} at index {index}; all entries must be finite")
    matrix = csr_array((parts.data, parts.indices, parts.indptr), shape=parts.shape)
    transposed = matrix.T.tocsr()  # its rows are read in order
    if not matrix.has_canonical_format:
        matrix = transposed.T.tocsr()  # as good a copy as any, in which entries of one place can be added
        matrix.sum_duplicates()
    return _through_products(
        matrix.shape,
        matrix.dtype,
        lambda X: matrix @ X,
        lambda X: transposed @ X,
        float(np.linalg.norm(matrix.data.astype(np.float64, copy=False))),
    )


def _of_operator(A: Any) -> _Prepared:
    dtype = np.dtype(np.float64 if A.dtype is None else A.dtype)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TypeError(f"A has dtype {dtype}; it must hold real numbers of at most 64 bits")
    working = np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64
    rows, cols = map(int, A.shape)
    return _through_products((rows, cols), working, A.matmat, A.rmatmat, float(_AUTOMATIC))


def _through_products(
    shape: tuple[int, int],
    dtype: Any,
    multiply: Callable[[NDArray[np.floating]], Any],
    multiply_transposed: Callable[[NDArray[np.floating]], Any],
    norm: float,
) -> _Prepared:
    def into(product: Callable[[NDArray[np.floating]], Any]) -> _Product:
        def write(X: NDArray[np.floating], Y: NDArray[np.floating]) -> None:
            Y[...] = product(X)

        return write

    call = _core.randomized_svd_of_operator_f32 if dtype == np.float32 else _core.randomized_svd_of_operator_f64
    rows, cols = shape
    return shape, lambda **options: call(
        rows, cols, into(multiply), into(multiply_transposed), frobenius_norm=norm, **options
    )
