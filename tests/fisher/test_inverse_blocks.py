"""fisher.FisherInverse by blocks, with other dampings and divisors; T8 is an acceptance test."""

import numpy as np
import pytest

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.reference import assert_columns_close, relative_bound


@pytest.mark.smoke
@pytest.mark.parametrize("block_size", [1, 7, 16, 50, 100, 300])
@pytest.mark.parametrize("m", [1, 5, 30, 60])
def test_blocks(m, block_size):
    """T8: blocks of 1, blocks that divide d = 100 or do not, narrower or wider than m, and wider than d."""
    rng = np.random.default_rng(m + block_size)
    d, damping = 100, 10 ** rng.uniform(-3, 0)
    G, X = rng.normal(size=(m, d)), rng.normal(size=(d, 3))
    finv = nl.fisher.FisherInverse(G, damping, block_size=block_size)
    assert min(finv.block_size, d) == min(block_size, d)
    limit = relative_bound(G, damping, at_least=1e-10, block_size=block_size) / damping
    expected = reference.power(G, damping, m, X, -1, block_size=block_size)
    assert_columns_close(finv.matmat(X), expected, limit * np.linalg.norm(X, axis=0))
    assert_columns_close(finv.matvec(X[:, 0]), expected[:, 0], limit * np.linalg.norm(X[:, 0]))
    inverse = reference.power(G, damping, m, np.eye(d), -1, block_size=block_size)
    np.testing.assert_allclose(finv.diagonal(), np.diag(inverse), rtol=0, atol=limit)
    i, j = rng.integers(d, size=(9, 1)), np.arange(d)
    np.testing.assert_allclose(finv.element(i, j), inverse[i, j], rtol=0, atol=limit)
    np.testing.assert_array_equal(finv.element(i, j)[inverse[i, j] == 0], 0.0)  # outside of the blocks
    np.testing.assert_allclose(finv.submatrix(i[:, 0], j), inverse[i, j], rtol=0, atol=limit)
    expected = reference.log_determinant(G, damping, m, block_size=block_size)
    assert finv.logdet() == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize("block_size", [1, 7, 50, 300])
def test_other_products_with_blocks(block_size):
    rng = np.random.default_rng(block_size)
    d, m, damping = 100, 12, 1e-2
    G, x = rng.normal(size=(m, d)), rng.normal(size=d)
    finv = nl.fisher.FisherInverse(G, damping, block_size=block_size)
    F = reference.fisher(G, damping, m, block_size=block_size)
    assert_columns_close(finv.fisher_matvec(x), F @ x, 1e-12 * np.linalg.norm(F, 2) * np.linalg.norm(x))
    root = reference.power(G, damping, m, x, -0.5, block_size=block_size)
    assert_columns_close(finv.sqrt_matvec(x), root, 1e-10 * np.linalg.norm(x) / np.sqrt(damping))
    assert finv.quad_form(x) == pytest.approx(root @ root, rel=1e-10)


def test_blocks_of_one_are_the_diagonal_in_closed_form():
    """T8."""
    rng = np.random.default_rng(0)
    G, x = rng.normal(size=(13, 40)), rng.normal(size=40)
    finv = nl.fisher.FisherInverse(G, 1e-3, block_size=1)
    diagonal = 1e-3 + (G**2).mean(axis=0)
    np.testing.assert_allclose(finv.matvec(x), x / diagonal, rtol=1e-10)
    np.testing.assert_allclose(finv.diagonal(), 1 / diagonal, rtol=1e-10)
    assert finv.logdet() == pytest.approx(np.log(diagonal).sum(), rel=1e-12)


@pytest.mark.parametrize("m", [4, 30])
def test_damping_of_its_own_for_every_block(m):
    rng = np.random.default_rng(m)
    G, x = rng.normal(size=(m, 25)), rng.normal(size=25)
    damping = 10.0 ** -np.arange(4.0)
    finv = nl.fisher.FisherInverse(G, damping, block_size=7)
    np.testing.assert_array_equal(finv.damping, damping)
    for damping_now in (damping, damping[::-1].copy(), np.full(4, 0.3)):
        finv.set_damping(damping_now)
        limit = 1e-10 * np.linalg.norm(x) / damping_now.min()
        assert_columns_close(finv.matvec(x), reference.power(G, damping_now, m, x, -1, block_size=7), limit)
        expected = reference.log_determinant(G, damping_now, m, block_size=7)
        assert finv.logdet() == pytest.approx(expected, rel=0, abs=1e-9)
    finv.set_damping(0.3)
    assert_columns_close(finv.matvec(x), reference.power(G, 0.3, m, x, -1, block_size=7), limit)


@pytest.mark.parametrize("block_size", [None, 8, 200])
def test_set_damping_is_a_new_operator_without_the_gradients(block_size):
    rng = np.random.default_rng(3)
    G = rng.normal(size=(20, 90))
    finv = nl.fisher.FisherInverse(G, 1.0, block_size=block_size)
    finv.diagonal()  # what is kept from the old damping must not be used again
    x = rng.normal(size=90)
    for damping in (1e-4, 1e2, 1e-2):
        finv.set_damping(damping)
        assert finv.damping == damping
        new = nl.fisher.FisherInverse(G, damping, block_size=block_size)
        for quantity in ("diagonal", "logdet"):
            np.testing.assert_allclose(getattr(finv, quantity)(), getattr(new, quantity)(), rtol=1e-9)
        for product in ("matvec", "sqrt_matvec", "fisher_matvec"):
            expected = getattr(new, product)(x)
            assert_columns_close(getattr(finv, product)(x), expected, 1e-10 * np.linalg.norm(expected))
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"\bdamping\b"):
            finv.set_damping(bad)
    assert finv.damping == 1e-2
    assert_columns_close(finv.matvec(x), new.matvec(x), 1e-10 * np.linalg.norm(x) / 1e-2)


@pytest.mark.parametrize("block_size", [None, 5])
@pytest.mark.parametrize("normalize", [1.0, 7, 0.25, 1024.0])
def test_normalize_is_the_number_that_divides(normalize, block_size):
    rng = np.random.default_rng(4)
    G, x = rng.normal(size=(6, 20)), rng.normal(size=20)
    finv = nl.fisher.FisherInverse(G, 1e-2, normalize=normalize, block_size=block_size)
    assert finv.n_grads == 6
    limit = 1e-11 * np.linalg.norm(x) / 1e-2
    assert_columns_close(finv.matvec(x), reference.power(G, 1e-2, normalize, x, -1, block_size=block_size), limit)
    assert finv.logdet() == pytest.approx(
        reference.log_determinant(G, 1e-2, normalize, block_size=block_size), abs=1e-9
    )


@pytest.mark.parametrize("block_size", [1, 30, 1000])
def test_threads_leave_the_bits_alone_with_blocks(block_size):
    rng = np.random.default_rng(12)
    G, x = rng.normal(size=(40, 20_000)), rng.normal(size=20_000)
    results = []
    for n_threads in (1, 2, 4):
        finv = nl.fisher.FisherInverse(G, 1e-3, block_size=block_size, n_threads=n_threads)
        results.append([finv.matvec(x), finv.diagonal(), np.array(finv.logdet())])
    for result in results[1:]:
        for actual, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(actual, expected)
