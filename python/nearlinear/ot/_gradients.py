"""Derivatives of the optimal value: by masses, and by points with the chain rule through their distances."""

import numpy as np
from numpy.typing import NDArray

from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._problem import Cost, Problem

ENTRIES_OF_BLOCK = 2**20  # of the plan, at a time


def mass_gradients(
    problem: Problem,
    plan: TransportPlan,
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    *,
    reg: float,
    penalties: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Return the derivatives by a and b.

    Of rho KL(p | a) it is rho (1 - p / a), p the plan's marginal. A marginal that holds exactly beside a soft one has
    its dual variable without the constant that is free otherwise: -rho log(p / a) is that of the soft one.
    """
    if penalties == (np.inf, np.inf):
        return f, g
    rows, cols = plan @ np.ones(plan.shape[1]), plan.T @ np.ones(plan.shape[0])
    both = []
    for masses, marginal, dual, other, other_marginal, other_dual, rho, other_rho in (
        (problem.a, rows, f, problem.b, cols, g, *penalties),
        (problem.b, cols, g, problem.a, rows, f, *penalties[::-1]),
    ):
        if rho < np.inf:
            ratio = np.divide(marginal, masses, out=np.ones_like(marginal), where=masses > 0)
            both.append(rho * (1 - ratio))
            continue
        j = int(np.argmax(other_marginal))  # where it is known best
        constant = other_dual[j] + reg + other_rho * np.log(other_marginal[j] / other[j])
        both.append(dual + constant)
    return both[0], both[1]


def point_gradients(cost: Cost, plan: TransportPlan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sum_j P_ij dC_ij/dx_i and sum_i P_ij dC_ij/dy_j."""
    x, y = cost.first.astype(np.float64, copy=False), cost.y.astype(np.float64, copy=False)
    if cost.metric == "sqeuclidean":
        return 2 * _spread(plan, x, y), 2 * _spread(plan.T, y, x)
    if cost.metric == "cosine":
        return _towards_angles(plan, x, y), _towards_angles(plan.T, y, x)
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    rows = max(1, ENTRIES_OF_BLOCK // len(y))
    for begin in range(0, len(x), rows):
        end = min(begin + rows, len(x))
        P = plan.rows(begin, end).astype(np.float64)
        differences = [x[begin:end, k, None] - y[:, k] for k in range(x.shape[1])]
        if cost.metric == "cityblock":
            weights, factors = P, [np.sign(difference) for difference in differences]
        else:
            distance = np.sqrt(sum(difference**2 for difference in differences))
            # Points that coincide are a kink, where 0 is a subgradient.
            weights = np.divide(P, distance, out=np.zeros_like(P), where=distance > 0)
            factors = differences
        for k, factor in enumerate(factors):
            product = weights * factor
            dx[begin:end, k] = product.sum(axis=1)
            dy[:, k] -= product.sum(axis=0)
    return dx, dy


def _spread(plan: TransportPlan, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sum_j P_ij (x_i - y_j)."""
    products = plan @ np.column_stack([y, np.ones(len(y))])
    result: NDArray[np.float64] = x * products[:, -1:] - products[:, :-1]
    return result


def _towards_angles(plan: TransportPlan, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sum_j P_ij d/dx_i (1 - u_i v_j), with unit vectors u and v: -(q - (u q) u) / |x|, q = P v."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    u, v = x / norms, y / np.linalg.norm(y, axis=1, keepdims=True)
    q = plan @ v
    result: NDArray[np.float64] = ((u * q).sum(axis=1, keepdims=True) * u - q) / norms
    return result
