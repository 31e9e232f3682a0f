"""
Completion of a matrix of low rank straight from the mathematics, in float64, on dense arrays and as slow as it reads.

    min over U, V, b, c of   1/2 sum over observed (i, j) of w_ij (x_ij - mu - b_i - c_j - u_i^T v_j)^2
                             + lam / 2 (|U|_F^2 + |V|_F^2 + |b|^2 + |c|^2)

With biases, mu is the weighted mean of what is observed; without, mu, b and c are 0. mu is never fitted. `mask` says
what is observed, and elsewhere X may hold anything, NaN too. `weights` is a number or an array like X. The other side's
half sweep is that of the transposed matrix.

Y. Gu, Z. Song, J. Yin and L. Zhang, "Low rank matrix completion via robust alternating minimization in nearly linear
time", ICLR 2024 ("the paper"), after P. Jain, P. Netrapalli and S. Sanghavi, "Low-rank matrix completion using
alternating minimization", STOC 2013.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Weights = Array | float


class Model(NamedTuple):
    """X_ij ~ mu + b_i + c_j + u_i^T v_j."""

    U: Array
    V: Array
    mu: float
    b: Array
    c: Array

    @property
    def transposed(self) -> "Model":
        return Model(self.V, self.U, self.mu, self.c, self.b)

    @property
    def dense(self) -> Array:
        return np.asarray(self.mu + self.b[:, np.newaxis] + self.c + self.U @ self.V.T)


Solve = Callable[[Array, Array, Array], Array]  # of |A z - y|, from z
Step = Callable[..., Model]  # like half_sweep


def factors_only(U: Array, V: Array) -> Model:
    return Model(U, V, 0.0, np.zeros(len(U)), np.zeros(len(V)))


def predict(model: Model, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Array:
    return np.asarray(model.dense[rows, cols])


# Factors


def singular_values(U: Array, V: Array) -> Array:
    """Those of U V^T, as many as U has columns, descending."""
    s = np.linalg.svd(np.linalg.qr(U)[1] @ np.linalg.qr(V)[1].T, compute_uv=False)
    return np.concatenate([s, np.zeros(U.shape[1] - len(s))])


def balanced(U: Array, V: Array) -> tuple[Array, Array]:
    """The same U V^T with U^T U = V^T V = diag(s), for no more columns than rows. Their signs are arbitrary."""
    (Q_U, R_U), (Q_V, R_V) = np.linalg.qr(U), np.linalg.qr(V)
    P, s, Qt = np.linalg.svd(R_U @ R_V.T)
    return Q_U @ (P * np.sqrt(s)), Q_V @ (Qt.T * np.sqrt(s))


# The objective


def weight_matrix(mask: Mask, weights: Weights = 1.0) -> Array:
    """w_ij, 0 where nothing is observed."""
    return np.asarray(np.where(mask, weights, 0.0))


def weighted_mean(X: Array, mask: Mask, weights: Weights = 1.0) -> float:
    return float(np.average(X[mask], weights=weight_matrix(mask, weights)[mask]))


def residual(X: Array, mask: Mask, model: Model) -> Array:
    """x_ij less its prediction, 0 where nothing is observed."""
    return np.asarray(np.where(mask, X - model.dense, 0.0))


def objective(X: Array, mask: Mask, weights: Weights, model: Model, lam: float) -> float:
    R = residual(X, mask, model)
    penalty = sum(float((part * part).sum()) for part in (model.U, model.V, model.b, model.c))
    return float((weight_matrix(mask, weights) * R * R).sum() / 2 + lam / 2 * penalty)


def gradient(X: Array, mask: Mask, weights: Weights, model: Model, lam: float) -> tuple[Array, Array, Array, Array]:
    """With respect to U, V, b and c; those to b and c mean nothing for a model without biases."""
    R = weight_matrix(mask, weights) * residual(X, mask, model)
    U, V, _, b, c = model
    return lam * U - R @ V, lam * V - R.T @ U, lam * b - R.sum(axis=1), lam * c - R.sum(axis=0)


def kkt_residual(
    X: Array, mask: Mask, weights: Weights, model: Model, lam: float, *, biases: bool = False, nonnegative: bool = False
) -> float:
    """
    The largest entry of the gradient, over that of the terms which cancel in it.

    For U >= 0 and V >= 0 the gradient must be 0 where the factor is positive and not negative where it is 0: what is
    positive there does not count. Infinite for a negative factor.
    """
    W = weight_matrix(mask, weights)
    size = W * (np.abs(np.where(mask, X - model.mu, 0.0)) + np.abs(model.b[:, np.newaxis]) + np.abs(model.c))
    parts = gradient(X, mask, weights, model, lam)
    terms = (size @ np.abs(model.V), size.T @ np.abs(model.U), size.sum(axis=1), size.sum(axis=0))
    worst = 0.0
    unknowns = (model.U, model.V, model.b, model.c)
    for part, derivative, term in list(zip(unknowns, parts, terms, strict=True))[: 4 if biases else 2]:
        excess = np.abs(derivative)
        if nonnegative and part.ndim == 2:
            if (part < 0).any():
                return np.inf
            excess = np.where(part > 0, excess, np.maximum(-derivative, 0.0))
        scale = float((term + lam * np.abs(part)).max(initial=0.0))
        worst = max(worst, float(excess.max(initial=0.0)) / scale if scale > 0 else 0.0)
    return worst


# Alternating minimisation


def line_problem(
    X: Array, mask: Mask, weights: Weights, model: Model, lam: float, *, i: int, biases: bool
) -> tuple[Array, Array]:
    """A and y for which |A z - y|^2 is row i's share of twice the objective, z = u_i or (u_i, b_i)."""
    seen = mask[i]
    root = np.sqrt(np.broadcast_to(weights, mask.shape)[i, seen])
    features = np.column_stack([model.V, np.ones(len(model.V))]) if biases else model.V
    unknowns = features.shape[1]
    y = X[i, seen] - model.mu - model.c[seen]
    A = np.vstack([root[:, np.newaxis] * features[seen], np.sqrt(lam) * np.eye(unknowns)])
    return A, np.concatenate([root * y, np.zeros(unknowns)])


def least_squares(A: Array, y: Array, _z: Array) -> Array:
    """The solution of least norm."""
    return np.asarray(np.linalg.lstsq(A, y, rcond=None)[0])


def half_sweep(
    X: Array,
    mask: Mask,
    weights: Weights,
    model: Model,
    lam: float,
    *,
    biases: bool = False,
    solve: Solve = least_squares,
) -> Model:
    """U, and b with biases, exactly for the given V and c, row by row; 0 for a row of which nothing is observed."""
    k = model.U.shape[1]
    before = np.column_stack([model.U, model.b]) if biases else model.U
    after = np.zeros_like(before)
    W = weight_matrix(mask, weights)
    for i in range(len(X)):
        after[i] = solve(*line_problem(X, mask, W, model, lam, i=i, biases=biases), before[i])
    return model._replace(U=after[:, :k], b=after[:, k] if biases else model.b)


def alternating_minimisation(
    X: Array,
    mask: Mask,
    weights: Weights,
    model: Model,
    lam: float,
    *,
    sweeps: int,
    biases: bool = False,
    step: Step = half_sweep,
) -> Model:
    """Every sweep updates U, then V. Samples are not split: all entries serve in every half."""
    for _ in range(sweeps):
        model = step(X, mask, weights, model, lam, biases=biases)
        model = step(X.T, mask.T, np.transpose(weights), model.transposed, lam, biases=biases).transposed
    return model


def accelerated_minimisation(
    X: Array, mask: Mask, weights: Weights, model: Model, lam: float, *, sweeps: int, depth: int = 4
) -> Model:
    """
    Update V, then U, and go on from the combination of the last sweeps whose change of U is least (Anderson, 1965).

    Its weights sum to 1. A combination that raises the objective is taken back.
    """
    swept = model
    least = np.inf
    remembered: list[tuple[Array, Model]] = []  # changes of U, and what they led to
    for _ in range(sweeps):
        after = alternating_minimisation(X.T, mask.T, np.transpose(weights), model.transposed, lam, sweeps=1).transposed
        value = objective(X, mask, weights, after, lam)
        if value > least and len(remembered) > 1:
            model, remembered = swept, []
            continue
        least, swept = value, after
        remembered = [*remembered, (after.U - model.U, after)][-depth:]
        changes = np.stack([change.ravel() for change, _ in remembered], axis=1)
        newest, others = changes[:, -1], changes[:, :-1]
        share = np.linalg.lstsq(others - newest[:, np.newaxis], -newest, rcond=1e-8)[0]
        U = after.U + sum(a * (before.U - after.U) for a, (_, before) in zip(share, remembered[:-1], strict=True))
        model = after._replace(U=U)
    return swept


def spectral_start(X: Array, mask: Mask, k: int, *, coherence: float | None = None) -> tuple[Array, Array]:
    """
    Balanced factors of the best approximation of rank k to P_Omega(X) m n / |Omega|.

    With the paper's clipping, entries of the singular vectors above 2 coherence (k / m)^(1/2) become 0, what is left is
    made orthonormal, and X is projected onto its span.
    """
    Y = np.where(mask, X, 0.0) * (mask.size / max(mask.sum(), 1))
    U = np.linalg.svd(Y, full_matrices=False)[0][:, :k]
    if coherence is not None:
        U = np.linalg.qr(np.where(np.abs(U) > 2 * coherence * np.sqrt(k / len(U)), 0.0, U))[0]
    return balanced(U, Y.T @ U)


def start(X: Array, mask: Mask, weights: Weights, k: int, *, biases: bool = False) -> Model:
    """spectral_start() of X - mu, and biases of 0."""
    mu = weighted_mean(X, mask, weights) if biases else 0.0
    return factors_only(*spectral_start(X - mu, mask, k))._replace(mu=mu)


def soft_impute_step(X: Array, mask: Mask, weights: Weights, model: Model, lam: float) -> Model:
    """
    U V^T <- singular values, soft-thresholded at lam / L, of U V^T + W * (X - its prediction) / L with L = max w_ij.

    The best matrix of rank k for a bound on the objective that is exact at U V^T. What no half sweep can, it gives
    columns of U and V that have become 0 a value again. R. Mazumder, T. Hastie and R. Tibshirani, "Spectral
    regularization algorithms for learning large incomplete matrices", JMLR 11, 2010.
    """
    W = weight_matrix(mask, weights)
    L = W.max()
    P, s, Qt = np.linalg.svd(model.U @ model.V.T + W / L * residual(X, mask, model), full_matrices=False)
    k = model.U.shape[1]
    root = np.sqrt(np.maximum(s[:k] - lam / L, 0.0))
    return model._replace(U=P[:, :k] * root, V=Qt[:k].T * root)


def ridge_homotopy(
    X: Array,
    mask: Mask,
    weights: Weights,
    k: int,
    lam: float = 0.0,
    *,
    biases: bool = False,
    factor: float = 0.3,
    stages: int = 14,
    sweeps: int = 20,
    last: bool = True,
) -> Model:
    """
    Alternating minimisation while lambda falls from sigma_1 / 2 to 1e-7 sigma_1, but not below lam; then polish().

    sigma_1 is that of w_ij (x_ij - mu), which is the gradient at U V^T = 0 and the lambda above which 0 is the minimum.
    As |U|_F^2 + |V|_F^2 is at least 2 |U V^T|_*, with equality for balanced factors, the minimum is that of a convex
    problem as long as k columns are enough for it. Singular values below lambda vanish there, with their columns of U
    and V, and no later sweep would bring these back: every stage begins with soft_impute_step().
    """
    model = start(X, mask, weights, k, biases=biases)
    first = 0.5 * np.linalg.norm(weight_matrix(mask, weights) * np.where(mask, X - model.mu, 0.0), 2)
    for stage in range(stages):
        level = max(lam, float(first) * factor**stage)
        model = soft_impute_step(X, mask, weights, model, level)
        model = alternating_minimisation(X, mask, weights, model, level, sweeps=sweeps, biases=biases)
    return polish(X, mask, weights, model, lam, biases=biases) if last else model


def jacobian(U: Array, V: Array, mask: Mask, *, biases: bool = False) -> Any:
    """
    Of the observed entries, in the order of np.nonzero(mask), with respect to U, V (both by rows), b and c.

    d(u_i^T v_j) = du_i^T v_j + u_i^T dv_j. A scipy.sparse.csr_array.
    """
    (m, k), n = U.shape, len(V)
    rows, cols = np.nonzero(mask)
    places = np.hstack([rows[:, np.newaxis] * k + np.arange(k), (m + cols[:, np.newaxis]) * k + np.arange(k)])
    slopes = np.hstack([V[cols], U[rows]])
    if biases:
        places = np.column_stack([places, (m + n) * k + rows, (m + n) * k + m + cols])
        slopes = np.hstack([slopes, np.ones((len(rows), 2))])
    pointers = np.arange(0, slopes.size + 1, slopes.shape[1])
    return scipy.sparse.csr_array((slopes.ravel(), places.ravel(), pointers), (len(rows), (k + int(biases)) * (m + n)))


def polish(
    X: Array, mask: Mask, weights: Weights, model: Model, lam: float, *, biases: bool = False, maxiter: int = 200
) -> Model:
    """
    A local minimum to the last digits: an exact sweep and a Newton step in all unknowns at once, in turn.

    The Hessian is J^T W J + lam I, less w_ij r_ij where du_i meets dv_j, damped as Levenberg and Marquardt do: along
    rotations of the factors it is 0, for which some damping remains. Sweeps alone converge linearly; Newton's steps
    alone take long to balance parts of the factors that differ in size.
    """
    W = weight_matrix(mask, weights)
    m, n, k = len(model.U), len(model.V), model.U.shape[1]
    right = slice(m * k, (m + n) * k)

    def slopes(model: Model) -> Array:
        parts = gradient(X, mask, weights, model, lam)[: 4 if biases else 2]
        return np.concatenate([part.ravel() for part in parts])

    def newton_step(model: Model, damping: float) -> tuple[Model, Array]:
        J = jacobian(model.U, model.V, mask, biases=biases)
        H = (J.T @ scipy.sparse.diags_array(W[mask]) @ J).toarray() + lam * np.eye(J.shape[1])
        scale = np.sqrt(np.where(H.diagonal() > 0, H.diagonal(), 1.0))  # 0 in lines of which nothing is observed
        H[: m * k, right] -= np.kron(W * residual(X, mask, model), np.eye(k))
        H[right, : m * k] = H[: m * k, right].T
        factor = scipy.linalg.cho_factor(H / np.outer(scale, scale) + damping * np.eye(len(H)))
        x = -scipy.linalg.cho_solve(factor, slopes(model) / scale) / scale
        U, V = model.U + x[: m * k].reshape(m, k), model.V + x[right].reshape(n, k)
        b, c = np.split(x[right.stop :], [m]) if biases else (0.0, 0.0)
        return model._replace(U=U, V=V, b=model.b + b, c=model.c + c), scale

    damping = 1e-3
    for _ in range(maxiter):
        model = alternating_minimisation(X, mask, weights, model, lam, sweeps=1, biases=biases)
        value, better = objective(X, mask, weights, model, lam), False
        try:
            trial, scale = newton_step(model, damping)
            after = objective(X, mask, weights, trial, lam)
            before, now = (float(np.linalg.norm(slopes(at) / scale)) for at in (model, trial))
            # Below the rounding of the objective, the gradient tells.
            better = after < (1 - 1e-14) * value or (after <= (1 + 1e-14) * value and now < before)
        except np.linalg.LinAlgError:
            pass
        model = trial if better else model
        damping = max(damping / 10, 1e-9) if better else 10 * damping
        if damping > 1e6 or kkt_residual(X, mask, weights, model, lam, biases=biases) <= (1e-14 if better else 1e-12):
            break
    return model
