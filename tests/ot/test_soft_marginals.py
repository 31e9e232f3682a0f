"""ot.sinkhorn with reg_marginals: unbalanced transport."""

import numpy as np
import pytest

import nearlinear as nl
from tests.ot import instances, reference


def random_instance(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 30, size=2)
    C = (
        rng.random((n, m))
        if seed % 2
        else reference.squared_distances(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)))
    )
    a, b = rng.dirichlet(np.ones(n)) * rng.uniform(0.3, 3), rng.dirichlet(np.ones(m)) * rng.uniform(0.3, 3)
    penalties = [float(10.0 ** rng.uniform(-1.5, 0.7)) for _ in range(2)]
    if seed % 5 == 0:
        penalties[seed % 2] = np.inf  # the other one alone is soft
    return a, b, C, float(10.0 ** rng.uniform(-1.7, 0)), tuple(penalties)


def assert_solves(result, a, b, C, *, reg, penalties):
    P = reference.soft(a, b, C, reg, penalties)
    assert result.success, result.message
    assert result.marginal_error <= 1e-9
    assert abs(result.f.mean()) <= 1e-12 * max(1, np.abs(result.f).max())
    np.testing.assert_allclose(result.plan, reference.plan(result.f, result.g, C, reg), rtol=1e-9, atol=1e-14 * P.max())
    assert np.abs(result.plan - P).max() <= 1e-6 * P.max()
    assert result.cost == pytest.approx(reference.cost(P, C), rel=1e-6, abs=1e-10)
    value = reference.soft_objective(P, a, b, C, reg=reg, penalties=penalties)
    assert result.value == pytest.approx(value, rel=1e-8, abs=1e-8 * (a.sum() + b.sum()))


@pytest.mark.parametrize("seed", range(60))
def test_random_instances(seed):
    a, b, C, reg, penalties = random_instance(seed)
    result = nl.ot.sinkhorn(a, b, C, reg=reg, reg_marginals=penalties, tol=1e-11)
    assert_solves(result, a, b, C, reg=reg, penalties=penalties)


@pytest.mark.smoke
@pytest.mark.parametrize("method", ["auto", "sinkhorn"])
@pytest.mark.parametrize("penalties", [(1.0, 1.0), (0.05, 3.0), (np.inf, 0.5), (0.5, np.inf)])
def test_every_method_finds_the_reference_plan(method, penalties):
    a, b, C = instances.dirichlet(40, 30)
    a = 1.7 * a
    result = nl.ot.sinkhorn(a, b, C, reg=0.05, reg_marginals=penalties, method=method)
    assert_solves(result, a, b, C, reg=0.05, penalties=penalties)


def test_marginals_are_those_of_the_dual_variables():
    """The optimality condition P 1 = a exp(-u / rho), u = f up to a constant; and a marginal that is hard holds."""
    a, b, C = instances.gauss(200, 150)
    result = nl.ot.sinkhorn(a, 2 * b, C, reg=1e-3, reg_marginals=(0.3, 0.2), tol=1e-12)
    u = -0.3 * np.log(result.plan.sum(axis=1) / a)
    v = -0.2 * np.log(result.plan.sum(axis=0) / (2 * b))
    assert np.ptp(u - result.f) <= 1e-9
    assert np.ptp(v - result.g) <= 1e-9
    assert (u - result.f).mean() + (v - result.g).mean() == pytest.approx(1e-3, rel=1e-6)
    hard = nl.ot.sinkhorn(a, 2 * b, C, reg=1e-3, reg_marginals=(np.inf, 0.2))
    np.testing.assert_allclose(hard.plan.sum(axis=1), a, atol=1e-9)
    assert np.abs(hard.plan.sum(axis=0) - 2 * b).sum() > 0.5


def test_large_penalties_are_exact_marginals_and_small_ones_move_nothing():
    a, b, C = instances.gauss(80)
    exact = nl.ot.sinkhorn(a, b, C, reg=0.01)
    nearly = nl.ot.sinkhorn(a, b, C, reg=0.01, reg_marginals=1e6)
    assert np.abs(nearly.plan - exact.plan).max() <= 1e-5 * exact.plan.max()
    far = C + 100.0
    assert nl.ot.sinkhorn(a, b, far, reg=0.01, reg_marginals=1.0).plan.sum() < 1e-10
    assert nl.ot.sinkhorn(a, b, far, reg=0.01, reg_marginals=1e5).plan.sum() > 0.99


@pytest.mark.parametrize("penalties", [(0.5, 0.5), (np.inf, 0.3), (0.2, np.inf)])
def test_gradient_by_finite_differences(penalties):
    rng = np.random.default_rng(0)
    x, y, a, b = rng.random((12, 2)), rng.random((9, 2)), rng.random(12), rng.random(9)

    def value(a, b, x, y):
        options = {"reg": 0.05, "reg_marginals": penalties, "tol": 1e-13, "plan": None}
        return nl.ot.sinkhorn(a, b, x=x, y=y, **options).value

    gradient = nl.ot.sinkhorn(a, b, x=x, y=y, reg=0.05, reg_marginals=penalties, tol=1e-13).grad()
    given, h = (a, b, x, y), 1e-6
    for k, derivative in enumerate((gradient.da, gradient.db, gradient.dx, gradient.dy)):
        direction = rng.normal(size=given[k].shape)
        ahead, behind = (
            value(*(part + (sign * h * direction if i == k else 0) for i, part in enumerate(given))) for sign in (1, -1)
        )
        assert (ahead - behind) / (2 * h) == pytest.approx((derivative * direction).sum(), rel=1e-5)


def test_scaled_masses_and_costs():
    """KL and <C, P> are homogeneous; sum P log P gains log(s) sum P, which is a constant of the costs."""
    a, b, C = instances.dirichlet(20, 30)
    one = nl.ot.sinkhorn(a, b, C, reg=0.1, reg_marginals=0.4, tol=1e-12)
    scaled = nl.ot.sinkhorn(7 * a, 7 * b, C - 0.1 * np.log(7), reg=0.1, reg_marginals=0.4, tol=1e-12)
    np.testing.assert_allclose(scaled.plan, 7 * one.plan, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("reg", [1.0, 1e-2, 1e-3])
@pytest.mark.parametrize("penalties", [1e-6, 1e-3, 10.0, 1e4, (np.inf, 1e-3), (1e-3, np.inf), (1e5, 1e-4)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_penalties_of_all_sizes(reg, penalties, scale):
    """Masses with different sums, so that a large penalty asks for a large constant in the dual variables."""
    rng = np.random.default_rng(0)
    a, b = scale * rng.random(30), scale * rng.random(25)
    C = reference.squared_distances(rng.random((30, 2)), rng.random((25, 2)))
    result = nl.ot.sinkhorn(a, b, C, reg=reg, reg_marginals=penalties)
    assert result.success, result.message
    # At the optimum, P 1 = a exp(-u / rho_a) and P^T 1 = b exp(-v / rho_b) with u + v = f + g + reg.
    u = v = 0.0
    rho_a, rho_b = (penalties, penalties) if np.ndim(penalties) == 0 else penalties
    if rho_a < np.inf:
        u = -rho_a * np.log(result.plan.sum(axis=1) / a)
        assert np.ptp(u - result.f) <= 1e-7 * max(1.0, rho_a)
    if rho_b < np.inf:
        v = -rho_b * np.log(result.plan.sum(axis=0) / b)
        assert np.ptp(v - result.g) <= 1e-7 * max(1.0, rho_b)
    if max(rho_a, rho_b) < np.inf:
        assert (u - result.f).mean() + (v - result.g).mean() == pytest.approx(reg, abs=1e-7 * max(1.0, rho_a, rho_b))


def test_zero_masses_forbidden_pairs_and_warm_starts():
    a, b, C = instances.dirichlet(25, 20)
    a[3], b[[0, 7]] = 0, 0
    C[5, :18] = np.inf
    result = nl.ot.sinkhorn(a, b, C, reg=0.02, reg_marginals=0.3)
    keep_a, keep_b = a > 0, b > 0
    P = reference.soft(a[keep_a], b[keep_b], C[np.ix_(keep_a, keep_b)], 0.02, (0.3, 0.3))
    assert result.success
    assert np.abs(result.plan[np.ix_(keep_a, keep_b)] - P).max() <= 1e-7 * P.max()
    assert (result.plan[3] == 0).all()
    again = nl.ot.sinkhorn(a, b, C, reg=0.02, reg_marginals=0.3, warmstart=result)
    assert again.success
    assert again.nit <= 3


def test_points_and_threads():
    rng = np.random.default_rng(1)
    x, y = rng.random((300, 3)), rng.random((250, 3))
    C = reference.squared_distances(x, y)
    runs = [nl.ot.sinkhorn(None, None, x=x, y=y, reg=0.01, reg_marginals=0.2, n_threads=k) for k in (1, 2, 4)]
    np.testing.assert_allclose(
        runs[0].plan, nl.ot.sinkhorn(None, None, C, reg=0.01, reg_marginals=0.2).plan, rtol=1e-6, atol=1e-15
    )
    for run in runs[1:]:
        assert (run.f == runs[0].f).all()
        assert run.value == runs[0].value


@pytest.mark.parametrize("penalty", [0, -1.0, np.nan, (1.0, -1.0), (1.0, 2.0, 3.0), (0.0, np.inf)])
def test_bad_penalties_are_named(penalty):
    with pytest.raises(ValueError, match="reg_marginals"):
        nl.ot.sinkhorn(None, None, np.eye(3), reg=1, reg_marginals=penalty)


def test_what_only_hard_marginals_have():
    with pytest.raises(ValueError, match="reg_marginals is given and method is 'sns'"):
        nl.ot.sinkhorn(None, None, np.eye(3), reg=1, reg_marginals=1.0, method="sns")
    with pytest.raises(ValueError, match="unless reg_marginals is given"):
        nl.ot.sinkhorn([1, 1], [1, 2], np.eye(2), reg=1)
    with pytest.raises(TypeError, match="reg_marginals"):
        nl.ot.sinkhorn(None, None, np.eye(3), reg=1, reg_marginals="much")
