"""Problems of matrix completion for tests, random and adversarial, with their names."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from tests.completion.determined import orthonormal
from tests.completion.reference import Array, Mask, Model, factors_only


@dataclass(frozen=True)
class Instance:
    """Entries of a matrix, sorted by rows, the options to fit them with, and what they were made from."""

    name: str
    shape: tuple[int, int]
    rank: int  # to fit; that of `truth` may be less
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    values: Array
    truth: Model
    weights: Array | None = None  # of every entry
    noise: float = 0.0  # its standard deviation
    lam: float = 0.0
    biases: bool = False
    nonnegative: bool = False
    implicit: bool = False

    @property
    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("lam", "biases", "nonnegative", "implicit")}

    @property
    def coo(self) -> Any:
        """As a scipy.sparse.coo_array with its explicit zeros."""
        return scipy.sparse.coo_array((self.values, (self.rows, self.cols)), self.shape)

    @property
    def mask(self) -> Mask:
        mask = np.zeros(self.shape, bool)
        mask[self.rows, self.cols] = True
        return mask

    @property
    def dense(self) -> Array:
        """NaN for what is missing."""
        X = np.full(self.shape, np.nan)
        X[self.rows, self.cols] = self.values
        return X

    @property
    def dense_weights(self) -> Array:
        """1 for what is missing."""
        W = np.ones(self.shape)
        W[self.rows, self.cols] = 1.0 if self.weights is None else self.weights
        return W

    @property
    def problem(self) -> tuple[Array, Mask, Array]:
        """X, mask and weights: the first arguments of functions in reference.py."""
        return self.dense, self.mask, self.dense_weights

    def error(self, dense: Array) -> float:
        """Of what is missing, relative to the true root mean square there; of all entries if none is missing."""
        where = ~self.mask if len(self.values) < dense.size else self.mask
        true = self.truth.dense[where]
        size = np.abs(true).max() or 1.0  # no square overflows
        return float(np.linalg.norm((dense[where] - true) / size) / (np.linalg.norm(true / size) or 1.0))


# Masks


def topped_up(mask: Mask, least: int, rng: np.random.Generator) -> Mask:
    """With more entries drawn in rows and columns that have fewer than `least`."""
    mask = mask.copy()
    for lines in (mask, mask.T):
        enough = min(least, lines.shape[1])
        for i in np.flatnonzero(lines.sum(axis=1) < enough):
            missing = np.flatnonzero(~lines[i])
            lines[i, rng.choice(missing, enough - lines[i].sum(), replace=False)] = True
    return mask


def uniform_mask(rng: np.random.Generator, m: int, n: int, k: int, ratio: float, *, least: int | None = None) -> Mask:
    """round(ratio k (m + n - k)) entries, all if there are no more, then topped up to k + 1 or `least` in each line."""
    count = min(m * n, round(ratio * k * (m + n - k)))
    mask = np.zeros(m * n, bool)
    mask[rng.choice(m * n, count, replace=False, shuffle=False)] = True
    return topped_up(mask.reshape(m, n), k + 1 if least is None else least, rng)


def heavy_mask(rng: np.random.Generator, m: int, n: int, k: int, ratio: float) -> Mask:
    """A row and a column of which all is observed among sparse ones."""
    mask = uniform_mask(rng, m, n, k, ratio)
    mask[rng.integers(m)] = True
    mask[:, rng.integers(n)] = True
    return mask


def row_mask(rng: np.random.Generator, m: int, n: int, count: int) -> Mask:
    """`count` entries in every row."""
    return np.asarray(rng.permuted(np.tile(np.arange(n) < count, (m, 1)), axis=1))


def blocks_mask(rng: np.random.Generator, m: int, n: int, linked: int) -> Mask:
    """Two dense blocks on the diagonal and `linked` rows of which all is observed."""
    mask: Mask = np.equal.outer(np.arange(m) < m // 2, np.arange(n) < n // 2)
    mask[rng.choice(m, linked, replace=False)] = True
    return mask


# Factors


def gaussian(rng: np.random.Generator, m: int, n: int, k: int) -> Model:
    """Entries of U V^T have the variance 1."""
    U, V = (rng.standard_normal((lines, k)) / k**0.25 for lines in (m, n))
    return factors_only(U, V)


def with_spectrum(rng: np.random.Generator, m: int, n: int, s: Array) -> Model:
    """Random singular vectors and singular values proportional to s; entries have the mean square 1."""
    U, V = (orthonormal(rng.standard_normal((lines, len(s)))) for lines in (m, n))
    scale = np.sqrt(s * (np.sqrt(m * n) / np.linalg.norm(s)))
    return factors_only(U * scale, V * scale)


def coherent(rng: np.random.Generator, m: int, n: int, k: int, spike: float) -> Model:
    """Some rows and columns `spike` times as large as the others."""
    truth = gaussian(rng, m, n, k)
    for part in (truth.U, truth.V):
        part[rng.choice(len(part), 1 + len(part) // 10, replace=False)] *= spike
    return truth


def with_biases(rng: np.random.Generator, m: int, n: int, k: int, mu: float = 3.0) -> Model:
    return gaussian(rng, m, n, k)._replace(mu=mu, b=rng.standard_normal(m), c=rng.standard_normal(n))


def scaled(truth: Model, size: float) -> Model:
    root = np.sqrt(size)
    return Model(root * truth.U, root * truth.V, size * truth.mu, size * truth.b, size * truth.c)


# Instances


def observe(
    name: str,
    truth: Model,
    mask: Mask,
    *,
    rank: int | None = None,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
    weights: Array | None = None,
    **options: Any,
) -> Instance:
    """What `mask` shows of the truth and Gaussian noise; `weights` is a dense array."""
    rows, cols = np.nonzero(mask)
    values = truth.dense[rows, cols]
    if noise > 0:
        assert rng is not None
        values = values + noise * rng.standard_normal(len(values))
    return Instance(
        name,
        (mask.shape[0], mask.shape[1]),
        truth.U.shape[1] if rank is None else rank,
        rows,
        cols,
        values,
        truth,
        weights=None if weights is None else weights[rows, cols],
        noise=noise,
        **options,
    )


def uniform(m: int, n: int, k: int, ratio: float, *, seed: int = 0, noise: float = 0.0, **options: Any) -> Instance:
    """A Gaussian matrix of rank k under uniform_mask(): those of recovery experiments."""
    rng = np.random.default_rng(seed)
    truth, mask = gaussian(rng, m, n, k), uniform_mask(rng, m, n, k, ratio)
    return observe(f"{m} x {n}, rank {k}, ratio {ratio}", truth, mask, noise=noise, rng=rng, **options)


def ratings(
    m: int = 60, n: int = 40, k: int = 2, *, share: float = 0.3, seed: int = 0, lam: float = 2.0, name: str = "ratings"
) -> Instance:
    """Integers 1 to 5 made of a mean, biases and weak factors; popular columns have more of them."""
    rng = np.random.default_rng(seed)
    truth = Model(*scaled(gaussian(rng, m, n, k), 0.3)[:2], 3.4, 0.5 * rng.standard_normal(m), rng.normal(0, 0.5, n))
    popularity = np.exp(rng.standard_normal(n))
    mask = topped_up(rng.random((m, n)) < share * popularity / popularity.mean(), 1, rng)
    instance = observe(name, truth, mask, noise=0.8, rng=rng, lam=lam, biases=True)
    return replace(instance, values=np.clip(np.rint(instance.values), 1, 5))


def counts(m: int = 40, n: int = 30, k: int = 3, *, seed: int = 0, lam: float = 0.5, name: str = "counts") -> Instance:
    """Implicit feedback: Poisson numbers, of which the positive ones are stored."""
    rng = np.random.default_rng(seed)
    truth = factors_only(rng.gamma(0.5, 1.0, (m, k)), rng.gamma(0.5, 1.0, (n, k)))
    drawn = rng.poisson(truth.dense).astype(float)
    drawn[0, 0] += 1  # something is stored
    rows, cols = np.nonzero(drawn)
    return Instance(name, (m, n), k, rows, cols, drawn[rows, cols], truth, lam=lam, implicit=True)


def random_instances(count: int = 200, seed: int = 0, lines: int = 40, ranks: int = 6) -> Iterator[Instance]:
    """
    Up to lines x lines, of many kinds in turn.

    For lam = 0, all lines have more entries than unknowns, or all their entries.
    """
    rng = np.random.default_rng(seed)

    def plain(name: str, m: int, n: int, k: int, **options: Any) -> Instance:
        return observe(
            name, gaussian(rng, m, n, k), uniform_mask(rng, m, n, k, rng.uniform(1.5, 4)), rng=rng, **options
        )

    def biased(name: str, m: int, n: int, k: int, **options: Any) -> Instance:
        mask = uniform_mask(rng, m, n, min(k + 2, m, n), rng.uniform(1.5, 3))
        return observe(name, with_biases(rng, m, n, k), mask, rng=rng, biases=True, **options)

    def nonnegative(name: str, m: int, n: int, k: int) -> Instance:
        parts = (np.maximum(rng.standard_normal((size, k)), 0) for size in (m, n))
        mask = uniform_mask(rng, m, n, k, rng.uniform(1.5, 4))
        made = observe(name, factors_only(*parts), mask, noise=0.1, rng=rng, lam=0.1, nonnegative=True)
        return replace(made, values=np.maximum(made.values, 0))

    def low_rank(name: str, m: int, n: int, k: int) -> Instance:
        truth = gaussian(rng, m, n, int(rng.integers(1, k + 1)))
        return observe(name, truth, uniform_mask(rng, m, n, k, 2.0), rank=k)

    def ridged(name: str, m: int, n: int, k: int) -> Instance:
        """Any mask, lines without entries and with fewer than k among them."""
        mask = rng.random((m, n)) < rng.uniform(0.1, 0.9)
        mask[rng.integers(m), rng.integers(n)] = True
        return observe(name, gaussian(rng, m, n, k), mask, noise=0.1, rng=rng, lam=10.0 ** rng.uniform(-3, 1))

    def spectrum(name: str, m: int, n: int, k: int, s: Callable[[int], Any]) -> Instance:
        return observe(name, with_spectrum(rng, m, n, s(k)), uniform_mask(rng, m, n, k, rng.uniform(2, 4)))

    kinds: dict[str, Callable[[str, int, int, int], Instance]] = {
        "exact": plain,
        "noise": functools.partial(plain, noise=0.1),
        "ridge": functools.partial(plain, noise=0.1, lam=0.1),
        "any mask": ridged,
        "weights": lambda name, m, n, k: plain(name, m, n, k, noise=0.1, weights=rng.uniform(0.1, 10, (m, n))),
        "integer weights": lambda name, m, n, k: plain(
            name, m, n, k, noise=0.1, lam=0.05, weights=rng.integers(1, 4, (m, n)).astype(float)
        ),
        "biases": functools.partial(biased, noise=0.1, lam=0.1),
        "biases and weights": lambda name, m, n, k: biased(
            name, m, n, k, noise=0.1, lam=1.0, weights=rng.uniform(0.1, 10, (m, n))
        ),
        "nonnegative": nonnegative,
        "rank too large": low_rank,
        "decaying spectrum": lambda name, m, n, k: spectrum(name, m, n, k, lambda k: 0.5 ** np.arange(k)),
        "condition 1e3": lambda name, m, n, k: spectrum(name, m, n, k, lambda k: np.logspace(0, -3, k)),
        "coherent": lambda name, m, n, k: observe(
            name, coherent(rng, m, n, k, 10.0), uniform_mask(rng, m, n, k, rng.uniform(2, 4))
        ),
        "heavy lines": lambda name, m, n, k: observe(
            name, gaussian(rng, m, n, k), heavy_mask(rng, m, n, k, rng.uniform(1.5, 3))
        ),
        "scaled": lambda name, m, n, k: observe(
            name, scaled(gaussian(rng, m, n, k), 10.0 ** rng.uniform(-9, 9)), uniform_mask(rng, m, n, k, 2.5)
        ),
        "all observed": lambda name, m, n, k: observe(
            name, gaussian(rng, m, n, k), np.ones((m, n), bool), noise=0.1, rng=rng
        ),
        "ratings": lambda name, m, n, k: ratings(m, n, k, seed=int(rng.integers(2**31)), name=name),
        "counts": lambda name, m, n, k: counts(m, n, k, seed=int(rng.integers(2**31)), name=name),
    }
    names = list(kinds)
    for made in range(count):
        m, n = (int(size) for size in rng.integers(1, lines + 1, 2))
        k = int(rng.integers(1, min(ranks, m, n) + 1))
        name = names[made % len(names)]
        yield kinds[name](f"{made}: {name}, {m} x {n}, rank {k}", m, n, k)


def of_parts(U: Any, V: Any, mu: float = 0.0) -> Model:
    return factors_only(np.asarray(U, float), np.asarray(V, float))._replace(mu=mu)


def unusual_shapes(rng: np.random.Generator) -> Iterator[Instance]:
    m, n, k = 24, 18, 2
    G, everything = gaussian(rng, m, n, k), np.ones((m, n), bool)
    yield observe("one by one", of_parts([[2.0]], [[-1.5]]), np.ones((1, 1), bool))
    yield observe("one row", gaussian(rng, 1, n, 1), np.ones((1, n), bool))
    yield observe("one column", gaussian(rng, m, 1, 1), np.ones((m, 1), bool))
    yield observe("one of two by two is missing", gaussian(rng, 2, 2, 1), np.array([[True, True], [True, False]]))
    yield observe("one entry", gaussian(rng, 3, 3, 1), np.diag([False, True, False]), lam=0.1)
    yield observe("rank of the size", gaussian(rng, 5, 4, 4), np.ones((5, 4), bool))
    yield observe("rank of the size, some missing", gaussian(rng, 5, 4, 4), uniform_mask(rng, 5, 4, 1, 1.5), lam=0.1)
    yield observe("many more rows", gaussian(rng, 400, 6, k), uniform_mask(rng, 400, 6, k, 1.3))
    yield observe("many more columns", gaussian(rng, 5, 300, k), uniform_mask(rng, 5, 300, k, 1.3))
    yield observe("all observed", G, everything)
    yield observe("all observed, with noise", G, everything, noise=0.3, rng=rng)
    yield observe("all but one observed", G, np.arange(m * n).reshape(m, n) != 77)


def unusual_factors(rng: np.random.Generator) -> Iterator[Instance]:
    m, n, k = 24, 18, 2
    G = gaussian(rng, m, n, k)
    i, j = np.arange(m)[:, np.newaxis], np.arange(n)[:, np.newaxis]
    zeros = of_parts(np.zeros((m, 1)), np.zeros((n, 1)))
    matrices = {
        "constant": of_parts(np.full((m, 1), 3.0), np.ones((n, 1))),
        "signs": of_parts(np.sign(G.U[:, :1]), np.sign(G.V[:, :1])),
        "negative": of_parts(-np.abs(G.U), np.abs(G.V)),
        "integers, many zero": of_parts(rng.integers(-1, 2, (m, k)), rng.integers(-1, 2, (n, k))),
        "zeros": zeros,
        "zero rows": of_parts(G.U * (i % 4 > 0), G.V),
        "zero rows and columns": of_parts(G.U * (i > 3), G.V * (j > 3)),
        "equal columns of factors": of_parts(G.U[:, [0, 0]], G.V[:, [0, 0]]),
        "equal rows": of_parts(np.tile(G.U[0], (m, 1)), G.V),
        "every row twice": of_parts(np.repeat(G.U[: m // 2], 2, axis=0), G.V),
        "opposite columns": of_parts(G.U, np.vstack([G.V[: n // 2], -G.V[: n // 2]])),
        "equal singular values": with_spectrum(rng, m, n, np.ones(3)),
        "condition 1e6": with_spectrum(rng, m, n, np.array([1, 1e-3, 1e-6])),
        "tiny": scaled(G, 1e-150),
        "huge": scaled(G, 1e150),
        "rows of all sizes": of_parts(G.U * np.logspace(-4, 4, m)[:, np.newaxis], G.V),
        "one row 1000 times as large": of_parts(G.U * np.where(i == 9, 1e3, 1), G.V),
        "uneven factors": of_parts(1e8 * G.U, 1e-8 * G.V),
        "coherent": coherent(rng, m, n, k, 30.0),
    }
    mask = uniform_mask(rng, m, n, 4, 1.5)  # more than enough for rank 3 and for biases
    for name, truth in matrices.items():
        yield observe(name, truth, mask)
    yield observe("rank one, fitted by three", gaussian(rng, m, n, 1), mask, rank=3)
    yield observe("zeros, fitted by three", zeros, mask, rank=3)
    yield observe("one that is not zero", of_parts(i == 4, j == 7), mask, lam=1e-3)
    yield observe("constant, with biases", zeros._replace(mu=3.0), mask, biases=True)
    yield observe("biases alone", with_biases(rng, m, n, k)._replace(U=np.zeros((m, k))), mask, biases=True)
    yield observe("far from zero", of_parts(G.U, G.V, 1e6), mask, biases=True, lam=1e-3)
    positive = of_parts(np.maximum(G.U, 0), np.maximum(G.V, 0))
    yield observe("nonnegative", positive, mask, nonnegative=True, lam=0.01)
    one = of_parts(positive.U[:, :1], positive.V[:, :1])
    yield observe("nonnegative, fitted by two", one, mask, rank=2, nonnegative=True, lam=0.01)


def unusual_masks(rng: np.random.Generator) -> Iterator[Instance]:
    m, n, k = 24, 18, 2
    G, mask = gaussian(rng, m, n, k), uniform_mask(rng, m, n, 4, 1.5)
    i, j = np.arange(m)[:, np.newaxis], np.arange(n)
    thin = mask.copy()
    thin[::3] = row_mask(rng, m // 3, n, k)
    yield observe("a cross", gaussian(rng, m, n, 1), (i == 3) | (j == 5))
    yield observe("one heavy row and column", gaussian(rng, 60, 50, k), heavy_mask(rng, 60, 50, k, 1.5))
    yield observe("k in some rows", G, thin)
    yield observe("k in each row", G, row_mask(rng, m, n, k), lam=1e-3)
    yield observe("k + 1 in each row", gaussian(rng, 60, 8, k), row_mask(rng, 60, 8, k + 1))
    yield observe("one in each row", G, (i - j) % n == 0, lam=0.1)
    yield observe("empty rows and columns", G, mask & (i % 5 > 0) & (j % 4 > 0), lam=0.1)
    yield observe("two blocks", G, blocks_mask(rng, m, n, linked=0), lam=1e-3)
    yield observe("two blocks, linked", G, blocks_mask(rng, m, n, linked=k + 1))
    yield observe("a band", G, np.abs(i / m - j / n) < 0.25)
    yield observe("a staircase", G, (i / m >= j / n) | (i < k + 1) | (j >= n - k - 1))


def unusual_values(rng: np.random.Generator) -> Iterator[Instance]:
    m, n, k = 24, 18, 2
    G, mask = gaussian(rng, m, n, k), uniform_mask(rng, m, n, 4, 1.5)
    nothing = of_parts(np.zeros((m, k)), np.zeros((n, k)))
    yield observe("no signal", nothing, mask, noise=1.0, rng=rng, lam=0.5)
    weights = 10.0 ** rng.uniform(-4, 4, (m, n))
    yield observe("weights of all sizes", G, mask, weights=weights)
    yield observe("weights of all sizes, with noise", G, mask, weights=weights, noise=0.1, rng=rng, lam=0.1)
    ignored = ~mask & (rng.random((m, n)) < 0.2)
    spoilt = observe("wrong where the weight is 0", G, mask | ignored, weights=np.where(ignored, 0.0, 1.0))
    yield replace(spoilt, values=np.where(spoilt.weights == 0, 100.0, spoilt.values))
    outlier = observe("an outlier", G, mask, lam=0.1)
    yield replace(outlier, values=outlier.values + 1e4 * (np.arange(len(outlier.values)) == 33))
    yield ratings()
    yield counts()


def adversarial_instances(seed: int = 0) -> Iterator[Instance]:
    """What breaks implementations, with names."""
    rng = np.random.default_rng(seed)
    for group in (unusual_shapes, unusual_factors, unusual_masks, unusual_values):
        yield from group(rng)


@functools.cache
def all_instances() -> list[Instance]:
    """200 random and all adversarial ones."""
    return [*random_instances(), *adversarial_instances()]
