"""Windows of sparse gradients with error feedback."""

import pickle

import numpy as np
import pytest

import nearlinear as nl


def largest_entries(x, count):
    """Return x with all but its `count` largest entries zero, of equal ones the first."""
    kept = np.zeros_like(x)
    order = np.argsort(-abs(x), kind="stable")[:count]
    kept[order] = x[order]
    return kept


@pytest.mark.smoke
@pytest.mark.parametrize("storage", ["float64", "float32"])
def test_what_is_left_out_comes_in_later(storage):
    rng = np.random.default_rng(0)
    d, topk, damping = 200, 0.1, 1e-2
    window = nl.fisher.SlidingFisherInverse(d, 4, damping, storage=storage, topk=topk)
    residual, kept = np.zeros(d, storage), []
    for _ in range(9):
        g = rng.integers(-50, 50, d).astype(storage)  # ties, and sums without rounding
        residual += g
        kept = [*kept, largest_entries(residual, 20)][-4:]
        residual -= kept[-1]
        y = window.precondition(g)
        assert all(np.array_equal(window.gradient(age), gradient) for age, gradient in enumerate(kept))
        G = np.array(kept, np.float64)
        F = damping * np.eye(d) + G.T @ G / len(kept)
        expected = np.linalg.solve(F, G[-1])
        assert np.linalg.norm(y - expected) <= 1e-6 * np.linalg.norm(expected)


def test_all_of_it_is_a_whole_gradient():
    rng = np.random.default_rng(1)
    G = rng.normal(size=(5, 30)).astype(np.float32)
    whole = nl.fisher.SlidingFisherInverse(30, 3, 1e-2)
    same = nl.fisher.SlidingFisherInverse(30, 3, 1e-2, topk=1.0)
    for g in G:
        assert np.array_equal(whole.precondition(g), same.precondition(g))


def test_threads_and_states_keep_the_bits():
    rng = np.random.default_rng(2)
    d = 150_000
    G = rng.normal(size=(4, d)).astype(np.float32)
    results = []
    for n_threads in (1, 2, 4):
        window = nl.fisher.SlidingFisherInverse(d, 3, 1e-3, storage="bfloat16", topk=0.02, n_threads=n_threads)
        window.update_many(G[:2])
        other = nl.fisher.SlidingFisherInverse(d, 3, 1e-3, storage="bfloat16", topk=0.02)
        other.load_state_dict(pickle.loads(pickle.dumps(window.state_dict())))
        results += [[w.precondition(g) for g in G[2:]] for w in (window, other)]
    assert all(np.array_equal(a, b) for run in results[1:] for a, b in zip(results[0], run, strict=True))


def test_the_window_takes_the_memory_of_what_it_keeps():
    window = nl.fisher.SlidingFisherInverse(1_000_000, 50, storage="bfloat16", topk=0.01)
    assert window.nbytes <= 50 * 10_500 * 4 + 4 * 1_000_000 + 2 * 8 * 50**2


@pytest.mark.parametrize("topk", [0.0, -0.1, 1.5, np.nan])
def test_bad_share_is_named(topk):
    with pytest.raises(ValueError, match="topk is"):
        nl.fisher.SlidingFisherInverse(3, 2, topk=topk)


def test_refused_gradient_leaves_the_residual():
    window = nl.fisher.SlidingFisherInverse(3, 2, topk=0.4)
    window.update([1.0, 5.0, 4.0])
    with pytest.raises(ValueError, match="g has the entry nan at index 0"):
        window.update([np.nan, 0.0, 0.0])
    window.update([0.0, 0.0, 0.0])
    assert np.array_equal(window.gradient(1), [1.0, 0.0, 0.0])
    other = nl.fisher.SlidingFisherInverse(3, 2)
    with pytest.raises(ValueError, match="state has topk"):
        other.load_state_dict(window.state_dict())
