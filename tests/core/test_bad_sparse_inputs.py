"""DESIGN's table "What bad input gets", line by line, for every sparse argument in rooms.py."""

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.core.rooms import SPARSE_ARGUMENTS

pytestmark = pytest.mark.parametrize("case", SPARSE_ARGUMENTS, ids=str)


def with_part(matrix, part, position, value):
    """SciPy checks none of this when a matrix is changed."""
    getattr(matrix, part)[position] = value
    return matrix


@pytest.mark.parametrize("column", [3, -1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_column_out_of_range_is_named(case, column, index):
    matrix = case.good
    matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(index)
    message = rf"{case.function}: {case.argument}\.indices has the column {column} at index 2; .* has 3 columns"
    with pytest.raises(ValueError, match=message):
        case.call(with_part(matrix, "indices", 2, column))


def test_decreasing_indptr_is_named(case):
    with pytest.raises(ValueError, match=rf"{case.argument}\.indptr decreases from 5 to 3 at index 2"):
        case.call(with_part(case.good, "indptr", 1, 5))


def test_indptr_begins_with_0(case):
    with pytest.raises(ValueError, match=rf"{case.argument}\.indptr begins with 1"):
        case.call(with_part(case.good, "indptr", 0, 1))


@pytest.mark.parametrize("part", ["indices", "data"])
def test_indptr_ends_within_the_arrays(case, part):
    matrix = case.good
    setattr(matrix, part, getattr(matrix, part)[:2])
    with pytest.raises(ValueError, match=rf"{case.argument}\.indptr ends with 4 but {case.argument}\.{part} has 2"):
        case.call(matrix)


def test_indptr_has_one_entry_more_than_rows(case):
    matrix = case.good
    matrix.indptr = matrix.indptr[:-1]
    with pytest.raises(ValueError, match=rf"{case.argument}\.indptr has 3 entries; with 3 rows it must have 4"):
        case.call(matrix)


def test_empty_indptr_is_a_value_error(case):
    matrix = case.good
    matrix.indptr = matrix.indptr[:0]
    with pytest.raises(ValueError, match=rf"{case.argument}\.indptr has 0 entries"):
        case.call(matrix)


def test_parts_have_one_dimension(case):
    matrix = case.good
    matrix.data = matrix.data.reshape(2, 2)
    with pytest.raises(ValueError, match=rf"{case.argument}\.data has shape \(2, 2\)"):
        case.call(matrix)


def test_indices_are_integers(case):
    matrix = case.good
    matrix.indices = matrix.indices.astype(float)
    with pytest.raises(TypeError, match=rf"{case.argument}\.indices has dtype float64"):
        case.call(matrix)


@pytest.mark.parametrize("format_", ["csc", "bsr", "coo"])
def test_other_formats_are_checked_before_scipy_converts_them(case, format_):
    if case.only_csr:
        pytest.skip("other formats are refused")
    matrix = case.good.asformat(format_)
    if format_ == "coo":
        matrix.coords[0][1] = 10**6
    else:
        matrix.indices[1] = 10**6
    with pytest.raises(ValueError, match=rf"^{case.function}: {case.argument}.* 1000000 "):
        case.call(matrix)


def masked(matrix):
    matrix.data = np.ma.masked_array(matrix.data, mask=[True, False, False, False])
    return matrix


@pytest.mark.parametrize(
    "convert",
    [
        lambda A: A.toarray(),
        lambda A: A.toarray().tolist(),
        lambda A: None,
        lambda A: "matrix",
        lambda A: A.astype(complex),
        lambda A: A.astype(np.longdouble),
        lambda A: sp.csr_array((A.data.astype(object), A.indices, A.indptr), shape=A.shape),
        masked,
    ],
    ids=["dense", "list", "None", "str", "complex", "longdouble", "object", "masked"],
)
def test_wrong_type_is_a_type_error(case, convert):
    if case.dense and isinstance(convert(case.good), np.ndarray | list):
        pytest.skip("dense arrays are accepted")
    converted = convert(case.good)
    if case.complex and getattr(converted, "dtype", np.dtype(float)).kind == "c":
        pytest.skip("complex numbers are accepted")
    if case.optional and converted is None:
        pytest.skip("None is accepted")
    with pytest.raises(TypeError, match=rf"^{case.argument}\b|^A is .* and B is .*; one of them must be sparse"):
        case.call(convert(case.good))


def test_wrong_number_of_dimensions_shows_the_shape(case):
    with pytest.raises(ValueError, match=rf"^{case.argument} has shape \(3,\); it must have 2 dimensions"):
        case.call(sp.coo_array(np.ones(3)))


def test_mismatched_shapes_are_both_shown(case):
    if case.alone:
        pytest.skip("nothing has to fit")
    for shape in [(2, 2), (4, 5)]:
        with pytest.raises(ValueError, match=rf"{shape[0]} x {shape[1]}.*3 x 3|3 x 3.*{shape[0]} x {shape[1]}"):
            case.call(sp.csr_array(shape))


def test_nan_and_inf_spread_through_stored_entries_only(case):
    if case.alone:
        pytest.skip("the matrix is multiplied with itself")
    matrix = case.good
    matrix.data[0] = np.nan
    result = case.call(matrix)
    if not case.spreads:
        np.testing.assert_array_equal(result.toarray(), case.call(case.good).toarray())
        return
    if isinstance(result, int | nl.sparse.MatmulEstimate):
        assert result == case.call(case.good)  # a count, which values have no part in
        return
    if isinstance(result, np.ndarray):
        pytest.skip("zeros of a dense matrix are stored")
    result = result.toarray()
    assert np.isnan(result[0, 0])
    assert np.isfinite(np.delete(result.ravel(), 0)).all()


LAYOUTS = {
    "int64 indices": lambda A: (A.data, A.indices.astype(np.int64), A.indptr.astype(np.int64)),
    "mixed indices": lambda A: (A.data, A.indices, A.indptr.astype(np.int64)),
    "short indices": lambda A: (A.data, A.indices.astype(np.int8), A.indptr.astype(np.int16)),
    "big-endian": lambda A: (A.data.astype(">f8"), A.indices.astype(">i4"), A.indptr.astype(">i4")),
    "strided": lambda A: tuple(np.repeat(part, 2)[::2] for part in (A.data, A.indices, A.indptr)),
    "longer than needed": lambda A: (np.append(A.data, np.nan), np.append(A.indices, 99).astype(np.int32), A.indptr),
    "unsorted": lambda A: (A.data[[1, 0, 2, 3]], A.indices[[1, 0, 2, 3]], A.indptr),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_does_not_matter(case, layout):
    matrix = case.good
    matrix.data, matrix.indices, matrix.indptr = LAYOUTS[layout](matrix)
    result, expected = case.call(matrix), case.call(case.good)
    if sp.issparse(expected):
        result, expected = result.toarray(), expected.toarray()
    if isinstance(expected, nl.sparse.MatmulEstimate):  # wider indices take more memory
        result, expected = result[:2], expected[:2]
    np.testing.assert_array_equal(result, expected)


def test_input_is_never_written(case):
    matrix = case.good
    matrix.indices = matrix.indices[[1, 0, 2, 3]]  # unsorted: what a function would like to mend
    matrix.data = matrix.data[[1, 0, 2, 3]]
    before = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    case.call(matrix)
    for part, copy in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(part, copy)
