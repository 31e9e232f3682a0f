"""sparse.estimate and sparse.matmul_nnz: where they take long, and for all types of numbers."""

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse.matrices import csr, random_csr


def test_estimate_that_is_long_enough_to_be_watched():
    """It asked a callback that was gone, and crashed, when it took longer than the 50 ms between two questions."""
    rows, cols = 8000, 4000
    indices = np.tile(np.arange(cols, dtype=np.int32), rows)
    A = csr(np.ones(rows * cols, np.float32), indices, np.arange(rows + 1, dtype=np.int32) * cols, (rows, cols))
    B = sp.csr_array(np.ones((cols, 1), np.float32))
    for _ in range(5):
        assert nl.sparse.estimate(A, B, n_threads=1).products == rows * cols


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f4", ">f8", "c8", ">c16"])
def test_values_do_not_matter(dtype, shuffled):
    rng = np.random.default_rng(3)
    A, B = (random_csr(rng, *shape, 0.05, shuffled=shuffled) for shape in [(80, 60), (60, 90)])
    bound, nnz = nl.sparse.estimate(A, B), nl.sparse.matmul_nnz(A, B)
    assert nnz == (abs(A.copy()) @ abs(B.copy())).nnz  # of copies: SciPy sums duplicates where they stand
    for matrix in (A, B):
        matrix.data = np.zeros(len(matrix.data), dtype)
    found = nl.sparse.estimate(A, B)
    assert found[:2] == bound[:2]
    assert found.bytes == 81 * 4 + found.nnz * (4 + np.dtype(dtype).itemsize)
    assert nl.sparse.matmul_nnz(A, B) == nnz


def test_bytes_are_those_of_the_product():
    """They were told of float64 whatever the product's type is."""
    for left, right in [("i1", "i2"), ("f4", "f8"), ("c8", "f8"), ("?", "?")]:
        A, B = (sp.eye_array(5, dtype=dtype, format="csr") for dtype in (left, right))
        C = nl.sparse.matmul(A, B)
        assert nl.sparse.estimate(A, B).bytes == C.data.nbytes + C.indices.nbytes + C.indptr.nbytes
