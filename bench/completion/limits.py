"""What no method can do: complete what the known entries do not determine, or see through their noise."""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from bench.completion.problems import Instance, inner

ACCURACY = 1e-7  # of LSQR's residuals
DEFICIENT = 1e-12  # an eigenvalue, relative to the mean of all
STEPS = 8  # of inverse iteration


def noise_limit(instance: Instance) -> float:
    """
    Return the held-out error of least squares, linearised at U and V, for the noise that X has.

    That of a fit is the same but for terms of the second order in the noise.
    """
    n, k = instance.n, instance.k
    noise = instance.X.data - inner(instance.U, instance.V, *instance.observed)
    solution = scipy.sparse.linalg.lsqr(_jacobian(instance), noise, atol=ACCURACY, btol=ACCURACY, iter_lim=20 * n)[0]
    dU, dV = solution.reshape(2, n, k)
    rows, cols = instance.rows, instance.cols
    return float(
        np.linalg.norm(inner(dU, instance.V, rows, cols) + inner(instance.U, dV, rows, cols))
        / np.linalg.norm(instance.values)
    )


def is_identifiable(instance: Instance) -> bool:
    """
    Say whether every change of U V^T within its rank, to first order, changes some of the known entries.

    Changes dU are eliminated row by row; each row has at least k entries. What remains is S = sum_i P_i (x) u_i u_i^T,
    where P_i, on the columns known in row i, projects to the complement of what V has there. The null space of S has
    all dV = V W, which leave U V^T as it is; it must have no more: S is positive definite when it is lifted there.
    """
    n, k, X = instance.n, instance.k, instance.X
    S = np.zeros((n, k, n, k))
    for i, u in enumerate(instance.U):
        known = X.indices[X.indptr[i] : X.indptr[i + 1]]
        Q = np.linalg.qr(instance.V[known]).Q
        P = np.eye(len(known)) - Q @ Q.T
        S[known[:, np.newaxis], :, known, :] += P[:, :, np.newaxis, np.newaxis] * np.outer(u, u)
    scale = np.einsum("irir->", S) / (n * k)
    Q = np.linalg.qr(instance.V).Q
    lift = scale * (Q @ Q.T)
    for r in range(k):
        S[:, r, :, r] += lift
    return bool(_smallest_eigenvalue(S.reshape(n * k, n * k)) > DEFICIENT * scale)


def _smallest_eigenvalue(S: Any) -> float:
    """Return that of a positive definite matrix, which is overwritten; 0 if it is not positive definite."""
    try:
        factor = scipy.linalg.cho_factor(S, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return 0.0
    x, length = np.random.default_rng(0).standard_normal(len(S)), 1.0
    for _ in range(STEPS):
        x = scipy.linalg.cho_solve(factor, x / np.linalg.norm(x), check_finite=False)
        length = float(np.linalg.norm(x))
    return 1 / length


def _jacobian(instance: Instance) -> Any:
    """Return the derivatives of the entries of X by those of U, row by row, and then of V."""
    n, k = instance.n, instance.k
    rows, cols = (np.asarray(lines, dtype=np.int64)[:, np.newaxis] * k for lines in instance.observed)
    columns = np.hstack([rows + np.arange(k), n * k + cols + np.arange(k)]).astype(np.int32)
    i, j = instance.observed
    values = np.hstack([instance.V[j], instance.U[i]])
    ends = np.arange(len(i) + 1, dtype=np.int64) * 2 * k
    return scipy.sparse.csr_array((values.ravel(), columns.ravel(), ends), shape=(len(i), 2 * n * k))
