"""sampling.lp_regression against linear programs and enclosures, for every p, kind of matrix and weights."""

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import nearlinear as nl
from tests.sampling import instances, reference

EXPONENTS = (1, 1.2, 1.5, 2, 3, 6, np.inf)
every_exponent = pytest.mark.parametrize("p", EXPONENTS)


def with_noise(A: Any, rng: np.random.Generator) -> Any:
    b = A @ rng.standard_normal(A.shape[1])
    return b / (np.abs(b).max() or 1.0) + 0.3 * rng.standard_normal(len(A))


@pytest.mark.smoke
@every_exponent
def test_least_norm(p: float) -> None:
    """On 200 random and all adversarial matrices, rank-deficient ones too, to 1e-8 of the least value."""
    rng = np.random.default_rng(0)
    for name, A in instances.all_matrices()[:: 1 if p in (1, 3) else 2]:
        b = with_noise(A, rng)
        result = nl.sampling.lp_regression(A, b, p)
        least = reference.lp_regression(A, b, p).lower
        of_rounding = 1e-9 + 1e-15 * instances.condition(A)
        assert abs(result.norm - least) <= 1e-8 * least + of_rounding, (name, A.shape, result.norm, least)
        assert np.isclose(result.norm, reference.norm(A @ result.x - b, p), rtol=1e-8, atol=of_rounding), name
        assert result.success, name
        assert 0 <= result.gap <= 1e-8, name
        assert result.rank == np.linalg.matrix_rank(reference.equilibrated(A)[0], 1e-14), name


@every_exponent
def test_consistent_systems(p: float) -> None:
    """A norm of 0 up to rounding, and no warning of a gap that rounding alone has left."""
    rng = np.random.default_rng(1)
    for name, A in instances.all_matrices()[::4]:
        b = A @ rng.standard_normal(A.shape[1])
        result = nl.sampling.lp_regression(A, b, p)
        assert result.norm <= 1e-10 * reference.norm(b, p), (name, A.shape, result.norm)
        assert result.success, name


@every_exponent
def test_solutions(p: float) -> None:
    """x itself, where it is unique; by a linear program for p = 1 and infinity."""
    rng = np.random.default_rng(2)
    for _ in range(5):
        A = rng.standard_normal((60, 4)) * [1, 1e-5, 1e5, 1]
        b = with_noise(A, rng)
        result = nl.sampling.lp_regression(A, b, p, tol=1e-12 if p < np.inf else 1e-8)
        n, d = A.shape
        if p == 2:
            x = np.linalg.lstsq(A, b, rcond=None)[0]
        elif p in (1, np.inf):
            slack = np.eye(n) if p == 1 else np.ones((n, 1))
            rows = np.block([[A, -slack], [-A, -slack]])
            costs = np.concatenate([np.zeros(d), np.ones(slack.shape[1])])
            answer = scipy.optimize.linprog(
                costs, rows, np.concatenate([b, -b]), bounds=(None, None), options=reference.HIGHS
            )
            x = answer.x[:d]
            assert np.isclose(result.norm, answer.fun, rtol=1e-8)
        else:
            x = reference.lp_regression(A, b, p).x
        np.testing.assert_allclose(result.x, x, rtol=1e-4, atol=1e-4 * np.abs(x).min())


def test_known_solutions() -> None:
    ones, b = np.ones((5, 1)), np.array([1.0, 2, 3, 4, 100])
    for p, wanted in [(1, 3.0), (2, 22.0), (np.inf, 50.5)]:
        np.testing.assert_allclose(nl.sampling.lp_regression(ones, b, p).x, [wanted], rtol=1e-6)
    assert nl.sampling.lp_regression(ones, np.zeros(5), 1.5).norm == 0
    line = np.column_stack([np.ones(50), np.arange(50)])
    b = line @ np.array([3.0, -2])
    b[::7] += 100  # what least absolute deviations do not look at
    np.testing.assert_allclose(nl.sampling.lp_regression(line, b, 1).x, [3, -2], rtol=1e-5)


@every_exponent
def test_equivariance(p: float) -> None:
    """The best x for b + A y is y further, and what has another scale has another scale."""
    rng = np.random.default_rng(3)
    A = rng.standard_t(2.5, (80, 3))
    b, y = rng.standard_normal(80), rng.standard_normal(3)
    x = nl.sampling.lp_regression(A, b, p).x
    tolerance: Any = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(nl.sampling.lp_regression(A, b + A @ y, p).x, x + y, **tolerance)
    for scale in (1e-30, 1e30):
        scaled = nl.sampling.lp_regression(A, scale * b, p)
        np.testing.assert_allclose(scaled.x / scale, x, **tolerance)
        np.testing.assert_allclose(nl.sampling.lp_regression(scale * A, b, p).x * scale, x, **tolerance)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, np.inf])
def test_weights_and_samples(p: float) -> None:
    """A weight is a row repeated; a sample is the regression of its rows with its weights; rows of weight 0 are out."""
    rng = np.random.default_rng(4)
    A = rng.standard_normal((60, 3))
    b = with_noise(A, rng)
    counts = rng.integers(0, 4, 60)
    repeated = nl.sampling.lp_regression(np.repeat(A, counts, axis=0), np.repeat(b, counts), p).norm
    weighted = nl.sampling.lp_regression(A, b, p, sample_weight=counts)
    assert np.isclose(weighted.norm, repeated, rtol=1e-7)
    indices = np.flatnonzero(counts)
    pair = nl.sampling.lp_regression(A, b, p, sample=(indices, counts[indices]))
    assert np.isclose(pair.norm, repeated, rtol=1e-7)
    both = nl.sampling.lp_regression(A, b, p, sample=(indices, np.ones(len(indices))), sample_weight=counts)
    assert np.isclose(both.norm, repeated, rtol=1e-7)
    for matrix in (np.asfortranarray(A), scipy.sparse.csr_array(A)):
        other = nl.sampling.lp_regression(matrix, b, p, sample=(indices, counts[indices]))
        assert np.isclose(other.norm, repeated, rtol=1e-7)
    sample = nl.sampling.sample_rows(np.column_stack([A, b]), 1, 30, seed=0)
    rows = sample.indices
    of_sample = nl.sampling.lp_regression(A, b, p, sample=sample)
    by_hand = nl.sampling.lp_regression(A[rows], b[rows], p, sample_weight=sample.weights)
    assert np.isclose(of_sample.norm, by_hand.norm, rtol=1e-9)


@pytest.mark.smoke
@every_exponent
def test_kinds_of_input_agree(p: float) -> None:
    rng = np.random.default_rng(5)
    A = rng.standard_normal((400, 4)) * (rng.random((400, 4)) < 0.5)
    b = with_noise(A, rng)
    wanted = nl.sampling.lp_regression(A, b, p)
    csr = scipy.sparse.csr_array(A)
    for matrix in (np.asfortranarray(A), csr, csr.tocsc(), A[::-1].copy()[::-1]):
        result = nl.sampling.lp_regression(matrix, b, p)
        assert np.isclose(result.norm, wanted.norm, rtol=1e-8)
        np.testing.assert_allclose(result.x, wanted.x, rtol=1e-3, atol=1e-3)
    single = nl.sampling.lp_regression(A.astype(np.float32), b.astype(np.float32), p)
    assert single.x.dtype == np.float32
    assert np.isclose(single.norm, wanted.norm, rtol=1e-5)
    assert nl.sampling.lp_regression(A.astype(np.float32), b, p).x.dtype == np.float64


@pytest.mark.parametrize("p", [1, 1.5, 4])
def test_threads_do_not_matter(p: float) -> None:
    A = instances.heavy_tailed(6000, 8)
    b = with_noise(A, np.random.default_rng(6))
    for matrix in (A, np.asfortranarray(A), scipy.sparse.csr_array(A)):
        one = nl.sampling.lp_regression(matrix, b, p, n_threads=1).x
        for threads in (2, 4):
            np.testing.assert_array_equal(nl.sampling.lp_regression(matrix, b, p, n_threads=threads).x, one)


@pytest.mark.parametrize("p", [1, 1.2, 1.5, 3, 6])
def test_large_problems(p: float) -> None:
    """Gaps tell the truth where no linear program can be asked."""
    A = instances.heavy_tailed(20000, 10)
    b = A @ np.arange(10.0) + np.random.default_rng(7).standard_t(2, 20000)
    result = nl.sampling.lp_regression(A, b, p)
    assert result.success
    assert result.nit <= 60
    assert np.isclose(result.norm, reference.norm(A @ result.x - b, p), rtol=1e-9)
    for step in np.vstack([np.eye(10), -np.eye(10)]):
        assert reference.norm(A @ (result.x + 1e-3 * step) - b, p) >= (1 - 1e-8) * result.norm


def test_what_stops_early_says_so() -> None:
    A = instances.heavy_tailed(500, 5)
    b = with_noise(A, np.random.default_rng(8))
    for p in (1, 1.5, 4):
        with pytest.warns(RuntimeWarning, match="maxiter iterations were not enough; the gap is"):
            result = nl.sampling.lp_regression(A, b, p, maxiter=1)
        assert not result.success
        assert result.status == 1
        assert result.nit == 1
        least = nl.sampling.lp_regression(A, b, p)
        assert least.norm <= (1 + 1e-12) * result.norm
        assert (1 - result.gap) * result.norm <= (1 + 1e-9) * least.norm
        loose = nl.sampling.lp_regression(A, b, p, tol=0.1)
        assert loose.success
        assert loose.nit < least.nit


def test_results_look_like_scipys() -> None:
    result = nl.sampling.lp_regression(np.ones((3, 1)), [1.0, 2, 4], 1.5)
    assert result["x"] is result.x
    assert {"success", "status", "message", "nit", "x", "norm", "gap", "rank"} <= set(result)
    assert "norm" in repr(result)
