"""What each option of completion.complete means, against reference.py."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.completion import instances, reference, variants
from tests.completion.instances import Instance
from tests.completion.test_complete import biased, fit, kkt_residual, model_of, problem_of, weighted

CompletionWarning = nl.completion.CompletionWarning
TIGHT: dict[str, Any] = {"tol": 1e-13, "maxiter": 3000, "seed": 0}


# Biases


@pytest.mark.parametrize("lam", [0.0, 0.1, 5.0])
@pytest.mark.parametrize("has_weights", [False, True])
def test_biases_alone(lam: float, has_weights: bool) -> None:
    instance = biased(0, 40, 30, noise=0.5, lam=lam)
    instance = weighted(instance) if has_weights else instance
    result = fit(instance, 0, tol=1e-12)
    X, mask, W = instance.problem
    wanted = variants.bias_model(X, mask, W, lam)
    assert result.U.shape == (40, 0)
    assert result.V.shape == (30, 0)
    assert (result.rank, result.s.size, result.success) == (0, 0, True)
    assert np.isclose(result.mu, reference.weighted_mean(X, mask, W))
    np.testing.assert_allclose(result.dense(), wanted.dense, atol=1e-4)
    assert np.isclose(result.objective, reference.objective(X, mask, W, wanted, lam), rtol=1e-6)


def test_biases_explain_what_factors_need_not() -> None:
    instance = biased(1, noise=0.1)
    with_biases, without = (fit(instance, 2, biases=biases, lam=0.1) for biases in (True, False))
    assert instance.error(with_biases.dense()) < 0.5 * instance.error(without.dense())
    assert np.isclose(with_biases.mu, instance.values.mean())
    assert without.mu == 0
    assert not without.row_bias.any()


# Weights


@pytest.mark.parametrize("solver", ["als", "cg", "vp", "sketch"])
def test_integer_weights_are_duplicates(solver: Any) -> None:
    """The same objective; and with noise of its own in each copy, their mean."""
    rng = np.random.default_rng(0)
    instance = instances.uniform(40, 30, 2, 3.0, noise=0.3, lam=0.5)
    times = rng.integers(1, 4, len(instance.values))
    rows, cols, values = (np.repeat(part, times) for part in (instance.rows, instance.cols, instance.values))
    order = rng.permutation(len(rows))
    copies = scipy.sparse.coo_array((values[order], (rows[order], cols[order])), instance.shape)
    options: Any = {"rank": 2, "lam": 0.5, "solver": solver, **TIGHT}
    one = nl.completion.complete(instance.coo, weights=times, **options)
    several = nl.completion.complete(copies, duplicates="mean", **options)
    np.testing.assert_allclose(several.dense(), one.dense(), atol=1e-6)
    assert np.isclose(several.objective, one.objective, rtol=1e-9)
    dense = instance.dense_weights
    dense[instance.rows, instance.cols] = times
    X, mask, _ = instance.problem
    wanted = reference.objective(X, mask, dense, model_of(one), 0.5)
    assert np.isclose(one.objective, wanted, rtol=1e-6)


def test_forms_of_weights() -> None:
    """Sparse in any order, dense, and one for each entry in the order in which they are stored."""
    instance = weighted(instances.uniform(31, 24, 2, 2.5, noise=0.1))
    options: Any = {"rank": 2, "lam": 3.0, "seed": 0}
    wanted = nl.completion.complete(instance.coo, weights=instance.weights, **options).U
    places = (instance.rows, instance.cols)
    W = scipy.sparse.coo_array((instance.weights, places), instance.shape)
    order = np.random.default_rng(2).permutation(W.nnz)
    shuffled = scipy.sparse.coo_array((W.data[order], (W.row[order], W.col[order])), W.shape)
    X = instance.coo
    X_shuffled = scipy.sparse.coo_array((X.data[order], (X.row[order], X.col[order])), X.shape)
    by_columns = X.tocsc()
    weights_by_columns = W.tocsc().data
    for given, weights in [
        (X, W),
        (X, W.tocsr()),
        (X, W.tocsc()),
        (X, shuffled),
        (X, instance.dense_weights),
        (X_shuffled, W),
        (X_shuffled, shuffled),
        (X_shuffled, instance.weights[order]),
        (by_columns, weights_by_columns),
        (by_columns, shuffled),
        (instance.dense, W),
        (instance.dense, instance.dense_weights),
        (instance.dense, np.where(instance.mask, instance.dense_weights, np.nan)),
        (instance.dense, instance.dense_weights.tolist()),
    ]:
        np.testing.assert_array_equal(nl.completion.complete(given, weights=weights, **options).U, wanted)


def test_entries_of_weight_zero_are_not_observed() -> None:
    instance = instances.uniform(31, 24, 2, 2.5, noise=0.1)
    ignored = np.zeros(len(instance.values), bool)
    ignored[::7] = True
    kept = ~ignored
    values = np.where(ignored, 1e6, instance.values)
    X = scipy.sparse.coo_array((values, (instance.rows, instance.cols)), instance.shape)
    some = (instance.values[kept], (instance.rows[kept], instance.cols[kept]))
    options: Any = {"rank": 2, "lam": 0.1, "biases": True, "seed": 0}
    found = nl.completion.complete(X, weights=kept.astype(float), **options)
    wanted = nl.completion.complete(
        scipy.sparse.coo_array(some, instance.shape), weights=np.ones(kept.sum()), **options
    )
    np.testing.assert_array_equal(found.U, wanted.U)
    assert found.mu == wanted.mu


# Non-negative factors


@pytest.mark.smoke
def test_nonnegative_factors_satisfy_the_conditions() -> None:
    """The gradient is 0 where a factor is positive, and not negative where it is 0."""
    chosen = [instance for instance in instances.all_instances() if instance.nonnegative]
    assert len(chosen) >= 12
    for instance in chosen[:8]:
        result = fit(instance, tol=1e-12, maxiter=5000)
        assert min(result.U.min(), result.V.min()) >= 0
        assert kkt_residual(instance, result) <= 1e-5, instance.name


def test_nonnegative_factors_are_found() -> None:
    """Parts with entries of 0 are recovered up to their order and scale."""
    rng = np.random.default_rng(0)
    U, V = (np.maximum(rng.standard_normal((size, 2)), 0) for size in (60, 50))
    X = U @ V.T
    mask = instances.uniform_mask(rng, 60, 50, 3, 4.0)
    result = nl.completion.complete(X, 2, mask=mask, nonneg=True, seed=0, maxiter=3000, underdetermined="ridge")
    assert np.linalg.norm(result.dense() - X) <= 1e-4 * np.linalg.norm(X)
    assert (result.U == 0).any()


# Implicit feedback


@pytest.mark.parametrize("solver", ["auto", "als", "cg"])
def test_implicit_feedback(solver: Any) -> None:
    instance = instances.counts()
    result = fit(instance, solver=solver, tol=1e-12, maxiter=3000)
    X = np.where(instance.mask, instance.dense, 0.0)
    value = variants.implicit_objective(X, instance.mask, result.U, result.V, instance.lam)
    assert np.isclose(result.objective, value, rtol=1e-6)
    assert kkt_residual(instance, result) <= 1e-6
    np.testing.assert_allclose(variants.implicit_half_sweep(X, instance.mask, result.V, 0.5), result.U, atol=1e-4)
    start = reference.start(*problem_of(instance), instance.rank)
    model = reference.alternating_minimisation(*problem_of(instance), start, instance.lam, sweeps=30)
    assert value <= (1 + 1e-3) * variants.implicit_objective(X, instance.mask, model.U, model.V, instance.lam)


def test_zeros_of_implicit_feedback() -> None:
    """What has happened 0 times is a weak zero, stored or not."""
    X = scipy.sparse.coo_array(([3.0, 0.0, 2.0], ([0, 0, 1], [0, 1, 1])), (2, 3))
    with pytest.warns(CompletionWarning, match="1 column without entries left out, column 2"):
        result = nl.completion.complete(X, 2, implicit=True, lam=0.1, tol=1e-13, maxiter=3000, seed=0)
    P, C = np.array([[1.0, 0, 0], [0, 1, 0]]), np.array([[4.0, 1, 1], [1, 3, 1]])
    everything = np.ones((2, 3), bool)
    assert reference.kkt_residual(P, everything, C, model_of(result), 0.1) < 1e-5
    assert np.isclose(result.objective, reference.objective(P, everything, C, model_of(result), 0.1), rtol=1e-9)
    few = scipy.sparse.coo_array(([3.0, 2.0], ([0, 1], [0, 1])), (2, 3))
    with pytest.warns(CompletionWarning):
        without = nl.completion.complete(few, 2, implicit=True, lam=0.1, tol=1e-13, maxiter=3000, seed=0)
    np.testing.assert_array_equal(result.U, without.U)
    np.testing.assert_allclose(result.fold_in(X).dense(), result.dense(), atol=1e-6)


# Too few entries


def thin() -> tuple[Instance, Instance]:
    """Row 3 has one entry; and the same without that row."""
    instance = instances.uniform(30, 25, 2, 3.0)
    mask = instance.mask
    mask[3] = np.arange(25) == 7
    other = mask.copy()
    other[3] = False
    return tuple(instances.observe("thin", instance.truth, part) for part in (mask, other))  # type: ignore[return-value]


def test_underdetermined() -> None:
    instance, without = thin()
    with pytest.raises(
        ValueError, match="complete: row 3 has 1 of the 2 entries that its unknowns need, as have 1 rows"
    ):
        nl.completion.complete(instance.coo, 2, seed=0)
    with pytest.warns(CompletionWarning, match="fewer entries than the 2 unknowns of each in 1 row: .*least norm"):
        ridge = nl.completion.complete(instance.coo, 2, underdetermined="ridge", seed=0)
    with pytest.warns(CompletionWarning, match="1 row with too few entries left out, row 3 the first of them"):
        drop = nl.completion.complete(instance.coo, 2, underdetermined="drop", seed=0)
    rest = np.arange(30) != 3
    for result in (ridge, drop):
        np.testing.assert_allclose(result.dense()[rest], instance.truth.dense[rest], atol=1e-5)
    assert np.isclose(ridge.predict(3, 7), instance.truth.dense[3, 7])
    least = abs(instance.truth.dense[3, 7]) / np.linalg.norm(ridge.V[7])
    assert least <= (1 + 1e-6) * np.linalg.norm(ridge.U[3]) <= 1.05 * least
    assert drop.empty_rows.tolist() == [3]
    assert drop.empty_cols.size == 0
    assert not drop.U[3].any()
    with pytest.warns(CompletionWarning, match="left out"):
        alone = nl.completion.complete(without.coo, 2, underdetermined="drop", seed=0)
    np.testing.assert_array_equal(drop.U, alone.U)
    with_ridge = nl.completion.complete(instance.coo, 2, lam=1e-8, seed=0, maxiter=1000)  # nothing to say
    assert with_ridge.empty_rows.size == 0


@pytest.mark.parametrize("biases", [False, True])
def test_dropped_lines_are_those_of_the_core(biases: bool) -> None:
    rng = np.random.default_rng(0)
    truth = instances.gaussian(rng, 40, 30, 2)
    found = 0
    for _ in range(10):
        mask = rng.random((40, 30)) < 0.13
        rows, cols = variants.core_lines(mask, 2 + biases)
        X = np.where(mask, truth.dense, np.nan)
        options: Any = {"underdetermined": "drop", "biases": biases, "seed": 0, "maxiter": 20}
        if not rows.any():
            with pytest.raises(ValueError, match="no row and column of X have enough entries for the rank 2"):
                nl.completion.complete(X, 2, **options)
            continue
        with pytest.warns(CompletionWarning):
            result = nl.completion.complete(X, 2, **options)
        np.testing.assert_array_equal(result.empty_rows, np.flatnonzero(~rows))
        np.testing.assert_array_equal(result.empty_cols, np.flatnonzero(~cols))
        assert not result.U[~rows].any()
        assert not result.V[~cols].any()
        assert not result.row_bias[~rows].any()
        if biases:
            kept = mask & rows[:, np.newaxis] & cols
            assert np.isclose(result.mu, truth.dense[kept].mean())
        found += 1
    assert found >= 5


def test_lines_without_entries() -> None:
    instance = instances.uniform(30, 25, 2, 3.0, noise=0.1)
    X = instance.dense
    X[[4, 9]] = np.nan
    X[:, 11] = np.nan
    message = "2 rows and 1 column without entries left out, row 4 the first of them: their factors are 0"
    with pytest.warns(CompletionWarning, match=message):
        result = nl.completion.complete(X, 2, lam=0.1, biases=True, seed=0)
    assert result.empty_rows.tolist() == [4, 9]
    assert result.empty_cols.tolist() == [11]
    assert not result.U[[4, 9]].any()
    assert not result.V[11].any()
    np.testing.assert_allclose(result.dense()[4], result.mu + result.col_bias)
    assert np.isfinite(result.dense()).all()
    with pytest.raises(
        ValueError, match="complete: row 4 has 0 of the 2 entries that its unknowns need, as have 2 rows"
    ):
        nl.completion.complete(X, 2, seed=0)


def test_too_few_entries_in_all() -> None:
    """Every line has enough, and all together fewer than the degrees of freedom."""
    rng = np.random.default_rng(1)
    mask = instances.row_mask(rng, 20, 20, 3)
    mask |= mask.T
    truth = instances.gaussian(rng, 20, 20, 4)
    with pytest.raises(ValueError, match=r"complete: (row|column) \d+ has|X has \d+ entries, and a matrix of rank 4"):
        nl.completion.complete(truth.dense, 4, mask=mask, seed=0)
    block = np.add.outer(np.arange(9), np.arange(9)) % 3 == 0  # 3 in each line
    with pytest.raises(ValueError, match="X has 27 entries, and a matrix of rank 3 and this shape has 45 degrees"):
        nl.completion.complete(np.ones((9, 9)), 3, mask=block, seed=0)


# Duplicates


@pytest.mark.parametrize(("duplicates", "wanted"), [("mean", 3.0), ("sum", 6.0), ("last", 5.0)])
def test_duplicates(duplicates: Any, wanted: float) -> None:
    """For every format that can hold them."""
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (6, 5))
    rows, cols = np.nonzero(np.ones_like(X))
    twice = np.append(rows, 2), np.append(cols, 3)
    X[2, 3] = 1.0
    stored = scipy.sparse.coo_array((np.append(X.ravel(), 5.0), twice), X.shape)
    csr = scipy.sparse.csr_array(
        (
            np.insert(X.ravel(), 15, 5.0),
            np.insert(cols, 15, 3),
            np.array([0, 5, 10, 16, 21, 26, 31]),
        ),
        X.shape,
    )
    csc = scipy.sparse.csr_array(
        (np.insert(X.T.ravel(), 24, 5.0), np.insert(np.tile(np.arange(6), 5), 24, 2), np.array([0, 6, 12, 18, 25, 31])),
        X.T.shape,
    ).T
    assert csc.format == "csc"
    X[2, 3] = wanted
    weights = np.ones_like(X)
    weights[2, 3] = 2.0 if duplicates == "mean" else 1.0
    options: Any = {"rank": 2, "lam": 0.1, "tol": 1e-12, "maxiter": 2000, "seed": 0}
    single = nl.completion.complete(X, weights=weights, **options)
    for form in (stored, csr, csc):
        with pytest.raises(ValueError, match="complete: X holds the entry in row 2, column 3 2 times; say by"):
            nl.completion.complete(form, **options)
        found = nl.completion.complete(form, duplicates=duplicates, **options)
        np.testing.assert_allclose(found.dense(), single.dense(), atol=1e-6)


def test_duplicates_with_weights() -> None:
    rows, cols = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1])
    X = scipy.sparse.coo_array((np.array([1.0, 4, 2, 3, 6]), (rows, cols)), (2, 2))
    w = np.array([1.0, 3, 1, 1, 1])
    for duplicates, value, weight in [("mean", 13 / 4, 4.0), ("sum", 5.0, 2.0), ("last", 4.0, 3.0)]:
        options: Any = {"rank": 1, "lam": 0.1, "tol": 1e-13, "maxiter": 2000, "seed": 0}
        found = nl.completion.complete(X, weights=w, duplicates=duplicates, **options)
        wanted = nl.completion.complete([[value, 2], [3, 6]], weights=[[weight, 1], [1, 1]], **options)
        np.testing.assert_allclose(found.dense(), wanted.dense(), atol=1e-7)


# Where to begin, and how


def test_init() -> None:
    instance = instances.uniform(60, 50, 3, 3.0, noise=0.01)
    first = fit(instance)
    for init in (first, (first.U, first.V), [first.U.astype(np.float32), first.V.astype(np.float32)]):
        again = fit(instance, init=init)
        assert again.nit < 0.5 * first.nit
        assert not again.used_homotopy
        np.testing.assert_allclose(again.dense(), first.dense(), atol=1e-4)
    found = nl.completion.complete(instance.coo, init=(first.U, first.V), seed=0)  # of their rank
    assert found.rank == 3
    ratings = instances.ratings()
    model = fit(ratings)
    warm = fit(ratings, init=model)
    assert warm.nit < 0.5 * model.nit
    assert np.isclose(warm.objective, model.objective, rtol=1e-6)
    without = fit(instance, init=first, biases=True, lam=0.1)
    assert without.mu != 0


def test_no_path_leads_down_to_a_ridge_above_its_beginning() -> None:
    """lambda neither rises along it, nor is it said to have come down."""
    instance = instances.uniform(30, 25, 2, 3.0, noise=0.1, lam=40.0)
    for homotopy in ("auto", True):
        result = fit(instance, homotopy=homotopy)
        assert np.all(result.history.lam >= 40)
        assert result.used_homotopy == ("homotopy" in result.history.phase)


def test_init_of_another_matrix() -> None:
    """More entries of the same one: the fit goes on."""
    instance = instances.uniform(60, 50, 3, 3.0, seed=1)
    first = fit(instance)
    more = instances.observe("more", instance.truth, instance.mask | (np.random.default_rng(0).random((60, 50)) < 0.1))
    assert fit(more, init=first).nit <= 5


@pytest.mark.parametrize("homotopy", [True, False])
def test_homotopy(homotopy: bool) -> None:
    instance = instances.uniform(60, 50, 3, 3.0, noise=0.1, lam=0.2)
    result = fit(instance, homotopy=homotopy)
    assert result.used_homotopy == homotopy
    assert ("homotopy" in result.history.phase) == homotopy
    assert ("descent" in result.history.phase) is False
    path = result.history.lam[result.history.phase == "homotopy"]
    assert np.all(np.diff(path) <= 0)
    assert np.isclose(result.objective, fit(instance).objective, rtol=1e-5)


def test_seed_of_the_start_does_not_matter_where_all_is_well() -> None:
    instance = instances.uniform(60, 50, 3, 3.0, noise=0.1, lam=0.2)
    values = [fit(instance, seed=seed).objective for seed in range(4)]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)
