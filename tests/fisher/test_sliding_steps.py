"""fisher.SlidingFisherInverse step by step against the definitions; T4 to T6 are acceptance tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.gradients import STORAGES, adversarial, correlated
from tests.fisher.reference import EPS, assert_columns_close, preconditioned, relative_error
from tests.fisher.window import Model, Window


@pytest.mark.smoke
@pytest.mark.parametrize("normalize", ["count", "capacity"])
@pytest.mark.parametrize("seed", range(25))
def test_sliding_is_static_on_what_the_window_holds(seed, normalize):
    """T4: after filling, after the wrap, after removing and appending, after set_damping; cond(F) <= 1e6."""
    rng = np.random.default_rng(seed)
    d, m, damping = int(rng.integers(2, 150)), int(rng.integers(1, 40)), 10 ** rng.uniform(-4, 0)
    model = Model(d, m, damping, normalize)

    def gradients(count):
        return rng.normal(size=(count, d)) * 10 ** rng.uniform(-1, 0) / np.sqrt(d)

    def compare():
        model.check(rng)
        static = nl.fisher.FisherInverse(model.gradients, model.damping, normalize=float(model.divisor))
        x = rng.normal(size=d)
        expected = static.matvec(x)
        assert_columns_close(model.sliding.matvec(x), expected, 1e-10 * np.linalg.norm(expected))
        assert model.sliding.logdet() == pytest.approx(static.logdet(), rel=0, abs=1e-9)

    model.update(*gradients((m + 1) // 2))
    compare()
    model.update(*gradients(m))
    compare()
    model.update(*gradients(2 * m + 5))
    compare()
    if m > 1:
        model.remove(int(rng.integers(m)))
        compare()
    if m > 2:
        model.remove(0)
        compare()
    model.update(*gradients(3))
    compare()
    model.set_damping(10 ** rng.uniform(-4, 0))
    compare()
    model.update(*gradients(2))
    compare()


@pytest.mark.smoke
@pytest.mark.parametrize("normalize", ["count", "capacity"])
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance_slides_through_a_window(name, normalize):
    G, damping = adversarial()[name]
    if G.shape[1] > 1000:
        G = G[:, -300:]
    m = max(1, 2 * len(G) // 3)
    model = Model(G.shape[1], m, damping, normalize)
    rng = np.random.default_rng(1)
    for g in G[:m]:
        model.update(g)
    model.check(rng)
    model.update(*G[m:], *G[:1])
    model.check(rng)
    while len(model.rows) > 1:  # the newest, the oldest and those between
        model.remove(int(rng.integers(len(model.rows))))
    model.check(rng)


def test_5000_steps_do_not_drift():
    """
    T4: |L L^T - S| / |S| stays below 1e-13, also when gradients a million times longer pass through the window.

    A factor that is downdated when these leave would keep rounding errors of their size.
    """
    rng = np.random.default_rng(0)
    d, m, damping = 80, 64, 1e-6
    G = correlated(rng, 5000, d)
    G[426:4936:500] *= 1e6  # the last one has left ten steps before the end
    model = Model(d, m, damping)
    model.rows = list(G[-m:])
    for g in G:
        model.sliding.update(g)
    drift = 1e-13 * reference.amplification(model.gradients, damping, m, scaled=False)
    assert drift < 1e-9  # what follows can fail
    model.check(rng, at_least=1e-13 + drift)
    L = reference.gram_factor(model.gradients.astype(np.longdouble), damping, m)
    determinant = d * np.log(damping) + 2 * np.log(np.diag(L)).sum() - m * np.log(m * damping)
    assert model.sliding.logdet() == pytest.approx(float(determinant), rel=0, abs=1e-7)


DAMPINGS = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8]


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["correlated", "independent"])
@pytest.mark.parametrize("size", [1, 30])
@pytest.mark.parametrize("damping", DAMPINGS)
def test_precondition_in_single_precision_is_accurate(damping, size, kind):
    """T5: relative to the answer, where a difference of x / damping and its projection has no correct digit."""
    rng = np.random.default_rng(int(-np.log10(damping)))
    m, d = 64, 1000
    G = correlated(rng, m + 20, d, size, noise=0.1 if kind == "correlated" else 1e9).astype(np.float32)
    sliding = Window(d, m, damping)
    sliding.update_many(G[:60])
    for g in G[60:-1]:
        sliding.update(g)
    result = sliding.precondition(G[-1])
    assert result.dtype == sliding.dtype == np.float32
    assert sliding.n_stored == m
    assert relative_error(result, preconditioned(G[-m:], damping, m)) <= 1e-6


@pytest.mark.parametrize("size", [1, 30])
@pytest.mark.parametrize("damping", DAMPINGS)
def test_precondition_of_duplicates_is_accurate(damping, size):
    """T5: coefficients of the size of 1 / damping that cancel in G^T c."""
    rng = np.random.default_rng(1)
    G = np.tile(correlated(rng, 8, 500, size), (4, 1)).astype(np.float32)
    sliding = Window(500, 32, damping)
    sliding.update_many(G[:-1])
    assert relative_error(sliding.precondition(G[-1]), preconditioned(G, damping, 32)) <= 1e-5


@pytest.mark.parametrize(("size", "damping"), [*((1, damping) for damping in DAMPINGS), (30, 1e-2), (30, 1e-5)])
def test_precondition_with_more_gradients_than_parameters_is_accurate(damping, size):
    """T5."""
    rng = np.random.default_rng(2)
    G = correlated(rng, 60, 20, size, noise=1.0).astype(np.float32)
    sliding = Window(20, 60, damping)
    sliding.update_many(G[:-1])
    assert relative_error(sliding.precondition(G[-1]), preconditioned(G, damping, 60)) <= 1e-6


@pytest.mark.parametrize("damping", [1e-3, 1e-12])
def test_first_step_in_closed_form(damping):
    """F = damping I + g g^T / M: one gradient of norm 1 comes out as itself, or 1023 times longer by the capacity."""
    g = np.random.default_rng(3).normal(size=200)
    g /= np.linalg.norm(g)
    for normalize, M in (("count", 1), ("capacity", 1024)):
        sliding = Window(200, 1024, damping, normalize=normalize, storage="float64")
        assert relative_error(sliding.precondition(g), M * g / (M * damping + g @ g)) <= 1e-14


@pytest.mark.smoke
@pytest.mark.parametrize("damping", [1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize(("storage", "limit"), [("bfloat16", 1e-2), ("float16", 2e-3)])
def test_precondition_from_16_bits(storage, limit, damping):
    """T6: near the answer for what was not rounded, and the exact answer for the gradients as they are stored."""
    rng = np.random.default_rng(4)
    G = correlated(rng, 70, 1000, noise=1e9).astype(np.float32)
    sliding = Window(1000, 64, damping, storage=storage)
    sliding.update_many(G[:-1])
    result = sliding.precondition(G[-1])
    assert result.dtype == sliding.dtype == np.float32
    stored = np.array([sliding.gradient(age) for age in range(64)])
    assert relative_error(result, preconditioned(stored, damping, 64)) <= 1e-6
    assert relative_error(result, preconditioned(G[-64:], damping, 64)) <= limit
    x, a = rng.normal(size=1000).astype(np.float32), rng.normal(size=64)
    expected = reference.product(stored.astype(np.longdouble), damping, 64, x.astype(np.longdouble))
    assert_columns_close(sliding.matvec(x), expected, 2e-7 * np.linalg.norm(x) / damping)
    expected = reference.combination(stored.astype(np.longdouble), damping, 64, a)
    assert relative_error(sliding.combination(a), expected) <= 1e-6


@pytest.mark.smoke
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("count", [1, 3, 8, 9, 30])
def test_many_at_once_are_one_after_the_other(count, storage):
    rng = np.random.default_rng(count)
    G = rng.normal(size=(5 + count, 60)).astype(np.float32)
    together, alone = Window(60, 8, 1e-2, storage=storage), Window(60, 8, 1e-2, storage=storage)
    together.update_many(G[:5])
    together.update_many(G[5:])
    for g in G:
        alone.update(g)
    assert together.n_stored == alone.n_stored == min(8, 5 + count)
    for age in range(alone.n_stored):
        np.testing.assert_array_equal(together.gradient(age), alone.gradient(age))
    x = rng.normal(size=60).astype(np.float32)
    limit = (1e-12 if storage == "float64" else 4e-7) * np.linalg.norm(x) / 1e-2
    assert_columns_close(together.matvec(x), alone.matvec(x), limit)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.integers(-3, 3)),
        st.tuples(st.just("update_many"), st.integers(1, 7)),
        st.tuples(st.just("precondition"), st.integers(-3, 3)),
        st.tuples(st.just("remove"), st.floats(0, 1, exclude_max=True)),
        st.tuples(st.just("remove_oldest"), st.none()),
        st.tuples(st.just("repeat"), st.floats(0, 1, exclude_max=True)),
        st.tuples(st.just("set_damping"), st.integers(-3, 1)),
        st.tuples(st.just("save"), st.none()),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(
    operations=operations,
    window=st.integers(1, 6),
    d=st.integers(1, 9),
    normalize=st.sampled_from(["count", "capacity"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_sequence_of_operations(operations, window, d, normalize, seed):
    rng = np.random.default_rng(seed)
    model = Model(d, window, 0.1, normalize)
    for operation, argument in operations:
        if operation == "update":
            model.update(rng.normal(size=d) * 10.0**argument)
        elif operation == "update_many":
            model.update(*rng.normal(size=(argument, d)), together=True)
        elif operation == "precondition":
            result = model.precondition(rng.normal(size=d) * 10.0**argument)
            G, M = model.gradients, model.divisor
            condition = 1 + np.linalg.norm(G, 2) ** 2 / (M * model.damping)
            assert relative_error(result, preconditioned(G, model.damping, M)) <= 1e-12 + 1e3 * EPS * condition
        elif operation == "set_damping":
            model.set_damping(10.0**argument)
        elif operation == "save":
            state = model.sliding.state_dict()
            model.sliding = Window(d, window, 7.0, normalize=normalize, storage="float64")
            model.sliding.load_state_dict(state)
        elif model.rows:
            if operation == "remove":
                model.remove(int(argument * len(model.rows)))
            elif operation == "remove_oldest":
                del model.rows[0]
                model.sliding.remove_oldest()
            else:
                model.update(model.rows[int(argument * len(model.rows))])
        model.check(rng)
