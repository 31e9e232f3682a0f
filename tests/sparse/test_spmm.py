"""Products of a sparse and a dense matrix: the bits of the sparse product, and so its errors."""

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse.matrices import adversarial, random_csr


def as_sparse(X):
    """Every entry stored, zeros too."""
    rows, cols = X.shape
    indptr = np.arange(rows + 1, dtype=np.int32) * cols
    return sp.csr_array((X.ravel(), np.tile(np.arange(cols, dtype=np.int32), rows), indptr), shape=X.shape)


def dense(random, rows, cols, dtype):
    X = random.standard_normal((rows, cols)).astype(dtype)
    X[random.random((rows, cols)) < 0.1] = 0
    return X


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_bits_of_the_sparse_product(seed):
    random = np.random.default_rng(seed)
    dtype = random.choice([np.float32, np.float64])
    n, k = random.integers(1, 60, 2)
    width = int(random.choice([1, 2, 3, 5, 8, 15, 16, 17, 33, 70]))
    A = random_csr(random, n, k, 0.2, dtype=dtype, index=random.choice([np.int32, np.int64]), shuffled=seed % 2 == 0)
    threads = 1 + seed % 3
    right, left = dense(random, k, width, dtype), dense(random, width, n, dtype)
    np.testing.assert_array_equal(
        nl.sparse.matmul(A, right, n_threads=threads), nl.sparse.matmul(A, as_sparse(right)).toarray()
    )
    canonical = A.copy()
    canonical.sum_duplicates()
    np.testing.assert_array_equal(
        nl.sparse.matmul(left, canonical, n_threads=threads), nl.sparse.matmul(as_sparse(left), canonical).toarray()
    )


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name):
    A, _ = adversarial()[name]
    random = np.random.default_rng(0)
    rows, cols = A.shape
    for width in (0, 1, 9):
        right, left = dense(random, cols, width, A.dtype), dense(random, width, rows, A.dtype)
        for product, expected in [(nl.sparse.matmul(A, right), A @ right), (nl.sparse.matmul(left, A), left @ A)]:
            assert product.shape == expected.shape
            np.testing.assert_allclose(product, expected, rtol=1e-4 if A.dtype == np.float32 else 1e-11, atol=1e-300)


@pytest.mark.parametrize("n_threads", [2, 4, 8])
def test_same_bits_on_any_threads(n_threads):
    random = np.random.default_rng(3)
    A = random_csr(random, 4000, 3000, 0.02)
    A.data[A.indptr[17] : A.indptr[18]] = 1e300
    right, left = random.standard_normal((3000, 21)), random.standard_normal((21, 4000))
    for one, other in [(A, right), (left, A), (A, right[:, 0]), (left[0], A)]:
        expected = nl.sparse.matmul(one, other, n_threads=1)
        np.testing.assert_array_equal(nl.sparse.matmul(one, other, n_threads=n_threads), expected)


def test_error_is_within_the_bound():
    random = np.random.default_rng(4)
    A = random_csr(random, 50, 2000, 0.5)
    X = random.standard_normal((2000, 13)) * np.exp(random.standard_normal((2000, 1)) * 10)
    exact = A.toarray().astype(np.longdouble) @ X.astype(np.longdouble)
    lengths = np.diff(A.indptr)[:, np.newaxis]
    bound = lengths * 2.0**-53 * (abs(A) @ abs(X))
    assert (abs(nl.sparse.matmul(A, X) - exact) <= bound).all()
    assert (abs(nl.sparse.matmul(X.T, A.T.tocsr()).T - exact) <= bound).all()


def test_a_vector_gives_a_vector():
    A = random_csr(np.random.default_rng(5), 7, 4, 0.5)
    np.testing.assert_allclose(nl.sparse.matmul(A, np.arange(4)), A @ np.arange(4.0), rtol=1e-14)
    np.testing.assert_allclose(nl.sparse.matmul(list(range(7)), A.tocsc()), np.arange(7.0) @ A, rtol=1e-14)
    assert nl.sparse.matmul(A, np.ones(4)).shape == (7,)
    assert nl.sparse.matmul(np.ones((1, 7)), A).shape == (1, 4)


def test_nan_spreads_where_something_is_stored():
    A = sp.csr_array(np.array([[0.0, 2.0], [3.0, 0.0]]))
    np.testing.assert_array_equal(nl.sparse.matmul(A, [np.nan, 1.0]), [2.0, np.nan])
    np.testing.assert_array_equal(nl.sparse.matmul([np.nan, 1.0], A), [3.0, np.nan])


@pytest.mark.parametrize(
    "option", [{"top_k": 1}, {"threshold": 0.1}, {"prune_zeros": True}, {"accumulator": "hash"}, {"max_bytes": 10}]
)
def test_options_of_sparse_products_are_refused(option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} is for products of two sparse matrices"):
        nl.sparse.matmul(sp.eye_array(3, format="csr"), np.ones(3), **option)


def test_one_of_two_must_be_sparse():
    with pytest.raises(TypeError, match="A is a ndarray and B is a list; one of them must be sparse"):
        nl.sparse.matmul(np.eye(2), [1.0, 2.0])


def test_shapes_are_shown():
    A = sp.csr_array((2, 3))
    with pytest.raises(ValueError, match="matmul: A is 2 x 3 but B is 2 x 1"):
        nl.sparse.matmul(A, np.ones(2))
    with pytest.raises(ValueError, match="matmul: A is 1 x 3 but B is 2 x 3"):
        nl.sparse.matmul(np.ones(3), A)
