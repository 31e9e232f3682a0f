"""What a fitted model answers: predictions, recommendations, new lines, labels, pictures, copies."""

import copy
import functools
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.completion import instances, reference, variants
from tests.completion.instances import Instance
from tests.completion.test_complete import biased, fit, model_of, problem_of, weighted

RATINGS = instances.ratings()
MODEL = fit(RATINGS)
DENSE = MODEL.dense()


@pytest.mark.smoke
def test_dense_and_predict_are_the_model() -> None:
    for instance in instances.all_instances()[::5]:
        result = fit(instance, maxiter=30)
        wanted = model_of(result).dense
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(result.dense(), wanted, rtol=1e-12, atol=1e-13 * scale)
        rows, cols = np.indices(result.shape)
        np.testing.assert_allclose(result.predict(rows, cols), wanted, rtol=1e-12, atol=1e-13 * scale)


def test_predict_broadcasts() -> None:
    assert isinstance(MODEL.predict(3, 5), float)
    assert np.isclose(MODEL.predict(3, 5), DENSE[3, 5])
    assert np.isclose(MODEL.predict(np.int32(3), np.uint8(5)), DENSE[3, 5])
    np.testing.assert_allclose(MODEL.predict([3, 4, 5], 5), DENSE[[3, 4, 5], 5])
    np.testing.assert_allclose(MODEL.predict(3, (1, 2)), DENSE[3, [1, 2]])
    np.testing.assert_allclose(MODEL.predict([[3], [4]], [5, 6, 7]), DENSE[np.ix_([3, 4], [5, 6, 7])])
    assert MODEL.predict([], []).shape == (0,)
    assert MODEL.predict(np.empty((0, 3), int), 1).shape == (0, 3)
    order = np.arange(6, dtype=">i8")[::-2]
    np.testing.assert_allclose(MODEL.predict(order, order), DENSE[order, order])
    many = np.random.default_rng(0).integers(40, size=10_000)
    for n_threads in (1, 2):
        np.testing.assert_array_equal(MODEL.predict(many, many, n_threads=n_threads), MODEL.predict(many, many))


@pytest.mark.parametrize(
    ("rows", "cols", "error", "message"),
    [
        (60, 0, IndexError, "rows has the entry 60; there are 60 rows"),
        (-1, 0, IndexError, "rows has the entry -1; there are 60 rows"),
        ([0, 1], [0, 40], IndexError, "cols has the entry 40 at index 1; there are 40 columns"),
        ([[0], [61]], 0, IndexError, r"rows has the entry 61 at index \(1, 0\)"),
        (0.5, 0, TypeError, "rows has dtype float64; it must hold integers"),
        (0, "a", TypeError, "cols has dtype <U1"),
        (True, 0, TypeError, "rows has dtype bool"),
        ([0, 1], [0, 1, 2], ValueError, r"rows has shape \(2,\) and cols has shape \(3,\)"),
    ],
)
def test_predict_refuses(rows: Any, cols: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MODEL.predict(rows, cols)
    folded = MODEL.fold_in(RATINGS.dense)
    with pytest.raises(error, match=message):
        folded.predict(rows, cols)


def test_dense_refuses_what_is_too_large() -> None:
    needed = 60 * 40 * 8
    assert MODEL.dense(max_bytes=needed).nbytes == needed
    with pytest.raises(MemoryError, match=rf"shape \(60, 40\) takes {needed} bytes, and max_bytes is {needed - 1}"):
        MODEL.dense(max_bytes=needed - 1)
    np.testing.assert_array_equal(MODEL.dense(None), DENSE)


# Recommendations


@pytest.mark.parametrize("filter_seen", [True, False])
def test_recommend(filter_seen: bool) -> None:
    for row in range(60):
        best = np.argsort(-DENSE[row], kind="stable")
        if filter_seen:
            best = best[~RATINGS.mask[row, best]]
        for n in (1, 5, 40, 1000):
            found = MODEL.recommend(row, n, filter_seen)
            np.testing.assert_array_equal(found.cols, best[:n])
            np.testing.assert_allclose(found.scores, DENSE[row, best[:n]])


def test_recommend_for_many_rows() -> None:
    """Where fewer columns are left, -1 and -inf stand for them."""
    rows = [7, 0, 7]
    found = MODEL.recommend(rows, 35)
    assert found.cols.shape == found.scores.shape == (3, 35)
    for row, cols, scores in zip(rows, *found, strict=True):
        one = MODEL.recommend(row, 35)
        left = len(one.cols)
        np.testing.assert_array_equal(cols[:left], one.cols)
        np.testing.assert_array_equal(scores[:left], one.scores)
        assert np.all(cols[left:] == -1)
        assert np.all(scores[left:] == -np.inf)
    assert (found.cols == -1).any()
    assert MODEL.recommend([], 3).cols.shape == (0, 3)


def test_equal_scores_are_in_the_order_of_columns() -> None:
    result = nl.completion.complete(np.tile([[1.0, 3, 1, 3, 1]], (4, 1)), 0, biases=True, lam=1.0, seed=0)
    assert result.recommend(2, 5, filter_seen=False).cols.tolist() == [1, 3, 0, 2, 4]
    assert result.recommend(2, 5).cols.size == 0


@pytest.mark.parametrize(
    ("row", "n", "error", "message"),
    [
        (60, 3, IndexError, "row has the entry 60; there are 60 rows"),
        ([0, -1], 3, IndexError, "row has the entry -1 at index 1"),
        ([[0]], 3, ValueError, r"row has shape \(1, 1\)"),
        (0, 0, ValueError, "n is 0; it must be at least 1"),
        (0, 2.5, TypeError, "n is 2.5"),
        (0.0, 1, TypeError, "row has dtype float64"),
    ],
)
def test_recommend_refuses(row: Any, n: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MODEL.recommend(row, n)


def test_places_of_duplicates_and_of_zeros_were_seen() -> None:
    rows, cols = np.array([0, 0, 1, 1, 2, 0]), np.array([1, 1, 0, 2, 1, 2])
    X = scipy.sparse.coo_array((np.array([1.0, 3, 2, 0, 4, 0]), (rows, cols)), (3, 4))
    with pytest.warns(nl.completion.CompletionWarning, match="1 column without entries left out, column 3"):
        result = nl.completion.complete(X, 1, lam=0.1, duplicates="mean", seed=0)
    assert sorted(result.recommend(0, 9).cols) == [0, 3]
    assert sorted(result.recommend(1, 9).cols) == [1, 3]


# New lines


def lines_of(instance: Instance, lines: Any, axis: int) -> tuple[Any, Any]:
    """Some rows, or columns, and their weights."""
    X, W = instance.dense, instance.dense_weights
    return (X[lines], W[lines]) if axis == 0 else (X[:, lines], W[:, lines])


@pytest.mark.smoke
@pytest.mark.parametrize("axis", [0, 1])
def test_fold_in(axis: Any) -> None:
    """Other entries than those that were fitted, against the reference."""
    rng = np.random.default_rng(axis)
    for instance in instances.all_instances()[::3]:
        if instance.implicit or max(instance.shape) > 100 or instance.lam == 0:
            continue
        result = fit(instance, maxiter=30)
        lines = 5
        shape = (lines, instance.shape[1]) if axis == 0 else (instance.shape[0], lines)
        mask = rng.random(shape) < 0.5
        scale = np.abs(instance.values).max() or 1.0
        X = np.where(mask, scale * rng.standard_normal(shape), np.nan)
        if instance.nonnegative:
            X = np.abs(X)
        W = rng.uniform(0.5, 2, shape)
        step = variants.nonnegative_half_sweep if instance.nonnegative else reference.half_sweep
        new = (X, mask, W) if axis == 0 else (X.T, mask.T, W.T)
        U, b = variants.fold_in(*new, model_of(result), instance.lam, axis=axis, biases=instance.biases, step=step)
        folded = result.fold_in(X, axis, weights=W)
        size = np.abs(U).max(initial=0.0) + np.abs(b).max(initial=0.0)
        name = instance.name
        np.testing.assert_allclose(folded.factors, U, rtol=0, atol=1e-6 * size, err_msg=name)
        np.testing.assert_allclose(folded.bias, b, rtol=0, atol=1e-6 * size, err_msg=name)
        assert folded.shape == shape
        assert folded.axis == axis


@functools.cache
def converged() -> list[tuple[Instance, Any]]:
    made = (
        instances.uniform(40, 30, 2, 3.0, noise=0.1, lam=0.5),
        weighted(instances.uniform(40, 30, 2, 3.0, noise=0.1, lam=0.5)),
        biased(0, 40, 30, noise=0.1, lam=0.5),
        weighted(biased(1, 30, 40, noise=0.1, lam=0.5)),
        RATINGS,
    )
    return [(instance, fit(instance, tol=1e-12, maxiter=2000)) for instance in made]


@pytest.mark.parametrize("axis", [0, 1])
def test_fold_in_equals_refit(axis: Any) -> None:
    """Lines that were fitted get the factors that they have: at the minimum, each is the best for the others."""
    for instance, result in converged():
        lines = np.array([4, 0, 17])
        X, W = lines_of(instance, lines, axis)
        folded = result.fold_in(X, axis, weights=W)
        factors, bias = (result.U, result.row_bias) if axis == 0 else (result.V, result.col_bias)
        np.testing.assert_allclose(folded.factors, factors[lines], atol=1e-5 * np.abs(factors).max())
        np.testing.assert_allclose(folded.bias, bias[lines], atol=1e-5)
        wanted = result.dense()[lines] if axis == 0 else result.dense()[:, lines]
        np.testing.assert_allclose(folded.dense(), wanted, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_fold_in_of_nonnegative_and_of_implicit_models(axis: Any) -> None:
    rng = np.random.default_rng(0)
    truth = np.maximum(rng.standard_normal((40, 2)), 0) @ np.maximum(rng.standard_normal((2, 30)), 0)
    counts = instances.counts()
    for X, model in (
        (truth, nl.completion.complete(truth, 2, lam=0.1, nonneg=True, tol=1e-13, maxiter=5000, seed=0)),
        (counts.coo.tocsr(), fit(counts, tol=1e-13, maxiter=5000)),
    ):
        folded = model.fold_in(X, axis)
        factors = model.U if axis == 0 else model.V
        np.testing.assert_allclose(folded.factors, factors, atol=1e-4 * np.abs(factors).max())
        assert X is not truth or folded.factors.min() >= 0
    problem = problem_of(counts)
    wanted = variants.fold_in(*(problem if axis == 0 else (p.T for p in problem)), model_of(model), 0.5, axis=axis)[0]
    np.testing.assert_allclose(folded.factors, wanted, atol=1e-8)


@pytest.mark.parametrize("axis", [0, 1])
def test_storage_of_new_lines_does_not_matter(axis: Any) -> None:
    X, _ = lines_of(RATINGS, slice(3, 9), axis)
    rows, cols = np.nonzero(~np.isnan(X))
    order = np.random.default_rng(0).permutation(len(rows))
    coo = scipy.sparse.coo_array((X[rows, cols][order], (rows[order], cols[order])), X.shape)
    wanted = MODEL.fold_in(X, axis)
    for form in (coo, coo.tocsr(), coo.tocsc(), scipy.sparse.csr_matrix(coo), np.asfortranarray(X), X.tolist()):
        found = MODEL.fold_in(form, axis)
        np.testing.assert_allclose(found.factors, wanted.factors, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found.bias, wanted.bias, rtol=1e-12, atol=1e-13)
    masked = MODEL.fold_in(np.nan_to_num(X), axis, mask=~np.isnan(X))
    np.testing.assert_array_equal(masked.factors, wanted.factors)


def test_predictions_for_new_lines() -> None:
    X = RATINGS.dense[:4]
    folded = MODEL.fold_in(X)
    dense = MODEL.mu + folded.bias[:, np.newaxis] + MODEL.col_bias + folded.factors @ MODEL.V.T
    np.testing.assert_allclose(folded.dense(), dense)
    np.testing.assert_allclose(folded.predict([[0], [3]], [1, 2]), dense[np.ix_([0, 3], [1, 2])])
    found = folded.recommend(2, 40)
    assert not set(found.cols) & set(np.flatnonzero(~np.isnan(X[2])))
    assert repr(folded) == "FoldIn(4 new rows of a model of rank 2)"
    columns = MODEL.fold_in(RATINGS.dense[:, :1], axis=1)
    np.testing.assert_allclose(columns.dense()[:, 0], MODEL.mu + MODEL.row_bias + columns.bias + MODEL.U @ columns.V[0])
    assert repr(columns) == "FoldIn(1 new column of a model of rank 2)"


def test_lines_without_entries_are_zero() -> None:
    X = np.full((2, 40), np.nan)
    X[1, 3] = 5.0
    folded = MODEL.fold_in(X)
    assert not folded.factors[0].any()
    assert folded.bias[0] == 0
    np.testing.assert_allclose(folded.dense()[0], MODEL.mu + MODEL.col_bias)
    assert MODEL.fold_in(np.empty((0, 40))).dense().shape == (0, 40)


def test_fewer_entries_than_unknowns_get_the_solution_of_least_norm() -> None:
    instance = instances.uniform(40, 30, 4, 3.0)
    result = fit(instance)
    X = np.full((1, 30), np.nan)
    X[0, [3, 8]] = [1.0, -2.0]
    folded = result.fold_in(X)
    wanted = np.linalg.lstsq(result.V[[3, 8]], [1.0, -2.0], rcond=None)[0]
    np.testing.assert_allclose(folded.factors[0], wanted, atol=1e-5)


@pytest.mark.parametrize("case", range(14))
def test_fold_in_refuses(case: int) -> None:
    X = RATINGS.dense[:3]
    csr = RATINGS.coo.tocsr()[:3]
    twice = scipy.sparse.coo_array((np.ones(3), ([0, 1, 1], [2, 5, 5])), (3, 40))
    infinite = scipy.sparse.coo_array(([1.0, np.nan], ([0, 2], [2, 5])), (3, 40))
    call: Any = MODEL.fold_in
    attempt, error, message = [
        (lambda: call(X[:, 1:]), ValueError, r"X_new has shape \(3, 39\) and X had 40 columns"),
        (lambda: call(X, 1), ValueError, r"X_new has shape \(3, 40\) and X had 60 rows"),
        (lambda: call(X, 2), ValueError, "axis is 2; it must be 0 or 1"),
        (lambda: call(X[0]), ValueError, r"X_new has shape \(40,\); it must have 2 dimensions"),
        (lambda: call(np.where(X == 4, np.inf, X)), ValueError, r"X_new has the entry inf at index \(\d, \d+\)"),
        (lambda: call(infinite), ValueError, r"X_new has the entry nan at index \(2, 5\); it must be finite"),
        (lambda: call(twice), ValueError, "fold_in: X_new holds the entry in row 1, column 5 2 times"),
        (lambda: call(X, weights=-np.ones((3, 40))), ValueError, r"weights has the entry -1.0 at index \(0, \d+\)"),
        (lambda: call(X, weights=np.ones((2, 40))), ValueError, r"weights has shape \(2, 40\) and X_new has shape"),
        (lambda: call(X + 1j), TypeError, "X_new has dtype complex128"),
        (lambda: call(np.ma.masked_array(X)), TypeError, "X_new is a masked array"),
        (lambda: call(csr, mask=np.ones((3, 40), bool)), TypeError, "mask is for dense arrays, and X_new is sparse"),
        (lambda: call(X, n_threads=0), ValueError, "n_threads is 0; it must be at least 1"),
        (lambda: call(X, callback=3), TypeError, "callback is 3"),
    ][case]
    with pytest.raises(error, match=message):
        attempt()


# Copies and pictures


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies(dtype: Any) -> None:
    result = fit(RATINGS, dtype=dtype)
    folded = result.fold_in(RATINGS.dense[:3])
    rows, cols = np.indices(result.shape)
    for twin in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        np.testing.assert_array_equal(twin.dense(), result.dense())
        np.testing.assert_array_equal(twin.predict(rows, cols), result.predict(rows, cols))
        np.testing.assert_array_equal(twin.recommend(3, 5).cols, result.recommend(3, 5).cols)
        np.testing.assert_array_equal(twin.fold_in(RATINGS.dense[:3]).factors, folded.factors)
        np.testing.assert_array_equal(twin.history.objective, result.history.objective)
        assert twin.message == result.message
        assert not twin.U.flags.writeable
    for twin in (pickle.loads(pickle.dumps(folded)), copy.deepcopy(folded)):
        np.testing.assert_array_equal(twin.predict(1, cols[0]), folded.predict(1, cols[0]))
        np.testing.assert_array_equal(twin.recommend(1, 5).cols, folded.recommend(1, 5).cols)


def test_plot() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = MODEL.plot()
    assert axes.get_ylabel() == "root mean square error"
    assert [line.get_label() for line in axes.get_lines()] == ["training"]
    watched = fit(RATINGS, validation=0.2, homotopy=True)
    again = watched.plot(axes.figure.add_subplot())
    assert {line.get_label() for line in again.get_lines()} == {"training", "validation"}
    axes.figure.canvas.draw()


# Labels


def frame(pandas: Any, index: Any, columns: Any) -> Any:
    return pandas.DataFrame(RATINGS.dense, index=index, columns=columns)


def test_labels() -> None:
    pandas = pytest.importorskip("pandas")
    users, films = [f"user {i}" for i in range(60)], [f"film {j}" for j in range(40)]
    X = frame(pandas, users, films)
    result = nl.completion.complete(X, 2, biases=True, lam=2.0, seed=0)
    np.testing.assert_array_equal(result.dense(), DENSE)
    assert list(result.row_labels) == users
    assert list(result.col_labels) == films
    assert "row_labels: 60 labels" in repr(result)
    assert np.isclose(result.predict("user 3", "film 5"), DENSE[3, 5])
    assert np.isclose(result.predict(3, 5), DENSE[3, 5])
    np.testing.assert_allclose(result.predict(["user 3", "user 9"], "film 5"), DENSE[[3, 9], 5])
    np.testing.assert_allclose(result.predict(np.array([["user 3"], ["user 9"]]), films), DENSE[[3, 9]])
    np.testing.assert_allclose(result.predict(X.index[:3], X.columns[:3]), DENSE[range(3), range(3)])
    for row in ("user 7", 7):
        best = MODEL.recommend(7, 4)
        found = result.recommend(row, 4)
        assert list(found.cols) == [films[j] for j in best.cols]
        np.testing.assert_allclose(found.scores, best.scores)
    several = result.recommend(["user 7", "user 0"], 39).cols
    assert several[0, 0] == films[MODEL.recommend(7, 1).cols[0]]
    assert several[0, -1] is None
    with pytest.raises(KeyError, match=r"rows has the entry 'user 60'.*which is the label of no row"):
        result.predict("user 60", "film 5")
    with pytest.raises(KeyError, match="cols has the entry 'film 40' at index 1, which is the label of no column"):
        result.predict("user 6", ["film 5", "film 40"])
    with pytest.raises(IndexError, match="rows has the entry 60; there are 60 rows"):
        result.predict(60, 5)
    twin = pickle.loads(pickle.dumps(result))
    assert list(twin.recommend("user 7", 4).cols) == list(result.recommend("user 7", 4).cols)


def test_labels_that_are_numbers() -> None:
    """Then integers are labels, and positions nowhere."""
    pandas = pytest.importorskip("pandas")
    X = frame(pandas, np.arange(100, 160), np.arange(40)[::-1])
    result = nl.completion.complete(X, 2, biases=True, lam=2.0, seed=0)
    assert np.isclose(result.predict(103, 5), DENSE[3, 34])
    np.testing.assert_allclose(result.predict(np.array([103, 104]), [5, 6]), DENSE[[3, 4], [34, 33]])
    np.testing.assert_array_equal(result.recommend(107, 4).cols, 39 - MODEL.recommend(7, 4).cols)
    with pytest.raises(KeyError, match="rows has the entry 3"):
        result.predict(3, 5)


def test_labels_of_several_levels_and_of_dates() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.MultiIndex.from_product([["a", "b"], range(30)])
    X = frame(pandas, index, pandas.date_range("2024-01-01", periods=40))
    result = nl.completion.complete(X, 2, biases=True, lam=2.0, seed=0)
    day = pandas.Timestamp("2024-01-06")
    assert np.isclose(result.predict(("b", 3), day), DENSE[33, 5])
    np.testing.assert_allclose(result.predict([("b", 3), ("a", 1)], day), DENSE[[33, 1], 5])
    assert result.recommend(("b", 3), 1).cols.shape == (1,)


def test_labels_that_stand_twice() -> None:
    pandas = pytest.importorskip("pandas")
    X = frame(pandas, ["same"] * 60, [f"film {j}" for j in range(40)])
    result = nl.completion.complete(X, 2, biases=True, lam=2.0, seed=0)
    assert np.isclose(result.predict(3, "film 5"), DENSE[3, 5])
    with pytest.raises(ValueError, match="rows cannot be found by labels, some of which stand for several rows"):
        result.predict("same", "film 5")


def test_labels_of_new_lines() -> None:
    pandas = pytest.importorskip("pandas")
    users, films = [f"user {i}" for i in range(60)], [f"film {j}" for j in range(40)]
    X = frame(pandas, users, films)
    result = nl.completion.complete(X, 2, biases=True, lam=2.0, seed=0)
    new = X.iloc[:2].rename(index={"user 0": "new", "user 1": "newer"})
    folded = result.fold_in(new)
    assert list(folded.row_labels) == ["new", "newer"]
    assert list(folded.col_labels) == films
    assert np.isclose(folded.predict("newer", "film 3"), folded.dense()[1, 3])
    column = X[["film 0"]].rename(columns={"film 0": "new"})
    folded = result.fold_in(column, axis=1)
    assert np.isclose(folded.predict("user 5", "new"), folded.dense()[5, 0])
    np.testing.assert_array_equal(result.fold_in(X.to_numpy()[:2]).factors, result.fold_in(new).factors)
    with pytest.raises(ValueError, match="X_new has other labels of columns than X, or in another order"):
        result.fold_in(new[films[::-1]])
    with pytest.raises(ValueError, match="X_new has other labels of rows than X, or in another order"):
        result.fold_in(column.iloc[::-1], axis=1)


def test_frames_of_masks_weights_and_validation() -> None:
    pandas = pytest.importorskip("pandas")
    users, films = [f"user {i}" for i in range(60)], [f"film {j}" for j in range(40)]
    X = frame(pandas, users, films)
    options: Any = {"rank": 2, "biases": True, "lam": 2.0, "seed": 0}
    filled = X.fillna(0.0)
    np.testing.assert_array_equal(nl.completion.complete(filled, mask=X.notna(), **options).dense(), DENSE)
    ones = pandas.DataFrame(np.ones((60, 40)), users, films)
    np.testing.assert_allclose(nl.completion.complete(X, weights=ones, **options).dense(), DENSE, rtol=1e-10)
    pairs = nl.completion.complete(X, validation=(["user 3", "user 4"], ["film 0", "film 1"], [1.0, 2.0]), **options)
    places = nl.completion.complete(X, validation=([3, 4], [0, 1], [1.0, 2.0]), **options)
    assert pairs.validation_rmse == places.validation_rmse
    for name, value in (("mask", X.notna()), ("weights", ones), ("validation", X)):
        with pytest.raises(ValueError, match=f"{name} has other labels of rows than X, or in another order"):
            nl.completion.complete(X, **{name: value.iloc[::-1]}, **options)


def test_types_of_frames() -> None:
    """Integers that may be missing have a type of their own."""
    pandas = pytest.importorskip("pandas")
    X = frame(pandas, None, None)
    options: Any = {"rank": 2, "biases": True, "lam": 2.0, "seed": 0}
    for dtype in ("Int64", "Float64", "float32"):
        result = nl.completion.complete(X.astype(dtype), **options)
        np.testing.assert_allclose(result.dense(), DENSE, rtol=1e-5)
    with pytest.raises(TypeError, match="X has the column 1 of dtype"):
        nl.completion.complete(X.astype({1: str}), **options)
    with pytest.raises(TypeError, match="X has the column 2 of dtype"):
        nl.completion.complete(X.astype({2: "category"}), **options)
