"""Regression in the maximum norm, by SciPy's linear programming."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def minimax(A: Any, b: NDArray[np.float64], tol: float) -> tuple[NDArray[np.float64], int, float, float, int]:
    r"""
    Solve :math:`\min_x |A x - b|_\infty`, A an array or a csr_array; return x, status, norm, gap and iterations.

    By the dual problem, which has one row for each column of A, and not two for each row, in an orthonormal basis Q
    of what the columns of a dense A span:

        max b^T v    with    Q^T v = 0,    |v|_1 <= 1,    v = v_+ - v_-

    The multipliers of Q^T v = 0 are -u. Columns of A and b are scaled, because HiGHS's tolerances are absolute.
    """
    n, d = A.shape
    size = float(abs(b).max()) if n > 0 else 0.0
    if size == 0:
        return np.zeros(d), 0, 0.0, 0.0, 0
    lengths = _column_maxima(A)
    columns, back = _basis(_divide_columns(A, lengths))
    rhs = b / size
    rounding = 16 * np.finfo(np.float64).eps * (1 + max(n, d) ** 0.5)  # of a residual
    x = _least_squares(columns, rhs)
    norm, gap, nit, is_out_of_iterations = float(abs(columns @ x - rhs).max()), 1.0, 0, False
    for _ in range(2):  # the residual of what is known, and what the tolerances of the first solution have left
        residual = rhs - columns @ x
        scale = float(abs(residual).max())
        if scale <= rounding:  # all equations hold
            gap = 0.0
            break
        v, correction, more, is_out_of_iterations = _solve_dual(columns, residual / scale, min(max(tol, 1e-10), 1e-7))
        nit += more
        found = float(abs(columns @ (x + scale * correction) - rhs).max())
        if found <= norm:
            x, norm = x + scale * correction, found
        weight = float(abs(v).sum())
        lower = max(0.0, float(residual @ v)) / weight if weight > 0 else 0.0
        gap = 0.0 if norm - lower <= rounding else min(gap, 1 - lower / norm)
        if gap <= tol:
            break
    status = 0 if gap <= tol else 1 if is_out_of_iterations else 2
    return back(x) / lengths * size, status, norm * size, gap, nit


def _basis(A: Any) -> tuple[Any, Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    """Return an orthonormal basis Q of what A's columns span, and what makes x of u, A x = Q u. Sparse: A itself."""
    import scipy.linalg
    import scipy.sparse

    if scipy.sparse.issparse(A):
        return A, lambda u: u
    U, s, Vt = scipy.linalg.svd(A, full_matrices=False, check_finite=False)
    rank = int((s > 15 * np.finfo(np.float64).eps * s[0]).sum())
    return U[:, :rank], lambda u: Vt[:rank].T @ (u / s[:rank])


def _least_squares(Q: Any, b: NDArray[np.float64]) -> NDArray[np.float64]:
    import scipy.sparse
    from scipy.sparse.linalg import lsmr

    if scipy.sparse.issparse(Q):
        return np.asarray(lsmr(Q, b, atol=1e-15, btol=1e-15)[0], dtype=np.float64)
    first = Q.T @ b
    return np.asarray(first + Q.T @ (b - Q @ first), dtype=np.float64)


def _solve_dual(
    A: Any, b: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, bool]:
    """Return v with A^T v = 0 to rounding, x, iterations, and whether there were too many."""
    import scipy.sparse
    from scipy.optimize import linprog

    n, d = A.shape
    side_by_side = scipy.sparse.hstack if scipy.sparse.issparse(A) else np.hstack
    answer = linprog(
        np.concatenate([-b, b]),
        A_ub=np.ones((1, 2 * n)),
        b_ub=[1.0],
        A_eq=side_by_side([A.T, -A.T]),
        b_eq=np.zeros(d),
        options={"primal_feasibility_tolerance": tolerance, "dual_feasibility_tolerance": tolerance},
    )
    is_out_of_iterations = answer.status == 1
    if answer.x is None or answer.eqlin.marginals is None:
        return np.zeros(n), np.zeros(d), int(answer.nit), is_out_of_iterations
    v = answer.x[:n] - answer.x[n:]
    if not scipy.sparse.issparse(A):  # whose columns are orthonormal
        v -= A @ (A.T @ v)
    elif (support := np.flatnonzero(v)).size > 0:  # d + 1 rows as a rule
        some = A[support].toarray()
        v[support] -= some @ np.linalg.lstsq(some, v[support], rcond=None)[0]
    return v, -np.asarray(answer.eqlin.marginals, dtype=np.float64), int(answer.nit), is_out_of_iterations


def _column_maxima(A: Any) -> NDArray[np.float64]:
    """Return the largest magnitude in every column, 1 for columns of zeros."""
    maxima = abs(A).max(axis=0)
    maxima = maxima.toarray().ravel() if hasattr(maxima, "toarray") else maxima
    return np.where(maxima > 0, maxima, 1.0)


def _divide_columns(A: Any, lengths: NDArray[np.float64]) -> Any:
    import scipy.sparse

    if not scipy.sparse.issparse(A):
        return A / lengths
    return scipy.sparse.csr_array(A @ scipy.sparse.diags(1 / lengths))
