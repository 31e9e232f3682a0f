"""Leverage scores and Lewis weights against their definitions, for every kind of matrix."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.sampling import instances, reference

STORAGE: dict[str, Callable[[Any], Any]] = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_array,
}
EXPONENTS = (1, 1.5, 2, 3, 4, 8)
every_storage = pytest.mark.parametrize("storage", STORAGE)
every_exponent = pytest.mark.parametrize("p", EXPONENTS)


@pytest.mark.smoke
@every_storage
def test_leverage_scores(storage: str) -> None:
    """200 random and all adversarial matrices."""
    for name, A in instances.all_matrices():
        scores = nl.sampling.leverage_scores(STORAGE[storage](A))
        wanted = reference.leverage_scores(A)
        allowed = 1e-13 * instances.condition(A)
        np.testing.assert_allclose(scores, wanted, rtol=0, atol=allowed, err_msg=f"{name} {A.shape}")
        assert scores.min() >= 0, name
        assert scores.max() <= 1, name
        assert not scores[~A.any(axis=1)].any(), name


@every_storage
@pytest.mark.parametrize("condition", [1e5, 1e7, 1e8, 1e10, 1e12, 1e14])
def test_leverage_scores_are_as_accurate_as_by_qr(storage: str, condition: float) -> None:
    """At most ten times the error of Householder's QR, both against extended precision."""
    for seed in range(3):
        A = instances.with_condition(np.random.default_rng(seed), 600, 20, condition)
        exact = reference.leverage_scores_longdouble(A)
        Q = np.linalg.qr(A)[0]
        allowed = 10 * np.abs((Q * Q).sum(axis=1) - exact).max()
        error = np.abs(nl.sampling.leverage_scores(STORAGE[storage](A)) - exact).max()
        assert error <= allowed, (seed, error / allowed)


def test_one_gram_matrix_is_enough_for_what_the_theory_says() -> None:
    for condition in (1.0, 1e2, 1e3, 1e4):
        A = instances.with_condition(np.random.default_rng(3), 600, 20, condition)
        exact = reference.leverage_scores_longdouble(A)
        np.testing.assert_allclose(nl.sampling.leverage_scores(A), exact, rtol=1e-9)


@pytest.mark.parametrize("relative", [1e-8, 1e-3, 1.0, 100.0])
def test_ridge(relative: float) -> None:
    for name, A in instances.all_matrices()[::2]:
        s = np.linalg.svd(A, compute_uv=False)
        ridge = relative * s[0] ** 2
        if not 0 < ridge < 1e300:
            continue
        wanted = reference.leverage_scores(A, ridge=ridge)
        squares = (s / s[0]) ** 2
        effective_dimension = (squares / (squares + relative)).sum()
        for storage, convert in STORAGE.items():
            scores = nl.sampling.leverage_scores(convert(A), ridge=ridge)
            np.testing.assert_allclose(scores, wanted, rtol=1e-9, atol=1e-11, err_msg=f"{name} {A.shape} {storage}")
            assert np.isclose(scores.sum(), effective_dimension, rtol=1e-9), (name, storage)


@pytest.mark.parametrize("rcond", [0.3, 1e-2, 1e-5])
def test_rcond_is_scipys(rcond: float) -> None:
    for name, A in instances.all_matrices()[::2]:
        s = np.linalg.svd(A, compute_uv=False)
        if s[0] == 0 or np.any(np.abs(s / s[0] / rcond - 1) < 1e-6):
            continue  # two answers are right
        wanted = reference.leverage_scores(A, rcond=rcond)
        for storage, convert in STORAGE.items():
            scores = nl.sampling.leverage_scores(convert(A), rcond=rcond)
            np.testing.assert_allclose(
                scores, wanted, rtol=0, atol=1e-13 / rcond, err_msg=f"{name} {A.shape} {storage}"
            )
            assert np.isclose(scores.sum(), (s > rcond * s[0]).sum(), atol=1e-8), (name, storage)


@every_storage
@pytest.mark.parametrize("shape", [(30, 400), (60, 61), (1, 9)])
def test_leverage_scores_of_wide_matrices(storage: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal(shape)
    convert = STORAGE[storage]
    np.testing.assert_array_equal(nl.sampling.leverage_scores(convert(A)), np.ones(shape[0]))
    deficient = np.vstack([A, A[:1], 0 * A[:1], 1e-9 * A[:1]])
    wanted = reference.leverage_scores(deficient)
    if len(deficient) <= shape[1]:
        scores = nl.sampling.leverage_scores(convert(deficient))
        np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-12)
        assert scores[shape[0] + 1] == 0  # a row of zeros
    damped = nl.sampling.leverage_scores(convert(A), ridge=2.0)
    np.testing.assert_allclose(damped, reference.leverage_scores(A, ridge=2.0), rtol=1e-11)


@every_storage
def test_rows_of_zeros_in_wide_matrices_have_no_leverage(storage: str) -> None:
    A = np.array([[0.0, 0, 0, 0], [-7, -1, 0, 0]])
    np.testing.assert_array_equal(nl.sampling.leverage_scores(STORAGE[storage](A)), [0, 1])


@pytest.mark.parametrize("d", [1, 5, 40, 100])
def test_leverage_scores_by_sketching(d: int) -> None:
    """Factors of 0.5 to 1.9, whatever the matrix."""
    rng = np.random.default_rng(1)
    n = 50 * d + 600
    alone = 1e-3 * rng.standard_normal((n, d))
    alone[7 : 7 + d] += np.eye(d)
    for A in (rng.standard_normal((n, d)), rng.standard_t(2.5, (n, d)), alone):
        exact = nl.sampling.leverage_scores(A)
        for storage, seed in zip(STORAGE, range(1000 // d), strict=False):
            scores = nl.sampling.leverage_scores(STORAGE[storage](A), method="sketch", seed=seed)
            ratio = scores / exact
            assert 0.5 <= ratio.min() <= ratio.max() <= 1.9, (seed, storage)
            assert not np.array_equal(scores, exact), "an estimate"


def test_sketching_projects_many_columns() -> None:
    """A standard deviation of 15 % more for d > 192."""
    A = np.random.default_rng(2).standard_normal((13_000, 250))
    exact = nl.sampling.leverage_scores(A)
    ratio = nl.sampling.leverage_scores(A, method="sketch", seed=0) / exact
    assert 0.1 < (ratio / ratio.mean()).std() < 0.2
    assert 0.9 < ratio.mean() < 1.3


@every_exponent
def test_lewis_weights_have_their_certificate(p: float) -> None:
    """1e-8 on all matrices, and what the rounding of their entries allows on ill-conditioned ones."""
    for name, A in instances.all_matrices():
        weights: Any = nl.sampling.lewis_weights(A, p, tol=1e-8)
        certificate = reference.lewis_certificate(A, p, weights)
        of_rounding = 1e-15 * instances.condition(A)
        assert certificate <= 1.001e-8 + of_rounding, (name, A.shape, certificate)
        assert not weights[~A.any(axis=1)].any(), name
        assert np.isclose(weights.sum(), reference.basis(A)[0].shape[1]), name
    for name, A in instances.all_matrices()[::4]:
        ours = nl.sampling.lewis_certificate(A, nl.sampling.lewis_weights(A, p, tol=1e-8), p)
        of_rounding = 1e-15 * instances.condition(A)
        assert ours <= 1.2e-8 + 2 * of_rounding, (name, A.shape, ours)  # as accurate as leverage scores are


@every_exponent
def test_lewis_weights_against_the_reference(p: float) -> None:
    for name, A in instances.all_matrices()[::13]:
        wanted = reference.lewis_weights(A, p, tol=1e-10)
        allowed = 1e-8 + 1e-14 * instances.condition(A)
        for storage, convert in STORAGE.items():
            weights = nl.sampling.lewis_weights(convert(A), p, tol=1e-10)
            np.testing.assert_allclose(weights, wanted, rtol=allowed, err_msg=f"{name} {A.shape} {storage}")


@every_exponent
def test_lewis_weights_of_one_column_are_shares_of_powers(p: float) -> None:
    a = np.random.default_rng(3).standard_cauchy(200)
    powers = np.abs(a / np.abs(a).max()) ** p
    weights = nl.sampling.lewis_weights(a[:, np.newaxis], p, tol=1e-10)
    np.testing.assert_allclose(weights, powers / powers.sum(), rtol=1e-8)


@every_exponent
def test_scores_depend_on_the_space_of_columns_alone(p: float) -> None:
    rng = np.random.default_rng(4)
    A = rng.standard_t(2.5, (300, 4))
    weights = nl.sampling.lewis_weights(A, p, tol=1e-10)
    order, signs = rng.permutation(300), rng.choice([-1.0, 1.0], (300, 1))
    tolerance: Any = {"rtol": 1e-8}
    np.testing.assert_allclose(
        nl.sampling.lewis_weights(A @ rng.standard_normal((4, 4)), p, tol=1e-10), weights, **tolerance
    )
    np.testing.assert_allclose(nl.sampling.lewis_weights(1e-30 * A, p, tol=1e-10), weights, **tolerance)
    np.testing.assert_allclose(nl.sampling.lewis_weights(signs * A, p, tol=1e-10), weights, **tolerance)
    np.testing.assert_allclose(nl.sampling.lewis_weights(A[order], p, tol=1e-10), weights[order], **tolerance)
    np.testing.assert_allclose(nl.sampling.lewis_weights(np.hstack([A, A[:, :2]]), p, tol=1e-10), weights, **tolerance)
    with_zeros = nl.sampling.lewis_weights(np.vstack([A, np.zeros((7, 4))]), p, tol=1e-10)
    np.testing.assert_allclose(with_zeros[:300], weights, **tolerance)
    assert not with_zeros[300:].any()


@every_exponent
def test_split_rows_share_their_weight(p: float) -> None:
    """A row in k copies, each times k^(-1/p), is the same to |A x|_p, and each copy has a k-th of the weight."""
    rng = np.random.default_rng(5)
    A = rng.standard_t(2.5, (60, 3))
    copies = rng.integers(1, 5, 60)
    split = np.repeat(A * copies[:, np.newaxis] ** (-1 / p), copies, axis=0)
    weights = nl.sampling.lewis_weights(A, p, tol=1e-10)
    np.testing.assert_allclose(
        nl.sampling.lewis_weights(split, p, tol=1e-10), np.repeat(weights / copies, copies), rtol=1e-8
    )


def test_lewis_weights_for_p_2_are_leverage_scores() -> None:
    for name, A in instances.all_matrices():
        weights, scores = nl.sampling.lewis_weights(A, 2, tol=1e-10), nl.sampling.leverage_scores(A)
        np.testing.assert_allclose(weights, scores, rtol=0, atol=1e-9 + 1e-14 * instances.condition(A), err_msg=name)


@every_exponent
def test_default_tolerance(p: float) -> None:
    A = instances.heavy_tailed(2000)
    weights: Any = nl.sampling.lewis_weights(A, p)
    assert reference.lewis_certificate(A, p, weights) <= 1e-2
    exact = nl.sampling.lewis_weights(A, p, tol=1e-10)
    error = np.log(weights / exact)
    if p < 4:  # equation 13 of the theory
        assert np.abs(error).max() <= 0.0101 * (1 if p <= 2 else p / (4 - p))
    assert np.sqrt(exact @ error**2) <= 0.0105 * max(1, p / 2) * np.sqrt(10)  # |log(tau / w)| of all rows <= tol


def test_lewis_certificate() -> None:
    rng = np.random.default_rng(6)
    for name, A in instances.all_matrices()[::4]:
        weights = A.any(axis=1) * (rng.random(len(A)) + 0.1)
        for p in EXPONENTS:
            ours = nl.sampling.lewis_certificate(A, weights, p)
            wanted = reference.lewis_certificate(A, p, weights)
            np.testing.assert_allclose(ours, wanted, rtol=1e-12 * instances.condition(A), err_msg=name)
    lost = np.array([[1.0, 0], [0, 1], [0, 3]])
    assert nl.sampling.lewis_certificate(lost, [1, 0, 1], 1) == np.inf
    for weight in (0.0, 5.0):  # rows of zeros do not count
        assert nl.sampling.lewis_certificate(np.vstack([lost, np.zeros(2)]), [1, 0.25, 0.75, weight], 1) < 1e-14


def test_what_stops_early_says_so() -> None:
    A = instances.heavy_tailed(2000)
    with pytest.warns(RuntimeWarning, match="maxiter iterations were not enough; the certificate is"):
        few = nl.sampling.lewis_weights(A, 8, tol=1e-10, maxiter=3)
    with pytest.warns(RuntimeWarning, match="maxiter iterations were not enough"):
        none = nl.sampling.lewis_weights(A, 8, maxiter=0)
    np.testing.assert_allclose(none, 10 / 2000)
    certificates = [nl.sampling.lewis_certificate(A, weights, 8) for weights in (none, few)]
    assert 1e-10 < certificates[1] < certificates[0]
    with pytest.warns(RuntimeWarning, match="rounding allows no smaller certificate"):
        nl.sampling.lewis_weights(instances.heavy_tailed(2000, 30), 3, tol=1e-18)


def functions_of_scores() -> dict[str, Callable[..., Any]]:
    return {
        "exact": nl.sampling.leverage_scores,
        "ridge": lambda A, **options: nl.sampling.leverage_scores(A, ridge=3.0, **options),
        "rcond": lambda A, **options: nl.sampling.leverage_scores(A, rcond=1e-3, **options),
        "sketch": lambda A, **options: nl.sampling.leverage_scores(A, method="sketch", seed=5, **options),
        "lewis p=1": lambda A, **options: nl.sampling.lewis_weights(A, 1, tol=1e-6, **options),
        "lewis p=5": lambda A, **options: nl.sampling.lewis_weights(A, 5, **options),
    }


@pytest.mark.parametrize("function", functions_of_scores())
@pytest.mark.parametrize("storage", ["rows", "csr"])
def test_threads_do_not_matter(function: str, storage: str) -> None:
    rng = np.random.default_rng(7)
    dense = instances.with_condition(rng, 6000, 20, 1e5)
    sparse = rng.standard_normal((6000, 20)) * (rng.random((6000, 20)) < 0.2)
    for A in (dense, sparse):
        matrix = STORAGE[storage](A)
        one = functions_of_scores()[function](matrix, n_threads=1)
        for threads in (2, 4):
            np.testing.assert_array_equal(functions_of_scores()[function](matrix, n_threads=threads), one)


@pytest.mark.smoke
@pytest.mark.parametrize("function", [name for name in functions_of_scores() if name != "sketch"])
def test_kinds_of_input_agree(function: str) -> None:
    rng = np.random.default_rng(8)
    A = rng.standard_normal((3000, 30)) * (rng.random((3000, 30)) < 0.3) * 10.0 ** rng.integers(-3, 4, 30)
    A[5:9] = 0
    call = functions_of_scores()[function]
    wanted = call(A)
    csr = scipy.sparse.csr_array(A)
    wide_indices = scipy.sparse.csr_array(
        (csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64)), A.shape
    )
    for matrix in (np.asfortranarray(A), A[::-1].copy()[::-1], csr, csr.tocsc(), csr.tocoo(), wide_indices):
        np.testing.assert_allclose(call(matrix), wanted, rtol=1e-8)
    single = A.astype(np.float32)
    for matrix in (single, np.asfortranarray(single), scipy.sparse.csr_array(single)):
        scores = call(matrix)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, call(single.astype(float)), rtol=1e-6)


def test_seeds_decide_sketches() -> None:
    A = np.random.default_rng(9).standard_normal((3000, 10))
    first, again, other = (nl.sampling.leverage_scores(A, method="sketch", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first / other - 1).max() > 1e-3
    drawn = nl.sampling.leverage_scores(A, method="sketch", seed=np.random.default_rng(3))
    np.testing.assert_array_equal(drawn, nl.sampling.leverage_scores(A, method="sketch", seed=np.random.default_rng(3)))


def test_sketches_of_few_rows_are_not_worth_it() -> None:
    A = np.random.default_rng(10).standard_normal((300, 10))
    np.testing.assert_array_equal(nl.sampling.leverage_scores(A, method="sketch"), nl.sampling.leverage_scores(A))
