"""Errors name the argument and what is wrong with it."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl

A = np.random.default_rng(0).standard_normal((40, 3))
b = np.arange(40.0)


def with_entry(value: float) -> Any:
    matrix = A.copy()
    matrix[7, 2] = value
    return matrix


@pytest.mark.parametrize("method", ["auto", "cholesky", "gram", "sketch-cg", "tsqr", "sketch-solve"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_entries_that_are_not_finite(method: str, value: float) -> None:
    big = np.vstack([with_entry(value)] + [A] * 400)
    rhs = np.resize(b, len(big))
    for matrix in (big, np.asfortranarray(big)):
        with pytest.raises(ValueError, match=r"A has the entry .* at index \(7, 2\)"):
            nl.sketch.lstsq(matrix, rhs, method=method)
    with pytest.raises(ValueError, match=r"A has the entry .* at index \(7, 2\)"):
        nl.sketch.lstsq(scipy.sparse.csr_array(big), rhs, method=method)
    with pytest.raises(ValueError, match=r"b has the entry .* at index"):
        nl.sketch.lstsq(np.vstack([A] * 400), np.where(np.arange(16000) == 5, value, 1.0), method=method)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"A": A[:, :0]}, ValueError, "A has shape \\(40, 0\\); it must have rows and columns"),
        ({"A": A[:0], "b": b[:0]}, ValueError, "A has shape \\(0, 3\\); it must have rows and columns"),
        ({"A": A[:, 0]}, ValueError, "A has shape \\(40,\\)"),
        ({"A": A + 1j}, TypeError, "A has dtype complex128"),
        ({"A": np.ma.masked_array(A)}, TypeError, "A is a masked array"),
        ({"b": b[:-1]}, ValueError, "A has shape \\(40, 3\\) and b has shape \\(39,\\)"),
        ({"b": np.zeros((40, 1, 1))}, ValueError, "b has shape \\(40, 1, 1\\)"),
        ({"b": None}, TypeError, "b is None"),
        ({"method": "qr"}, ValueError, "method is 'qr'"),
        ({"sketch": "srft"}, ValueError, "sketch is 'srft'"),
        ({"m": 2, "method": "sketch-cg"}, ValueError, "m is 2 and A has 3 columns; .* at least as many rows"),
        ({"m": 3, "method": "sketch-solve"}, ValueError, "m is 3 and A has 3 columns; .* more rows"),
        ({"m": 0}, ValueError, "m is 0"),
        ({"m": 2.5}, TypeError, "m is 2.5"),
        ({"eps": 0.0, "method": "sketch-solve"}, ValueError, "eps is 0.0"),
        ({"eps": -1.0, "method": "sketch-solve"}, ValueError, "eps is -1.0"),
        ({"eps": 1.0}, ValueError, "eps is for method 'sketch-solve'"),
        ({"eps": 1.0, "m": 20, "method": "sketch-solve"}, ValueError, "give one of them"),
        ({"delta": 0.0}, ValueError, "delta is 0.0"),
        ({"delta": 1.0}, ValueError, "delta is 1.0"),
        ({"ridge": -1.0}, ValueError, "ridge is -1.0"),
        ({"ridge": np.inf}, ValueError, "ridge is inf"),
        ({"rcond": -1.0}, ValueError, "rcond is -1.0"),
        ({"tol": 0.0}, ValueError, "tol is 0.0"),
        ({"maxiter": -1}, ValueError, "maxiter is -1"),
        ({"x0": np.zeros(4)}, ValueError, "x0 has shape \\(4,\\); it must have shape \\(3,\\)"),
        ({"x0": [0, np.nan, 0]}, ValueError, "x0 has the entry nan"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"n_threads": 0}, ValueError, "n_threads is 0"),
        ({"callback": 3}, TypeError, "callback is 3"),
        ({"sample_weight": np.ones(3)}, ValueError, "sample_weight has shape \\(3,\\)"),
        ({"sample_weight": -np.ones(40)}, ValueError, "sample_weight has the entry -1.0 at index 0"),
    ],
)
def test_lstsq(options: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"A": A, "b": b, **options}
    with pytest.raises(error, match=message):
        nl.sketch.lstsq(arguments.pop("A"), arguments.pop("b"), **arguments)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nl.sketch.sketch(A, 0), ValueError, "m is 0"),
        (lambda: nl.sketch.sketch(A, 5, "fourier"), ValueError, "kind is 'fourier'"),
        (lambda: nl.sketch.sketch(with_entry(np.nan), 5), ValueError, "A has the entry nan at index \\(7, 2\\)"),
        (
            lambda: nl.sketch.sketch(scipy.sparse.csr_array(with_entry(np.inf)), 5, "sjlt"),
            ValueError,
            "A.data has the entry inf",
        ),
        (lambda: nl.sketch.sketch(np.zeros((0, 3)), 5, "dct"), ValueError, "it must have a row for kind 'dct'"),
        (lambda: nl.sketch.sketch(A[0], 5), ValueError, "A has shape \\(3,\\)"),
        (lambda: nl.sketch.RowSketch(0, 5), ValueError, "n_cols is 0"),
        (lambda: nl.sketch.RowSketch(3, 5, "pooled"), ValueError, "kind is 'pooled', which needs all rows at once"),
        (lambda: nl.sketch.RowSketch(3, 5, dtype=int), TypeError, "dtype is int64"),
        (lambda: nl.sketch.RowSketch(3, 5).solve(), ValueError, "the sketch is empty"),
        (lambda: nl.sketch.RowSketch(3, 5).partial_fit(A).solve(), ValueError, "there is no right-hand side"),
        (lambda: nl.sketch.RowSketch(3, 3).partial_fit(A, b).solve(), ValueError, "it must have more rows to solve"),
        (lambda: nl.sketch.RowSketch(3, 9).partial_fit(A, b).solve(ridge=-1), ValueError, "ridge is -1"),
        (lambda: nl.sketch.RowSketch(3, 9).partial_fit(A, b).solve(delta=2), ValueError, "delta is 2"),
        (lambda: nl.sketch.sketch_rows(0, 1), ValueError, "d is 0"),
        (lambda: nl.sketch.sketch_rows(3, 0), ValueError, "eps is 0"),
        (lambda: nl.sketch.sketch_rows(3, 1, 1), ValueError, "delta is 1"),
        (lambda: nl.sketch.sketch_rows(3, 1e-6), OverflowError, "more than 2\\^30 rows"),
        (lambda: nl.sketch.ridge_path(A, b, [1, -1]), ValueError, "ridges has the entry -1.0 at index 1"),
        (lambda: nl.sketch.ridge_path(A, b[:5], [1]), ValueError, "A has shape \\(40, 3\\) and b has shape \\(5,\\)"),
        (
            lambda: nl.sketch.ridge_path(with_entry(np.nan), b, [1]),
            ValueError,
            "A has the entry nan at index \\(7, 2\\)",
        ),
        (lambda: nl.sketch.ridge_path(A[:, :0], b, [1]), ValueError, "A has shape \\(40, 0\\)"),
        (lambda: nl.sketch.leave_one_out(A, b, ridge=-1), ValueError, "ridge is -1"),
        (lambda: nl.sketch.LstsqStream(A), TypeError, "blocks is a ndarray; it must be callable"),
        (lambda: nl.sketch.lstsq(iter([])), ValueError, "A yields no block"),
        (lambda: nl.sketch.lstsq(iter([A])), TypeError, "block 0 of A is no pair"),
        (lambda: nl.sketch.lstsq(iter([(A, b), (A[:, :2], b)])), ValueError, "block 1 has 2 columns"),
        (
            lambda: nl.sketch.lstsq(iter([(A, b[:3])])),
            ValueError,
            "block 0 of A has shape \\(40, 3\\) and b has 3 rows",
        ),
        (lambda: nl.sketch.lstsq(iter([A, A]), np.ones(81)), ValueError, "A yields 80 rows and b has shape \\(81,\\)"),
        (lambda: nl.sketch.lstsq(iter([(A, b)]), method="gram"), ValueError, "its rows can be read once only"),
        (lambda: nl.sketch.lstsq(iter([(with_entry(np.nan), b)])), ValueError, "A or b has entries that are NaN"),
        (lambda: nl.sketch.lstsq([(with_entry(np.nan), b)]), ValueError, "A has the entry nan at index \\(7, 2\\)"),
        (lambda: nl.sketch.lstsq([(A, b)], sample_weight=b), ValueError, "sample_weight goes with an array A"),
        (
            lambda: nl.sketch.lstsq([(A, b)], method="sketch-solve", sketch="dct", seed=0),
            ValueError,
            "need all rows at once",
        ),
        (
            lambda: nl.sketch.lstsq(scipy.sparse.csr_array((50000, 40000)), np.ones(50000)),
            ValueError,
            "lsqr takes no factor",
        ),
    ],
)
def test_others(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
