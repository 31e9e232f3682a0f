import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import nearlinear as nl

METHODS = ["automatic", "cholesky", "tall_skinny", "householder"]
UNIT = {np.dtype(np.float64): 2.0**-53, np.dtype(np.float32): 2.0**-24}


def bound(A):
    """Return gamma_{c n d}, as in Higham's theorem 19.4."""
    ku = 8 * A.size * UNIT[A.dtype]
    return ku / (1 - ku)


def check_factors(A, Q, R):
    assert Q.shape == A.shape
    assert Q.dtype == R.dtype == A.dtype
    assert np.array_equal(R, np.triu(R))
    assert (np.diag(R) >= 0).all()
    wide_A, wide_Q, wide_R = (array.astype(np.longdouble) for array in (A, Q, R))
    residual = np.sqrt(((wide_A - wide_Q @ wide_R) ** 2).sum(axis=0))
    assert (residual <= bound(A) * np.linalg.norm(A.astype(float), axis=0)).all()
    assert (np.abs(wide_Q.T @ wide_Q - np.eye(A.shape[1])) <= bound(A)).all()


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (50, 3), (3000, 12), (200, 130)])
def test_factors_have_their_properties(shape, dtype, method):
    A = np.random.default_rng(3).normal(size=shape).astype(dtype)
    Q, R = nl.linalg.qr(A, method=method)
    check_factors(A, Q, R)


@pytest.mark.parametrize("method", METHODS)
def test_r_alone_and_with_a_right_hand_side_are_scipys(method):
    rng = np.random.default_rng(5)
    A, B = rng.normal(size=(4000, 20)), rng.normal(size=(4000, 3))
    Q, expected = scipy.linalg.qr(A, mode="economic")
    signs = np.sign(np.diag(expected))
    R, C = nl.linalg.qr_multiply(A, B, method=method)
    tolerance = 2 * np.sqrt(2) * np.linalg.cond(A) * bound(A) * np.linalg.norm(A)  # Higham, section 19.9; both err
    assert np.abs(nl.linalg.qr(A, mode="r", method=method) - signs[:, np.newaxis] * expected).max() <= tolerance
    assert np.abs(R - signs[:, np.newaxis] * expected).max() <= tolerance
    assert np.abs(C - (Q * signs).T @ B).max() <= 2 * np.linalg.cond(A) * bound(A) * np.linalg.norm(B)
    assert np.array_equal(nl.linalg.qr_multiply(A, B[:, 0].copy(), method=method)[1].shape, (20,))


@pytest.mark.parametrize("condition", [1e0, 1e4, 1e8, 1e12, 1e14])
@pytest.mark.parametrize("method", METHODS)
def test_least_squares_by_it_is_backward_stable(condition, method):
    """Of the residual r, R^{-1} A^T r is what a backward stable solver leaves: c u (|A| |x| + |b|) at most."""
    rng = np.random.default_rng(7)
    n, d = 2000, 10
    U, V = (np.linalg.qr(rng.normal(size=(size, d)))[0] for size in (n, d))
    A = (U * np.geomspace(1, 1 / condition, d)) @ V.T
    b = A @ rng.normal(size=d) + 1e-3 * rng.normal(size=n)
    R, c = nl.linalg.qr_multiply(A, b, method=method)
    x = scipy.linalg.solve_triangular(R, c)
    residual = b.astype(np.longdouble) - A.astype(np.longdouble) @ x
    projected = U.T.astype(np.longdouble) @ residual  # U is a basis of A's columns up to condition * u
    size = np.linalg.norm(A) * np.linalg.norm(x) + np.linalg.norm(b)
    own_error = 10 * condition * UNIT[A.dtype] * float(np.sqrt((residual**2).sum()))
    assert float(np.sqrt((projected**2).sum())) <= bound(A) * size + own_error


@given(st.integers(0, 12), st.integers(0, 40), st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_any_shape_and_rank(d, more, seed, method):
    rng = np.random.default_rng(seed)
    A = rng.integers(-2, 3, size=(d + more, d)).astype(float)  # often rank-deficient, often with zero columns
    Q, R = nl.linalg.qr(A, method=method)
    check_factors(A, Q, R)


def test_same_bits_on_any_number_of_threads():
    A = np.random.default_rng(1).normal(size=(20_000, 40))
    for method in METHODS:
        first = nl.linalg.qr(A, method=method, n_threads=1)
        for n_threads in (2, 4):
            again = nl.linalg.qr(A, method=method, n_threads=n_threads)
            assert np.array_equal(first.Q, again.Q)
            assert np.array_equal(first.R, again.R)


def test_mixed_types_become_double():
    R, C = nl.linalg.qr_multiply(np.ones((4, 1), np.float32), np.ones((4, 1)))
    assert R.dtype == C.dtype == np.float64
    assert np.allclose([R[0, 0], C[0, 0]], 2)


def test_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r"A has shape \(2, 3\); it must not have fewer rows than columns"):
        nl.linalg.qr(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"mode is 'full'; it must be one of 'reduced', 'r'"):
        nl.linalg.qr(np.ones((3, 2)), mode="full")
    with pytest.raises(ValueError, match="method is 'svd'; it must be one of 'automatic'"):
        nl.linalg.qr(np.ones((3, 2)), method="svd")
    with pytest.raises(ValueError, match=r"A has shape \(3, 2\) and B has shape \(4,\)"):
        nl.linalg.qr_multiply(np.ones((3, 2)), np.ones(4))
