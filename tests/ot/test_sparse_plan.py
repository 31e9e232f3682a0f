"""ot.sparse_plan: few entries, right marginals, and a bound that is one."""

import warnings

import numpy as np
import pytest

import nearlinear as nl
from tests.ot import instances, reference
from tests.ot import sparse_reference as sparse


def assert_certified(result, a, b, C, reg, k, *, axis=0, error=1e-9):  # noqa: PLR0917
    """Everything that the result says of itself, checked from outside; and the plan, if it says that it has one."""
    P = result.plan.toarray()
    assert result.plan.format == ("csc" if axis == 0 else "csr")
    assert (result.plan.data > 0).all()
    assert result.plan.has_sorted_indices
    assert (np.count_nonzero(P, axis=axis) <= k).all()
    assert result.primal_value == pytest.approx(sparse.value(P, C, reg), rel=1e-12, abs=1e-15)
    assert result.gap == result.primal_value - result.dual_value
    assert result.marginal_error == pytest.approx(reference.marginal_error(P, a, b), abs=1e-13 * a.sum())
    assert result.feasible == (result.marginal_error <= error * a.sum())
    turned = (result.f, result.g, a, b, C) if axis == 0 else (result.g, result.f, b, a, C.T)
    # f and g together are as good as the side that is eliminated, alone.
    scale = max(abs(result.primal_value), reg * a.sum() ** 2 / max(C.shape), 1e-300)
    assert result.dual_value == pytest.approx(sparse.dual(*turned, reg, k), abs=1e-9 * scale)
    assert result.success == (result.status in (0, 3))
    if result.success:
        assert result.feasible
        assert result.gap >= -1e-9 * scale
    return P


def random_instance(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 25, size=2)
    C = [
        lambda: rng.random((n, m)),
        lambda: reference.squared_distances(rng.normal(size=(n, 2)), rng.normal(size=(m, 2))),
        lambda: rng.integers(0, 4, size=(n, m)).astype(float),
        lambda: rng.normal(size=(n, m)) * 10.0 ** rng.integers(-3, 4),
    ][seed % 4]()
    if seed % 3 == 0:
        a, b = instances.uniform(n), instances.uniform(m)
    else:
        a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(m, 5.0))
    spread = np.ptp(C) if np.ptp(C) > 0 else 1.0
    return a, b, C, spread * max(n, m) * 10.0 ** rng.uniform(-2, 2), int(rng.integers(2, 7))


@pytest.mark.parametrize("seed", range(200))
def test_random_instances(seed):
    a, b, C, reg, k = random_instance(seed)
    axis = seed % 2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nl.ot.SparsePlanWarning)
            result = nl.ot.sparse_plan(a, b, C, reg=reg, max_nz=k, axis=axis)
    except ValueError as error:
        assert "too small for any plan" in str(error)  # noqa: PT017
        lines, others = (a, b) if axis == 1 else (b, a)
        reach = np.sort(others)[::-1][:k].sum()
        assert k * len(lines) < len(others) or lines.max() > reach
        return
    assert_certified(result, a, b, C, reg, k, axis=axis)
    assert result.status in {0, 3, 4}


def test_the_bound_is_that_of_the_brute_force():
    rng = np.random.default_rng(0)
    for k in (1, 2, 3):
        n, m, reg = 6, 5, 3.0
        a, b, C = instances.uniform(n), instances.uniform(m), rng.random((n, m))
        result = nl.ot.sparse_plan(a, b, C, reg=reg, max_nz=k, feasible=False)
        bound, P = sparse.semi_dual(result.f, a, b, C, reg, k)
        assert result.dual_value == pytest.approx(bound, rel=1e-12)
        if result.n_ties == 0:
            np.testing.assert_allclose(result.plan.toarray(), P, atol=1e-12)
        best, *_ = max(
            (sparse.semi_dual(result.f + 1e-3 * rng.normal(size=n), a, b, C, reg, k)[0],) for _ in range(300)
        )
        assert best <= bound + 1e-4  # which no step of many in all directions improves by much


@pytest.mark.parametrize("seed", range(6))
def test_plans_of_tiny_problems_are_near_the_best_of_all_supports(seed):
    rng = np.random.default_rng(seed)
    n, m = 4, 4
    C, reg, k = rng.random((n, m)), 4.0, 2
    a, b = instances.uniform(n), instances.uniform(m)
    result = nl.ot.sparse_plan(a, b, C, reg=reg, max_nz=k)
    assert_certified(result, a, b, C, reg, k)
    best = sparse.best_plan(a, b, C, reg, k)
    assert result.dual_value <= best * (1 + 1e-6)
    assert best * (1 - 1e-6) <= result.primal_value <= best * 1.03


@pytest.mark.smoke
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    "instance", [instances.gauss(60, 45), instances.random_assignment(50), instances.gauss(30, 70)]
)
def test_a_limit_that_does_not_bind_is_quadratic_transport(instance, axis):
    a, b, C = instance
    reg = 1.0
    expected = nl.ot.quadratic(a, b, C, reg=reg)
    P = expected.plan.toarray()
    for k in (np.count_nonzero(P, axis=axis).max(), P.shape[axis], 1000):
        result = nl.ot.sparse_plan(a, b, C, reg=reg, max_nz=int(k), axis=axis)
        assert_certified(result, a, b, C, reg, k, axis=axis)
        assert result.status == 0
        assert abs(result.gap) <= 1e-8 * abs(result.primal_value)
        np.testing.assert_allclose(result.plan.toarray(), P, atol=1e-7)
        slacks = result.f[:, None] + result.g - C
        np.testing.assert_allclose(result.plan.toarray(), np.maximum(slacks, 0) / reg, atol=1e-9)


@pytest.mark.parametrize("instance", [instances.gauss(40), instances.random_assignment(30)])
def test_one_entry_per_column_is_exact_transport(instance):
    a, b, C = instance
    reg = 0.7
    result = nl.ot.sparse_plan(a, b, C, reg=reg, max_nz=1)
    assert_certified(result, a, b, C, reg, 1)
    least = nl.ot.exact(a, b, C).cost + reg / 2 * (b**2).sum()
    assert result.dual_value == pytest.approx(least, abs=1e-12)
    assert result.primal_value == pytest.approx(least, abs=1e-12)
    assert result.status == 0


GAPS = {2: 0.04, 3: 0.003, 5: 1e-4}


@pytest.mark.parametrize("k", GAPS)
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("kind", [instances.gauss, instances.random_assignment])
def test_gaps_are_small(kind, n, k):
    a, b, C = kind(n)
    result = nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=k)
    assert_certified(result, a, b, C, 1.0, k)
    assert result.success
    assert result.gap <= GAPS[k] * result.primal_value


@pytest.mark.parametrize("method", ["newton", "lbfgs", "alternating"])
@pytest.mark.parametrize("formulation", ["semi_dual", "dual"])
def test_methods_agree(method, formulation):
    for k in (2, 4):
        a, b, C = instances.gauss(50)
        best = nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=k)
        result = nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=k, method=method, formulation=formulation)
        assert_certified(result, a, b, C, 1.0, k)
        assert result.success
        assert result.primal_value <= 1.02 * best.primal_value
        assert best.primal_value * 0.9 <= result.dual_value <= best.primal_value * (1 + 1e-12)


def test_uneven_masses():
    """Where a vertex has more than k entries in a column, another one is found."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        n, m, k = 60, 40, 4
        a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(m, 3.0))
        C = reference.squared_distances(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)))
        assert np.diff(nl.ot.exact(a, b, C).plan.tocsc().indptr).max() > k
        result = nl.ot.sparse_plan(a, b, C, reg=5.0, max_nz=k)
        assert_certified(result, a, b, C, 5.0, k)
        assert result.success, result.message


def found_and_possible(seeds):
    """How many of small problems with Dirichlet masses have a plan with two entries per column, and are solved."""
    possible = found = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        n, m = rng.integers(4, 13, size=2)
        k = int(rng.integers(2, 4))
        a, b, C = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)), rng.random((n, m))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", nl.ot.SparsePlanWarning)
                result = nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=k)
        except ValueError:
            assert not sparse.has_plan(a, b, k)
            continue
        if result.success:
            assert_certified(result, a, b, C, 1.0, k)
        exists = result.success or sparse.has_plan(a, b, k)
        possible += bool(exists)
        found += result.success
    return found, possible


def test_plans_are_found_where_there_are_some():
    found, possible = found_and_possible(range(40))
    assert possible > 10
    assert found >= 0.95 * possible


@pytest.mark.slow
def test_plans_are_found_where_there_are_some_200_times():
    found, possible = found_and_possible(range(1000, 1200))
    assert possible > 60
    assert found >= 0.95 * possible


def test_when_no_plan_is_found():
    """Three masses of which no two sums agree with those of two columns: each column would need two of the rows."""
    a, b = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4])
    with pytest.warns(nl.ot.SparsePlanWarning, match="no plan with so few entries"):
        result = nl.ot.sparse_plan(a, b, np.ones((3, 2)), reg=1.0, max_nz=1, axis=1)
    assert not result.success
    assert result.status == 4
    assert not result.feasible
    assert result.marginal_error > 0.1
    assert np.count_nonzero(result.plan.toarray(), axis=1).max() == 1
    assert np.isfinite(result.dual_value)


def test_ties_are_counted():
    C = np.kron(np.eye(3), np.ones((2, 2)))
    result = nl.ot.sparse_plan(None, None, C, reg=1.0, max_nz=2)
    assert_certified(result, instances.uniform(6), instances.uniform(6), C, 1.0, 2)
    assert result.n_ties > 0
    assert nl.ot.sparse_plan(None, None, C, reg=1.0, max_nz=6).n_ties == 0


ADVERSARIAL = {
    "one point": ([1.0], [1.0], [[3.0]], 1.0, 1),
    "one row": ([1.0], [0.2, 0.8], [[3.0, -1.0]], 1.0, 1),
    "one column": ([0.2, 0.8], [1.0], [[3.0], [1.0]], 1.0, 2),
    "constant cost": (instances.uniform(5), instances.uniform(5), np.ones((5, 5)), 0.1, 2),
    "all costs zero": (instances.uniform(5), instances.uniform(5), np.zeros((5, 5)), 0.1, 2),
    "ties": (np.full(4, 0.25), np.full(4, 0.25), np.kron(np.eye(2), np.ones((2, 2))), 0.1, 2),
    "a large offset": (*instances.gauss(20)[:2], instances.gauss(20)[2] + 1e3, 1.0, 3),
    "tiny costs": (*instances.gauss(20)[:2], 1e-100 * instances.gauss(20)[2], 1e-100, 3),
    "huge costs": (*instances.gauss(20)[:2], 1e100 * instances.gauss(20)[2], 1e100, 3),
    "huge regularisation": (*instances.gauss(20), 1e8, 3),
    "tiny regularisation": (*instances.gauss(20), 1e-6, 2),
    "negative costs": (*instances.gauss(20)[:2], -instances.gauss(20)[2], 1.0, 2),
    "masses that sum to 1000": ([400.0, 600.0], [900.0, 100.0], [[0.0, 1.0], [1.0, 0.0]], 0.01, 2),
    "whole masses": ([2.0, 1.0, 3.0], [3.0, 2.0, 1.0], np.arange(9.0).reshape(3, 3) % 4, 1.0, 2),
    "zero masses": ([0.5, 0, 0.5], [0.25, 0.75, 0], np.arange(9.0).reshape(3, 3) % 4, 1.0, 2),
    "many more columns": (instances.uniform(4), instances.uniform(40), instances.gauss(4, 40)[2], 1.0, 1),
    "a forbidden diagonal": (*instances.gauss(12)[:2], instances.gauss(12)[2] + np.diag(np.full(12, np.inf)), 1.0, 2),
    "equal marginals, metric cost": (
        instances.uniform(20),
        instances.uniform(20),
        abs(np.arange(20.0)[:, None] - np.arange(20.0)),
        100.0,
        2,
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_instances(name):
    a, b, C, reg, k = (np.array(part) for part in ADVERSARIAL[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = nl.ot.sparse_plan(a, b, C, reg=float(reg), max_nz=int(k))
    assert_certified(result, a, b, C, float(reg), int(k))
    assert result.success


def test_forbidden_pairs_that_admit_no_plan():
    C = np.array([[0.0, np.inf], [2.0, 1.0]])
    with pytest.warns(nl.ot.SparsePlanWarning, match="the pairs that C allows admit no plan"):
        result = nl.ot.sparse_plan([0.5, 0.5], [0.4, 0.6], C, reg=0.1, max_nz=2)
    assert result.status == 5


def test_axes_are_transposes_of_each_other():
    rng = np.random.default_rng(0)
    C = rng.random((30, 20))
    a, b = instances.uniform(30), instances.uniform(20)
    by_columns = nl.ot.sparse_plan(a, b, C, reg=5.0, max_nz=4)
    by_rows = nl.ot.sparse_plan(b, a, C.T.copy(), reg=5.0, max_nz=4, axis=1)
    assert (by_columns.plan.toarray() == by_rows.plan.toarray().T).all()
    assert by_columns.dual_value == by_rows.dual_value


def test_points_threads_and_types():
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 3)), rng.random((300, 3))
    C = reference.squared_distances(x, y)
    a = instances.uniform(300)
    runs = [nl.ot.sparse_plan(None, None, x=x, y=y, reg=5.0, max_nz=3, n_threads=k) for k in (1, 2, 4)]
    assert_certified(runs[0], a, a, C, 5.0, 3)
    for run in runs[1:]:
        assert (run.f == runs[0].f).all()
        assert (run.plan.data == runs[0].plan.data).all()
    single = nl.ot.sparse_plan(None, None, C.astype(np.float32), reg=5.0, max_nz=3)
    assert single.plan.dtype == np.float32
    assert single.success
    assert single.primal_value == pytest.approx(runs[0].primal_value, rel=1e-2)


def test_inputs_stay_and_nothing_is_printed(capfd):
    a, b, C = instances.gauss(40)
    before = a.copy(), b.copy(), C.copy()
    nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=2)
    nl.ot.sparse_plan(a, b, np.asfortranarray(C), reg=1.0, max_nz=2)
    for now, then in zip((a, b, C), before, strict=True):
        assert (now == then).all()
    assert capfd.readouterr() == ("", "")
    whole = nl.ot.sparse_plan([2, 2], [1, 3], [[0, 1], [1, 0]], reg=1, max_nz=2)
    assert whole.plan.sum() == pytest.approx(4)


def test_warm_start_callback_picture_and_too_few_iterations():
    a, b, C = instances.gauss(80)
    result = nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=3)
    again = nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=3, warmstart=result)
    assert again.dual_value >= result.dual_value - 1e-12
    with pytest.warns(nl.ot.SparsePlanWarning, match="stopped by the callback"):
        stopped = nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=3, callback=lambda state: state.nit == 2)
    assert stopped.nit == 2
    with pytest.warns(nl.ot.SparsePlanWarning, match="largest number of iterations"):
        assert nl.ot.sparse_plan(a, b, C, reg=1.0, max_nz=2, maxiter=1).status == 1
    assert "entries of (80, 80)" in repr(result)
    pytest.importorskip("matplotlib")
    assert f"{result.plan.nnz} entries" in result.plot().get_title()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reg": 0}, "reg is 0"),
        ({"reg": -1}, "reg is -1"),
        ({"reg": np.nan}, "reg"),
        ({"max_nz": 0}, "max_nz is 0"),
        ({"max_nz": -1}, "max_nz is -1"),
        ({"tol": 0}, "tol is 0"),
        ({"maxiter": -1}, "maxiter"),
        ({"axis": 2}, "axis is 2"),
        ({"method": "adam"}, "method is 'adam'"),
        ({"formulation": "primal"}, "formulation is 'primal'"),
        ({"warmstart": ([0.0], [0.0])}, "warmstart's f"),
        ({"a": [1, 1, 1]}, "a has shape"),
        ({"a": [1, 3]}, "the sums must be equal"),
        ({"a": [0, 0]}, "a has no mass"),
        ({"a": [-1, 3]}, "a has the entry -1"),
        ({"C": [[0, np.nan], [0, 0]]}, r"C has the entry nan at index \(0, 1\)"),
        ({"C": [[0, np.inf], [0, np.inf]]}, "C forbids all pairs of column 1"),
        ({"b": [2], "C": [[0], [1]], "max_nz": 1}, "max_nz is 1, too small for any plan"),
        ({"b": [1.5, 0.5], "max_nz": 1}, "max_nz is 1, too small for any plan: column 0 has more mass"),
    ],
)
def test_bad_input_is_named(options, message):
    given = {"a": [1, 1], "b": [1, 1], "C": np.eye(2), "reg": 1, "max_nz": 1, **options}
    with pytest.raises(ValueError, match=message):
        nl.ot.sparse_plan(**given)


@pytest.mark.parametrize("max_nz", [1.5, "2", None])
def test_max_nz_is_an_integer(max_nz):
    with pytest.raises(TypeError, match="max_nz"):
        nl.ot.sparse_plan([1, 1], [1, 1], np.eye(2), reg=1, max_nz=max_nz)
