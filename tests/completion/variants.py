"""
What the reference has beside exact alternating minimisation: the paper's sketched regression, nonnegative factors,
implicit feedback, biases alone, new lines, and which lines their entries can determine.

Implicit feedback: Y. Hu, Y. Koren and C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
"""

from functools import partial

import numpy as np
import scipy.linalg
from scipy.optimize import nnls

from tests.completion.reference import (
    Array,
    Mask,
    Model,
    Step,
    Weights,
    factors_only,
    half_sweep,
    least_squares,
    objective,
    weight_matrix,
    weighted_mean,
)

# The paper's regression


def sketched_least_squares(
    A: Array, y: Array, z: Array, *, sketch_rows: int, accuracy: float, rng: np.random.Generator, maxiter: int = 1000
) -> Array:
    """
    Q R = S A with a Gaussian S, then conjugate gradients for min |A R^-1 x - y| from x = R z.

    S embeds the span of A, so that A R^-1 is well-conditioned: log(1 / accuracy) steps lead to
    |(A R^-1)^T (y - A z)| <= accuracy |y|, which, up to the condition, bounds the distance of A z from the best fit.
    Where S A has not full rank, by least_squares().
    """
    SA = rng.standard_normal((sketch_rows, len(A))) @ A / np.sqrt(sketch_rows) if len(A) > sketch_rows else A
    R = np.linalg.qr(SA, mode="r")
    diagonal = np.abs(np.diag(R))
    if len(R) < A.shape[1] or diagonal.min() <= 1e-13 * diagonal.max():
        return least_squares(A, y, z)
    B = scipy.linalg.solve_triangular(R, A.T, trans="T").T
    x = R @ z
    r = y - B @ x
    g = B.T @ r
    p = g
    for _ in range(maxiter):
        if np.linalg.norm(g) <= accuracy * np.linalg.norm(y):
            break
        Bp = B @ p
        alpha = (g @ g) / (Bp @ Bp)
        x, r = x + alpha * p, r - alpha * Bp
        g, before = B.T @ r, g
        p = g + (g @ g) / (before @ before) * p
    return np.asarray(scipy.linalg.solve_triangular(R, x))


def sketched_half_sweep(
    X: Array,
    mask: Mask,
    weights: Weights,
    model: Model,
    lam: float,
    *,
    sketch_rows: int,
    accuracy: float,
    rng: np.random.Generator,
    biases: bool = False,
) -> Model:
    """half_sweep() with every row to the given accuracy, from where it is. Rows of the ridge are sketched too."""
    solve = partial(sketched_least_squares, sketch_rows=sketch_rows, accuracy=accuracy, rng=rng)
    return half_sweep(X, mask, weights, model, lam, biases=biases, solve=solve)


# Other lines and other problems


def nonnegative_least_squares(A: Array, y: Array, _z: Array, *, free: int = 0) -> Array:
    """min |A z - y| subject to z >= 0, but for the last `free` unknowns, which are differences of two."""
    kept = A.shape[1] - free
    both = np.hstack([A, -A[:, kept:]])
    sizes = np.linalg.norm(both, axis=0)
    sizes[sizes == 0] = 1.0
    size = np.abs(y).max(initial=0.0) or 1.0  # its tolerance is absolute
    z = size * nnls(both / sizes, y / size)[0] / sizes
    return np.concatenate([z[:kept], z[kept : kept + free] - z[kept + free :]])


def nonnegative_half_sweep(
    X: Array, mask: Mask, weights: Weights, model: Model, lam: float, *, biases: bool = False
) -> Model:
    """half_sweep() subject to U >= 0; biases may be negative. One of many solutions where A has dependent columns."""
    solve = partial(nonnegative_least_squares, free=int(biases))
    return half_sweep(X, mask, weights, model, lam, biases=biases, solve=solve)


def implicit_problem(X: Array, mask: Mask) -> tuple[Array, Mask, Array]:
    """
    P, a full mask and C for which every function of P, mask and weights here is that of implicit feedback.

        1/2 sum over all (i, j) of c_ij (p_ij - u_i^T v_j)^2 + lam / 2 (|U|_F^2 + |V|_F^2)

    with c_ij = 1 + x_ij and p_ij = 1 for stored entries, c_ij = 1 and p_ij = 0 for all others (Hu, Koren and Volinsky,
    equation 3, with alpha in X).
    """
    return mask.astype(float), np.ones_like(mask), 1 + np.where(mask, X, 0.0)


def implicit_objective(X: Array, mask: Mask, U: Array, V: Array, lam: float) -> float:
    return objective(*implicit_problem(X, mask), factors_only(U, V), lam)


def implicit_half_sweep(X: Array, mask: Mask, V: Array, lam: float) -> Array:
    """u_i = (V^T C_i V + lam I)^-1 V^T C_i p_i (equation 4)."""
    empty = factors_only(np.zeros((len(X), V.shape[1])), V)
    return half_sweep(*implicit_problem(X, mask), empty, lam).U


def bias_model(X: Array, mask: Mask, weights: Weights, lam: float) -> Model:
    """The minimum over b and c without factors; for lam = 0 that of least norm."""
    mu = weighted_mean(X, mask, weights)
    W = weight_matrix(mask, weights)
    Y = W * np.where(mask, X - mu, 0.0)
    m, n = X.shape
    H = np.block([[np.diag(W.sum(axis=1)), W], [W.T, np.diag(W.sum(axis=0))]]) + lam * np.eye(m + n)
    sums = np.concatenate([Y.sum(axis=1), Y.sum(axis=0)])
    both = np.linalg.solve(H, sums) if lam > 0 else np.linalg.lstsq(H, sums, rcond=None)[0]
    return Model(np.zeros((m, 0)), np.zeros((n, 0)), mu, both[:m], both[m:])


def fold_in(
    X: Array,
    mask: Mask,
    weights: Weights,
    model: Model,
    lam: float,
    *,
    axis: int = 0,
    biases: bool = False,
    step: Step = half_sweep,
) -> tuple[Array, Array]:
    """Factors and biases of new rows, or of new columns for axis = 1; X has a row for every new line in both cases."""
    side = model if axis == 0 else model.transposed
    new = side._replace(U=np.zeros((len(X), side.U.shape[1])), b=np.zeros(len(X)))
    folded = step(X, mask, weights, new, lam, biases=biases)
    return folded.U, folded.b


def core_lines(mask: Mask, need: int) -> tuple[Mask, Mask]:
    """
    Rows and columns that are left when those with fewer than `need` entries in lines that are left are dropped, and so
    on: the `need`-core of the bipartite graph. The order does not matter.
    """
    rows, cols = np.ones(mask.shape[0], bool), np.ones(mask.shape[1], bool)
    while True:
        left = mask & rows[:, np.newaxis] & cols
        enough_rows, enough_cols = rows & (left.sum(axis=1) >= need), cols & (left.sum(axis=0) >= need)
        if (enough_rows == rows).all() and (enough_cols == cols).all():
            return rows, cols
        rows, cols = enough_rows, enough_cols
