"""Sensitivities against convex programs that are solved by others, brute force, and the inequalities between scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import nearlinear as nl
from tests.sampling import instances, reference

EXPONENTS = (1, 1.2, 1.5, 3, 6)
every_exponent = pytest.mark.parametrize("p", EXPONENTS)


@pytest.mark.smoke
@every_exponent
def test_exact_to_a_millionth(p: float) -> None:
    """A row of each of 200 random and all adversarial matrices, against enclosures."""
    rng = np.random.default_rng(0)
    for name, A in instances.all_matrices()[:: 1 if p in (1, 3) else 2]:
        i = int(rng.integers(len(A)))
        value = nl.sampling.sensitivities(A, p, rows=[i])[0]
        lower, upper = reference.sensitivity_bounds(A, p, i)
        assert value >= (1 - 1e-6) * lower, (name, A.shape, i, value / lower - 1)
        assert value <= (1 + 1e-9 + 1e-15 * instances.condition(A)) * upper, (name, A.shape, i, value / upper - 1)


@every_exponent
def test_exact_with_many_rows(p: float) -> None:
    """Where a sample makes the guess, and for p = 1 most signs are fixed."""
    A = instances.heavy_tailed(5000, 3)
    rows = [*np.argsort(-np.abs(A).max(axis=1))[:3], 17, 4999]
    values = nl.sampling.sensitivities(A, p, rows=rows)
    for i, value in zip(rows, values, strict=True):
        lower, upper = reference.sensitivity_bounds(A, p, i)
        assert (1 - 1e-6) * lower <= value <= (1 + 1e-9) * upper, (i, value / lower - 1, value / upper - 1)


@every_exponent
def test_inequalities(p: float) -> None:
    """
    Those of Woodruff and Yasuda, and Chen and Derezinski; no direction has more than the sensitivity.

    d^min(p/2 - 1, 0) w <= s <= d^max(p/2 - 1, 0) w; s <= tau^(p/2) (p < 2), s <= n^(p/2 - 1) tau^(p/2) (p > 2);
    sum s <= d^max(1, p/2).
    """
    rng = np.random.default_rng(1)
    for name, A in instances.all_matrices()[::2]:
        s = nl.sampling.sensitivities(A, p)
        w = nl.sampling.lewis_weights(A, p, tol=1e-8)
        tau = nl.sampling.leverage_scores(A)
        n, d = len(A), round(tau.sum())
        slack = 1 + 1e-6 + 1e-14 * instances.condition(A)
        least, most = d ** min(p / 2 - 1, 0), d ** max(p / 2 - 1, 0)
        bounds = {
            "brute force": (reference.brute_force_sensitivities(A, p, 200, rng), s),
            "Lewis": (s, most * w),
            "Lewis from below": (least * w, s),
            "leverage": (s, n ** max(p / 2 - 1, 0) * tau ** (p / 2)),
            "sum": (s.sum(), d * most),
            "one": (s, 1.0),
        }
        for kind, (smaller, larger) in bounds.items():
            assert np.all(smaller <= slack * np.asarray(larger) + 1e-300), (name, A.shape, kind)
        np.testing.assert_array_equal(s > 0, A.any(axis=1), err_msg=name)


def test_p_2_are_leverage_scores() -> None:
    for name, A in instances.all_matrices():
        scores = nl.sampling.leverage_scores(A)
        allowed = 1e-12 * instances.condition(A)
        np.testing.assert_allclose(nl.sampling.sensitivities(A, 2), scores, rtol=0, atol=allowed, err_msg=name)


@every_exponent
def test_they_depend_on_the_space_of_columns_alone(p: float) -> None:
    rng = np.random.default_rng(2)
    A = rng.standard_t(2.5, (80, 3))
    values = nl.sampling.sensitivities(A, p)
    order, signs, copies = rng.permutation(80), rng.choice([-1.0, 1.0], (80, 1)), rng.integers(1, 4, 80)
    same: list[tuple[Any, Any]] = [
        (A @ rng.standard_normal((3, 3)), values),
        (1e-30 * A, values),
        (signs * A, values),
        (A[order], values[order]),
        (np.hstack([A, A[:, :2]]), values),
        (np.vstack([A, np.zeros((2, 3))]), np.append(values, [0, 0])),
        (np.repeat(A * copies[:, np.newaxis] ** (-1 / p), copies, axis=0), np.repeat(values / copies, copies)),
    ]
    for matrix, wanted in same:
        np.testing.assert_allclose(nl.sampling.sensitivities(matrix, p), wanted, rtol=1e-6)


def test_rows_are_those_asked_for() -> None:
    A = instances.heavy_tailed(100, 3)
    for options in ({"p": 1.5}, {"p": 2}, {"p": 1, "method": "bucket", "seed": 0}, {"p": None, "loss": "huber"}):
        values = nl.sampling.sensitivities(A, **options)
        rows = np.array([99, 5, 5, 0])
        np.testing.assert_array_equal(nl.sampling.sensitivities(A, rows=rows, **options), values[rows])
        np.testing.assert_array_equal(nl.sampling.sensitivities(A, rows=[], **options), [])


@pytest.mark.parametrize("p", [1, 1.5, 3])
def test_coreset_is_within_5_percent(p: float) -> None:
    rng = np.random.default_rng(3)
    for A in (instances.heavy_tailed(4000, 6), rng.standard_normal((4000, 6))):
        rows = np.unique(np.concatenate([np.argsort(-np.abs(A).max(axis=1))[:20], rng.choice(4000, 40)]))
        exact = nl.sampling.sensitivities(A, p, rows=rows)
        for seed in range(3):
            values = nl.sampling.sensitivities(A, p, rows=rows, method="coreset", seed=seed)
            ratio = values / exact
            assert ratio.min() >= 0.95, seed
            assert ratio.max() <= 1 + 1e-6, seed  # evaluated with all rows: from below


@pytest.mark.parametrize("p", [1, 1.5, 3])
@pytest.mark.parametrize("alpha", [None, 1, 7])
def test_buckets_give_upper_bounds(p: float, alpha: int | None) -> None:
    """Of all but one row in 256, and sums are alpha^max(1, p) times larger at most."""
    A = instances.heavy_tailed(200, 3)
    exact = nl.sampling.sensitivities(A, p)
    below = []
    for seed in range(3 if alpha is None else 1):
        values = nl.sampling.sensitivities(A, p, method="bucket", alpha=alpha, seed=seed)
        below.append(values < (1 - 1e-6) * exact)
        assert values.sum() <= (1 + 1e-6) * (alpha or 32) ** max(1, p) * exact.sum()
    assert np.mean(below) <= 0.01
    if alpha == 1:
        np.testing.assert_allclose(values, exact, rtol=1e-6)


@pytest.mark.parametrize("loss", ["huber", "logistic"])
def test_other_losses(loss: Any) -> None:
    """From below, exact to 1e-3 or so."""
    matrices = instances.all_matrices()
    compare_losses([*matrices[:5], *matrices[200::8]], loss, 4)


def compare_losses(matrices: list[tuple[str, Any]], loss: Any, seed: int) -> None:
    """A row of each, which is not 0, against a fine grid of convex programs, which may itself miss a ten-thousandth."""
    rng = np.random.default_rng(seed)
    for name, A in matrices:
        i = int(rng.choice(np.flatnonzero(A.any(axis=1))))
        value = nl.sampling.sensitivities(A, None, loss=loss, rows=[i])[0]
        wanted = reference.loss_sensitivity(A, i, loss)
        assert (1 - 2e-3) * wanted <= value <= (1 + 1e-4) * wanted, (name, A.shape, i, value / wanted - 1)


@pytest.mark.parametrize(
    ("loss", "matrix", "row"), [("logistic", 5, 1), ("logistic", 45, 1), ("logistic", 145, 6), ("huber", 75, 18)]
)
def test_other_losses_of_rows_of_all_scales(loss: Any, matrix: int, row: int) -> None:
    name, A = instances.all_matrices()[matrix]
    assert name == "rows scaled"
    value = nl.sampling.sensitivities(A, None, loss=loss, rows=[row])[0]
    np.testing.assert_allclose(value, reference.loss_sensitivity(A, row, loss), rtol=2e-3)


@pytest.mark.parametrize("loss", ["huber", "logistic"])
def test_other_losses_with_many_rows(loss: Any) -> None:
    A = instances.heavy_tailed(1500, 3)
    wanted = reference.loss_sensitivity(A, 3, loss)
    cases: list[tuple[Any, int]] = [("exact", 0), ("exact", 1), ("coreset", 0), ("coreset", 1), ("coreset", 2)]
    for method, seed in cases:
        value = nl.sampling.sensitivities(A, None, loss=loss, rows=[3], method=method, seed=seed)[0]
        assert (1 - (2e-3 if method == "exact" else 0.05)) * wanted <= value <= (1 + 1e-5) * wanted, value / wanted - 1


def test_hubers_loss_lies_between_squares_and_magnitudes() -> None:
    for A in (instances.heavy_tailed(200, 3), np.random.default_rng(5).standard_normal((150, 4))):
        values = nl.sampling.sensitivities(A, None, loss="huber")
        tau, of_magnitudes = nl.sampling.leverage_scores(A), nl.sampling.sensitivities(A, 1)
        assert np.all(values >= (1 - 2e-3) * np.maximum(tau, of_magnitudes))
        assert np.all(values <= 1)


def test_rows_of_zeros_count_for_logistic_loss() -> None:
    """Each adds log 2 to the loss of whatever x; that is its share, and it lessens the shares of others."""
    A = np.array([[1.0, 0], [0, 1], [0, 0], [-1, 0], [0, 0]])
    values = nl.sampling.sensitivities(A, None, loss="logistic")
    wanted = [reference.loss_sensitivity(A, i, "logistic") for i in range(5)]
    np.testing.assert_allclose(values, wanted, rtol=2e-3)


def test_equal_rows_share_logistic_loss() -> None:
    for A in (np.repeat(np.eye(3), 4, axis=0), scipy.linalg.hadamard(16)[:, :4]):
        values = nl.sampling.sensitivities(A, None, loss="logistic")
        np.testing.assert_allclose(values, np.full(len(A), 0.25), rtol=2e-3)


@pytest.mark.parametrize("p", [1, 1.5, 3])
def test_total(p: float) -> None:
    """Within 4 standard errors over 60 seeds, each of which has an error of its own that is right."""
    A = instances.heavy_tailed(400, 4)
    total = nl.sampling.sensitivities(A, p).sum()
    found = np.array([nl.sampling.total_sensitivity(A, p, n_solves=20, seed=1000 + seed) for seed in range(60)])
    estimates, errors = found.T
    assert abs(estimates.mean() - total) < 4 * estimates.std(ddof=1) / np.sqrt(60)
    assert 0.7 < np.sqrt((errors**2).mean()) / estimates.std(ddof=1) < 1.4
    by_default = nl.sampling.total_sensitivity(A, p, seed=0)
    assert abs(by_default.estimate - total) < 4 * by_default.standard_error
    by_coreset = nl.sampling.total_sensitivity(A, p, method="coreset", seed=1)
    assert abs(by_coreset.estimate - total) < 4 * by_coreset.standard_error + 0.05 * total


def test_total_for_p_2_is_the_rank() -> None:
    A = np.random.default_rng(6).standard_normal((100, 4))
    assert nl.sampling.total_sensitivity(np.hstack([A, A]), 2) == (4, 0)
    assert nl.sampling.total_sensitivity(np.zeros((9, 2)), 1) == (0, 0)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 6])
def test_largest(p: float) -> None:
    for name, A in instances.all_matrices()[::4]:
        largest = nl.sampling.max_sensitivity(A, p)
        assert np.isclose(largest, nl.sampling.sensitivities(A, p).max(), rtol=1e-6), (name, A.shape)


def test_largest_of_few_programs_says_what_is_left() -> None:
    A = np.random.default_rng(7).standard_normal((500, 4))
    with pytest.warns(RuntimeWarning, match="after 2 convex programs other rows may have up to") as caught:
        value = nl.sampling.max_sensitivity(A, 1, max_solves=2)
    bound = float(str(caught[0].message).split("up to ")[1].split(";")[0])
    assert value <= nl.sampling.max_sensitivity(A, 1) <= bound


def functions_of_sensitivities() -> dict[str, Callable[..., Any]]:
    calls: dict[str, Callable[..., Any]] = {}
    for p in (1, 3):
        calls[f"exact, p={p}"] = lambda A, p=p, **options: nl.sampling.sensitivities(A, p, rows=[0, 5, 99], **options)
        calls[f"coreset, p={p}"] = lambda A, p=p, **options: nl.sampling.sensitivities(
            A, p, rows=range(60), method="coreset", seed=1, **options
        )
    calls["bucket"] = lambda A, **options: nl.sampling.sensitivities(
        A, 1.5, method="bucket", alpha=200, seed=2, **options
    )
    for loss in ("huber", "logistic"):
        calls[loss] = lambda A, loss=loss, **options: nl.sampling.sensitivities(
            A, None, loss=loss, rows=range(3), **options
        )
    calls["total"] = lambda A, **options: nl.sampling.total_sensitivity(A, 1, n_solves=5, seed=3, **options)
    calls["max"] = lambda A, **options: nl.sampling.max_sensitivity(A, 3, **options)
    return calls


@pytest.mark.parametrize("function", functions_of_sensitivities())
def test_threads_do_not_matter(function: str) -> None:
    A = instances.heavy_tailed(3000, 4)
    call = functions_of_sensitivities()[function]
    one = call(A, n_threads=1)
    for threads in (2, 4):
        np.testing.assert_array_equal(call(A, n_threads=threads), one)


@pytest.mark.smoke
@pytest.mark.parametrize("function", functions_of_sensitivities())
def test_kinds_of_input_agree(function: str) -> None:
    A = instances.heavy_tailed(300, 3) * (np.random.default_rng(8).random((300, 3)) < 0.5)
    call = functions_of_sensitivities()[function]
    wanted = call(A)
    csr = scipy.sparse.csr_array(A)
    for matrix in (np.asfortranarray(A), A[::-1].copy()[::-1], csr, csr.tocsc(), csr.tocoo()):
        np.testing.assert_allclose(call(matrix), wanted, rtol=1e-6)
    single = A.astype(np.float32)
    values = np.asarray(call(single))
    np.testing.assert_allclose(values, call(single.astype(float)), rtol=1e-6)
    assert function in ("total", "max") or values.dtype == np.float32
