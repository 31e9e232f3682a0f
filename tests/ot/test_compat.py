"""ot.compat on matrices of costs, against POT, where it is installed, and against the reference."""

import inspect

import numpy as np
import pytest

from nearlinear.ot import compat
from tests.ot import instances, reference
from tests.ot.pot import DIVERGENCE_LOG, LAZY_LOG, LOGS, METHODS, X_S, X_T, A, B, M, clouds, instance, solved


@pytest.mark.parametrize("name", [name for name in compat.__all__ if inspect.isfunction(getattr(compat, name))])
def test_signatures_are_those_of_pot(pot, name):
    def plain(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    assert plain(getattr(compat, name)) == plain(pot.function(name))


def test_names_are_where_pot_has_them():
    assert compat.bregman.sinkhorn is compat.sinkhorn
    assert compat.bregman.empirical_sinkhorn_divergence is compat.empirical_sinkhorn_divergence
    assert compat.smooth.smooth_ot_dual is compat.smooth_ot_dual


@pytest.mark.parametrize("seed", range(24))
def test_plan_and_loss_are_those_of_pot(pot, seed):
    a, b, costs, reg = instance(seed)
    expected = pot.sinkhorn_log(a, b, costs, reg, stopThr=1e-14, numItermax=20000)
    plan = compat.sinkhorn(a, b, costs, reg, stopThr=1e-12)
    np.testing.assert_allclose(plan, expected, atol=1e-8, rtol=0)
    loss = pot.sinkhorn2(a, b, costs, reg, method="sinkhorn_log", stopThr=1e-14, numItermax=20000)
    assert compat.sinkhorn2(a, b, costs, reg, stopThr=1e-12) == pytest.approx(loss, rel=1e-8)


@pytest.mark.parametrize("seed", range(24))
def test_plan_and_loss_are_those_of_the_reference(seed):
    a, b, costs, reg = instance(seed)
    expected = solved(a, b, costs, reg)
    method = METHODS[seed % len(METHODS)]
    plan = compat.sinkhorn(a, b, costs, reg, method, stopThr=1e-12)
    np.testing.assert_allclose(plan, expected, atol=1e-10, rtol=0)
    loss = compat.sinkhorn2(a, b, costs, reg, method=method.upper(), stopThr=1e-12)
    assert loss == pytest.approx(reference.cost(expected, costs), rel=1e-9)
    assert isinstance(loss, np.float64)


@pytest.mark.parametrize("method", METHODS)
def test_log_reproduces_the_plan(method):
    a, b, costs, reg = instance(1)
    plan, log = compat.sinkhorn(a, b, costs, reg, method=method, log=True)
    assert set(log) == LOGS[method]
    scalings = {}
    if "u" in log:
        scalings["u, v"] = log["u"], log["v"]
    if "log_u" in log:
        scalings["log_u, log_v"] = np.exp(log["log_u"]), np.exp(log["log_v"])
    if "logu" in log:
        scalings["logu, logv"] = np.exp(log["logu"]), np.exp(log["logv"])
    if "alpha" in log:
        scalings["alpha, beta"] = np.exp(log["alpha"] / reg), np.exp(log["beta"] / reg)
        assert log["warmstart"] == (log["alpha"], log["beta"])
    for u, v in scalings.values():
        np.testing.assert_allclose(u[:, None] * np.exp(-costs / reg) * v, plan, atol=1e-14)
        assert u.max() == pytest.approx(v.max())
    if "err" in log:
        assert log["err"][-1] <= 1e-9
    assert log.get("niter", log.get("n_iter")) > 0


@pytest.mark.parametrize("method", METHODS)
def test_log_has_the_entries_of_pot(pot, method):
    a, b, costs, reg = instance(1)
    _, log = pot.sinkhorn(a, b, costs, reg, method=method, log=True)
    assert set(log) == LOGS[method]


def test_log_has_the_entries_of_pot_for_points(pot):
    x, y = clouds()
    *_, log = pot.empirical_sinkhorn(x, y, 1.0, isLazy=True, log=True)
    assert set(log) == LAZY_LOG
    _, log = pot.empirical_sinkhorn_divergence(x, y, 1.0, log=True)
    assert set(log) == DIVERGENCE_LOG


def test_scalings_are_finite_where_the_kernel_is_not():
    a, b, costs = instances.gauss(20, 15)
    reg = 1 / 1400
    _, log = compat.sinkhorn(a, b, costs, reg, method="sinkhorn_log", log=True)
    assert np.exp(-costs / reg).min() == 0
    assert np.isfinite(log["u"]).all()
    assert np.isfinite(log["v"]).all()
    _, log = compat.sinkhorn(a, b, costs * 10, reg, method="sinkhorn_log", log=True)
    assert np.isfinite(log["log_u"]).all()
    assert np.isfinite(log["log_v"]).all()


def test_the_scale_of_masses_is_that_of_stop_thr():
    """stopThr is absolute: the same plan, a million times as large, needs a million times as much."""
    a, b, costs, reg = instance(3)
    _, log = compat.sinkhorn(1e6 * a, 1e6 * b, costs, reg, stopThr=1e-3, log=True)
    assert 1e-30 < log["err"][-1] <= 1e-3
    plan = compat.sinkhorn(1e6 * a, 1e6 * b, costs, reg, stopThr=1e-3)
    assert reference.marginal_error(plan, 1e6 * a, 1e6 * b) <= 2e-3


@pytest.mark.parametrize("stop", [0, 1e-16, 1e-30])
def test_stop_thr_below_rounding_is_what_rounding_allows(stop):
    for seed in range(6):
        a, b, costs, reg = instance(seed)
        plan = compat.sinkhorn(a, b, costs, reg, stopThr=stop)
        assert reference.marginal_error(plan, a, b) <= 1e-12


# Several columns


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_matrix_b_gives_losses(method, count):
    a, b, costs, reg = instance(5)
    rng = np.random.default_rng(0)
    columns = np.stack([b, *(rng.permutation(b) for _ in range(count - 1))], axis=1)
    expected = [reference.cost(solved(a, column, costs, reg), costs) for column in columns.T]
    losses, log = compat.sinkhorn(a, columns, costs, reg, method=method, stopThr=1e-12, log=True)
    assert losses.shape == (count,)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    np.testing.assert_allclose(
        compat.sinkhorn2(a, columns, costs, reg, method=method, stopThr=1e-12), expected, rtol=1e-9
    )
    assert set(log) == LOGS[method]
    if "u" in log:
        assert (log["u"].shape, log["v"].shape) == ((len(a), count), (len(b), count))
        kernel = np.exp(-costs / reg)
        np.testing.assert_allclose(np.einsum("ik,ij,jk->jk", log["u"], kernel, log["v"]), columns, atol=1e-10)
    if "err" in log:
        assert log["err"][-1] <= 1e-12


def test_a_matrix_b_is_that_of_pot(pot):
    a, b, costs, reg = instance(5)
    columns = np.stack([b, b[::-1]], axis=1)
    losses, log = pot.sinkhorn(a, columns, costs, reg, stopThr=1e-13, log=True)
    ours, our_log = compat.sinkhorn(a, columns, costs, reg, stopThr=1e-13, log=True)
    np.testing.assert_allclose(ours, losses, rtol=1e-8)
    assert set(log) == set(our_log)
    for key in ("u", "v"):
        assert log[key].shape == our_log[key].shape
    ratio = our_log["u"] / log["u"]  # constant in every column
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-6)


# Warm starts


@pytest.mark.parametrize("method", METHODS)
def test_warmstart_takes_what_pot_has(method):
    a, b, costs, reg = instance(7)
    solution = reference.solve(a, b, costs, reg)
    scale = 1 if method in ("sinkhorn_stabilized", "sinkhorn_epsilon_scaling") else 1 / reg
    start = (scale * solution.f, scale * solution.g)
    plan, log = compat.sinkhorn(a, b, costs, reg, method=method, warmstart=start, log=True)
    np.testing.assert_allclose(plan, solved(a, b, costs, reg), atol=1e-9)
    assert log.get("niter", log.get("n_iter")) <= 2
    _, cold = compat.sinkhorn(a, b, costs, reg, method=method, log=True)
    assert cold.get("niter", cold.get("n_iter")) > 2


@pytest.mark.parametrize("method", ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized"])
def test_pot_takes_the_same_warmstart(pot, method):
    a, b, costs, reg = instance(7)
    _, log = compat.sinkhorn(a, b, costs, reg, method="sinkhorn_stabilized", stopThr=1e-12, log=True)
    scale = 1 if method == "sinkhorn_stabilized" else 1 / reg
    start = tuple(scale * potential for potential in log["warmstart"])
    _, log = pot.sinkhorn(a, b, costs, reg, method=method, warmstart=start, log=True)
    assert log.get("niter", log.get("n_iter")) == 0
    ours, our_log = compat.sinkhorn(a, b, costs, reg, method=method, warmstart=start, log=True)
    assert our_log.get("niter", our_log.get("n_iter")) <= 2
    assert reference.marginal_error(ours, a, b) <= 1e-9


def test_a_log_is_a_warmstart():
    a, b, costs, reg = instance(7)
    a[0] = b[1] = 0  # where the logarithms are -Inf
    a *= b.sum() / a.sum()
    for method, keys in (("sinkhorn_log", ("log_u", "log_v")), ("sinkhorn_stabilized", ("alpha", "beta"))):
        plan, log = compat.sinkhorn(a, b, costs, reg, method=method, log=True)
        start = tuple(log[key] for key in keys)
        again, warm = compat.sinkhorn(a, b, costs, reg, method=method, warmstart=start, log=True)
        np.testing.assert_allclose(again, plan, atol=1e-9)
        assert warm.get("niter", warm.get("n_iter")) <= 2


@pytest.mark.parametrize("method", ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized"])
def test_a_matrix_b_has_a_warmstart_for_every_column(method):
    a, b, costs, reg = instance(7)
    columns = np.stack([b, b[::-1]], axis=1)
    _, log = compat.sinkhorn(a, columns, costs, reg, method="sinkhorn_stabilized", log=True)
    alpha, beta = log["warmstart"]
    start = {
        "sinkhorn": (alpha / reg, beta / reg),
        "sinkhorn_log": [(alpha[:, k] / reg, beta[:, k] / reg) for k in range(2)],
        "sinkhorn_stabilized": (alpha, beta),
    }[method]
    _, warm = compat.sinkhorn(a, columns, costs, reg, method=method, warmstart=start, log=True)
    assert warm.get("niter", warm.get("n_iter")) <= 2
    if method != "sinkhorn_log":  # the same start for all
        compat.sinkhorn(a, columns, costs, reg, method=method, warmstart=(start[0][:, 0], start[1][:, 0]))


# What users of POT complain about


def test_empty_masses_are_equal_ones():
    expected = solved(A, B, M, 0.5)
    for a in ([], (), np.array([]), None):
        np.testing.assert_allclose(compat.sinkhorn(a, a, M, 0.5, stopThr=1e-12), expected, atol=1e-10)
    np.testing.assert_allclose(compat.smooth_ot_dual([], [], M, 0.5, "kl", stopThr=1e-12), expected, atol=1e-10)
    assert compat.sinkhorn([], np.stack([B, B], axis=1), M, 0.5).shape == (2,)


def test_integers_are_numbers():
    """POT 0.9.7 gives equal masses the type of M: of integers, they are zero."""
    expected = solved(instances.uniform(2), instances.uniform(2), np.array([[0.0, 1], [1, 0]]), 1)
    np.testing.assert_allclose(compat.sinkhorn([], [], np.array([[0, 1], [1, 0]]), 1), expected, atol=1e-9)
    a, b, costs = [1, 2, 1], np.array([2, 2], np.int32), [[0, 2], [1, 0], [3, 1]]
    expected = solved(*(np.array(argument, float) for argument in (a, b, costs)), 1)
    np.testing.assert_allclose(compat.sinkhorn(a, b, costs, 1, stopThr=1e-12), expected, atol=1e-10)
    plan = compat.empirical_sinkhorn([[0], [1], [3]], np.array([[1], [2]], np.uint8), 1)
    expected = solved(instances.uniform(3), instances.uniform(2), np.array([[1.0, 4], [0, 1], [4, 1]]), 1)
    np.testing.assert_allclose(plan, expected, atol=1e-8)


def test_zero_masses_are_zeros_of_the_plan():
    a, b = np.array([0.5, 0, 0.5]), np.array([0.25, 0.25, 0, 0.5])
    plan, log = compat.sinkhorn(a, b, M, 0.5, method="sinkhorn_log", log=True)
    expected = np.zeros_like(M)
    expected[np.ix_(a > 0, b > 0)] = solved(a[a > 0], b[b > 0], M[np.ix_(a > 0, b > 0)], 0.5)
    np.testing.assert_allclose(plan, expected, atol=1e-8)
    np.testing.assert_allclose(log["u"][:, None] * np.exp(-M / 0.5) * log["v"], plan, atol=1e-14)
    assert log["log_u"][1] == -np.inf
    assert log["v"][2] == 0
    _, log = compat.sinkhorn(a, b, M, 0.5, method="sinkhorn_stabilized", log=True)
    assert np.isfinite(log["alpha"]).all()
    assert np.isfinite(log["beta"]).all()
    _, log = compat.smooth_ot_semi_dual(a, b, M, 0.5, "kl", log=True)
    assert np.isfinite(log["alpha"]).all()


def test_small_regularisations_are_solved():
    """Where exp(-M / reg) is zero, POT's default stops at a plan without mass."""
    a, b, costs = instances.gauss(30, 20)
    plan = compat.sinkhorn(a, b, costs, 1e-4)
    assert reference.marginal_error(plan, a, b) <= 2e-9


def test_forbidden_pairs_have_no_mass():
    costs = M.copy()
    costs[0, 1] = costs[2, 3] = np.inf
    plan = compat.sinkhorn([], [], costs, 0.5)
    assert plan[0, 1] == plan[2, 3] == 0
    assert np.isfinite(compat.sinkhorn2([], [], costs, 0.5))


def test_float32_stays():
    plan = compat.sinkhorn(A, B, M.astype(np.float32), 0.5)
    assert plan.dtype == np.float32
    np.testing.assert_allclose(plan, solved(A, B, M, 0.5), atol=1e-7)
    assert compat.empirical_sinkhorn(X_S.astype(np.float32), X_T, 0.5).dtype == np.float64


def test_tensors_of_torch_are_taken():
    torch = pytest.importorskip("torch")
    a, b, costs = (torch.tensor(array) for array in (A, B, M))
    plan = compat.sinkhorn(a, b, costs, 0.5)
    assert isinstance(plan, np.ndarray)
    np.testing.assert_array_equal(plan, compat.sinkhorn(A, B, M, 0.5))
