"""The paper's recurrences against definitions and factors; T3 is an acceptance test."""

import numpy as np
import pytest

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.gradients import some
from tests.fisher.reference import assert_columns_close, relative_bound
from tests.fisher.window import Model


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
@pytest.mark.parametrize("seed", range(15))
def test_recurrence_is_the_papers_dynamic_algorithm(seed):
    """Whose divisor is the capacity of the window."""
    rng = np.random.default_rng(seed)
    d, m, damping = int(rng.integers(2, 40)), int(rng.integers(1, 10)), 10 ** rng.uniform(-2, 0)
    model = Model(d, m, damping, "capacity", method="recurrence")
    factored = Model(d, m, damping, "capacity")
    assert model.sliding.method == "recurrence"
    for steps in (1, m, m + 2):
        for g in rng.normal(size=(steps, d)) / np.sqrt(d):
            factored.update(g)
            newest = model.precondition(g)
        D, B = reference.dynamic_recurrence(model.gradients, damping, model.divisor)
        x = rng.normal(size=d)
        limit = relative_bound(model.gradients, damping, model.divisor, at_least=1e-11) / damping
        for vector, result in ((x, model.sliding.matvec(x)), (g, newest)):
            expected = reference.dynamic_product(model.gradients, D, B, vector, damping=damping, M=model.divisor)
            assert_columns_close(result, expected, limit * np.linalg.norm(vector))
        assert_columns_close(model.sliding.matvec(x), factored.sliding.matvec(x), limit * np.linalg.norm(x))
