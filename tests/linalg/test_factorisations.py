"""cholesky, its solves and its updates, triangular_solve."""

import numpy as np
import pytest
import scipy.linalg

import nearlinear as nl
from tests.linalg import reference
from tests.linalg.reference import gamma

DTYPES = [np.float32, np.float64]
CONDITIONS = [1.0, 1e2, 1e4, 1e8, 1e12]


def wide(x):
    return x.astype(np.longdouble)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(100))
def test_cholesky_reproduces_the_matrix_and_solves(seed, dtype):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(1, 150)), int(rng.integers(1, 20))
    A = reference.positive_definite(n, CONDITIONS[seed % (2 if dtype == np.float32 else 5)], rng).astype(dtype)
    L = nl.linalg.cholesky(A)
    assert L.dtype == dtype
    assert not np.triu(L, 1).any()
    absolute = np.abs(L) @ np.abs(L.T)
    assert (np.abs(wide(L) @ wide(L).T - A) <= gamma(n + 1, dtype) * absolute).all()  # Higham, theorem 10.3
    B = rng.normal(size=(n, p)).astype(dtype)
    X = nl.linalg.cholesky_solve(L, B)
    bound = gamma(3 * n + 3, dtype) * absolute @ np.abs(X)  # theorem 10.4
    assert (np.abs(wide(A) @ wide(X) - B) <= bound).all()
    np.testing.assert_array_equal(nl.linalg.cholesky_solve(L, B[:, 0]), nl.linalg.cholesky_solve(L, B[:, :1])[:, 0])


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(50))
def test_triangular_solve_has_a_small_residual(seed, dtype):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(1, 300)), int(rng.integers(1, 20))
    L = (rng.normal(size=(n, n)) / np.sqrt(n) + 2 * np.eye(n)).astype(dtype)
    B = rng.normal(size=(n, p)).astype(dtype)
    for lower in (False, True):
        triangle = np.tril(L) if lower else np.triu(L)
        for transpose in (False, True):
            X = nl.linalg.triangular_solve(L, B, lower=lower, transpose=transpose)
            op = triangle.T if transpose else triangle
            bound = gamma(n + 1, dtype) * np.abs(op) @ np.abs(X)  # Higham, theorem 8.5
            assert (np.abs(wide(op) @ wide(X) - B) <= bound).all()


def test_agrees_with_scipy():
    rng = np.random.default_rng(0)
    A, B = reference.positive_definite(300, 100, rng), rng.normal(size=(300, 4))
    L = nl.linalg.cholesky(A)
    np.testing.assert_allclose(L, scipy.linalg.cholesky(A, lower=True), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(nl.linalg.cholesky_solve(L, B), scipy.linalg.cho_solve((L, True), B), rtol=1e-9)
    np.testing.assert_allclose(
        nl.linalg.triangular_solve(L, B, transpose=True),
        scipy.linalg.solve_triangular(L, B, lower=True, trans=1),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 30, 130, 600])
def test_update_and_slide_agree_with_the_changed_matrix(n, dtype):
    rng = np.random.default_rng(n)
    M = reference.positive_definite(n + 1, 50, rng).astype(dtype)
    x = rng.normal(size=n).astype(dtype)
    L = nl.linalg.cholesky(M[:n, :n])
    for new, factor in (
        (wide(M[:n, :n]) + np.outer(wide(x), wide(x)), nl.linalg.cholesky_update(L, x)),
        (wide(M[1:, 1:]), nl.linalg.cholesky_slide(L, M[n, 1:])),
    ):
        assert factor.dtype == dtype
        scale = np.sqrt(np.diag(new))
        bound = 2 * gamma(8 * n + 8, dtype) * np.outer(scale, scale)  # n rotations of each row (Higham, lemma 19.9)
        assert (np.abs(wide(factor) @ wide(factor).T - new) <= bound).all()


@pytest.mark.parametrize("n", [1, 3, 130, 300])
def test_not_positive_definite_names_the_leading_minor(n):
    for minor in {1, n // 2 + 1, n}:
        A = np.eye(n)
        A[minor - 1, minor - 1] = -1
        with pytest.raises(np.linalg.LinAlgError, match=rf"^A is not .* leading minor of order {minor} is not$"):
            nl.linalg.cholesky(A)


def test_nan_is_not_positive_definite_when_unchecked():
    A = np.eye(3)
    A[2, 1] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match="leading minor of order 3"):
        nl.linalg.cholesky(A, check_finite=False)


def test_factor_that_is_none_is_named():
    with pytest.raises(np.linalg.LinAlgError, match="L is no factor that can be updated: pivot 2"):
        nl.linalg.cholesky_update(np.diag([1.0, 0.0]), [0.0, 0.0])
    with pytest.raises(np.linalg.LinAlgError, match="L is no factor: pivot 1"):
        nl.linalg.cholesky_slide(np.zeros((2, 2)), [0.0, 1.0])
    with pytest.raises(np.linalg.LinAlgError, match="last_row gives no positive definite matrix"):
        nl.linalg.cholesky_slide(np.eye(2), [1.0, 0.5])


def test_triangle_above_the_factor_is_not_read():
    L = np.array([[2.0, np.inf], [1.0, 4.0]])
    unchecked = {"check_finite": False}
    np.testing.assert_array_equal(nl.linalg.triangular_solve(L, [2.0, 9.0], **unchecked), [1, 2])
    np.testing.assert_array_equal(nl.linalg.cholesky_update(L, [0.0, 0.0], **unchecked), np.tril(L))


def test_inputs_are_not_written():
    L, B, x = np.eye(3), np.ones((3, 2)), np.ones(3)
    for array in (L, B, x):
        array.flags.writeable = False
    nl.linalg.cholesky(L)
    nl.linalg.cholesky_solve(L, B)
    nl.linalg.triangular_solve(L, B)
    nl.linalg.cholesky_update(L, x)
    nl.linalg.cholesky_slide(2 * L, x)
    np.testing.assert_array_equal(B, np.ones((3, 2)))
    np.testing.assert_array_equal(x, np.ones(3))


def test_shapes_that_do_not_match_are_shown():
    L = np.eye(3)
    with pytest.raises(ValueError, match=r"A has shape \(2, 3\); it must be square"):
        nl.linalg.cholesky(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"L has shape \(3, 3\) and B has shape \(2,\)"):
        nl.linalg.cholesky_solve(L, np.ones(2))
    with pytest.raises(ValueError, match=r"L has shape \(3, 3\) and B has shape \(4, 3\)"):
        nl.linalg.triangular_solve(L, np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"L has shape \(3, 3\) and x has shape \(2,\)"):
        nl.linalg.cholesky_update(L, np.ones(2))
    with pytest.raises(ValueError, match=r"L has shape \(3, 3\) and last_row has shape \(2,\)"):
        nl.linalg.cholesky_slide(L, np.ones(2))
    with pytest.raises(ValueError, match=r"last_row has the entry nan at index \(1,\)"):
        nl.linalg.cholesky_slide(L, [0, np.nan, 1])
    with pytest.raises(ValueError, match=r"L\(1, 1\) is 0"):
        nl.linalg.triangular_solve(np.diag([1.0, 0.0]), np.ones(2))


def test_float32_and_float64_together_make_float64():
    assert nl.linalg.triangular_solve(np.eye(2, dtype="f4"), np.ones(2)).dtype == np.float64
    assert nl.linalg.cholesky_update(np.eye(2), np.ones(2, "f4")).dtype == np.float64


def test_empty_systems_are_defined():
    none = np.ones((0, 0))
    assert nl.linalg.cholesky(none).shape == (0, 0)
    assert nl.linalg.cholesky_solve(none, np.ones((0, 3))).shape == (0, 3)
    assert nl.linalg.triangular_solve(np.eye(3), np.ones((3, 0))).shape == (3, 0)
    assert nl.linalg.cholesky_update(none, []).shape == (0, 0)
