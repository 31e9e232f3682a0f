"""sparse.estimate where it takes long."""

import numpy as np

import nearlinear as nl
from tests.sparse.matrices import csr


def test_estimate_that_is_long_enough_to_be_watched():
    """It asked a callback that was gone, and crashed, when it took longer than the 50 ms between two questions."""
    rows, cols = 4000, 4000
    indices = np.tile(np.arange(cols, dtype=np.int32), rows)
    A = csr(np.ones(rows * cols, np.float32), indices, np.arange(rows + 1, dtype=np.int32) * cols, (rows, cols))
    for _ in range(5):
        assert nl.sparse.estimate(A, A, n_threads=1).products == rows * cols * cols
