"""Random matrices of low rank, some entries of which are known, and others that completions are judged by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

HELD_OUT = 200_000  # entries, less those that are known
CHUNK = 1 << 12  # entries whose rows of U and V are in the cache at a time

Predict = Callable[[Any, Any], Any]  # rows, columns -> entries


@dataclass(frozen=True)
class Instance:
    """
    U V^T of n x n and rank k, with entries of variance 1, of which X has about ratio * k (2 n - k).

    That is so many times the number of parameters of such a matrix. Entries are drawn without replacement, all with the
    same probability; rows and columns with fewer than k + 1 get as many. X has noise added, the held-out values none.
    """

    U: Any
    V: Any
    ratio: float
    noise: float
    X: Any  # CSR array, 32-bit indices
    rows: Any  # of held-out entries
    cols: Any
    values: Any

    @property
    def n(self) -> int:
        return len(self.U)

    @property
    def k(self) -> int:
        return int(self.U.shape[1])

    @cached_property
    def observed(self) -> tuple[Any, Any]:
        """The rows and columns of the entries of X, in its order."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.X.indptr)), self.X.indices

    def error(self, predict: Predict) -> float:
        """Return the root mean square of the held-out errors, relative to that of the values."""
        with np.errstate(over="ignore", invalid="ignore"):  # peers diverge
            return float(np.linalg.norm(predict(self.rows, self.cols) - self.values) / np.linalg.norm(self.values))


def instance(n: int, k: int, ratio: float, noise: float = 0.0, seed: int = 0) -> Instance:
    random = np.random.default_rng((seed, n, k))
    U = random.standard_normal((n, k)) / np.sqrt(k)
    V = random.standard_normal((n, k))
    places = _distinct(random, round(ratio * k * (2 * n - k)), n * n)
    places = _topped_up(random, _topped_up(random, places, n, k, by_column=False), n, k, by_column=True)
    rows, cols = np.divmod(places, n)
    values = inner(U, V, rows, cols)
    if noise > 0:
        values += noise * random.standard_normal(len(values))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    X = scipy.sparse.csr_array((values, cols.astype(np.int32), indptr.astype(np.int32)), shape=(n, n))
    held_out = np.setdiff1d(_distinct(random, min(HELD_OUT, n * n), n * n), places, assume_unique=True)
    i, j = np.divmod(held_out, n)
    return Instance(U, V, ratio, noise, X, i, j, inner(U, V, i, j))


def inner(U: Any, V: Any, rows: Any, cols: Any) -> Any:
    """Return some entries of U V^T."""
    found = np.empty(len(rows))
    for begin in range(0, len(rows), CHUNK):
        part = slice(begin, begin + CHUNK)
        np.einsum("ij,ij->i", U[rows[part]], V[cols[part]], out=found[part])
    return found


def of_factors(U: Any, V: Any) -> Predict:
    return lambda rows, cols: inner(U, V, rows, cols)


def _distinct(random: np.random.Generator, size: int, population: int) -> Any:
    """Return different numbers below ``population``, ascending, in memory for those alone."""
    if size > population // 2:
        return np.sort(random.permutation(population)[:size])
    drawn = np.unique(random.integers(population, size=size))
    while len(drawn) < size:
        more = random.integers(population, size=size - len(drawn))
        drawn = np.unique(np.concatenate([drawn, more]))
    return drawn


def _topped_up(random: np.random.Generator, places: Any, n: int, k: int, by_column: bool) -> Any:
    """Return places, numbers row * n + column, with more of them in lines that have fewer than k + 1."""
    lines = places % n if by_column else places // n
    missing = np.maximum(k + 1 - np.bincount(lines, minlength=n), 0)
    added = [np.empty(0, dtype=np.int64)]
    for line in np.flatnonzero(missing):
        taken = places[lines == line]
        free = np.setdiff1d(np.arange(n), taken // n if by_column else taken % n, assume_unique=True)
        chosen = random.choice(free, missing[line], replace=False)
        added.append(chosen * n + line if by_column else line * n + chosen)
    return np.sort(np.concatenate([places, *added]))
