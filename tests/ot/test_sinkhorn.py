"""ot.sinkhorn against the reference and the mathematics."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import nearlinear as nl
from tests.ot import instances, reference


def assert_solves(result, a, b, C, reg, *, error=1e-9):
    """A plan of the stated form with the stated marginals, value and cost: optimal, whoever computed it."""
    assert result.success, result.message
    assert result.marginal_error <= error * a.sum()
    assert abs(result.f.mean()) <= 1e-12 * max(1, np.abs(result.f).max())
    P = reference.plan(result.f, result.g, C, reg)
    P[a == 0], P[:, b == 0] = 0, 0
    scale = a.sum()
    np.testing.assert_allclose(result.plan, P, atol=1e-13 * scale + 1e-12 * P.max())
    assert reference.marginal_error(P, a, b) <= 2 * error * scale
    assert result.cost == pytest.approx(reference.cost(P, C), rel=1e-9, abs=1e-12 * scale)
    assert result.value == pytest.approx(reference.objective(P, C, reg), rel=1e-9, abs=1e-11 * scale)


@pytest.mark.smoke
@pytest.mark.parametrize("method", ["auto", "sns", "sinkhorn"])
@pytest.mark.parametrize("reg", [1.0, 0.1, 0.03])
def test_every_method_finds_the_reference_plan(method, reg):
    """Spec test 1: the plan to 1e-10 of its largest entry, the cost to 1e-12."""
    for a, b, C in (instances.gauss(60, 45), instances.random_assignment(50), instances.dirichlet(40, 60)):
        options = {"sns_density": 1.0} if method == "sns" else {}
        result = nl.ot.sinkhorn(a, b, C, reg=reg, method=method, tol=1e-12, maxiter=100000, **options)
        expected = reference.solve(a, b, C, reg)
        P = reference.plan(expected.f, expected.g, C, reg)
        assert result.success
        assert np.abs(result.plan - P).max() <= 1e-10 * P.max()
        assert result.cost == pytest.approx(reference.cost(P, C), rel=1e-10)
        assert_solves(result, a, b, C, reg)


def random_instance(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 40, size=2)
    kind = seed % 4
    if kind == 0:
        C = rng.random((n, m))
    elif kind == 1:
        C = reference.squared_distances(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)))
    elif kind == 2:
        C = rng.integers(0, 4, size=(n, m)).astype(float)
    else:
        C = rng.normal(size=(n, m)) * 10.0 ** rng.integers(-3, 4)
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    spread = np.ptp(C) if np.ptp(C) > 0 else 1.0
    return a, b, C, spread * 10.0 ** rng.uniform(-3, 0)


@pytest.mark.parametrize("seed", range(200))
def test_random_instances(seed):
    a, b, C, reg = random_instance(seed)
    assert_solves(nl.ot.sinkhorn(a, b, C, reg=reg), a, b, C, reg)


ADVERSARIAL = {
    "one by one": ([1.0], [1.0], [[3.0]], 0.1),
    "one row": ([1.0], [0.2, 0.8], [[3.0, -1.0]], 0.1),
    "one column": ([0.2, 0.8], [1.0], [[3.0], [-1.0]], 0.1),
    "constant cost": (instances.uniform(5), instances.uniform(7), np.full((5, 7), 2.0), 0.3),
    "zero cost": (instances.uniform(5), instances.uniform(7), np.zeros((5, 7)), 1e-3),
    "huge reg": (*instances.gauss(9, 8), 1e6),
    "tiny reg": (*instances.gauss(30, 20), 1e-5),
    "huge costs": (instances.uniform(6), instances.uniform(6), 1e150 * np.random.default_rng(0).random((6, 6)), 1e148),
    "tiny costs": (
        instances.uniform(6),
        instances.uniform(6),
        1e-150 * np.random.default_rng(0).random((6, 6)),
        1e-152,
    ),
    "negative costs": (instances.uniform(6), instances.uniform(5), -np.random.default_rng(0).random((6, 5)), 0.01),
    "one huge entry": (
        instances.uniform(6),
        instances.uniform(6),
        np.where(np.eye(6, k=2) > 0, 1e8, np.random.default_rng(0).random((6, 6))),
        0.05,
    ),
    "equal marginals, metric cost": (
        instances.uniform(20),
        instances.uniform(20),
        np.abs(np.subtract.outer(np.arange(20.0), np.arange(20.0))),
        0.05,
    ),
    "many equal optima": (*instances.images(6, "cityblock"), 1e-3),
    "masses of 1e-12": (
        np.array([1e-12, 0.5, 0.5 - 1e-12]),
        np.array([0.3, 0.7 - 1e-11, 1e-11]),
        np.array([[0.0, 1, 2], [1, 0, 1], [2, 1, 0]]),
        0.1,
    ),
    "masses of 1e-200": (
        np.array([1e-200, 0.5, 0.5]),
        np.array([0.3, 0.7, 1e-250]),
        np.array([[0.0, 1, 2], [1, 0, 1], [2, 1, 0]]),
        0.1,
    ),
    "masses that sum to 1e-9": (
        1e-9 * instances.uniform(5),
        1e-9 * instances.uniform(4),
        np.random.default_rng(1).random((5, 4)),
        0.05,
    ),
    "masses that sum to 1e9": (
        1e9 * instances.uniform(5),
        1e9 * instances.uniform(4),
        np.random.default_rng(1).random((5, 4)),
        0.05,
    ),
    "zero masses": (
        np.array([0.0, 0.4, 0.6, 0.0]),
        np.array([0.5, 0.0, 0.5]),
        np.random.default_rng(2).random((4, 3)),
        0.05,
    ),
    "all mass in one place": (np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0]), np.ones((3, 2)), 0.1),
    "forbidden pairs": (
        instances.uniform(6),
        instances.uniform(6),
        np.where((np.arange(6)[:, None] - np.arange(6)) % 6 > 2, np.inf, np.random.default_rng(3).random((6, 6))),
        0.05,
    ),
    "all but a permutation forbidden": (
        instances.uniform(5),
        instances.uniform(5),
        np.where(np.eye(5)[[2, 0, 4, 1, 3]] > 0, 1.0, np.inf),
        0.1,
    ),
    "rows of very different costs": (
        instances.uniform(8),
        instances.uniform(8),
        np.random.default_rng(4).random((8, 8)) + 1e3 * np.arange(8)[:, None],
        0.02,
    ),
    "a chain": (
        instances.uniform(40),
        instances.uniform(41),
        (np.arange(40)[:, None] / 40 - np.arange(41) / 41) ** 2,
        1e-4,
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_instances(name):
    a, b, C, reg = ADVERSARIAL[name]
    a, b, C = np.array(a), np.array(b), np.array(C)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = nl.ot.sinkhorn(a, b, C, reg=reg)
    assert np.isfinite(result.f).all()
    assert np.isfinite(result.g).all()
    assert_solves(result, a, b, C, reg)


@pytest.mark.parametrize("instance", [instances.gauss(120), instances.random_assignment(120)], ids=["gauss", "random"])
def test_the_cost_comes_down_to_the_linear_program(instance):
    """Spec test 2: 0 <= <C, P> - optimum <= reg log n, monotone."""
    a, b, C = instance
    rows, cols = scipy.optimize.linear_sum_assignment(C)
    optimum = C[rows, cols].mean()
    gaps = [nl.ot.sinkhorn(a, b, C, reg=reg).cost - optimum for reg in (1e-2, 1e-3, 1e-4)]
    assert gaps[0] > gaps[1] > gaps[2] >= -1e-10
    for gap, reg in zip(gaps, (1e-2, 1e-3, 1e-4), strict=True):
        assert gap <= reg * np.log(len(a))


def test_gradient_by_finite_differences():
    """Spec test 3."""
    a, b, C = instances.dirichlet(15, 12, concentration=3.0)
    rng, h, reg = np.random.default_rng(0), 1e-5, 0.05

    def value(a, b, C):
        return nl.ot.sinkhorn(a, b, C, reg=reg, tol=1e-13, plan=None).value

    gradient = nl.ot.sinkhorn(a, b, C, reg=reg, tol=1e-13).grad()
    u = rng.normal(size=15)
    u -= u.mean()
    u *= a.min() / np.abs(u).max()
    assert (value(a + h * u, b, C) - value(a - h * u, b, C)) / (2 * h) == pytest.approx(gradient.da @ u, rel=1e-6)
    v = rng.normal(size=12)
    v -= v.mean()
    v *= b.min() / np.abs(v).max()
    assert (value(a, b + h * v, C) - value(a, b - h * v, C)) / (2 * h) == pytest.approx(gradient.db @ v, rel=1e-6)
    D = rng.normal(size=C.shape)
    by_costs = (gradient.dC.toarray() * D).sum()
    assert (value(a, b, C + h * D) - value(a, b, C - h * D)) / (2 * h) == pytest.approx(by_costs, rel=1e-6)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine"])
def test_gradient_by_points(metric):
    rng, h = np.random.default_rng(0), 1e-6
    x, y = rng.normal(size=(9, 2)) + 3, rng.normal(size=(11, 2)) + 2

    def value(x, y):
        return nl.ot.sinkhorn(None, None, x=x, y=y, metric=metric, reg=0.1, tol=1e-13).value

    gradient = nl.ot.sinkhorn(None, None, x=x, y=y, metric=metric, reg=0.1, tol=1e-13).grad()
    u, v = rng.normal(size=x.shape), rng.normal(size=y.shape)
    by_x, by_y = (gradient.dx * u).sum(), (gradient.dy * v).sum()
    assert (value(x + h * u, y) - value(x - h * u, y)) / (2 * h) == pytest.approx(by_x, rel=1e-5)
    assert (value(x, y + h * v) - value(x, y - h * v)) / (2 * h) == pytest.approx(by_y, rel=1e-5)


@pytest.mark.parametrize("reg", [0.1, 0.01, 0.001])
def test_invariances(reg):
    """Spec test 5: scaling, adding to rows and columns, permuting."""
    a, b, C = instances.dirichlet(50, 40, concentration=3.0)
    rng = np.random.default_rng(0)
    P = nl.ot.sinkhorn(a, b, C, reg=reg, tol=1e-12).plan
    tolerance = 1e-11 * P.max() / min(1, reg / 0.01)
    scaled = nl.ot.sinkhorn(a, b, 7 * C, reg=7 * reg, tol=1e-12).plan
    assert np.abs(scaled - P).max() <= tolerance
    moved = nl.ot.sinkhorn(a, b, C + rng.random((50, 1)) + rng.random(40), reg=reg, tol=1e-12).plan
    assert np.abs(moved - P).max() <= tolerance
    rows, cols = rng.permutation(50), rng.permutation(40)
    permuted = nl.ot.sinkhorn(a[rows], b[cols], C[np.ix_(rows, cols)], reg=reg, tol=1e-12).plan
    assert np.abs(permuted - P[np.ix_(rows, cols)]).max() <= tolerance


def test_rectangular_and_uneven():
    """Spec test 6."""
    a, b, C = instances.dirichlet(120, 75)
    result = nl.ot.sinkhorn(a, b, C, reg=1e-3, tol=1e-10)
    assert_solves(result, a, b, C, 1e-3, error=1e-10)
    assert result.n_newton < 60


def test_the_tail_is_super_linear():
    """Spec test 7."""
    a, b, C = instances.gauss(1000)
    result = nl.ot.sinkhorn(a, b, C, reg=1e-3, tol=1e-12, plan=None)
    errors = [step.marginal_error for step in result.history if step.newton and step.reg == 1e-3]
    tail = [(e, after) for e, after in itertools.pairwise(errors) if 1e-8 <= e <= 1e-3]
    assert len(tail) >= 1
    assert all(after <= 0.05 * e and after <= max(e**1.3, 1e-12) for e, after in tail)


def test_an_image_at_tiny_regularisation():
    """Spec test 8: costs with many optima, where the dual is flat."""
    a, b, C = instances.images(28, "cityblock")
    result = nl.ot.sinkhorn(a, b, C, reg=1e-4)
    assert result.success
    assert result.marginal_error < 1e-9
    assert np.isfinite(result.plan).all()


@pytest.mark.parametrize("reg", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine"])
def test_points_are_a_matrix_of_costs(metric, reg):
    rng = np.random.default_rng(0)
    x, y = rng.random((70, 5)) + 0.1, rng.random((55, 5)) + 0.1
    C = reference.COSTS[metric](x, y)
    result = nl.ot.sinkhorn(None, None, x=x, y=y, metric=metric, reg=reg * C.max())
    assert_solves(result, instances.uniform(70), instances.uniform(55), C, reg * C.max())


@pytest.mark.parametrize("reg", [0.05, 0.002])
def test_float32_costs_keep_double_precision(reg):
    a, b, C = instances.gauss(80, 70)
    single = C.astype(np.float32)
    result = nl.ot.sinkhorn(a, b, single, reg=reg)
    assert result.plan.dtype == np.float32
    assert result.f.dtype == np.float64
    assert result.marginal_error < 1e-9
    same = nl.ot.sinkhorn(a, b, single.astype(np.float64), reg=reg)
    np.testing.assert_allclose(result.f, same.f, atol=1e-8)
    assert nl.ot.sinkhorn(a, b, C, reg=reg, dtype=np.float32).plan.dtype == np.float32


def test_integers_are_numbers():
    """POT answers zeros."""
    result = nl.ot.sinkhorn([1, 1], [1, 1], [[0, 1], [1, 0]], reg=1)
    assert result.plan.sum() == pytest.approx(2)


def test_zero_masses_get_the_c_transform():
    a, b, C, reg = ADVERSARIAL["zero masses"]
    result = nl.ot.sinkhorn(a, b, C, reg=reg)
    has = b > 0
    for i in np.flatnonzero(a == 0):
        assert result.f[i] == pytest.approx((C[i, has] - result.g[has]).min(), abs=1e-12)
    for j in np.flatnonzero(b == 0):
        assert result.g[j] == pytest.approx((C[a > 0, j] - result.f[a > 0]).min(), abs=1e-12)
    small = nl.ot.sinkhorn(a[a > 0], b[has], C[np.ix_(a > 0, has)], reg=reg)
    np.testing.assert_allclose(result.plan[np.ix_(a > 0, has)], small.plan, atol=1e-14)


def test_a_warm_start_takes_few_passes():
    a, b, C = instances.gauss(200)
    cold = nl.ot.sinkhorn(a, b, C, reg=1e-3)
    again = nl.ot.sinkhorn(a, b, C, reg=1e-3, warmstart=cold)
    assert again.nit == 0
    nearby = nl.ot.sinkhorn(a, b, C, reg=0.9e-3, warmstart=(cold.f, cold.g))
    assert_solves(nearby, a, b, C, 0.9e-3)
    assert nearby.n_passes < cold.n_passes


@pytest.mark.parametrize("entries_per_row", [5, 15])
def test_sns_as_in_its_paper(entries_per_row):
    a, b, C = instances.random_assignment(200)
    result = nl.ot.sinkhorn(a, b, C, reg=1 / 1200, method="sns", sns_density=entries_per_row / 200)
    assert_solves(result, a, b, C, 1 / 1200)
    assert result.nit == 20 + result.n_newton
    assert result.n_newton <= 40


@pytest.mark.smoke
def test_sns_counts_what_has_no_mass():
    """Images are mostly zeros: the density is that of the whole plan, as in the paper."""
    a, b, C = instances.images(side=12, metric="sqeuclidean")
    a[a < np.quantile(a, 0.7)], b[b < np.quantile(b, 0.6)] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    result = nl.ot.sinkhorn(a, b, C, reg=1 / 1200, method="sns", sns_density=15 / a.size)
    assert result.success
    assert {state.nnz for state in result.history if state.newton} == {15 * a.size}
    np.testing.assert_allclose(result.plan, nl.ot.sinkhorn(a, b, C, reg=1 / 1200).plan, atol=1e-8)


@pytest.mark.parametrize("n_threads", [2, 4])
@pytest.mark.parametrize(
    ("instance", "reg"),
    [
        (instances.gauss(700, 600), 0.1),
        (instances.gauss(700, 600), 0.01),
        (instances.gauss(700, 600), 1e-3),
        (instances.random_assignment(600), 1e-4),
    ],
    ids=["full", "stored", "sparse", "tree"],
)
def test_threads_give_the_same_bits(instance, reg, n_threads):
    a, b, C = instance
    one, many = (nl.ot.sinkhorn(a, b, C, reg=reg, n_threads=threads) for threads in (1, n_threads))
    assert np.array_equal(one.f, many.f)
    assert np.array_equal(one.g, many.g)
    assert np.array_equal(one.plan, many.plan)
    assert one.history == many.history
    assert (one.value, one.cost) == (many.value, many.cost)
    x = np.random.default_rng(0).normal(size=(len(a), 3))
    assert np.array_equal(one.operator.T @ x, many.operator.T @ x)


def test_large_clouds_take_no_matrix():
    """Too full for compressed rows and too large to store: products compute the plan anew."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4200, 2)), rng.normal(size=(4100, 2)) + 1
    result = nl.ot.sinkhorn(None, None, x=x, y=y, reg=0.5, tol=1e-6, plan=None)
    assert result.success
    rows = result.operator @ np.ones(4100)
    np.testing.assert_allclose(rows, 1 / 4200, rtol=1e-4)


def test_inputs_are_not_written_to(capfd):
    """Spec test 14: and nothing is printed."""
    a, b, C = instances.dirichlet(30, 20)
    copies = a.copy(), b.copy(), C.copy()
    for array in (a, b, C):
        array.flags.writeable = False
    cold = nl.ot.sinkhorn(a, b, C, reg=0.01, verbose=False)
    f = cold.f.copy()
    nl.ot.sinkhorn(a, b, np.asfortranarray(C)[::1], reg=0.02, warmstart=cold)
    assert np.array_equal(f, cold.f)
    assert all(np.array_equal(x, y) for x, y in zip((a, b, C), copies, strict=True))
    assert capfd.readouterr() == ("", "")


def test_any_layout_gives_the_same_result():
    a, b, C = instances.dirichlet(30, 20)
    expected = nl.ot.sinkhorn(a, b, C, reg=0.02)
    wide = np.zeros((30, 40))
    wide[:, ::2] = C
    for same in (np.asfortranarray(C), wide[:, ::2], C.tolist(), C.astype(">f8")):
        assert np.array_equal(nl.ot.sinkhorn(a, b, same, reg=0.02).f, expected.f)
