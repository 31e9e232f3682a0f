"""Least-squares problems by products with their matrix alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result
from nearlinear.linalg._iterations import IterationState, check_guess
from nearlinear.linalg._operators import check_matrix, check_square

__all__ = ["LsqrResult", "lsqr"]


@dataclass(frozen=True, repr=False, eq=False)
class LsqrResult(Result):
    r"""
    What `lsqr` returns. Norms are estimates that the iteration yields, of the damped problem where `damp` is not 0.

    Attributes
    ----------
    success : bool
        Whether a tolerance was reached, which is so for the statuses 0, 1, 2, 4 and 5.
    status : int
        SciPy's ``istop``. 0: the guess is a solution; 1: :math:`A x = b` to `atol` and `btol`; 2: a least-squares
        solution to `atol`; 3: the condition exceeds `conlim`; 4, 5, 6: the same as far as the precision goes; 7:
        `maxiter` iterations were not enough; 8: the callback stopped it; 9: a product is not finite.
    message : str
        The status in words.
    nit : int
        Number of iterations.
    x : ndarray, shape (n,)
        The solution, or the best that was found.
    residual_norm : float
        :math:`\|b - A x\|_2`.
    normal_residual_norm : float
        :math:`\|A^T (b - A x)\|_2`.
    norm : float
        Frobenius norm of the matrix, from below.
    condition : float
        Condition number of the matrix.
    solution_norm : float
        :math:`\|x - x_0\|_2`.
    """

    x: NDArray[np.floating]
    residual_norm: float
    normal_residual_norm: float
    norm: float
    condition: float
    solution_norm: float


MESSAGES = (
    "the guess is a solution",
    "solved A x = b",
    "found a least-squares solution",
    "the condition of the matrix exceeds conlim",
    "solved A x = b as far as the precision allows",
    "found a least-squares solution as far as the precision allows",
    "the condition of the matrix is too large for the precision",
    "the largest number of iterations is reached",
    "stopped by the callback",
    "a product with the matrix is not finite",
)


def lsqr(
    A: Any,
    b: ArrayLike,
    *,
    damp: float = 0.0,
    x0: ArrayLike | None = None,
    preconditioner: Any = None,
    atol: float | None = None,
    btol: float | None = None,
    conlim: float | None = None,
    maxiter: int | None = None,
    n_threads: int | None = None,
    callback: Callable[[IterationState], object] | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> LsqrResult:
    r"""
    Least squares by products with a matrix and its transpose.

    Solves :math:`\min_x \|b - A x\|_2^2 + damp^2 \|x - x_0\|_2^2`; where there are many solutions, it finds the one
    nearest to :math:`x_0`.

    Parameters
    ----------
    A : array_like, sparse array or LinearOperator, shape (m, n)
        A matrix of any rank. An operator is anything with ``shape``, ``dtype``, ``matmat`` and ``rmatmat``, as those of
        `scipy.sparse.linalg`.
    b : array_like, shape (m,)
        The right-hand side.
    damp : float, default 0.0
        Weight of the regularisation.
    x0 : array_like, shape (n,), optional
        Where to start; by default at 0.
    preconditioner : array_like, sparse array or LinearOperator, shape (n, n), optional
        A matrix N with which :math:`A N` is better conditioned than A, as the inverse of an approximate triangular
        factor. `damp` is then a weight of :math:`\|N^{-1} (x - x_0)\|_2`.
    atol, btol : float, optional
        Relative errors of A and of b. Stop when x solves a problem that differs by them from the given one. By default
        1e-8, and 1e-4 in float32.
    conlim : float, optional
        Stop when the condition number of A exceeds it; 0 for no limit. By default 1e8, and 1e4 in float32.
    maxiter : int, optional
        By default 4 n.
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
    result : LsqrResult
        With the solution ``result.x``: float32 when A and b are, float64 otherwise. Not to converge is a status of it
        and no exception.

    Raises
    ------
    ValueError
        If shapes do not match, an option is negative, or an entry is NaN or Inf.
    TypeError
        If an input is complex, masked, or not numeric.

    Notes
    -----
    Each iteration takes a product with A, one with its transpose, and some :math:`3 m + 5 n` operations. The iterates
    are those of conjugate gradients on the normal equations, whose condition is that of A squared, but rounding errors
    are not amplified by the square. Norms are summed in double precision; `b` may lie anywhere in the range of its
    type.

    References
    ----------
    .. [1] C. C. Paige and M. A. Saunders, "LSQR: an algorithm for sparse linear equations and sparse least squares",
       ACM Transactions on Mathematical Software 8 (1982) 43-71.

    Examples
    --------
    >>> import nearlinear as nl
    >>> result = nl.linalg.lsqr([[1, 0], [1, 1], [1, 2]], [6, 0, 0])
    >>> result.x.round(6)
    array([ 5., -3.])
    >>> result.message
    'found a least-squares solution'
    """
    matrix = check_matrix("A", A, function="lsqr", check_finite=check_finite)
    m, n = matrix.shape
    rhs = _inputs.check_array("b", b, ndim=1, check_finite=check_finite)
    if rhs.shape != (m,):
        raise ValueError(f"A has shape {matrix.shape} and b has shape {rhs.shape}; b must have an entry for each row")
    dtype = np.result_type(matrix.dtype, rhs)
    x = check_guess("x0", x0, (n,), dtype, check_finite)
    right = None
    if preconditioner is not None:
        right = check_square(check_matrix("preconditioner", preconditioner, function="lsqr"), n).operator(dtype)
    ask = _inputs.check_callback(callback)

    def each_iteration(progress: Sequence[Any]) -> object:
        return ask is not None and ask(IterationState(progress[1], progress[2]))

    threads = _inputs.check_n_threads(n_threads)
    most = None if maxiter is None else _inputs.check_int("maxiter", maxiter, minimum=0)
    with _progress.watch("lsqr", None, verbose) as keep_going:
        status, nit, *estimates = _core.lsqr(
            tuple(matrix.operator(dtype)),
            np.ascontiguousarray(rhs, dtype=dtype),
            x.reshape(n, 1),
            None if right is None else tuple(right),
            _inputs.check_real("damp", damp),
            _inputs.check_optional_real("atol", atol),
            _inputs.check_optional_real("btol", btol),
            _inputs.check_optional_real("conlim", conlim),
            most,
            n_threads=threads,
            callback=keep_going,
            each_iteration=None if ask is None else each_iteration,
        )
    return LsqrResult(status in (0, 1, 2, 4, 5), status, MESSAGES[status], nit, x, *estimates)
