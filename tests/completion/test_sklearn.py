"""nearlinear.sklearn.MatrixCompletion, where scikit-learn is installed."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.completion import instances

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils import estimator_checks  # noqa: E402

from nearlinear.sklearn import MatrixCompletion  # noqa: E402

RATINGS = instances.ratings()
X = RATINGS.dense
MISSING = np.isnan(X)
DENSER = np.round(3 + np.random.default_rng(0).standard_normal((60, 40)) + RATINGS.truth.b[:, np.newaxis])
DENSER[::3, ::4] = np.nan


def fitted(**options: Any) -> Any:
    return MatrixCompletion(**{"rank": 2, "lam": 2.0, "random_state": 0, **options}).fit(X)


def test_fit_is_complete() -> None:
    model = fitted(tol=1e-8)
    result = nl.completion.complete(X, 2, lam=2.0, biases=True, seed=model._seed())
    np.testing.assert_array_equal(model.completion_.dense(), result.dense())
    np.testing.assert_array_equal(model.components_, result.V.T)
    assert (model.rank_, model.lam_, model.n_iter_, model.n_features_in_) == (2, 2.0, result.nit, 40)


def test_transform_fills_what_is_missing() -> None:
    model = fitted(tol=1e-12)
    filled = model.transform(X)
    np.testing.assert_array_equal(filled[~MISSING], X[~MISSING])
    np.testing.assert_allclose(filled[MISSING], model.completion_.dense()[MISSING], atol=1e-4)
    np.testing.assert_array_equal(model.fit_transform(X), filled)
    complete = np.ones((3, 40))
    np.testing.assert_array_equal(model.transform(complete), complete)
    one = model.transform(X[:1])
    np.testing.assert_allclose(one[0], filled[0])
    assert np.isnan(X).sum() == MISSING.sum()  # nothing was written


def test_sparse_input_and_float32() -> None:
    model = fitted()
    for form in (RATINGS.coo, RATINGS.coo.tocsr(), RATINGS.coo.tocsc()):
        same = MatrixCompletion(2, lam=2.0, random_state=0).fit(form)
        np.testing.assert_array_equal(same.components_, model.components_)
        np.testing.assert_allclose(same.transform(form), model.transform(X), rtol=1e-10)
    small = MatrixCompletion(2, lam=2.0, random_state=0).fit(X.astype(np.float32))
    assert small.components_.dtype == small.transform(X.astype(np.float32)).dtype == np.float32


def test_predict() -> None:
    model = fitted()
    dense = model.completion_.dense()
    rows, cols = np.array([0, 5, 7]), np.array([3, 3, 9])
    np.testing.assert_allclose(model.predict((rows, cols)), dense[rows, cols])
    every = model.predict(X[:5])
    np.testing.assert_allclose(every, model.completion_.fold_in(X[:5]).dense())
    with pytest.raises(TypeError, match="X is sparse, and predict returns all entries"):
        model.predict(RATINGS.coo)


def test_score() -> None:
    """Of entries that are hidden, the same for every form, and the better for a better model."""
    model = fitted()
    score = model.score(X)
    assert score == model.score(RATINGS.coo.tocsr()) < 0
    assert score < -0.5  # the noise
    constant = fitted(rank=0, lam=1e9)
    assert constant.score(X) < score
    rows, cols = RATINGS.rows[:50], RATINGS.cols[:50]
    rmse = np.sqrt(np.mean((model.predict((rows, cols)) - X[rows, cols]) ** 2))
    assert np.isclose(model.score((rows, cols), X[rows, cols]), -rmse)
    with pytest.raises(ValueError, match="y is None"):
        model.score((rows, cols))
    with pytest.raises(ValueError, match="X has no observed entry"):
        model.score(np.full((2, 40), np.nan))


def test_model_selection_and_pipelines() -> None:
    search = GridSearchCV(MatrixCompletion(1, random_state=0), {"lam": [1e-3, 3.0]}, cv=3).fit(DENSER)
    assert search.best_params_ == {"lam": 3.0}
    pipeline = make_pipeline(StandardScaler(), MatrixCompletion(2, random_state=0))
    assert np.isfinite(pipeline.fit_transform(X)).all()
    twin = clone(fitted(nonneg=False, patience=7))
    assert twin.patience == 7
    assert not hasattr(twin, "completion_")


def test_options_are_those_of_complete() -> None:
    model = MatrixCompletion(None, lam=1e-6, biases=False, random_state=0)
    truth = instances.gaussian(np.random.default_rng(0), 40, 30, 2).dense
    assert model.fit(np.where(np.random.default_rng(1).random((40, 30)) < 0.6, truth, np.nan)).rank_ == 2
    chosen = fitted(lam="auto")
    assert chosen.lam_ == chosen.completion_.lam > 0
    parts = MatrixCompletion(2, biases=False, nonneg=True, random_state=0).fit(X)
    assert parts.components_.min() >= 0
    assert MatrixCompletion(10, random_state=0).fit(DENSER[:, :4]).rank_ == 4
    states = (3, np.random.RandomState(3), np.random.default_rng(3), None)
    assert all(np.isfinite(fitted(random_state=state).components_).all() for state in states)
    with pytest.raises(ValueError, match="non-negative model has no biases"):
        fitted(nonneg=True)


def test_names_of_features_and_pickles() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"film {j}" for j in range(40)])
    model = MatrixCompletion(2, lam=2.0, random_state=0).fit(frame)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert list(model.get_feature_names_out()) == list(frame.columns)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.transform(frame), model.transform(frame))
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"film 0": "other"}))


def test_inf_is_refused() -> None:
    bad = X.copy()
    bad[3, 4] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        MatrixCompletion(2).fit(bad)
    empty: Any = scipy.sparse.csr_array((4, 5))
    with pytest.raises(ValueError, match="X has no observed entry"):
        MatrixCompletion(2).fit(empty)


CHECKS = list(estimator_checks.estimator_checks_generator(MatrixCompletion(rank=2, random_state=0)))
NAMES = [getattr(check, "func", check).__name__ for _, check in CHECKS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=NAMES)
def test_check_estimator(estimator: Any, check: Any) -> None:
    check(estimator)
