"""Products with the normal matrix A'A in one read of A."""

from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK = (20_000, 100, 1, np.float64)
SHAPES = [
    QUICK,
    (1_000_000, 100, 1, np.float64),
    (1_000_000, 100, 8, np.float64),
    (1_000_000, 100, 1, np.float32),
    (20_000, 5000, 1, np.float64),
]


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, {p} vectors, {np.dtype(dtype).name}", partial(problem, n, d, p, dtype), quick=shape == QUICK)
        for shape in SHAPES
        for n, d, p, dtype in [shape]
    ]


def problem(rows: int, cols: int, vectors: int, dtype: Any) -> Any:
    random = np.random.default_rng(0)
    return random.random((rows, cols), dtype=dtype) - dtype(0.5), random.random((cols, vectors), dtype=dtype)


def nearlinear_normal_product(given: Any) -> Any:
    A, Z = given
    Y = np.empty_like(Z)

    def multiply() -> Any:
        _core.normal_product(A, Z, Y)
        return Y

    return multiply


def nearlinear_gemv_pair(given: Any) -> Any:
    """Give A z as well, and take one vector alone."""
    A, Z = given
    if Z.shape[1] != 1:
        return None
    z, y, result = Z[:, 0].copy(), np.empty(len(A), A.dtype), np.empty(A.shape[1], A.dtype)

    def multiply() -> Any:
        _core.gemv_pair(A, z, y, y, result)
        return result[:, np.newaxis]

    return multiply


def two_products(given: Any) -> Any:
    A, Z = given
    return lambda: A.T @ (A @ Z)


def two_products_with_vector(given: Any) -> Any:
    A, Z = given
    if Z.shape[1] != 1:
        return None
    z = Z[:, 0].copy()
    return lambda: ((A @ z) @ A)[:, np.newaxis]


def one_read(given: Any) -> Any:
    """Take the sum of all entries: the least that can be done with them, on as many threads."""
    entries = given[0].reshape(-1)
    return lambda: _core.sum(entries)


def facts(given: Any) -> dict[str, int]:
    A, Z = given
    rows, cols = A.shape
    return {"rows": rows, "columns": cols, "vectors": Z.shape[1], "operations": 4 * A.size * Z.shape[1]}


def reference(given: Any) -> Any:
    A, Z = (part.astype(np.float64) for part in given)
    total = np.zeros(Z.shape, np.longdouble)
    for begin in range(0, len(A), 10_000):  # the matrix in long double would take twice the memory
        part = A[begin : begin + 10_000].astype(np.longdouble)
        total += part.T @ (part @ Z)
    return total


def check(given: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry in units of its bound."""
    A, Z = given
    rows, cols = A.shape
    absolute = np.abs(A)
    bound = (rows + cols) * np.finfo(A.dtype).eps / 2 * (absolute.T @ (absolute @ np.abs(Z)))
    return float((np.abs(result - expected) / bound).max())


ROOM = Room(
    name="linalg.normal_product",
    task="product with the normal matrix",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_normal_product, role="ours"),
        Contender("nearlinear gemv_pair", nearlinear_gemv_pair, role="ours"),
        Contender("numpy A.T @ (A @ Z)", two_products, uses_blas=True),
        Contender("numpy (A @ z) @ A", two_products_with_vector, uses_blas=True),
        Contender("one read of A", one_read, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="(n + d) u |A'| |A| |Z|",
    summaries={"best peer": lambda contender: True},
)
