"""What the observed entries determine: the tangent space of matrices of low rank, and the bound for noise."""

import numpy as np

from tests.completion.reference import Array, Mask, jacobian


def orthonormal(U: Array) -> Array:
    """A basis of the columns: the tangent space at U V^T depends on nothing else, but the condition of J does."""
    return np.asarray(np.linalg.qr(U)[0])


def jacobian_rank(U: Array, V: Array, mask: Mask) -> int:
    """
    Rank of the derivative of (U, V) -> P_Omega(U V^T) at U and V of full column rank, up to 1e-9.

    At most k (m + n - k), the dimension of the matrices of rank k; if it is that, none other near U V^T has the same
    observed entries. A. Singer and M. Cucuringu, "Uniqueness of low-rank matrix completion by rigidity theory", SIAM
    Journal on Matrix Analysis and Applications 31, 2010.
    """
    s = np.linalg.svd(jacobian(orthonormal(U), orthonormal(V), mask).toarray(), compute_uv=False)
    return int((s > 1e-9 * s.max(initial=0.0)).sum())


def information_about_right_factor(U: Array, V: Array, mask: Mask) -> Array:
    """
    Schur complement of J^T J with respect to V, n k x n k, and V V^T (x) I, for orthonormal U and V.

    Row i's entries u_i^T v_j say about V what is left of them for every u_i: with the projector M_i onto the complement
    of the columns of V_i, the rows of V in Omega_i, the complement is the sum of M_i (x) u_i u_i^T. It is 0 along V K
    for every k x k matrix K, as U V^T + U (V K)^T - (U K^T) V^T is U V^T; the second term holds V in place there, and
    nothing that U V^T determines depends on it.
    """
    n, k = V.shape
    S = np.kron(V @ V.T, np.eye(k)).reshape(n, k, n, k)
    for u, seen in zip(U, mask, strict=True):
        M = np.eye(seen.sum()) - V[seen] @ np.linalg.pinv(V[seen])
        j, every = np.flatnonzero(seen), np.arange(k)
        S[np.ix_(j, every, j, every)] += np.einsum("jl,a,b->jalb", M, u, u)
    return np.asarray(S.reshape(n * k, n * k))


def identifiable(U: Array, V: Array, mask: Mask) -> bool:
    """
    Whether jacobian_rank() is k (m + n - k): every V_i has rank k and the Schur complement is positive definite.

    Much faster, but as it squares J, singular values below 1e-6 count as 0.
    """
    U, V = orthonormal(U), orthonormal(V)
    if any(np.linalg.matrix_rank(V[seen], tol=1e-6) < V.shape[1] for seen in mask):
        return False
    S = information_about_right_factor(U, V, mask)
    try:
        np.linalg.cholesky(S - 1e-12 * np.eye(len(S)))
    except np.linalg.LinAlgError:
        return False
    return True


def cramer_rao_rmse(U: Array, V: Array, mask: Mask, sigma: float, wanted: Mask | None = None) -> float:
    """
    Lower bound on the RMSE over `wanted` (by default, whatever is not observed) of unbiased estimates of U V^T from
    entries with independent noise N(0, sigma^2): sigma (mean over entries e of j_e^T (J^T J)^+ j_e)^(1/2), with j_e the
    gradient of e. Infinite where the matrix is not identifiable.

    The variance of entry (i, j) is that of u_i^T v_j for given V, f_j^T f_j with f_j^T = v_j^T V_i^+, and that of
    u_i^T (dv_j - sum over l in Omega_i of f_jl dv_l), what V's error makes of it; dv has the inverse Schur complement
    as its covariance. Z. Tang and A. Nehorai, "Lower bounds on the mean-squared error of low-rank matrix
    reconstruction", IEEE Transactions on Signal Processing 59, 2011.
    """
    wanted = ~mask if wanted is None else wanted
    if not wanted.any():
        return 0.0
    if not identifiable(U, V, mask):
        return np.inf
    U, V = orthonormal(U), orthonormal(V)
    n, k = V.shape
    covariance = np.linalg.inv(information_about_right_factor(U, V, mask)).reshape(n, k, n, k)
    total = 0.0
    for u, seen, asked in zip(U, mask, wanted, strict=True):
        if asked.any():
            f = V[asked] @ np.linalg.pinv(V[seen])
            through_V = np.eye(n)[asked]
            through_V[:, seen] -= f
            along_u = np.einsum("jlb,b->jl", np.einsum("jalb,a->jlb", covariance, u), u)
            total += float((f * f).sum() + ((through_V @ along_u) * through_V).sum())
    return float(sigma * np.sqrt(total / wanted.sum()))
