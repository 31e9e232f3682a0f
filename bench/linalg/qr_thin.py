"""Both factors of the QR factorisation of tall matrices."""

from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

from bench.harness import Case, Contender, Room
from bench.linalg.qr import matrix
from nearlinear import _core

QUICK = (10_000, 50)
SHAPES = [QUICK, (100_000, 200), (1_000_000, 50), (5_000, 1000)]


def cases() -> list[Case]:
    return [Case(f"{n} x {d}", partial(matrix, n, d, np.float64), quick=(n, d) == QUICK) for n, d in SHAPES]


def nearlinear_qr(method: Any, A: Any) -> Any:
    Q, R = np.empty_like(A), np.empty((A.shape[1], A.shape[1]), A.dtype)

    def factor() -> Any:
        _core.qr_thin(A, Q, R, method=method)
        return Q, R

    return factor


def numpy_qr(A: Any) -> Any:
    return lambda: np.linalg.qr(A)


def scipy_qr(A: Any) -> Any:
    by_columns, work = np.asfortranarray(A), np.empty(A.shape, A.dtype, order="F")

    def factor() -> Any:
        np.copyto(work, by_columns)
        return scipy.linalg.qr(work, mode="economic", overwrite_a=True, check_finite=False)

    return factor


def facts(A: Any) -> dict[str, int]:
    rows, cols = A.shape
    return {"rows": rows, "columns": cols, "operations": 4 * rows * cols**2 - 4 * cols**3 // 3}


def reference(A: Any) -> Any:
    return None


def check(A: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the larger of the relative residual of a column and the defect of orthogonality, in units of n u."""
    Q, R = result
    residual = np.linalg.norm(A - Q @ R, axis=0) / np.linalg.norm(A, axis=0)
    defect = np.abs(Q.T @ Q - np.eye(A.shape[1]))
    return float(max(residual.max(), defect.max()) / (len(A) * np.finfo(A.dtype).eps / 2))


ROOM = Room(
    name="linalg.qr_thin",
    task="Q and R of a QR factorisation",
    cases=cases,
    contenders=[
        Contender("nearlinear", partial(nearlinear_qr, _core.QrMethod.automatic), role="ours"),
        Contender("nearlinear, householder", partial(nearlinear_qr, _core.QrMethod.householder), role="ours"),
        Contender("scipy qr, by columns", scipy_qr, uses_blas=True),
        Contender("numpy qr", numpy_qr, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="n u",
    summaries={"best peer": lambda contender: True},
    remark="SciPy is timed with the copy of the matrix that each call needs.",
)
