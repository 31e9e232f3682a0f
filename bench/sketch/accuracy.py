"""How accurate solutions of least squares are: the backward error, by the estimate of Karlson and Walden."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg

from bench.harness import Contender

ROWS = 10_000  # at a time, in long double
FLOOR = 5e-16  # a backward error that is always good enough
TIMES_QR = 10  # and so many times that of QR is good enough as well
BOUND = f"max({TIMES_QR} times the backward error of QR, {FLOOR:g})"


@dataclass(frozen=True)
class Problem:
    """min |A x - b|, with what it takes to judge a solution: computed once, by the process that builds the input."""

    A: Any  # an array or a CSR array
    b: Any
    condition: int
    scales: Any  # by which the columns of A are divided before an error is measured
    singular_values: Any  # of A with its columns so divided
    right: Any  # its right singular vectors, by rows
    bound: float  # of backward errors

    @classmethod
    def of(cls, A: Any, b: Any, condition: int, *, R: Any, by_qr: Any, scales: Any = 1.0) -> "Problem":
        """Take the triangular factor R of A, its columns divided by scales, and the solution that QR gives."""
        _, singular_values, right = scipy.linalg.svd(R)
        bare = cls(A, b, condition, scales, singular_values, right, np.inf)
        bound = max(TIMES_QR * backward_error(bare, by_qr), FLOOR)
        return cls(A, b, condition, scales, singular_values, right, bound)


@dataclass(frozen=True)
class Answer:
    """A solution, the problem that it is of, and what else its solver tells."""

    x: Any
    problem: Problem
    told: dict[str, float] = field(default_factory=dict)

    @functools.cached_property
    def backward_error(self) -> float:
        return backward_error(self.problem, self.x)


def backward_error(problem: Problem, x: Any) -> float:
    r"""
    Return the least change of A, relative to |A|_F, of which x is the solution: an estimate within a factor sqrt(2).

    It is |(s^2 + t^2)^(-1/2) V' A' r| / (|b| (1 + w^2 |x|^2)^(1/2)) with r = b - A x, w = |A|_F / |b| and
    t = w |r| / (1 + w^2 |x|^2)^(1/2); changes of b count as much as those of A, each relative to its norm.
    """
    if not np.isfinite(x).all():
        return float("inf")
    residual, gradient = residual_and_gradient(problem, x)
    s, size = problem.singular_values, np.linalg.norm(problem.b)
    weight = np.linalg.norm(s) / size
    root = np.hypot(1, weight * np.linalg.norm(x * problem.scales))
    shift = weight * residual / root
    return float(np.linalg.norm((problem.right @ gradient) / np.hypot(s, shift)) / (size * root))


def residual_and_gradient(problem: Problem, x: Any) -> tuple[float, Any]:
    """Return |b - A x|, and A' (b - A x) over the scales of the columns, both by sums in long double."""
    exact, squares = x.astype(np.longdouble), np.longdouble(0)
    gradient = np.zeros(len(x), np.longdouble)
    for begin in range(0, len(problem.b), ROWS):
        part = problem.A[begin : begin + ROWS].astype(np.longdouble)
        residual = problem.b[begin : begin + ROWS] - part @ exact
        squares += residual @ residual
        gradient += part.T @ residual
    return float(np.sqrt(squares)), (gradient / problem.scales).astype(np.float64)


def triangular_factor(blocks: Iterable[Any]) -> Any:
    """Return R of the matrix whose rows come in blocks."""
    R: Any = None
    for block in blocks:
        R = np.linalg.qr(block if R is None else np.concatenate([R, block]), mode="r")
    return R


def solution(R: Any) -> Any:
    """Return the solution of least squares from R of [A b]."""
    return scipy.linalg.solve_triangular(R[:-1, :-1], R[:-1, -1])


def check(problem: Problem, reference: None, answer: Answer, contender: Contender) -> float:
    """Return the backward error in units of its bound."""
    return answer.backward_error / problem.bound


def describe(answer: Answer, contender: Contender) -> dict[str, float]:
    return {"backward error": three_digits(answer.backward_error), **answer.told}


def three_digits(value: float) -> float:
    return float(f"{value:.3g}")
