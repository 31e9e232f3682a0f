"""
Entropic optimal transport straight from the mathematics, in float64 and as slow as it reads.

    min  <C, P> + reg * sum P log P    subject to    P 1 = a,  P^T 1 = b,  P >= 0

whose solution is P = exp((f + g - C) / reg) with dual variables f and g; here, mean(f) = 0. Masses are positive, costs
finite or +Inf (a forbidden pair).

Sinkhorn's algorithm: M. Cuturi, "Sinkhorn distances", NeurIPS 2013, in the logarithmic domain of G. Peyre and
M. Cuturi, "Computational optimal transport", 2019, section 4.4. SNS: X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini,
K. K. Thekumparampil, T. Xiao and L. Ying, "Accelerating Sinkhorn algorithm with sparse Newton iterations", ICLR 2024.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.optimize import linprog
from scipy.special import logsumexp


class Solution(NamedTuple):
    f: np.ndarray
    g: np.ndarray
    nit: int
    n_newton: int
    marginal_error: float
    errors: list


def plan(f, g, C, reg):
    """P = exp((f + g - C) / reg)."""
    return np.exp((f[:, None] + g - C) / reg)


def marginal_error(P, a, b):
    """|P 1 - a|_1 + |P^T 1 - b|_1."""
    return np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum()


def objective(P, C, reg):
    """<C, P> + reg * sum P log P, with 0 log 0 = 0 and 0 * Inf = 0."""
    p, c = P[P > 0], C[P > 0]
    return float(c @ p + reg * (p @ np.log(p)))


def cost(P, C):
    """<C, P>, with 0 * Inf = 0."""
    return float(C[P > 0] @ P[P > 0])


def centred(f, g):
    """The same plan's dual variables with mean(f) = 0."""
    shift = f.mean()
    return f - shift, g + shift


def squared_distances(x, y):
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2)


COSTS = {
    "sqeuclidean": squared_distances,
    "euclidean": lambda x, y: np.sqrt(squared_distances(x, y)),
    "cityblock": lambda x, y: np.abs(x[:, None, :] - y[None, :, :]).sum(axis=2),
    "cosine": lambda x, y: 1 - (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1),
}


def sinkhorn(a, b, C, reg, *, tol=1e-12, maxiter=100_000):
    """Alternate f <- reg log a - reg log sum_j exp((g_j - C_ij) / reg) and the same for g."""
    f, g, errors = np.zeros(len(a)), np.zeros(len(b)), []
    nit = 0
    for nit in range(1, maxiter + 1):  # noqa: B007
        f = reg * (np.log(a) - logsumexp((g - C) / reg, axis=1))
        g = reg * (np.log(b) - logsumexp((f[:, None] - C) / reg, axis=0))
        errors.append(float(np.abs(plan(f, g, C, reg).sum(axis=1) - a).sum()))
        if errors[-1] <= tol:
            break
    return Solution(*centred(f, g), nit, 0, marginal_error(plan(f, g, C, reg), a, b), errors)


def solve(a, b, C, reg, *, tol=1e-13, newton=60):
    """
    The solution to (almost) the last digit: Sinkhorn's algorithm while the regularisation comes down, then Newton's
    method on the whole dual. With grad = (a - P 1, b - P^T 1) and Hessian -1/reg [[diag(P 1), P], [P^T, diag(P^T 1)]].
    """
    n = len(a)
    f, g = np.zeros(n), np.zeros(len(b))
    finite = C[np.isfinite(C)]
    level = max(reg, (finite.max() - finite.min()) / 2)
    while True:
        for _ in range(20):
            f = level * (np.log(a) - logsumexp((g - C) / level, axis=1))
            g = level * (np.log(b) - logsumexp((f[:, None] - C) / level, axis=0))
        for _ in range(newton):
            P = plan(f, g, C, level)
            rows, cols = P.sum(axis=1), P.sum(axis=0)
            gradient = np.concatenate([a - rows, b - cols])
            error = np.abs(gradient).sum()
            if error <= (tol if level == reg else 1e-6):
                break
            H = np.block([[np.diag(rows), P], [P.T, np.diag(cols)]]) / level
            step = np.linalg.lstsq(H + 1e-3 * error * np.diag(np.diag(H)), gradient, rcond=1e-15)[0]
            step *= min(1.0, 5 * level / max(np.abs(step).max(), 1e-300))
            for _ in range(20):
                trial = plan(f + step[:n], g + step[n:], C, level)
                if marginal_error(trial, a, b) < error:
                    break
                step /= 2
            else:
                break
            f, g = f + step[:n], g + step[n:]
        if level == reg:
            break
        level = max(reg, level / 2)
    return Solution(*centred(f, g), 0, 0, marginal_error(plan(f, g, C, reg), a, b), [])


def kl(p, q):
    """sum p log(p / q) - p + q, with 0 log 0 = 0."""
    positive = p > 0
    return float((p[positive] * np.log(p[positive] / q[positive])).sum() - p.sum() + q.sum())


def soft_objective(P, a, b, C, *, reg, penalties):
    """The objective and rho KL of both marginals; an infinite rho asks for a marginal that holds."""
    value = objective(P, C, reg)
    for rho, marginal, masses in zip(penalties, (P.sum(axis=1), P.sum(axis=0)), (a, b), strict=True):
        value += rho * kl(marginal, masses) if rho < np.inf else 0.0
    return value


def soft(a, b, C, reg, penalties, *, tol=1e-14, maxiter=200_000):
    """
    Soft marginals: the scaling algorithm of L. Chizat, G. Peyre, B. Schmitzer and F.-X. Vialard, "Scaling algorithms
    for unbalanced optimal transport problems", Mathematics of Computation 87, 2018, in the logarithmic domain.

    With u and v the dual variables, P = exp((u + v - C) / reg - 1), u = rho / (rho + reg) of what makes rows exact.
    Returns the plan.
    """
    shares = [1.0 if rho == np.inf else rho / (rho + reg) for rho in penalties]
    u, v = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(maxiter):
        before = u, v
        u = shares[0] * reg * (np.log(a) - logsumexp((v - C) / reg - 1, axis=1))
        v = shares[1] * reg * (np.log(b) - logsumexp((u[:, None] - C) / reg - 1, axis=0))
        if max(np.abs(u - before[0]).max(), np.abs(v - before[1]).max()) <= tol * reg:
            break
    return np.exp((u[:, None] + v - C) / reg - 1)


def barycenter(A, C, reg, weights, *, tol=1e-12, maxiter=100_000):
    """
    Iterative Bregman projections: J.-D. Benamou, G. Carlier, M. Cuturi, L. Nenna and G. Peyre, "Iterative Bregman
    projections for regularized transportation problems", SIAM Journal on Scientific Computing 37, 2015, section 3.2, in
    the logarithmic domain. Returns the masses.
    """
    g = np.zeros((len(A), C.shape[1]))
    for _ in range(maxiter):
        f = [reg * (np.log(a) - logsumexp((row - C) / reg, axis=1)) for a, row in zip(A, g, strict=True)]
        sums = np.array([logsumexp((u[:, None] + row - C) / reg, axis=0) for u, row in zip(f, g, strict=True)])
        mean = weights @ sums
        g = g + reg * (mean - sums)
        if (weights @ np.abs(np.exp(sums) - np.exp(mean))).sum() <= tol:
            break
    return np.exp(mean) / np.exp(mean).sum()


def largest_entries(P, count):
    """P where it is among the `count` largest entries, 0 elsewhere."""
    kept = np.zeros_like(P)
    index = np.argsort(P, axis=None)[::-1][:count]
    kept.flat[index] = P.flat[index]
    return kept


def sns(a, b, C, reg, *, density, warmup=20, tol=1e-9, maxiter=200):
    """
    Sinkhorn-Newton-Sparse: `warmup` sweeps of Sinkhorn's algorithm, then Newton's method on the whole dual, whose
    Hessian is reg^-1 [[diag(P 1), P], [P^T, diag(P^T 1)]] with the ceil(density * n * m) largest entries of P alone.
    """
    n, m = C.shape
    f, g, errors = np.zeros(n), np.zeros(m), []

    def potential(f, g):
        return f @ a + g @ b - reg * plan(f, g, C, reg).sum()

    for _ in range(warmup):
        f = f + reg * (np.log(a) - logsumexp((f[:, None] + g - C) / reg, axis=1))
        g = g + reg * (np.log(b) - logsumexp((f[:, None] + g - C) / reg, axis=0))
        errors.append(marginal_error(plan(f, g, C, reg), a, b))
    newton = 0
    while errors[-1] > tol and newton < maxiter:
        P = plan(f, g, C, reg)
        kept = largest_entries(P, int(np.ceil(density * n * m)))
        gradient = np.concatenate([a - P.sum(axis=1), b - P.sum(axis=0)])
        M = np.block([[np.diag(P.sum(axis=1)), kept], [kept.T, np.diag(P.sum(axis=0))]]) / reg
        step = conjugate_gradient(M, gradient, 1e-3 * np.linalg.norm(gradient))
        size = first = min(1.0, 20 * reg / np.abs(step).max())  # beyond it, exponentials overflow
        before = potential(f, g)
        while size > 1e-10:
            here = potential(f + size * step[:n], g + size * step[n:])
            error = marginal_error(plan(f + size * step[:n], g + size * step[n:], C, reg), a, b)
            if here >= before + 1e-4 * size * (gradient @ step) or (error < 0.7 * errors[-1] and size == first):
                break
            size /= 2
        f, g = f + size * step[:n], g + size * step[n:]
        newton += 1
        errors.append(marginal_error(plan(f, g, C, reg), a, b))
    return Solution(*centred(f, g), warmup + newton, newton, errors[-1], errors)


def conjugate_gradient(M, b, tol):
    """Conjugate gradients with the diagonal as preconditioner, from 0."""
    x, r = np.zeros_like(b), b.copy()
    z = r / np.diag(M)
    p, rho = z.copy(), r @ z
    for _ in range(10 * len(b)):
        if np.linalg.norm(r) <= tol:
            break
        q = M @ p
        alpha = rho / (p @ q)
        x, r = x + alpha * p, r - alpha * q
        z = r / np.diag(M)
        rho, previous = r @ z, rho
        p = z + rho / previous * p
    return x


def linear_program(a, b, C):
    """The least cost by HiGHS, or None where there is no plan."""
    n, m = C.shape
    allowed = np.isfinite(C).ravel()
    rows = scipy.sparse.kron(scipy.sparse.eye_array(n), np.ones((1, m)))
    cols = scipy.sparse.kron(np.ones((1, n)), scipy.sparse.eye_array(m))
    constraints = scipy.sparse.vstack([rows, cols], format="csc")[:, allowed]
    answer = linprog(C.ravel()[allowed], A_eq=constraints, b_eq=np.concatenate([a, b]), method="highs")
    return answer.fun if answer.status == 0 else None
