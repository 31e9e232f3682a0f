"""What X may be: its storage, types, scale and order do not matter."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.completion import instances
from tests.completion.test_complete import INSTANCE, every_solver


def test_explicit_zeros_are_observations() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 2, (30, 2)) @ rng.integers(-1, 2, (2, 20)).astype(float)
    mask = instances.uniform_mask(rng, 30, 20, 3, 1.5)
    rows, cols = np.nonzero(mask)
    X = scipy.sparse.coo_array((truth[mask], (rows, cols)), truth.shape)
    assert (X.data == 0).any()
    options: Any = {"lam": 0.01, "seed": 0}
    stored = nl.completion.complete(X, 2, **options)
    np.testing.assert_array_equal(stored.dense(), nl.completion.complete(truth, 2, mask=mask, **options).dense())
    X.eliminate_zeros()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nl.completion.CompletionWarning)  # of rows that have no others
        fewer = nl.completion.complete(X, 2, **options)
    assert not np.allclose(stored.dense(), fewer.dense(), atol=1e-3)


def unsorted(X: Any) -> Any:
    order = np.random.default_rng(1).permutation(X.nnz)
    return scipy.sparse.coo_array((X.data[order], (X.row[order], X.col[order])), X.shape)


def unsorted_rows(X: Any) -> Any:
    csr = X.tocsr()
    for begin, end in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        csr.indices[begin:end] = csr.indices[begin:end][::-1].copy()
        csr.data[begin:end] = csr.data[begin:end][::-1].copy()
    csr.has_sorted_indices = False
    return csr


def with_indices(X: Any, dtype: Any) -> Any:
    csr = X.tocsr()
    csr.indices, csr.indptr = csr.indices.astype(dtype), csr.indptr.astype(dtype)
    return csr


def big_endian(X: Any) -> Any:
    """SciPy checks nothing of this when a matrix is changed."""
    X.data, X.indices, X.indptr = X.data.astype(">f8"), X.indices.astype(">i4"), X.indptr.astype(">i4")
    return X


def readonly(X: Any) -> Any:
    for part in (X.data, X.indices, X.indptr) if hasattr(X, "indptr") else (X,):
        part.flags.writeable = False
    return X


def dense(dtype: Any = float, order: Any = "C") -> Any:
    return np.asarray(INSTANCE.dense, dtype=dtype, order=order)


STORAGES: dict[str, Callable[[], Any]] = {
    "coo": lambda: INSTANCE.coo,
    "csr": INSTANCE.coo.tocsr,
    "csc": INSTANCE.coo.tocsc,
    "lil": INSTANCE.coo.tolil,
    "dok": INSTANCE.coo.todok,
    "coo matrix": lambda: scipy.sparse.coo_matrix(INSTANCE.coo),
    "csr matrix": lambda: scipy.sparse.csr_matrix(INSTANCE.coo),
    "unsorted coo": lambda: unsorted(INSTANCE.coo),
    "unsorted rows": lambda: unsorted_rows(INSTANCE.coo),
    "unsorted columns": lambda: unsorted_rows(INSTANCE.coo.T.tocoo()).T,
    "int64": lambda: with_indices(INSTANCE.coo, np.int64),
    "int16": lambda: with_indices(INSTANCE.coo, np.int16),
    "big-endian sparse": lambda: big_endian(INSTANCE.coo.tocsr()),
    "read-only sparse": lambda: readonly(INSTANCE.coo.tocsr()),
    "dense": dense,
    "columns": lambda: dense(order="F"),
    "list": lambda: dense().tolist(),
    "big-endian": lambda: dense(">f8"),
    "strided": lambda: np.repeat(np.repeat(dense(), 2, axis=1), 3, axis=0)[::3, ::2],
    "reversed": lambda: dense()[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda: readonly(dense()),
}


@pytest.mark.parametrize("storage", STORAGES)
def test_storage_does_not_matter(storage: str) -> None:
    """To the last bit."""
    X = STORAGES[storage]()
    wanted = nl.completion.complete(INSTANCE.coo, 2, seed=0)
    found = nl.completion.complete(X, 2, seed=0)
    np.testing.assert_array_equal(found.U, wanted.U)
    np.testing.assert_array_equal(found.V, wanted.V)
    seen = found.recommend(3, 24)
    np.testing.assert_array_equal(np.sort(seen.cols), np.flatnonzero(~INSTANCE.mask[3]))


def test_bsr_and_dia_store_what_scipy_says() -> None:
    X = np.arange(1.0, 25).reshape(4, 6)
    wanted = nl.completion.complete(X, 1, seed=0)
    blocks = scipy.sparse.bsr_array(X, blocksize=(2, 3))
    np.testing.assert_array_equal(nl.completion.complete(blocks, 1, seed=0).dense(), wanted.dense())
    diagonals = scipy.sparse.dia_array(X)
    np.testing.assert_array_equal(nl.completion.complete(diagonals, 1, seed=0).dense(), wanted.dense())


def test_masks() -> None:
    """What is hidden may be anything."""
    wanted = nl.completion.complete(INSTANCE.coo, 2, seed=0)
    for hidden in (0.0, 1e9, np.inf, np.nan):
        X = np.where(INSTANCE.mask, INSTANCE.dense, hidden)
        for mask in (INSTANCE.mask, np.asfortranarray(INSTANCE.mask), INSTANCE.mask.tolist()):
            np.testing.assert_array_equal(nl.completion.complete(X, 2, mask=mask, seed=0).U, wanted.U)


@pytest.mark.parametrize("convert", [np.asarray, scipy.sparse.csr_array])
def test_precision(convert: Any) -> None:
    """float32 in, float32 out, computed in float64; integers become float64; `dtype` decides otherwise."""
    X = np.random.default_rng(0).integers(1, 6, (20, 15))
    exact = nl.completion.complete(convert(X.astype(float)), 2, lam=1.0, seed=0)
    for given, dtype, returned in [
        (np.float32, None, np.float32),
        (np.int64, None, np.float64),
        (np.uint8, None, np.float64),
        (np.bool_, None, np.float64),
        (np.float32, np.float64, np.float64),
        (np.float64, "float32", np.float32),
        (np.int32, np.float32, np.float32),
    ]:
        result = nl.completion.complete(convert(X.astype(given)), 2, lam=1.0, seed=0, dtype=dtype)
        parts = (result.U, result.V, result.row_bias, result.col_bias, result.dense(), result.predict([1], [2]))
        assert all(part.dtype == returned for part in parts)
        assert result.s.dtype == np.float64
        assert result.recommend(0, 1, filter_seen=False).scores.dtype == returned
        assert result.fold_in(X[:3].astype(float)).factors.dtype == returned
        if given != np.bool_:
            np.testing.assert_allclose(result.dense(), exact.dense(), rtol=1e-5)
            np.testing.assert_array_equal(result.U, exact.U.astype(returned))


def test_input_is_never_written() -> None:
    X = unsorted_rows(INSTANCE.coo)
    before = X.copy()
    weights = np.ones(X.nnz)
    U, V = (np.random.default_rng(0).standard_normal((size, 2)) for size in X.shape)
    start = U.copy(), V.copy()
    for part in (X.data, X.indices, X.indptr, weights, U, V):
        part.flags.writeable = False
    nl.completion.complete(X, 2, weights=weights, init=(U, V), seed=0, biases=True, lam=0.1)
    np.testing.assert_array_equal(X.indices, before.indices)
    np.testing.assert_array_equal(X.data, before.data)
    np.testing.assert_array_equal(U, start[0])
    np.testing.assert_array_equal(V, start[1])


@every_solver
@pytest.mark.parametrize("power", [-200, 40, 200])
@pytest.mark.parametrize(("biases", "lam"), [(True, 0.0), (False, 0.5)])
def test_scale(solver: Any, power: int, biases: bool, lam: float) -> None:
    """A power of 4 changes nothing but the scale, to the last bit; but a ridge on biases has another unit than X."""
    options: Any = {"rank": 2, "solver": solver, "seed": 0, "biases": biases, "maxiter": 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nl.completion.CompletionWarning)
        first = nl.completion.complete(INSTANCE.coo, lam=lam, **options)
        second = nl.completion.complete(INSTANCE.coo * 2.0**power, lam=lam * 2.0**power, **options)
    np.testing.assert_array_equal(second.U, first.U * 2.0 ** (power / 2))
    np.testing.assert_array_equal(second.row_bias, first.row_bias * 2.0**power)
    assert second.mu == first.mu * 2.0**power
    assert second.training_rmse == first.training_rmse * 2.0**power
    assert second.nit == first.nit


@pytest.mark.parametrize("seed", range(30))
def test_numbers_beyond_the_range_of_single_precision(seed: int) -> None:
    """Conjugate gradients take their steps in it, yet none may make the objective rise."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(2, 12, 2)
    X = rng.standard_normal((m, n)) * 10.0 ** rng.choice([-60, 0, 60], (m, n))
    options: Any = {"lam": 1.0, "solver": "cg", "homotopy": False, "maxiter": 30, "seed": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nl.completion.CompletionWarning)
        model = nl.completion.complete(X, min(m, n, 3 + seed % 8), mask=rng.random((m, n)) < 0.7, **options)
    objective = np.array([step["objective"] for step in model.history])
    assert np.isfinite(objective).all()
    assert (objective[1:] <= (1 + 1e-6) * objective[:-1]).all()


@pytest.mark.parametrize("solver", ["als", "cg", "vp"])
def test_order_of_rows_and_columns_does_not_matter(solver: Any) -> None:
    rng = np.random.default_rng(4)
    rows, cols = rng.permutation(31), rng.permutation(24)
    options: Any = {"rank": 2, "lam": 1.0, "solver": solver, "tol": 1e-12, "maxiter": 3000, "seed": 0}
    wanted = nl.completion.complete(INSTANCE.dense, **options).dense()
    permuted = nl.completion.complete(INSTANCE.dense[np.ix_(rows, cols)], **options).dense()
    np.testing.assert_allclose(permuted, wanted[np.ix_(rows, cols)], atol=1e-5)
    transposed = nl.completion.complete(INSTANCE.dense.T, **options).dense()
    np.testing.assert_allclose(transposed, wanted.T, atol=1e-5)
