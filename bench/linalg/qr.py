"""The triangular factor of tall matrices."""

from functools import partial
from typing import Any

import numpy as np
import scipy.linalg.lapack

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK = (10_000, 50, np.float64)
SHAPES = [
    QUICK,
    (100_000, 200, np.float64),
    (1_000_000, 50, np.float64),
    (5_000, 1000, np.float64),
    (20_000, 2000, np.float64),
    (100_000, 200, np.float32),
]


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, {np.dtype(dtype).name}", partial(matrix, n, d, dtype), quick=(n, d, dtype) == QUICK)
        for n, d, dtype in SHAPES
    ]


def matrix(rows: int, cols: int, dtype: Any) -> Any:
    return np.random.default_rng(0).random((rows, cols), dtype=dtype) - dtype(0.5)


def nearlinear_qr(method: Any, A: Any) -> Any:
    R = np.empty((A.shape[1], A.shape[1]), A.dtype)

    def factor() -> Any:
        _core.qr(A, R, method=method)
        return R

    return factor


def numpy_qr(A: Any) -> Any:
    return lambda: np.linalg.qr(A, mode="r")


def lapack(name: str, A: Any) -> Any:
    return getattr(scipy.linalg.lapack, ("d" if A.dtype == np.float64 else "s") + name)


def geqrf(A: Any) -> Any:
    """Factor a matrix by columns, which the call must copy first."""
    by_columns, work = np.asfortranarray(A), np.empty(A.shape, A.dtype, order="F")
    size = int(lapack("geqrf_lwork", A)(*A.shape)[0])

    def factor() -> Any:
        np.copyto(work, by_columns)
        return lapack("geqrf", A)(work, lwork=size, overwrite_a=True)[0][: A.shape[1]]

    return factor


def geqrt(A: Any) -> Any:
    """Factor by LAPACK's recursive panels, whose width the caller chooses."""
    by_columns, work = np.asfortranarray(A), np.empty(A.shape, A.dtype, order="F")
    panel = min(64, A.shape[1])

    def factor() -> Any:
        np.copyto(work, by_columns)
        return lapack("geqrt", A)(panel, work, overwrite_a=True)[0][: A.shape[1]]

    return factor


def facts(A: Any) -> dict[str, int]:
    rows, cols = A.shape
    return {"rows": rows, "columns": cols, "operations": 2 * rows * cols**2 - 2 * cols**3 // 3}


def checked_columns(A: Any) -> Any:
    return np.linspace(0, A.shape[1] - 1, 10).astype(int)


def reference(A: Any) -> Any:
    return A[:, checked_columns(A)].astype(np.longdouble).T @ A.astype(np.longdouble)


def check(A: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry of R'R in some rows, in units of its bound."""
    R, columns = np.triu(result).astype(np.longdouble), checked_columns(A)
    norms = np.sqrt(np.einsum("ij,ij->j", A, A, dtype=np.float64))
    bound = len(A) * np.finfo(A.dtype).eps / 2 * np.outer(norms[columns], norms)
    return float((np.abs(R[:, columns].T @ R - expected) / bound).max())


ROOM = Room(
    name="linalg.qr",
    task="R of a QR factorisation",
    cases=cases,
    contenders=[
        Contender("nearlinear", partial(nearlinear_qr, _core.QrMethod.automatic), role="ours"),
        Contender("nearlinear, cholesky", partial(nearlinear_qr, _core.QrMethod.cholesky), role="ours"),
        Contender("nearlinear, tall_skinny", partial(nearlinear_qr, _core.QrMethod.tall_skinny), role="ours"),
        Contender("nearlinear, householder", partial(nearlinear_qr, _core.QrMethod.householder), role="ours"),
        Contender("lapack geqrf, by columns", geqrf, uses_blas=True),
        Contender("lapack geqrt, by columns", geqrt, uses_blas=True),
        Contender("numpy qr", numpy_qr, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="n u |a_i| |a_j|",
    summaries={"best peer": lambda contender: True},
    remark="geqrf and geqrt are timed with the copy of the matrix that each call needs.",
)
