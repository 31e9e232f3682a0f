"""ot.quadratic against its optimality conditions, and against a quadratic program."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import nearlinear as nl
from tests.ot import instances, reference


def assert_solves(result, a, b, C, reg, *, error=1e-9):
    """P = [f + g - C]_+ / reg with the marginals a and b: necessary and sufficient."""
    assert result.success, result.message
    P = result.plan.toarray()
    scale = a.sum()
    assert reference.marginal_error(P, a, b) <= 2 * error * scale
    expected = np.maximum(result.f[:, None] + result.g - C, 0) / reg
    expected[a == 0], expected[:, b == 0] = 0, 0
    np.testing.assert_allclose(P, expected, atol=1e-12 * scale + 1e-13 * np.abs(result.f).max() / reg)
    assert (result.plan.data > 0).all()
    assert result.plan.has_sorted_indices
    finite = np.where(np.isfinite(C), C, 0)
    value = (finite * P).sum() + reg / 2 * (P**2).sum()
    assert result.primal_value == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert result.cost == pytest.approx((finite * P).sum(), rel=1e-9, abs=1e-12)
    assert abs(result.gap) <= 1e-8 * max(abs(value), scale)
    assert abs(result.f.mean()) <= 1e-12 * max(1, np.abs(result.f).max())


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
    return a, b, C, spread * max(n, m) * 10.0 ** rng.uniform(-2, 2)


@pytest.mark.parametrize("seed", range(200))
def test_random_instances(seed):
    a, b, C, reg = random_instance(seed)
    assert_solves(nl.ot.quadratic(a, b, C, reg=reg), a, b, C, reg)


@pytest.mark.smoke
@pytest.mark.parametrize("reg", [0.3, 10.0, 1000.0])
def test_shapes_and_masses(reg):
    for a, b, C in (instances.gauss(60, 45), instances.random_assignment(50), instances.dirichlet(40, 60)):
        assert_solves(nl.ot.quadratic(a, b, C, reg=reg), a, b, C, reg)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_minimum(seed):
    """Least squares: <C, P> + reg/2 |P|^2 is reg/2 |P + C / reg|^2 and a constant; marginals are heavy rows."""
    rng = np.random.default_rng(seed)
    n, m, reg, heavy = 6, 5, 2.0, 1e4
    a, b, C = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)), rng.random((n, m))
    marginals = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    matrix = np.vstack([np.eye(n * m), heavy * marginals])
    target = np.concatenate([-C.ravel() / reg, heavy * np.concatenate([a, b])])
    P, _ = scipy.optimize.nnls(matrix, target)
    np.testing.assert_allclose(nl.ot.quadratic(a, b, C, reg=reg).plan.toarray(), P.reshape(n, m), atol=1e-6)


ADVERSARIAL = {
    "one point": ([1.0], [1.0], [[3.0]], 1.0),
    "one row": ([1.0], [0.2, 0.8], [[3.0, -1.0]], 1.0),
    "one column": ([0.2, 0.8], [1.0], [[3.0], [1.0]], 1.0),
    "constant cost": ([0.2, 0.8], [0.5, 0.5], np.ones((2, 2)), 0.1),
    "ties": (np.full(4, 0.25), np.full(4, 0.25), np.kron(np.eye(2), np.ones((2, 2))), 0.1),
    "a large offset": (*instances.gauss(20)[:2], instances.gauss(20)[2] + 1e3, 1.0),
    "tiny costs": (*instances.gauss(20)[:2], 1e-100 * instances.gauss(20)[2], 1e-100),
    "huge costs": (*instances.gauss(20)[:2], 1e100 * instances.gauss(20)[2], 1e100),
    "huge regularisation": (*instances.dirichlet(20, 30), 1e8),
    "masses of all sizes": ([1 - 1e-9, 1e-9], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1.0),
    "masses that sum to 1000": ([400.0, 600.0], [900.0, 100.0], [[0.0, 1.0], [1.0, 0.0]], 0.01),
    "zero masses": ([0.5, 0, 0.5], [0.25, 0.75, 0], np.arange(9.0).reshape(3, 3) % 4, 1.0),
    "equal marginals, metric cost": (
        instances.uniform(20),
        instances.uniform(20),
        abs(np.arange(20.0)[:, None] - np.arange(20.0)),
        1.0,
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_instances(name):
    a, b, C, reg = (np.array(part) for part in ADVERSARIAL[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = nl.ot.quadratic(a, b, C, reg=float(reg))
    assert_solves(result, a, b, C, float(reg))


def test_forbidden_pairs():
    C = np.array([[0.0, np.inf], [2.0, 1.0]])
    result = nl.ot.quadratic([0.5, 0.5], [0.6, 0.4], C, reg=0.1)
    assert_solves(result, np.array([0.5, 0.5]), np.array([0.6, 0.4]), C, 0.1)
    with pytest.warns(nl.ot.SinkhornWarning, match="quadratic: the pairs that C allows admit no plan"):
        result = nl.ot.quadratic([0.5, 0.5], [0.4, 0.6], C, reg=0.1)
    assert result.status == 4
    assert np.isfinite(result.f).all()


def test_points_threads_and_types():
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 3)), rng.random((250, 3))
    C = reference.squared_distances(x, y)
    runs = [nl.ot.quadratic(None, None, x=x, y=y, reg=5.0, n_threads=k) for k in (1, 2, 4)]
    assert_solves(runs[0], np.full(300, 1 / 300), np.full(250, 1 / 250), C, 5.0)
    for run in runs[1:]:
        assert (run.f == runs[0].f).all()
        assert (run.plan.data == runs[0].plan.data).all()
    single = nl.ot.quadratic(None, None, C.astype(np.float32), reg=5.0)
    assert single.plan.dtype == np.float32
    np.testing.assert_allclose(single.plan.toarray(), runs[0].plan.toarray(), atol=1e-7)


def test_warm_start_callback_and_too_few_iterations():
    a, b, C = instances.gauss(80)
    result = nl.ot.quadratic(a, b, C, reg=1.0)
    again = nl.ot.quadratic(a, b, C, reg=1.0, warmstart=result)
    assert again.nit <= 1
    with pytest.warns(nl.ot.SinkhornWarning, match="stopped by the callback"):
        assert nl.ot.quadratic(a, b, C, reg=1.0, callback=lambda state: state.nit == 2).nit == 2
    with pytest.warns(nl.ot.SinkhornWarning, match="largest number of iterations"):
        assert nl.ot.quadratic(a, b, C, reg=1.0, maxiter=1).status == 1
    assert "entries of (80, 80)" in repr(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reg": 0}, "reg is 0"),
        ({"reg": 1, "tol": 0}, "tol is 0"),
        ({"reg": 1, "maxiter": -1}, "maxiter"),
        ({"reg": 1, "warmstart": ([0.0], [0.0])}, "warmstart's f"),
        ({"reg": 1, "a": [1, 1, 1]}, "a has shape"),
        ({"reg": 1, "a": [1, 3]}, "the sums must be equal"),
        ({"reg": 1, "C": [[0, np.nan], [0, 0]]}, r"C has the entry nan at index \(0, 1\)"),
    ],
)
def test_bad_input_is_named(options, message):
    given = {"a": [1, 1], "b": [1, 1], "C": np.eye(2), **options}
    with pytest.raises(ValueError, match=message):
        nl.ot.quadratic(**given)
