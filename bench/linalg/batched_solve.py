"""Many small symmetric positive definite systems, one right-hand side each."""

from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.harness import Case, Contender, Room

QUICK_SIZES = [(2000, 4, "f8"), (2000, 16, "f8"), (500, 32, "f4")]
SIZES = [
    *QUICK_SIZES,
    (100_000, 4, "f8"),
    (50_000, 8, "f8"),
    (20_000, 16, "f8"),
    (20_000, 16, "f4"),
    (5000, 32, "f8"),
    (5000, 32, "f4"),
    (2000, 60, "f8"),
    (500, 128, "f8"),
]
DTYPES = {"f4": "float", "f8": "double"}
LONGEST_LOOP = 20_000  # systems; more take a loop in Python seconds, and tell the same


def cases() -> list[Case]:
    return [
        Case(
            f"{count} x {k} {DTYPES[dtype]}", partial(problem, count, k, dtype), quick=(count, k, dtype) in QUICK_SIZES
        )
        for count, k, dtype in SIZES
    ]


def problem(count: int, k: int, dtype: str) -> Any:
    """Normal equations of random regressions, as alternating least squares has them."""
    rng = np.random.default_rng(0)
    A = np.empty((count, k, k), dtype)
    for begin in range(0, count, 1000):
        G = rng.normal(size=(min(1000, count - begin), 2 * k, k))
        A[begin : begin + 1000] = G.transpose(0, 2, 1) @ G
    return A, rng.normal(size=(count, k)).astype(dtype)


def nearlinear(given: Any) -> Any:
    A, b = given
    return lambda: nl.linalg.solve_spd_batch(A, b, check_finite=False).x


def nearlinear_checked(given: Any) -> Any:
    A, b = given
    return lambda: nl.linalg.solve_spd_batch(A, b).x


def numpy_batch(given: Any) -> Any:
    A, b = given
    return lambda: np.linalg.solve(A, b[..., np.newaxis])[..., 0]


def scipy_loop(given: Any) -> Any:
    A, b = given
    if len(A) > LONGEST_LOOP:
        return None

    def solve() -> Any:
        x = np.empty_like(b)
        for s in range(len(A)):
            x[s] = scipy.linalg.cho_solve(scipy.linalg.cho_factor(A[s], lower=True, check_finite=False), b[s])
        return x

    return solve


def facts(given: Any) -> dict[str, int]:
    count, k, _ = given[0].shape
    return {"systems": count, "unknowns": k, "operations": round(count * (k**3 / 3 + 2 * k**2))}


def reference(given: Any) -> Any:
    return None  # a solution is judged by its residual


def check(given: Any, _: Any, x: Any, contender: Contender) -> float:
    """Return the largest normwise backward error in units of k times the unit round-off."""
    A, b = (array.astype(np.longdouble if array.dtype == np.float64 else np.float64) for array in given)
    residual = np.abs(np.einsum("sij,sj->si", A, x.astype(A.dtype)) - b).max(axis=1)
    size = np.abs(A).sum(axis=2).max(axis=1) * np.abs(x).max(axis=1) + np.abs(b).max(axis=1)
    unit = np.finfo(given[0].dtype).eps / 2
    return float((residual / (unit * A.shape[1] * size)).max())


ROOM = Room(
    name="linalg.batched_solve",
    task="Batched solves",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear, role="ours"),
        Contender("nearlinear, checked", nearlinear_checked, role="ours"),
        Contender("numpy batch", numpy_batch, uses_blas=True),
        Contender("scipy cho_solve loop", scipy_loop, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="u k (||A|| ||x|| + ||b||)",
    tolerance=4.0,
    summaries={"best peer": lambda contender: True},
    remark="NumPy factors without using the symmetry, at twice the operations. Rates count those of Cholesky.",
)
