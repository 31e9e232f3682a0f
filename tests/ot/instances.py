"""Problems of optimal transport that tests share."""

import numpy as np

from tests.ot import reference


def gauss(n, m=None, seed=0, d=3):
    """Two clouds of normal points and their squared distances, 1 the largest."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), 0.7 * rng.normal(size=(m or n, d)) + 0.5
    C = reference.squared_distances(x, y)
    return uniform(n), uniform(m or n), C / C.max()


def random_assignment(n, m=None, seed=0):
    """Independent costs, uniform on [0, 1]."""
    return uniform(n), uniform(m or n), np.random.default_rng(seed).random((n, m or n))


def images(side=28, metric="cityblock", seed=0):
    """Two smooth images with a floor of 1 %, and distances between their pixels, 1 the largest."""
    rng = np.random.default_rng(seed)
    i = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
    masses = []
    for _ in range(2):
        image = sum(
            np.exp(-(((i - rng.random(2) * side) / (2 + 3 * rng.random(2))) ** 2).sum(axis=1)) for _ in range(4)
        )
        image = image / image.sum() + 0.01 / side**2
        masses.append(image / image.sum())
    C = reference.COSTS[metric](i, i)
    return masses[0], masses[1], C / C.max()


def dirichlet(n, m, seed=0, concentration=0.3):
    """Uneven masses and independent normal points."""
    rng = np.random.default_rng(seed)
    _, _, C = gauss(n, m, seed)
    a, b = rng.dirichlet(np.full(n, concentration)), rng.dirichlet(np.full(m, concentration))
    return (a + 1e-9) / (a + 1e-9).sum(), (b + 1e-9) / (b + 1e-9).sum(), C


def uniform(n):
    return np.full(n, 1 / n)
