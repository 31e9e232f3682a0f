"""
The definitions and the paper's recurrences, as slow as they read, and how near to them answers must be.

F = damping I + (1/M) sum over i of g_i g_i^T, with the gradients g_i in the rows of G. M is the number of gradients or
the capacity of a window. Everything is computed in the precision of G; what NumPy's linear algebra has no part in also
works in longdouble.
"""

import numpy as np

EPS = np.finfo(float).eps


def blocks(d, block_size):
    """Return the columns of each block; the last block is narrower when block_size does not divide d."""
    width = d if block_size is None else block_size
    return [slice(start, min(start + width, d)) for start in range(0, d, width)]


def fisher(G, damping, M, *, block_size=None):
    """Return the dense F; with blocks, F is zero outside of them and the damping may differ from block to block."""
    d = G.shape[1]
    F = np.zeros((d, d), G.dtype)
    columns = blocks(d, block_size)
    for block, damping_here in zip(columns, np.broadcast_to(damping, len(columns)), strict=True):
        width = block.stop - block.start
        F[block, block] = damping_here * np.eye(width) + G[:, block].T @ G[:, block] / M
    return F


def power(G, damping, M, x, exponent, *, block_size=None):
    """
    Return F^exponent x by the singular values s and right singular vectors W of G.

    F has the eigenvalues damping + s^2 / M on the columns of W, and damping on what is orthogonal to them.
    """
    result = np.empty_like(x)
    columns = blocks(G.shape[1], block_size)
    for block, damping_here in zip(columns, np.broadcast_to(damping, len(columns)), strict=True):
        _, s, Wt = np.linalg.svd(G[:, block], full_matrices=False)
        change = (damping_here + s**2 / M) ** exponent - damping_here**exponent
        result[block] = damping_here**exponent * x[block] + Wt.T @ (change * (Wt @ x[block]).T).T
    return result


def log_determinant(G, damping, M, *, block_size=None):
    """Return log det F, by the singular values."""
    total = 0.0
    columns = blocks(G.shape[1], block_size)
    for block, damping_here in zip(columns, np.broadcast_to(damping, len(columns)), strict=True):
        s = np.linalg.svd(G[:, block], compute_uv=False)
        undamped = block.stop - block.start - len(s)
        total += np.log(damping_here + s**2 / M).sum() + undamped * np.log(damping_here)
    return total


def cholesky(S):
    """Return the lower triangular L with S = L L^T."""
    L = np.zeros_like(S)
    for j in range(len(S)):
        L[j, j] = np.sqrt(S[j, j] - L[j, :j] @ L[j, :j])
        L[j + 1 :, j] = (S[j + 1 :, j] - L[j + 1 :, :j] @ L[j, :j]) / L[j, j]
    return L


def forward(L, b):
    """Return L^{-1} b."""
    x = np.zeros(b.shape, np.result_type(L, b))
    for i in range(len(L)):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


def backward(L, b):
    """Return L^{-T} b."""
    return forward(L.T[::-1, ::-1], b[::-1])[::-1]


def gram_factor(G, damping, M):
    """Return the Cholesky factor of S = M damping I + G G^T."""
    return cholesky(M * damping * np.eye(len(G), dtype=G.dtype) + G @ G.T)


def product(G, damping, M, x):
    """F^{-1} x = (x - G^T S^{-1} G x) / damping, the identity of Woodbury."""
    L = gram_factor(G, damping, M)
    return (x - G.T @ backward(L, forward(L, G @ x))) / damping


def combination(G, damping, M, a):
    """F^{-1} G^T a = M G^T S^{-1} a, in which nothing cancels (push-through)."""
    L = gram_factor(G, damping, M)
    return M * (G.T @ backward(L, forward(L, a)))


def diagonal(G, damping, M):
    """[F^{-1}]_ii = (1 - sum over k of V_ki^2) / damping with V = L^{-1} G."""
    V = forward(gram_factor(G, damping, M), G)
    return (1 - (V**2).sum(axis=0)) / damping


def preconditioned(rows, damping, M):
    """F^{-1} g for the newest gradient of the window, by the definition in longdouble."""
    newest = np.zeros(len(rows), np.longdouble)
    newest[-1] = 1
    return combination(rows.astype(np.longdouble), damping, M, newest)


def amplification(G, damping, M, *, scaled=True):
    """
    How many times larger than the rounding errors of the Gram matrix the error of damping F^{-1} can be.

    S and the errors E of its entries satisfy |E_ij| <= eps D_i D_j with D = diag(S)^{1/2}. To first order,
    G^T S^{-1} G then changes by G^T S^{-1} E S^{-1} G, of norm at most eps m |D S^{-1} G|^2. For fewer parameters than
    gradients, F itself may be what is factored; damping F^{-1} changes by at most eps d damping |D F^{-1}|^2.
    With scaled=False, the errors have the size of the largest entry everywhere, as those of eigenvalues do.
    """
    m, d = G.shape
    G = G.astype(float)

    def norm(matrix, rhs):
        scale = np.sqrt(np.diag(matrix))
        if not scaled:
            scale[:] = scale.max()
        correlation = matrix / scale / scale[:, None]
        try:
            return np.linalg.norm(np.linalg.solve(correlation, rhs / scale[:, None]), 2)
        except np.linalg.LinAlgError:  # singular when rounded: there is no limit
            return np.inf

    dual = norm(M * damping * np.eye(m) + G @ G.T, G) ** 2
    return max(1.0, dual, damping * norm(fisher(G, damping, M), np.eye(d)) ** 2 if d < m else 0.0)


def relative_bound(G, damping, M=None, *, dtype=np.float64, at_least=1e-13, block_size=None, scaled=True):
    """
    Return what |error of F^{-1} x| damping / |x| may be.

    That is a constant, `at_least` or 2e-7 for float32, where the inverse does not amplify the rounding errors of the
    Gram matrix, which is in float64 for gradients in float32, too. Their products with x may have errors of float32:
    these are amplified by the square root.
    """
    M = len(G) if M is None else M
    columns = blocks(G.shape[1], block_size)
    dampings = np.broadcast_to(damping, len(columns))
    factor = max(
        amplification(G[:, block], damping_here, M, scaled=scaled)
        for block, damping_here in zip(columns, dampings, strict=True)
    )
    if dtype == np.float32:
        at_least = max(at_least, 2e-7 * max(1, np.sqrt(factor) / 10))
    return at_least + 10 * EPS * factor


def assert_columns_close(actual, expected, limit):
    """Compare every column in the Euclidean norm; `limit` is one number or one for each column."""
    assert actual.shape == expected.shape
    error = np.linalg.norm((actual - expected).astype(float), axis=0)
    assert (error <= limit).all(), f"errors of {error}, where {limit} are allowed"


def relative_error(actual, expected):
    return np.linalg.norm((actual - expected).astype(float)) / np.linalg.norm(expected.astype(float))


def static_recurrence(G, damping, M):
    """
    The paper's static algorithm: Sherman-Morrison, one gradient after the other.

    hg_i = F_{i-1}^{-1} g_i, where F_{i-1} holds the gradients before i, and den_i = M + g_i . hg_i.
    """
    hg, den = np.zeros_like(G), np.zeros(len(G), G.dtype)
    for i, g in enumerate(G):
        hg[i] = g / damping
        for j in range(i):
            hg[i] -= hg[j] * (hg[j] @ g) / den[j]
        den[i] = M + g @ hg[i]
    return hg, den


def static_product(hg, den, damping, x):
    out = x / damping
    for h, denominator in zip(hg, den, strict=True):
        out -= h * (h @ x) / denominator
    return out


def static_element(hg, den, damping, i, j):
    return (i == j) / damping - (hg[:, i] * hg[:, j] / den).sum()


def dynamic_recurrence(G, damping, M):
    """
    The paper's dynamic algorithm, which keeps scalar products only.

    D_ij = g_i^T F_{i-1}^{-1} g_j for j >= i, and row i of B says which combination of gradients F_{i-1}^{-1} g_i is.
    """
    m = len(G)
    D = np.triu(G @ G.T) / damping
    B = np.eye(m, dtype=G.dtype) / damping
    for i in range(m):
        for k in range(i):
            factor = D[k, i] / (M + D[k, k])
            D[i, i:] -= factor * D[k, i:]
            B[i] -= factor * B[k]
    return D, B


def dynamic_product(G, D, B, x, *, damping, M):
    q = G @ x / damping
    den = M + np.diag(D)
    for i in range(len(G)):
        for k in range(i):
            q[i] -= D[k, i] / den[k] * q[k]
    return x / damping - (q / den) @ B @ G


def to_bfloat16(x):
    """Return the nearest numbers of 8 significant bits, ties to even."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(mantissa * 2**8) / 2**8, exponent)


def saliency(w, inverse, groups=None):
    """rho_Q = 1/2 w_Q^T ([F^{-1}]_QQ)^{-1} w_Q, for every group Q or for every weight alone."""
    groups = np.arange(len(w))[:, None] if groups is None else groups
    return np.array([w[Q] @ np.linalg.solve(inverse[np.ix_(Q, Q)], w[Q]) / 2 for Q in groups])


def joint_step(w, F, pruned):
    """
    Minimise 1/2 dw^T F dw subject to dw_Q = -w_Q.

    What is free, R, makes the gradient vanish: F_RR dw_R + F_RQ dw_Q = 0.
    """
    Q, R = np.flatnonzero(pruned), np.flatnonzero(~pruned)
    step = np.zeros_like(w)
    step[Q] = -w[Q]
    step[R] = np.linalg.solve(F[np.ix_(R, R)], -F[np.ix_(R, Q)] @ step[Q])
    return step


def independent_step(w, inverse, pruned):
    """Add the updates that prune one weight each, -w_q F^{-1} e_q / [F^{-1}]_qq, and set what is pruned to zero."""
    step = np.zeros_like(w)
    for q in np.flatnonzero(pruned):
        step -= w[q] / inverse[q, q] * inverse[:, q]
    step[pruned] = -w[pruned]
    return step


def loss_increase(F, step):
    return step @ F @ step / 2
