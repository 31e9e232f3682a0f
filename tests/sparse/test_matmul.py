"""sparse.matmul against the textbook, entry by entry and bit by bit."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import nearlinear as nl
from tests.sparse import reference
from tests.sparse.matrices import adversarial, csr, full_first_row, poisson, random_csr, wide_row

ACCUMULATORS = ["auto", "dense", "hash", "sort"]


def assert_canonical(C):
    assert C.indptr[0] == 0
    assert C.indptr[-1] == C.nnz == len(C.indices) == len(C.data)
    assert (np.diff(C.indptr) >= 0).all()
    for i in range(C.shape[0]):
        assert (np.diff(C.indices[C.indptr[i] : C.indptr[i + 1]]) > 0).all()
    assert C.has_canonical_format
    assert C.has_sorted_indices


def assert_identical(C, expected):
    """Same shape, types, pattern and values; zeros of either sign are the same."""
    assert C.shape == expected.shape
    assert C.dtype == expected.dtype
    assert C.indices.dtype == C.indptr.dtype == expected.indices.dtype
    np.testing.assert_array_equal(C.indptr, expected.indptr)
    np.testing.assert_array_equal(C.indices, expected.indices)
    np.testing.assert_array_equal(C.data, expected.data)


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_agrees_with_the_definition(seed):
    check_against_definition(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 10_000, 1000))
def test_agrees_with_the_definition_a_thousand_times(first):
    for seed in range(first, first + 1000):
        check_against_definition(seed)


def check_against_definition(seed):
    rng = np.random.default_rng(seed)
    n, k, m = *rng.integers(1, 60, size=2).tolist(), int(rng.choice([1, 7, 64, 65, 300, 5000]))
    dtype = rng.choice([np.float32, np.float64])
    index = rng.choice([np.int32, np.int64])
    shuffled = bool(rng.integers(2))
    A = random_csr(rng, n, k, dtype=dtype, index=index, shuffled=shuffled)
    B = random_csr(rng, k, m, density=rng.choice([0.001, 0.05, 0.3]), dtype=dtype, index=index, shuffled=shuffled)
    expected = reference.matmul(A, B)
    C = nl.sparse.matmul(A, B, accumulator=ACCUMULATORS[seed % 4], n_threads=1 + seed % 2)
    assert_canonical(C)
    assert_identical(C, expected)


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name, accumulator):
    A, B = adversarial()[name]
    C = nl.sparse.matmul(A, B, accumulator=accumulator)
    assert_canonical(C)
    assert_identical(C, reference.matmul(A, B))


# Large enough for several tokens and threads; SciPy sums in the same order.
LARGE = {
    "random": lambda: random_csr(np.random.default_rng(1), 3000, 3000, 0.005),
    "mesh": lambda: poisson(150),
    "full first row": lambda: full_first_row(300_000),  # so long that it is cut by columns
    "full": lambda: sp.csr_array(np.random.default_rng(2).normal(size=(300, 300))),
    "power law": lambda: power_law(4000, 30_000),
}


def power_law(n, entries):
    rng = np.random.default_rng(3)
    row, col = ((n * rng.random(entries) ** 4).astype(int) for _ in range(2))
    return sp.csr_array((rng.normal(size=entries), (row, col)), shape=(n, n))


@pytest.mark.smoke
@pytest.mark.parametrize("name", LARGE)
def test_every_way_gives_the_same_bits(name):
    A = LARGE[name]()
    expected = A @ A
    expected.sort_indices()
    for accumulator in ACCUMULATORS:
        for n_threads in (1, 2, 3, 4, 8):
            C = nl.sparse.matmul(A, A, accumulator=accumulator, n_threads=n_threads)
            C.eliminate_zeros()  # SciPy does not store sums of zero
            assert_identical(C, expected)


def test_every_instruction_set_gives_the_same_bits():
    script = (
        "import hashlib, nearlinear as nl; from tests.sparse.test_matmul import LARGE, digest;"
        "print([digest(nl.sparse.matmul(A, A)) for A in (make() for make in LARGE.values())])"
    )
    digests = {
        subprocess.check_output([sys.executable, "-c", script], env={**os.environ, "NEARLINEAR_ISA": isa})
        for isa in ("base", "v3", "v4")
    }
    assert len(digests) == 1


def digest(C):
    return hashlib.sha256(C.indptr.tobytes() + C.indices.tobytes() + C.data.tobytes()).hexdigest()[:16]


sparse_matrices = st.builds(
    lambda seed, rows, cols, density: csr_of_integers(np.random.default_rng(seed), rows, cols, density),
    st.integers(0, 2**32 - 1),
    st.just(17),
    st.just(17),
    st.sampled_from([0.02, 0.2, 0.7]),
)


def csr_of_integers(rng, rows, cols, density):
    """Small integers: every sum is exact, whatever its order."""
    return sp.csr_array(
        np.where(rng.random((rows, cols)) < density, rng.integers(-9, 10, (rows, cols)), 0).astype(float)
    )


@settings(deadline=None, max_examples=100)
@given(sparse_matrices, sparse_matrices, sparse_matrices)
def test_product_is_associative_and_distributive(A, B, C):
    left = nl.sparse.matmul(nl.sparse.matmul(A, B), C)
    right = nl.sparse.matmul(A, nl.sparse.matmul(B, C))
    np.testing.assert_array_equal(left.toarray(), right.toarray())
    np.testing.assert_array_equal(
        nl.sparse.matmul(A, B + C).toarray(), (nl.sparse.matmul(A, B) + nl.sparse.matmul(A, C)).toarray()
    )


@settings(deadline=None, max_examples=100)
@given(sparse_matrices, sparse_matrices)
def test_transposition_reverses_the_product(A, B):
    C = nl.sparse.matmul(A, B)
    transposed = nl.sparse.matmul(B.T.tocsr(), A.T.tocsr())
    assert_identical(sp.csr_array(transposed.T), C)


def test_error_is_within_its_bound():
    rng = np.random.default_rng(4)
    A, B = (random_csr(rng, 200, 200, 0.2, dtype=np.float32) for _ in range(2))
    exact = A.toarray().astype(np.longdouble) @ B.toarray().astype(np.longdouble)
    bound = abs(A).toarray().astype(np.float64) @ abs(B).toarray().astype(np.float64)
    bound *= np.diff(A.indptr)[:, np.newaxis] * np.finfo(np.float32).eps / 2
    error = np.abs(nl.sparse.matmul(A, B).toarray() - exact)
    assert (error <= 1.01 * bound).all()  # a hundredth for the terms of second order
    assert error.max() > 0


def test_structural_zeros_are_kept_and_scipy_can_drop_them():
    A = sp.csr_array([[1.0, 1.0]])
    B = sp.csr_array([[1.0, 2.0], [-1.0, 2.0]])
    C = nl.sparse.matmul(A, B)
    np.testing.assert_array_equal(C.indices, [0, 1])
    np.testing.assert_array_equal(C.data, [0, 4])
    C.eliminate_zeros()
    assert C.nnz == 1


def test_duplicates_mean_their_sum():
    A = csr(np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3]), (1, 2))
    summed = A.copy()
    summed.sum_duplicates()
    B = csr(np.array([1.0, 5.0, 7.0, 1.0]), np.array([2, 0, 2, 1]), np.array([0, 3, 4]), (2, 3))
    np.testing.assert_array_equal(nl.sparse.matmul(A, B).toarray(), summed.toarray() @ B.toarray())
    scaled = sp.csr_array([[2.0, 0.0]])  # a row of one entry copies a row of B, which must be sorted by then
    assert_canonical(nl.sparse.matmul(scaled, B))


def test_stale_flag_of_canonical_format_is_not_trusted():
    B = csr(np.array([1.0, 5.0, 7.0]), np.array([2, 0, 2]), np.array([0, 3]), (1, 3))
    B.has_canonical_format = B.has_sorted_indices = True
    C = nl.sparse.matmul(sp.csr_array([[2.0]]), B)
    assert_canonical(C)
    np.testing.assert_array_equal(C.toarray(), [[10, 0, 16]])


@pytest.mark.parametrize("accumulator", ["auto", "hash"])
def test_few_entries_among_very_many_columns(accumulator):
    cols = 4 * 10**9  # a dense accumulator would take 36 GB
    B = sp.vstack([wide_row(1000, cols, seed) for seed in range(3)])
    B = csr(B.data, B.indices.astype(np.int64), B.indptr.astype(np.int64), B.shape)
    A = csr(np.ones(3), np.arange(3), np.array([0, 3]), (1, 3))
    C = nl.sparse.matmul(A, B, accumulator=accumulator)
    assert_identical(C, reference.matmul(A, B))


@pytest.mark.parametrize("format_", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_format_does_not_matter_and_kind_is_kept(format_, kind):
    A = LARGE["mesh"]()[:40, :40].tocsr()
    given_A = getattr(sp, f"{format_}_{kind}")(A)
    C = nl.sparse.matmul(given_A, given_A)
    assert isinstance(C, getattr(sp, f"{'csc' if format_ == 'csc' else 'csr'}_{kind}"))
    assert_identical(sp.csr_array(C), nl.sparse.matmul(A, A))


def test_array_wins_over_matrix():
    A = sp.eye_array(3, format="csr")
    assert isinstance(nl.sparse.matmul(A, sp.csr_matrix(A)), sp.csr_array)


@pytest.mark.parametrize(
    ("a", "b", "product"),
    [("f4", "f4", "f4"), ("f4", "f8", "f8"), ("i8", "f4", "f8"), ("?", "?", "?"), ("u1", "i4", "i4")],
)
def test_types_of_the_result(a, b, product):
    A = sp.csr_array(np.eye(3).astype(a))
    B = sp.csr_array(np.eye(3).astype(b))
    assert nl.sparse.matmul(A, B).dtype == product


def test_widest_index_wins():
    A = csr(np.ones(1), np.zeros(1, np.int64), np.array([0, 1], np.int64), (1, 1))
    B = csr(np.ones(1), np.zeros(1, np.int32), np.array([0, 1], np.int32), (1, 1))
    assert nl.sparse.matmul(A, B).indices.dtype == np.int64
    assert nl.sparse.matmul(B, B).indices.dtype == np.int32


def test_results_feed_further_products():
    A = sp.csr_matrix(LARGE["mesh"]())
    C = nl.sparse.matmul(nl.sparse.matmul(A, A), A)
    assert abs(C - A @ A @ A).max() == 0
