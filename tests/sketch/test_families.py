"""Sketches against their definitions, and the properties that they are for."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import nearlinear as nl
from tests.sketch import reference

STREAMED = ("gaussian", "srht", "sjlt", "block-hadamard", "countsketch")
KINDS = (*STREAMED, "dct", "pooled")


@pytest.mark.smoke
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d", "m"), [(1, 1, 1), (5, 2, 3), (300, 5, 33), (1500, 3, 16), (64, 7, 100)])
def test_entries(kind: str, n: int, d: int, m: int) -> None:
    A = np.random.default_rng(n).standard_normal((n, d))
    S = reference.sketch_matrix(kind, m, n, d, seed=12345678901)
    np.testing.assert_allclose(nl.sketch.sketch(A, m, kind, seed=12345678901), S @ A, atol=1e-12 * np.abs(A).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_isometry_in_expectation(kind: str) -> None:
    """E[S^T S] = I: the mean of |S a|^2 over seeds is |a|^2, also for a vector with one entry."""
    A = np.zeros((200, 2))
    A[7, 0] = 1
    A[:, 1] = np.random.default_rng(0).standard_normal(200) / 14
    squares = np.array([np.sum(nl.sketch.sketch(A, 20, kind, seed=s) ** 2, axis=0) for s in range(400)])
    error = squares.std(axis=0, ddof=1) / np.sqrt(len(squares))
    assert np.all(abs(squares.mean(axis=0) - np.sum(A**2, axis=0)) < 4 * error + 1e-12)


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_any_split_and_order_gives_the_same(kind: str, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    A = rng.standard_normal((3000, 6)).astype(dtype)
    b = rng.standard_normal((3000, 2)).astype(dtype)
    whole = nl.sketch.sketch(np.hstack([A, b]), 64, kind, seed=9)
    edges = np.sort(rng.choice(3001, 12, replace=False))
    pieces = list(zip([0, *edges], [*edges, 3000], strict=True))
    sketches = [nl.sketch.RowSketch(6, 64, kind, 9, dtype=dtype, n_rhs=2) for _ in range(3)]
    for number in rng.permutation(len(pieces)):
        begin, end = pieces[number]
        sketches[number % 3].partial_fit(A[begin:end], b[begin:end], row_offset=int(begin))
    merged = sketches[2] + sketches[0]
    merged.merge(sketches[1])
    assert merged.rows_seen == 3000
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(np.hstack([merged.SA, merged.Sb]), whole, atol=tolerance * 60)
    assert merged.SA.dtype == dtype


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_matrices(kind: str) -> None:
    A = scipy.sparse.random_array((700, 9), density=0.2, rng=np.random.default_rng(2), format="csr")
    dense = nl.sketch.sketch(A.toarray(), 40, kind, seed=3)
    for matrix in (A, A.tocsc(), A.tocoo()):
        np.testing.assert_allclose(nl.sketch.sketch(matrix, 40, kind, seed=3), dense, atol=1e-12)
    if kind in STREAMED:
        rows = nl.sketch.RowSketch(9, 40, kind, 3).partial_fit(A[:100]).partial_fit(A[100:])
        np.testing.assert_allclose(rows.SA, dense, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_matter(kind: str) -> None:
    A = np.random.default_rng(3).standard_normal((20000, 40))
    one = nl.sketch.sketch(A, 100, kind, seed=4, n_threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(nl.sketch.sketch(A, 100, kind, seed=4, n_threads=threads), one)


@pytest.mark.parametrize("kind", STREAMED)
def test_operator_and_its_transpose(kind: str) -> None:
    sketch = nl.sketch.RowSketch(3, 50, kind, seed=5)
    S = sketch.as_operator(2500)
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((2500, 3)), rng.standard_normal((50, 4))
    np.testing.assert_allclose(S @ X, sketch.partial_fit(X).SA, atol=1e-11)
    np.testing.assert_allclose(Y.T @ (S @ X), (S.T @ Y).T @ X, atol=1e-10)
    np.testing.assert_allclose(S.T @ Y[:, 0], (S.T @ Y)[:, 0], atol=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "sjlt", "block-hadamard", "srht", "dct"])
def test_embedding(kind: str) -> None:
    """Singular values of S U are within 1 -+ sqrt(d / m), for directions that are spread over all rows."""
    d, n = 64, 4096
    U = np.linalg.qr(np.random.default_rng(5).standard_normal((n, d)))[0]
    for m in (4 * d, 16 * d):
        distortions = []
        for seed in range(5):
            s = np.linalg.svd(nl.sketch.sketch(U, m, kind, seed=seed), compute_uv=False)
            distortions.append(max(s[0] - 1, 1 - s[-1]))
        assert np.median(distortions) < np.sqrt(d / m) + 0.04
        assert max(distortions) < np.sqrt(d / m) + 0.1


@pytest.mark.parametrize("kind", ["gaussian", "sjlt", "block-hadamard"])
def test_embedding_of_single_rows(kind: str) -> None:
    """The same where every direction is in one row: all rows of the identity lie in one block."""
    d, n = 64, 4096
    U = np.zeros((n, d))
    U[:d] = np.eye(d)
    for m in (4 * d, 16 * d):
        distortions = []
        for seed in range(10):
            s = np.linalg.svd(nl.sketch.sketch(U, m, kind, seed=seed), compute_uv=False)
            distortions.append(max(s[0] - 1, 1 - s[-1]))
        assert np.median(distortions) <= np.sqrt(d / m) + 0.1
        assert max(distortions) <= np.sqrt(d / m) + 0.15


def test_block_hadamard_of_many_columns() -> None:
    """Blocks grow with d: 1000 rows of the identity would fill one of 1024 rows, and be lost in it."""
    d = 1000
    U = np.zeros((5000, d))
    U[:d] = np.eye(d)
    s = np.linalg.svd(nl.sketch.sketch(U, 4 * d, seed=0), compute_uv=False)
    assert s[-1] > 0.3
    assert s[0] < 1.7


def normalised_errors(kind: str, m: int, d: int, k: int, seeds: int) -> Any:
    A, b = reference.hard_instance(4096, d, k)  # |A^+| = |b - A x*| = 1 and x* = 0
    errors = []
    for seed in range(seeds):
        x, _, rank, _ = np.linalg.lstsq(*(nl.sketch.sketch(M, m, kind, seed=seed) for M in (A, b[:, None])), rcond=None)
        errors.append(np.max(abs(x)) * np.sqrt(d) if rank == d else np.inf)
    return np.array(errors)


@pytest.mark.parametrize("kind", ["gaussian", "srht", "block-hadamard", "pooled"])
@pytest.mark.parametrize("k", [1, 32])
def test_linf_guarantee_on_the_hard_instance(kind: str, k: int) -> None:
    d, m, delta, seeds = 64, 1024, 0.05, 40
    bound = next(eps for eps in np.linspace(0.5, 3, 251) if nl.sketch.sketch_rows(d, eps, delta) <= m)
    errors = normalised_errors(kind, m, d, k, seeds)
    assert np.sum(errors > bound) <= 7  # of 40 draws with probability 0.05, more than 7 have probability 1e-3
    assert np.median(errors) < bound
    assert np.median(errors) > bound / 3


def test_countsketch_fails_on_the_hard_instance() -> None:
    """Where the row of b meets a row of A, a coefficient is off by |r|, however many rows the sketch has."""
    d = 32
    for m in (512, 1024):
        errors = normalised_errors("countsketch", m, d, 1, 400)
        errors = errors[np.isfinite(errors)]  # where no two rows of A meet
        assert np.all((errors < 1e-12) | np.isclose(errors, np.sqrt(d)))
        assert np.any(errors > 1)


def test_sjlt_fails_on_the_hard_instance() -> None:
    """With 8 entries a column the same happens to an eighth, and nearly always."""
    d = 64
    for m in (1024, 2048):
        assert np.median(normalised_errors("sjlt", m, d, 1, 40)) > 0.9 * np.sqrt(d) / 8
    assert np.median(normalised_errors("srht", 2048, d, 1, 40)) < 0.6


def test_rows_of_a_sketch() -> None:
    for d, eps, delta in [(1, 0.9, 0.5), (64, 1, 0.05), (64, 16, 0.05), (5, 0.1, 0.01), (300, 0.5, 0.05)]:
        assert nl.sketch.sketch_rows(d, eps, delta) == reference.rows_for(d, eps, delta)


def test_quantiles_of_student() -> None:
    from nearlinear import _core

    for freedom in (1, 2, 3, 10, 100.5, 1e4, 1e8):
        for p in (1e-6, 0.01, 0.3, 0.5, 0.9, 0.975, 1 - 1e-7):
            wanted = reference.scipy.stats.t.ppf(p, freedom)
            assert np.isclose(_core.student_quantile(p, freedom), wanted, rtol=1e-8, atol=1e-12)


def test_scipys_countsketch_agrees_in_kind() -> None:
    """Same family: one entry a column, with the same distribution of norms."""
    A = np.random.default_rng(0).standard_normal((500, 3))
    ours = [np.linalg.norm(nl.sketch.sketch(A, 50, "countsketch", seed=s)) for s in range(200)]
    theirs = [np.linalg.norm(scipy.linalg.clarkson_woodruff_transform(A, 50, rng=s)) for s in range(200)]
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * np.hypot(np.std(ours), np.std(theirs)) / np.sqrt(200)
