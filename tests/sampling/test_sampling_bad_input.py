"""Errors name the argument and what is wrong with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl

sampling: Any = nl.sampling
A = np.random.default_rng(0).standard_normal((40, 3))
b = np.arange(40.0)
ones = np.ones(40)
sample = sampling.sample_rows(A, 1, 10, seed=0)


def with_entry(value: float) -> Any:
    matrix = A.copy()
    matrix[7, 2] = value
    return matrix


def with_score(index: int, value: float) -> Any:
    scores = ones.copy()
    scores[index] = value
    return scores


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "leverage_scores": sampling.leverage_scores,
    "lewis_weights": lambda A, **options: sampling.lewis_weights(A, options.pop("p", 1.5), **options),
    "lewis_certificate": lambda A, **options: sampling.lewis_certificate(
        A, options.pop("weights", np.ones(np.shape(A)[:1])), options.pop("p", 3), **options
    ),
    "sensitivities": lambda A, **options: sampling.sensitivities(A, options.pop("p", 1), **options),
    "total_sensitivity": lambda A, **options: sampling.total_sensitivity(A, options.pop("p", 1), **options),
    "max_sensitivity": lambda A, **options: sampling.max_sensitivity(A, options.pop("p", 3), **options),
    "sample_rows": lambda A, **options: sampling.sample_rows(
        A, options.pop("p", 1), **({} if "eps" in options or "m" in options else {"m": 5}), **options
    ),
    "embedding_distortion": lambda A, **options: sampling.embedding_distortion(
        A, options.pop("sample", ([0, 1, 2], [1.0, 1, 1])), options.pop("p", 1), **options
    ),
    "lp_regression": lambda A, **options: sampling.lp_regression(
        A, options.pop("b", np.ones(np.shape(A)[:1])), options.pop("p", 1), **options
    ),
}


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (with_entry(np.nan), ValueError, r"A has the entry nan at index \(7, 2\)"),
        (with_entry(-np.inf), ValueError, r"A has the entry -inf at index \(7, 2\)"),
        (np.asfortranarray(with_entry(np.inf)), ValueError, r"A has the entry inf at index \(7, 2\)"),
        (with_entry(np.nan).astype(np.float32), ValueError, r"A has the entry nan at index \(7, 2\)"),
        (scipy.sparse.csr_array(with_entry(np.nan)), ValueError, r"A.* has the entry nan at index"),
        (A[:, :0], ValueError, r"A (is|has) .*0"),
        (A[:0], ValueError, r"A (is|has) .*0"),
        (A[:, 0], ValueError, r"A has shape \(40,\); it must have 2 dimensions"),
        (A[np.newaxis], ValueError, r"A has shape \(1, 40, 3\); it must have 2 dimensions"),
        (A + 1j, TypeError, "A has dtype complex128"),
        (A.astype(object), TypeError, "A has dtype object"),
        (A.astype(str), TypeError, "A has dtype <U"),
        (A.astype(np.longdouble), TypeError, "A has dtype float128"),
        (scipy.sparse.csr_array(A + 1j), TypeError, "A has dtype complex128"),
        (np.ma.masked_array(A), TypeError, "A is a masked array"),
    ],
    ids=[
        *("nan", "inf", "Fortran", "float32", "sparse", "no columns", "no rows", "1-d", "3-d", "complex", "object"),
        *("str", "longdouble", "sparse complex", "masked"),
    ],
)
def test_matrices(matrix: Any, error: type[Exception], message: str) -> None:
    for call in FUNCTIONS.values():
        with pytest.raises(error, match=message):
            call(matrix)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sparse_matrices_with_wrong_indices(function: str) -> None:
    for part, position, value, message in [
        ("indices", 2, 3, r"A\.indices has the column 3 at index 2; .* has 3 columns"),
        ("indices", 2, -1, r"A\.indices has the column -1 at index 2"),
        ("indptr", 1, 100, r"A\.indptr decreases from 100 to 6 at index 2"),
    ]:
        matrix = scipy.sparse.csr_array(A)
        getattr(matrix, part)[position] = value
        with pytest.raises(ValueError, match=message):
            FUNCTIONS[function](matrix)


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (0.5, ValueError, "p is 0.5; it must be at least 1"),
        (0, ValueError, "p is 0.0; it must be at least 1"),
        (-1, ValueError, "p is -1.0"),
        (np.nan, ValueError, "p is nan"),
        (np.inf, ValueError, "p is inf; it must be finite"),
        ("two", TypeError, "p is 'two'; it must be a number"),
    ],
)
def test_exponents(p: Any, error: type[Exception], message: str) -> None:
    for function, call in FUNCTIONS.items():
        if function != "leverage_scores" and (function, p) != ("lp_regression", np.inf):
            with pytest.raises(error, match=message):
                call(A, p=p)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_threads": 0}, ValueError, "n_threads is 0; it must be at least 1"),
        ({"n_threads": 1.5}, TypeError, "n_threads is 1.5"),
        ({"callback": 3}, TypeError, "callback is 3; it must be callable or None"),
        ({"verbose": "loud"}, ValueError, "verbose is 'loud'"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": 2**64}, ValueError, "seed is 18446744073709551616; it must be below 2"),
        ({"seed": "now"}, TypeError, "seed is 'now'"),
    ],
)
def test_common_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    without = {
        "lewis_weights": ("seed",),
        "lewis_certificate": ("seed", "callback", "verbose"),
        "max_sensitivity": ("seed",),
        "lp_regression": ("seed",),
    }
    for function, call in FUNCTIONS.items():
        if next(iter(options)) not in without.get(function, ()):
            with pytest.raises(error, match=message):
                call(A, **options)


@pytest.mark.parametrize(
    ("function", "options", "error", "message"),
    [
        ("leverage_scores", {"method": "qr"}, ValueError, "method is 'qr'; it must be one of"),
        ("leverage_scores", {"ridge": -1.0}, ValueError, "ridge is -1.0; it must be finite and not negative"),
        ("leverage_scores", {"ridge": np.nan}, ValueError, "ridge is nan"),
        ("leverage_scores", {"ridge": np.inf}, ValueError, "ridge is inf"),
        ("leverage_scores", {"ridge": None}, TypeError, "ridge is None; it must be a number"),
        ("leverage_scores", {"rcond": 1.0}, ValueError, "rcond is 1.0; it must be below 1"),
        ("leverage_scores", {"rcond": -1e-9}, ValueError, "rcond is -1e-09"),
        ("leverage_scores", {"rcond": np.nan}, ValueError, "rcond is nan"),
        ("lewis_weights", {"tol": 0.0}, ValueError, "tol is 0.0"),
        ("lewis_weights", {"tol": -1.0}, ValueError, "tol is -1.0"),
        ("lewis_weights", {"tol": np.nan}, ValueError, "tol is nan"),
        ("lewis_weights", {"maxiter": -1}, ValueError, "maxiter is -1"),
        ("lewis_weights", {"maxiter": 2.5}, TypeError, "maxiter is 2.5"),
        ("lewis_certificate", {"weights": ones[:5]}, ValueError, r"weights has shape \(5,\) and A has shape \(40, 3\)"),
        ("lewis_certificate", {"weights": with_score(3, -1)}, ValueError, "weights has the entry -1.0 at index 3"),
        ("lewis_certificate", {"weights": with_score(3, np.nan)}, ValueError, "weights has the entry nan at index"),
        ("lewis_certificate", {"weights": np.ones((40, 1))}, ValueError, r"weights has shape \(40, 1\)"),
        ("sensitivities", {"p": None}, TypeError, "p is None; it must be a number for loss 'lp'"),
        ("sensitivities", {"loss": "hinge"}, ValueError, "loss is 'hinge'; it must be one of"),
        ("sensitivities", {"method": "lp"}, ValueError, "method is 'lp'; it must be one of"),
        ("sensitivities", {"rows": [40]}, ValueError, "rows has the entry 40 at index 0; A has 40 rows"),
        ("sensitivities", {"rows": [0, -1]}, ValueError, "rows has the entry -1 at index 1"),
        ("sensitivities", {"rows": [[0]]}, ValueError, r"rows has shape \(1, 1\); it must have 1 dimension"),
        ("sensitivities", {"rows": [0.5]}, TypeError, "rows has dtype float64; it must hold integers"),
        ("sensitivities", {"alpha": 4}, ValueError, "alpha is for method 'bucket', and method is 'exact'"),
        ("sensitivities", {"alpha": 0, "method": "bucket"}, ValueError, "alpha is 0; it must be at least 1"),
        ("sensitivities", {"alpha": 1.5, "method": "bucket"}, TypeError, "alpha is 1.5"),
        ("sensitivities", {"loss": "huber", "method": "bucket"}, ValueError, "buckets are for loss 'lp'"),
        ("total_sensitivity", {"n_solves": 1}, ValueError, "n_solves is 1; it must be at least 2"),
        ("total_sensitivity", {"n_solves": 2.0}, TypeError, "n_solves is 2.0"),
        ("total_sensitivity", {"method": "bucket"}, ValueError, "method is 'bucket'; it must be one of"),
        ("max_sensitivity", {"max_solves": 0}, ValueError, "max_solves is 0; it must be at least 1"),
        ("sample_rows", {"m": None}, ValueError, "m and eps are None; give m"),
        ("sample_rows", {"m": 5, "eps": 0.5}, ValueError, "m is 5 and eps is 0.5; give one of them"),
        ("sample_rows", {"m": 0}, ValueError, "m is 0; it must be at least 1"),
        ("sample_rows", {"m": 2.5}, TypeError, "m is 2.5"),
        ("sample_rows", {"eps": 0.0}, ValueError, "eps is 0.0"),
        ("sample_rows", {"eps": -0.5}, ValueError, "eps is -0.5"),
        ("sample_rows", {"eps": np.nan}, ValueError, "eps is nan"),
        ("sample_rows", {"eps": 0.5, "delta": 0.0}, ValueError, "delta is 0.0"),
        ("sample_rows", {"eps": 0.5, "delta": 1.0}, ValueError, "delta is 1.0"),
        ("sample_rows", {"eps": 0.5, "score": "uniform"}, ValueError, "eps goes with scores that have a bound"),
        ("sample_rows", {"eps": 0.5, "score": "leverage"}, ValueError, "eps goes with scores that have a bound"),
        ("sample_rows", {"eps": 0.5, "score": ones}, ValueError, "eps goes with scores that have a bound"),
        ("sample_rows", {"score": "ridge"}, ValueError, "score is 'ridge'; it must be one of"),
        ("sample_rows", {"score": ones[:5]}, ValueError, r"score has shape \(5,\) and A has shape \(40, 3\)"),
        ("sample_rows", {"score": with_score(3, -1)}, ValueError, "score has the entry -1.0 at index 3; .* negative"),
        ("sample_rows", {"score": with_score(3, np.nan)}, ValueError, r"score has the entry nan at index \(3,\)"),
        ("sample_rows", {"score": with_score(3, np.inf)}, ValueError, r"score has the entry inf at index \(3,\)"),
        ("sample_rows", {"score": 0 * ones}, ValueError, "score is 0 for every row; some must be positive"),
        ("sample_rows", {"score": with_score(3, 0)}, ValueError, "score is 0 at index 3.*it would be lost"),
        ("sample_rows", {"score": ones + 1j}, TypeError, "score has dtype complex128"),
        ("sample_rows", {"exact_size": True, "replacement": True}, ValueError, "exact_size goes without replacement"),
        ("embedding_distortion", {"n_directions": 0}, ValueError, "n_directions is 0; it must be at least 1"),
        ("embedding_distortion", {"p": None}, ValueError, "p is None; it must be given unless sample is a RowSample"),
        ("embedding_distortion", {"sample": 3}, TypeError, "sample is a int; it must be a RowSample or a pair"),
        ("embedding_distortion", {"sample": ([0], [1, 2])}, ValueError, r"sample\[1\] has shape \(2,\)"),
        ("embedding_distortion", {"sample": ([40], [1])}, ValueError, r"sample\[0\] has the entry 40 at index 0"),
        ("embedding_distortion", {"sample": ([0.0], [1])}, TypeError, r"sample\[0\] has dtype float64"),
        ("embedding_distortion", {"sample": ([0], [-1])}, ValueError, r"sample\[1\] has the entry -1.0 at index 0"),
        ("embedding_distortion", {"sample": ([0], [np.inf])}, ValueError, r"sample\[1\] has the entry inf"),
        ("embedding_distortion", {"sample": ([], [])}, ValueError, "the sample has no rows"),
        ("lp_regression", {"b": b[:-1]}, ValueError, r"A has shape \(40, 3\) and b has shape \(39,\)"),
        ("lp_regression", {"b": np.ones((40, 1))}, ValueError, r"b has shape \(40, 1\); it must have 1 dimension"),
        ("lp_regression", {"b": with_score(4, np.nan)}, ValueError, r"b has the entry nan at index \(4,\)"),
        ("lp_regression", {"b": ones + 1j}, TypeError, "b has dtype complex128"),
        ("lp_regression", {"b": None}, TypeError, "b "),
        ("lp_regression", {"tol": 0.0}, ValueError, "tol is 0.0"),
        ("lp_regression", {"maxiter": -1}, ValueError, "maxiter is -1"),
        ("lp_regression", {"maxiter": 0}, ValueError, "maxiter is 0; it must be at least 1"),
        ("lp_regression", {"sample_weight": ones[:3]}, ValueError, r"sample_weight has shape \(3,\)"),
        ("lp_regression", {"sample_weight": -ones}, ValueError, "sample_weight has the entry -1.0 at index 0"),
        ("lp_regression", {"sample_weight": with_score(1, np.nan)}, ValueError, "sample_weight has the entry nan"),
        ("lp_regression", {"sample_weight": 0 * ones}, ValueError, "all weights are 0"),
        ("lp_regression", {"sample_weight": 0 * ones, "p": np.inf}, ValueError, "all weights are 0"),
        ("lp_regression", {"sample": ([], [])}, ValueError, "sample has no rows; there is nothing to fit"),
        ("lp_regression", {"sample": ([0, 41], [1, 1])}, ValueError, r"sample\[0\] has the entry 41 at index 1"),
        ("lp_regression", {"sample": "all"}, TypeError, "sample is a str; it must be a RowSample or a pair"),
        ("lp_regression", {"sample": ([1], [0.0])}, ValueError, "all weights are 0"),
    ],
)
def test_options(function: str, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FUNCTIONS[function](A, **options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sample.apply(A[:9]), ValueError, r"A has shape \(9, 3\), and the sample is one of 40 rows"),
        (lambda: sample.apply(scipy.sparse.csr_array(A[:9])), ValueError, r"A has shape \(9, 3\)"),
        (lambda: sample.apply(with_entry(np.nan)), ValueError, r"A has the entry nan at index \(7, 2\)"),
        (lambda: sample.apply(scipy.sparse.csr_array(with_entry(np.nan))), ValueError, "A.* has the entry nan"),
        (lambda: sample.apply(A + 1j), TypeError, "A has dtype complex128"),
        (lambda: sample.apply(A[np.newaxis]), ValueError, r"A has shape \(1, 40, 3\)"),
        (lambda: sampling.embedding_distortion(A[:9], sample), ValueError, "sample is one of 40 rows"),
        (lambda: sampling.lp_regression(A[:9], b[:9], 1, sample=sample), ValueError, "sample is one of 40 rows"),
        (
            lambda: sampling.lp_regression(with_entry(np.nan), b, 1, sample=([0], [1.0])),
            ValueError,
            r"A has the entry nan at index \(7, 2\)",
        ),
        (lambda: sampling.sample_rows(np.zeros((5, 2)), 1, 2), ValueError, "all scores are 0"),
        (lambda: sampling.StreamingCoreset(0.5, 10), ValueError, "p is 0.5; it must be at least 1"),
        (lambda: sampling.StreamingCoreset(np.inf, 10), ValueError, "p is inf; it must be finite"),
        (lambda: sampling.StreamingCoreset("one", 10), TypeError, "p is 'one'; it must be a number"),
        (lambda: sampling.StreamingCoreset(1, 1), ValueError, "budget is 1; it must be at least 2"),
        (lambda: sampling.StreamingCoreset(1, 10.5), TypeError, "budget is 10.5"),
        (lambda: sampling.StreamingCoreset(1, 10, seed=-1), ValueError, "seed is -1"),
        (lambda: sampling.StreamingCoreset(1, 10, n_threads=0), ValueError, "n_threads is 0"),
        (lambda: sampling.StreamingCoreset(1, 10).result(), ValueError, "the coreset is empty; call partial_fit first"),
        (
            lambda: sampling.StreamingCoreset(1, 3).partial_fit(A),
            ValueError,
            "budget is 3; it must be larger than the number of columns, 3",
        ),
        (lambda: sampling.StreamingCoreset(1, 4).partial_fit(A, b), ValueError, "the number of columns, 4"),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(A[:, :0]), ValueError, "it must have columns"),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(A[0]), ValueError, r"block has shape \(3,\)"),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(A, A[None]), ValueError, r"rhs has shape \(1, 40, 3\)"),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(A + 1j), TypeError, "block has dtype complex128"),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(A, b + 1j), TypeError, "rhs has dtype complex128"),
        (
            lambda: sampling.StreamingCoreset(1, 9).partial_fit(scipy.sparse.csr_array(A)),
            TypeError,
            "block is a sparse array",
        ),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(np.ma.masked_array(A)), TypeError, "block is a masked"),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(A, row_offset=-1), ValueError, "row_offset is -1"),
        (lambda: sampling.StreamingCoreset(1, 9).partial_fit(A, row_offset=0.5), TypeError, "row_offset is 0.5"),
        (
            lambda: sampling.StreamingCoreset(1, 9).partial_fit(A, row_offset=2**62),
            OverflowError,
            "row_offset is 4611686018427387904; it must be below 2",
        ),
    ],
)
def test_others(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_products_of_sizes_that_overflow() -> None:
    """Sparse matrices may have any shape, and what needs a number for each column of it says so."""
    wide = scipy.sparse.csr_array((np.ones(2), np.array([0, 2**40]), np.array([0, 1, 2])), shape=(2, 2**41))
    tall = scipy.sparse.csr_array((3, 2**33))
    for matrix in (wide, tall):
        with pytest.raises((MemoryError, OverflowError)):
            sampling.lewis_weights(matrix, 1)


@pytest.mark.parametrize("score", ["uniform", "root-leverage", "lewis", "sensitivity", "sensitivity+leverage", ones])
@pytest.mark.parametrize("m", [5, 40])
def test_no_sample_of_what_is_not_finite(score: Any, m: int) -> None:
    """Whatever the scores are, and whether they are needed or not."""
    for matrix in (
        with_entry(np.nan),
        np.asfortranarray(with_entry(np.nan)),
        scipy.sparse.csr_array(with_entry(np.nan)),
    ):
        with pytest.raises(ValueError, match=r"A.* has the entry nan at index"):
            sampling.sample_rows(matrix, 1.5, m, score=score, seed=0)


@pytest.mark.parametrize("scores", [[1.0, 1e-20], [1e-20, 1.0, 1.0, 1e-300], [3.0, 2.0, 1e-17, 0.0]])
def test_scores_that_rounding_loses_beside_others(scores: list[float]) -> None:
    """The search for c ends: what is left for rows with small scores may be nothing."""
    A = np.where(np.array(scores)[:, np.newaxis] > 0, 1.0, 0.0)
    for m in range(1, len(scores)):
        drawn = sampling.sample_rows(A, 1, m, score=scores, seed=0)
        assert np.isclose(drawn.probabilities.sum(), min(m, sum(score > 0 for score in scores)))
