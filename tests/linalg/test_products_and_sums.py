"""gram, normal_product, log_sum_exp, top_k."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import nearlinear as nl
from tests.linalg.reference import gamma

DTYPES = [np.float32, np.float64]


def wide(x):
    return x.astype(np.longdouble)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(100))
def test_products_agree_with_their_definitions(seed, dtype):
    rng = np.random.default_rng(seed)
    n, d, p = (int(rng.integers(0, high)) for high in (300, 60, 12))
    A = (rng.normal(size=(n, d)) * 10.0 ** rng.integers(-6, 6)).astype(dtype)
    Z = rng.normal(size=(d, p)).astype(dtype)
    C, absolute = nl.linalg.gram(A), np.abs(A)
    assert C.dtype == dtype
    np.testing.assert_array_equal(C, C.T)
    assert (np.abs(C - wide(A).T @ wide(A)) <= gamma(n, dtype) * (absolute.T @ absolute)).all()
    Y = nl.linalg.normal_product(A, Z)
    assert Y.dtype == dtype
    bound = gamma(n + d + 2, dtype) * (absolute.T @ (absolute @ np.abs(Z)))
    assert (np.abs(Y - wide(A).T @ (wide(A) @ wide(Z))) <= bound).all()


def test_vector_is_a_matrix_of_one_column():
    rng = np.random.default_rng(0)
    A, z = rng.normal(size=(50, 7)), rng.normal(size=7)
    np.testing.assert_array_equal(nl.linalg.normal_product(A, z), nl.linalg.normal_product(A, z[:, np.newaxis])[:, 0])


def test_gram_of_float32_summed_in_float64_keeps_digits():
    A = np.full((2**20, 1), 1.1, np.float32)
    C = nl.linalg.gram(A, dtype_sum="float64")
    exact = 2**20 * float(A[0, 0]) ** 2
    assert C.dtype == np.float64
    assert abs(C[0, 0] - exact) <= gamma(4096, np.float32) * exact
    with pytest.raises(ValueError, match="dtype_sum is float32; it must be float64"):
        nl.linalg.gram(np.ones((2, 2)), dtype_sum=np.float32)


def test_shapes_that_do_not_match_are_shown():
    with pytest.raises(ValueError, match=r"A has shape \(2, 3\) and Z has shape \(2, 3\)"):
        nl.linalg.normal_product(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"axis is 2; x has shape \(2, 3\)"):
        nl.linalg.log_sum_exp(np.ones((2, 3)), 2)
    with pytest.raises(ValueError, match=r"k is 4 and x has shape \(2, 3\)"):
        nl.linalg.top_k(np.ones((2, 3)), 4)
    with pytest.raises(ValueError, match="k is -1; it must be at least 0"):
        nl.linalg.top_k(np.ones(3), -1)


def test_products_and_sums_give_the_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(1)
    A, Z = rng.normal(size=(20000, 150)), rng.normal(size=(150, 3))
    for function in (
        nl.linalg.gram,
        lambda A, **options: nl.linalg.normal_product(A, Z, **options),
        lambda A, **options: nl.linalg.log_sum_exp(A, 0, **options),
        nl.linalg.log_sum_exp,
    ):
        expected = function(A, n_threads=1)
        for n_threads in (2, 4):
            np.testing.assert_array_equal(function(A, n_threads=n_threads), expected)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(50))
def test_log_sum_exp_agrees_with_its_definition(seed, dtype):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=rng.integers(1, 200, size=2)) * 10.0 ** rng.integers(-3, 5)).astype(dtype)
    for axis in (None, 0, 1, -1, -2):
        shift = wide(x).max(axis=axis, keepdims=True)
        expected = np.squeeze(shift, axis) + np.log(np.exp(wide(x) - shift).sum(axis=axis))
        result = nl.linalg.log_sum_exp(x, axis)
        assert result.dtype == dtype
        assert result.shape == expected.shape
        n = x.size if axis is None else x.shape[axis]
        bound = np.finfo(dtype).eps / 2 * (np.abs(expected) + 2 * np.log(n) + 4 + 521 + n / 100)  # of the header
        assert (np.abs(result - expected) <= bound).all()


@pytest.mark.parametrize(
    "x",
    [
        [],
        [-np.inf, -np.inf],
        [np.inf, 1],
        [np.inf, -np.inf],
        [np.nan, np.inf],
        [1e308, 1e308],
        [-1e308],
        [5e-324],
        [-745.2, 0],
        [0.0] * 1000,
    ],
)
def test_log_sum_exp_of_special_values(x):
    with np.errstate(all="ignore"):
        expected = scipy.special.logsumexp(x) if x else -np.inf
    np.testing.assert_allclose(nl.linalg.log_sum_exp(np.array(x, dtype=float)), expected, rtol=1e-14)


@settings(deadline=None, max_examples=200)
@given(
    x=arrays.arrays(st.sampled_from([np.float32, np.float64]), st.integers(0, 300), elements=st.floats(width=32)),
    data=st.data(),
)
def test_top_k_agrees_with_a_stable_sort(x, data):
    k = data.draw(st.integers(0, x.size))
    order = np.argsort(np.where(np.isnan(x), np.inf, -x), kind="stable")
    order = np.concatenate([order[~np.isnan(x[order])], order[np.isnan(x[order])]])
    values, indices = nl.linalg.top_k(x, k)
    np.testing.assert_array_equal(indices, order[:k])
    np.testing.assert_array_equal(values, x[order[:k]])


def test_top_k_of_each_row():
    x = np.random.default_rng(2).integers(0, 9, size=(20, 50)).astype(float)
    values, indices = nl.linalg.top_k(x, 7)
    np.testing.assert_array_equal(indices, np.argsort(-x, axis=1, kind="stable")[:, :7])
    np.testing.assert_array_equal(values, np.take_along_axis(x, indices, axis=1))
