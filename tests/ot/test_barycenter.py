"""ot.barycenter against iterative Bregman projections."""

import numpy as np
import pytest

import nearlinear as nl
from tests.ot import reference


def instance(seed, n=None, m=None, K=None):
    rng = np.random.default_rng(seed)
    n, m, K = n or rng.integers(1, 20), m or rng.integers(1, 20), K or rng.integers(1, 5)
    x, y = rng.random((n, 2)), rng.random((m, 2))
    C = reference.squared_distances(x, y) if seed % 2 else rng.random((n, m))
    return rng.dirichlet(np.ones(n), size=K), C, rng.dirichlet(np.ones(K)), float(10.0 ** rng.uniform(-2, 0))


@pytest.mark.parametrize("seed", range(60))
def test_random_instances(seed):
    A, C, w, reg = instance(seed)
    result = nl.ot.barycenter(A, C, reg, w, tol=1e-11)
    assert result.success, result.message
    assert np.abs(result.masses - reference.barycenter(A, C, reg, w)).sum() <= 1e-7
    assert result.masses.sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.smoke
@pytest.mark.parametrize("reg", [1.0, 0.1, 0.01])
def test_each_row_is_transported_to_the_barycentre(reg):
    A, C, w, _ = instance(3, 40, 30, 3)
    result = nl.ot.barycenter(5 * A, C, reg, w)
    assert result.success
    assert result.masses.sum() == pytest.approx(5)
    value = 0.0
    for k in range(3):
        single = nl.ot.sinkhorn(5 * A[k], result.masses, C, reg=reg)
        P = result.operator(k).toarray()
        np.testing.assert_allclose(P, reference.plan(result.f[k], result.g[k], C, reg), rtol=1e-9)
        assert np.abs(P - single.plan).sum() <= 1e-6
        value += w[k] * single.value
        assert abs(result.f[k].mean()) <= 1e-12
    assert result.value == pytest.approx(value, rel=1e-8)
    # The constraint of the dual variables, up to the constants that centring moves.
    assert np.ptp(w @ result.g) <= 1e-9


def test_it_is_the_minimum():
    A, C, w, _ = instance(4, 15, 12, 3)
    result = nl.ot.barycenter(A, C, 0.05, w, tol=1e-12)
    rng = np.random.default_rng(0)

    def value(p):
        return sum(w[k] * nl.ot.sinkhorn(A[k], p, C, reg=0.05, tol=1e-12).value for k in range(3))

    for _ in range(5):
        other = result.masses * np.exp(0.1 * rng.normal(size=12))
        assert value(other / other.sum()) > result.value + 1e-6


def test_small_regularisation():
    """Two bumps on a line: the barycentre is one bump in the middle."""
    places = np.linspace(0, 1, 200)[:, None]
    A = np.exp(-(((places.T - [[0.2], [0.8]]) / 0.05) ** 2))
    A /= A.sum(axis=1, keepdims=True)
    result = nl.ot.barycenter(A, x=places, y=places, reg=1e-4)
    assert result.success
    assert places[result.masses.argmax(), 0] == pytest.approx(0.5, abs=0.01)
    spread = np.sqrt((result.masses * (places[:, 0] - 0.5) ** 2).sum())
    assert spread == pytest.approx(0.05 / np.sqrt(2), rel=0.05)
    assert result.n_newton > 0


def test_zeros_zero_weights_and_forbidden_pairs():
    A, C, _, _ = instance(5, 12, 10, 3)
    A[0, 3] = 0
    A[0] /= A[0].sum()
    C[2, 4] = np.inf
    result = nl.ot.barycenter(A, C, 0.1, [0.5, 0.0, 0.5])
    kept = A[0] > 0
    assert result.success
    assert (result.f[1] == 0).all()
    alone = nl.ot.barycenter(A[[0, 2]], C, 0.1)
    np.testing.assert_allclose(result.masses, alone.masses, atol=1e-9)
    np.testing.assert_allclose(result.operator(0).toarray().sum(axis=1)[kept], A[0, kept], atol=1e-8)
    assert result.operator(2).toarray()[2, 4] == 0


def test_one_row_alone_and_threads():
    A, C, _, _ = instance(7, 300, 250, 2)
    single = nl.ot.barycenter(A[:1], C, 0.1)
    assert single.success
    runs = [nl.ot.barycenter(A, C, 0.02, n_threads=k) for k in (1, 2, 4)]
    for run in runs[1:]:
        assert (run.masses == runs[0].masses).all()


def test_a_callback_stops_and_too_few_iterations_warn():
    A, C, w, _ = instance(9, 30, 30, 2)
    with pytest.warns(nl.ot.SinkhornWarning, match="barycenter: stopped by the callback"):
        result = nl.ot.barycenter(A, C, 1e-2, w, callback=lambda state: state.nit == 2)
    assert (result.status, result.nit) == (2, 2)
    with pytest.warns(nl.ot.SinkhornWarning, match="barycenter: the largest number"):
        result = nl.ot.barycenter(A, C, 1e-2, w, maxiter=2)
    assert result.status == 1
    assert np.isfinite(result.masses).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": np.ones((4, 2))}, r"did you mean A\.T"),
        ({"A": np.ones((2, 5))}, "A has shape"),
        ({"A": -np.ones((2, 4))}, r"A\[0\] has the entry -1"),
        ({"A": [[1, 1, 1, 1], [2, 2, 2, 2]]}, r"A\[0\] sums to 4.0 and A\[1\] to 8.0"),
        ({"weights": [1, 2, 3]}, "weights has shape"),
        ({"weights": [1, -2]}, "weights has the entry -2"),
        ({"weights": [0, 0]}, "weights has no mass"),
        ({"reg": 0}, "reg is 0"),
        ({"tol": -1}, "tol is -1"),
        ({"maxiter": -1}, "maxiter"),
        ({"C": np.full((4, 3), np.nan)}, "C has the entry nan"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"A": np.ones((2, 4)), "C": np.ones((4, 3)), "reg": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        nl.ot.barycenter(**given)


def test_missing_reg_is_named():
    with pytest.raises(TypeError, match="reg is None"):
        nl.ot.barycenter(np.ones((2, 4)), np.ones((4, 3)))
