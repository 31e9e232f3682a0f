"""sketch.lstsq against dense references: accuracy at any conditioning, every shape, every kind of input."""

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

import nearlinear as nl
from tests.sketch import reference

pytestmark = pytest.mark.filterwarnings("ignore:lstsq. A has shape")

METHODS = ("auto", "cholesky", "gram", "sketch-cg", "tsqr")
ROUNDOFF = 2.0**-53


def qr_solution(A: Any, b: Any) -> Any:
    Q, R = np.linalg.qr(A)
    return scipy.linalg.solve_triangular(R, Q.T @ b)


@pytest.mark.parametrize("residual", [1e-12, 1e-3, 1.0])
@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8, 1e12, 1e15])
def test_backward_error(condition: float, residual: float) -> None:
    """At most ten times that of QR, or 5e-16, whatever the condition."""
    A, b = reference.with_condition(np.random.default_rng(0), 5000, 60, condition, residual)
    factors = np.linalg.svd(A, full_matrices=False)
    allowed = max(10 * reference.backward_error(A, b, qr_solution(A, b), factors), 5e-16)
    for method in METHODS:
        result = nl.sketch.lstsq(A, b, method=method)
        error = reference.backward_error(A, b, result.x, factors)
        assert error <= allowed, (method, error)
        assert result.success, method
        if result.rank == 60:  # and what it says is so
            assert error / 3 - 1e-17 <= result.backward_error <= 3 * error + 1e-17, method
            within = 6 if result.method == "sketch-cg" else 1.5  # that of the sketch, or of A
            assert condition / within < result.cond < condition * within, method
        np.testing.assert_allclose(result.residual_norm, np.linalg.norm(b - A @ result.x), rtol=1e-6, atol=1e-15)


def random_problem(seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """Shapes, scales, ranks and right-hand sides of all kinds."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 400)), int(rng.integers(1, 40))
    rank = min(n, d) if rng.random() < 0.8 else int(rng.integers(1, min(n, d) + 1))
    A = (
        rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
        if rank < min(n, d)
        else rng.standard_normal((n, d))
    )
    if rank == min(n, d):
        A = A * np.exp(rng.uniform(-3, 3, d))
    A = A * 10.0 ** rng.uniform(-8, 8)
    b = rng.standard_normal(n) if rng.random() < 0.6 else rng.standard_normal((n, int(rng.integers(1, 4))))
    if rng.random() < 0.3:
        b = A @ rng.standard_normal((d, *b.shape[1:]))
    options: dict[str, Any] = {"method": METHODS[int(rng.integers(len(METHODS)))]}
    if rng.random() < 0.3:
        options["ridge"] = float(np.linalg.norm(A) ** 2 * 10.0 ** rng.uniform(-6, 1))
    if rng.random() < 0.3:
        A = np.asfortranarray(A)
    return A, b, options


@pytest.mark.parametrize("block", range(10))
def test_random_problems(block: int) -> None:
    """200 of them, against the singular value decomposition."""
    for seed in range(20 * block, 20 * block + 20):
        A, b, options = random_problem(seed)
        result = nl.sketch.lstsq(A, b, **options)
        wanted = reference.least_norm(A, b, options.get("ridge", 0.0))
        s = np.linalg.svd(A, compute_uv=False)
        kept = s[s > 1e-13 * s[0]]
        condition = np.sqrt((s[0] ** 2 + options.get("ridge", 0)) / (kept[-1] ** 2 + options.get("ridge", 0)))
        error = np.linalg.norm(result.x - wanted) / max(np.linalg.norm(wanted), 1e-300)
        assert error < 1e-13 * condition**2 + 1e-11 * condition, (seed, error, condition)
        assert result.success, (seed, result)
        if "ridge" not in options:
            assert result.rank == len(kept), seed


def adversarial_problems() -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(7)
    n, d = 600, 12
    A = rng.standard_normal((n, d))
    b = rng.standard_normal(n)
    scales = 10.0 ** np.linspace(-150, 150, d)
    spikes = np.zeros((n, d))
    spikes[5 : 5 + d] = np.eye(d)
    kahan = np.triu(-np.ones((d, d)), 1) * 0.3 + np.eye(d)
    graded = A * 10.0 ** -np.arange(n)[:, None].clip(0, 30)
    lauchli = np.vstack([np.ones(d), 1e-8 * np.eye(d), np.zeros((n - d - 1, d))])
    return {
        "zero matrix": (np.zeros((n, d)), b),
        "zero right-hand side": (A, np.zeros(n)),
        "zero column": (A * (np.arange(d) != 3), b),
        "equal columns": (A[:, [0, 1, 1, 2, 3]], b),
        "columns of all scales": (A * scales, b),
        "tiny": (1e-300 * A, 1e-300 * b),
        "huge": (1e150 * A, 1e150 * b),
        "rows of single entries": (spikes, b),
        "one heavy row": (np.vstack([1e8 * np.ones(d), A[1:]]), b),
        "graded rows": (graded, b),
        "nearly equal columns": (A[:, :1] + 1e-9 * A, b),
        "Vandermonde": (np.vander(np.linspace(0, 1, n), d), b),
        "Kahan": (np.vstack([kahan] * 50), b),
        "Lauchli": (lauchli, b),
        "square": (A[:d], b[:d]),
        "one column": (A[:, :1], b),
        "one row": (A[:1], b[:1]),
        "two blocks": (scipy.linalg.block_diag(A[:300, :6], 1e-6 * A[300:, 6:]), b),
        "repeated rows": (np.repeat(A[:20], 30, axis=0), b),
        "integers": (rng.integers(-5, 6, (n, d)), b),
        "consistent": (A, A @ np.ones(d)),
    }


@pytest.mark.parametrize("name", adversarial_problems())
@pytest.mark.parametrize("method", METHODS)
def test_adversarial_problems(name: str, method: str) -> None:
    A, b = adversarial_problems()[name]
    result = nl.sketch.lstsq(A, b, method=method)
    assert result.success
    A = np.asarray(A, float)
    lengths = np.linalg.norm(A, axis=0) if 0 < np.max(abs(A)) < 1e200 else np.max(abs(A), axis=0)
    lengths[lengths == 0] = 1
    scaled = A / lengths
    y = result.x * lengths
    best = np.linalg.lstsq(scaled, b, rcond=1e-14)[0]
    scale = np.max(abs(b)) or 1.0
    ours, theirs = (np.linalg.norm((b - scaled @ v) / scale) for v in (y, best))
    rounding = 1e-14 * np.linalg.norm(scaled) * np.linalg.norm(y) / scale  # of A x, which may be far larger than b
    assert ours <= theirs * (1 + 1e-9) + 1e-11 + rounding
    assert np.isclose(result.residual_norm, ours * scale, rtol=1e-6, atol=1e-11 * scale)


def test_least_norm_of_deficient_columns_of_all_scales() -> None:
    """Scaled columns decide the rank, but the norm of x itself is the least."""
    rng = np.random.default_rng(8)
    A = rng.standard_normal((300, 6))
    A[:, 5] = 1e6 * (A[:, 0] + A[:, 1])
    result = nl.sketch.lstsq(A, rng.standard_normal(300))
    assert result.rank == 5
    null = np.array([1e6, 1e6, 0, 0, 0, -1])
    assert abs(result.x @ null) < 1e-12 * np.linalg.norm(result.x) * np.linalg.norm(null)


def test_rcond_is_scipys() -> None:
    rng = np.random.default_rng(9)
    A, b = reference.with_condition(rng, 500, 20, 1e5, 1e-3)
    for rcond in (1e-1, 1e-3, 1e-9, 0.0):
        result = nl.sketch.lstsq(A, b, rcond=rcond)
        x, _, rank, _ = scipy.linalg.lstsq(A, b, cond=rcond)
        np.testing.assert_allclose(result.x, x, rtol=1e-7, atol=1e-9)
        assert result.rank == rank
    with pytest.raises(ValueError, match="rcond is 1"):
        nl.sketch.lstsq(A, b, rcond=1)


@pytest.mark.parametrize("shape", [(30, 400), (150, 151), (1, 9), (60, 61)])
def test_wide(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(10)
    A, b = rng.standard_normal(shape), rng.standard_normal(shape[0])
    for matrix in (A, np.asfortranarray(A), scipy.sparse.csr_array(A)):
        for method in ("auto", "tsqr"):
            result = nl.sketch.lstsq(matrix, b, method=method)
            np.testing.assert_allclose(result.x, np.linalg.pinv(A) @ b, rtol=1e-8, atol=1e-10)
            assert result.backward_error < 5e-15
            damped = nl.sketch.lstsq(matrix, b, method=method, ridge=0.5)
            np.testing.assert_allclose(damped.x, reference.least_norm(A, b, 0.5), rtol=1e-8, atol=1e-10)
    deficient = np.vstack([A, A[:1]])
    rhs = np.append(b, b[0] + 1)
    result = nl.sketch.lstsq(deficient, rhs)
    assert result.rank == shape[0]
    np.testing.assert_allclose(result.x, np.linalg.lstsq(deficient, rhs, rcond=1e-13)[0], rtol=1e-7, atol=1e-9)


def test_wide_and_ill_conditioned() -> None:
    A, _ = reference.with_condition(np.random.default_rng(11), 300, 20, 1e10, 0.0)
    rhs = np.random.default_rng(12).standard_normal(20)
    result = nl.sketch.lstsq(A.T, rhs)
    assert np.linalg.norm(A.T @ result.x - rhs) < 1e-13 * np.linalg.norm(A) * np.linalg.norm(result.x)
    wanted = np.linalg.lstsq(A.T, rhs, rcond=None)[0]
    assert np.linalg.norm(result.x - wanted) < 1e-4 * np.linalg.norm(wanted)


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_kinds_of_input_agree(method: str, ridge: float) -> None:
    rng = np.random.default_rng(13)
    A = rng.standard_normal((3000, 30)) * (rng.random((3000, 30)) < 0.3)
    b = rng.standard_normal((3000, 2))
    weights = rng.random(3000)
    wanted = reference.least_norm(A, b, ridge)
    for matrix in (A, np.asfortranarray(A), scipy.sparse.csr_array(A), scipy.sparse.csc_array(A), A.astype(np.float32)):
        x = nl.sketch.lstsq(matrix, b, method=method, ridge=ridge).x
        np.testing.assert_allclose(
            x,
            wanted,
            rtol=1e-5 if matrix.dtype == np.float32 else 1e-11,
            atol=1e-7 if matrix.dtype == np.float32 else 1e-13,
        )
    roots = np.sqrt(weights)[:, None]
    weighted = reference.least_norm(roots * A, roots * b, ridge)
    for matrix in (A, np.asfortranarray(A), scipy.sparse.csr_array(A)):
        result = nl.sketch.lstsq(matrix, b, method=method, ridge=ridge, sample_weight=weights)
        np.testing.assert_allclose(result.x, weighted, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(result.residual_norm, np.linalg.norm(roots * (b - A @ result.x), axis=0), rtol=1e-12)
    blocks = [(A[i : i + 700], b[i : i + 700]) for i in range(0, 3000, 700)]
    np.testing.assert_allclose(nl.sketch.lstsq(blocks, method=method, ridge=ridge).x, wanted, rtol=1e-11, atol=1e-13)


def test_operators() -> None:
    rng = np.random.default_rng(14)
    A, b = reference.with_condition(rng, 2000, 25, 1e9, 1e-2)
    result = nl.sketch.lstsq(aslinearoperator(A), b)
    assert result.method == "sketch-cg"
    assert result.success
    assert reference.backward_error(A, b, result.x) < 1e-15
    estimate = nl.sketch.lstsq(aslinearoperator(A), b, method="sketch-solve", m=500, seed=0)
    same = nl.sketch.lstsq(A, b, method="sketch-solve", m=500, seed=0)
    np.testing.assert_allclose(estimate.coef_err, same.coef_err, rtol=1e-4)
    with pytest.raises(ValueError, match="rows of A, which an operator does not have"):
        nl.sketch.lstsq(aslinearoperator(A), b, method="tsqr")
    with pytest.raises(ValueError, match="must not have fewer rows"):
        nl.sketch.lstsq(aslinearoperator(A.T), b[:25])


def test_single_precision() -> None:
    A, b = reference.with_condition(np.random.default_rng(15), 4000, 40, 1e5, 1e-2)
    A32, b32 = A.astype(np.float32), b.astype(np.float32)
    exact = np.asarray(A32, float), np.asarray(b32, float)
    for method in METHODS:
        result = nl.sketch.lstsq(A32, b32, method=method)
        assert result.x.dtype == np.float32
        assert reference.backward_error(*exact, np.asarray(result.x, float)) < 3e-7, method


def test_threads_do_not_matter() -> None:
    A, b = reference.with_condition(np.random.default_rng(16), 6000, 50, 1e5, 1e-2)
    for matrix in (A, np.asfortranarray(A), scipy.sparse.csr_array(A)):
        for method in METHODS:
            results = [nl.sketch.lstsq(matrix, b, method=method, n_threads=threads).x for threads in (1, 2, 3)]
            np.testing.assert_array_equal(results[0], results[1])
            np.testing.assert_array_equal(results[0], results[2])


def test_guesses() -> None:
    A, b = reference.with_condition(np.random.default_rng(17), 3000, 30, 1e3, 1e-3)
    exact = qr_solution(A, b)
    cold = nl.sketch.lstsq(A, b, method="sketch-cg")
    warm = nl.sketch.lstsq(A, b, method="sketch-cg", x0=exact)
    assert warm.nit < cold.nit / 2
    np.testing.assert_allclose(warm.x, exact, rtol=1e-9)


def test_what_stops_early_says_so() -> None:
    A, b = reference.with_condition(np.random.default_rng(18), 3000, 30, 1e3, 1.0)
    operator = aslinearoperator(A)
    with pytest.warns(UserWarning, match="maxiter iterations were not enough"):
        result = nl.sketch.lstsq(operator, b, maxiter=2)
    assert not result.success
    assert result.status == 1
    assert result.nit == 2
    loose = nl.sketch.lstsq(operator, b, tol=1e-8)
    assert loose.success
    assert loose.passes < nl.sketch.lstsq(operator, b).passes


@pytest.mark.parametrize("method", METHODS)
def test_covariance(method: str) -> None:
    rng = np.random.default_rng(19)
    A, b = rng.standard_normal((2000, 8)), rng.standard_normal((2000, 2))
    for ridge in (0.0, 50.0):
        result = nl.sketch.lstsq(A, b, method=method, ridge=ridge)
        G = np.linalg.inv(A.T @ A + ridge * np.eye(8))
        wanted = [r**2 / 1992 * (G @ A.T @ A @ G) for r in result.residual_norm]
        np.testing.assert_allclose(result.covariance(), wanted, rtol=1e-9, atol=1e-18)
    single = nl.sketch.lstsq(A, b[:, 0], method=method)
    half = reference.scipy.stats.t.ppf(0.975, 1992) * np.sqrt(np.diag(single.covariance()))
    np.testing.assert_allclose(single.conf_int(), np.stack([single.x - half, single.x + half], axis=1))
    with pytest.raises(ValueError, match="see coef_err"):
        nl.sketch.lstsq(A, b, method="sketch-solve", seed=0).covariance()
    with pytest.raises(ValueError, match="rank 7 but 8 columns"):
        nl.sketch.lstsq(A * (np.arange(8) > 0), b, method=method).covariance()


def test_callback_stops() -> None:
    A, b = np.ones((300000, 60)), np.ones(300000)
    with pytest.raises(nl.Interrupted):
        nl.sketch.lstsq(A, b, method="tsqr", n_threads=1, callback=lambda fraction: True)


def test_no_right_hand_side() -> None:
    assert nl.sketch.lstsq(np.ones((4, 3)) + np.eye(4, 3), np.zeros((4, 0))).x.shape == (3, 0)


def test_deficient_rank_warns() -> None:
    with pytest.warns(UserWarning, match=r"A has shape \(50, 2\) and rank 1; x is that of least norm"):
        result = nl.sketch.lstsq(np.ones((50, 2)), np.arange(50.0))
    np.testing.assert_allclose(result.x, [12.25, 12.25])
    zero = np.column_stack([np.arange(9.0), np.zeros(9)])
    with pytest.warns(UserWarning, match="rank 1"):
        assert nl.sketch.lstsq(zero, np.ones(9)).x[1] == 0


def test_every_sketch_preconditions() -> None:
    A, b = reference.with_condition(np.random.default_rng(20), 3000, 20, 1e10, 1e-3)
    for kind in ("gaussian", "srht", "sjlt", "block-hadamard", "dct", "pooled", "countsketch"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = nl.sketch.lstsq(A, b, method="sketch-cg", sketch=kind, m=400)
        assert result.method == "sketch-cg", kind
        assert result.backward_error < 5e-16, kind


def test_a_poor_sketch_gives_way() -> None:
    """A sketch with as many rows as columns is no preconditioner to speak of, and QR takes over."""
    A, b = reference.with_condition(np.random.default_rng(21), 3000, 40, 1e6, 1e-3)
    result = nl.sketch.lstsq(A, b, method="sketch-cg", m=40, sketch="countsketch", maxiter=5)
    assert result.method == "tsqr"
    assert result.backward_error < 2 * ROUNDOFF
