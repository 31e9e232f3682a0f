"""The claims again with many seeds and at full size, for the nightly script."""

from typing import Any

import numpy as np
import pytest

import nearlinear as nl
from tests.completion import determined, instances, reference, variants
from tests.completion.test_complete import check_balance, check_history, fit, kkt_residual, model_of, problem_of
from tests.completion.test_recovery import floor, identifiable, recovered

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("solver", ["als", "cg", "vp", "sketch"])
@pytest.mark.parametrize("seed", range(2))
def test_every_solver_on_everything(solver: Any, seed: int) -> None:
    """200 random and all adversarial instances: at a stationary point, if there is time enough."""
    for instance in [*instances.random_instances(200, seed), *instances.adversarial_instances(seed)]:
        if (instance.nonnegative and solver != "als") or (instance.implicit and solver in ("vp", "sketch")):
            continue
        result = fit(instance, solver=solver, maxiter=5000)
        assert all(np.isfinite(part).all() for part in (*model_of(result), result.s)), instance.name
        if not instance.nonnegative:
            check_balance(result)
        X, mask, W = problem_of(instance)
        size = reference.objective(X, mask, W, reference.factors_only(0 * result.U, 0 * result.V), 0.0)
        check_history(result, instance.lam, size)
        if result.status == 0 and instance.name != "one entry":  # of which the minimum is 0
            assert kkt_residual(instance, result) <= 1e-3, instance.name
        value = reference.objective(X, mask, W, model_of(result), instance.lam)
        assert np.isclose(value, result.objective, rtol=1e-9, atol=1e-20 * size), instance.name


@pytest.mark.parametrize("solver", ["auto", "als", "cg", "vp"])
def test_no_worse_than_alternating_minimisation(solver: Any) -> None:
    """From the same start, and where the reference has converged, no objective is above it."""
    for instance in [*instances.random_instances(200, 1), *instances.adversarial_instances(1)]:
        if instance.nonnegative or instance.implicit or instance.lam < 0.05 or max(instance.shape) > 100:
            continue
        X, mask, W = instance.problem
        start = reference.start(X, mask, W, instance.rank, biases=instance.biases)
        model = start.transposed
        values = [np.inf]
        for _ in range(10):
            model = reference.alternating_minimisation(
                X.T, mask.T, W.T, model, instance.lam, sweeps=10, biases=instance.biases
            )
            values.append(reference.objective(X, mask, W, model.transposed, instance.lam))
        found = fit(instance, init=(start.U, start.V), solver=solver, tol=1e-11, maxiter=5000)
        value = reference.objective(X, mask, W, model_of(found), instance.lam)
        if values[-2] - values[-1] < 1e-9 * values[-1]:
            assert value <= (1 + 1e-6) * values[-1], instance.name


@pytest.mark.parametrize(("ratio", "least"), [(1.2, 0.6), (1.3, 0.8), (1.5, 1.0), (2.0, 1.0)])
def test_recovery_at_300(ratio: float, least: float) -> None:
    """50 seeds each, of those whose entries determine the matrix."""
    chosen = identifiable(50, 300, 5, ratio)
    assert len(chosen) >= 30
    found = sum(map(recovered, chosen))
    assert found >= least * len(chosen), f"{found} of {len(chosen)}"


@pytest.mark.parametrize(("ratio", "least"), [(1.2, 0.9), (1.5, 1.0)])
def test_recovery_at_1000(ratio: float, least: float) -> None:
    """50 seeds each; here nearly all are identifiable, which takes too long to find out."""
    made = [instances.uniform(1000, 1000, 10, ratio, seed=seed) for seed in range(50)]
    found = sum(map(recovered, made))
    assert found >= least * len(made), f"{found} of {len(made)}"


def test_recovery_at_10000() -> None:
    rng = np.random.default_rng(0)
    m, k = 10_000, 10
    U, V = (rng.standard_normal((m, k)) for _ in range(2))
    count = round(1.5 * k * (2 * m - k))
    rows, cols = np.divmod(rng.choice(m * m, count, replace=False), m)
    few = np.flatnonzero(np.bincount(rows, minlength=m) < k + 1), np.flatnonzero(np.bincount(cols, minlength=m) < k + 1)
    rows = np.concatenate([rows, np.repeat(few[0], k + 1), rng.integers(m, size=(k + 1) * len(few[1]))])
    cols = np.concatenate([cols, rng.integers(m, size=(k + 1) * len(few[0])), np.repeat(few[1], k + 1)])
    places = np.unique(rows * m + cols)
    rows, cols = np.divmod(places, m)
    X: Any = instances.scipy.sparse.coo_array(((U[rows] * V[cols]).sum(axis=1), (rows, cols)), (m, m))
    result = nl.completion.complete(X, k, seed=0, maxiter=2000)
    i, j = rng.integers(m, size=(2, 200_000))
    truth = (U[i] * V[j]).sum(axis=1)
    assert np.linalg.norm(result.predict(i, j) - truth) < 1e-5 * np.linalg.norm(truth)


@pytest.mark.parametrize("ratio", [4.0, 15.0])
@pytest.mark.parametrize("relative", [1e-6, 1e-3, 1e-1])
def test_errors_of_every_half_sweep_leave_a_floor(ratio: float, relative: float) -> None:
    for seed in range(3):
        instance = instances.uniform(500, 500, 5, ratio, seed=seed)
        assert floor(instance, relative, "sketch", 25) <= 3 * relative


@pytest.mark.parametrize("solver", ["auto", "als", "cg", "vp", "sketch"])
def test_errors_reach_the_bound_for_noise(solver: Any) -> None:
    """Within 3 % of Cramer's and Rao's bound in the mean of 10 seeds."""
    ratios = []
    for seed in range(10):
        instance = instances.uniform(150, 140, 4, 3.0, noise=1e-3, seed=seed)
        bound = determined.cramer_rao_rmse(instance.truth.U, instance.truth.V, instance.mask, 1e-3)
        errors = (fit(instance, solver=solver, maxiter=2000).dense() - instance.truth.dense)[~instance.mask]
        ratios.append(np.sqrt(np.mean(errors**2)) / bound)
    assert np.mean(ratios) < 1.03


@pytest.mark.filterwarnings("ignore::nearlinear.completion.CompletionWarning")  # where the rank is too large
@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
def test_rank(noise: float, k: int) -> None:
    """Found in at least 17 of 20 cases."""
    found = []
    for seed in range(20):
        instance = instances.uniform(100, 90, k, 3.0, noise=noise, seed=seed)
        found.append(nl.completion.complete(instance.coo, seed=seed).rank)
    assert sum(rank == k for rank in found) >= 17, found


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_lam_auto(noise: float) -> None:
    """In the mean within 5 % of the best of a grid, which the truth has chosen; 10 % where noise is all there is."""
    ratios = []
    for seed in range(15):
        instance = instances.uniform(80, 70, 3, 3.0, noise=noise, seed=seed)
        grid = [instance.error(fit(instance, 6, lam=lam).dense()) for lam in np.geomspace(0.05, 50, 20)]
        ratios.append(instance.error(fit(instance, 6, lam="auto").dense()) / min(grid))
    assert np.mean(ratios) < (1.1 if noise == 3.0 else 1.05), ratios


def test_dropped_lines_are_those_of_the_core() -> None:
    rng = np.random.default_rng(1)
    truth = instances.gaussian(rng, 60, 50, 3)
    for _ in range(100):
        mask = rng.random((60, 50)) < rng.uniform(0.1, 0.2)
        rows, cols = variants.core_lines(mask, 3)
        if not rows.any():
            continue
        made = instances.observe("thin", truth, mask)
        result = fit(made, underdetermined="drop", maxiter=5)
        np.testing.assert_array_equal(result.empty_rows, np.flatnonzero(~rows))
        np.testing.assert_array_equal(result.empty_cols, np.flatnonzero(~cols))
