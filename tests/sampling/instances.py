"""Matrices for the tests of sampling, random and adversarial, with their names."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from tests.sampling.reference import basis, equilibrated

Array = NDArray[np.float64]


def with_condition(rng: np.random.Generator, n: int, d: int, condition: float) -> Array:
    """Log-spaced singular values from 1 down to 1 / condition."""
    U, V = (np.linalg.qr(rng.standard_normal((rows, d)))[0] for rows in (n, d))
    return np.asarray(U * np.logspace(0, -np.log10(condition), d) @ V.T)


def random_matrices(count: int = 200, seed: int = 0, rows: int = 40, columns: int = 5) -> Iterator[tuple[str, Array]]:
    """Matrices of full column rank, up to rows x columns, of many kinds in turn, with their names."""
    rng = np.random.default_rng(seed)
    kinds: dict[str, Callable[[int, int], Array]] = {
        "gaussian": lambda n, d: rng.standard_normal((n, d)),
        "student": lambda n, d: rng.standard_t(2.5, (n, d)),
        "sparse": lambda n, d: rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.3),
        "integers": lambda n, d: rng.integers(-2, 3, (n, d)).astype(float),
        "columns scaled": lambda n, d: rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-6, 6, d),
        "rows scaled": lambda n, d: rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-2, 2, (n, 1)),
        "intercept": lambda n, d: np.column_stack([np.ones(n), rng.standard_normal((n, d - 1))]),
        "correlated": lambda n, d: rng.standard_normal((n, 1)) + 1e-3 * rng.standard_normal((n, d)),
        "duplicates": lambda n, d: rng.standard_normal((n, d))[rng.integers(0, n, n)],
        "condition 1e8": lambda n, d: with_condition(rng, n, d, 1e8),
    }
    made = 0
    while made < count:
        name = list(kinds)[made % len(kinds)]
        d = int(rng.integers(1, columns + 1))
        A = kinds[name](int(rng.integers(d + 1, max(d + 1, rows) + 1)), d)
        if basis(A)[0].shape[1] == d:  # sparse ones, integers and duplicates may be singular: drawn again
            made += 1
            yield name, A


def adversarial_matrices(seed: int = 0) -> Iterator[tuple[str, Array]]:
    """What breaks implementations, rank-deficient and wide matrices among them, with names."""
    rng = np.random.default_rng(seed)
    n, d = 30, 3
    G = rng.standard_normal((n, d))
    i = np.arange(n)
    outlier = np.where(i == 4, 1e6, 1.0)[:, np.newaxis]
    alone = np.column_stack([G, i == 7])
    yield "one by one", np.array([[-3.0]])
    yield "one row", G[:1]
    yield "one column", G[:, :1]
    yield "one column with ties", np.sign(G[:, :1])
    yield "square", G[:d]
    yield "identity", np.eye(4)
    yield "wide", G[: d - 1]
    yield "wide and singular", np.ones((2, 4))
    yield "rank one", np.outer(G[:, 0], [1.0, -2.0, 3.0])
    yield "column twice", G[:, [0, 1, 1]]
    yield "sum of columns", np.column_stack([G, G.sum(axis=1)])
    yield "zero column", G * [1.0, 0.0, 1.0]
    yield "zero rows", G * (i % 3 > 0)[:, np.newaxis]
    yield "all rows zero but one", G * (i == 5)[:, np.newaxis]
    yield "equal rows", np.tile(G[0], (n, 1))
    yield "every row twice", np.repeat(G[:15], 2, axis=0)
    yield "opposite rows", np.vstack([G[:15], -G[:15]])
    yield "one huge row", G * outlier
    yield "one tiny row", G / outlier
    yield "a direction of one row", alone
    yield "a faint direction of one row", alone * [1.0, 1.0, 1.0, 1e-9]
    yield "identity over zeros", np.eye(n, d)
    yield "one-hot", np.eye(4)[i % 4]
    yield "one-hot with intercept", np.column_stack([np.ones(n), np.eye(4)[i % 4]])
    yield "Hadamard", scipy.linalg.hadamard(16)[:, :4].astype(float)
    yield "signs", np.sign(G)
    yield "Vandermonde", np.vander(np.linspace(-1, 1, n), 5)
    yield "tiny", 1e-150 * G
    yield "huge", 1e150 * G
    yield "columns scaled", G * [1e-6, 1.0, 1e6]
    yield "columns scaled to the limits", G * [1e-150, 1.0, 1e150]
    yield "geometric rows", G * 0.5 ** i[:, np.newaxis]
    yield "condition 1e8", with_condition(rng, n, d, 1e8)
    yield "nearly equal columns", np.column_stack([G[:, 0], G[:, 0] + 1e-9 * G[:, 1]])
    yield "Cauchy", rng.standard_cauchy((n, d))
    yield "faint noise over rank one", np.outer(G[:, 0], np.ones(d)) + 1e-7 * rng.standard_normal((n, d))


@functools.cache
def all_matrices() -> list[tuple[str, Array]]:
    """200 random and all adversarial ones."""
    return [*random_matrices(), *adversarial_matrices()]


def condition(A: Array) -> float:
    """Of A with equilibrated columns, but for the singular values that are 0 up to rounding."""
    s = np.linalg.svd(equilibrated(A)[0], compute_uv=False)
    return float(s[0] / s[s > 1e-14 * s[0]][-1]) if s[0] > 0 else 1.0


def heavy_tailed(n: int = 20000, d: int = 10, seed: int = 0) -> Array:
    """Rows with t-distributed entries, of which 20 count 50 times as much."""
    rng = np.random.default_rng(seed)
    A = rng.standard_t(2.5, (n, d))
    A[rng.choice(n, 20, replace=False)] *= 50
    return A
