"""ot.route against linear programs, and its certificate."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import scipy.special

import nearlinear as nl


def best_score(scores, capacity, k):
    """The linear program with 0 <= X <= 1, which has a solution in integers."""
    tokens, experts = scores.shape
    rows = scipy.sparse.kron(scipy.sparse.eye_array(tokens), np.ones((1, experts)))
    cols = scipy.sparse.kron(np.ones((1, tokens)), scipy.sparse.eye_array(experts))
    found = scipy.optimize.linprog(
        -scores.ravel(),
        A_eq=rows,
        b_eq=np.full(tokens, float(k)),
        A_ub=cols,
        b_ub=np.full(experts, float(capacity)),
        bounds=(0, 1),
        method="highs",
    )
    assert found.success
    return -found.fun


def assert_valid(X, scores, capacity, k):
    assert isinstance(X, scipy.sparse.csr_array)
    assert (np.diff(X.indptr) == k).all()
    assert X.has_canonical_format
    tokens = np.repeat(np.arange(len(scores)), k)
    np.testing.assert_array_equal(X.data, scores[tokens, X.indices])
    assert np.bincount(X.indices, minlength=scores.shape[1]).max() <= capacity


def assert_optimal(certificate, scores, capacity, k):
    """Weak duality, by the prices alone."""
    assert (certificate.prices >= 0).all()
    profits = np.sort(scores - certificate.prices, axis=1)[:, ::-1][:, :k]
    bound = profits.sum() + capacity * certificate.prices.sum()
    scale = np.abs(scores).sum() + 1e-300
    assert certificate.bound == pytest.approx(bound, abs=1e-12 * scale)
    assert certificate.score == pytest.approx(bound, abs=1e-10 * scale)


def random_instance(seed):
    rng = np.random.default_rng(seed)
    tokens, experts = rng.integers(1, 40), rng.integers(1, 9)
    k = int(rng.integers(1, experts + 1))
    least = -(-tokens * k // experts)
    capacity = int(least + rng.integers(0, 3) if seed % 3 else least)
    kind = seed % 4
    if kind == 0:
        scores = rng.normal(size=(tokens, experts))
    elif kind == 1:
        scores = rng.integers(0, 3, size=(tokens, experts)).astype(float)
    elif kind == 2:
        scores = rng.normal(size=(tokens, experts)) + 3 * np.arange(experts)  # all tokens like the last experts
    else:
        scores = np.outer(rng.random(tokens), rng.random(experts))
    return scores, capacity, k


@pytest.mark.parametrize("seed", range(200))
def test_random_instances(seed):
    scores, capacity, k = random_instance(seed)
    X, certificate = nl.ot.route(scores, capacity, k, certificate=True)
    assert_valid(X, scores, capacity, k)
    assert_optimal(certificate, scores, capacity, k)
    assert certificate.score == pytest.approx(best_score(scores, capacity, k), rel=1e-9, abs=1e-9)


ADVERSARIAL = {
    "one token": (np.array([[3.0, 1.0]]), 1, 1),
    "one expert": (np.arange(5.0)[:, None], 5, 1),
    "all experts": (np.random.default_rng(0).random((4, 3)), 4, 3),
    "equal scores": (np.ones((12, 4)), 3, 1),
    "equal tokens": (np.tile(np.arange(4.0), (12, 1)), 6, 2),
    "equal experts": (np.tile(np.arange(12.0)[:, None], (1, 4)), 6, 2),
    "no room to spare": (np.random.default_rng(1).normal(size=(64, 8)), 16, 2),
    "a price war": (np.array([[10.0, 10.0, 0.0]] * 6) + 1e-6 * np.random.default_rng(2).random((6, 3)), 2, 1),
    "huge": (1e300 * np.random.default_rng(3).random((20, 4)), 5, 1),
    "tiny": (1e-300 * np.random.default_rng(3).random((20, 4)), 5, 1),
    "chains": (-np.abs(np.arange(20.0)[:, None] / 5 - np.arange(4.0) * 0.2), 5, 1),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_instances(name):
    scores, capacity, k = ADVERSARIAL[name]
    X, certificate = nl.ot.route(scores, capacity, k, certificate=True)
    assert_valid(X, scores, capacity, k)
    assert_optimal(certificate, scores, capacity, k)


def test_capacity_that_does_not_bind_is_top_k():
    scores = np.random.default_rng(0).normal(size=(100, 16))
    X = nl.ot.route(scores, 100, 3)
    expected = np.sort(np.argsort(-scores, axis=1)[:, :3], axis=1)
    np.testing.assert_array_equal(X.indices.reshape(100, 3), expected)


def test_it_keeps_more_than_greedy_routing_and_is_balanced():
    """Experts of unequal popularity: greedy routing in the order of tokens fills them by accident of the order."""
    rng = np.random.default_rng(1)
    scores = scipy.special.softmax(rng.normal(size=(512, 16)) + np.linspace(0, 2, 16), axis=1)
    capacity, k = 64, 2
    X, certificate = nl.ot.route(scores, capacity, k, certificate=True)
    load, greedy = np.zeros(16, int), 0.0
    for row in scores:
        open_experts = [e for e in np.argsort(-row) if load[e] < capacity][:k]
        load[open_experts] += 1
        greedy += row[open_experts].sum()
    top = np.bincount(np.argsort(-scores, axis=1)[:, :k].ravel(), minlength=16)
    assert certificate.score > 1.02 * greedy
    assert top.max() > 1.5 * capacity >= 1.5 * np.bincount(X.indices).max()


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_a_batch_is_its_parts(n_threads):
    scores = np.random.default_rng(2).normal(size=(7, 30, 5)).astype(np.float32)
    X, certificates = nl.ot.route(scores, 14, 2, certificate=True, n_threads=n_threads)
    assert len(X) == len(certificates) == 7
    for part, plan, certificate in zip(scores, X, certificates, strict=True):
        single, expected = nl.ot.route(part, 14, 2, certificate=True)
        assert plan.dtype == np.float32
        assert (plan != single).nnz == 0
        assert certificate.score == expected.score
        assert (certificate.prices == expected.prices).all()
    assert nl.ot.route(np.zeros((0, 4, 2)), 2, 1) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 1}, "4 tokens with k = 1 experts each are more than 3 experts with capacity 1 take"),
        ({"k": 4}, "k is 4; there are only 3 experts"),
        ({"k": 0}, "k is 0"),
        ({"capacity": -1}, "capacity is -1"),
        ({"scores": np.full((4, 3), np.nan)}, r"scores has the entry nan at index \(0, 0\)"),
        ({"scores": np.ones(3)}, "scores has shape"),
        ({"scores": np.ones((0, 3))}, "scores has shape"),
    ],
)
def test_bad_input_is_named(options, message):
    given = {"scores": np.ones((4, 3)), "capacity": 2, "k": 1, **options}
    with pytest.raises(ValueError, match=message):
        nl.ot.route(**given)
