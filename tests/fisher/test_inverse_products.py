"""Products with fisher.FisherInverse, and its entries, against the definitions; T1 and T2 are acceptance tests."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.gradients import adversarial, random_problem, some
from tests.fisher.reference import assert_columns_close, relative_bound


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
