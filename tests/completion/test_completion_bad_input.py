"""Errors name the argument and what is wrong with it; what can be decided before the fit is refused before it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.completion import instances

INSTANCE = instances.uniform(12, 9, 2, 1.5, seed=1)
X = INSTANCE.truth.dense
HOLES = INSTANCE.dense
COO = INSTANCE.coo
ONES = np.ones((12, 9))


def with_entry(value: float, matrix: Any = X) -> Any:
    matrix = matrix.copy()
    matrix[7, 2] = value
    return matrix


def with_data(index: int, value: float) -> Any:
    matrix = COO.copy()
    matrix.data[index] = value
    return matrix


def with_place(part: int, index: int, value: int) -> Any:
    matrix = COO.copy()
    matrix.coords[part][index] = value
    return matrix


def twice() -> Any:
    rows, cols = np.append(COO.row, COO.row[3]), np.append(COO.col, COO.col[3])
    return scipy.sparse.coo_array((np.append(COO.data, 1.0), (rows, cols)), COO.shape)


PLACE = COO.row[3], COO.col[3]


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (with_entry(np.inf), ValueError, r"X has the entry inf at index \(7, 2\); entries must be finite, or NaN"),
        (with_entry(-np.inf), ValueError, r"X has the entry -inf at index \(7, 2\)"),
        (with_data(5, np.nan), ValueError, rf"X has the entry nan in row {COO.row[5]}, column {COO.col[5]}"),
        (with_data(5, -np.inf), ValueError, rf"X has the entry -inf in row {COO.row[5]}, column {COO.col[5]}"),
        (with_data(5, np.nan).tocsc(), ValueError, rf"X has the entry nan in row {COO.row[5]}, column {COO.col[5]}"),
        (twice(), ValueError, rf"X holds the entry in row {PLACE[0]}, column {PLACE[1]} 2 times; say by `duplicates`"),
        (np.full((3, 4), np.nan), ValueError, "X has no observed entry"),
        (scipy.sparse.csr_array((3, 4)), ValueError, "X has no observed entry"),
        (np.empty((0, 3)), ValueError, "X is 0 x 3; it must have rows and columns"),
        (np.empty((3, 0)), ValueError, "X is 3 x 0; it must have rows and columns"),
        (np.empty((0, 0)), ValueError, "X is 0 x 0"),
        (scipy.sparse.csr_array((3, 0)), ValueError, "X is 3 x 0"),
        (X[0], ValueError, r"X has shape \(9,\); it must have 2 dimensions"),
        (X[np.newaxis], ValueError, r"X has shape \(1, 12, 9\); it must have 2 dimensions"),
        (X + 1j, TypeError, "X has dtype complex128"),
        (X.astype(object), TypeError, "X has dtype object"),
        (X.astype(str), TypeError, "X has dtype <U"),
        (X.astype(np.longdouble), TypeError, "X has dtype float128"),
        (COO.astype(complex), TypeError, "X has dtype complex128"),
        (np.ma.masked_array(X), TypeError, r"X is a masked array; pass X.data, and mask=~np.ma.getmaskarray\(X\)"),
        (None, TypeError, "X "),
        ("matrix", TypeError, "X "),
        ([[1.0, 2.0], [3.0]], ValueError, "X is not an array"),
        (with_place(0, 4, 12), ValueError, r"complete: X\.row has the entry 12 at index 4; X has 12 rows"),
        (with_place(1, 4, 9), ValueError, r"complete: X\.col has the entry 9 at index 4; X has 9 columns"),
        (with_place(1, 4, -1), ValueError, r"complete: X\.col has the entry -1 at index 4"),
    ],
)
def test_matrices(matrix: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nl.completion.complete(matrix, 2, seed=0)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_matrices_with_wrong_indices(form: str, index: Any) -> None:
    """Before anything is read by them."""
    for part, position, value, message in [
        ("indices", 2, 100, r"X(\.T)?\.indices has the column 100 at index 2"),
        ("indices", 2, -1, r"X(\.T)?\.indices has the column -1 at index 2"),
        ("indptr", 1, 200, r"X(\.T)?\.indptr (decreases|ends|has)"),
        ("indptr", -1, 10**6, r"X(\.T)?\.indptr"),
        ("indptr", 0, 1, r"X(\.T)?\.indptr"),
    ]:
        matrix = COO.asformat(form)
        matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(index)
        getattr(matrix, part)[position] = value
        with pytest.raises(ValueError, match=message):
            nl.completion.complete(matrix, 2, seed=0)


def test_shapes_that_overflow() -> None:
    wide = scipy.sparse.coo_array((np.ones(2), ([0, 1], [0, 2**40])), shape=(2, 2**62))
    with pytest.raises((MemoryError, OverflowError, ValueError), match="X is 2 x 4611686018427387904"):
        nl.completion.complete(wide, 1, lam=1.0, seed=0)


WRONG_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"rank": 0}, ValueError, "rank is 0; it must be at least 1, or 0 with biases"),
    ({"rank": -1}, ValueError, "rank is -1; it must be at least 0"),
    ({"rank": 10}, ValueError, "rank is 10 and X is 12 x 9; the rank of such a matrix is at most 9"),
    ({"rank": 2**70}, ValueError, "rank is .* and X is 12 x 9"),
    ({"rank": 2.0}, TypeError, "rank is 2.0; it must be an integer"),
    ({"rank": "two"}, TypeError, "rank is 'two'"),
    ({"rank": None, "nonneg": True}, ValueError, "rank must be given for implicit feedback and for a non-negative"),
    ({"rank": None, "implicit": True, "lam": 1.0}, ValueError, "rank must be given for implicit feedback"),
    ({"lam": -1.0}, ValueError, "lam is -1"),
    ({"lam": np.nan}, ValueError, "lam is nan"),
    ({"lam": np.inf}, ValueError, "lam is inf"),
    ({"lam": "best"}, ValueError, "lam is 'best'; it must be .*'auto'"),
    ({"lam": None}, TypeError, "lam is None; it must be a number"),
    ({"lam": [1.0]}, TypeError, "lam is "),
    ({"tol": -1e-9}, ValueError, "tol is -1e-09"),
    ({"tol": np.nan}, ValueError, "tol is nan"),
    ({"tol": "small"}, TypeError, "tol is 'small'"),
    ({"maxiter": 0}, ValueError, "maxiter is 0; it must be at least 1"),
    ({"maxiter": 2.5}, TypeError, "maxiter is 2.5"),
    ({"patience": 0}, ValueError, "patience is 0; it must be at least 1"),
    ({"patience": "long"}, TypeError, "patience is 'long'"),
    ({"solver": "svd"}, ValueError, "solver is 'svd'; it must be one of"),
    ({"solver": None}, ValueError, "solver is None"),
    ({"homotopy": "yes"}, ValueError, "homotopy is 'yes'; it must be 'auto', True or False"),
    ({"homotopy": 1}, ValueError, "homotopy is 1"),
    ({"duplicates": "first"}, ValueError, "duplicates is 'first'; it must be one of"),
    ({"underdetermined": "skip"}, ValueError, "underdetermined is 'skip'; it must be one of"),
    ({"dtype": np.int32}, ValueError, "dtype is int32; it must be float32 or float64"),
    ({"dtype": complex}, ValueError, "dtype is complex128"),
    ({"seed": -1}, ValueError, "seed is -1"),
    ({"seed": "a"}, TypeError, "seed is"),
    ({"n_threads": 0}, ValueError, "n_threads is 0; it must be at least 1"),
    ({"callback": 3}, TypeError, "callback is 3; it must be callable or None"),
    ({"verbose": "loud"}, ValueError, "verbose is 'loud'; it must be False, True or 'progress'"),
    ({"nonneg": True, "biases": True}, ValueError, "a non-negative model has no biases"),
    ({"nonneg": True, "implicit": True}, ValueError, "cannot be non-negative too"),
    ({"nonneg": True, "solver": "vp"}, ValueError, "a non-negative model needs the solver `als`"),
    ({"nonneg": True, "solver": "cg"}, ValueError, "a non-negative model needs the solver `als`"),
    ({"nonneg": True, "solver": "sketch"}, ValueError, "a non-negative model needs the solver `als`"),
    ({"nonneg": True}, ValueError, r"X has the entry -.* in row \d+, column \d+; a non-negative model needs"),
    ({"implicit": True, "biases": True}, ValueError, "a model of implicit feedback has no biases"),
    ({"implicit": True, "solver": "vp"}, ValueError, "implicit feedback cannot be fitted by the solver `vp`"),
    ({"implicit": True, "solver": "sketch"}, ValueError, "implicit feedback cannot be fitted by the solver `sketch`"),
    (
        {"implicit": True, "lam": 1.0},
        ValueError,
        r"X has the entry -.* in row \d+, column \d+; implicit feedback cannot",
    ),
    (
        {"implicit": True, "lam": 1.0, "validation": 0.1},
        ValueError,
        "implicit feedback has no values that could be held",
    ),
    ({"implicit": True, "lam": "auto"}, ValueError, "implicit feedback has no values that could be held out"),
    # masks
    ({"mask": np.ones((9, 12), bool)}, ValueError, r"mask has shape \(9, 12\) and X has shape \(12, 9\)"),
    ({"mask": ONES}, TypeError, "mask has dtype float64; it must hold booleans, True for what was observed"),
    ({"mask": np.zeros((12, 9), bool)}, ValueError, "X has no observed entry"),
    ({"mask": ONES == 1}, ValueError, r"X has the entry nan at index \(\d+, \d+\); by mask it is observed"),
    # weights
    ({"weights": -ONES}, ValueError, r"weights has the entry -1.0 at index \(0, \d\); weights must be finite and not"),
    ({"weights": with_entry(np.nan, ONES), "X": X}, ValueError, r"weights has the entry nan at index \(7, 2\)"),
    ({"weights": with_entry(np.inf, ONES), "X": X}, ValueError, r"weights has the entry inf at index \(7, 2\)"),
    ({"weights": 0 * ONES}, ValueError, "X has no observed entry"),
    ({"weights": ONES[:5]}, ValueError, r"weights has shape \(5, 9\) and X has shape \(12, 9\)"),
    ({"weights": np.ones(9)}, ValueError, r"weights has shape \(9,\) and X has shape \(12, 9\)"),
    (
        {"weights": np.ones(3), "X": COO},
        ValueError,
        rf"weights has shape \(3,\); X has .* and stores {COO.nnz} entries",
    ),
    ({"weights": ONES[:5], "X": COO}, ValueError, r"weights has shape \(5, 9\) and X has shape \(12, 9\)"),
    ({"weights": ONES + 1j}, TypeError, "weights has dtype complex128"),
    ({"weights": "heavy"}, TypeError, "weights "),
    ({"weights": np.ma.masked_array(ONES)}, TypeError, "weights is a masked array"),
    (
        {"weights": scipy.sparse.csr_array((12, 9))},
        ValueError,
        "X stores an entry in row 0, column 0, and weights does",
    ),
    (
        {"weights": scipy.sparse.csr_array(ONES)},
        ValueError,
        r"weights stores an entry in row \d, column \d, and X does",
    ),
    (
        {"weights": scipy.sparse.csr_array((9, 12))},
        ValueError,
        r"weights has shape \(9, 12\) and X has shape \(12, 9\)",
    ),
    # validation
    ({"validation": 0.0}, ValueError, "validation is 0.0; a fraction must be above 0 and below 1"),
    ({"validation": 1.0}, ValueError, "validation is 1.0; a fraction must be above 0 and below 1"),
    ({"validation": -0.1}, ValueError, "validation is -0.1; a fraction"),
    ({"validation": np.nan}, ValueError, "validation is nan; a fraction"),
    ({"validation": "some"}, TypeError, "validation is 'some'; it must be a fraction, a matrix, or a tuple"),
    ({"validation": True}, TypeError, "validation is True"),
    ({"validation": ([0], [0])}, TypeError, "validation is "),
    ({"validation": ([0], [0, 1], [1.0])}, ValueError, r"validation has .* of shapes \(1,\), \(2,\) and \(1,\)"),
    (
        {"validation": ([0, 12], [0, 1], [1.0, 2])},
        IndexError,
        r"validation\[0\] has the entry 12 at index 1; there are",
    ),
    ({"validation": ([0, 1], [0, -1], [1.0, 2])}, IndexError, r"validation\[1\] has the entry -1 at index 1"),
    ({"validation": ([0.5], [0], [1.0])}, TypeError, r"validation\[0\] has dtype float64"),
    ({"validation": ([0], [0], [np.nan])}, ValueError, r"validation\[2\] has the entry nan at index \(0,\)"),
    ({"validation": ONES[:3]}, ValueError, r"validation has shape \(3, 9\) and X has shape \(12, 9\)"),
    ({"validation": with_entry(np.inf)}, ValueError, r"validation has the entry inf at index \(7, 2\)"),
    ({"lam": "auto", "validation": ([], [], [])}, ValueError, "lambda cannot be chosen without validation entries"),
    # init
    ({"init": 3}, TypeError, "init is a int; it must be a Completion or a tuple of U and V"),
    ({"init": (ONES[:, :2],)}, TypeError, "init is a tuple"),
    ({"init": (ONES[:, :2], ONES[:8, :2])}, ValueError, r"init\[1\] has shape \(8, 2\); for X of shape .* be \(9, 2\)"),
    ({"init": (ONES[:, :3], ONES[:9, :3])}, ValueError, r"init\[0\] has shape \(12, 3\); for X .* must be \(12, 2\)"),
    (
        {"init": (with_entry(np.nan)[:, 1:3], ONES[:9, :2])},
        ValueError,
        r"init\[0\] has the entry nan at index \(7, 1\)",
    ),
    ({"init": (ONES[:, :2] + 1j, ONES[:9, :2])}, TypeError, r"init\[0\] has dtype complex128"),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG_OPTIONS, ids=map(str, range(len(WRONG_OPTIONS))))
def test_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"X": HOLES, "rank": 2, "seed": 0, **options}
    with pytest.raises(error, match=message):
        nl.completion.complete(**given)


def test_masks_and_sparse_matrices_exclude_each_other() -> None:
    with pytest.raises(TypeError, match="mask is for dense arrays, and X is sparse"):
        nl.completion.complete(COO, 2, mask=ONES == 1)


@pytest.mark.parametrize(
    ("rank", "lam", "change", "message"),
    [
        (
            2,
            0.0,
            "row",
            "complete: row 4 has 0 of the 2 entries that its unknowns need, as have 1 rows in all; with lam = 0",
        ),
        (
            2,
            0.0,
            "few",
            "complete: row 4 has 1 of the 2 entries that its unknowns need, as have 2 rows in all; with lam",
        ),
        (
            2,
            0.0,
            "column",
            "complete: column 5 has 1 of the 2 entries that its unknowns need, as have 1 columns in all",
        ),
    ],
)
def test_too_few_entries(rank: int, lam: float, change: str, message: str) -> None:
    matrix = X.copy()
    if change == "row":
        matrix[4] = np.nan
    elif change == "few":
        matrix[[4, 8], 1:] = np.nan
    else:
        matrix[1:, 5] = np.nan
    with pytest.raises(ValueError, match=message):
        nl.completion.complete(matrix, rank, lam=lam, seed=0)


def test_unknowns_count_biases() -> None:
    matrix = X.copy()
    matrix[4, 2:] = np.nan
    with pytest.raises(ValueError, match="row 4 has 2 of the 3 entries that its unknowns need, as have 1 rows in all"):
        nl.completion.complete(matrix, 2, biases=True, seed=0)


def test_nothing_to_hold_out() -> None:
    message = "validation is 0.5, and no entry of X can be held out: each row and column keeps 1 of its own"
    with pytest.raises(ValueError, match=message):
        nl.completion.complete(np.where(np.eye(5), 1.0, np.nan), 1, lam=0.1, validation=0.5, seed=0)


def test_start_with_biases_for_a_model_without() -> None:
    first = nl.completion.complete(HOLES, 2, lam=1.0, biases=True, seed=0)
    with pytest.raises(ValueError, match=r"init has biases, and the model that is asked for has none"):
        nl.completion.complete(HOLES, 2, lam=1.0, init=first, seed=0)


WARNED: dict[str, Callable[[], Any]] = {
    "maxiter iterations were not enough; the training error is": lambda: nl.completion.complete(COO, 2, maxiter=1),
    "1 row without entries left out, row 3 the first": lambda: nl.completion.complete(
        np.where(np.arange(12)[:, np.newaxis] == 3, np.nan, X), 2, lam=1.0
    ),
    "1 column without entries left out, column 3 the first": lambda: nl.completion.complete(
        np.where(np.arange(9) == 3, np.nan, X), 2, lam=1.0
    ),
}


@pytest.mark.parametrize("message", WARNED)
def test_warnings_point_to_the_caller(message: str) -> None:
    with pytest.warns(nl.completion.CompletionWarning, match=message) as caught:
        WARNED[message]()
    assert [warning.filename for warning in caught] == [__file__]


def test_inputs_survive_errors() -> None:
    matrix = with_data(5, np.nan)
    before = matrix.copy()
    with pytest.raises(ValueError, match="X has the entry nan"):
        nl.completion.complete(matrix, 2, seed=0)
    np.testing.assert_array_equal(matrix.data, before.data)
    np.testing.assert_array_equal(matrix.row, before.row)
