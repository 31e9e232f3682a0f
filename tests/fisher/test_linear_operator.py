"""Both inverses in SciPy's hands; T14 is an acceptance test."""

import numpy as np
import pytest
import scipy.sparse.linalg

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.reference import assert_columns_close
from tests.fisher.window import Window


def test_attributes():
    G = np.random.default_rng(7).normal(size=(6, 50))
    finv = nl.fisher.FisherInverse(G)
    assert (finv.shape, finv.n_grads, finv.damping, finv.block_size) == ((50, 50), 6, 1e-5, None)
    assert isinstance(finv, scipy.sparse.linalg.LinearOperator)
    np.testing.assert_allclose(finv.gram, G @ G.T, rtol=0, atol=1e-13 * 50)
    with pytest.raises(ValueError, match="read-only"):
        finv.gram[0, 0] = 1.0
    with pytest.raises((AttributeError, ValueError), match="gram"):
        _ = nl.fisher.FisherInverse(G, block_size=5).gram


class TestAsLinearOperator:
    """T14: what SciPy does with a LinearOperator."""

    G = np.random.default_rng(13).normal(size=(15, 80))
    finv = property(lambda self: nl.fisher.FisherInverse(self.G, 1e-3))

    @pytest.mark.parametrize("block_size", [None, 7, 80])
    def test_as_a_preconditioner_it_solves_in_one_iteration(self, block_size):
        finv = nl.fisher.FisherInverse(self.G, 1e-3, block_size=block_size)
        F, b = reference.fisher(self.G, 1e-3, 15, block_size=block_size), np.random.default_rng(14).normal(size=80)
        iterations = []
        x, info = scipy.sparse.linalg.cg(F, b, M=finv, rtol=1e-9, callback=iterations.append)
        assert (info, len(iterations)) == (0, 1)
        assert np.linalg.norm(F @ x - b) <= 1e-9 * np.linalg.norm(b)

    def test_products_and_sums_of_operators(self):
        finv, inverse = self.finv, np.linalg.inv(reference.fisher(self.G, 1e-3, 15))
        x = np.random.default_rng(15).normal(size=(80, 2))
        for operator, matrix in (
            (finv, inverse),
            (finv.T, inverse),
            (finv.H, inverse),
            (2 * finv + finv.T, 3 * inverse),
            (finv @ finv, inverse @ inverse),
            (scipy.sparse.linalg.aslinearoperator(finv), inverse),
        ):
            limit = 1e-9 * np.linalg.norm(matrix, 2) * np.linalg.norm(x, axis=0)
            assert_columns_close(operator @ x, matrix @ x, limit)
            assert_columns_close(operator @ x[:, 0], matrix @ x[:, 0], limit[0])
        assert_columns_close(finv.rmatmat(x), inverse @ x, 1e-9 * np.linalg.norm(inverse, 2) * np.linalg.norm(x))
        assert finv.matvec(x[:, :1]).shape == (80, 1)

    def test_eigenvalues(self):
        largest = scipy.sparse.linalg.eigsh(self.finv, k=1, return_eigenvectors=False)
        np.testing.assert_allclose(largest, 1e3, rtol=1e-9)  # of what is orthogonal to the gradients

    def test_no_right_hand_sides(self):
        assert self.finv.matmat(np.ones((80, 0))).shape == (80, 0)

    def test_zero_gives_zero(self):
        np.testing.assert_array_equal(self.finv.matvec(np.zeros(80)), np.zeros(80))

    def test_double_gradients_answer_in_double(self):
        assert self.finv.matvec(np.ones(80, np.float32)).dtype == np.float64
        assert self.finv.matvec(np.ones(80, int)).dtype == np.float64


def test_as_linear_operator():
    """T14."""
    rng = np.random.default_rng(10)
    G, b = rng.normal(size=(10, 40)), rng.normal(size=40)
    sliding = Window(40, 6, 1e-2, storage="float64")
    sliding.update_many(G)
    assert isinstance(sliding, scipy.sparse.linalg.LinearOperator)
    assert (sliding.shape, sliding.dtype) == ((40, 40), np.float64)
    F = reference.fisher(G[-6:], 1e-2, 6)
    iterations = []
    x, info = scipy.sparse.linalg.cg(F, b, M=sliding, rtol=1e-9, callback=iterations.append)
    assert (info, len(iterations)) == (0, 1)
    np.testing.assert_allclose(x, np.linalg.solve(F, b), rtol=0, atol=1e-9 * np.linalg.norm(x))
    for operator in (sliding, sliding.T, sliding.H):
        assert_columns_close(operator @ b, x, 1e-9 * np.linalg.norm(x))
    assert_columns_close(sliding.rmatvec(b), x, 1e-9 * np.linalg.norm(x))
