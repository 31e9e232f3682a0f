"""Gradients to make inverses of: random ones, and those that break them."""

import numpy as np
import pytest

STORAGES = ["float64", "float32", "float16", "bfloat16"]


def some(count, usually):
    """Return `count` seeds, of which only the first ones run unless the slow tests do."""
    return [*range(usually), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(usually, count))]


def correlated(rng, m, d, size=1.0, noise=0.1):
    """Gradients of one norm that have most of their direction in common, as those of one batch after the other."""
    G = rng.normal(size=d) + noise * rng.normal(size=(m, d))
    return G * (size / np.linalg.norm(G, axis=1, keepdims=True))


def random_problem(seed, dtype=np.float64):
    """T1: d from 5 to 400, m from 1 to 80, also m > d, damping from 1e-6 to 1 and gradients of norm 1e-2 to 10."""
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(5, 401 if seed % 3 else 60)), int(rng.integers(1, 81))
    damping = 10 ** rng.uniform(-6, 0)
    G = (rng.normal(size=(m, d)) * 10 ** rng.uniform(-2, 1) / np.sqrt(d)).astype(dtype)
    return rng, G, damping


def adversarial():
    rng = np.random.default_rng(0)
    g = rng.normal(size=30)
    tile = rng.normal(size=(3, 4099))
    return {
        "one gradient": (g[None], 1e-3),
        "one parameter": (rng.normal(size=(5, 1)), 1e-2),
        "one parameter, one gradient": (np.array([[3.0]]), 1e-9),
        "a zero gradient alone": (np.zeros((1, 7)), 1e-5),
        "only zero gradients": (np.zeros((4, 7)), 1e-5),
        "zero gradients between others": (rng.normal(size=(9, 20)) * (np.arange(9) % 2)[:, None], 1e-4),
        "zero columns": (rng.normal(size=(9, 20)) * (np.arange(20) % 3 > 0), 1e-4),
        "duplicate gradients": (np.tile(rng.normal(size=(3, 40)), (4, 1)), 1e-6),
        "one gradient again and again": (np.tile(g, (50, 1)), 1e-7),
        "opposite gradients": (np.stack([g, -g]), 1e-6),
        "almost dependent gradients": (g + 1e-7 * rng.normal(size=(6, 30)), 1e-3),
        "more gradients than parameters": (rng.normal(size=(60, 7)), 1e-8),
        "many duplicates of few parameters": (np.tile(rng.normal(size=(2, 6)), (20, 1)), 1e-3),
        "as many gradients as parameters": (rng.normal(size=(20, 20)), 1e-6),
        "one huge gradient": (rng.normal(size=(8, 50)) * np.where(np.arange(8) == 3, 1e6, 1)[:, None], 1e-3),
        "one huge parameter": (rng.normal(size=(8, 50)) * np.where(np.arange(50) == 3, 1e6, 1), 1e-3),
        "graded gradients": (rng.normal(size=(9, 60)) * 10.0 ** np.arange(-8, 9, 2)[:, None], 1e-4),
        "graded parameters": (rng.normal(size=(30, 9)) * 10.0 ** np.arange(-4, 5), 1e-4),
        "tiny damping": (rng.normal(size=(10, 100)), 1e-12),
        "large damping": (rng.normal(size=(10, 100)), 1e12),
        "correlated gradients, tiny damping": (correlated(rng, 20, 300, size=30), 1e-8),
        "multiples of unit vectors": (np.diag(10.0 ** np.arange(-3, 4)), 1e-5),
        "constant gradients": (np.ones((6, 33)), 1e-5),
        "sparse gradients": (rng.normal(size=(12, 90)) * (rng.random((12, 90)) < 0.05), 1e-5),
        "one column more than a tile": (tile[:, :1025], 1e-5),
        "one column more than several tiles": (tile[:, :4097], 1e-5),
        "many gradients": (rng.normal(size=(130, 257)), 1e-5),
    }
