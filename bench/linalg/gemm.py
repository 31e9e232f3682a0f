"""Products of dense matrices."""

from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK = (200, 200, 200, np.float64)
SHAPES = [
    QUICK,
    (1000, 1000, 1000, np.float64),
    (2000, 2000, 2000, np.float64),
    (100_000, 50, 50, np.float64),
    (100_000, 8, 200, np.float64),
    (2000, 2000, 2000, np.float32),
]


def cases() -> list[Case]:
    return [
        Case(
            f"{m} x {k} times {k} x {n}, {np.dtype(dtype).name}", partial(factors, m, n, k, dtype), quick=shape == QUICK
        )
        for shape in SHAPES
        for m, n, k, dtype in [shape]
    ]


def factors(m: int, n: int, k: int, dtype: Any) -> Any:
    random = np.random.default_rng(0)
    return random.random((m, k), dtype=dtype) - dtype(0.5), random.random((k, n), dtype=dtype) - dtype(0.5)


def nearlinear_gemm(given: Any) -> Any:
    A, B = given
    C = np.empty((len(A), B.shape[1]), A.dtype)

    def multiply() -> Any:
        _core.gemm(A, B, C)
        return C

    return multiply


def numpy_matmul(given: Any) -> Any:
    A, B = given
    C = np.empty((len(A), B.shape[1]), A.dtype)
    return lambda: np.matmul(A, B, out=C)


def facts(given: Any) -> dict[str, int]:
    A, B = given
    return {"rows": len(A), "columns": B.shape[1], "depth": len(B), "operations": 2 * A.size * B.shape[1]}


def checked_rows(A: Any) -> Any:
    return np.linspace(0, len(A) - 1, 20).astype(int)


def reference(given: Any) -> Any:
    A, B = given
    return A[checked_rows(A)].astype(np.longdouble) @ B.astype(np.longdouble)


def check(given: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry of some rows in units of its bound."""
    A, B = given
    rows = checked_rows(A)
    bound = len(B) * np.finfo(A.dtype).eps / 2 * (np.abs(A[rows]) @ np.abs(B))
    return float((np.abs(result[rows] - expected) / bound).max())


ROOM = Room(
    name="linalg.gemm",
    task="product of dense matrices",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_gemm, role="ours"),
        Contender("numpy matmul", numpy_matmul, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="k u |A| |B|",
    summaries={"best peer": lambda contender: True},
)
