"""Leverage scores in long double, by which others are judged."""

from typing import Any

import numpy as np
import scipy.sparse

from bench.sketch.accuracy import triangular_factor

BLOCK = 512  # rows at a time in long double
QR_BLOCK = 10_000  # and in a factorisation


def leverage_scores(A: Any, rows: Any) -> Any:
    """
    Return the scores of some rows, rounded.

    Scores of A are those of A M for every M that is not singular. A dense A is multiplied with the inverse of R of its
    QR factorisation, so that A M is well conditioned whatever A is; the columns of a sparse one are brought to one
    length. What is lost is the rounding of this product in long double, relative to the condition number.
    """
    gram, checked = _of_sparse(A, rows) if scipy.sparse.issparse(A) else _of_dense(A, rows)
    white = inner(checked, lower_inverse(cholesky(gram)))
    return (white * white).sum(axis=1).astype(np.float64)


def relative_error(scores: Any, expected: Any) -> float:
    return float(np.abs(scores / expected - 1).max())


def _of_dense(A: Any, rows: Any) -> tuple[Any, Any]:
    """Return the Gram matrix of A M, and rows of A M, M the inverse of R."""
    size = max(QR_BLOCK, 4 * A.shape[1])
    R = triangular_factor(A[i : i + size] for i in range(0, len(A), size))
    transposed = lower_inverse(R.T.astype(np.longdouble))
    gram = np.zeros(R.shape, np.longdouble)
    for begin in range(0, len(A), BLOCK):
        part = inner(A[begin : begin + BLOCK], transposed)
        gram += inner(part.T, part.T)
    return gram, inner(A[rows], transposed)


def _of_sparse(A: Any, rows: Any) -> tuple[Any, Any]:
    lengths = np.sqrt(np.bincount(A.indices, np.square(A.data), A.shape[1])).astype(np.longdouble)

    def scaled(part: Any) -> Any:
        exact = part.astype(np.longdouble)
        exact.data /= lengths[exact.indices]
        return exact

    whole = scaled(A)
    return (whole.T @ whole).toarray(), scaled(A[rows]).toarray()


def inner(X: Any, Y: Any) -> Any:
    """Return X Y' in long double, which NumPy multiplies at a bearable speed if rows of both are contiguous."""
    return np.ascontiguousarray(X, np.longdouble) @ np.ascontiguousarray(Y, np.longdouble).T


def cholesky(gram: Any) -> Any:
    """Return the lower triangular factor, in long double, for which LAPACK has none."""
    L = gram.copy()
    for j in range(len(L)):
        L[j:, j] /= np.sqrt(L[j, j])
        L[j + 1 :, j + 1 :] -= np.outer(L[j + 1 :, j], L[j + 1 :, j])
    return np.tril(L)


def lower_inverse(L: Any) -> Any:
    inverse = np.zeros_like(L)
    for j in range(len(L)):
        inverse[j] = -(L[j, :j] @ inverse[:j])
        inverse[j, j] += 1
        inverse[j] /= L[j, j]
    return inverse
