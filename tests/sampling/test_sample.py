"""Samples of rows: their probabilities, that estimates are unbiased, and how little norms are distorted."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.sampling import instances, reference

SCORES = ("uniform", "leverage", "root-leverage", "lewis", "sensitivity", "sensitivity+leverage")
OPTIONS: dict[str, dict[str, Any]] = {
    "independent": {},
    "exact_size": {"exact_size": True},
    "replacement": {"replacement": True},
}
every_score = pytest.mark.parametrize("score", SCORES)
every_option = pytest.mark.parametrize("options", OPTIONS)


def wanted_scores(A: Any, p: float, score: str) -> Any:
    tau, s = nl.sampling.leverage_scores(A), nl.sampling.sensitivities(A, p)
    return {
        "uniform": np.ones(len(A)),
        "leverage": tau,
        "root-leverage": tau ** (p / 2),
        "lewis": nl.sampling.lewis_weights(A, p, tol=1e-8),
        "sensitivity": s,
        "sensitivity+leverage": s + tau,
    }[score]


@pytest.mark.smoke
@every_score
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_what_a_sample_holds(score: Any, p: float) -> None:
    """Scores by their definitions, probabilities c s up to 1, and weights 1 / q."""
    A = instances.heavy_tailed(300, 3)
    A[50:60] = 0
    for m in (80, 150):  # so many that root leverage scores take one round
        sample: Any = nl.sampling.sample_rows(A, p, m, score=score, seed=m)
        np.testing.assert_allclose(sample.scores, wanted_scores(A, p, score), rtol=0.02, atol=1e-12)
        q = reference.sampling_probabilities(sample.scores, m)
        np.testing.assert_allclose(sample.probabilities, q, rtol=1e-9)
        assert np.isclose(sample.expected_size, m)
        kept = sample.indices
        assert np.all(np.diff(kept) > 0)
        assert len(sample) == len(kept) == len(sample.weights) == len(sample.scale)
        np.testing.assert_allclose(sample.weights, 1 / q[kept], rtol=1e-9)
        np.testing.assert_allclose(sample.scale, q[kept] ** (-1 / p), rtol=1e-9)
        assert set(np.flatnonzero(q == 1)) <= set(kept)  # what is certain is there
        assert score == "uniform" or A[kept].any(axis=1).all()
        assert (sample.score, sample.p) == (score, p)


@every_score
@every_option
@pytest.mark.parametrize("p", [1, 1.5, 3])
def test_estimates_are_unbiased(score: Any, options: str, p: float) -> None:
    """Sums over 200 samples are within 4 standard errors of those over all rows, for several directions."""
    rng = np.random.default_rng(0)
    A = rng.standard_t(2.5, (300, 3))
    A[:5] *= 10
    powers = np.abs(A @ rng.standard_normal((3, 5))) ** p
    scores = nl.sampling.sample_rows(A, p, 100, score=score, seed=0).scores
    estimates, sizes = [], []
    for seed in range(1000, 1200):
        sample = nl.sampling.sample_rows(A, p, 40, score=scores, seed=seed, **OPTIONS[options])
        estimates.append(sample.weights @ powers[sample.indices] / powers.sum(axis=0))
        sizes.append(len(sample))
    error = np.std(estimates, axis=0, ddof=1) / np.sqrt(200)
    assert np.all(np.abs(np.mean(estimates, axis=0) - 1) < 4 * error + 1e-12)
    if options == "independent":
        assert abs(np.mean(sizes) - 40) < 4 * np.std(sizes) / np.sqrt(200)
        assert np.var(sizes) < 40 * (1 + 4 * np.sqrt(2 / 200))
    else:
        assert set(sizes) == {40}


@pytest.mark.parametrize("p", [1, 1.5])
@pytest.mark.parametrize("exact_size", [False, True])
def test_recursion_of_root_leverage_scores_is_unbiased(p: float, exact_size: bool) -> None:
    rng = np.random.default_rng(1)
    A = instances.heavy_tailed(3000, 3)
    powers = np.abs(A @ rng.standard_normal((3, 5))) ** p
    estimates, sizes = [], []
    for seed in range(1000, 1200):
        sample = nl.sampling.sample_rows(A, p, 50, score="root-leverage", seed=seed, exact_size=exact_size)
        estimates.append(sample.weights @ powers[sample.indices] / powers.sum(axis=0))
        sizes.append(len(sample))
    error = np.std(estimates, axis=0, ddof=1) / np.sqrt(200)
    assert np.all(np.abs(np.mean(estimates, axis=0) - 1) < 4 * error)
    assert abs(np.mean(sizes) - 50) < 4 * np.std(sizes) / np.sqrt(200) + 1e-12
    # Better than one round, which keeps too many rows of little use.
    one_round = nl.sampling.leverage_scores(A) ** (p / 2)
    single = [nl.sampling.sample_rows(A, p, 50, score=one_round, seed=seed) for seed in range(1000, 1200)]
    of_one_round = [sample.weights @ powers[sample.indices] / powers.sum(axis=0) for sample in single]
    assert np.std(estimates) < 1.1 * np.std(of_one_round)


@every_option
def test_rows_are_drawn_as_often_as_their_probabilities_say(options: str) -> None:
    rng = np.random.default_rng(2)
    scores = rng.pareto(1, 50)
    scores[3:6] = 0
    A = np.where(scores > 0, 1.0, 0.0)[:, np.newaxis]
    counts, seeds = np.zeros(50), 1000
    for seed in range(seeds):
        sample = nl.sampling.sample_rows(A, 1, 12, score=scores, seed=seed, **OPTIONS[options])
        counts += np.bincount(sample.indices, minlength=50)
    q = sample.probabilities
    np.testing.assert_allclose(q.sum(), 12)
    variance = q if options == "replacement" else q * (1 - q)
    assert np.all(np.abs(counts - seeds * q) <= 4.5 * np.sqrt(seeds * variance) + 1e-9)


def test_all_rows_when_there_are_no_more() -> None:
    A = instances.heavy_tailed(60, 3)
    for score in ("auto", *SCORES, np.arange(1.0, 61)):
        for m in (60, 61, 10**12):
            for exact_size in (False, True):
                sample = nl.sampling.sample_rows(A, 1.5, m, score=score, exact_size=exact_size, seed=0)
                np.testing.assert_array_equal(sample.indices, np.arange(60))
                np.testing.assert_array_equal(sample.weights, np.ones(60))
                np.testing.assert_array_equal(sample.apply(A), A)
    drawn = nl.sampling.sample_rows(A, 1, 100, replacement=True, seed=0)
    assert len(drawn) == 100
    few = nl.sampling.sample_rows(np.vstack([A, np.zeros((40, 3))]), 1, 80, exact_size=True, seed=0)
    np.testing.assert_array_equal(few.indices, np.arange(60))  # rows of zeros are not worth keeping


def test_auto_takes_the_best_bound() -> None:
    heavy, even = instances.heavy_tailed(400, 6), np.random.default_rng(3).standard_normal((400, 6))
    for p, wanted in [(1, "lewis"), (1.5, "lewis"), (2, "leverage")]:
        assert nl.sampling.sample_rows(heavy, p, 50, seed=0).score == wanted
    for A in (heavy, even):
        for p in (3, 4):
            S = nl.sampling.sensitivities(A, p).sum()
            bounds = {"sensitivity+leverage": 6 ** (2 / p) * S ** (2 - 4 / p), "lewis": 6 ** (p / 2)}
            if min(bounds.values()) < 0.9 * max(bounds.values()):
                assert nl.sampling.sample_rows(A, p, 50, seed=0).score == min(bounds, key=lambda name: bounds[name])


def test_eps_decides_how_many() -> None:
    A = np.random.default_rng(4).standard_normal((1500, 3))
    log = np.log(2 * 3 / 0.1)
    S = {p: nl.sampling.sensitivities(A[:300], p).sum() for p in (1, 3)}  # of rows like these
    for score, p, rows in [
        ("leverage", 2, 3),
        ("lewis", 1, 3),
        ("lewis", 3, 3**1.5),
        ("root-leverage", 3, 1500 ** (1 / 3) * 3),
        ("sensitivity", 3, S[3] ** (4 / 3)),
        ("sensitivity+leverage", 1, S[1] + 3),
        ("sensitivity+leverage", 3, 3 ** (2 / 3) * S[3] ** (2 / 3)),
    ]:
        sample = nl.sampling.sample_rows(A, p, eps=0.5, delta=0.1, score=score, seed=0)
        exactly = score in ("leverage", "lewis") or (score, p) == ("root-leverage", 3)
        np.testing.assert_allclose(sample.expected_size, np.ceil(8 * rows * log), rtol=1e-9 if exactly else 0.1)
    assert len(nl.sampling.sample_rows(A, 1, eps=0.01)) == 1500


def test_eps_is_kept() -> None:
    """For p = 2, |S A x|^2 is within 1 +- eps of |A x|^2 with probability 0.95."""
    A = instances.heavy_tailed(3000, 4)
    failures = 0
    for seed in range(50):
        sample = nl.sampling.sample_rows(A, 2, eps=0.5, seed=seed)
        distortion = nl.sampling.embedding_distortion(A, sample)
        failures += (1 + distortion) ** 2 > 1.5
    assert failures <= 7  # more than 7 of 50 have probability 4e-3


@pytest.mark.parametrize(
    ("p", "score", "few", "many"),
    [(1, "lewis", 0.196, 0.073), (1, "root-leverage", 0.192, 0.081), (1.5, "lewis", 0.123, 0.050),
     (1.5, "root-leverage", 0.128, 0.051)],
)  # fmt: skip
def test_distortion(p: float, score: Any, few: float, many: float) -> None:
    """The largest over 400 directions, in the mean over samples of 200 and 1000 of 20000 rows, as prototypes had it."""
    A = instances.heavy_tailed()
    powers = np.abs(A @ np.random.default_rng(5).standard_normal((10, 400))) ** p
    whole = powers.sum(axis=0)
    for m, wanted in ((200, few), (1000, many)):
        scores = nl.sampling.sample_rows(A, p, m, score=score, seed=0).scores if score == "lewis" else score
        distortions = []
        for seed in range(20):
            sample = nl.sampling.sample_rows(A, p, m, score=scores, seed=seed)
            ratios = (sample.weights @ powers[sample.indices] / whole) ** (1 / p)
            distortions.append(np.abs(ratios - 1).max())
        error = np.std(distortions, ddof=1) / np.sqrt(20)
        assert np.mean(distortions) < 1.05 * wanted + 4 * error
        assert m == 200 or np.mean(distortions) < 0.12


def test_uniform_sampling_fails_on_heavy_tails() -> None:
    A = instances.heavy_tailed()
    distortion = {
        score: np.median(
            [
                nl.sampling.embedding_distortion(
                    A, nl.sampling.sample_rows(A, 1.5, 1000, score=score, seed=seed), n_directions=20, seed=0
                )
                for seed in range(2)
            ]
        )
        for score in ("uniform", "lewis", "root-leverage", "leverage")
    }
    assert distortion.pop("uniform") > 3 * max(distortion.values())


def test_embedding_distortion() -> None:
    rng = np.random.default_rng(6)
    for name, A in instances.all_matrices()[::4]:
        if not A.any():
            continue
        m = max(1, len(A) // 2)
        sample: Any = nl.sampling.sample_rows(A, 2, m, seed=0)
        if len(sample) == 0:
            continue
        wanted = reference.embedding_distortion(A, sample.indices, sample.weights, 2)
        allowed = 1e-7 + 1e-13 * instances.condition(A)
        assert np.isclose(nl.sampling.embedding_distortion(A, sample), wanted, atol=allowed), name
        for p in (1.0, 3.0):
            ours = nl.sampling.embedding_distortion(A, (sample.indices, sample.weights), p, seed=0)
            at_random = reference.embedding_distortion(A, sample.indices, sample.weights, p, rng=rng)
            assert ours > 0.95 * at_random - allowed, (name, p)
    angles = np.linspace(0, np.pi, 5001)
    X = np.stack([np.cos(angles), np.sin(angles)])
    A = rng.standard_t(2.5, (200, 2))
    for p in (1.0, 1.5, 3.0):
        sample = nl.sampling.sample_rows(A, p, 30, seed=1)
        ratios = (sample.weights @ np.abs(A[sample.indices] @ X) ** p / (np.abs(A @ X) ** p).sum(axis=0)) ** (1 / p)
        assert np.isclose(nl.sampling.embedding_distortion(A, sample, seed=0), np.abs(ratios - 1).max(), rtol=1e-4)
        every_row = (np.arange(200), np.ones(200))
        assert nl.sampling.embedding_distortion(A, every_row, p) < 1e-12


def test_seeds_decide() -> None:
    A = instances.heavy_tailed(500, 3)
    for options in OPTIONS.values():
        for score in ("lewis", "root-leverage"):
            first, again = (nl.sampling.sample_rows(A, 1, 60, score=score, seed=7, **options) for _ in range(2))
            np.testing.assert_array_equal(first.indices, again.indices)
            other = nl.sampling.sample_rows(A, 1, 60, score=score, seed=8, **options)
            assert not np.array_equal(first.indices, other.indices)
    drawn = [nl.sampling.sample_rows(A, 1, 60, seed=np.random.default_rng(1)).indices for _ in range(2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    sizes = [set(nl.sampling.sample_rows(A, 1, m, seed=3).indices) for m in (20, 60, 200)]
    assert sizes[0] <= sizes[1] <= sizes[2]  # of one seed, larger samples contain smaller ones


def test_regression_with_weights() -> None:
    """Weights are for any `sample_weight`: a fit to 5 % of the rows is nearly as good for all."""
    rng = np.random.default_rng(7)
    A = instances.heavy_tailed(20000, 5)
    b = A @ rng.standard_normal(5) + 2 + rng.standard_t(3, 20000)
    columns = np.column_stack([A, np.ones(20000), b])
    sample = nl.sampling.sample_rows(columns, 2, 1000, seed=0)
    rows, weights = sample.indices, sample.weights
    least = nl.sketch.lstsq(columns[:, :6], b).residual_norm
    x = nl.sketch.lstsq(columns[rows, :6], b[rows], sample_weight=weights).x
    assert np.linalg.norm(columns[:, :6] @ x - b) < 1.02 * least
    scaled = np.linalg.lstsq(sample.apply(columns[:, :6]), sample.apply(b), rcond=None)[0]
    np.testing.assert_allclose(x, scaled, rtol=1e-8)


@pytest.mark.parametrize("p", [1, 1.5, 3])
def test_lp_regression_with_a_sample(p: float) -> None:
    rng = np.random.default_rng(8)
    A = instances.heavy_tailed(10000, 4)
    b = A @ rng.standard_normal(4) + rng.standard_t(3, 10000)
    best = nl.sampling.lp_regression(A, b, p).norm
    sample = nl.sampling.sample_rows(np.column_stack([A, b]), p, 500, score="lewis", seed=0)
    x = nl.sampling.lp_regression(A, b, p, sample=sample).x
    assert np.linalg.norm(A @ x - b, p) < 1.03 * best


@pytest.mark.smoke
@pytest.mark.parametrize("score", ["auto", *SCORES])
def test_kinds_of_input_and_threads_do_not_matter(score: Any) -> None:
    A = instances.heavy_tailed(1000, 3) * (np.random.default_rng(9).random((1000, 3)) < 0.5)
    sample = nl.sampling.sample_rows(A, 1.5, 300, score=score, seed=1, n_threads=1)
    for threads in (2, 4):
        other = nl.sampling.sample_rows(A, 1.5, 300, score=score, seed=1, n_threads=threads)
        np.testing.assert_array_equal(other.indices, sample.indices)
        np.testing.assert_array_equal(other.probabilities, sample.probabilities)
    csr = scipy.sparse.csr_array(A)
    for matrix in (np.asfortranarray(A), csr, csr.tocsc()):
        other = nl.sampling.sample_rows(matrix, 1.5, 300, score=score, seed=1)
        np.testing.assert_allclose(other.probabilities, sample.probabilities, rtol=1e-6)
        np.testing.assert_array_equal(other.indices, sample.indices)
    single = nl.sampling.sample_rows(A.astype(np.float32), 1.5, 300, score=score, seed=1)
    for name in ("weights", "scale", "probabilities", "scores"):
        assert getattr(single, name).dtype == np.float32
    scaled = A[sample.indices] * sample.scale[:, np.newaxis]
    np.testing.assert_array_equal(sample.apply(A), scaled)
    np.testing.assert_array_equal(sample.apply(csr).toarray(), scaled)
    np.testing.assert_array_equal(sample.apply(A[:, 0]), scaled[:, 0])
    assert sample.apply(A.astype(np.float32)).dtype == np.float32
    assert repr(sample) == f"RowSample({len(sample)} of 1000 rows by {sample.score!r}, p=1.5)"


@every_score
def test_samples_of_all_matrices(score: Any) -> None:
    for name, A in instances.all_matrices()[::3]:
        for options in OPTIONS.values():
            sample = nl.sampling.sample_rows(A, 3, max(1, len(A) // 3), score=score, seed=2, **options)
            assert np.isfinite(sample.weights).all(), name
            assert np.all(sample.probabilities[sample.indices] > 0), name
