"""Matrices whose rows are scored: rows that are all alike, and rows some of which outweigh the others."""

from typing import Any

import numpy as np
import scipy.sparse

from bench.sketch.sparse_lstsq import csr

FREEDOM = 2.5  # of Student's distribution, whose variance is finite and whose third moment is not
HEAVY_ROWS, TIMES = 20, 50  # so many rows are multiplied by so much
DENSITY = 1e-3
SCALES = -6  # the power of 10 by which the last column of a sparse matrix is multiplied; the first is as it is


def gaussian(n: int, d: int) -> Any:
    return np.random.default_rng(0).standard_normal((n, d))


def heavy_tailed(n: int, d: int) -> Any:
    A = np.random.default_rng(0).standard_t(FREEDOM, (n, d))
    A[:HEAVY_ROWS] *= TIMES
    return A


def conditioned(n: int, d: int, power: int) -> Any:
    """Return a Gaussian matrix with scaled columns times an orthogonal one: of condition 10^power or so."""
    random = np.random.default_rng(0)
    mix = np.logspace(0, -power, d)[:, np.newaxis] * np.linalg.qr(random.standard_normal((d, d))).Q
    return random.standard_normal((n, d)) @ mix


def sparse(n: int, d: int) -> Any:
    """Return a CSR array of Gaussian entries in random places, with columns of different scales."""
    random = np.random.default_rng(0)
    entries = round(DENSITY * n * d)
    places = (random.integers(n, size=entries, dtype=np.int32), random.integers(d, size=entries, dtype=np.int32))
    A = scipy.sparse.coo_array((random.standard_normal(entries), places), shape=(n, d))
    return csr(scipy.sparse.csr_array(A) @ scipy.sparse.diags_array(np.logspace(0, SCALES, d)))


NAMED = {"Gaussian": gaussian, "heavy tails": heavy_tailed}
