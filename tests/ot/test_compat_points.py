"""ot.compat between points, and its smooth transport."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from nearlinear.ot import compat
from tests.ot import instances, reference
from tests.ot.pot import DIVERGENCE_LOG, LAZY_LOG, LOGS, A, B, M, clouds, instance, solved


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine", "chebyshev", "minkowski"])
def test_points_are_their_distances(metric):
    x, y = clouds()
    a, b = instances.uniform(len(x)), np.random.default_rng(0).dirichlet(np.ones(len(y)))
    costs = cdist(x, y, metric)
    reg = np.ptp(costs) * 0.1
    expected = solved(a, b, costs, reg)
    options = {"metric": metric, "stopThr": 1e-12}
    np.testing.assert_allclose(compat.empirical_sinkhorn(x, y, reg, b=b, **options), expected, atol=1e-10)
    loss = reference.cost(expected, costs)
    assert compat.empirical_sinkhorn2(x, y, reg, a, b, **options) == pytest.approx(loss, rel=1e-9)
    f, g = compat.empirical_sinkhorn(x, y, reg, a, b, isLazy=True, **options)
    np.testing.assert_allclose(np.exp(f[:, None] + g - costs / reg), expected, atol=1e-10)
    assert compat.empirical_sinkhorn2(x, y, reg, a, b, isLazy=True, **options) == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine", "correlation"])
def test_points_are_those_of_pot(pot, metric):
    x, y = clouds()
    reg = 0.3 if metric in ("cosine", "correlation") else 1.0
    expected = pot.empirical_sinkhorn(x, y, reg, metric=metric, stopThr=1e-12)
    np.testing.assert_allclose(
        compat.empirical_sinkhorn(x, y, reg, metric=metric, stopThr=1e-12), expected, atol=1e-8, rtol=0
    )
    expected = pot.empirical_sinkhorn_divergence(x, y, reg, metric=metric, stopThr=1e-12)
    divergence = compat.empirical_sinkhorn_divergence(x, y, reg, metric=metric, stopThr=1e-12)
    assert divergence == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_method_is_an_option_of_points():
    x, y = clouds()
    plan, log = compat.empirical_sinkhorn(x, y, 1.0, method="sinkhorn_log", log=True, tau=1e3)
    np.testing.assert_allclose(
        np.exp(log["log_u"][:, None] + log["log_v"] - cdist(x, y, "sqeuclidean")), plan, atol=1e-14
    )
    _, log = compat.empirical_sinkhorn2(x, y, 1.0, method="sinkhorn_stabilized", log=True)
    assert set(log) == LOGS["sinkhorn_stabilized"]
    losses = compat.empirical_sinkhorn2(x, y, 1.0, b=np.full((len(y), 2), 1 / len(y)))
    assert losses.shape == (2,)


@pytest.mark.parametrize("metric", ["sqeuclidean", "chebyshev"])
def test_the_lazy_plan_is_indexed_like_pots(metric):
    x, y = clouds()
    plan = compat.empirical_sinkhorn(x, y, 1.0, metric=metric)
    f, g, log = compat.empirical_sinkhorn(x, y, 1.0, metric=metric, isLazy=True, log=True, batchSize=(5, 7))
    lazy = log["lazy_plan"]
    assert set(log) == LAZY_LOG
    np.testing.assert_array_equal(log["u"], f)
    np.testing.assert_array_equal(log["v"], g)
    assert (lazy.shape, lazy.ndim) == (plan.shape, 2)
    assert "LazyPlan(shape=(12, 9))" in repr(lazy)
    picked = np.array([3, 0, 7])
    for index, expected in (
        (slice(None), plan),
        (slice(2, 5), plan[2:5]),
        (slice(8, 2, -2), plan[8:2:-2]),
        (slice(4, 4), plan[4:4]),
        (2, plan[2:3]),
        (-1, plan[-1:]),
        ((1, 2), plan[1:2, 2:3]),
        ((slice(None), slice(1, None, 3)), plan[:, 1::3]),
        ((picked, picked), plan[np.ix_(picked, picked)]),
    ):
        np.testing.assert_allclose(lazy[index], expected, rtol=1e-12)
    np.testing.assert_allclose(lazy.operator @ y, plan @ y, atol=1e-12)
    for index in (12, (0, 9), (0, 0, 0)):
        with pytest.raises(IndexError):
            lazy[index]


def test_the_lazy_plan_is_pots(pot):
    x, y = clouds()
    *_, log = pot.empirical_sinkhorn(x, y, 1.0, isLazy=True, log=True, stopThr=1e-13)
    *_, our_log = compat.empirical_sinkhorn(x, y, 1.0, isLazy=True, log=True, stopThr=1e-13)
    for index in (slice(None), 2, slice(2, 6), (1, 2), (slice(3), 0)):
        np.testing.assert_allclose(our_log["lazy_plan"][index], log["lazy_plan"][index], atol=1e-8)


@pytest.mark.parametrize("log", [False, True])
def test_divergence_is_of_losses_without_entropy(log):
    x, y = clouds()
    a, b = np.random.default_rng(0).dirichlet(np.ones(12)), instances.uniform(9)
    losses = {}
    for case, (s, t, first, second) in {"ab": (x, y, a, b), "a": (x, x, a, a), "b": (y, y, b, b)}.items():
        costs = cdist(s, t, "sqeuclidean")
        losses[case] = reference.cost(solved(first, second, costs, 1.0), costs)
    result = compat.empirical_sinkhorn_divergence(x, y, 1.0, a, b, stopThr=1e-12, log=log)
    divergence, entries = result if log else (result, None)
    assert divergence == pytest.approx(losses["ab"] - (losses["a"] + losses["b"]) / 2, rel=1e-9)
    if log:
        assert set(entries) == DIVERGENCE_LOG
        for case, loss in losses.items():
            assert entries[f"sinkhorn_loss_{case}"] == pytest.approx(loss, rel=1e-9)
            assert set(entries[f"log_sinkhorn_{case}"]) == LOGS["sinkhorn"]


def test_divergence_is_not_negative():
    """Without the entropy the difference may be: more so the larger the regularisation."""
    x = np.array([[0.0], [0.5], [1.0]])
    y = np.array([[0.5]])
    assert compat.empirical_sinkhorn2(x, y, 1e3) < compat.empirical_sinkhorn2(x, x, 1e3) / 2 + 1e-3
    assert compat.empirical_sinkhorn_divergence(x, x, 0.3) >= 0
    assert compat.empirical_sinkhorn_divergence(x, y, 1e3) >= 0


def test_divergence_takes_a_warmstart():
    x, _ = clouds()
    y = x[::-1] + 0.1
    f, g = compat.empirical_sinkhorn(x, y, 1.0, isLazy=True)
    cold = compat.empirical_sinkhorn_divergence(x, y, 1.0, stopThr=1e-12)
    warm = compat.empirical_sinkhorn_divergence(x, y, 1.0, stopThr=1e-12, warmstart=(f, g))
    assert warm == pytest.approx(cold, rel=1e-9)


# Smooth


@pytest.mark.parametrize("reg_type", ["kl", "entropic", "negentropy", "KL"])
@pytest.mark.parametrize("seed", range(3))
def test_smooth_plans_are_entropic_ones(seed, reg_type):
    a, b, costs, reg = instance(seed)
    a /= a.sum()
    b /= b.sum()
    expected = solved(a, b, costs, reg)
    plan, log = compat.smooth_ot_dual(a, b, costs, reg, reg_type, stopThr=1e-12, log=True)
    np.testing.assert_allclose(plan, expected, atol=1e-10)
    np.testing.assert_allclose(np.exp((log["alpha"][:, None] + log["beta"] - costs) / reg - 1), plan, atol=1e-13)
    assert log["alpha"].sum() == pytest.approx(log["beta"].sum())
    objective = log["alpha"] @ a + log["beta"] @ b - reg * plan.sum()
    assert log["res"].fun == pytest.approx(-objective)
    assert log["res"].fun == pytest.approx(-reference.objective(expected, costs, reg))
    assert log["res"].success
    np.testing.assert_array_equal(log["res"].x, np.concatenate([log["alpha"], log["beta"]]))
    plan, log = compat.smooth_ot_semi_dual(a, b, costs, reg, reg_type, stopThr=1e-12, log=True)
    np.testing.assert_allclose(plan, expected, atol=1e-10)
    weights = np.exp((log["alpha"][:, None] - costs) / reg)
    np.testing.assert_allclose(b * weights / weights.sum(axis=0), plan, atol=1e-11)
    assert abs(log["alpha"].sum()) < 1e-12
    assert log["res"].fun == pytest.approx(-objective)
    np.testing.assert_array_equal(log["res"].x, log["alpha"])
    np.testing.assert_array_equal(compat.smooth_ot_semi_dual(a, b, costs, reg, reg_type, stopThr=1e-12), plan)


@pytest.mark.parametrize("seed", range(4))
def test_smooth_duals_are_those_of_pot(pot, seed):
    a, b, costs, reg = instance(seed)
    a /= a.sum()
    b /= b.sum()
    for name, order in (("smooth_ot_dual", ("alpha", "beta")), ("smooth_ot_semi_dual", ("alpha",))):
        plan, log = getattr(pot, name)(a, b, costs, reg, reg_type="kl", stopThr=1e-12, numItermax=2000, log=True)
        ours, our_log = getattr(compat, name)(a, b, costs, reg, reg_type="kl", log=True)
        np.testing.assert_allclose(ours, plan, atol=1e-5)
        assert set(log) == set(our_log)
        for key in order:
            np.testing.assert_allclose(our_log[key], log[key], atol=1e-4 * np.abs(log[key]).max())
        assert our_log["res"].fun == pytest.approx(log["res"].fun, rel=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_quadratic_plans_are_optimal_and_those_of_pot(pot, seed):
    a, b, costs, _ = instance(seed)
    a /= a.sum()
    b /= b.sum()
    reg = 5.0 * max(costs.shape) * np.ptp(costs)
    for name in ("smooth_ot_dual", "smooth_ot_semi_dual"):
        plan, log = getattr(pot, name)(a, b, costs, reg, stopThr=1e-12, numItermax=2000, log=True)
        ours, our_log = getattr(compat, name)(a, b, costs, reg, log=True)
        np.testing.assert_allclose(ours, plan, atol=2e-4)
        assert reference.marginal_error(ours, a, b) <= 2e-9
        assert set(log) == set(our_log)
        np.testing.assert_allclose(our_log["alpha"], log["alpha"], atol=1e-3 * np.abs(log["alpha"]).max())
        if "beta" in log:
            alpha, beta = our_log["alpha"], our_log["beta"]
            np.testing.assert_allclose(ours, np.maximum(alpha[:, None] + beta - costs, 0) / reg, atol=1e-12)


@pytest.mark.parametrize("function", [compat.smooth_ot_dual, compat.smooth_ot_semi_dual])
def test_sparsity_constrained_plans_have_few_entries_and_the_masses(function):
    a, b, C = instances.gauss(40)
    for max_nz in (2, 20):
        plan, log = function(a, b, C, 1.0, reg_type="sparsity_constrained", max_nz=max_nz, log=True)
        assert (np.count_nonzero(plan, axis=0) <= max_nz).all()
        assert reference.marginal_error(plan, a, b) <= 2e-9
        assert log["res"].success
    np.testing.assert_allclose(plan, function(a, b, C, 1.0), atol=1e-8)  # where it does not bind
    with pytest.raises(ValueError, match=r"^max_nz is None; reg_type 'sparsity_constrained' needs it$"):
        function(a, b, C, 1.0, reg_type="sparsity_constrained")


@pytest.mark.parametrize("function", [compat.smooth_ot_dual, compat.smooth_ot_semi_dual])
def test_regularisations_that_are_not_there_are_an_error(function):
    with pytest.raises(ValueError, match=r"^reg_type is 'l1'; it must be one of 'l2'"):
        function(A, B, M, 0.5, reg_type="l1", max_nz=2)
