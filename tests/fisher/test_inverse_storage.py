"""How fisher.FisherInverse keeps gradients, and where it takes them from; T13 is an acceptance test."""

import numpy as np
import pytest

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.gradients import STORAGES
from tests.fisher.reference import assert_columns_close, relative_bound


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", STORAGES)
def test_storage_rounds_the_gradients_and_nothing_else(storage, dtype):
    """The operator must be the inverse of the F that it shows, and that must be F of the rounded gradients."""
    rng = np.random.default_rng(5)
    m, d, damping = 12, 40, 1e-2
    sizes = 10.0 ** rng.integers(-1, 2, size=(m, 1))  # with a damping that makes all of them count
    G = (rng.normal(size=(m, d)) * sizes).astype(dtype)
    finv = nl.fisher.FisherInverse(G, damping, storage=storage)
    assert finv.storage == storage
    assert finv.dtype == finv.matvec(np.ones(d, dtype)).dtype == dtype
    F = np.stack([finv.fisher_matvec(column) for column in np.eye(d, dtype=dtype)], axis=1).astype(float)
    exact = reference.fisher(G.astype(float), damping, m)
    unit_roundoff = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[storage]
    products = np.abs(G.astype(float)).T @ np.abs(G.astype(float)) / m
    limit = 2.5 * unit_roundoff * products + 2 * m * np.finfo(dtype).eps * (products + damping)
    if storage == "float16":
        limit += 2.0**-23 * np.abs(G).max() ** 2  # numbers that are subnormal in a scaled row
    assert (np.abs(F - exact) <= limit).all()
    if storage == "bfloat16":
        rounded = reference.to_bfloat16(G.astype(float))
        assert_columns_close(F, reference.fisher(rounded, damping, m), 1e-6 * np.linalg.norm(F, 2))
        x = rng.normal(size=d).astype(dtype)
        limit = relative_bound(rounded, damping, dtype=np.float32) * np.linalg.norm(x) / damping
        assert_columns_close(finv.matvec(x), reference.power(rounded, damping, m, x.astype(float), -1), limit)
    condition = np.linalg.cond(exact)
    inverse = finv.matmat(np.eye(d, dtype=dtype)).astype(float)
    assert np.linalg.norm(inverse @ F - np.eye(d), 2) <= 1e-6 * condition
    if storage in ("float16", "bfloat16"):
        assert np.linalg.norm(F - exact, 2) > 1e-6  # it was rounded


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e6, 1e12])
def test_float16_rows_have_no_range(size):
    rng = np.random.default_rng(6)
    G = (size * rng.normal(size=(5, 30))).astype(np.float32)
    damping = size**2
    finv = nl.fisher.FisherInverse(G, damping, storage="float16")
    x = rng.normal(size=30).astype(np.float32)
    exact = reference.power(G.astype(float), damping, 5, x.astype(float), -1)
    assert_columns_close(finv.matvec(x) * damping, exact * damping, 5e-3 * np.linalg.norm(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_storage_gradients_keep_their_type(dtype):
    assert nl.fisher.FisherInverse(np.ones((2, 3), dtype)).storage == np.dtype(dtype).name
    assert nl.fisher.FisherInverse(np.ones((2, 3), dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", [None, *STORAGES])
def test_gradients_may_come_one_by_one(storage, dtype):
    rng = np.random.default_rng(10)
    G, x = rng.normal(size=(9, 40)).astype(dtype), rng.normal(size=40).astype(dtype)
    expected = nl.fisher.FisherInverse(G, 1e-2, storage=storage)
    for iterable in ((g for g in G), list(G)):
        finv = nl.fisher.FisherInverse.from_gradients(iterable, 9, 40, damping=1e-2, storage=storage)
        assert (finv.n_grads, finv.dtype, finv.storage) == (9, dtype, expected.storage)
        limit = (1e-6 if dtype == np.float32 else 1e-12) * np.linalg.norm(x) / 1e-2
        assert_columns_close(finv.matvec(x), expected.matvec(x), limit)
    finv = nl.fisher.FisherInverse.from_gradients(iter(G), 9, 40, damping=1e-2, block_size=6, normalize=3.0)
    expected = reference.power(G.astype(float), 1e-2, 3, x.astype(float), -1, block_size=6)
    assert_columns_close(finv.matvec(x), expected, 1e-6 * np.linalg.norm(x) / 1e-2)


def test_gradients_that_come_one_by_one_are_counted_and_checked():
    from_gradients = nl.fisher.FisherInverse.from_gradients
    G = np.random.default_rng(17).normal(size=(4, 3))
    fewer = from_gradients(iter(G), 6, 3, damping=0.1)  # than there is room for
    assert fewer.n_grads == 4
    assert_columns_close(fewer.matmat(np.eye(3)), np.linalg.inv(reference.fisher(G, 0.1, 4)), 1e-12)
    with pytest.raises(ValueError, match="iterable"):
        from_gradients(iter(G), 3, 3)
    with pytest.raises(ValueError, match="iterable"):
        from_gradients(iter(()), 3, 3)
    with pytest.raises(ValueError, match=r"has shape \(4,\)"):
        from_gradients([np.ones(3), np.ones(4)], 2, 3)
    with pytest.raises(ValueError, match=r"\b1\b"):
        from_gradients([np.ones(3), np.array([1.0, np.nan, 1.0])], 2, 3)
    with pytest.raises(TypeError, match="complex128"):
        from_gradients([np.ones(3, complex)], 1, 3)

    def fail():
        yield np.ones(3)
        raise LookupError("from the iterable")

    with pytest.raises(LookupError, match="from the iterable"):
        from_gradients(fail(), 2, 3)


@pytest.mark.parametrize(("m", "d"), [(20, 150_000), (300, 5000)])
@pytest.mark.parametrize("storage", ["float32", "float16", "bfloat16"])
def test_threads_leave_the_bits_alone(m, d, storage):
    """T13, and more: equal to the last bit."""
    rng = np.random.default_rng(11)
    G, X = rng.standard_normal((m, d), np.float32), rng.standard_normal((d, 2), np.float32)
    results = []
    for n_threads in (1, 2, 4):
        finv = nl.fisher.FisherInverse(G, 1e-3, storage=storage, n_threads=n_threads)
        products = [product(X[:, 0]) for product in (finv.matvec, finv.sqrt_matvec, finv.fisher_matvec)]
        results.append([*products, finv.matmat(X), finv.diagonal(), np.array(finv.gram), np.array(finv.logdet())])
    for result in results[1:]:
        for actual, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(actual, expected)
