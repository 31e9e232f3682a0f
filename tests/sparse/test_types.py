"""Types, formats, widths of indices and checks of sparse.matmul, against SciPy."""

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse.matrices import csr, random_csr
from tests.sparse.test_matmul import assert_canonical, assert_identical

TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"]


def some(rng, rows, cols, dtype, density=0.2):
    matrix = sp.csr_array((rows, cols), dtype=dtype)
    pattern = rng.random((rows, cols)) < density
    real = rng.integers(-100, 100, (rows, cols))
    values = real + 1j * rng.integers(-9, 9, (rows, cols)) if np.dtype(dtype).kind == "c" else real
    row, col = np.nonzero(pattern)
    matrix = sp.csr_array((values[row, col].astype(dtype), (row, col)), shape=(rows, cols))
    return matrix


def assert_equals_scipy(C, A, B):
    expected = (A @ B).asformat(C.format)
    expected.sort_indices()
    assert C.dtype == expected.dtype
    assert C.shape == expected.shape
    C = C.copy()
    C.eliminate_zeros()
    np.testing.assert_array_equal(C.indptr, expected.indptr)
    np.testing.assert_array_equal(C.indices, expected.indices)
    np.testing.assert_array_equal(C.data, expected.data)


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_agrees_with_scipy(seed):
    """Sums of these are exact, or wrap around as SciPy's."""
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(1, 50, 3).tolist()
    a, b = rng.choice(TYPES, 2)
    formats = rng.choice(["csr", "csc", "coo", "bsr", "dok", "lil", "dia"], 2)
    A, B = some(rng, n, k, a), some(rng, k, m, b)
    left, right = A.asformat(formats[0]), B.asformat(formats[1])
    if rng.integers(2):
        left, right = (matrix if matrix.format not in ("csr", "csc") else widened(matrix) for matrix in (left, right))
    C = nl.sparse.matmul(
        left, right, n_threads=1 + seed % 3, accumulator=["auto", "dense", "hash", "sort"][seed % 4], check="full"
    )
    assert_canonical(C if C.format == "csr" else C.T)
    assert C.format == ("csc" if formats[0] == "csc" else "csr")
    assert_equals_scipy(C, A, B)


def widened(matrix):
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


@pytest.mark.parametrize("a", TYPES)
@pytest.mark.parametrize("b", TYPES)
def test_type_is_scipys(a, b):
    A, B = sp.csr_array(np.ones((2, 2), a)), sp.csr_array(np.ones((2, 2), b))
    assert nl.sparse.matmul(A, B).dtype == (A @ B).dtype


def test_integers_wrap_around_and_booleans_are_joined():
    A = sp.csr_array(np.full((1, 3), 100, np.int8))
    assert nl.sparse.matmul(A, A.T).toarray() == np.int64(30_000).astype(np.int8)
    assert nl.sparse.matmul(A, A.T).dtype == np.int8
    big = sp.csr_array(np.array([[2**63 - 1, 1]]))
    assert nl.sparse.matmul(big, sp.csr_array(np.array([[1], [1]]))).toarray() == -(2**63)
    yes = sp.csr_array(np.ones((1, 300), bool))
    assert nl.sparse.matmul(yes, yes.T).toarray().tolist() == [[True]]


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_special_complex_numbers_are_scipys():
    values = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e308, 5e-324])
    row = (values[:, np.newaxis] + 1j * values[np.newaxis, :]).ravel()
    A = csr(row, np.arange(49), np.array([0, 49]), (1, 49))
    B = csr(row[::-1].copy(), np.arange(49), np.array([0, 49]), (1, 49))
    np.testing.assert_array_equal(nl.sparse.matmul(A.T.tocsr(), B).toarray(), (A.T.tocsr() @ B).toarray())


def test_dtype_casts_the_operands_first():
    A = sp.csr_array(np.array([[0.5, 1.5], [100.0, 3.0]]))
    C = nl.sparse.matmul(A, A, dtype=np.int8)
    assert_equals_scipy(C, A.astype(np.int8), A.astype(np.int8))
    assert nl.sparse.matmul(A, A, dtype="f4").dtype == np.float32
    assert nl.sparse.matmul(A, A, dtype=complex).dtype == complex
    assert nl.sparse.matmul(A, A, semiring="plus_pair", dtype=np.uint16).dtype == np.uint16
    with pytest.raises(TypeError, match="A has dtype complex128, which cannot be cast to float64"):
        nl.sparse.matmul(A.astype(complex), A, dtype=float)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, object, "M8[s]", "U3"])
def test_other_types_are_refused(dtype):
    A = sp.csr_array(np.eye(2))
    bad = sp.csr_array((2, 2))
    bad.data, bad.indices, bad.indptr = np.zeros(2, dtype), np.arange(2), np.arange(3)
    for operands in ({"A": bad, "B": A}, {"A": A, "B": bad}, {"A": A, "B": A, "mask": bad}):
        name = next(name for name, matrix in operands.items() if matrix is bad)
        with pytest.raises(TypeError, match=f"{name} has dtype"):
            nl.sparse.matmul(**operands)


@pytest.mark.parametrize("out_format", ["csr", "csc"])
@pytest.mark.parametrize("right", ["csr", "csc", "coo"])
@pytest.mark.parametrize("left", ["csr", "csc", "coo"])
def test_out_format(left, right, out_format):
    rng = np.random.default_rng(9)
    A, B = random_csr(rng, 30, 40, 0.1, dtype=np.float32), random_csr(rng, 40, 20, 0.1, dtype=np.float32)
    mask, accum = random_csr(rng, 30, 20, 0.4), random_csr(rng, 30, 20, 0.1, dtype=np.float32)
    for given in ({}, {"top_k": 2}, {"mask": mask, "accum": accum}, {"semiring": "min_first"}):
        C = nl.sparse.matmul(A.asformat(left), B.asformat(right), out_format=out_format, **given)
        assert C.format == out_format
        assert C.has_canonical_format
        expected = nl.sparse.matmul(A, B, **given)
        np.testing.assert_allclose(C.toarray(), expected.toarray(), rtol=1e-5, atol=1e-3)
        assert C.nnz == expected.nnz


def test_columns_are_the_rows_of_the_product_of_the_transposes():
    rng = np.random.default_rng(12)
    A, B = random_csr(rng, 50, 60, 0.2), random_csr(rng, 60, 40, 0.2)
    for given in ({}, {"semiring": "max_times"}):
        C = nl.sparse.matmul(A.tocsc(), B.tocsc(), **given)
        transposed = nl.sparse.matmul(B.T.tocsr(), A.T.tocsr(), **given)
        assert C.format == "csc"
        assert_identical(C.T, transposed)


def test_kind_is_kept_for_columns_too():
    A = sp.csc_matrix(np.eye(3))
    assert isinstance(nl.sparse.matmul(A, A), sp.csc_matrix)
    assert isinstance(nl.sparse.matmul(A, sp.csc_array(A)), sp.csc_array)


def test_bad_columns_are_named_by_their_operand():
    good = sp.eye_array(3, format="csc")
    for name in ("A", "B", "mask", "accum"):
        bad = sp.eye_array(3, format="csc")
        bad.indices[1] = 7
        operands = {"A": good, "B": good, name: bad}
        with pytest.raises(ValueError, match=rf"matmul: {name}\.T\.indices has the column 7 at index 1"):
            nl.sparse.matmul(**operands)
    with pytest.raises(ValueError, match="A is 3 x 3 but B is 4 x 3"):
        nl.sparse.matmul(good, sp.csc_array((4, 3)))


@pytest.mark.parametrize("index", [np.int32, np.int64, "int32", "int64"])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix, sp.csc_array])
def test_index_dtype(kind, index):
    A = kind(random_csr(np.random.default_rng(10), 20, 20, 0.2))
    for operand in (A, widened(A.copy())):
        C = nl.sparse.matmul(operand, operand, index_dtype=index)
        assert C.indices.dtype == C.indptr.dtype == np.dtype(index)
        np.testing.assert_array_equal(C.toarray(), nl.sparse.matmul(A, A).toarray())


def test_indices_that_cannot_count_are_an_overflow_error():
    B = csr(np.ones(1), np.array([5]), np.array([0, 1]), (1, 2**31))
    one = csr(np.ones(1), np.array([0]), np.array([0, 1]), (1, 1))
    assert nl.sparse.matmul(one, B).indices.dtype == np.int64
    with pytest.raises(OverflowError, match="index_dtype is int32, but the product has 2147483648"):
        nl.sparse.matmul(one, B, index_dtype="int32")


def test_no_check_gives_the_same():
    rng = np.random.default_rng(11)
    A, mask = random_csr(rng, 50, 50, 0.1), random_csr(rng, 50, 50, 0.3)
    for given in ({}, {"mask": mask}, {"mask": mask, "mask_values": True}, {"accum": mask, "out_format": "csc"}):
        assert_identical(
            sp.csr_array(nl.sparse.matmul(A, A, check="none", **given)), sp.csr_array(nl.sparse.matmul(A, A, **given))
        )


def test_full_check_refuses_stale_flags_and_nan():
    A = sp.eye_array(3, format="csr")
    for format_ in ("csr", "csc"):
        twice = sp.csr_array((3, 3)).asformat(format_)
        twice.data, twice.indices, twice.indptr = np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3, 3])
        twice.has_canonical_format = True
        for operands in ({"A": twice, "B": A}, {"A": A, "B": A, "mask": twice}):
            name = next(name for name, matrix in operands.items() if matrix is twice)
            nl.sparse.matmul(**operands)
            with pytest.raises(ValueError, match=f"{name}.has_canonical_format is set, but"):
                nl.sparse.matmul(**operands, check="full")
        twice.has_canonical_format = False
        nl.sparse.matmul(A, twice, check="full")  # between two rows, columns may go back
        twice.indices = np.array([1, 0, 0])
        twice.has_sorted_indices = True
        with pytest.raises(ValueError, match=r"B.has_sorted_indices is set, but"):
            nl.sparse.matmul(A, twice, check="full")
    nan = sp.csr_array(np.array([[1.0, np.nan]]))
    nl.sparse.matmul(nan, nan.T)
    with pytest.raises(ValueError, match=r"A.data has NaN at index 1"):
        nl.sparse.matmul(nan, nan.T, check="full")
