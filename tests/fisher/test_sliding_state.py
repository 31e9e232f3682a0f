"""What fisher.SlidingFisherInverse holds, and how it is saved; T7, T12 and T13 are acceptance tests."""

import copy
import pickle

import numpy as np
import pytest

from tests.fisher import reference
from tests.fisher.gradients import STORAGES
from tests.fisher.reference import assert_columns_close
from tests.fisher.window import Window


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
