"""Triangular systems with many right-hand sides."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import scipy.linalg.blas

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK = (200, 2000, np.float64)
SHAPES = [QUICK, (1024, 200_000, np.float64), (1024, 1_000_000, np.float32), (1024, 1024, np.float64)]
CHECKED = 20  # right-hand sides


def cases() -> list[Case]:
    return [
        Case(f"{n} x {p}, {np.dtype(dtype).name}", partial(problem, n, p, dtype), quick=(n, p, dtype) == QUICK)
        for n, p, dtype in SHAPES
    ]


def problem(n: int, p: int, dtype: Any) -> Any:
    """Return the matrix and p; the right-hand sides, up to 4 GB, are made where they are solved for."""
    L = np.tril(np.random.default_rng(0).random((n, n)) - 0.5, -1) / n + np.eye(n)
    return L.astype(dtype), p


class InPlace:
    """
    Solves systems in place. Each call takes the results of the last one: L is so close to the identity that they stay
    as they are in size, and the few repetitions of a benchmark need no new input.
    """

    def __init__(self, given: Any, solve: Callable[[Any], Any], order: Literal["C", "F"]) -> None:
        L, p = given
        self.B = np.ones((len(L), p), L.dtype, order=order)
        self.B[:, checked_columns(p)] = random_columns(L)
        self.solve = solve

    def __call__(self) -> Any:
        self.solve(self.B)
        return self.B


def random_columns(L: Any) -> Any:
    return (np.random.default_rng(1).random((len(L), CHECKED)) + 0.5).astype(L.dtype)


def checked_columns(p: int) -> Any:
    return np.linspace(0, p - 1, CHECKED).astype(int)


def nearlinear_inplace(given: Any) -> Any:
    L = given[0]
    return InPlace(given, lambda B: _core.triangular_solve_inplace(L, B), "C")


def trsm(L: Any) -> Any:
    return scipy.linalg.blas.dtrsm if L.dtype == np.float64 else scipy.linalg.blas.strsm


def trsm_by_columns(given: Any) -> Any:
    L = np.asfortranarray(given[0])
    return InPlace(given, lambda B: trsm(L)(1.0, L, B, lower=1, overwrite_b=1), "F")


def trsm_by_rows(given: Any) -> Any:
    """From the right, X' L' = B': what is stored by rows is the transpose to BLAS."""
    L = np.asfortranarray(given[0])
    return InPlace(given, lambda B: trsm(L)(1.0, L, B.T, side=1, lower=1, trans_a=1, overwrite_b=1), "C")


def facts(given: Any) -> dict[str, int]:
    L, p = given
    return {"rows": len(L), "right-hand sides": p, "operations": L.size * p}


def reference(given: Any) -> Any:
    return None


def check(given: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest residual of an equation in units of its bound (Higham, theorem 8.5)."""
    L, p = given
    X = result[:, checked_columns(p)]
    residual = np.abs(L.astype(np.longdouble) @ X.astype(np.longdouble) - random_columns(L))
    bound = (len(L) + 1) * np.finfo(L.dtype).eps / 2 * (np.abs(L) @ np.abs(X))
    return float((residual / bound).max())


ROOM = Room(
    name="linalg.triangular_solve",
    task="triangular systems",
    cases=cases,
    contenders=[
        Contender("nearlinear, in place", nearlinear_inplace, role="ours"),
        Contender("scipy trsm, by columns", trsm_by_columns, uses_blas=True),
        Contender("scipy trsm, by rows", trsm_by_rows, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="(n + 1) u |L| |x|",
    summaries={"best peer": lambda contender: True},
    remark="All work in place, each in the layout that its name says; nearlinear's is by rows.",
)
