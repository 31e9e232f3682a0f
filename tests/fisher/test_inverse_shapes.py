"""Shapes at which kernels begin and end their blocks, and problems large enough for sums in float."""

import numpy as np
import pytest
import scipy.linalg

import nearlinear as nl
from tests.fisher.gradients import STORAGES, correlated

GRADIENTS = (1, 3, 5, 8, 25, 63, 64, 65, 130, 257, 300)
PARAMETERS = (1, 7, 8, 47, 48, 49, 255, 257, 1025)
VECTORS = (2, 5, 8, 9, 16, 24, 25, 50)


@pytest.mark.smoke
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("m", GRADIENTS)
def test_many_vectors_and_gram_matrices_of_all_shapes(m, storage):
    rng = np.random.default_rng(m)
    for index, d in enumerate(PARAMETERS):
        p = VECTORS[(index + m) % len(VECTORS)]
        G = rng.normal(size=(m, d))
        X = rng.normal(size=(d, p)).astype(np.float64 if storage == "float64" else np.float32)
        window = nl.fisher.SlidingFisherInverse(d, m, 0.1, storage=storage, normalize="capacity")
        window.update_many(G)
        stored = np.stack([window.gradient(age) for age in range(m)]).astype(float)
        np.testing.assert_allclose(window.gram, stored @ stored.T, rtol=0, atol=1e-13 * d * np.abs(stored).max() ** 2)
        dense = 0.1 * np.eye(d) + stored.T @ stored / m
        expected = np.linalg.solve(dense, X)
        limit = (1e-10 if storage == "float64" else 1e-6) * np.abs(expected).max()
        np.testing.assert_allclose(window.matmat(X), expected, rtol=0, atol=limit)
        for q in (0, p - 1):
            np.testing.assert_allclose(window.matvec(X[:, q]), expected[:, q], rtol=0, atol=limit)


def large_problem(kind):
    rng = np.random.default_rng(0)
    m, d = 120, 19_000  # m^2 d > 2^28: from here on float gradients are multiplied in float
    if kind == "random":
        return rng.normal(size=(m, d)).astype(np.float32), 1e-5
    if kind == "correlated":
        return correlated(rng, m, d).astype(np.float32), 1e-6
    if kind == "a few strong parameters":
        G = rng.normal(size=(m, d)).astype(np.float32)
        G[:, :: d // 40] *= 1e3
        return G, 1e-3
    return (rng.normal(size=(m, d)) * 10.0 ** rng.uniform(-20, 15, size=(m, 1))).astype(np.float32), 1e-4


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["random", "correlated", "a few strong parameters", "graded"])
def test_diagonals_of_large_problems_have_the_accuracy_of_float(kind):
    G, damping = large_problem(kind)
    m, d = G.shape
    finv = nl.fisher.FisherInverse(G, damping)
    wide = G.astype(float)
    some = np.random.default_rng(1).choice(d, 300, replace=False)
    some[:40] = np.arange(40) * (d // 40)
    factor = np.linalg.cholesky(m * damping * np.eye(m) + wide @ wide.T)
    whitened = scipy.linalg.solve_triangular(factor, wide[:, some], lower=True)
    expected = 1 - (whitened**2).sum(axis=0)
    np.testing.assert_allclose(damping * finv.diagonal()[some], expected, rtol=1.2e-7, atol=1e-12)
