"""Symmetric positive definite systems by products with their matrix alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result
from nearlinear.linalg._iterations import IterationState, check_guess
from nearlinear.linalg._operators import check_matrix, check_square

__all__ = ["ConjugateGradientResult", "conjugate_gradient"]


@dataclass(frozen=True, repr=False, eq=False)
class ConjugateGradientResult(Result):
    r"""
    What `conjugate_gradient` returns.

    Attributes
    ----------
    success : bool
        Whether every right-hand side was solved to the tolerance.
    status : int
        0: converged; 1: `maxiter` iterations were not enough; 2: the callback stopped it; 3: the precision of the type
        does not allow the tolerance; 4: the matrix or the preconditioner is not positive definite, or a product is
        not finite. Of several right-hand sides the largest.
    message : str
        The status in words.
    nit : int
        Number of iterations, of several right-hand sides the largest.
    x : ndarray
        The solution, or the best that was found.
    residual_norm : ndarray of float64, shape () or (p,)
        :math:`\|b - A x\|_2`, computed from `x`.
    info : ndarray of int64, shape () or (p,)
        The status of every right-hand side.
    """

    x: NDArray[np.floating]
    residual_norm: NDArray[np.float64]
    info: NDArray[np.int64]


MESSAGES = (
    "converged",
    "the largest number of iterations is reached",
    "stopped by the callback",
    "the tolerance is below what the precision allows",
    "the matrix or the preconditioner is not positive definite, or a product is not finite",
)


def conjugate_gradient(
    A: Any,
    b: ArrayLike,
    *,
    x0: ArrayLike | None = None,
    preconditioner: Any = None,
    tol: float | None = None,
    maxiter: int | None = None,
    n_threads: int | None = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> ConjugateGradientResult:
    r"""
    Preconditioned conjugate gradients for symmetric positive definite systems.

    Solves :math:`A x = b` by products with A alone, for one or several right-hand sides.

    Parameters
    ----------
    A : array_like, sparse array or LinearOperator, shape (n, n)
        A symmetric positive definite matrix. An operator is anything with ``shape``, ``dtype``, ``matmat`` and
        ``rmatmat``, as those of `scipy.sparse.linalg`.
    b : array_like, shape (n,) or (n, p)
        The right-hand sides. Several share the products with A, and each stops by itself.
    x0 : array_like, shape of `b`, optional
        Where to start; by default at 0.
    preconditioner : array_like, sparse array or LinearOperator, shape (n, n), optional
        A symmetric positive definite approximation of the inverse of A.
    tol : float, optional
        Stop when :math:`\|b - A x\|_2 \le tol \|b\|_2`. By default 1e-8, and 1e-4 in float32. With 0 it goes as far as
        the precision allows.
    maxiter : int, optional
        By default 10 n.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(state)`` with an `IterationState` after every iteration; returning True stops.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed. 100 % are
        `maxiter` iterations.
    check_finite : bool, default True
        Check that arrays are finite.

    Returns
    -------
    result : ConjugateGradientResult
        With the solution ``result.x``: float32 when A and b are, float64 otherwise. Not to converge is a status of it
        and no exception. The residual norm in it is that of `x` itself, not of the recurrence.

    Raises
    ------
    ValueError
        If shapes do not match, an option is negative, or an entry is NaN or Inf.
    TypeError
        If an input is complex, masked, or not numeric.

    Notes
    -----
    Each iteration takes a product with A, one with the preconditioner, and some :math:`10 n` operations; after j of
    them the error in the norm of A is at most :math:`2 ((\sqrt c - 1) / (\sqrt c + 1))^j` of what it was, c being the
    condition number of the preconditioned matrix. Inner products are summed in double precision. `b` may lie anywhere
    in the range of its type.

    References
    ----------
    .. [1] M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", Journal of
       Research of the National Bureau of Standards 49 (1952) 409-436.
    .. [2] A. Greenbaum, "Estimating the attainable accuracy of recursively computed residual methods", SIAM Journal on
       Matrix Analysis and Applications 18 (1997) 535-551.

    Examples
    --------
    >>> import nearlinear as nl
    >>> result = nl.linalg.conjugate_gradient([[4, 1], [1, 3]], [1, 2])
    >>> result.x.round(6)
    array([0.090909, 0.636364])
    >>> result.message, result.nit
    ('converged', 2)
    """
    matrix = check_square(check_matrix("A", A, function="conjugate_gradient", check_finite=check_finite))
    n = matrix.shape[0]
    rhs = _inputs.check_array("b", b, ndim=(1, 2), check_finite=check_finite)
    if rhs.shape[0] != n:
        raise ValueError(f"A has shape {matrix.shape} and b has shape {rhs.shape}; b must have a row for each of A")
    dtype = np.result_type(matrix.dtype, rhs)
    x = check_guess("x0", x0, rhs.shape, dtype, check_finite)
    approximate_inverse = None
    if preconditioner is not None:
        checked = check_matrix("preconditioner", preconditioner, function="conjugate_gradient")
        approximate_inverse = check_square(checked, n).operator(dtype)
    several = rhs.ndim == 2
    ask = _inputs.check_callback(callback)

    def each_iteration(nit: int, norms: Sequence[float]) -> object:
        return ask is not None and ask(IterationState(nit, np.array(norms) if several else norms[0]))

    threads = _inputs.check_n_threads(n_threads)
    tolerance = _inputs.check_optional_real("tol", tol)
    most = None if maxiter is None else _inputs.check_int("maxiter", maxiter, minimum=0)
    cols = rhs.shape[1] if several else 1
    with _progress.watch("conjugate_gradient", None, verbose) as keep_going:
        columns = _core.conjugate_gradient(
            tuple(matrix.operator(dtype)),
            np.ascontiguousarray(rhs, dtype=dtype).reshape(n, cols),
            x.reshape(n, cols),
            None if approximate_inverse is None else tuple(approximate_inverse),
            tolerance,
            most,
            n_threads=threads,
            callback=keep_going,
            each_iteration=None if ask is None else each_iteration,
        )
    info = np.array([column[0] for column in columns], dtype=np.int64)
    norms = np.array([column[2] for column in columns], dtype=np.float64)
    status = int(info.max(initial=0))
    return ConjugateGradientResult(
        success=status == 0,
        status=status,
        message=MESSAGES[status],
        nit=max((column[1] for column in columns), default=0),
        x=x,
        residual_norm=norms if several else norms.reshape(()),
        info=info if several else info.reshape(()),
    )
