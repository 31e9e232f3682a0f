"""fisher.SlidingFisherInverse against the definitions; the numbers T1 to T14 are those of the acceptance tests."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.test_fisher_inverse import (
    EPS,
    STORAGES,
    adversarial,
    assert_columns_close,
    correlated,
    relative_bound,
)

Window = nl.fisher.SlidingFisherInverse


class Model:
    """A list of gradients beside a window; `check` compares all that the window tells with the definitions."""

    def __init__(self, n_params, window, damping, normalize="count", **options):
        self.sliding = Window(n_params, window, damping, normalize=normalize, **{"storage": "float64", **options})
        self.n_params, self.window, self.damping, self.normalize = n_params, window, damping, normalize
        self.rows = []

    @property
    def divisor(self):
        return self.window if self.normalize == "capacity" else len(self.rows)

    @property
    def gradients(self):
        return np.array(self.rows).reshape(-1, self.n_params)

    def update(self, *gradients, together=False):
        self.rows = [*self.rows, *gradients][-self.window :]
        if together:
            self.sliding.update_many(np.array(gradients))
        for g in gradients if not together else ():
            self.sliding.update(g)

    def precondition(self, g):
        self.rows = [*self.rows, g][-self.window :]
        return self.sliding.precondition(g)

    def remove(self, age):
        del self.rows[age]
        self.sliding.remove(age)

    def set_damping(self, damping):
        self.damping = damping
        self.sliding.set_damping(damping)

    def check(self, rng, at_least=1e-12):
        assert self.sliding.n_stored == len(self.rows)
        for age, g in enumerate(self.rows):
            np.testing.assert_array_equal(self.sliding.gradient(age), g)
        x = rng.normal(size=(self.n_params, 2))
        norms = np.linalg.norm(x, axis=0)
        if not self.rows:
            np.testing.assert_allclose(self.sliding.matmat(x), x / self.damping, rtol=1e-15)
            return
        G = self.gradients.astype(np.longdouble)
        expected = reference.product(G, self.damping, self.divisor, x)
        limit = relative_bound(self.gradients, self.damping, self.divisor, at_least=at_least) / self.damping
        assert_columns_close(self.sliding.matmat(x), expected, limit * norms)
        assert_columns_close(self.sliding.matvec(x[:, 0]), expected[:, 0], limit * norms[0])
        a, lengths = rng.normal(size=len(self.rows)), np.linalg.norm(self.gradients, axis=1)
        expected = reference.combination(G, self.damping, self.divisor, a)
        assert_columns_close(self.sliding.combination(a), expected, limit * (np.abs(a) @ lengths))


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
@pytest.mark.parametrize("seed", range(15))
def test_recurrence_is_the_papers_dynamic_algorithm(seed):
    """Whose divisor is the capacity of the window."""
    rng = np.random.default_rng(seed)
    d, m, damping = int(rng.integers(2, 40)), int(rng.integers(1, 10)), 10 ** rng.uniform(-2, 0)
    model = Model(d, m, damping, "capacity", method="recurrence")
    factored = Model(d, m, damping, "capacity")
    assert model.sliding.method == "recurrence"
    for steps in (1, m, m + 2):
        for g in rng.normal(size=(steps, d)) / np.sqrt(d):
            factored.update(g)
            newest = model.precondition(g)
        D, B = reference.dynamic_recurrence(model.gradients, damping, model.divisor)
        x = rng.normal(size=d)
        limit = relative_bound(model.gradients, damping, model.divisor, at_least=1e-11) / damping
        for vector, result in ((x, model.sliding.matvec(x)), (g, newest)):
            expected = reference.dynamic_product(model.gradients, D, B, vector, damping=damping, M=model.divisor)
            assert_columns_close(result, expected, limit * np.linalg.norm(vector))
        assert_columns_close(model.sliding.matvec(x), factored.sliding.matvec(x), limit * np.linalg.norm(x))


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


def preconditioned(rows, damping, M):
    """F^{-1} g for the newest gradient of the window, by the definition in longdouble."""
    newest = np.zeros(len(rows), np.longdouble)
    newest[-1] = 1
    return reference.combination(rows.astype(np.longdouble), damping, M, newest)


def relative_error(actual, expected):
    return np.linalg.norm((actual - expected).astype(float)) / np.linalg.norm(expected.astype(float))


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
def test_gradients_are_stored_as_near_as_the_type_allows(storage):
    """Numbers of 16 bits have 11 or 8 significant bits; every row of float16 has its own range."""
    rng = np.random.default_rng(5)
    G = (rng.normal(size=(9, 333)) * 10.0 ** np.linspace(-25, 25, 9)[:, None]).astype(np.float32)
    G[3] = 0
    G[4, ::2] *= 1e-6
    sliding = Window(333, 9, 1.0, storage=storage)
    sliding.update_many(G)
    for age, g in enumerate(G):
        stored = sliding.gradient(age)
        assert stored.dtype == sliding.dtype
        if storage == "bfloat16":
            np.testing.assert_array_equal(stored, reference.to_bfloat16(g))
        elif storage == "float16":
            size = np.abs(g.astype(float))
            assert (np.abs(stored - g.astype(float)) <= 1.001 * 2.0**-11 * size + 2.0**-24 * size.max()).all()
            assert age == 3 or (stored != g).any()
        else:
            np.testing.assert_array_equal(stored, g)


def test_other_types_are_converted():
    sliding = Window(3, 4, storage="float32")
    third = np.array([1 / 3, 2 / 3, 4 / 3])
    sliding.update(third)
    sliding.update([1, 2, 3])
    sliding.update_many(third[None].astype(">f8"))
    np.testing.assert_array_equal(sliding.gradient(0), third.astype(np.float32))
    np.testing.assert_array_equal(sliding.gradient(1), np.array([1, 2, 3], np.float32))
    np.testing.assert_array_equal(sliding.gradient(2), third.astype(np.float32))
    assert sliding.matvec(np.ones(3)).dtype == np.float32
    assert Window(3, 4, storage="float64").matvec(np.ones(3, np.float32)).dtype == np.float64


@pytest.mark.parametrize("n", range(6))
def test_window_that_is_not_full(n):
    """T7: by the capacity, it is one with zero gradients in its free places; by the count, one of n gradients."""
    rng = np.random.default_rng(n)
    G, x = rng.normal(size=(n, 12)), rng.normal(size=12)
    padded = np.vstack([G, np.zeros((6 - n, 12))])
    limit = 1e-12 * np.linalg.norm(x) / 0.1
    by_capacity = Window(12, 6, 0.1, normalize="capacity", storage="float64")
    by_count = Window(12, 6, 0.1, storage="float64")
    for sliding in (by_capacity, by_count):
        if n > 0:
            sliding.update_many(G)
        assert sliding.n_stored == n
    hg, den = reference.static_recurrence(padded, 0.1, 6)
    assert_columns_close(by_capacity.matvec(x), reference.static_product(hg, den, 0.1, x), limit)
    expected = np.linalg.solve(reference.fisher(G, 0.1, max(n, 1)), x)
    assert_columns_close(by_count.matvec(x), expected, limit)
    determinant = reference.log_determinant(padded, 0.1, 6)
    assert by_capacity.logdet() == pytest.approx(determinant, rel=0, abs=1e-10)


@pytest.mark.parametrize("normalize", ["count", "capacity"])
def test_empty_window(normalize):
    sliding = Window(5, 3, 0.25, normalize=normalize, storage="float64")
    x = np.arange(5.0)
    for _ in range(2):
        assert sliding.n_stored == 0
        np.testing.assert_array_equal(sliding.matvec(x), 4 * x)
        np.testing.assert_array_equal(sliding.matmat(x[:, None]), 4 * x[:, None])
        assert sliding.logdet() == pytest.approx(5 * np.log(0.25))
        with pytest.raises(ValueError, match="empty"):
            sliding.combination(np.empty(0))
        with pytest.raises((IndexError, ValueError)):
            sliding.remove_oldest()
        sliding.update(x)
        sliding.remove_oldest()  # and empty once more


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


@pytest.mark.smoke
@pytest.mark.parametrize("steps", [0, 3, 8, 21])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_saved_window_goes_on_with_the_same_bits(storage, steps):
    """T12."""
    rng = np.random.default_rng(6)
    G, x = rng.normal(size=(steps + 10, 50)).astype(np.float32), rng.normal(size=50).astype(np.float32)
    sliding = Window(50, 8, 1e-3, storage=storage)
    for g in G[:steps]:
        sliding.update(g)
    state = sliding.state_dict()
    resumed = [Window(50, 8, 1.0, storage=storage) for _ in range(3)]
    resumed[2].update_many(G[:5])  # what was there before does not matter
    for other, saved in zip(resumed, (state, pickle.loads(pickle.dumps(state)), copy.deepcopy(state)), strict=True):
        other.load_state_dict(saved)
        assert (other.n_stored, other.damping) == (sliding.n_stored, 1e-3)
        np.testing.assert_array_equal(other.matvec(x), sliding.matvec(x))
    for g in G[steps:]:
        expected = sliding.precondition(g)
        for other in resumed:
            np.testing.assert_array_equal(other.precondition(g), expected)
    np.testing.assert_array_equal(resumed[0].matvec(x), sliding.matvec(x))


def test_a_state_is_a_copy():
    rng = np.random.default_rng(7)
    sliding, other = Window(20, 4, 0.1), Window(20, 4, 0.1)
    sliding.update_many(rng.normal(size=(4, 20)))
    x = rng.normal(size=20).astype(np.float32)
    expected, state = sliding.matvec(x), sliding.state_dict()
    sliding.update_many(rng.normal(size=(3, 20)))
    sliding.set_damping(9.0)
    other.load_state_dict(state)
    other.update_many(rng.normal(size=(3, 20)))
    sliding.load_state_dict(state)
    np.testing.assert_array_equal(sliding.matvec(x), expected)


def test_a_state_that_does_not_fit_is_refused():
    sliding, other = Window(20, 4, 0.1), Window(21, 4, 0.1)
    sliding.update(np.ones(20))
    other.update(np.ones(21))
    before = sliding.matvec(np.ones(20))
    with pytest.raises(ValueError, match="state"):
        sliding.load_state_dict(other.state_dict())
    with pytest.raises((KeyError, ValueError), match="state"):
        sliding.load_state_dict({})
    np.testing.assert_array_equal(sliding.matvec(np.ones(20)), before)


@pytest.mark.smoke
@pytest.mark.parametrize("storage", ["float32", "float64", "float16", "bfloat16"])
def test_threads_leave_the_bits_alone(storage):
    """T13, and more: equal to the last bit."""
    rng = np.random.default_rng(8)
    d = 100_000
    G, x = rng.standard_normal((9, d), np.float32), rng.standard_normal(d, np.float32)
    results = []
    for n_threads in (1, 2, 4):
        sliding = Window(d, 6, 1e-3, storage=storage, n_threads=n_threads)
        sliding.update_many(G[:5])
        sliding.update_many(G[5:7])
        results.append([sliding.precondition(G[7]), sliding.precondition(G[8])])
        sliding.remove(2)
        results[-1] += [sliding.matvec(x), sliding.combination(np.arange(5.0)), np.array(sliding.logdet())]
    for result in results[1:]:
        for actual, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_callers_gradient_is_neither_written_nor_kept(dtype):
    rng = np.random.default_rng(9)
    sliding = Window(30, 4, 0.1, storage=np.dtype(dtype).name)
    G, x = rng.normal(size=(3, 30)).astype(dtype), rng.normal(size=30).astype(dtype)
    before = G.copy()
    G.flags.writeable = x.flags.writeable = False
    sliding.update_many(G)
    sliding.precondition(G[1])
    sliding.update(G[2])
    expected = sliding.matvec(x)
    np.testing.assert_array_equal(G, before)
    G.flags.writeable = True
    G[:] = np.nan
    stored = sliding.gradient(0)
    if stored.flags.writeable:
        stored[:] = np.nan
    np.testing.assert_array_equal(sliding.matvec(x), expected)
    np.testing.assert_array_equal(sliding.gradient(0), before[1])  # the first of five has left


def test_as_linear_operator():
    """T14."""
    rng = np.random.default_rng(10)
    G, b = rng.normal(size=(10, 40)), rng.normal(size=40)
    sliding = Window(40, 6, 1e-2, storage="float64")
    sliding.update_many(G)
    assert isinstance(sliding, scipy.sparse.linalg.LinearOperator)
    assert (sliding.shape, sliding.dtype) == ((40, 40), np.float64)
    F = reference.fisher(G[-6:], 1e-2, 6)
    iterations = []
    x, info = scipy.sparse.linalg.cg(F, b, M=sliding, rtol=1e-9, callback=iterations.append)
    assert (info, len(iterations)) == (0, 1)
    np.testing.assert_allclose(x, np.linalg.solve(F, b), rtol=0, atol=1e-9 * np.linalg.norm(x))
    for operator in (sliding, sliding.T, sliding.H):
        assert_columns_close(operator @ b, x, 1e-9 * np.linalg.norm(x))
    assert_columns_close(sliding.rmatvec(b), x, 1e-9 * np.linalg.norm(x))


@pytest.fixture(params=[2, 5], ids=["partly filled", "full"])
def filled(request):
    sliding = Window(20, 4, 0.1)
    sliding.update_many(np.random.default_rng(11).normal(size=(request.param, 20)))
    return sliding


@pytest.mark.smoke
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("insert", ["update", "precondition", "update_many"])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_gradient_that_is_not_finite_leaves_the_window_as_it_was(storage, insert, bad):
    rng = np.random.default_rng(12)
    for filling in (2, 5):
        sliding, twin = Window(20, 4, 0.1, storage=storage), Window(20, 4, 0.1, storage=storage)
        G, x = rng.normal(size=(filling + 1, 20)).astype(np.float32), rng.normal(size=20).astype(np.float32)
        for window in (sliding, twin):
            window.update_many(G[:-1])
        g = rng.normal(size=(3, 20))
        g[1, 17] = bad
        name = "G" if insert == "update_many" else "g"
        with pytest.raises(ValueError, match=rf"\b{name}\b.*{'1' if insert == 'update_many' else ''}"):
            getattr(sliding, insert)(g if insert == "update_many" else g[1])
        assert sliding.n_stored == twin.n_stored
        for age in range(twin.n_stored):
            np.testing.assert_array_equal(sliding.gradient(age), twin.gradient(age))
        np.testing.assert_array_equal(sliding.matvec(x), twin.matvec(x))
        np.testing.assert_array_equal(sliding.precondition(G[-1]), twin.precondition(G[-1]))
        np.testing.assert_array_equal(sliding.matvec(x), twin.matvec(x))


@pytest.mark.parametrize(("storage", "large"), [("float32", 1e300), ("float16", 1e300), ("float64", 1e200)])
def test_a_gradient_too_large_leaves_the_window_as_it_was(storage, large):
    sliding = Window(3, 4, 0.1, storage=storage)
    sliding.update(np.ones(3))
    before = sliding.matvec(np.ones(3))
    with pytest.raises((OverflowError, ValueError), match=r"\bg\b"):
        sliding.update(np.array([1.0, large, 1.0]))
    assert sliding.n_stored == 1
    np.testing.assert_array_equal(sliding.matvec(np.ones(3)), before)


def test_shapes_that_do_not_fit_are_named(filled):
    before = filled.matvec(np.ones(20))
    n_stored = filled.n_stored
    for shape in ((19,), (21,), (0,), (20, 1), (1, 20), ()):
        for insert in (filled.update, filled.precondition):
            with pytest.raises(ValueError, match=r"\bg has shape"):
                insert(np.ones(shape))
    for shape in ((2, 19), (2, 21), (2, 0), (20,), (1, 1, 20)):
        with pytest.raises(ValueError, match=r"\bG has shape"):
            filled.update_many(np.ones(shape))
    for length in (0, 19, 21):
        with pytest.raises(ValueError, match=rf"\bx has shape \({length},\)"):
            filled.matvec(np.ones(length))
    with pytest.raises(ValueError, match=r"has shape \(19, 2\)"):
        filled.matmat(np.ones((19, 2)))
    for length in (0, n_stored - 1, n_stored + 1):
        with pytest.raises(ValueError, match=rf"\ba has shape \({length},\)"):
            filled.combination(np.ones(length))
    assert filled.n_stored == n_stored
    np.testing.assert_array_equal(filled.matvec(np.ones(20)), before)


@pytest.mark.parametrize(
    ("method", "name", "shape"),
    [
        ("update", "g", (20,)),
        ("precondition", "g", (20,)),
        ("update_many", "G", (2, 20)),
        ("matvec", "x", (20,)),
        ("combination", "a", (4,)),
    ],
)
def test_complex_numbers_are_a_type_error(method, name, shape):
    sliding = Window(20, 4)
    sliding.update_many(np.ones((4, 20)))
    with pytest.raises(TypeError, match=rf"\b{name} has dtype complex128"):
        getattr(sliding, method)(np.ones(shape, complex))


def test_age_out_of_range_is_an_index_error(filled):
    for method in (filled.gradient, filled.remove):
        for age in (filled.n_stored, filled.n_stored + 7):
            with pytest.raises(IndexError, match=r"\bage\b"):
                method(age)
        with pytest.raises((IndexError, ValueError), match=r"\bage\b"):
            method(-filled.n_stored - 1)


def test_damping_of_a_window_must_be_positive_and_finite(filled):
    before = filled.matvec(np.ones(20))
    for bad in (0.0, -1e-5, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"\bdamping\b"):
            Window(20, 4, bad)
        with pytest.raises(ValueError, match=r"\bdamping\b"):
            filled.set_damping(bad)
    np.testing.assert_array_equal(filled.matvec(np.ones(20)), before)


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"n_params": 0}, ValueError, "n_params"),
        ({"n_params": -3}, ValueError, "n_params"),
        ({"n_params": 2.5}, TypeError, "n_params"),
        ({"window": 0}, ValueError, "window"),
        ({"window": 2.5}, TypeError, "window"),
        ({"normalize": "mean"}, ValueError, "normalize"),
        ({"storage": "int8"}, ValueError, "storage"),
        ({"method": "woodbury"}, ValueError, "method"),
        ({"n_threads": 0}, ValueError, "n_threads"),
    ],
    ids=str,
)
def test_bad_argument_is_named(options, error, name):
    with pytest.raises(error, match=rf"\b{name}\b"):
        Window(**{"n_params": 3, "window": 2, **options})


def test_memory_that_is_not_there_is_stated():
    with pytest.raises(MemoryError, match=r"\d"):
        Window(2**50, 4)
    with pytest.raises((MemoryError, OverflowError)):
        Window(2**62, 8)
