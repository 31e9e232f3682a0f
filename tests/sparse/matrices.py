"""Matrices to multiply: random ones, and those that break products."""

import numpy as np
import scipy.sparse as sp


def random_csr(rng, rows, cols, density=None, *, dtype=np.float64, index=np.int32, shuffled=False):
    """Entries anywhere, so that places repeat and rows are unsorted when `shuffled`; else in canonical format."""
    density = rng.choice([0.02, 0.1, 0.4, 0.9]) if density is None else density
    count = rng.binomial(rows * cols, density) if rows * cols > 0 else 0
    row = np.sort(rng.integers(0, max(rows, 1), count))
    indices = rng.integers(0, max(cols, 1), count)
    indptr = np.searchsorted(row, np.arange(rows + 1))
    data = rng.normal(size=count) * 10.0 ** rng.integers(-3, 4, size=count)
    matrix = csr(data.astype(dtype), indices.astype(index), indptr.astype(index), (rows, cols))
    if not shuffled:
        matrix.sum_duplicates()
    return matrix


def csr(data, indices, indptr, shape):
    """A csr_array as it is given: SciPy's constructor would narrow its indices."""
    matrix = sp.csr_array(shape, dtype=data.dtype)
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def arrow(n):
    """A full first row, a full first column and a diagonal: A A is full."""
    matrix = full_first_row(n) + full_first_row(n).T
    return matrix.tocsr()


def full_first_row(n):
    """And a diagonal: the first row has two thirds of all products of A A."""
    row = np.concatenate([np.zeros(n, int), np.arange(1, n)])
    col = np.concatenate([np.arange(n), np.arange(1, n)])
    return sp.csr_array((np.arange(1.0, 2 * n) % 97, (row, col)), shape=(n, n))


def wide_row(entries, cols, seed=0, index=np.int64):
    """One row with entries far apart."""
    columns = np.unique(np.random.default_rng(seed).integers(0, cols, entries))
    data = np.arange(1.0, len(columns) + 1)
    return csr(data, columns.astype(index), np.array([0, len(columns)], dtype=index), (1, cols))


def poisson(n):
    """Five-point Laplacian on an n x n grid."""
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    identity = sp.eye_array(n)
    return sp.csr_array(sp.kron(line, identity) + sp.kron(identity, line))


def adversarial():
    """Pairs (A, B) by name."""
    rng = np.random.default_rng(0)
    n = 60
    dense_row = sp.csr_array((np.ones(n), (np.zeros(n, int), np.arange(n))), shape=(n, n))
    some = random_csr(rng, n, n, 0.1)
    stored_zeros = some.copy()
    stored_zeros.data[::2] = 0.0
    cancelling = sp.csr_array(([1.0, -1.0, 1.0, 1.0], [0, 1, 0, 0], [0, 2, 3, 4]), shape=(3, 2))
    negative_zero = sp.csr_array(([-0.0, 1.0], [0, 1], [0, 2]), shape=(1, 2))
    special = some.copy()
    special.data[:6] = [np.nan, np.inf, -np.inf, 5e-324, 1e308, -1e308]
    permutation = sp.csr_array((np.ones(n), (np.arange(n), rng.permutation(n))), shape=(n, n))
    block_edges = sp.csr_array(np.isin(np.arange(300) % 64, [0, 1, 62, 63]).astype(float)[np.newaxis, :])
    return {
        "no rows": (sp.csr_array((0, 5)), sp.csr_array((5, 4))),
        "no columns": (sp.csr_array((3, 5)), sp.csr_array((5, 0))),
        "no inner dimension": (sp.csr_array((3, 0)), sp.csr_array((0, 4))),
        "nothing at all": (sp.csr_array((0, 0)), sp.csr_array((0, 0))),
        "no entries": (sp.csr_array((4, 4)), sp.csr_array((4, 4))),
        "one by one": (sp.csr_array([[3.0]]), sp.csr_array([[-2.0]])),
        "identity on the left": (sp.eye_array(n, format="csr"), some),
        "identity on the right": (some, sp.eye_array(n, format="csr")),
        "permutation": (permutation, some),
        "one full row": (dense_row, some),
        "one full column": (some, dense_row.T.tocsr()),
        "outer product": (sp.csr_array(np.ones((n, 1))), sp.csr_array(np.ones((1, n)))),
        "inner product": (sp.csr_array(np.ones((1, n))), sp.csr_array(np.ones((n, 1)))),
        "all full": (sp.csr_array(rng.normal(size=(40, 70))), sp.csr_array(rng.normal(size=(70, 200)))),
        "arrow": (arrow(150), arrow(150)),
        "stored zeros": (stored_zeros, stored_zeros),
        "sums that cancel": (cancelling.T.tocsr(), cancelling),
        "negative zeros": (sp.csr_array([[1.0]]), negative_zero),
        "NaN, Inf and the ends of the range": (special, special),
        "edges of blocks": (sp.csr_array(np.ones((2, 1))), block_edges),
        "edges of blocks, summed": (sp.csr_array(np.ones((3, 20))), sp.vstack([block_edges] * 20, format="csr")),
        "one row, columns far apart": (sp.csr_array(np.ones((2, 2))), sp.vstack([wide_row(50, 10**6)] * 2).tocsr()),
        "rows of every length": (
            sp.csr_array(np.tril(np.ones((90, 90)))),
            sp.csr_array(np.eye(90, 400, 37) + np.eye(90, 400, 250)),
        ),
        "mesh": (poisson(20), poisson(20)),
    }
