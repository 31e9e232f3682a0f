"""Plans as operators and as sparse arrays."""

import numpy as np
import pytest

import nearlinear as nl
from tests.ot import instances, reference


@pytest.fixture(scope="module")
def result():
    a, b, C = instances.dirichlet(50, 35)
    a[3] = b[7] = 0
    return nl.ot.sinkhorn(a / a.sum(), b / b.sum(), C, reg=0.01)


def test_products_are_those_of_the_matrix(result):
    rng = np.random.default_rng(0)
    P, op = result.plan, result.operator
    assert op.shape == P.shape == (50, 35)
    X, Y = rng.normal(size=(35, 4)), rng.normal(size=(50, 4))
    np.testing.assert_allclose(op @ X, P @ X, atol=1e-15)
    np.testing.assert_allclose(op @ X[:, 0], P @ X[:, 0], atol=1e-15)
    np.testing.assert_allclose(op.T @ Y, P.T @ Y, atol=1e-15)
    np.testing.assert_allclose(op.T @ Y[:, 0], P.T @ Y[:, 0], atol=1e-15)
    np.testing.assert_allclose(op.rows(10, 20), P[10:20])


def test_zero_masses_are_zeros_of_the_plan(result):
    assert not result.plan[3].any()
    assert not result.plan[:, 7].any()
    assert result.to_csr(tol=0)[[3]].nnz == 0


@pytest.mark.parametrize("mass", [0.5, 0.9, 0.999, 1.0])
def test_a_sparse_plan_of_a_given_mass_is_the_smallest_one(result, mass):
    P, S = result.plan, result.to_csr(mass=mass)
    assert S.has_sorted_indices
    for i in range(50):
        row = np.sort(P[i])[::-1]
        if row.sum() == 0:
            continue
        kept = S[[i]].nnz
        assert row[:kept].sum() >= (mass - 1e-14) * row.sum()
        if mass < 1:
            assert row[: kept - 1].sum() < mass * row.sum()
        np.testing.assert_allclose(np.sort(S[[i]].data)[::-1], row[:kept])


def test_a_sparse_plan_of_a_tolerance(result):
    P = result.plan
    least = 1e-3 * P.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(result.to_csr(tol=1e-3).toarray(), np.where(least < P, P, 0))
    np.testing.assert_allclose(result.to_csr().toarray(), P, atol=1e-12 * P.sum(axis=1).max())


@pytest.mark.parametrize("top_k", [1, 3, 100])
def test_a_sparse_plan_of_the_largest_entries(result, top_k):
    S = result.to_csr(top_k=top_k)
    for i in range(50):
        largest = np.sort(result.plan[i])[::-1][:top_k]
        np.testing.assert_array_equal(np.sort(S[[i]].data)[::-1], largest[largest > 0])


def test_the_form_of_plan_is_a_choice():
    a, b, C = instances.gauss(20)
    dense = nl.ot.sinkhorn(a, b, C, reg=0.01)
    assert dense.plan is dense.plan  # computed once
    sparse = nl.ot.sinkhorn(a, b, C, reg=0.01, plan="csr")
    np.testing.assert_allclose(sparse.plan.toarray(), dense.plan, atol=1e-12)
    unformed = nl.ot.sinkhorn(a, b, C, reg=0.01, plan=None)
    assert isinstance(unformed.plan, nl.ot.TransportPlan)
    np.testing.assert_allclose(unformed.plan @ np.arange(20.0), dense.plan @ np.arange(20.0), rtol=1e-12)


def test_plots_are_drawn_where_matplotlib_is():
    matplotlib = pytest.importorskip("matplotlib.axes")
    result = nl.ot.sinkhorn(*instances.gauss(20), reg=0.01)
    axes = result.plot()
    assert isinstance(axes, matplotlib.Axes)
    assert {line.get_label() for line in axes.get_lines()} >= {"Newton step", "sweep"}
    assert result.plot(axes) is axes


def test_transform_is_the_barycentric_map():
    rng = np.random.default_rng(0)
    x, y, b = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)), rng.dirichlet(np.ones(30))
    b[4] = 0
    result = nl.ot.sinkhorn(None, b / b.sum(), x=x, y=y, reg=0.1)
    expected = result.plan @ y / result.plan.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.transform(), expected, atol=1e-12)
    np.testing.assert_allclose(result.transform(x[::2]), expected[::2], atol=1e-12)
    new = rng.normal(size=(5, 3)) * 10
    logs = (result.g - reference.squared_distances(new, y)) / 0.1
    logs[:, b == 0] = -np.inf
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    np.testing.assert_allclose(result.transform(new), weights @ y / weights.sum(axis=1, keepdims=True), atol=1e-9)


def test_a_result_reads_like_scipys(result):
    assert result["f"] is result.f
    assert {"success", "status", "message", "nit", "f", "g", "value", "plan"} <= set(result)
    assert "marginal_error: " in repr(result)
    assert result.history[-1].nit == result.nit


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"tol": -1.0}, "tol"),
        ({"tol": 1.0}, "tol"),
        ({"mass": 0.0}, "mass"),
        ({"mass": 1.5}, "mass"),
        ({"top_k": 0}, "top_k"),
    ],
    ids=str,
)
def test_bad_selection_is_named(result, options, name):
    with pytest.raises(ValueError, match=rf"^{name} "):
        result.to_csr(**options)
