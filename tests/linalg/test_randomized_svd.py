import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import nearlinear as nl

randomized_svd = nl.linalg.randomized_svd


def with_singular_values(rows, cols, s, seed=0):
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.normal(size=(size, len(s))))[0] for size in (rows, cols))
    return U * s @ V.T


def residual(A, result):
    return np.linalg.norm(A - result.U * result.s @ result.Vt)


def assert_decomposition(A, result, rank):
    """Orthonormal factors, an error that is the residual, and singular values that no subspace exceeds."""
    rows, cols = A.shape
    k = min(rank, rows, cols)
    eps = np.finfo(result.s.dtype).eps
    # Sums of up to max(rows, cols) + k terms.
    tolerance = 4 * (rows + cols + k) * eps
    assert result.U.shape == (rows, k)
    assert result.s.shape == (k,)
    assert result.Vt.shape == (k, cols)
    assert np.abs(result.U.T @ result.U - np.eye(k)).max(initial=0) <= tolerance
    assert np.abs(result.Vt @ result.Vt.T - np.eye(k)).max(initial=0) <= tolerance
    A = A.astype(float)
    norm = np.linalg.norm(A)
    exact = np.linalg.svd(A, compute_uv=False)
    assert (result.s <= exact[:k] + tolerance * norm).all()
    true = residual(A, result)
    assert true**2 == pytest.approx(norm**2 - (result.s.astype(float) ** 2).sum(), abs=4 * tolerance * norm**2)
    assert true / 4 - tolerance * norm <= result.error <= 4 * true + tolerance * norm


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(20))
def test_every_kind_of_matrix_gives_a_truncated_decomposition(seed, dtype):
    rng = np.random.default_rng(seed)
    rows, cols = rng.integers(1, 120, size=2)
    rank = int(rng.integers(1, 40))
    A = (rng.normal(size=(rows, cols)) * (rng.random(size=(rows, cols)) < 0.3)).astype(dtype)
    for given_as in (A, sp.csr_array(A), sp.coo_array(A), aslinearoperator(A)):
        result = randomized_svd(given_as, rank, seed=seed)
        assert result.success
        assert result.s.dtype == result.U.dtype == result.Vt.dtype == dtype
        assert_decomposition(A, result, rank)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.integers(1, 40),
    cols=st.integers(1, 40),
    rank=st.integers(1, 45),
    oversampling=st.integers(0, 12),
    power_iterations=st.one_of(st.just("auto"), st.integers(0, 3)),
    seed=st.integers(0, 2**32 - 1),
)
def test_options_never_spoil_a_decomposition(*, rows, cols, rank, oversampling, power_iterations, seed):
    A = np.random.default_rng(seed).integers(-2, 3, size=(rows, cols)).astype(float)
    result = randomized_svd(A, rank, oversampling=oversampling, power_iterations=power_iterations, seed=seed)
    assert_decomposition(A, result, rank)


def test_more_power_iterations_come_closer():
    s = np.arange(1, 201) ** -0.5
    A = with_singular_values(300, 200, s)
    results = [randomized_svd(A, 10, power_iterations=q, seed=1) for q in (0, 1, 2, 5)]
    errors = [residual(A, result) for result in results]
    assert errors == sorted(errors, reverse=True)
    assert [result.nit for result in results] == [2, 4, 6, 12]


def test_settled_values_are_accurate():
    s = 1 / np.arange(1, 301)
    A = with_singular_values(400, 300, s)
    result = randomized_svd(A, 15, seed=0)
    assert result.settled
    assert (np.abs(s[:15] ** 2 - result.s**2) <= 0.01 * s[15] ** 2).all()
    assert "settled" in result.message


def test_tolerance_finds_the_rank():
    s = 0.8 ** np.arange(100)
    A = with_singular_values(150, 100, s)
    for given_as in (A, sp.csr_array(A)):
        result = randomized_svd(given_as, 100, tol=1e-3, seed=0)
        tails = np.sqrt(np.cumsum((s**2)[::-1])[::-1])
        least = int((tails > 1e-3 * tails[0]).sum())
        assert least <= result.s.size <= least + 1
        assert residual(A, result) <= 1e-3 * np.linalg.norm(A) * (1 + 1e-9)
        assert result.norm == pytest.approx(np.linalg.norm(A))


def test_tolerance_that_is_not_reached_warns():
    A = with_singular_values(60, 50, np.ones(50))
    with pytest.warns(RuntimeWarning, match="tol was not reached with 5 columns: the error is 0.9"):
        result = randomized_svd(A, 5, tol=0.1, seed=0)
    assert not result.success
    assert result.status == 1
    assert result.s.size == 5


def test_threads_and_runs_leave_the_bits_alone():
    A = np.random.default_rng(0).normal(size=(1500, 900))
    for given_as in (A, sp.csr_array(A * (A > 1))):
        first = randomized_svd(given_as, 10, seed=3, n_threads=1)
        for n_threads in (1, 2, 4):
            again = randomized_svd(given_as, 10, seed=3, n_threads=n_threads)
            np.testing.assert_array_equal(first.U, again.U)
            np.testing.assert_array_equal(first.s, again.s)
            np.testing.assert_array_equal(first.Vt, again.Vt)


def test_signs_do_not_depend_on_the_seed():
    A = with_singular_values(80, 60, 0.5 ** np.arange(60))
    one, two = (randomized_svd(A, 5, power_iterations=3, seed=seed) for seed in (1, 2))
    np.testing.assert_allclose(one.U, two.U, atol=1e-6)
    assert (one.U[np.abs(one.U).argmax(axis=0), np.arange(5)] > 0).all()


def test_sparse_entries_of_one_place_add_up():
    A = sp.coo_array((np.array([1.0, 2.0, 5.0]), (np.array([0, 0, 1]), np.array([1, 1, 2]))), shape=(3, 3)).tocsr()
    duplicated = sp.csr_array((np.array([1.0, 2.0, 5.0]), np.array([1, 1, 2]), np.array([0, 2, 3, 3])), shape=(3, 3))
    for matrix in (A, duplicated):
        result = randomized_svd(matrix, 2, seed=0)
        np.testing.assert_allclose(result.s, [5, 3])
        assert result.norm == pytest.approx(np.sqrt(34))
    assert duplicated.nnz == 3


def test_operator_without_a_matrix():
    n = 500
    moving_sum = LinearOperator((n, n), matvec=np.cumsum, rmatvec=lambda x: np.cumsum(x[::-1])[::-1], dtype=float)
    result = randomized_svd(moving_sum, 5, seed=0)
    exact = np.linalg.svd(np.tri(n), compute_uv=False)
    np.testing.assert_allclose(result.s, exact[:5], rtol=1e-3)
    assert result.error == pytest.approx(np.sqrt((exact[5:] ** 2).sum()), rel=1)


def test_what_an_operator_raises_comes_out():
    def fail(x):
        raise LookupError("from the operator")

    with pytest.raises(LookupError, match="from the operator"):
        randomized_svd(LinearOperator((5, 4), matvec=fail, rmatvec=fail, dtype=float), 2)
    with pytest.raises(ValueError, match=r"A\.apply\(X\) has the entry nan"):
        randomized_svd(LinearOperator((5, 4), matvec=lambda x: np.full(5, np.nan), rmatvec=fail, dtype=float), 2)
    with pytest.raises(TypeError, match="A has dtype complex128"):
        randomized_svd(aslinearoperator(np.eye(3) * 1j), 2)


def test_errors_far_below_the_norm_are_seen():
    s = 10.0 ** -np.arange(30)
    A = with_singular_values(50, 40, s)
    result = randomized_svd(A, 11, seed=0)
    assert s[11] / 4 <= result.error <= 4 * s[11]


def test_overflow_is_an_error():
    with pytest.raises(OverflowError, match="singular values exceed the range of float64"):
        randomized_svd(np.full((10, 10), 1.7e308), 2, seed=0)
    result = randomized_svd(np.full((10, 10), 1e307), 2, seed=0)
    np.testing.assert_allclose(result.s[0], 1e308)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rank": 0}, ValueError, "rank is 0"),
        ({"rank": 1.5}, TypeError, "rank is 1.5"),
        ({"rank": 1, "oversampling": -1}, ValueError, "oversampling is -1"),
        ({"rank": 1, "power_iterations": -1}, ValueError, "power_iterations is -1"),
        ({"rank": 1, "power_iterations": "many"}, ValueError, "power_iterations is 'many'"),
        ({"rank": 1, "tol": 1.0}, ValueError, "tol is 1.0"),
        ({"rank": 1, "tol": 0.0}, ValueError, "tol is 0.0"),
        ({"rank": 1, "tol": "small"}, TypeError, "tol is 'small'"),
        ({"rank": 1, "seed": -1}, ValueError, "seed is -1"),
        ({"rank": 1, "n_threads": 0}, ValueError, "n_threads is 0"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        randomized_svd(np.eye(3), **options)


def test_sparse_nan_is_named():
    A = sp.csr_array(np.eye(3))
    A.data[1] = np.nan
    with pytest.raises(ValueError, match=r"A\.data has the entry nan at index 1"):
        randomized_svd(A, 2)


def test_sparse_indices_are_checked():
    A = sp.csr_array(np.eye(3))
    A.indices[1] = 3
    with pytest.raises(ValueError, match=r"randomized_svd: A\.indices has the column 3 at index 1"):
        randomized_svd(A, 2)
    A = sp.csr_array(np.eye(3))
    A.indptr[1] = 5
    with pytest.raises(ValueError, match=r"randomized_svd: A\.indptr decreases"):
        randomized_svd(A, 2)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_empty_matrices_have_rank_0(shape):
    for A in (np.ones(shape), sp.csr_array(shape)):
        result = randomized_svd(A, 3)
        assert (result.U.shape, result.s.shape, result.Vt.shape) == ((shape[0], 0), (0,), (0, shape[1]))
        assert result.error == 0


def test_seed_may_be_a_generator():
    A = np.random.default_rng(0).normal(size=(40, 30))
    one, two = (randomized_svd(A, 3, power_iterations=0, seed=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.s, two.s)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert randomized_svd(A, 3, power_iterations=0).s.shape == (3,)
