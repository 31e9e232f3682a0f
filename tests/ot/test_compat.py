"""ot.compat against POT, where it is installed, and against the reference."""

import inspect
import logging
import os
import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.spatial.distance import cdist

import nearlinear as nl
from nearlinear.ot import compat
from tests.ot import instances, reference

METHODS = ("sinkhorn", "sinkhorn_log", "greenkhorn", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling")
LOGS = {
    "sinkhorn": {"err", "niter", "u", "v"},
    "sinkhorn_log": {"err", "niter", "log_u", "log_v", "u", "v"},
    "greenkhorn": {"n_iter", "u", "v"},
    "sinkhorn_stabilized": {"err", "n_iter", "logu", "logv", "alpha", "beta", "warmstart"},
    "sinkhorn_epsilon_scaling": {"err", "niter", "alpha", "beta", "warmstart"},
}
LAZY_LOG = {"err", "niter", "u", "v", "lazy_plan"}
DIVERGENCE_LOG = {
    *(f"sinkhorn_loss_{case}" for case in ("ab", "a", "b")),
    *(f"log_sinkhorn_{case}" for case in ("ab", "a", "b")),
}


class Pot:
    """POT's functions, called without its warnings: at import, and of its iterations."""

    def __init__(self):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):  # not needed, and slow to import
                if f"POT_BACKEND_DISABLE_{backend}" not in os.environ:
                    patch.setenv(f"POT_BACKEND_DISABLE_{backend}", "1")
            self.module = pytest.importorskip("ot", minversion="0.9")

    def function(self, name):
        return getattr(self.module.smooth if name.startswith("smooth") else self.module.bregman, name)

    def __getattr__(self, name):
        def call(*args, **kwargs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.function(name)(*args, **kwargs)

        return call


@pytest.fixture(scope="module")
def pot():
    return Pot()


def instance(seed):
    """Random masses and costs, and a regularisation at which POT's iteration converges soon."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 16, size=2)
    M = (
        rng.random((n, m))
        if seed % 2
        else reference.squared_distances(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)))
    )
    return (
        rng.dirichlet(np.ones(n)) + 0.01,
        rng.dirichlet(np.ones(m)) + 0.01 * n / m,
        M,
        np.ptp(M) * rng.uniform(0.05, 1),
    )


def clouds(seed=0, n=12, m=9, d=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5


def solved(a, b, M, reg):
    """The reference's plan."""
    solution = reference.solve(a, b, M, reg)
    return reference.plan(solution.f, solution.g, M, reg)


A, B, M = instances.uniform(3), instances.uniform(4), np.arange(12.0).reshape(3, 4) % 5
X_S, X_T = clouds(0, 3, 4, 2)


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


# Points


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
@pytest.mark.parametrize("reg_type", ["sparsity_constrained", "l1"])
def test_regularisations_that_are_not_there_are_an_error(function, reg_type):
    with pytest.raises(ValueError, match=rf"^reg_type is '{reg_type}'; it must be one of 'l2'"):
        function(A, B, M, 0.5, reg_type=reg_type, max_nz=2)


# Warnings and errors


def calls(**options):
    """A call of every function with these options."""
    iterations = options.pop("iterations", None)
    for name in compat.__all__:
        function = getattr(compat, name)
        if not inspect.isfunction(function):
            continue
        keywords = dict(options)
        if iterations is not None:
            keywords["numIterMax" if "empirical" in name else "numItermax"] = iterations
        if name.startswith("smooth"):
            keywords["reg_type"] = "kl"
        if name == "sinkhorn2":
            keywords.setdefault("warn", True)
        points = (X_S, X_T) if "empirical" in name else (A, B, M)
        yield lambda function=function, points=points, keywords=keywords: function(*points, 0.05, **keywords)


def test_too_few_iterations_are_a_warning():
    for call in calls(iterations=1):
        with pytest.warns(nl.ot.SinkhornWarning, match=r"^Sinkhorn did not converge: .*numIter[mM]ax") as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}


def test_a_problem_without_a_plan_is_a_warning():
    """Rows 0 and 1 may only go to column 0, which is too small."""
    costs = np.array([[0.0, np.inf, np.inf], [0.0, np.inf, np.inf], [0.0, 1.0, 1.0]])
    with pytest.warns(nl.ot.SinkhornWarning, match="^Sinkhorn did not converge: ") as caught:
        compat.sinkhorn([], [], costs, 0.1, numItermax=300)
    assert "C" not in str(caught[0].message).split()


def test_no_iterations_are_a_warning():
    for call in calls(iterations=0):
        with pytest.warns(nl.ot.SinkhornWarning):
            call()
    with pytest.warns(nl.ot.SinkhornWarning):
        plan, log = compat.sinkhorn(A, B, M, 0.05, numItermax=0, log=True)
    assert np.isfinite(plan).all()
    assert log["err"][-1] > 0


def test_warnings_can_be_turned_off():
    compat.sinkhorn(A, B, M, 0.05, numItermax=1, warn=False)
    compat.sinkhorn2(A, B, M, 0.05, numItermax=1)
    compat.empirical_sinkhorn(X_S, X_T, 0.05, numIterMax=1, warn=False)
    compat.empirical_sinkhorn2(X_S, X_T, 0.05, numIterMax=1, warn=False)
    compat.empirical_sinkhorn_divergence(X_S, X_T, 0.05, numIterMax=1, warn=False)


def test_nothing_is_printed(capfd, caplog):
    for call in calls():
        call()
    with caplog.at_level(logging.INFO, logger="nearlinear"):
        for call in calls(verbose=True):
            call()
    assert capfd.readouterr() == ("", "")
    assert "sinkhorn: 100 % done" in caplog.text


def test_inputs_stay_as_they_are():
    arrays = [A.copy(), B.copy(), M.copy(), X_S.copy(), X_T.copy()]
    start = (np.zeros(3), np.zeros(4))
    for array in (A, B, M, X_S, X_T, *start):
        array.flags.writeable = False
    try:
        for call in calls():
            call()
        compat.sinkhorn(A, B, M, 0.5, warmstart=start)
        compat.sinkhorn(A, B, M, 0.5, method="sinkhorn_stabilized", warmstart=start)
    finally:
        for array in (A, B, M, X_S, X_T):
            array.flags.writeable = True
    for before, after in zip(arrays, (A, B, M, X_S, X_T), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not any(part.any() for part in start)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


COLUMNS = np.stack([B, B], axis=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"M": np.ones((3, 3))}, r"^b has shape \(4,\); it must have shape \(3,\)"),
        ({"M": changed(M, (1, 2), np.nan)}, r"^M has the entry nan at index \(1, 2\)"),
        ({"M": changed(M, (1, 2), -np.inf)}, r"^M has the entry -inf"),
        ({"M": changed(M, 1, np.inf)}, "^M forbids all pairs of row 1"),
        ({"M": M[0]}, "^M has shape"),
        ({"M": M[:0], "a": []}, "^M has shape"),
        ({"M": [[1.0], [2.0, 3.0]]}, "^M is not an array"),
        ({"a": B}, r"^a has shape \(4,\)"),
        ({"a": A[:, None]}, "^a has shape"),
        ({"a": changed(A, 1, -0.1)}, "^a has the entry -0.1 at index 1"),
        ({"a": 0 * A}, "^a has no mass"),
        ({"a": 2 * A}, "^a sums to 2.0 and b to 1.0; the sums must be equal$"),
        ({"a": np.full(3, 1e308)}, "^the sum of a is inf"),
        ({"b": changed(B, 1, np.nan)}, "^b has the entry nan"),
        ({"b": changed(COLUMNS, (2, 1), np.nan)}, r"^b has the entry nan at index \(2, 1\)"),
        ({"b": changed(COLUMNS, (2, 1), -1)}, r"^b\[:, 1\] has the entry -1.0 at index 2"),
        ({"b": COLUMNS * [1, 2]}, r"^a sums to 1.0 and b\[:, 1\] to 2.0"),
        ({"b": COLUMNS[:, :0]}, r"^b has shape \(4, 0\); it must have columns"),
        ({"b": COLUMNS[:3]}, r"^b\[:, 0\] has shape \(3,\)"),
        ({"b": COLUMNS[None]}, "^b has shape"),
        ({"reg": 0}, "^reg is 0.0"),
        ({"reg": -1}, "^reg is -1.0"),
        ({"reg": np.nan}, "^reg is nan"),
        ({"method": "newton"}, "^method is 'newton'; it must be one of 'sinkhorn'"),
        ({"numItermax": -1}, "^numItermax is -1"),
        ({"stopThr": -1e-9}, "^stopThr is -1e-09"),
        ({"stopThr": np.nan}, "^stopThr is nan"),
        ({"warmstart": A}, "^warmstart must be a pair"),
        ({"warmstart": 3}, "^warmstart must be a pair"),
        ({"warmstart": (B, B)}, r"^warmstart\[0\] has shape \(4,\); it must have shape \(3,\)"),
        ({"warmstart": (A, A)}, r"^warmstart\[1\] has shape \(3,\)"),
        ({"warmstart": (A, changed(B, 0, -np.inf))}, r"^warmstart\[1\] has the entry -inf at index \(0,\)"),
        ({"warmstart": (A[:, None], B)}, r"^warmstart\[0\] has shape \(3, 1\)"),
        ({"b": COLUMNS, "warmstart": (A, np.ones((4, 3)))}, r"^warmstart\[1\] has shape \(4, 3\); .* 2 columns"),
        ({"b": COLUMNS, "warmstart": [(A, B)], "method": "sinkhorn_log"}, "^warmstart has 1 pairs"),
    ],
    ids=str,
)
def test_bad_values_are_named_as_pot_does(options, message):
    for function in (compat.sinkhorn, compat.sinkhorn2):
        with pytest.raises(ValueError, match=message):
            function(**{"a": A, "b": B, "M": M, "reg": 0.5, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"M": M.astype(complex)}, "^M has dtype complex128"),
        ({"M": scipy.sparse.csr_array(M)}, "^M is a sparse array"),
        ({"M": np.ma.masked_array(M, M > 3)}, "^M is a masked array"),
        ({"M": None}, "^M has dtype object"),
        ({"a": A.astype(str)}, "^a has dtype"),
        ({"reg": "small"}, "^reg is 'small'"),
        ({"stopThr": "small"}, "^stopThr is 'small'"),
        ({"numItermax": 1.5}, "^numItermax is 1.5"),
        ({"warmstart": (A.astype(complex), B)}, r"^warmstart\[0\] has dtype"),
        ({"numIterMax": 10}, "unexpected keyword argument 'numIterMax'"),
    ],
    ids=str,
)
def test_bad_types_are_named_as_pot_does(options, message):
    for function in (compat.sinkhorn, compat.sinkhorn2):
        with pytest.raises(TypeError, match=message):
            function(**{"a": A, "b": B, "M": M, "reg": 0.5, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"X_s": X_S[:, :1]}, ValueError, r"^X_s has shape \(3, 1\) and X_t has shape \(4, 2\)"),
        ({"X_s": X_S[:, :1], "metric": "chebyshev"}, ValueError, r"X_s \(3, 1\) and X_t \(4, 2\)"),
        ({"X_t": changed(X_T, (1, 1), np.inf)}, ValueError, r"^X_t has the entry inf at index \(1, 1\)"),
        ({"X_t": 0 * X_T, "metric": "cosine"}, ValueError, "^X_t has a point that is zero"),
        ({"X_t": 0 * X_T, "metric": "correlation"}, ValueError, "^the matrix of distances by metric 'correlation' has"),
        ({"X_s": X_S[:, 0]}, ValueError, "^X_s has shape"),
        ({"X_s": X_S[:0]}, ValueError, "^X_s has shape"),
        ({"X_s": None}, TypeError, "^X_s has dtype object"),
        ({"metric": "manhattan-ish"}, ValueError, "^metric is 'manhattan-ish'"),
        ({"a": B}, ValueError, r"^a has shape \(4,\)"),
        ({"reg": -1}, ValueError, "^reg is -1.0"),
        ({"stopThr": -1}, ValueError, "^stopThr is -1"),
        ({"numIterMax": -1}, ValueError, "^numIterMax is -1"),
        ({"warmstart": 3}, ValueError, "^warmstart must be a pair"),
        ({"warmstart": (A, A)}, ValueError, r"^warmstart\[1\] has shape \(3,\)"),
        ({"method": "newton"}, ValueError, "^method is 'newton'"),
        ({"numItermax": 10}, TypeError, "unexpected keyword argument 'numItermax'"),
    ],
    ids=str,
)
def test_bad_points_are_named_as_pot_does(options, error, message):
    for function in (compat.empirical_sinkhorn, compat.empirical_sinkhorn2, compat.empirical_sinkhorn_divergence):
        with pytest.raises(error, match=message):
            function(**{"X_s": X_S, "X_t": X_T, "reg": 0.5, **options})


def test_a_matrix_b_is_an_error_where_one_plan_is_returned():
    for call in (
        lambda: compat.empirical_sinkhorn(X_S, X_T, 0.5, b=COLUMNS, isLazy=True),
        lambda: compat.empirical_sinkhorn_divergence(X_S, X_T, 0.5, b=COLUMNS),
        lambda: compat.smooth_ot_dual(A, COLUMNS, M, 0.5, "kl"),
        lambda: compat.smooth_ot_semi_dual(A, COLUMNS, M, 0.5, "kl"),
    ):
        with pytest.raises(ValueError, match=r"^b has shape \(4, 2\)"):
            call()


def test_the_options_of_pots_algorithms_have_no_effect():
    plan = compat.sinkhorn(A, B, M, 0.5)
    for options in ({"tau": 10.0}, {"epsilon0": 1e3, "numInnerItermax": 10}, {"print_period": 1}):
        np.testing.assert_array_equal(compat.sinkhorn(A, B, M, 0.5, **options), plan)
