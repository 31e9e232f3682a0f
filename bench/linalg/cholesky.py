"""The Cholesky factorisation."""

from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK_SIZE = 500
SIZES = [QUICK_SIZE, 2000, 4000]


def cases() -> list[Case]:
    return [Case(f"n = {n}", partial(positive_definite, n), quick=n == QUICK_SIZE) for n in SIZES]


def positive_definite(n: int) -> Any:
    """Return a matrix with random entries and a dominant diagonal, of condition below 5."""
    A = np.random.default_rng(0).random((n, n)) - 0.5
    A += A.T
    A.flat[:: n + 1] += 2.0 * np.sqrt(n)
    return A


def nearlinear_inplace(A: Any) -> Any:
    L = np.empty_like(A)

    def factor() -> Any:
        np.copyto(L, A)
        if _core.cholesky_inplace(L) != 0:
            raise ValueError("not positive definite")
        return L

    return factor


def numpy_cholesky(A: Any) -> Any:
    return lambda: np.linalg.cholesky(A)


def scipy_cholesky(A: Any) -> Any:
    work = np.empty(A.shape, order="F")

    def factor() -> Any:
        np.copyto(work.T, A)
        return scipy.linalg.cholesky(work, lower=True, overwrite_a=True, check_finite=False)

    return factor


def potrf(lower: bool, A: Any) -> Any:
    work = np.empty(A.shape, order="F")

    def factor() -> Any:
        np.copyto(work.T, A)
        L, info = scipy.linalg.lapack.dpotrf(work, lower=lower, overwrite_a=True, clean=False)
        if info != 0:
            raise ValueError("not positive definite")
        return L if lower else L.T

    return factor


def facts(A: Any) -> dict[str, int]:
    return {"rows": len(A), "operations": len(A) ** 3 // 3}


def checked_rows(A: Any) -> Any:
    return np.linspace(0, len(A) - 1, 20).astype(int)


def reference(A: Any) -> Any:
    return None


def check(A: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry of L L' in some rows in units of its bound (Higham, theorem 10.3)."""
    rows, L = checked_rows(A), np.tril(result)
    wide = L.astype(np.longdouble)
    error = np.abs(wide[rows] @ wide.T - A[rows])
    bound = (len(A) + 1) * np.finfo(A.dtype).eps / 2 * (np.abs(L[rows]) @ np.abs(L.T))
    return float((error / bound).max())


ROOM = Room(
    name="linalg.cholesky",
    task="Cholesky factorisation",
    cases=cases,
    contenders=[
        Contender("nearlinear, in place", nearlinear_inplace, role="ours"),
        Contender("numpy cholesky", numpy_cholesky, uses_blas=True),
        Contender("scipy cholesky, in place", scipy_cholesky, uses_blas=True),
        Contender("lapack potrf, lower", partial(potrf, True), uses_blas=True),
        Contender("lapack potrf, upper", partial(potrf, False), uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="(n + 1) u |L| |L'|",
    summaries={"best peer": lambda contender: True},
    remark="Those in place are timed with the copy of the matrix that each call needs.",
)
