"""
Optimal transport with sparsity constraints, straight from the mathematics and as slow as it reads.

    min  <C, P> + reg/2 |P|^2    subject to    P 1 = a,  P^T 1 = b,  P >= 0,  at most k entries in each column

T. Liu, J. Puigcerver and M. Blondel, "Sparsity-constrained optimal transport", ICLR 2023.
"""

import itertools

import numpy as np
import scipy.sparse
from scipy.optimize import Bounds, LinearConstraint, milp, nnls


def project_onto_simplex(x, total):
    """The nearest t >= 0 with the sum `total`: [x - tau]_+ for the tau that gives it."""
    descending = np.sort(x)[::-1]
    taus = (np.cumsum(descending) - total) / np.arange(1, len(x) + 1)
    return np.maximum(x - taus[np.flatnonzero(descending > taus)[-1]], 0)


def best_line(x, total, reg, k):
    """min -<x, t> + reg/2 |t|^2 over t >= 0 with the sum `total` and at most k entries: over all supports."""
    best = np.inf, None
    for support in itertools.combinations(range(len(x)), min(k, len(x))):
        t = np.zeros(len(x))
        t[list(support)] = project_onto_simplex(x[list(support)] / reg, total)
        best = min(best, (-x @ t + reg / 2 * t @ t, tuple(t)))
    return best[0], np.array(best[1])


def semi_dual(f, a, b, C, reg, k):  # noqa: PLR0917
    """F(f), a lower bound, and the plan that it implies: columns sum to b, rows to a only at the maximum, or never."""
    lines = [best_line(f - C[:, j], b[j], reg, k) for j in range(len(b))]
    return a @ f + sum(value for value, _ in lines), np.array([t for _, t in lines]).T


def dual(f, g, a, b, C, reg, k):  # noqa: PLR0917
    """a f + b g - sum_j 1/(2 reg) |the k largest of [f + g_j - C_j]_+|^2."""
    slacks = np.sort(np.maximum(f[:, None] + g - C, 0), axis=0)[::-1]
    return a @ f + b @ g - (slacks[:k] ** 2).sum() / (2 * reg)


def value(P, C, reg):
    return C[P > 0] @ P[P > 0] + reg / 2 * (P**2).sum()


def best_plan(a, b, C, reg, k, heavy=1e4):  # noqa: PLR0917
    """The least value over all choices of k pairs per column, by non-negative least squares; inf if there is none."""
    n, m = C.shape
    rows, cols = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    matrix = np.vstack([np.eye(n * m), heavy * rows, heavy * cols])
    target = np.concatenate([-C.ravel() / reg, heavy * np.concatenate([a, b])])
    best = np.inf
    for supports in itertools.product(itertools.combinations(range(n), k), repeat=m):
        allowed = np.zeros((n, m), dtype=bool)
        for j, support in enumerate(supports):
            allowed[list(support), j] = True
        p, _ = nnls(matrix[:, allowed.ravel()], target)
        P = np.zeros((n, m))
        P[allowed] = p
        if np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum() < 1e-4:
            best = min(best, value(P, C, reg))
    return best


def has_plan(a, b, k, time_limit=20.0):
    """Whether some plan has at most k entries per column, by a mixed-integer program; None if that is not known."""
    n, m = len(a), len(b)
    rows, cols = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    nothing = np.zeros((n, n * m)), np.zeros((m, n * m))
    limits = np.minimum(a[:, None], b).ravel()
    found = milp(
        np.zeros(2 * n * m),
        integrality=np.repeat([0, 1], n * m),
        bounds=Bounds(0, np.concatenate([limits, np.ones(n * m)])),
        constraints=[
            LinearConstraint(np.hstack([rows, nothing[0]]), a - 1e-12, a + 1e-12),
            LinearConstraint(np.hstack([cols, nothing[1]]), b - 1e-12, b + 1e-12),
            LinearConstraint(np.hstack([nothing[1], cols]), -np.inf, k),
            LinearConstraint(scipy.sparse.hstack([scipy.sparse.eye(n * m), -scipy.sparse.diags(limits)]), -np.inf, 0),
        ],
        options={"time_limit": time_limit},
    )
    return {0: True, 2: False}.get(found.status)
