"""sparse.estimate where it takes long."""

import numpy as np
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse.matrices import csr


def test_estimate_that_is_long_enough_to_be_watched():
    """It asked a callback that was gone, and crashed, when it took longer than the 50 ms between two questions."""
    rows, cols = 8000, 4000
    indices = np.tile(np.arange(cols, dtype=np.int32), rows)
    A = csr(np.ones(rows * cols, np.float32), indices, np.arange(rows + 1, dtype=np.int32) * cols, (rows, cols))
    B = sp.csr_array(np.ones((cols, 1), np.float32))
    for _ in range(5):
        assert nl.sparse.estimate(A, B, n_threads=1).products == rows * cols
