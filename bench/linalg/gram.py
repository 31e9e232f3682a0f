"""Gram matrices."""

from functools import partial
from typing import Any

import numpy as np
import scipy.linalg.blas

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK = (10_000, 50, np.float64)
SHAPES = [
    QUICK,
    (100_000, 200, np.float64),
    (1_000_000, 50, np.float64),
    (20_000, 1000, np.float64),
    (100_000, 200, np.float32),
]


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, {np.dtype(dtype).name}", partial(matrix, n, d, dtype), quick=(n, d, dtype) == QUICK)
        for n, d, dtype in SHAPES
    ]


def matrix(rows: int, cols: int, dtype: Any) -> Any:
    return np.random.default_rng(0).random((rows, cols), dtype=dtype) - dtype(0.5)


def nearlinear_gram(A: Any) -> Any:
    C = np.empty((A.shape[1], A.shape[1]), A.dtype)

    def multiply() -> Any:
        _core.gram(A, C)
        return C

    return multiply


def nearlinear_gram_in_double(A: Any) -> Any:
    if A.dtype == np.float64:
        return None
    C = np.empty((A.shape[1], A.shape[1]))

    def multiply() -> Any:
        _core.gram(A, C)
        return C

    return multiply


def syrk(A: Any) -> Any:
    return scipy.linalg.blas.dsyrk if A.dtype == np.float64 else scipy.linalg.blas.ssyrk


def syrk_by_rows(A: Any) -> Any:
    return lambda: syrk(A)(1.0, A.T)


def syrk_by_columns(A: Any) -> Any:
    by_columns = np.asfortranarray(A)
    return lambda: syrk(A)(1.0, by_columns, trans=1)


def numpy_product(A: Any) -> Any:
    return lambda: A.T @ A


def both_triangles(upper: Any) -> Any:
    return np.triu(upper) + np.triu(upper, 1).T


def facts(A: Any) -> dict[str, int]:
    rows, cols = A.shape
    return {"rows": rows, "columns": cols, "operations": rows * cols * (cols + 1)}


def checked_columns(A: Any) -> Any:
    return np.linspace(0, A.shape[1] - 1, 10).astype(int)


def reference(A: Any) -> Any:
    return A[:, checked_columns(A)].astype(np.longdouble).T @ A.astype(np.longdouble)


def check(A: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry of some rows in units of its bound."""
    columns = checked_columns(A)
    bound = len(A) * np.finfo(A.dtype).eps / 2 * (np.abs(A[:, columns]).T @ np.abs(A))
    return float((np.abs(result[columns] - expected) / bound).max())


ROOM = Room(
    name="linalg.gram",
    task="Gram matrix",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_gram, role="ours"),
        Contender("nearlinear, float summed in double", nearlinear_gram_in_double, role="ours"),
        Contender("scipy syrk, by rows", syrk_by_rows, export=both_triangles, uses_blas=True),
        Contender("scipy syrk, by columns", syrk_by_columns, export=both_triangles, uses_blas=True),
        Contender("numpy A.T @ A", numpy_product, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="n u |A'| |A|",
    summaries={"best peer": lambda contender: True},
    remark="syrk writes one triangle of the result, the others write both.",
)
