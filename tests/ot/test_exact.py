"""ot.exact against a solver of linear programs, and its results against the conditions of optimality."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import scipy.sparse.csgraph

import nearlinear as nl
from tests.ot import instances, reference


def assert_optimal(result, a, b, C):
    """A vertex with the marginals, and dual variables that prove it optimal: no solver is asked."""
    assert result.success, result.message
    a, b, C = np.asarray(a, float), np.asarray(b, float), np.asarray(C, float)
    n, m = C.shape
    mass = a.sum()
    P = scipy.sparse.coo_array(result.plan)
    assert P.shape == (n, m)
    assert P.nnz <= np.count_nonzero(a) + np.count_nonzero(b) - 1
    assert (P.data > 0).all()
    assert_is_forest(P)
    error = np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b * (mass / b.sum())).sum()
    assert error <= (1e-14 if P.dtype == np.float64 else 4e-6) * mass
    assert result.marginal_error <= 1e-14 * mass
    assert np.isfinite(result.f).all()
    assert np.isfinite(result.g).all()
    scale = np.abs(result.f).max() + np.abs(result.g).max()
    assert abs(result.f.mean()) <= 1e-15 * scale
    slack = C - (result.f[:, None] + result.g)
    assert slack.min() >= -1e-12 * scale
    assert np.abs(slack[P.row, P.col]).max() <= 1e-12 * scale
    cost = C[P.row, P.col] @ P.data
    assert result.cost == pytest.approx(cost, rel=1e-12 if P.dtype == np.float64 else 1e-5, abs=1e-13 * scale * mass)
    assert result.cost == pytest.approx(a @ result.f + b @ result.g, rel=1e-11, abs=1e-12 * scale * mass)
    assert abs(result.gap) <= 1e-12 * scale * mass


def assert_is_forest(P):
    n, m = P.shape
    graph = scipy.sparse.coo_array((np.ones(P.nnz), (P.row, n + P.col)), shape=(n + m, n + m))
    parts, _ = scipy.sparse.csgraph.connected_components(graph, directed=False)
    assert P.nnz == n + m - parts


def random_instance(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 31, size=2)
    C = (
        lambda: rng.random((n, m)),
        lambda: reference.squared_distances(rng.normal(size=(n, 2)), rng.normal(size=(m, 2))),
        lambda: rng.integers(0, 4, size=(n, m)).astype(float),
        lambda: rng.normal(size=(n, m)) * 10.0 ** rng.integers(-3, 4),
        lambda: np.full((n, m), rng.normal()),
        lambda: np.abs(np.subtract.outer(rng.integers(0, 9, n), rng.integers(0, 9, m))).astype(float),
    )[seed % 6]()
    masses = []
    for size in (n, m):
        kind = rng.integers(0, 4)
        mass = (
            np.ones(size)
            if kind == 0
            else rng.dirichlet(np.full(size, 0.5)) + 1e-6
            if kind == 1
            else rng.integers(1, 5, size).astype(float)
            if kind == 2
            else rng.integers(0, 3, size).astype(float)
        )
        if not mass.any():
            mass[0] = 1
        masses.append(mass / mass.sum())
    return *masses, C


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_random_instances(seed):
    a, b, C = random_instance(seed)
    result = nl.ot.exact(a, b, C)
    assert_optimal(result, a, b, C)
    assert result.cost == pytest.approx(reference.linear_program(a, b, C), rel=1e-9, abs=1e-9 * np.abs(C).max())


@pytest.mark.parametrize("seed", range(100))
def test_random_forbidden_pairs(seed):
    """Half of the pairs or more: sometimes a plan needs to be looked for, and sometimes there is none."""
    a, b, C = random_instance(seed)
    rng = np.random.default_rng(1000 + seed)
    n, m = C.shape
    C = np.where(rng.random((n, m)) < rng.choice([0.5, 0.8, 0.95]), np.inf, C)
    C[np.arange(n), rng.integers(0, m, n)] = rng.random(n)
    C[rng.integers(0, n, m), np.arange(m)] = rng.random(m)
    expected = reference.linear_program(a, b, C)
    if expected is None:
        with pytest.warns(nl.ot.ExactWarning, match="infeasible"):
            result = nl.ot.exact(a, b, C)
        assert_proves_infeasible(result, a, b, C)
    else:
        result = nl.ot.exact(a, b, C)
        assert_optimal(result, a, b, C)
        assert result.cost == pytest.approx(expected, rel=1e-9, abs=1e-9)


def assert_proves_infeasible(result, a, b, C):
    assert not result.success
    assert result.status == 3
    assert (result.f[:, None] + result.g)[np.isfinite(C)].max() <= 1e-14
    assert a @ result.f + b @ result.g > 1e-9
    P = result.plan.toarray()
    assert (P >= 0).all()
    assert (P[np.isinf(C)] == 0).all()
    assert (P.sum(axis=1) <= a + 1e-15).all()
    assert (P.sum(axis=0) <= b + 1e-15).all()
    assert 1 - P.sum() == pytest.approx(a @ result.f + b @ result.g)  # no plan moves more
    assert np.isinf(result.gap)


@pytest.mark.parametrize("n", [1, 2, 17, 100, 500])
@pytest.mark.parametrize("kind", ["random", "gauss", "ties"])
def test_assignments(n, kind):
    C = {
        "random": lambda: instances.random_assignment(n)[2],
        "gauss": lambda: instances.gauss(n)[2],
        "ties": lambda: np.random.default_rng(0).integers(0, 5, (n, n)).astype(float),
    }[kind]()
    result = nl.ot.exact(None, None, C)
    assert_optimal(result, instances.uniform(n), instances.uniform(n), C)
    rows, cols = scipy.optimize.linear_sum_assignment(C)
    assert result.cost == pytest.approx(C[rows, cols].mean(), rel=1e-12)
    assert result.plan.nnz == n


def random_costs(n, m, seed=0):
    return np.random.default_rng(seed).random((n, m))


ADVERSARIAL = {
    "one by one": ([1.0], [1.0], [[3.0]]),
    "one row": ([1.0], [0.2, 0.8], [[3.0, -1.0]]),
    "one column": ([0.2, 0.8], [1.0], [[3.0], [-1.0]]),
    "constant cost": (instances.uniform(5), instances.uniform(7), np.full((5, 7), 2.0)),
    "zero cost": (instances.uniform(5), instances.uniform(7), np.zeros((5, 7))),
    "huge costs": (instances.uniform(6), instances.uniform(7), 1e300 * random_costs(6, 7)),
    "tiny costs": (instances.uniform(6), instances.uniform(7), 1e-300 * random_costs(6, 7)),
    "costs with an offset": (instances.uniform(20), instances.uniform(30), 1e8 + random_costs(20, 30)),
    "negative costs with an offset": (instances.uniform(20), instances.uniform(20), -1e8 - random_costs(20, 20)),
    "rows with offsets": (
        instances.uniform(20),
        instances.uniform(20),
        1e6 * np.arange(20)[:, None] + random_costs(20, 20),
    ),
    "one row dominates": (
        instances.uniform(20),
        instances.uniform(20),
        np.where(np.arange(20)[:, None] == 3, 1e9, 1.0) * random_costs(20, 20),
    ),
    "one huge entry": (
        instances.uniform(6),
        instances.uniform(6),
        np.where(np.eye(6, k=2) > 0, 1e12, random_costs(6, 6)),
    ),
    "nearly equal costs": (instances.uniform(30), instances.uniform(20), 1 + 1e-13 * random_costs(30, 20)),
    "all mass in one row": (np.r_[0.999, np.full(10, 1e-4)], instances.uniform(8), random_costs(11, 8)),
    "masses of 1e-12": (
        np.array([1e-12, 0.5, 0.5 - 1e-12]),
        np.array([0.3, 0.7 - 1e-11, 1e-11]),
        np.array([[0.0, 1, 2], [1, 0, 1], [2, 1, 0]]),
    ),
    "masses of 1e-200": (
        np.array([1e-200, 0.5, 0.5]),
        np.array([0.3, 0.7, 1e-250]),
        np.array([[0.0, 1, 2], [1, 0, 1], [2, 1, 0]]),
    ),
    "masses that sum to 1e-200": (1e-200 * instances.uniform(5), 1e-200 * instances.uniform(4), random_costs(5, 4)),
    "masses that sum to 1e200": (1e200 * instances.uniform(5), 1e200 * instances.uniform(4), random_costs(5, 4)),
    "masses that tie but for rounding": (
        np.random.default_rng(1).permutation(np.repeat([0.1, 0.3, 0.6], 10)) / 10,
        np.random.default_rng(2).permutation(np.repeat([0.2, 0.3, 0.5], 10)) / 10,
        random_costs(30, 30),
    ),
    "zero masses": (np.array([0.0, 0.4, 0.6, 0.0]), np.array([0.5, 0.0, 0.5]), random_costs(4, 3)),
    "all mass in one place": (np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0]), np.ones((3, 2))),
    "all but a permutation forbidden": (
        instances.uniform(5),
        instances.uniform(5),
        np.where(np.eye(5)[[2, 0, 4, 1, 3]] > 0, 1.0, np.inf),
    ),
    "a band of allowed pairs": (
        instances.uniform(40),
        instances.uniform(40),
        np.where(np.abs(np.subtract.outer(np.arange(40), np.arange(40))) > 1, np.inf, random_costs(40, 40)),
    ),
    "a chain": (
        instances.uniform(40),
        instances.uniform(41),
        (np.arange(40)[:, None] / 40 - np.arange(41) / 41) ** 2,
    ),
    "equal marginals, metric cost": (
        instances.uniform(20),
        instances.uniform(20),
        np.abs(np.subtract.outer(np.arange(20.0), np.arange(20.0))),
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_instances(name):
    a, b, C = (np.array(part, dtype=float) for part in ADVERSARIAL[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = nl.ot.exact(a, b, C)
    assert_optimal(result, a, b, C)
    if 1e-100 < np.abs(C[np.isfinite(C)]).max() < 1e100 and name != "zero cost":  # what HiGHS can take
        scale = a.sum()
        expected = reference.linear_program(a / scale, b / scale, C)
        assert result.cost / scale == pytest.approx(expected, rel=1e-9, abs=1e-6 * np.ptp(C[np.isfinite(C)]))


@pytest.mark.parametrize(
    "instance",
    [
        instances.images(16),
        instances.images(16, "sqeuclidean"),
        instances.dirichlet(200, 150),
        instances.gauss(300, 400),
    ],
    ids=["L1", "L2", "dirichlet", "gauss"],
)
def test_larger_instances(instance):
    assert_optimal(nl.ot.exact(*instance), *instance)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine"])
def test_points_are_a_matrix_of_costs(metric):
    rng = np.random.default_rng(0)
    x, y = rng.random((70, 5)) + 0.1, rng.random((55, 5)) + 0.1
    a, b, C = instances.uniform(70), rng.dirichlet(np.ones(55)), reference.COSTS[metric](x, y)
    assert_optimal(nl.ot.exact(a, b, x=x, y=y, metric=metric), a, b, C)
    # more columns than a tile of costs has
    x, y = rng.random((30, 2)) + 0.1, rng.random((2100, 2)) + 0.1
    C = reference.COSTS[metric](x, y)
    clouds = nl.ot.exact(None, None, x=x, y=y, metric=metric)
    assert_optimal(clouds, instances.uniform(30), instances.uniform(2100), C)
    assert nl.ot.exact(None, None, C).cost == pytest.approx(clouds.cost, rel=1e-12)


def test_float32_costs_keep_double_precision():
    a, b, C = instances.dirichlet(80, 70)
    single = C.astype(np.float32)
    result = nl.ot.exact(a, b, single)
    assert result.plan.dtype == np.float32
    assert result.f.dtype == np.float64
    assert_optimal(result, a, b, single)
    assert result.cost == nl.ot.exact(a, b, single.astype(np.float64)).cost
    assert nl.ot.exact(a, b, C, dtype=np.float32).plan.dtype == np.float32


def test_integers_are_exact():
    result = nl.ot.exact([3, 1], [2, 2], [[0, 1], [1, 0]])
    assert np.array_equal(result.plan.toarray(), [[2, 1], [0, 1]])
    assert result.cost == 1
    assert result.gap == 0
    assert result.marginal_error == 0


def test_sums_that_differ_by_rounding_scale_b():
    a, b, C = instances.dirichlet(30, 40)
    result = nl.ot.exact(a, b * (1 + 5e-7), C)
    assert_optimal(result, a, b, C)


def test_zero_masses_get_dual_variables():
    a, b, C = instances.dirichlet(40, 30)
    a[[0, 7, 8]] = b[[3, 29]] = 0
    a, b = a / a.sum(), b / b.sum()
    result = nl.ot.exact(a, b, C)
    assert_optimal(result, a, b, C)
    small = nl.ot.exact(a[a > 0], b[b > 0], C[np.ix_(a > 0, b > 0)])
    assert small.cost == pytest.approx(result.cost, rel=1e-14)
    for i in np.flatnonzero(a == 0):
        assert result.f[i] == pytest.approx((C[i] - result.g)[b > 0].min(), abs=1e-14)
    for j in np.flatnonzero(b == 0):
        assert result.g[j] == pytest.approx((C[:, j] - result.f).min(), abs=1e-14)


def test_a_problem_without_a_plan_is_a_status():
    """Rows 0 and 1 may only go to column 0, which is too small: Hall's condition fails."""
    C = np.array([[0.0, np.inf, np.inf], [0.0, np.inf, np.inf], [0.0, 1.0, 1.0]])
    with pytest.warns(nl.ot.ExactWarning, match="infeasible"):
        result = nl.ot.exact(None, None, C)
    assert_proves_infeasible(result, instances.uniform(3), instances.uniform(3), C)
    assert result.plan.sum() == pytest.approx(2 / 3)


def test_forbidden_pairs_that_the_first_plan_needs():
    """The greedy rule takes the diagonal and leaves (0, 2), which is forbidden: every row must give way."""
    C = np.array([[0.0, 1, np.inf], [np.inf, 0, 1], [np.inf, np.inf, 0]])
    a, b = np.array([0.4, 0.3, 0.3]), np.array([0.2, 0.4, 0.4])
    assert_optimal(nl.ot.exact(a, b, C), a, b, C)
    C[0, 0] = -1  # and now with a row that would have nowhere else to go
    C[2, 0] = 100
    assert_optimal(nl.ot.exact(a, b, C), a, b, C)


@pytest.mark.parametrize("maxiter", [0, 1, 100])
def test_too_few_pivots_leave_a_plan_and_a_bound(maxiter):
    a, b, C = instances.gauss(60, 50)
    with pytest.warns(nl.ot.ExactWarning, match="largest number of pivots"):
        result = nl.ot.exact(a, b, C, maxiter=maxiter)
    assert (result.status, result.nit) == (1, maxiter)
    optimum = nl.ot.exact(a, b, C).cost
    assert optimum <= result.cost <= optimum + result.gap + 1e-14
    assert result.marginal_error < 1e-14
    assert (result.f[:, None] + result.g - C).max() <= 1e-14


def test_a_callback_stops():
    a, b, C = instances.gauss(200)
    seen = []

    def stop_at_two(state):
        seen.append(state)
        return len(seen) == 2

    with pytest.warns(nl.ot.ExactWarning, match="stopped"):
        result = nl.ot.exact(a, b, C, callback=stop_at_two)
    assert result.status == 2
    assert seen[0].nit == 0
    assert 400 <= seen[1].nit == result.nit < 440
    assert seen[0].cost > seen[1].cost == pytest.approx(result.cost, rel=1e-12)
    assert seen[0].forbidden_mass == 0


def test_a_callback_sees_forbidden_mass():
    rng = np.random.default_rng(0)
    C = np.where(np.abs(np.subtract.outer(np.arange(60), np.arange(60))) > 2, np.inf, rng.random((60, 60)))
    seen = []
    assert nl.ot.exact(None, None, C, callback=seen.append).success
    assert seen[0].forbidden_mass > 0 == seen[-1].forbidden_mass
    with pytest.warns(nl.ot.ExactWarning, match="stopped"):
        result = nl.ot.exact(None, None, C, callback=lambda state: True)
    assert np.isinf(result.gap)
    assert np.isfinite(result.f).all()
    assert result.marginal_error == pytest.approx(2 * seen[0].forbidden_mass)


def test_what_a_callback_raises_comes_out():
    def fail(state):
        raise LookupError("from the callback")

    with pytest.raises(LookupError, match="from the callback"):
        nl.ot.exact(*instances.gauss(50), callback=fail)


def test_a_warm_start_takes_few_pivots():
    a, b, C = instances.gauss(300)
    cold = nl.ot.exact(a, b, C)
    warm = nl.ot.exact(a, b, C, warmstart=cold)
    assert_optimal(warm, a, b, C)
    assert warm.nit < cold.nit / 2
    entropic = nl.ot.sinkhorn(a, b, C, reg=1e-3)
    assert_optimal(nl.ot.exact(a, b, C, warmstart=entropic), a, b, C)
    assert_optimal(nl.ot.exact(a, b, C, warmstart=(np.zeros(300), 1e3 * np.random.default_rng(0).random(300))), a, b, C)


def test_the_limit_of_sinkhorn():
    a, b, C = instances.dirichlet(60, 50, concentration=2.0)
    result = nl.ot.exact(a, b, C)
    entropic = nl.ot.sinkhorn(a, b, C, reg=1e-4)
    assert 0 <= entropic.cost - result.cost <= 1e-4 * np.log(50)


@pytest.mark.parametrize("n_threads", [2, 4])
def test_threads_give_the_same_bits(n_threads):
    a, b, C = instances.gauss(300, 250)
    one, many = (nl.ot.exact(a, b, C, n_threads=threads) for threads in (1, n_threads))
    assert np.array_equal(one.f, many.f)
    assert np.array_equal(one.g, many.g)
    assert np.array_equal(one.plan.toarray(), many.plan.toarray())
    assert (one.cost, one.nit) == (many.cost, many.nit)


def test_inputs_are_not_written_to(capfd):
    a, b, C = instances.dirichlet(30, 20)
    copies = a.copy(), b.copy(), C.copy()
    for array in (a, b, C):
        array.flags.writeable = False
    cold = nl.ot.exact(a, b, C)
    f = cold.f.copy()
    nl.ot.exact(a, b, np.asfortranarray(C), warmstart=cold)
    assert np.array_equal(f, cold.f)
    assert all(np.array_equal(x, y) for x, y in zip((a, b, C), copies, strict=True))
    assert capfd.readouterr() == ("", "")
