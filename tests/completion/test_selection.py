"""What completion.complete chooses itself: lambda, when to end, and the rank."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.completion import instances, reference
from tests.completion.instances import Instance
from tests.completion.test_complete import biased, fit, model_of

CompletionWarning = nl.completion.CompletionWarning
TIGHT: dict[str, Any] = {"tol": 1e-13, "maxiter": 3000, "seed": 0}


# lam="auto" and validation


def noisy(seed: int, k: int = 3) -> Instance:
    return instances.uniform(60, 50, k, 2.5, noise=1.0, seed=seed)


def test_lam_auto() -> None:
    """In the mean no worse by more than some per cent than the best of a grid, which the truth has chosen."""
    ratios = []
    for seed in range(4):
        instance = noisy(seed)
        result = fit(instance, 4, lam="auto")
        grid = [instance.error(fit(instance, 4, lam=lam, tol=1e-6).dense()) for lam in np.geomspace(1, 30, 9)]
        ratios.append(instance.error(result.dense()) / min(grid))
        assert result.success
        assert result.lam > 0
        assert result.validation_rmse > 0
    assert np.mean(ratios) < 1.05
    assert max(ratios) < 1.15


def test_lam_auto_fits_all_entries_in_the_end() -> None:
    instance = noisy(0)
    result = fit(instance, 4, lam="auto")
    X, mask, W = instance.problem
    assert np.isclose(result.objective, reference.objective(X, mask, W, model_of(result), result.lam), rtol=1e-5)
    again = fit(instance, 4, lam=result.lam, homotopy=True, tol=1e-10)
    np.testing.assert_allclose(again.dense(), result.dense(), atol=0.05)
    assert np.all(np.diff(result.history.iteration) >= 1)
    assert result.history.iteration[-1] == result.nit


def test_lam_auto_with_given_entries() -> None:
    instance = noisy(1)
    held = np.arange(0, len(instance.values), 9)
    kept = np.delete(np.arange(len(instance.values)), held)
    X = scipy.sparse.coo_array((instance.values[kept], (instance.rows[kept], instance.cols[kept])), instance.shape)
    entries = instance.rows[held], instance.cols[held], instance.values[held]
    result = nl.completion.complete(X, 4, lam="auto", validation=entries, seed=0, underdetermined="ridge")
    assert result.lam in result.history.lam
    assert result.validation_rmse == result.history.validation_rmse.min()
    errors = result.predict(*entries[:2]) - entries[2]
    assert np.isclose(np.sqrt(np.mean(errors**2)), result.validation_rmse)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("solver", ["auto", "als", "cg", "vp", "sketch"])
def test_early_stop_returns_the_best_model(solver: Any, biases: bool) -> None:
    instance = noisy(2)
    held = np.arange(0, len(instance.values), 8)
    kept = np.delete(np.arange(len(instance.values)), held)
    X = scipy.sparse.coo_array((instance.values[kept], (instance.rows[kept], instance.cols[kept])), instance.shape)
    entries = instance.rows[held], instance.cols[held], instance.values[held]
    options: Any = {"rank": 3, "lam": 0.01, "solver": solver, "biases": biases, "seed": 0, "maxiter": 2000}
    result = nl.completion.complete(X, validation=entries, patience=3, **options)
    best = result.history.validation_rmse.min()
    assert result.validation_rmse == best
    errors = result.predict(*entries[:2]) - entries[2]
    assert np.isclose(np.sqrt(np.mean(errors**2)), best, rtol=1e-9)
    assert result.success
    assert result.status in (0, 3)
    if result.status == 3:
        assert result.message.startswith("the validation error had stopped falling")
    mask = np.zeros(instance.shape, bool)
    mask[X.row, X.col] = True
    R = reference.residual(instance.dense, mask, model_of(result))
    # What the result says of itself is about the model that is returned.
    assert np.isclose(result.training_rmse, np.sqrt(np.mean(R[mask] ** 2)), rtol=1e-9)
    value = reference.objective(instance.dense, mask, 1.0, model_of(result), result.lam)
    assert np.isclose(result.objective, value, rtol=1e-9)


def test_forms_of_validation() -> None:
    instance = noisy(3)
    held = np.arange(0, len(instance.values), 8)
    kept = np.delete(np.arange(len(instance.values)), held)
    X = np.full(instance.shape, np.nan)
    X[instance.rows[kept], instance.cols[kept]] = instance.values[kept]
    rows, cols, values = instance.rows[held], instance.cols[held], instance.values[held]
    matrix = scipy.sparse.coo_array((values, (rows, cols)), instance.shape)
    dense = np.full(instance.shape, np.nan)
    dense[rows, cols] = values
    options: Any = {"rank": 3, "lam": 0.3, "seed": 0}
    wanted = nl.completion.complete(X, validation=(rows, cols, values), **options)
    for form in ([rows, cols, values], matrix, matrix.tocsr(), dense, (rows.tolist(), cols.tolist(), values.tolist())):
        found = nl.completion.complete(X, validation=form, **options)
        np.testing.assert_array_equal(found.U, wanted.U)
        assert np.isclose(found.validation_rmse, wanted.validation_rmse)


@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_held_out_fraction(lam: float) -> None:
    """So many entries, chosen by the seed; rows and columns keep what they need."""
    instance = instances.uniform(60, 50, 3, 3.0, noise=0.1, lam=lam)
    first, again, other = (fit(instance, validation=0.2, seed=seed, underdetermined="raise") for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.U, again.U)
    assert not np.array_equal(first.U, other.U)
    assert np.isfinite(first.validation_rmse)
    seen = first.recommend(0, 50)
    assert sorted(seen.cols) == np.flatnonzero(~instance.mask[0]).tolist()  # what was held out was observed, too
    sparse = instances.observe("a band", instance.truth, np.abs(np.subtract.outer(np.arange(60), np.arange(50))) < 3)
    few = fit(sparse, 1, validation=0.9, lam=0.1, underdetermined="raise")
    assert few.empty_rows.size == np.count_nonzero(~sparse.mask.any(axis=1))


def test_held_out_entries_with_duplicates_and_weights() -> None:
    """No place is both fitted and held out."""
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(20, size=600), rng.integers(15, size=600)
    X = scipy.sparse.coo_array((np.ones(600), (rows, cols)), (20, 15))
    for duplicates in ("mean", "sum", "last"):
        result = nl.completion.complete(
            X, 1, lam=0.1, duplicates=duplicates, validation=0.3, weights=rng.uniform(0, 2, 600), seed=0
        )
        assert np.isfinite(result.validation_rmse)


def test_factors_of_chance_give_way_to_biases() -> None:
    """Where rows and columns have effects of their own and all else is noise; not where there is more to find."""
    kept = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        effects = rng.standard_normal((60, 1)) + rng.standard_normal(50)
        for more in (0.0, rng.standard_normal((60, 2)) @ rng.standard_normal((2, 50))):
            X = effects + more + rng.standard_normal((60, 50))
            X[rng.random(X.shape) < 0.5] = np.nan
            found = nl.completion.complete(X, 2, lam=3.0, biases=True, validation=0.2, seed=seed)
            kept.append(bool(found.s[0] > 0))
            if not kept[-1]:
                np.testing.assert_allclose(found.validation_rmse, found.history.validation_rmse[0])
    assert sum(kept[::2]) <= 3
    assert all(kept[1::2])


# The rank


@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.05])
@pytest.mark.parametrize("k", [1, 3])
def test_rank(noise: float, k: int) -> None:
    """All without noise and most with it; the nightly script counts on more and larger matrices."""
    found = []
    for seed in range(3):
        instance = instances.uniform(45, 40, k, 3.0, noise=noise, seed=seed)
        result = nl.completion.complete(instance.coo, seed=seed)
        found.append(result.rank)
        assert noise > 0 or instance.error(result.dense()) < 1e-5
    assert found.count(k) >= (3 if noise == 0 else 2), found


def test_rank_with_biases() -> None:
    for seed in range(2):
        assert nl.completion.complete(biased(seed, 50, 40, noise=0.01).coo, biases=True, seed=seed).rank == 2


def test_rank_of_full_matrices() -> None:
    for k in (1, 2, 4):
        truth = instances.gaussian(np.random.default_rng(k), 30, 25, k).dense
        assert nl.completion.complete(truth, seed=0).rank == k


def test_rank_that_is_too_large() -> None:
    """Where the entries determine the matrix, columns that are not needed do no harm."""
    instance = instances.uniform(80, 70, 2, 6.0)
    result = fit(instance, 3, lam=1e-6, homotopy=True, maxiter=2000)
    assert instance.error(result.dense()) < 1e-3
    assert result.s[2] < 1e-3 * result.s[1]
