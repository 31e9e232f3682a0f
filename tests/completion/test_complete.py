"""completion.complete against reference.py: what it returns, for every kind of matrix, storage and solver."""

import functools
import logging
import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import nearlinear as nl
from tests.completion import instances, reference, variants
from tests.completion.instances import Instance
from tests.completion.reference import Array, Model

SOLVERS = ("auto", "als", "cg", "vp", "sketch")
every_solver = pytest.mark.parametrize("solver", SOLVERS)
INSTANCE = instances.uniform(31, 24, 2, 2.5, noise=0.1, seed=3)


def fit(instance: Instance, rank: int | None = None, **options: Any) -> Any:
    """Complete what is observed, without warnings of lines that have too few entries."""
    given = {
        "weights": instance.weights,
        "lam": instance.lam,
        "biases": instance.biases,
        "nonneg": instance.nonnegative,
        "implicit": instance.implicit,
        "seed": 0,
        "underdetermined": "ridge",
        **options,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nl.completion.CompletionWarning)
        return nl.completion.complete(instance.coo, instance.rank if rank is None else rank, **given)


def model_of(result: Any) -> Model:
    return Model(result.U, result.V, result.mu, result.row_bias, result.col_bias)


def problem_of(instance: Instance) -> tuple[Array, Any, Array]:
    """What reference.py minimises: of implicit feedback another problem with all entries."""
    X, mask, W = instance.problem
    return variants.implicit_problem(np.where(mask, X, 0.0), mask) if instance.implicit else (X, mask, W)


def kkt_residual(instance: Instance, result: Any) -> float:
    options = {"biases": instance.biases, "nonnegative": instance.nonnegative}
    return reference.kkt_residual(*problem_of(instance), model_of(result), instance.lam, **options)


def check_balance(result: Any) -> None:
    """Factors share their columns' squares, which are the singular values."""
    U, V, s = (np.asarray(part, float) for part in (result.U, result.V, result.s))
    scale = s.max(initial=0.0) or 1.0
    assert np.all(np.diff(s) <= 0)
    np.testing.assert_allclose(U.T @ U / scale, np.diag(s) / scale, atol=1e-11)
    np.testing.assert_allclose(V.T @ V / scale, np.diag(s) / scale, atol=1e-11)


def check_history(result: Any, lam: float, size: float) -> None:
    """One line for each iteration, and with one lambda the objective, `size` for a model of 0, never really rises."""
    history = result.history
    assert history.iteration[0] == 1
    assert history.iteration[-1] == result.nit
    assert np.all(np.diff(history.iteration) >= 1)
    assert set(history.phase) <= {"biases", "descent", "plain", "homotopy", "polish", "projection"}
    # Of the model that is returned: its columns are balanced, which makes the ridge terms a little less. Without a
    # ridge, products may cancel, and rounding is what is left of them.
    rounding = 1e-9 if lam > 0 else 1e-3
    assert result.objective <= (1 + rounding) * history.objective[-1] + 1e-20 * size
    assert history.lam[-1] == lam
    assert np.all(history.lam >= lam)
    assert np.all(np.diff(history.seconds) >= 0)
    assert result.used_homotopy or "homotopy" not in history.phase
    same = (history.lam[1:] == history.lam[:-1]) & (history.phase[1:] == history.phase[:-1])
    before, after = history.objective[:-1][same], history.objective[1:][same]
    assert np.all(after <= (1 + 1e-9) * before + 1e-20 * size)


@pytest.mark.smoke
def test_everything() -> None:
    """200 random and all adversarial instances: finite and balanced, at a stationary point of the objective."""
    for instance in instances.all_instances():
        result = fit(instance, maxiter=2000)
        model = model_of(result)
        X, mask, W = problem_of(instance)
        assert result.success, instance.name
        assert result.shape == instance.shape
        assert result.rank == instance.rank == len(result.s)
        assert result.lam == instance.lam
        assert all(np.isfinite(part).all() for part in (*model, result.s)), instance.name
        if instance.nonnegative:
            assert min(result.U.min(), result.V.min()) >= 0
            singular_values = reference.singular_values(result.U, result.V)
            np.testing.assert_allclose(result.s, singular_values, rtol=1e-7, atol=1e-9 * singular_values[0])
        else:
            check_balance(result)
        size = reference.objective(X, mask, W, reference.factors_only(0 * model.U, 0 * model.V), 0.0)
        check_history(result, instance.lam, size)
        assert kkt_residual(instance, result) <= 1e-4, instance.name
        value = reference.objective(X, mask, W, model, instance.lam)
        assert np.isclose(result.objective, value, rtol=1e-9, atol=1e-20 * size), instance.name
        if not instance.implicit:
            R = reference.residual(X, mask, model)
            size = np.abs(X[mask]).max()
            rmse = size * np.sqrt(
                np.average((R[mask] / (size or 1)) ** 2, weights=reference.weight_matrix(mask, W)[mask])
            )
            assert np.isclose(result.training_rmse, rmse, rtol=1e-7, atol=1e-13 * size), instance.name


@pytest.mark.smoke
@every_solver
def test_recovery_without_noise(solver: Any) -> None:
    for instance in (
        instances.uniform(70, 60, 3, 3.0),
        instances.uniform(60, 50, 1, 3.0, seed=1),
        instances.uniform(90, 70, 12, 2.5, seed=2),
        weighted(instances.uniform(70, 60, 3, 3.0, seed=3)),
        biased(4),
        weighted(biased(5)),
    ):
        result = fit(instance, solver=solver, underdetermined="raise")
        assert result.success
        assert instance.error(result.dense()) < 1e-6, instance.name


def weighted(instance: Instance) -> Instance:
    weights = np.random.default_rng(9).uniform(0.1, 10, len(instance.values))
    return instances.replace(instance, weights=weights)


def biased(seed: int, m: int = 70, n: int = 60, *, noise: float = 0.0, lam: float = 0.0) -> Instance:
    rng = np.random.default_rng(seed)
    truth, mask = instances.with_biases(rng, m, n, 2), instances.uniform_mask(rng, m, n, 4, 3.0)
    return instances.observe("biases", truth, mask, biases=True, noise=noise, rng=rng, lam=lam)


@functools.cache
def convex_problems() -> list[tuple[Instance, float, Model]]:
    """
    A ridge that leaves fewer singular values than columns, for which the problem is the convex one of the nuclear norm,
    and its minimum.
    """
    problems = []
    for instance in (
        instances.uniform(24, 20, 2, 3.0, noise=0.3),
        weighted(instances.uniform(20, 24, 2, 3.0, noise=0.3, seed=1)),
        biased(2, 24, 20, noise=0.3),
    ):
        X, mask, W = instance.problem
        mu = reference.weighted_mean(X, mask, W) if instance.biases else 0.0
        lam = 0.35 * float(np.linalg.norm(reference.weight_matrix(mask, W) * np.where(mask, X - mu, 0), 2))
        path: Any = {"biases": instance.biases, "stages": 3, "sweeps": 10}
        problems.append((instance, lam, reference.ridge_homotopy(X, mask, W, 4, lam, **path)))
    return problems


@every_solver
def test_solvers_agree_where_the_minimum_is_unique(solver: Any) -> None:
    for instance, lam, model in convex_problems():
        found = fit(instance, 4, solver=solver, lam=lam, tol=1e-12, maxiter=5000)
        X, mask, W = instance.problem
        wanted = reference.objective(X, mask, W, model, lam)
        assert np.isclose(reference.objective(X, mask, W, model_of(found), lam), wanted, rtol=1e-8)
        np.testing.assert_allclose(found.dense(), model.dense, atol=1e-4 * np.abs(model.dense).max())


@pytest.mark.parametrize("sweeps", [1, 2])
def test_sweeps_are_those_of_the_reference(sweeps: int) -> None:
    """From the same start, V before U, with exact half sweeps."""
    rng = np.random.default_rng(0)
    for instance in instances.all_instances()[::3]:
        if instance.nonnegative or instance.implicit or instance.lam == 0:
            continue
        start = instances.gaussian(rng, *instance.shape, instance.rank)
        found = fit(instance, init=(start.U, start.V), solver="als", tol=0.0, maxiter=sweeps)
        assert (found.status, found.nit) == (1, sweeps)
        X, mask, W = instance.problem
        mu = reference.weighted_mean(X, mask, W) if instance.biases else 0.0
        model = start._replace(mu=mu).transposed
        model = reference.alternating_minimisation(
            X.T, mask.T, W.T, model, instance.lam, sweeps=sweeps, biases=instance.biases
        ).transposed
        wanted = reference.objective(X, mask, W, model, instance.lam)
        if instance.biases:  # after each sweep, what rows and columns have in common is shared between them
            assert found.history.objective[-1] <= (1 + 1e-9) * wanted, instance.name
            continue
        assert np.isclose(found.history.objective[-1], wanted, rtol=1e-9), instance.name
        scale = np.abs(model.dense).max()
        np.testing.assert_allclose(found.dense(), model.dense, rtol=0, atol=1e-7 * scale, err_msg=instance.name)


@pytest.mark.parametrize("sweeps", [3, 6])
def test_accelerated_sweeps_are_those_of_the_reference(sweeps: int) -> None:
    rng = np.random.default_rng(0)
    for instance in instances.all_instances()[::3]:
        if instance.nonnegative or instance.implicit or instance.biases or instance.lam == 0:
            continue
        start = instances.gaussian(rng, *instance.shape, instance.rank)
        found = fit(instance, init=(start.U, start.V), solver="als", tol=0.0, maxiter=sweeps)
        X, mask, W = instance.problem
        model = reference.accelerated_minimisation(X, mask, W, start, instance.lam, sweeps=sweeps)
        wanted = reference.objective(X, mask, W, model, instance.lam)
        assert np.isclose(found.history.objective[-1], wanted, rtol=1e-5), instance.name
        np.testing.assert_allclose(
            found.dense(), model.dense, rtol=0, atol=1e-3 * np.abs(model.dense).max(), err_msg=instance.name
        )


def test_acceleration_saves_half_of_the_sweeps() -> None:
    """Of those that plain alternating minimisation needs for the same objective, in the mean of 5 seeds."""
    shares = []
    for seed in range(5):
        instance = instances.uniform(40, 40, 3, 2.5, seed=seed, noise=1e-3)
        X, mask, W = instance.problem
        start = reference.start(X, mask, W, instance.rank)
        found = fit(instance, init=(start.U, start.V), solver="als", lam=1e-4)
        plain = start.transposed
        sweeps = 0
        while reference.objective(X.T, mask.T, W.T, plain, 1e-4) > (1 + 1e-6) * found.objective and sweeps < 500:
            plain = reference.alternating_minimisation(X.T, mask.T, W.T, plain, 1e-4, sweeps=1)
            sweeps += 1
        shares.append(found.nit / sweeps)
    assert np.mean(shares) <= 0.5, shares


@functools.cache
def references_minima() -> list[tuple[Instance, Model, float]]:
    """Problems, where to start, and the objective after many exact sweeps."""
    minima = []
    for instance in (
        instances.uniform(24, 20, 2, 3.0, noise=0.2, lam=1.0),
        weighted(instances.uniform(20, 24, 2, 3.0, noise=0.2, seed=1, lam=1.0)),
        biased(2, 24, 20, noise=0.3, lam=2.0),
        instances.ratings(30, 20, lam=3.0),
    ):
        X, mask, W = instance.problem
        start = reference.start(X, mask, W, instance.rank, biases=instance.biases)
        model = reference.alternating_minimisation(
            X.T, mask.T, W.T, start.transposed, instance.lam, sweeps=80, biases=instance.biases
        )
        minima.append((instance, start, reference.objective(X, mask, W, model.transposed, instance.lam)))
    return minima


@pytest.mark.parametrize("solver", ["auto", "als", "cg", "vp"])
def test_no_worse_than_alternating_minimisation(solver: Any) -> None:
    """From the same start, no objective is above that of the reference."""
    for instance, start, wanted in references_minima():
        found = fit(instance, init=(start.U, start.V), solver=solver, tol=1e-12, maxiter=3000)
        value = reference.objective(*instance.problem, model_of(found), instance.lam)
        assert value <= (1 + 1e-9) * wanted


def test_sketched_sweeps_minimise_what_exact_ones_do() -> None:
    for instance in (instances.uniform(60, 50, 3, 4.0, noise=0.1), biased(1, noise=0.1, lam=0.5)):
        exact, sketched = (fit(instance, solver=solver, maxiter=2000) for solver in ("als", "sketch"))
        np.testing.assert_allclose(sketched.dense(), exact.dense(), atol=1e-3)
        assert np.isclose(sketched.objective, exact.objective, rtol=1e-5)


# Seeds, threads, instruction sets


@every_solver
def test_seeds(solver: Any) -> None:
    options: Any = {"rank": 2, "solver": solver}
    wanted = nl.completion.complete(INSTANCE.coo, seed=7, **options)
    again = nl.completion.complete(INSTANCE.coo, seed=7, **options)
    np.testing.assert_array_equal(again.U, wanted.U)
    drawn = [nl.completion.complete(INSTANCE.coo, seed=np.random.default_rng(5), **options).U for _ in range(2)]
    np.testing.assert_array_equal(*drawn)
    nl.completion.complete(INSTANCE.coo, seed=None, **options)


def large(seed: int) -> Instance:
    rng = np.random.default_rng(seed)
    mask = instances.uniform_mask(rng, 500, 400, 6, 3.0)
    truth = instances.with_biases(rng, 500, 400, 4)
    weights = rng.uniform(0.5, 2, (500, 400))
    return instances.observe("large", truth, mask, rng=rng, noise=0.1, weights=weights, lam=0.1, biases=True)


@every_solver
def test_number_of_threads_does_not_matter(solver: Any) -> None:
    """To the last bit."""
    instance = large(0)
    one, *others = (fit(instance, solver=solver, maxiter=12, n_threads=n_threads) for n_threads in (1, 2, 4))
    for other in others:
        for name in ("U", "V", "s", "row_bias", "col_bias", "objective"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name))
        np.testing.assert_array_equal(other.history.objective, one.history.objective)
    new = [one.fold_in(instance.coo, weights=instance.weights, n_threads=n_threads).factors for n_threads in (1, 2, 4)]
    np.testing.assert_array_equal(new[1], new[0])
    np.testing.assert_array_equal(new[2], new[0])


SCRIPT = """
import numpy as np
import nearlinear as nl
rng = np.random.default_rng(0)
truth = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 200))
X = np.where(rng.random(truth.shape) < 0.3, truth + 0.01 * rng.standard_normal(truth.shape), np.nan)
for solver in ("auto", "als", "cg", "vp", "sketch"):
    options = {"solver": solver, "biases": True, "seed": 0, "maxiter": 60}
    found = [nl.completion.complete(X, 3, n_threads=n, **options) for n in (1, 2, 4)]
    assert all(np.array_equal(one.U, found[0].U) and np.array_equal(one.V, found[0].V) for one in found)
    assert np.sqrt(np.mean((found[0].dense() - truth) ** 2)) < 0.004
print("ok")
"""


@pytest.mark.parametrize("isa", ["base", "v3"])
def test_lower_instruction_sets(isa: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "NEARLINEAR_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "ok\n", done.stderr


# What ends a fit, and what is seen of it


def test_callback_sees_the_history() -> None:
    steps: list[Any] = []
    result = nl.completion.complete(INSTANCE.coo, 2, seed=0, callback=steps.append)
    assert len(steps) == len(result.history)
    for step, line in zip(steps, result.history, strict=True):
        assert isinstance(step, nl.completion.CompletionStep)
        for name in step._fields:
            np.testing.assert_equal(getattr(step, name), line[name])


@every_solver
def test_callback_stops(solver: Any) -> None:
    for last in (1, 3):
        options: Any = {"lam": 0.1, "biases": True, "seed": 0, "solver": solver}
        result = nl.completion.complete(INSTANCE.coo, 2, callback=lambda step: step.iteration == last, **options)  # noqa: B023
        assert (result.nit, result.status, result.success) == (last, 2, False)
        assert result.message == "stopped by the callback"
        assert np.isfinite(result.dense()).all()


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_exceptions_of_the_callback_come_out(error: type[BaseException]) -> None:
    def callback(step: Any) -> None:
        if step.iteration == 2:
            raise error("from the callback")

    with pytest.raises(error, match="from the callback"):
        nl.completion.complete(INSTANCE.coo, 2, seed=0, callback=callback)


def test_maxiter() -> None:
    with pytest.warns(nl.completion.CompletionWarning, match="complete: maxiter iterations were not enough"):
        result = nl.completion.complete(INSTANCE.coo, 2, seed=0, maxiter=3)
    assert (result.nit, result.status, result.success) == (3, 1, False)
    assert result.message == "maxiter iterations were not enough"


def test_tol() -> None:
    """The residual falls to tol of the entries and, with noise, the objective settles to tol / 100 of itself."""
    exact = instances.uniform(60, 50, 3, 3.0)
    errors = []
    for tol in (1e-3, 1e-6, 1e-10):
        result = fit(exact, tol=tol)
        size = np.sqrt(np.mean(exact.values**2))
        assert result.training_rmse <= tol * size
        errors.append(exact.error(result.dense()))
    assert errors == sorted(errors, reverse=True)
    few, many = (fit(INSTANCE, tol=tol, solver="als").nit for tol in (1e-3, 1e-10))
    assert few < many


def test_verbose(caplog: Any, capfd: Any) -> None:
    with caplog.at_level(logging.INFO, logger="nearlinear"):
        result = nl.completion.complete(INSTANCE.coo, 2, seed=0, verbose=True)
    assert "complete: 100 % done" in caplog.text
    assert result.success
    pytest.importorskip("tqdm")
    nl.completion.complete(INSTANCE.coo, 2, seed=0, verbose="progress")
    assert "complete: 100 %" in capfd.readouterr().err


def test_result_looks_like_scipys() -> None:
    result = nl.completion.complete(INSTANCE.coo, 2, seed=0)
    assert result["rank"] == result.rank == 2
    assert "history" not in repr(result).replace("_history", "")
    for name in ("success", "status", "message", "nit", "U", "V", "s", "mu", "lam", "objective", "training_rmse"):
        assert name in result.keys()  # noqa: SIM118
        assert f"{name}: " in repr(result)
    assert np.isnan(result.validation_rmse)
    assert result.row_labels is None
    assert not result.row_bias.any()
    assert result.mu == 0
    for part in (result.U, result.V, result.row_bias, result.col_bias):
        assert not part.flags.writeable


def test_a_matrix_of_one_entry() -> None:
    assert np.isclose(nl.completion.complete([[-4.0]], 1, seed=0).dense()[0, 0], -4)
    assert nl.completion.complete([[-4.0]], 0, biases=True, seed=0).dense()[0, 0] == -4
