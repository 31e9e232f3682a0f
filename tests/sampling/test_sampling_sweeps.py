"""The claims again with many seeds and at full size, for the nightly script."""

from typing import Any

import numpy as np
import pytest

import nearlinear as nl
from tests.sampling import instances, reference
from tests.sampling.test_sample import OPTIONS, SCORES
from tests.sampling.test_sensitivities import compare_losses

pytestmark = pytest.mark.slow


def mean_is(wanted: Any, found: Any, standard_errors: float = 4) -> bool:
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    return bool(np.all(np.abs(np.mean(found, axis=0) - wanted) <= standard_errors * error + 1e-12))


@pytest.mark.parametrize("condition", [10.0**power for power in range(15)])
def test_leverage_scores(condition: float) -> None:
    for seed in range(3):
        A = instances.with_condition(np.random.default_rng(seed), 5000, 40, condition)
        exact = reference.leverage_scores_longdouble(A)
        Q = np.linalg.qr(A)[0]
        of_qr = np.abs((Q * Q).sum(axis=1) - exact).max()
        error = np.abs(nl.sampling.leverage_scores(A) - exact).max()
        assert error <= max(10 * of_qr, 1e-9 * exact.max() if condition < 1e5 else 0)


@pytest.mark.parametrize("p", [1, 1.1, 1.5, 1.9, 2.5, 3, 3.9, 4, 5, 6, 8, 16, 32])
def test_lewis_weights(p: float) -> None:
    """The certificate of 1e-8 on 400 matrices for each p, rows of all scales among them that leave weights above 0."""
    rng = np.random.default_rng(100)
    matrices = [*instances.random_matrices(350, seed=9, rows=80, columns=8), *instances.adversarial_matrices(9)]
    for decades in (4, 8, 12, 4, 8, 12):
        powers = rng.uniform(-1, 1, (60, 1)) * min(decades, 120 / p)
        matrices.append((f"{decades} decades", rng.standard_normal((60, 4)) * 10.0**powers))
    for name, A in matrices:
        weights: Any = nl.sampling.lewis_weights(A, p, tol=1e-8, maxiter=2000)
        allowed = 1.001e-8 + 1e-15 * instances.condition(A)
        assert reference.lewis_certificate(A, p, weights) <= allowed, (name, A.shape)


@pytest.mark.parametrize("p", [1, 1.2, 1.5, 3, 6])
def test_sensitivities_of_every_row(p: float) -> None:
    for name, A in instances.all_matrices()[::3]:
        values = nl.sampling.sensitivities(A, p)
        for i, value in enumerate(values):
            lower, upper = reference.sensitivity_bounds(A, p, i)
            slack = 1e-9 + 1e-15 * instances.condition(A)
            assert (1 - 1e-6) * lower <= value <= (1 + slack) * upper, (name, A.shape, i)


@pytest.mark.parametrize("p", [1, 1.5, 3])
def test_coreset_of_full_size(p: float) -> None:
    """Within 5 % of exact values for 20000 x 10, for heavy rows and any others."""
    rng = np.random.default_rng(0)
    for A in (instances.heavy_tailed(), rng.standard_normal((20000, 10))):
        rows = np.unique(np.concatenate([np.argsort(-np.abs(A).max(axis=1))[:100], rng.choice(20000, 200)]))
        exact = nl.sampling.sensitivities(A, p, rows=rows)
        by_coreset = nl.sampling.sensitivities(A, p, rows=rows, method="coreset", seed=0)
        assert np.all(by_coreset <= (1 + 1e-6) * exact)
        assert np.all(by_coreset >= 0.95 * exact)
        by_brute_force = reference.brute_force_sensitivities(A, p, 2000, rng)[rows]
        assert np.all(by_brute_force <= (1 + 1e-6) * exact)


@pytest.mark.parametrize("loss", ["huber", "logistic"])
@pytest.mark.parametrize("seed", range(3))
def test_other_losses(loss: Any, seed: int) -> None:
    compare_losses([*instances.random_matrices(seed=seed), *instances.adversarial_matrices(seed)], loss, seed)


@pytest.mark.parametrize("p", [1, 1.5, 3, 6])
def test_total_sensitivity(p: float) -> None:
    """Unbiased, with intervals of two standard errors that hold as often as those of a mean of few values do."""
    for A in (instances.heavy_tailed(1000, 5), np.random.default_rng(1).standard_normal((1000, 5))):
        total = nl.sampling.sensitivities(A, p).sum()
        found = np.array([nl.sampling.total_sensitivity(A, p, n_solves=40, seed=seed) for seed in range(300)])
        estimates, errors = found.T
        assert mean_is(total, estimates)
        assert np.mean(np.abs(estimates - total) <= 2 * errors) > 0.88
        assert estimates.std() <= 1.1 * total * np.sqrt(5 ** abs(p / 2 - 1) / 40)  # the bound of the theory


@pytest.mark.parametrize("p", [1, 1.2, 1.5, 2, 3, 4])
@pytest.mark.parametrize("score", SCORES)
def test_unbiased(p: float, score: Any) -> None:
    """Over 2000 seeds, for 20 directions; what fails by chance, fails with probability 0.002 at the most."""
    A = instances.heavy_tailed(1000, 4, seed=3)
    powers = np.abs(A @ np.random.default_rng(2).standard_normal((4, 20))) ** p
    recurses = score == "root-leverage" and p < 2
    scores = score if recurses else nl.sampling.sample_rows(A, p, 300, score=score, seed=0).scores
    for options in OPTIONS.values():
        found = []
        for seed in range(2000):
            sample = nl.sampling.sample_rows(A, p, 60, score=scores, seed=seed, **options)
            found.append(sample.weights @ powers[sample.indices] / powers.sum(axis=0))
        assert mean_is(1, found, 4.5), options


TABLE = [
    (1, "lewis", 0.196, 0.073),
    (1, "root-leverage", 0.192, 0.081),
    (1.5, "lewis", 0.123, 0.050),
    (1.5, "root-leverage", 0.128, 0.051),
]


@pytest.mark.parametrize(("p", "score", "few", "many"), TABLE)
def test_distortion(p: float, score: Any, few: float, many: float) -> None:
    """The prototypes' distortions, in the mean over 50 samples of each of 4 matrices, and of `auto` no worse."""
    found: dict[int, list[float]] = {200: [], 1000: []}
    for number in range(4):
        A = instances.heavy_tailed(seed=number)
        powers = np.abs(A @ np.random.default_rng(number).standard_normal((10, 400))) ** p
        whole = powers.sum(axis=0)
        for m, distortions in found.items():
            scores = nl.sampling.sample_rows(A, p, m, score=score, seed=0).scores if score == "lewis" else score
            for seed in range(50):
                sample = nl.sampling.sample_rows(A, p, m, score=scores, seed=seed)
                ratios = (sample.weights @ powers[sample.indices] / whole) ** (1 / p)
                distortions.append(float(np.abs(ratios - 1).max()))
    for wanted, distortions in zip((few, many), found.values(), strict=True):
        assert np.mean(distortions) <= 1.05 * wanted + 4 * np.std(distortions) / np.sqrt(len(distortions))
    assert np.mean(found[1000]) < 0.12


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4])
def test_informed_scores_beat_uniform_ones(p: float) -> None:
    """Unbiased are all of them; for heavy tails uniform sampling has errors that no user can live with."""
    A = instances.heavy_tailed()
    powers = np.abs(A @ np.random.default_rng(4).standard_normal((10, 50))) ** p
    deviations = {}
    for score in ("uniform", "leverage", "root-leverage", "lewis"):
        scores = nl.sampling.sample_rows(A, p, 500, score=score, seed=0).scores
        samples = [nl.sampling.sample_rows(A, p, 500, score=scores, seed=seed) for seed in range(300)]
        found = [sample.weights @ powers[sample.indices] / powers.sum(axis=0) for sample in samples]
        if score != "uniform":
            assert mean_is(1, found, 4.5)
        deviations[score] = np.std(found, axis=0).max()
    assert deviations.pop("uniform") > 1.5 * max(deviations.values())


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4])
@pytest.mark.parametrize("score", ["leverage", "root-leverage", "lewis", "sensitivity", "sensitivity+leverage"])
@pytest.mark.parametrize("kind", ["even", "two scales"])
def test_distortion_falls_like_the_root_of_the_number_of_rows(p: float, score: Any, kind: str) -> None:
    """The slope of distortion against m is -1/2 where no probability is clipped, as every theorem has it."""
    rng = np.random.default_rng(5)
    A = rng.uniform(-1, 1, (20000, 4))
    if kind == "two scales":
        A[::2] *= 8
    scores = nl.sampling.sample_rows(A, p, 300, score=score, seed=0).scores
    if score == "root-leverage" and p < 2:
        scores = nl.sampling.leverage_scores(A) ** (p / 2)
    powers = np.abs(A @ rng.standard_normal((4, 200))) ** p
    whole = powers.sum(axis=0)
    sizes, means = [50, 100, 200, 400, 800], []
    for m in sizes:
        distortions = []
        for seed in range(60):
            sample = nl.sampling.sample_rows(A, p, m, score=scores, seed=seed)
            assert sample.probabilities.max() < 1
            ratios = (sample.weights @ powers[sample.indices] / whole) ** (1 / p)
            distortions.append(np.abs(ratios - 1).max())
        means.append(np.mean(distortions))
    slope = np.polyfit(np.log(sizes), np.log(means), 1)[0]
    assert slope < -0.45
    exact = [
        nl.sampling.embedding_distortion(
            A, nl.sampling.sample_rows(A, p, m, score=scores, seed=seed), n_directions=50, seed=0
        )
        for m in (sizes[0], sizes[-1])
        for seed in range(5)
    ]
    assert np.mean(exact[5:]) < 0.35 * np.mean(exact[:5])  # 1/4, and what chance adds


@pytest.mark.parametrize(
    ("p", "score"),
    [(p, score) for p in (1, 1.5, 2, 3) for score in SCORES[1:] if p == 2 or score != "leverage"],
)
def test_eps_is_kept(p: float, score: Any) -> None:
    """With as many rows as the bound of a score and its logarithm ask for, |S A x|_p is within 1 +- eps."""
    for A in (instances.heavy_tailed(20000, 4), np.random.default_rng(6).standard_normal((20000, 4))):
        first = nl.sampling.sample_rows(A, p, eps=0.5, score=score, seed=0)
        recurses = score == "root-leverage" and p < 2
        failures = 0
        for seed in range(20):
            if recurses:
                sample = nl.sampling.sample_rows(A, p, eps=0.5, score=score, seed=seed)
            else:
                m = round(first.expected_size)
                sample = nl.sampling.sample_rows(A, p, m, score=first.scores, seed=seed)
            failures += nl.sampling.embedding_distortion(A, sample, n_directions=50, seed=0) > 0.5
        assert failures <= 4  # more than 4 of 20 have probability 3e-3 where each has 0.05


def test_streams_lose_what_independent_reductions_lose() -> None:
    """The deviation of estimates grows with the root of the number of levels."""
    A = instances.heavy_tailed(16000, 4)
    powers = np.abs(A @ np.random.default_rng(7).standard_normal((4, 20)))
    deviations = []
    for levels in (1, 2, 4):
        n = 500 * 2**levels
        found = []
        for seed in range(150):
            result = nl.sampling.StreamingCoreset(1, 500, seed).partial_fit(A[:n]).result()
            found.append(result.weights @ powers[result.indices] / powers[:n].sum(axis=0))
        assert mean_is(1, found, 4.5)
        deviations.append(np.std(found, axis=0).mean())
    assert deviations[2] < 1.3 * np.sqrt(4) * deviations[0] + 0.02


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_merged_streams_are_unbiased(p: float) -> None:
    """Rows dealt to 5 machines in stretches, merged in any order."""
    rng = np.random.default_rng(8)
    A = instances.heavy_tailed(2000, 3)
    powers = np.abs(A @ rng.standard_normal((3, 10))) ** p
    found = []
    for seed in range(400):
        edges = np.sort(rng.choice(np.arange(1, 2000), 4, replace=False))
        parts = [
            nl.sampling.StreamingCoreset(p, 60, seed).partial_fit(A[begin:end], row_offset=int(begin))
            for begin, end in zip([0, *edges], [*edges, 2000], strict=True)
        ]
        whole = nl.sampling.StreamingCoreset(p, 60, seed)
        for number in rng.permutation(5):
            whole.merge(parts[number])
        result = whole.result()
        assert len(result) == 60
        found.append(result.weights @ powers[result.indices] / powers.sum(axis=0))
    assert mean_is(1, found, 4.5)


@pytest.mark.parametrize("p", [1, 1.2, 1.5, 2, 3])
def test_regression_of_few_rows(p: float) -> None:
    """With 2 % of the rows of [A b], within 3 % of the least value; with as many uniform ones, nothing is sure."""
    rng = np.random.default_rng(9)
    A = instances.heavy_tailed(20000, 5)
    b = A @ rng.standard_normal(5) + rng.standard_t(3, 20000)
    columns = np.column_stack([A, b])
    least = nl.sampling.lp_regression(A, b, p).norm
    excess: dict[str, list[float]] = {"lewis": [], "uniform": []}
    for score, found in excess.items():
        scores = nl.sampling.sample_rows(columns, p, 400, score=score, seed=0).scores
        for seed in range(30):
            sample = nl.sampling.sample_rows(columns, p, 400, score=scores, seed=seed)
            x = nl.sampling.lp_regression(A, b, p, sample=sample).x
            found.append(reference.norm(A @ x - b, p) / least - 1)
    assert np.mean(excess["lewis"]) < 0.03
    assert np.mean(excess["uniform"]) > np.mean(excess["lewis"])


def test_weights_are_for_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(10)
    A = instances.heavy_tailed(20000, 5)
    b = A @ rng.standard_normal(5) + 2 + rng.standard_t(3, 20000)
    rows = nl.sampling.sample_rows(np.column_stack([A, np.ones(20000), b]), 2, 1000, seed=0)
    model = linear_model.LinearRegression().fit(A[rows.indices], b[rows.indices], sample_weight=rows.weights)
    best = linear_model.LinearRegression().fit(A, b)
    assert np.linalg.norm(model.predict(A) - b) < 1.02 * np.linalg.norm(best.predict(A) - b)
    labels = rng.random(20000) < 1 / (1 + np.exp(-(A @ rng.standard_normal(5)) / 5))
    X = A / np.abs(A).max(axis=1, keepdims=True)
    score = np.sqrt(nl.sampling.leverage_scores(np.column_stack([X, np.ones(20000)]))) + 1 / 20000
    some = nl.sampling.sample_rows(X, 1, 2000, score=score, seed=0)
    fits = [
        linear_model.LogisticRegression(C=np.inf).fit(X[some.indices], labels[some.indices], some.weights),
        linear_model.LogisticRegression(C=np.inf).fit(X, labels),
    ]
    losses = [-fit.predict_log_proba(X)[np.arange(20000), labels.astype(int)].mean() for fit in fits]
    assert losses[0] < 1.01 * losses[1]
