"""
Scores, weights and distortions of row sampling straight from their definitions, as slow as they read.

With a_i the rows of A, n x d:

    leverage scores      tau_i = max over x of (a_i x)^2 / |A x|_2^2
    sensitivities        s_i = max over x of |a_i x|^p / |A x|_p^p
    Lewis weights        w_i = tau_i(W^(1/2 - 1/p) A)

All of them depend on the column space of A alone. So A is first replaced by an orthonormal basis of that space, in
extended precision, and neither scale nor condition of A plays a part in what follows.

Sensitivities and regression are both min over u of |c + M u|_p with orthonormal columns in M, whose dual is

    max c^T y / |y|_q   subject to   M^T y = 0,   1/p + 1/q = 1,

so that any u and any such y enclose the value. Linear programs (p = 1 and infinity) go to HiGHS, the rest to Newton's
method. M. B. Cohen and R. Peng, "l_p row sampling by Lewis weights", STOC 2015; D. P. Woodruff and T. Yasuda, "Sharper
bounds for l_p sensitivity sampling", ICML 2023.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize_scalar
from scipy.special import expit

Array = NDArray[np.float64]
Extended = NDArray[np.longdouble]

HIGHS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Loss(NamedTuple):
    """rho and its first two derivatives, entry by entry."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array]


class Regression(NamedTuple):
    """x, value = |A x - b|_p, and a lower bound on the least value (but for the rounding of x)."""

    x: Array
    value: float
    lower: float


LOSSES = {
    "huber": Loss(
        lambda r: np.where(np.abs(r) <= 1, r * r / 2, np.abs(r) - 0.5),
        lambda r: np.clip(r, -1, 1),
        lambda r: (np.abs(r) <= 1).astype(float),
    ),
    "logistic": Loss(lambda r: np.logaddexp(0, r), expit, lambda r: expit(r) * expit(-r)),
}


def smoothed_power(p: float, width: float) -> Loss:
    """(r^2 + width^2)^(p/2) / p."""

    def square(r: Array) -> Array:
        return np.asarray(r * r + width * width)

    return Loss(
        lambda r: square(r) ** (p / 2) / p,
        lambda r: r * square(r) ** (p / 2 - 1),
        lambda r: square(r) ** (p / 2 - 1) * (1 + (p - 2) * r * r / np.maximum(square(r), 1e-300)),
    )


def norm(r: Array, p: float) -> float:
    """|r|_p; nothing overflows."""
    largest = float(np.abs(r).max(initial=0.0))
    if largest == 0 or p == np.inf:
        return largest
    return float(largest * ((np.abs(r) / largest) ** p).sum() ** (1 / p))


# Column spaces


def equilibrated(A: Array) -> tuple[Array, NDArray[np.intc]]:
    """A with columns divided by powers of two, the largest entries in [1/2, 1), and the exponents."""
    exponents = np.frexp(np.abs(A).max(axis=0))[1]
    return np.ldexp(A, -exponents), exponents


def gram_schmidt(X: Extended, V: Extended) -> tuple[Extended, Extended]:
    """Q = X C with orthonormal columns, C upper triangular, and V C; every column is made orthogonal twice."""
    Q, VC = np.zeros_like(X), np.zeros_like(V)
    for j in range(X.shape[1]):
        x, v = X[:, j], V[:, j]
        for _ in range(2):
            along = Q[:, :j].T @ x
            x, v = x - Q[:, :j] @ along, v - VC[:, :j] @ along
        size = np.sqrt(x @ x)
        Q[:, j], VC[:, j] = x / size, v / size
    return Q, VC


def basis(A: Array) -> tuple[Array, Extended]:
    """
    Z = A T with orthonormal columns that span those of A.

    The singular value decomposition of the equilibrated A only decides the rank and chooses combinations of columns;
    any that are independent will do, so that its errors are harmless.
    """
    scaled, exponents = equilibrated(A)
    _, s, Vt = np.linalg.svd(scaled, full_matrices=False)
    rank = int((s > max(A.shape) * np.finfo(float).eps * s[0]).sum())
    V = Vt[:rank].T.astype(np.longdouble)
    Z, T = gram_schmidt(scaled.astype(np.longdouble) @ V, V)
    return Z.astype(float), np.ldexp(T, -exponents[:, np.newaxis])


# Leverage scores and Lewis weights


def leverage_scores(A: Array, ridge: float = 0.0, rcond: float | None = None) -> Array:
    """
    tau_i = a_i^T (A^T A + ridge I)^+ a_i, the squared norms of the rows of U in (A; sqrt(ridge) I) = U S V^T.

    Singular values up to rcond times the largest count as 0; by default, those of the matrix with equilibrated columns.
    """
    n, d = A.shape
    stacked = np.vstack([A, np.sqrt(ridge) * np.eye(d)]) if ridge > 0 else A
    if rcond is None:
        stacked, rcond = equilibrated(stacked)[0], max(n, d) * np.finfo(float).eps
    U, s, _ = np.linalg.svd(stacked, full_matrices=False)
    return np.asarray((U[:n, s > rcond * s[0]] ** 2).sum(axis=1))


def leverage_scores_longdouble(A: Array) -> Array:
    """The squared norms of the rows of Q in A = Q R, in extended precision, for A of full column rank."""
    X = equilibrated(A)[0].astype(np.longdouble)
    Q, _ = gram_schmidt(X, np.zeros((0, A.shape[1]), np.longdouble))
    return np.asarray((Q * Q).sum(axis=1).astype(float))


def reweighted_leverage(Z: Array, p: float, w: Array) -> Array:
    """tau(W^(1/2 - 1/p) Z) for Z of full column rank; the second QR repairs what uneven rows do to the first."""
    X = w[:, np.newaxis] ** (0.5 - 1 / p) * Z
    for _ in range(2):
        R = np.linalg.qr(X, mode="r")
        X = scipy.linalg.solve_triangular(R, X.T, trans="T").T
    return np.asarray((X * X).sum(axis=1))


def lewis_weights(A: Array, p: float, tol: float = 1e-12, maxiter: int = 10_000) -> Array:
    """
    The fixed point of w = tau(W^(1/2 - 1/p) A) by w <- w^(1 - a) tau^a with a = min(1, p/2), which always converges.

    p < 2: w <- (a_i^T (A^T W^(1 - 2/p) A)^-1 a_i)^(p/2) contracts log w by 1 - p/2. p > 2: in v = w^(1 - 2/p), w is the
    maximum of log det(A^T V A) - (1 - 2/p) sum v^(p/(p - 2)). The determinant is convex in log v with the gradient tau;
    the maximum of its tangent less the sum is at w = tau, so that every step goes up. The local rate is 1 - 2/p.
    """
    nonzero = A.any(axis=1)
    Z = basis(A)[0][nonzero]
    a = min(1.0, p / 2)
    w = (Z * Z).sum(axis=1)
    for _ in range(maxiter):
        tau = reweighted_leverage(Z, p, w)
        if np.abs(tau / w - 1).max(initial=0.0) <= tol:
            break
        w = w ** (1 - a) * tau**a
    weights = np.zeros(len(A))
    weights[nonzero] = w
    return weights


def lewis_certificate(A: Array, p: float, w: Array) -> float:
    """max |tau_i(W^(1/2 - 1/p) A) / w_i - 1| over the rows of A that are not 0."""
    nonzero = A.any(axis=1)
    if not (w[nonzero] > 0).all():
        return np.inf
    tau = reweighted_leverage(basis(A)[0][nonzero], p, w[nonzero])
    return float(np.abs(tau / w[nonzero] - 1).max(initial=0.0))


# Convex programs over u


def newton(M: Array, c: Array, u: Array, loss: Loss, maxiter: int = 500) -> tuple[Array, Array]:
    """
    min over u of sum rho(c + M u), by damped Newton steps du with line search.

    Also returns y = rho'(r) + rho''(r) * (M du) at the last of them, for which M^T y = 0 but for the damping.
    """
    r, y = c + M @ u, np.zeros_like(c)
    for _ in range(maxiter):
        value, slope, curvature = loss.value(r).sum(), loss.slope(r), loss.curvature(r)
        gradient = M.T @ slope
        H = (M.T * curvature) @ M
        damping = 1e-3 * np.linalg.norm(gradient) / max(1.0, np.abs(r).max()) + 1e-15 * np.trace(H) + 1e-300
        step = -np.linalg.solve(H + damping * np.eye(len(H)), gradient)
        move = M @ step
        y = slope + curvature * move
        decrement, size = -(gradient @ step), 1.0
        if decrement <= 1e-15 * value:
            break
        while size > 1e-12 and loss.value(r + size * move).sum() > value - 1e-4 * size * decrement:
            size /= 2
        if size <= 1e-12:
            break
        u = u + size * step
        r = c + M @ u
    return u, y


def box_program(M: Array, c: Array, low: float) -> tuple[Array, Array]:
    """min over u of sum max(r, low * r), r = c + M u; dual: max c^T y subject to M^T y = 0, low <= y <= 1."""
    answer = linprog(-c, A_eq=M.T, b_eq=np.zeros(M.shape[1]), bounds=(low, 1), method="highs", options=HIGHS)
    assert answer.status == 0, answer.message
    return answer.eqlin.marginals, answer.x


def minimax_program(M: Array, c: Array) -> tuple[Array, Array]:
    """min over u of |c + M u|_inf; dual: max c^T y subject to M^T y = 0, |y|_1 <= 1, with y = y_+ - y_-."""
    n, k = M.shape
    both, ones = np.hstack([M.T, -M.T]), np.ones((1, 2 * n))
    answer = linprog(
        np.concatenate([-c, c]), A_ub=ones, b_ub=[1], A_eq=both, b_eq=np.zeros(k), method="highs", options=HIGHS
    )
    assert answer.status == 0, answer.message
    return answer.eqlin.marginals, answer.x[:n] - answer.x[n:]


def least_norm(M: Array, c: Array, p: float) -> tuple[Array, float, float]:
    """
    min over u of |c + M u|_p, M with orthonormal columns: returns u, a lower bound on the minimum and |c + M u|_p.

    For 1 < p < 2 the power is smoothed, as its second derivative is infinite at 0, and the width goes down to 1e-12.
    """
    u = -(M.T @ c)
    start = c + M @ u
    scale = np.abs(start).max()
    if M.shape[1] == 0 or scale <= 1e-14 * np.abs(c).max():
        value = norm(start, p)
        return u, value if M.shape[1] == 0 else 0.0, value
    r = start / scale
    best, lower, upper = np.zeros_like(u), 0.0, norm(r, p)
    change = best
    for width in 10.0 ** -np.arange(1, 13) if 1 < p < 2 else [0.0]:
        if p == 1:
            change, y = box_program(M, r, -1.0)
        elif p == np.inf:
            change, y = minimax_program(M, r)
        else:
            change, y = newton(M, r, change, smoothed_power(p, width))
        y = y - M @ (M.T @ y)
        lower = max(lower, r @ y / norm(y, np.inf if p == 1 else 1.0 if p == np.inf else p / (p - 1)))
        value = norm(r + M @ change, p)
        if value <= upper:
            best, upper = change, value
        if upper - lower <= 1e-13 * upper:
            break
    return u + scale * best, float(scale * min(lower, upper)), float(scale * upper)


def lp_regression(A: Array, b: Array, p: float) -> Regression:
    """min over x of |A x - b|_p for 1 <= p <= inf; a solution, if A is rank-deficient."""
    Z, T = basis(A)
    u, lower, _ = least_norm(Z, b, p)
    x = -(T @ u).astype(float)
    return Regression(x, norm(A @ x - b, p), lower)


# Sensitivities


def hyperplane(Z: Array, i: int) -> tuple[Array, Array, float]:
    """M, c and h for which {Z x : z_i x = t} = {(t / h) c + M u}: c = Z g with g = z_i / h, h = |z_i|_2."""
    h = float(np.linalg.norm(Z[i]))
    g = Z[i] / h
    N = np.linalg.qr(g[:, np.newaxis], mode="complete")[0][:, 1:]
    M = Z @ N
    M[np.linalg.norm(M, axis=1) < 1e-14 * np.linalg.norm(Z, axis=1)] = 0  # u has no limits where rows are separable
    return M, Z @ g, h


def sensitivity_bounds(A: Array, p: float, i: int) -> tuple[float, float]:
    """Lower and upper bound on s_i = (min of |A x|_p over a_i x = 1)^-p, 1 <= p < inf."""
    if not A[i].any():
        return 0.0, 0.0
    M, c, h = hyperplane(basis(A)[0], i)
    _, lower, upper = least_norm(M, c, p)
    return (h / upper) ** p, (h / lower) ** p


def sensitivity(A: Array, p: float, i: int) -> float:
    """s_i, by a linear program for p = 1: the value at a feasible x, hence never too large."""
    return sensitivity_bounds(A, p, i)[0]


def sensitivities(A: Array, p: float) -> Array:
    """All s_i; asserts that their bounds agree to 1e-8."""
    bounds = np.array([sensitivity_bounds(A, p, i) for i in range(len(A))])
    assert (bounds[:, 1] <= (1 + 1e-8) * bounds[:, 0]).all()
    return np.asarray(bounds[:, 0])


def brute_force_sensitivities(A: Array, p: float, directions: int, rng: np.random.Generator) -> Array:
    """max |a_i x|^p / |A x|_p^p over random x: lower bounds."""
    Z = basis(A)[0]
    best = np.zeros(len(A))
    for start in range(0, directions, 1000):
        Y = np.abs(Z @ rng.standard_normal((Z.shape[1], min(1000, directions - start)))) ** p
        best = np.maximum(best, (Y / Y.sum(axis=0)).max(axis=1))
    return best


def loss_sensitivity(A: Array, i: int, loss: str) -> float:
    """
    sup over t of rho(t) / min over a_i x = t of sum_j rho(a_j x).

    Near t = 0, Huber's loss is a square wherever it matters (|a_j x| <= 1 holds for |t| <= h / max |z_j|) and the ratio
    is the leverage score; as t grows, it tends to the l_1 sensitivity, and for the logistic loss to that of max(r, 0).
    In between, the best point of a fine grid is refined.
    """
    Z = basis(A)[0]
    rho = LOSSES[loss]
    if not Z[i].any():  # t = 0 and x is free
        u, _ = newton(Z, np.zeros(len(Z)), np.zeros(Z.shape[1]), rho)
        return 0.0 if loss == "huber" else float(np.log(2) / rho.value(Z @ u).sum())
    M, c, h = hyperplane(Z, i)
    first = h / np.sqrt((Z * Z).sum(axis=1).max())

    def ratio(t: float, u: Array) -> tuple[float, Array]:
        u, _ = newton(M, t / h * c, u, rho)
        return float(rho.value(np.array(t)) / rho.value(t / h * c + M @ u).sum()), u

    def along(grid: Array) -> list[tuple[float, Array]]:
        answers = [ratio(grid[0], np.zeros(M.shape[1]))]
        for before, t in pairwise(grid):
            answers.append(ratio(t, answers[-1][1] * (t / before)))
        return answers

    if loss == "huber":
        limits, grid = [h * h, h / least_norm(M, c, 1)[2]], np.geomspace(first, 1e4, 200)
        answers = along(grid)
    else:
        far = c + M @ box_program(M, c, 0.0)[0] if M.shape[1] else c
        limits = [h / float(np.maximum(far, 0).sum())]
        up, down = np.geomspace(first / 100, 1e4, 200), -np.geomspace(first / 100, 40, 100)
        grid = np.concatenate([down[::-1], [0.0], up])
        answers = [*along(down)[::-1], ratio(0.0, np.zeros(M.shape[1])), *along(up)]
    k = int(np.argmax([value for value, _ in answers]))
    refined = minimize_scalar(
        lambda place: -ratio(float(np.interp(place, np.arange(len(grid)), grid)), answers[k][1])[0],
        bounds=(max(0, k - 1), min(len(grid) - 1, k + 1)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(max(*limits, answers[k][0], -refined.fun))


# Samples


def sampling_probabilities(scores: Array, m: float) -> Array:
    """q_i = min(1, c s_i) with sum q = m, or 1 for every positive score if there are no more than m."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    tails = np.cumsum(descending[::-1])[::-1]
    q = (scores > 0).astype(float)
    for k in range(int((scores > 0).sum())):  # the k largest are certain
        if m - k <= 0 or (m - k) * (descending[k] / tails[k]) <= 1:
            q[order[k:]] = max(0.0, m - k) * (descending[k:] / tails[k])
            break
    return q


def embedding_distortion(
    A: Array, indices: NDArray[np.intp], weights: Array, p: float, *, rng: np.random.Generator | None = None
) -> float:
    """
    max over x of | |S A x|_p / |A x|_p - 1 | with |S A x|_p^p = sum over the sample of weights * |a_i x|^p.

    By eigenvalues for p = 2; else the largest of 1000 random x, which is a lower bound.
    """
    Z = basis(A)[0]
    rows = Z[indices]
    if p == 2:
        eigenvalues = np.linalg.eigvalsh((rows.T * weights) @ rows)
        return float(np.abs(np.sqrt(np.maximum(eigenvalues, 0)) - 1).max(initial=0.0))
    X = (rng or np.random.default_rng(0)).standard_normal((Z.shape[1], 1000))
    ratios = (weights @ np.abs(rows @ X) ** p) / (np.abs(Z @ X) ** p).sum(axis=0)
    return float(np.abs(ratios ** (1 / p) - 1).max())
