"""fisher.FisherInverse against the definitions; the numbers T1 to T14 are those of the acceptance tests."""

import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nearlinear as nl
from tests.fisher import reference

EPS = np.finfo(float).eps
STORAGES = ["float64", "float32", "float16", "bfloat16"]


def some(count, usually):
    """Return `count` seeds, of which only the first ones run unless the slow tests do."""
    return [*range(usually), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(usually, count))]


def relative_bound(G, damping, M=None, *, dtype=np.float64, at_least=1e-13, block_size=None, scaled=True):
    """
    Return what |error of F^{-1} x| damping / |x| may be.

    That is a constant, `at_least` or 2e-7 for float32, where the inverse does not amplify the rounding errors of the
    Gram matrix, which is in float64 for gradients in float32, too. Their products with x may have errors of float32:
    these are amplified by the square root.
    """
    M = len(G) if M is None else M
    columns = reference.blocks(G.shape[1], block_size)
    dampings = np.broadcast_to(damping, len(columns))
    factor = max(
        reference.amplification(G[:, block], damping_here, M, scaled=scaled)
        for block, damping_here in zip(columns, dampings, strict=True)
    )
    if dtype == np.float32:
        at_least = max(at_least, 2e-7 * max(1, np.sqrt(factor) / 10))
    return at_least + 10 * EPS * factor


def assert_columns_close(actual, expected, limit):
    """Compare every column in the Euclidean norm; `limit` is one number or one for each column."""
    assert actual.shape == expected.shape
    error = np.linalg.norm((actual - expected).astype(float), axis=0)
    assert (error <= limit).all(), f"errors of {error}, where {limit} are allowed"


def correlated(rng, m, d, size=1.0, noise=0.1):
    """Gradients of one norm that have most of their direction in common, as those of one batch after the other."""
    G = rng.normal(size=d) + noise * rng.normal(size=(m, d))
    return G * (size / np.linalg.norm(G, axis=1, keepdims=True))


def random_problem(seed, dtype=np.float64):
    """T1: d from 5 to 400, m from 1 to 80, also m > d, damping from 1e-6 to 1 and gradients of norm 1e-2 to 10."""
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(5, 401 if seed % 3 else 60)), int(rng.integers(1, 81))
    damping = 10 ** rng.uniform(-6, 0)
    G = (rng.normal(size=(m, d)) * 10 ** rng.uniform(-2, 1) / np.sqrt(d)).astype(dtype)
    return rng, G, damping


def adversarial():
    rng = np.random.default_rng(0)
    g = rng.normal(size=30)
    tile = rng.normal(size=(3, 4099))
    return {
        "one gradient": (g[None], 1e-3),
        "one parameter": (rng.normal(size=(5, 1)), 1e-2),
        "one parameter, one gradient": (np.array([[3.0]]), 1e-9),
        "a zero gradient alone": (np.zeros((1, 7)), 1e-5),
        "only zero gradients": (np.zeros((4, 7)), 1e-5),
        "zero gradients between others": (rng.normal(size=(9, 20)) * (np.arange(9) % 2)[:, None], 1e-4),
        "zero columns": (rng.normal(size=(9, 20)) * (np.arange(20) % 3 > 0), 1e-4),
        "duplicate gradients": (np.tile(rng.normal(size=(3, 40)), (4, 1)), 1e-6),
        "one gradient again and again": (np.tile(g, (50, 1)), 1e-7),
        "opposite gradients": (np.stack([g, -g]), 1e-6),
        "almost dependent gradients": (g + 1e-7 * rng.normal(size=(6, 30)), 1e-3),
        "more gradients than parameters": (rng.normal(size=(60, 7)), 1e-8),
        "many duplicates of few parameters": (np.tile(rng.normal(size=(2, 6)), (20, 1)), 1e-3),
        "as many gradients as parameters": (rng.normal(size=(20, 20)), 1e-6),
        "one huge gradient": (rng.normal(size=(8, 50)) * np.where(np.arange(8) == 3, 1e6, 1)[:, None], 1e-3),
        "one huge parameter": (rng.normal(size=(8, 50)) * np.where(np.arange(50) == 3, 1e6, 1), 1e-3),
        "graded gradients": (rng.normal(size=(9, 60)) * 10.0 ** np.arange(-8, 9, 2)[:, None], 1e-4),
        "graded parameters": (rng.normal(size=(30, 9)) * 10.0 ** np.arange(-4, 5), 1e-4),
        "tiny damping": (rng.normal(size=(10, 100)), 1e-12),
        "large damping": (rng.normal(size=(10, 100)), 1e12),
        "correlated gradients, tiny damping": (correlated(rng, 20, 300, size=30), 1e-8),
        "multiples of unit vectors": (np.diag(10.0 ** np.arange(-3, 4)), 1e-5),
        "constant gradients": (np.ones((6, 33)), 1e-5),
        "sparse gradients": (rng.normal(size=(12, 90)) * (rng.random((12, 90)) < 0.05), 1e-5),
        "one column more than a tile": (tile[:, :1025], 1e-5),
        "one column more than several tiles": (tile[:, :4097], 1e-5),
        "many gradients": (rng.normal(size=(130, 257)), 1e-5),
    }


@pytest.mark.parametrize("seed", range(10))
def test_the_papers_recurrences_are_the_inverse_and_a_cholesky_factor(seed):
    """T3, for the reference: damping den_i = L_ii^2, damping hg_i / L_ii = v_i, and log det F from den alone."""
    rng = np.random.default_rng(seed)
    m, d = rng.integers(1, 12, size=2)
    damping, M = 10 ** rng.uniform(-2, 0), float(m + seed % 3)
    G, x = rng.normal(size=(m, d)), rng.normal(size=d)
    F = reference.fisher(G, damping, M)
    expected = np.linalg.solve(F, x)
    hg, den = reference.static_recurrence(G, damping, M)
    D, B = reference.dynamic_recurrence(G, damping, M)
    limit = 1e-12 * np.linalg.norm(x) / damping
    for product in (
        reference.static_product(hg, den, damping, x),
        reference.dynamic_product(G, D, B, x, damping=damping, M=M),
        reference.product(G, damping, M, x),
        reference.power(G, damping, M, x, -1),
    ):
        assert_columns_close(product, expected, limit)
    L = reference.gram_factor(G, damping, M)
    np.testing.assert_allclose(damping * den, np.diag(L) ** 2, rtol=1e-12)
    np.testing.assert_allclose(M + np.diag(D), den, rtol=1e-12)
    V = np.linalg.solve(L, G)
    np.testing.assert_allclose(damping * hg / np.diag(L)[:, None], V, rtol=0, atol=1e-11)
    determinant = d * np.log(damping) + np.log(den / M).sum()
    assert determinant == pytest.approx(np.linalg.slogdet(F)[1], rel=0, abs=1e-9)
    assert reference.log_determinant(G, damping, M) == pytest.approx(determinant, rel=0, abs=1e-9)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", some(60, 24))
def test_products_agree_with_the_singular_value_decomposition(seed, dtype):
    """T1."""
    rng, G, damping = random_problem(seed, dtype)
    m, d = G.shape
    finv = nl.fisher.FisherInverse(G, damping)
    X = rng.normal(size=(d, 3)).astype(dtype)
    G, Y = G.astype(float), X.astype(float)
    limit = relative_bound(G, damping, dtype=dtype) * np.linalg.norm(Y, axis=0) / damping
    expected = reference.power(G, damping, m, Y, -1)
    products = finv.matmat(X)
    assert products.dtype == finv.dtype == dtype
    assert_columns_close(products, expected, limit)
    for product in (finv.matvec, finv.rmatvec, finv.solve, finv.dot):
        result = product(X[:, 0])
        assert result.dtype == dtype
        assert_columns_close(result, expected[:, 0], limit[0])
    assert_columns_close(finv.solve(X), expected, limit)
    assert finv.quad_form(X[:, 1]) == pytest.approx(
        Y[:, 1] @ expected[:, 1], rel=0, abs=limit[1] * np.linalg.norm(Y[:, 1])
    )


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", some(30, 8))
def test_roots_products_and_determinants_agree_with_the_singular_value_decomposition(seed, dtype):
    rng, G, damping = random_problem(1000 + seed, dtype)
    m, d = G.shape
    finv = nl.fisher.FisherInverse(G, damping)
    x = rng.normal(size=d).astype(dtype)
    G, y = G.astype(float), x.astype(float)
    root = finv.sqrt_matvec(x)
    assert root.dtype == dtype
    # Through eigenvalues of the Gram matrix, whose errors have the size of the largest one.
    limit = 10 * relative_bound(G, damping, dtype=dtype, scaled=False) * np.linalg.norm(y) / np.sqrt(damping)
    assert_columns_close(root, reference.power(G, damping, m, y, -0.5), limit)
    forward = finv.fisher_matvec(x)
    assert forward.dtype == dtype
    largest = damping + np.linalg.norm(G, 2) ** 2 / m
    limit = (1e-6 if dtype == np.float32 else 1e-13) * largest * np.linalg.norm(y)
    assert_columns_close(forward, reference.power(G, damping, m, y, 1), limit)
    assert finv.logdet() == pytest.approx(reference.log_determinant(G, damping, m), rel=0, abs=1e-9)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", some(20, 8))
def test_diagonal_elements_and_submatrices(seed, dtype):
    """T2."""
    rng, G, damping = random_problem(2000 + seed, dtype)
    m, d = G.shape
    finv = nl.fisher.FisherInverse(G, damping)
    G = G.astype(float)
    inverse = reference.power(G, damping, m, np.eye(d), -1)
    limit = relative_bound(G, damping, dtype=dtype, at_least=1e-6 if dtype == np.float32 else 1e-11)
    diagonal = finv.diagonal()
    assert diagonal.shape == (d,)
    assert diagonal.dtype == np.float64
    np.testing.assert_allclose(damping * diagonal, damping * np.diag(inverse), rtol=0, atol=limit)
    i, j = rng.integers(d, size=(3, 1)), rng.integers(d, size=4)
    i[0] = j[1]
    at_most = limit * np.abs(inverse).max()
    np.testing.assert_allclose(finv.element(i, j), inverse[i, j], rtol=0, atol=at_most)
    one = finv.element(int(i[0, 0]), int(j[1]))
    assert np.ndim(one) == 0
    assert one == pytest.approx(inverse[i[0, 0], j[1]], rel=0, abs=at_most)
    rows, cols = rng.integers(d, size=7), rng.permutation(d)[:5]
    np.testing.assert_allclose(finv.submatrix(rows, cols), inverse[np.ix_(rows, cols)], rtol=0, atol=at_most)
    assert finv.submatrix(rows, np.empty(0, int)).shape == (7, 0)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name, dtype):
    G, damping = adversarial()[name]
    G = G.astype(dtype)
    finv = nl.fisher.FisherInverse(G, damping)
    m, d = G.shape
    rng = np.random.default_rng(1)
    limit = relative_bound(G, damping, dtype=dtype)
    G = G.astype(np.longdouble)
    # In general position, along a gradient, and orthogonal to all of them, where F^{-1} x = x / damping.
    along = G[-1] / max(np.linalg.norm(G[-1].astype(float)), 1e-300)
    basis = np.linalg.svd(G.astype(float))[2] if d < 500 else np.zeros((1, d))
    X = np.stack([rng.normal(size=d), along, basis[-1]], axis=1).astype(dtype)
    Y = X.astype(np.longdouble)
    sizes = np.linalg.norm(X.astype(float), axis=0)
    expected = reference.product(G, damping, m, Y)
    products = finv.matmat(X)
    assert np.isfinite(products).all()
    assert_columns_close(products, expected, limit * sizes / damping)
    for column in range(3):
        assert_columns_close(finv.matvec(X[:, column]), expected[:, column], limit * sizes[column] / damping)
    at_most = max(limit, 1e-6 if dtype == np.float32 else 1e-11)
    expected = reference.diagonal(G, damping, m)
    np.testing.assert_allclose(damping * finv.diagonal(), (damping * expected).astype(float), rtol=0, atol=at_most)
    np.testing.assert_allclose(
        damping * finv.element(np.arange(d), np.arange(d)), (damping * expected).astype(float), rtol=0, atol=at_most
    )
    root = finv.sqrt_matvec(X[:, 0]).astype(float)
    assert np.isfinite(root).all()
    limit = relative_bound(G, damping, dtype=dtype, scaled=False)
    if limit < 1e-3:  # what is small beside the largest eigenvalue is lost in those of graded gradients
        assert root @ root == pytest.approx(finv.quad_form(X[:, 0]), rel=0, abs=20 * limit * sizes[0] ** 2 / damping)


@pytest.mark.smoke
@pytest.mark.parametrize("seed", some(15, 8))
def test_recurrence_is_the_papers_static_algorithm(seed):
    """T3."""
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(2, 60)), int(rng.integers(1, 20))
    damping = 10 ** rng.uniform(-4, 0)
    G, x = rng.normal(size=(m, d)) / np.sqrt(d), rng.normal(size=d)
    before = G.copy()
    finv = nl.fisher.FisherInverse(G, damping, method="recurrence")
    assert finv.method == "recurrence"
    np.testing.assert_array_equal(G, before)  # the paper writes hg over the gradients, here over a copy
    hg, den = reference.static_recurrence(G, damping, m)
    limit = relative_bound(G, damping, at_least=1e-11) / damping
    assert_columns_close(finv.matvec(x), reference.static_product(hg, den, damping, x), limit * np.linalg.norm(x))
    assert_columns_close(finv.matmat(x[:, None]), finv.matvec(x)[:, None], limit * np.linalg.norm(x))
    elements = [[reference.static_element(hg, den, damping, i, j) for j in range(d)] for i in range(d)]
    np.testing.assert_allclose(finv.diagonal(), np.diag(elements), rtol=0, atol=limit)
    factored = nl.fisher.FisherInverse(G, damping)
    assert factored.method == "cholesky"
    assert_columns_close(finv.matvec(x), factored.matvec(x), limit * np.linalg.norm(x))
    np.testing.assert_allclose(factored.submatrix(np.arange(d), np.arange(d)), elements, rtol=0, atol=limit)
    determinant = d * np.log(damping) + np.log(den / m).sum()
    assert factored.logdet() == pytest.approx(determinant, rel=0, abs=1e-9)


def test_recurrence_in_single_precision_has_its_accuracy():
    """The spec's table: the static recurrence in float32 errs by 1e-4 of x / damping or less for iid gradients."""
    rng = np.random.default_rng(0)
    G = (rng.normal(size=(20, 300)) / np.sqrt(300)).astype(np.float32)
    x = rng.normal(size=300).astype(np.float32)
    result = nl.fisher.FisherInverse(G, 1e-3, method="recurrence").matvec(x)
    assert result.dtype == np.float32
    expected = reference.power(G.astype(float), 1e-3, 20, x.astype(float), -1)
    assert_columns_close(result, expected, 1e-4 * np.linalg.norm(x) / 1e-3)


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


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", STORAGES)
def test_storage_rounds_the_gradients_and_nothing_else(storage, dtype):
    """The operator must be the inverse of the F that it shows, and that must be F of the rounded gradients."""
    rng = np.random.default_rng(5)
    m, d, damping = 12, 40, 1e-2
    sizes = 10.0 ** rng.integers(-1, 2, size=(m, 1))  # with a damping that makes all of them count
    G = (rng.normal(size=(m, d)) * sizes).astype(dtype)
    finv = nl.fisher.FisherInverse(G, damping, storage=storage)
    assert finv.storage == storage
    assert finv.dtype == finv.matvec(np.ones(d, dtype)).dtype == dtype
    F = np.stack([finv.fisher_matvec(column) for column in np.eye(d, dtype=dtype)], axis=1).astype(float)
    exact = reference.fisher(G.astype(float), damping, m)
    unit_roundoff = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[storage]
    products = np.abs(G.astype(float)).T @ np.abs(G.astype(float)) / m
    limit = 2.5 * unit_roundoff * products + 2 * m * np.finfo(dtype).eps * (products + damping)
    if storage == "float16":
        limit += 2.0**-23 * np.abs(G).max() ** 2  # numbers that are subnormal in a scaled row
    assert (np.abs(F - exact) <= limit).all()
    if storage == "bfloat16":
        rounded = reference.to_bfloat16(G.astype(float))
        assert_columns_close(F, reference.fisher(rounded, damping, m), 1e-6 * np.linalg.norm(F, 2))
        x = rng.normal(size=d).astype(dtype)
        limit = relative_bound(rounded, damping, dtype=np.float32) * np.linalg.norm(x) / damping
        assert_columns_close(finv.matvec(x), reference.power(rounded, damping, m, x.astype(float), -1), limit)
    condition = np.linalg.cond(exact)
    inverse = finv.matmat(np.eye(d, dtype=dtype)).astype(float)
    assert np.linalg.norm(inverse @ F - np.eye(d), 2) <= 1e-6 * condition
    if storage in ("float16", "bfloat16"):
        assert np.linalg.norm(F - exact, 2) > 1e-6  # it was rounded


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e6, 1e12])
def test_float16_rows_have_no_range(size):
    rng = np.random.default_rng(6)
    G = (size * rng.normal(size=(5, 30))).astype(np.float32)
    damping = size**2
    finv = nl.fisher.FisherInverse(G, damping, storage="float16")
    x = rng.normal(size=30).astype(np.float32)
    exact = reference.power(G.astype(float), damping, 5, x.astype(float), -1)
    assert_columns_close(finv.matvec(x) * damping, exact * damping, 5e-3 * np.linalg.norm(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_storage_gradients_keep_their_type(dtype):
    assert nl.fisher.FisherInverse(np.ones((2, 3), dtype)).storage == np.dtype(dtype).name
    assert nl.fisher.FisherInverse(np.ones((2, 3), dtype)).dtype == dtype


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


def test_memory_is_the_gradients_and_little_more():
    m, d = 8, 100_000
    G = np.ones((m, d), np.float32)
    for storage, size in (("float64", 8), ("float32", 4), ("float16", 2), ("bfloat16", 2)):
        needed = m * d * size
        assert needed <= nl.fisher.FisherInverse.estimate_nbytes(m, d, storage=storage) <= 1.25 * needed
        assert needed <= nl.fisher.FisherInverse(G, storage=storage).nbytes <= 1.25 * needed
    assert nl.fisher.FisherInverse.estimate_nbytes(m, d) == nl.fisher.FisherInverse.estimate_nbytes(
        m, d, storage="float32"
    )
    m, d = 2000, 4000
    matrices = nl.fisher.FisherInverse.estimate_nbytes(m, d) - m * d * 4
    assert 2 * m**2 * 8 <= matrices <= 4 * m**2 * 8


@pytest.mark.parametrize("method", ["cholesky", "recurrence"])
@pytest.mark.parametrize("copy_them", [True, False])
def test_gradients_are_never_written_and_copied_by_default(copy_them, method):
    rng = np.random.default_rng(8)
    G, x = rng.normal(size=(6, 50)), rng.normal(size=50)
    before = G.copy()
    G.flags.writeable = False
    finv = nl.fisher.FisherInverse(G, 1e-2, copy=copy_them, method=method)
    expected = finv.matvec(x)
    finv.diagonal()
    np.testing.assert_array_equal(G, before)
    assert_columns_close(expected, reference.power(before, 1e-2, 6, x, -1), 1e-11 * np.linalg.norm(x) / 1e-2)
    if copy_them:
        G.flags.writeable = True
        G[:] = np.nan
        np.testing.assert_array_equal(finv.matvec(x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_mapped_gradients(tmp_path, dtype):
    rng = np.random.default_rng(9)
    G = rng.normal(size=(6, 3000)).astype(dtype)
    G.tofile(tmp_path / "gradients")
    mapped = np.memmap(tmp_path / "gradients", dtype, "r", shape=G.shape)
    x = rng.normal(size=3000).astype(dtype)
    expected = nl.fisher.FisherInverse(G, 1e-3).matvec(x)
    for copy_them in (True, False):
        finv = nl.fisher.FisherInverse(mapped, 1e-3, copy=copy_them)
        np.testing.assert_array_equal(finv.matvec(x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", [None, *STORAGES])
def test_gradients_may_come_one_by_one(storage, dtype):
    rng = np.random.default_rng(10)
    G, x = rng.normal(size=(9, 40)).astype(dtype), rng.normal(size=40).astype(dtype)
    expected = nl.fisher.FisherInverse(G, 1e-2, storage=storage)
    for iterable in ((g for g in G), list(G)):
        finv = nl.fisher.FisherInverse.from_gradients(iterable, 9, 40, damping=1e-2, storage=storage)
        assert (finv.n_grads, finv.dtype, finv.storage) == (9, dtype, expected.storage)
        limit = (1e-6 if dtype == np.float32 else 1e-12) * np.linalg.norm(x) / 1e-2
        assert_columns_close(finv.matvec(x), expected.matvec(x), limit)
    finv = nl.fisher.FisherInverse.from_gradients(iter(G), 9, 40, damping=1e-2, block_size=6, normalize=3.0)
    expected = reference.power(G.astype(float), 1e-2, 3, x.astype(float), -1, block_size=6)
    assert_columns_close(finv.matvec(x), expected, 1e-6 * np.linalg.norm(x) / 1e-2)


def test_gradients_that_come_one_by_one_are_counted_and_checked():
    from_gradients = nl.fisher.FisherInverse.from_gradients
    G = np.random.default_rng(17).normal(size=(4, 3))
    fewer = from_gradients(iter(G), 6, 3, damping=0.1)  # than there is room for
    assert fewer.n_grads == 4
    assert_columns_close(fewer.matmat(np.eye(3)), np.linalg.inv(reference.fisher(G, 0.1, 4)), 1e-12)
    with pytest.raises(ValueError, match="iterable"):
        from_gradients(iter(G), 3, 3)
    with pytest.raises(ValueError, match="iterable"):
        from_gradients(iter(()), 3, 3)
    with pytest.raises(ValueError, match=r"has shape \(4,\)"):
        from_gradients([np.ones(3), np.ones(4)], 2, 3)
    with pytest.raises(ValueError, match=r"\b1\b"):
        from_gradients([np.ones(3), np.array([1.0, np.nan, 1.0])], 2, 3)
    with pytest.raises(TypeError, match="complex128"):
        from_gradients([np.ones(3, complex)], 1, 3)

    def fail():
        yield np.ones(3)
        raise LookupError("from the iterable")

    with pytest.raises(LookupError, match="from the iterable"):
        from_gradients(fail(), 2, 3)


@pytest.mark.parametrize(("m", "d"), [(20, 150_000), (300, 5000)])
@pytest.mark.parametrize("storage", ["float32", "float16", "bfloat16"])
def test_threads_leave_the_bits_alone(m, d, storage):
    """T13, and more: equal to the last bit."""
    rng = np.random.default_rng(11)
    G, X = rng.standard_normal((m, d), np.float32), rng.standard_normal((d, 2), np.float32)
    results = []
    for n_threads in (1, 2, 4):
        finv = nl.fisher.FisherInverse(G, 1e-3, storage=storage, n_threads=n_threads)
        products = [product(X[:, 0]) for product in (finv.matvec, finv.sqrt_matvec, finv.fisher_matvec)]
        results.append([*products, finv.matmat(X), finv.diagonal(), np.array(finv.gram), np.array(finv.logdet())])
    for result in results[1:]:
        for actual, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(actual, expected)


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


def test_every_instruction_set_inverts():
    script = (
        "import numpy as np, nearlinear as nl;"
        "G = np.random.default_rng(0).normal(size=(9, 333)); F = 0.1 * np.eye(333) + G.T @ G / 9;"
        "B = np.linalg.inv(F);"
        "print(*(np.abs(nl.fisher.FisherInverse(G.astype(t), 0.1).matmat(np.eye(333, dtype=t)) - B).max() < limit"
        "        for t, limit in (('f4', 1e-5), ('f8', 1e-11))))"
    )
    for isa in ("base", "v3", "v4"):
        environment = {**os.environ, "NEARLINEAR_ISA": isa}
        assert subprocess.check_output([sys.executable, "-c", script], env=environment, text=True) == "True True\n"


@settings(deadline=None, max_examples=80)
@given(data=st.data(), m=st.integers(1, 8), d=st.integers(1, 8), scale=st.integers(-3, 3), power=st.integers(-7, 3))
def test_few_small_integers_make_all_kinds_of_dependent_gradients(data, m, d, scale, power):
    entries = st.integers(-2, 2).map(float)
    G = data.draw(arrays(np.float64, (m, d), elements=entries)) * 10.0**scale
    X = data.draw(arrays(np.float64, (d, 2), elements=entries))
    damping = 10.0**power
    finv = nl.fisher.FisherInverse(G, damping)
    expected = reference.product(G.astype(np.longdouble), damping, m, X.astype(np.longdouble))
    limit = relative_bound(G, damping) / damping
    assume(np.isfinite(limit))
    products = finv.matmat(X)
    assert_columns_close(products, expected, limit * np.linalg.norm(X, axis=0))
    x, y = X.T
    assert x @ finv.matvec(y) == pytest.approx(
        y @ finv.matvec(x), rel=0, abs=2 * limit * np.linalg.norm(x) * np.linalg.norm(y)
    )
    assert finv.quad_form(x) >= -limit * (x @ x)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 20), d=st.integers(1, 40), factor=st.integers(-40, 40))
def test_order_and_units_of_the_gradients_do_not_matter(seed, m, d, factor):
    """F of c G with the damping c^2 damping is c^2 F."""
    rng = np.random.default_rng(seed)
    G, x, damping = rng.normal(size=(m, d)), rng.normal(size=d), 1e-3
    expected = nl.fisher.FisherInverse(G, damping).matvec(x)
    limit = 2 * relative_bound(G, damping) * np.linalg.norm(x) / damping
    shuffled = nl.fisher.FisherInverse(rng.permutation(G), damping)
    assert_columns_close(shuffled.matvec(x), expected, limit)
    c = 2.0**factor
    scaled = nl.fisher.FisherInverse(c * G, c**2 * damping)
    assert_columns_close(c**2 * scaled.matvec(x), expected, limit)
    columns = rng.permutation(d)
    assert_columns_close(nl.fisher.FisherInverse(G[:, columns], damping).matvec(x[columns]), expected[columns], limit)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 12), d=st.integers(1, 30), block_size=st.integers(1, 40))
def test_root_applied_twice_is_the_inverse(seed, m, d, block_size):
    rng = np.random.default_rng(seed)
    G, x, damping = rng.normal(size=(m, d)), rng.normal(size=d), 1e-2
    finv = nl.fisher.FisherInverse(G, damping, block_size=block_size)
    limit = 20 * relative_bound(G, damping, at_least=1e-12, block_size=block_size, scaled=False) / damping
    twice = finv.sqrt_matvec(finv.sqrt_matvec(x))
    assert_columns_close(twice, finv.matvec(x), limit * np.linalg.norm(x))


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


@pytest.mark.parametrize("damping", [0, 0.0, -1e-5, np.nan, np.inf, -np.inf])
def test_damping_must_be_positive_and_finite(damping):
    with pytest.raises(ValueError, match=r"\bdamping\b"):
        nl.fisher.FisherInverse(np.ones((2, 3)), damping)
    with pytest.raises(ValueError, match=r"\bdamping\b"):
        nl.fisher.FisherInverse(np.ones((2, 3)), [1.0, damping], block_size=2)


@pytest.mark.parametrize("damping", [np.ones(2), np.ones(4), np.ones((1, 3)), []])
def test_damping_must_fit_the_blocks(damping):
    with pytest.raises(ValueError, match=r"\bdamping\b"):
        nl.fisher.FisherInverse(np.ones((2, 7)), damping, block_size=3)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (3,), (2, 3, 4), ()])
def test_gradients_must_have_rows_and_columns(shape):
    with pytest.raises(ValueError, match=r"\bgrads\b"):
        nl.fisher.FisherInverse(np.ones(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"block_size": 10}, {"method": "recurrence"}, {"storage": "float16"}], ids=str)
@pytest.mark.parametrize("column", [0, 41, 4999])
def test_a_gradient_that_is_not_finite_is_named(bad, dtype, options, column):
    G = np.ones((29, 5000 if "method" not in options else 50), dtype)
    G[23, min(column, G.shape[1] - 1)] = bad
    G[27, 3] = bad  # the first one counts
    with pytest.raises(ValueError, match=r"\bgrads\b.*\b23\b"):
        nl.fisher.FisherInverse(G, **options)


@pytest.mark.parametrize("options", [{"storage": "float32"}, {"storage": "float16"}, {"storage": "bfloat16"}], ids=str)
def test_a_gradient_too_large_for_its_storage_is_refused(options):
    """Inf must not come out of finite input."""
    with pytest.raises((OverflowError, ValueError), match=r"\bgrads\b"):
        nl.fisher.FisherInverse(np.array([[1.0, 2.0], [1e300, 1.0]]), **options)


def test_a_gradient_whose_square_overflows_is_refused():
    with pytest.raises((OverflowError, ValueError), match=r"\bgrads\b"):
        nl.fisher.FisherInverse(np.array([[1.0, 2.0], [1e200, 1.0]]))


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"block_size": 0}, ValueError, "block_size"),
        ({"block_size": -1}, ValueError, "block_size"),
        ({"block_size": 1.5}, TypeError, "block_size"),
        ({"storage": "int8"}, ValueError, "storage"),
        ({"normalize": "mean"}, ValueError, "normalize"),
        ({"normalize": "capacity"}, ValueError, "normalize"),  # only a window has one
        ({"normalize": 0.0}, ValueError, "normalize"),
        ({"normalize": -1.0}, ValueError, "normalize"),
        ({"normalize": np.nan}, ValueError, "normalize"),
        ({"normalize": np.inf}, ValueError, "normalize"),
        ({"method": "woodbury"}, ValueError, "method"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"callback": 3}, TypeError, "callback"),
        ({"damping": "much"}, TypeError, "damping"),
        ({"grads": np.ones((2, 3), complex)}, TypeError, "grads"),
        ({"grads": scipy.sparse.eye_array(3)}, TypeError, "grads"),
        ({"grads": None}, TypeError, "grads"),
    ],
    ids=str,
)
def test_bad_argument_is_named(options, error, name):
    with pytest.raises(error, match=rf"\b{name}\b"):
        nl.fisher.FisherInverse(**{"grads": np.ones((2, 3)), **options})


def test_options_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        nl.fisher.FisherInverse(np.ones((2, 3)), 1e-5, 2)


@pytest.mark.parametrize("product", ["matvec", "rmatvec", "solve", "sqrt_matvec", "fisher_matvec", "quad_form"])
def test_vector_that_does_not_fit_is_named(product):
    call = getattr(nl.fisher.FisherInverse(np.ones((2, 5))), product)
    for length in (0, 4, 6):
        with pytest.raises(ValueError, match=rf"\b[xb] has shape \({length},\)"):
            call(np.ones(length))
    with pytest.raises(TypeError, match=r"\b[xb] has dtype complex128"):
        call(np.ones(5, complex))


def test_matrix_that_does_not_fit_shows_its_shape():
    finv = nl.fisher.FisherInverse(np.ones((2, 5)))
    with pytest.raises(ValueError, match=r"has shape \(4, 2\)"):
        finv.matmat(np.ones((4, 2)))
    with pytest.raises(TypeError, match="complex128"):
        finv.matmat(np.ones((5, 2), complex))


@pytest.mark.parametrize("block_size", [None, 2])
@pytest.mark.parametrize("bad", [5, -6, 2**40])
def test_index_out_of_range_is_an_index_error(bad, block_size):
    finv = nl.fisher.FisherInverse(np.ones((2, 5)), block_size=block_size)
    with pytest.raises(IndexError, match=r"\bi\b"):
        finv.element(bad, 0)
    with pytest.raises(IndexError, match=r"\bj\b"):
        finv.element([0, 1], [0, bad])
    with pytest.raises(IndexError, match=r"\brows\b"):
        finv.submatrix([0, bad], [1])
    with pytest.raises(IndexError, match=r"\bcols\b"):
        finv.submatrix([1], [bad])


def test_a_failure_leaves_the_operator_as_it_was():
    finv = nl.fisher.FisherInverse(np.random.default_rng(16).normal(size=(3, 5)), 0.1)
    expected = copy.deepcopy(finv.matvec(np.ones(5)))
    with pytest.raises(ValueError, match="x has shape"):
        finv.matvec(np.ones(6))
    with pytest.raises(IndexError):
        finv.element(9, 9)
    np.testing.assert_array_equal(finv.matvec(np.ones(5)), expected)
