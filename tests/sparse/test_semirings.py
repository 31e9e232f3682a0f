"""sparse.matmul over semirings, under masks, and added to a matrix."""

import functools

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.csgraph

import nearlinear as nl
from tests.sparse import reference
from tests.sparse.matrices import adversarial, csr, full_first_row, random_csr
from tests.sparse.test_matmul import assert_canonical

ACCUMULATORS = ["auto", "dense", "hash", "sort"]


def assert_same(C, expected):
    """Same places, types and values; zeros of either sign are the same."""
    assert_canonical(C)
    assert C.shape == expected.shape
    assert C.dtype == expected.dtype
    np.testing.assert_array_equal(C.indptr, expected.indptr)
    np.testing.assert_array_equal(C.indices, expected.indices)
    np.testing.assert_array_equal(C.data, expected.data)


def small_integers(rng, shape, dtype, *, index=np.int32, shuffled=False, density=None):
    """Sums are exact, whatever their order."""
    matrix = random_csr(rng, *shape, density, index=index, shuffled=True)
    data = rng.integers(0, 9, len(matrix.data)).astype(dtype)
    matrix = csr(data, matrix.indices, matrix.indptr, matrix.shape)
    if not shuffled:
        matrix.sum_duplicates()
    return matrix


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(210))
def test_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    semiring = list(reference.SEMIRINGS)[seed % 7]
    types = ["?", "i1", "u2", "i8", "u8", "f4", "f8"] + (["c8", "c16"] if semiring in ("plus_times", "or_and") else [])
    n, k, m = *rng.integers(1, 25, size=2).tolist(), int(rng.choice([1, 7, 64, 300]))
    index, shuffled = rng.choice([np.int32, np.int64]), bool(rng.integers(2))
    options = {"index": index, "shuffled": shuffled}
    A = small_integers(rng, (n, k), rng.choice(types), **options)
    B = small_integers(rng, (k, m), rng.choice(types), **options)
    given = {}
    if rng.integers(2):
        given["accum"] = small_integers(rng, (n, m), rng.choice(types), density=0.05, **options)
    if rng.integers(2):
        given["mask"] = small_integers(rng, (n, m), rng.choice(types), density=rng.choice([0.01, 0.3]), **options)
        given["mask_complement"], given["mask_values"] = rng.integers(2, size=2).astype(bool).tolist()
    C = nl.sparse.matmul(
        A, B, semiring=semiring, accumulator=ACCUMULATORS[seed % 4], n_threads=1 + seed % 2, check="full", **given
    )
    assert_same(C, reference.semiring_matmul(A, B, semiring, **given))


@functools.cache
def adversarial_instance(name, semiring, given):
    A, B = adversarial()[name]
    A = A[:10] if name == "all full" else A  # the definition is slow
    shape = (A.shape[0], B.shape[1])
    other = random_csr(np.random.default_rng(0), *shape, 0.1) if shape[1] < 1000 else sp.csr_array(shape)
    options = {"mask": {"mask": other}, "others": {"mask": other, "mask_complement": True}, "accum": {"accum": other}}
    options = options.get(given, {})
    return A, B, options, reference.semiring_matmul(A, B, semiring, **options)


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name, accumulator):
    for semiring, given in (("min_plus", "mask"), ("max_plus", "others"), ("min_plus", "accum"), ("plus_pair", "")):
        A, B, options, expected = adversarial_instance(name, semiring, given)
        assert_same(nl.sparse.matmul(A, B, semiring=semiring, accumulator=accumulator, **options), expected)


@pytest.mark.parametrize("semiring", reference.SEMIRINGS)
def test_the_same_bits_for_every_accumulator_and_number_of_threads(semiring):
    rng = np.random.default_rng(1)
    A = random_csr(rng, 2000, 2000, 0.005)
    mask = random_csr(rng, 2000, 2000, 0.01)
    for given in ({}, {"mask": mask}, {"mask": mask, "mask_complement": True}, {"accum": mask}):
        first = nl.sparse.matmul(A, A, semiring=semiring, n_threads=1, accumulator="sort", **given)
        for accumulator in ACCUMULATORS:
            for n_threads in (1, 2, 4):
                C = nl.sparse.matmul(A, A, semiring=semiring, n_threads=n_threads, accumulator=accumulator, **given)
                assert_same(C, first)


def test_rows_that_are_cut_keep_their_bits():
    A = full_first_row(90_000)
    A.data[:] = np.random.default_rng(2).normal(size=A.nnz)
    expected = nl.sparse.matmul(A, A)
    for accumulator in ACCUMULATORS:
        assert_same(nl.sparse.matmul(A, A, mask=expected, accumulator=accumulator, n_threads=2), expected)
        assert nl.sparse.matmul(A, A, mask=expected, mask_complement=True, accumulator=accumulator).nnz == 0


@pytest.mark.parametrize("accumulator", ["auto", "hash", "sort"])
def test_few_entries_among_very_many_columns(accumulator):
    cols = 4 * 10**9
    B = csr(np.array([3.0, 1.0, 2.0, 9.0]), np.array([7, cols - 1, 7, 8]), np.array([0, 2, 4]), (2, cols))
    A = csr(np.array([10.0, 20.0]), np.array([0, 1]), np.array([0, 2]), (1, 2))
    mask = csr(np.array([True, True]), np.array([7, cols - 1]), np.array([0, 2]), (1, cols))
    C = nl.sparse.matmul(A, B, semiring="min_plus", accumulator=accumulator, mask=mask)
    np.testing.assert_array_equal(C.indices, [7, cols - 1])
    np.testing.assert_array_equal(C.data, [13, 11])
    others = nl.sparse.matmul(A, B, semiring="min_plus", accumulator=accumulator, mask=mask, mask_complement=True)
    np.testing.assert_array_equal(others.indices, [8])


def test_min_plus_finds_shortest_paths():
    rng = np.random.default_rng(3)
    for n in (1, 2, 17, 60):
        lengths = sp.csr_array(np.where(rng.random((n, n)) < 3 / n, rng.integers(1, 100, (n, n)), 0).astype(float))
        expected = scipy.sparse.csgraph.floyd_warshall(lengths)
        paths = lengths.copy()
        paths.setdiag(0.0)
        for _ in range(int(np.ceil(np.log2(max(n, 2))))):
            paths = nl.sparse.matmul(paths, paths, semiring="min_plus")
        found = np.full((n, n), np.inf)
        coordinates = paths.tocoo()
        found[coordinates.row, coordinates.col] = coordinates.data
        np.testing.assert_array_equal(found, expected)


def test_max_times_finds_most_reliable_paths():
    rng = np.random.default_rng(4)
    A = sp.csr_array(np.where(rng.random((30, 30)) < 0.2, rng.random((30, 30)), 0))
    dense = A.toarray()
    expected = (dense[:, :, np.newaxis] * dense[np.newaxis, :, :]).max(axis=1)
    np.testing.assert_array_equal(nl.sparse.matmul(A, A, semiring="max_times").toarray(), expected)


def test_or_and_tells_what_can_be_reached():
    rng = np.random.default_rng(5)
    steps = sp.csr_array(rng.random((50, 50)) < 0.04)
    reached, expected = steps, steps.toarray()
    for _ in range(4):
        reached = nl.sparse.matmul(reached, steps, semiring="or_and", accum=reached)
        expected = expected | ((expected.astype(int) @ steps.toarray().astype(int)) > 0)
        assert reached.dtype == bool
        np.testing.assert_array_equal(reached.toarray(), expected)


def rmat(scale, edges, seed):
    """Undirected R-MAT graph without loops, with the probabilities of Graph500."""
    rng = np.random.default_rng(seed)
    row, col = np.zeros(edges, np.int64), np.zeros(edges, np.int64)
    for _ in range(scale):
        quarter = rng.choice(4, size=edges, p=[0.57, 0.19, 0.19, 0.05])
        row, col = 2 * row + quarter // 2, 2 * col + quarter % 2
    n = 2**scale
    graph = sp.csr_array((np.ones(edges), (row, col)), shape=(n, n))
    graph = sp.csr_array(((graph + graph.T) > 0).astype(np.int64))
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def test_plus_pair_counts_triangles():
    graph = rmat(10, 8000, 6)
    expected = (graph @ graph).multiply(graph).sum() // 6
    assert expected > 1000
    triangles = nl.sparse.matmul(graph, graph, mask=graph, semiring="plus_pair")
    assert triangles.sum() // 6 == expected
    lower = sp.tril(graph, -1).tocsr()
    assert nl.sparse.matmul(lower, lower, mask=lower, semiring="plus_pair").sum() == expected


def test_min_first_hands_labels_along_edges():
    graph = sp.csr_array(np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], bool))
    labels = sp.csr_array(np.array([[7, 5, 3, 0]], np.int32))
    handed = nl.sparse.matmul(labels, graph, semiring="min_first")
    np.testing.assert_array_equal(handed.toarray(), [[0, 7, 7, 3]])
    assert handed.dtype == np.int32
    assert_same(sp.csr_array(nl.sparse.matmul(labels, graph, semiring="min_first", out_format="csc")), handed)


@pytest.mark.parametrize("seed", range(10))
def test_masking_is_multiplying_afterwards_and_complements_partition(seed):
    rng = np.random.default_rng(seed)
    A, B = random_csr(rng, 80, 60, 0.1), random_csr(rng, 60, 200, 0.05)
    mask = random_csr(rng, 80, 200, 0.1)
    whole = nl.sparse.matmul(A, B)
    inside = nl.sparse.matmul(A, B, mask=mask)
    outside = nl.sparse.matmul(A, B, mask=mask, mask_complement=True)
    ones = sp.csr_array((np.ones(mask.nnz), mask.indices, mask.indptr), shape=mask.shape)
    assert abs(inside - whole.multiply(ones)).max() == 0
    assert inside.nnz + outside.nnz == whole.nnz
    assert abs(inside + outside - whole).max() == 0


def test_masks_by_value_have_no_zeros():
    eye = sp.eye_array(3, format="csr")
    mask = csr(np.array([0.0, 1.0, 2.0, -2.0]), np.array([0, 1, 2, 2]), np.array([0, 1, 2, 4]), (3, 3))
    assert nl.sparse.matmul(eye, eye, mask=mask).nnz == 3
    np.testing.assert_array_equal(nl.sparse.matmul(eye, eye, mask=mask, mask_values=True).diagonal(), [0, 1, 0])
    others = nl.sparse.matmul(eye, eye, mask=mask, mask_values=True, mask_complement=True)
    np.testing.assert_array_equal(others.diagonal(), [1, 0, 1])
    by_columns = nl.sparse.matmul(eye, eye, mask=mask, mask_values=True, out_format="csc")
    np.testing.assert_array_equal(by_columns.diagonal(), [0, 1, 0])


def test_operands_are_never_written():
    """Places twice, rows unsorted: what a product would like to mend."""
    rng = np.random.default_rng(8)
    matrices = [random_csr(rng, 20, 20, 0.3, shuffled=True) for _ in range(4)]
    before = [(matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()) for matrix in matrices]
    for matrix in matrices:
        for part in (matrix.data, matrix.indices, matrix.indptr):
            part.flags.writeable = False
    A, B, mask, accum = matrices
    for semiring in ("plus_times", "max_times"):
        for out_format in ("csr", "csc"):
            nl.sparse.matmul(A, B, mask=mask, mask_values=True, semiring=semiring, accum=accum, out_format=out_format)
    for matrix, parts in zip(matrices, before, strict=True):
        for part, copy in zip((matrix.data, matrix.indices, matrix.indptr), parts, strict=True):
            np.testing.assert_array_equal(part, copy)


def test_accum_with_two_factors():
    rng = np.random.default_rng(7)
    A, C = random_csr(rng, 30, 30, 0.2), random_csr(rng, 30, 30, 0.1)
    found = nl.sparse.matmul(A, A, accum=(C, 0.5, -2))
    np.testing.assert_array_equal(found.toarray(), nl.sparse.matmul(0.5 * A, A, accum=-2 * C).toarray())
    np.testing.assert_allclose(found.toarray(), 0.5 * (A @ A).toarray() - 2 * C.toarray(), rtol=1e-12, atol=1e-9)
    counts = sp.csr_array(np.array([[100]], np.int8))
    assert nl.sparse.matmul(counts, counts, accum=(counts, 1, 1)).toarray() == np.int64(10100).astype(np.int8)
    assert nl.sparse.matmul(counts, counts, accum=(counts, 0.5, 1)).toarray() == 5100


def test_selection_over_semirings():
    lengths = sp.csr_array(np.array([[1.0, 5.0, 2.0], [0.0, 1.0, 4.0], [7.0, 0.0, 3.0]]))
    far = nl.sparse.matmul(lengths, lengths, semiring="min_plus", threshold=4)
    assert (far.data >= 4).all()
    largest = nl.sparse.matmul(lengths, lengths, semiring="min_plus", top_k=1)
    whole = nl.sparse.matmul(lengths, lengths, semiring="min_plus")
    np.testing.assert_array_equal(largest.data, whole.toarray().max(axis=1))
    infinite = sp.csr_array(np.array([[np.inf]]))
    assert nl.sparse.matmul(infinite, infinite, semiring="min_plus", prune_zeros=True).nnz == 0
    nan = sp.csr_array(np.array([[np.nan, 1.0]]))
    assert np.isnan(nl.sparse.matmul(nan, nan.T, semiring="min_plus").toarray()).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"semiring": "plus"}, ValueError, "semiring is 'plus'; it must be one of 'plus_times'"),
        ({"mask": np.eye(3)}, TypeError, "mask is a ndarray; it must be sparse"),
        ({"mask": sp.eye_array(4)}, ValueError, "mask is 4 x 4 but the product is 3 x 3"),
        ({"mask": sp.eye_array(4), "out_format": "csc"}, ValueError, "mask is 4 x 4 but the product is 3 x 3"),
        ({"mask_complement": True}, ValueError, "mask_complement is set, but mask is None"),
        ({"mask_values": True}, ValueError, "mask_values is set, but mask is None"),
        ({"accum": np.eye(3)}, TypeError, "accum is a ndarray; it must be sparse"),
        ({"accum": sp.eye_array(3, 4)}, ValueError, "accum is 3 x 4 but the product is 3 x 3"),
        ({"accum": (sp.eye_array(3), 1)}, ValueError, "accum is a tuple of 2"),
        ({"accum": (sp.eye_array(3), "1", 1)}, TypeError, "accum has alpha '1'; it must be a number"),
        ({"accum": (sp.eye_array(3), 1, 1), "semiring": "min_plus"}, ValueError, "min_plus has no scalar factors"),
        ({"accum": sp.eye_array(3, dtype=complex), "semiring": "min_plus"}, TypeError, "min_plus needs numbers"),
        ({"accum": sp.eye_array(3, dtype=complex), "semiring": "plus_pair"}, TypeError, "accum has dtype complex128"),
        ({"accum": sp.eye_array(3, dtype=complex), "dtype": float}, TypeError, "accum has dtype complex128"),
        ({"dtype": np.float16}, TypeError, "dtype has dtype float16"),
        ({"dtype": complex, "top_k": 1}, TypeError, "top_k needs numbers that have an order"),
        ({"dtype": bool, "semiring": "max_plus"}, TypeError, "dtype is bool; max_plus needs numbers"),
        ({"check": "slow"}, ValueError, "check is 'slow'; it must be one of 'fast', 'full', 'none'"),
        ({"out_format": "coo"}, ValueError, "out_format is 'coo'"),
        ({"index_dtype": "int16"}, ValueError, "index_dtype is 'int16'"),
        ({"index_dtype": 3}, ValueError, "index_dtype is 3"),
        ({"accumulator": "heap"}, ValueError, "accumulator is 'heap'"),
        ({"semiring": "min_plus", "max_bytes": 1}, MemoryError, "bytes"),
    ],
)
def test_bad_option(options, error, message):
    eye = sp.eye_array(3, format="csr")
    with pytest.raises(error, match=message):
        nl.sparse.matmul(eye, eye, **options)


def test_options_of_sparse_results_are_refused_for_dense_ones():
    eye = sp.eye_array(3, format="csr")
    given = {"mask": eye, "semiring": "min_plus", "accum": eye, "dtype": float, "check": "none", "out_format": "csr"}
    for name, value in {**given, "index_dtype": "int64", "mask_complement": True, "mask_values": True}.items():
        with pytest.raises(ValueError, match=f"{name} is for products of two sparse matrices"):
            nl.sparse.matmul(eye, np.eye(3), **{name: value})
