"""What of a product is kept, and what is known of it without storing it."""

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse import reference
from tests.sparse.matrices import adversarial, full_first_row, random_csr
from tests.sparse.test_matmul import ACCUMULATORS, assert_canonical, assert_identical
from tests.sparse.test_memory import in_fresh_python, linux

SELECTIONS = [
    {"prune_zeros": True},
    {"threshold": 0.5},
    {"top_k": 1},
    {"top_k": 5},
    {"threshold": 0.1, "top_k": 3},
    {"prune_zeros": True, "top_k": 40},
]


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_keeps_what_the_definition_keeps(seed):
    rng = np.random.default_rng(seed)
    dtype = rng.choice([np.float32, np.float64])
    A = random_csr(rng, 30, 25, dtype=dtype, shuffled=True)
    B = random_csr(rng, 25, int(rng.choice([8, 100, 700])), dtype=dtype, index=rng.choice([np.int32, np.int64]))
    if seed % 4 == 0:  # many ties, and sums that are zero
        A.data, B.data = np.sign(A.data), np.sign(B.data)
    selection = SELECTIONS[seed % len(SELECTIONS)]
    options = {"accumulator": ACCUMULATORS[seed % 3], "n_threads": 1 + seed % 2}
    C = nl.sparse.matmul(A, B, **selection, **options)
    assert_canonical(C)
    assert_identical(C, reference.select(nl.sparse.matmul(A, B), **selection))
    assert nl.sparse.matmul_nnz(A, B, **selection) == C.nnz


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name, selection):
    A, B = adversarial()[name]
    product = nl.sparse.matmul(A, B)
    assert_identical(nl.sparse.matmul(A, B, **selection), reference.select(product, **selection))
    assert nl.sparse.matmul_nnz(A, B) == product.nnz


@pytest.mark.parametrize("n_threads", [1, 2, 4, 8])
def test_largest_of_a_row_that_is_longer_than_all_others(n_threads):
    A = full_first_row(300_000)
    C = nl.sparse.matmul(A, A, top_k=7, n_threads=n_threads)
    assert_identical(C, reference.select(nl.sparse.matmul(A, A), top_k=7))


@pytest.mark.parametrize("selection", [{"top_k": 10}, {"top_k": 10, "threshold": 0.3}, {"top_k": 90}])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0])
def test_rows_with_and_without_enough_entries_above_zero(selection, bad):
    # The largest entries are looked for among the sums of all columns, unless too few sums are positive.
    rng = np.random.default_rng(3)
    signs = rng.choice([-1.0, 1.0], (300, 1))  # of rows: many runs of good ones and of bad ones
    A = sp.csr_array(signs * rng.random((300, 12)) * (rng.random((300, 12)) < 0.6))
    B = random_csr(rng, 12, 100, 0.5)
    B.data[:] = np.abs(B.data)
    B.data[::17] = bad
    for n_threads in (1, 2):
        C = nl.sparse.matmul(A, B, **selection, n_threads=n_threads)
        assert_identical(C, reference.select(nl.sparse.matmul(A, B), **selection))


def test_pruned_product_is_scipys():
    rng = np.random.default_rng(0)
    A = sp.csr_array(rng.integers(-2, 3, (80, 80)) * (rng.random((80, 80)) < 0.2)).astype(float)
    expected = A @ A
    expected.sort_indices()
    assert expected.nnz < nl.sparse.matmul(A, A).nnz
    assert_identical(nl.sparse.matmul(A, A, prune_zeros=True), expected)


def test_nan_comes_last_but_is_not_below_a_threshold():
    row = sp.csr_array(np.ones((1, 1)))
    many = sp.csr_array(np.array([[3.0, np.nan, np.inf, 1.0, np.inf]]))
    np.testing.assert_array_equal(nl.sparse.matmul(row, many, top_k=2).indices, [2, 4])
    np.testing.assert_array_equal(nl.sparse.matmul(row, many, top_k=4).indices, [0, 2, 3, 4])
    np.testing.assert_array_equal(nl.sparse.matmul(row, many, threshold=2).indices, [0, 1, 2, 4])


def test_estimate_counts_and_bounds():
    rng = np.random.default_rng(1)
    for dtype, index, entry in [(np.float32, np.int32, 8), (np.float64, np.int64, 16)]:
        A = random_csr(rng, 200, 150, 0.1, dtype=dtype, index=index)
        B = random_csr(rng, 150, 40, 0.1, dtype=dtype, index=index)
        per_row = (A != 0).astype(np.int64) @ np.diff(B.indptr).astype(np.int64)
        found = nl.sparse.estimate(A, B)
        assert found.products == per_row.sum()
        assert found.nnz == np.minimum(per_row, 40).sum() >= nl.sparse.matmul_nnz(A, B)
        assert found.bytes == found.nnz * entry + 201 * np.dtype(index).itemsize


def test_max_bytes_is_a_limit_on_the_bound():
    A = random_csr(np.random.default_rng(2), 100, 100, 0.1)
    bound = nl.sparse.estimate(A, A).bytes
    assert nl.sparse.matmul(A, A, max_bytes=bound).nnz > 0
    with pytest.raises(MemoryError, match=rf"may take {bound} bytes, but max_bytes is {bound - 1}"):
        nl.sparse.matmul(A, A, max_bytes=bound - 1)
    least = 100 * 3 * 12 + 101 * 4
    assert nl.sparse.matmul(A, A, top_k=3, max_bytes=least).nnz == 300


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"top_k": 0}, ValueError, "top_k is 0; it must be at least 1"),
        ({"top_k": 1.5}, TypeError, "top_k is 1.5; it must be an integer"),
        ({"threshold": -1}, ValueError, "threshold is -1.0; it must be finite and not negative"),
        ({"threshold": float("nan")}, ValueError, "threshold is nan"),
        ({"threshold": "small"}, TypeError, "threshold is 'small'; it must be a number"),
    ],
)
def test_bad_options(options, error, message):
    A = sp.eye_array(3, format="csr")
    for function in (nl.sparse.matmul, nl.sparse.matmul_nnz):
        with pytest.raises(error, match=message):
            function(A, A, **options)
    with pytest.raises(ValueError, match="max_bytes is 0; it must be at least 1"):
        nl.sparse.matmul(A, A, max_bytes=0)


def test_shapes_are_checked_in_the_name_of_the_function():
    A = sp.csr_array(np.ones((2, 3)))
    with pytest.raises(ValueError, match="matmul_nnz: A is 2 x 3 but B is 2 x 3"):
        nl.sparse.matmul_nnz(A, A)
    with pytest.raises(ValueError, match="estimate_matmul: A is 2 x 3 but B is 2 x 3"):
        nl.sparse.estimate(A, A)


@linux
@pytest.mark.unsanitized
def test_what_is_dropped_takes_no_memory():
    script = """
A = sp.csr_array(np.ones((3000, 20)))
before = peak_resident()
C = nl.sparse.matmul(A, A.T.tocsr(), top_k=2)  # of 9 million entries, 108 MB
print(C.nnz, peak_resident() - before)
print(nl.sparse.matmul_nnz(A, A.T.tocsr()), peak_resident() - before)
"""
    lines = [list(map(int, line.split())) for line in in_fresh_python(script).splitlines()]
    assert [line[0] for line in lines] == [6000, 9_000_000]
    assert all(line[1] < 30_000_000 for line in lines)
