"""Exact leverage scores of tall matrices: well conditioned, nearly singular, sparse."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.sampling import accuracy, problems
from bench.sketch.accuracy import three_digits

QUICK = (100_000, 100, 3)
SHAPES = [QUICK, (1_000_000, 100, 3), (100_000, 500, 3), (100_000, 100, 12)]  # with the power of the condition
SPARSE = (1_000_000, 500)
SQUARED = 7  # conditions of a higher power have no square that double precision can hold
CHECKED = 20_000  # rows, evenly spread over those that are not empty
BLOCK = 8192  # rows of A that stay in the cache while NumPy works with them
TIMES_QR = 10
FLOOR = 1e-9  # a relative error that is always good enough
CAP = 60.0  # seconds


@dataclass(frozen=True)
class Task:
    """A matrix, and what its scores are in some rows: computed once, by the process that builds the input."""

    A: Any  # an array or a CSR array
    power: int  # of the condition number; 0: sparse
    rows: Any
    expected: Any
    bound: float  # of relative errors

    @classmethod
    def of(cls, A: Any, power: int) -> "Task":
        full = not_empty(A)
        rows = full[np.linspace(0, len(full) - 1, min(CHECKED, len(full))).astype(np.int64)]
        expected = accuracy.leverage_scores(A, rows)
        by_qr = accuracy.relative_error(qr(A)[rows], expected) if power else 0.0
        return cls(A, power, rows, expected, max(TIMES_QR * by_qr, FLOOR))


@dataclass(frozen=True)
class Answer:
    scores: Any
    task: Task

    @cached_property
    def error(self) -> float:
        return accuracy.relative_error(self.scores[self.task.rows], self.task.expected)


Prepare = Callable[[Task], Callable[[], Answer] | None]


def cases() -> list[Case]:
    dense = [
        Case(f"{n} x {d}, condition 1e{power}", partial(dense_task, n, d, power), quick=(n, d, power) == QUICK)
        for n, d, power in SHAPES
    ]
    n, d = SPARSE
    return [*dense, Case(f"{n} x {d}, sparse", partial(sparse_task, n, d))]


def dense_task(n: int, d: int, power: int) -> Task:
    return Task.of(problems.conditioned(n, d, power), power)


def sparse_task(n: int, d: int) -> Task:
    return Task.of(problems.sparse(n, d), 0)


def not_empty(A: Any) -> Any:
    """Return the rows that have an entry."""
    return np.flatnonzero(np.diff(A.indptr)) if scipy.sparse.issparse(A) else np.arange(len(A))


def nearlinear(method: Any) -> Prepare:
    return lambda task: lambda: Answer(nl.sampling.leverage_scores(task.A, method=method, seed=0), task)


def dense_alone(scores: Callable[[Any], Any], most: int = 16) -> Prepare:
    """Return what prepares a call for dense matrices whose condition has a power of `most` at most."""

    def prepare(task: Task) -> Callable[[], Answer] | None:
        return (lambda: Answer(scores(task.A), task)) if 0 < task.power <= most else None

    return prepare


def blocked(whitening: Callable[[Any], Callable[[Any], Any]]) -> Prepare:
    """Return what prepares Gram and Cholesky by blocks; a factor's `whitening` multiplies rows with its inverse."""

    def prepare(task: Task) -> Callable[[], Answer] | None:
        return (lambda: Answer(by_blocks(task.A, whitening), task)) if task.power <= SQUARED else None

    return prepare


def qr(A: Any) -> Any:
    return squared_rows(np.linalg.qr(A).Q)


def svd(A: Any) -> Any:
    return squared_rows(scipy.linalg.svd(A, full_matrices=False, check_finite=False)[0])


def gram_and_cholesky(A: Any) -> Any:
    return squared_rows(solve(scipy.linalg.cholesky(A.T @ A, check_finite=False), A))


def by_blocks(A: Any, whitening: Callable[[Any], Callable[[Any], Any]]) -> Any:
    gram = (A.T @ A).toarray() if scipy.sparse.issparse(A) else sum(A[rows].T @ A[rows] for rows in blocks(A))
    whiten = whitening(scipy.linalg.cholesky(gram, check_finite=False))
    scores = np.zeros(A.shape[0])
    for rows in blocks(A):
        scores[rows] = squared_rows(whiten(A[rows]))
    return scores


def blocks(A: Any) -> Iterator[Any]:
    """Yield slices of a dense matrix, or indices of the rows of a sparse one that have an entry."""
    if not scipy.sparse.issparse(A):
        yield from (slice(begin, begin + BLOCK) for begin in range(0, len(A), BLOCK))
        return
    full = not_empty(A)
    yield from (full[begin : begin + BLOCK] for begin in range(0, len(full), BLOCK))


def by_solving(R: Any) -> Callable[[Any], Any]:
    return lambda part: solve(R, part.toarray() if scipy.sparse.issparse(part) else part)


def by_inverse(R: Any) -> Callable[[Any], Any]:
    inverse = scipy.linalg.solve_triangular(R, np.eye(len(R)), check_finite=False)
    return lambda part: part @ inverse


def solve(R: Any, A: Any) -> Any:
    """Return A R^-1."""
    return scipy.linalg.solve_triangular(R, A.T, trans="T", check_finite=False).T


def squared_rows(white: Any) -> Any:
    return np.einsum("ij,ij->i", white, white)


def facts(task: Task) -> dict[str, int]:
    n, d = task.A.shape
    entries = task.A.nnz if scipy.sparse.issparse(task.A) else n * d
    return {"rows": n, "columns": d, "entries": entries, "operations": entries}


def check(task: Task, expected: None, answer: Answer, contender: Contender) -> float:
    """Return the relative error in units of its bound."""
    return answer.error / task.bound


def describe(answer: Answer, contender: Contender) -> dict[str, float]:
    return {"relative error": three_digits(answer.error)}


QR, GRAM = "numpy QR", "Gram + Cholesky"
ROOM = Room(
    name="sampling.leverage",
    task="leverage scores",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear("exact"), role="ours"),
        Contender("nearlinear, sketch", nearlinear("sketch"), role="context"),
        Contender(QR, dense_alone(qr), uses_blas=True),
        Contender("scipy SVD", dense_alone(svd), uses_blas=True),
        Contender(GRAM, dense_alone(gram_and_cholesky, most=SQUARED), uses_blas=True),
        Contender(f"{GRAM}, by blocks", blocked(by_solving), uses_blas=True),
        Contender(f"{GRAM}, by blocks, inverse", blocked(by_inverse), uses_blas=True),
    ],
    facts=facts,
    reference=lambda task: None,
    check=check,
    bound=f"max({TIMES_QR} times the error of QR, {FLOOR:g})",
    summaries={
        QR: lambda contender: contender.name == QR,
        f"best {GRAM}": lambda contender: contender.name.startswith(GRAM),
        "best peer": lambda contender: True,
    },
    remark=(
        f"Errors are the largest of |score / exact - 1| over {CHECKED} rows, evenly spread over those that are not "
        "empty; exact scores are computed in long double, of A times the inverse of its R, and those of QR, which the "
        "bound is made of, by numpy.linalg.qr. The columns of the sparse matrix are multiplied by 1 to "
        f"1e{problems.SCALES}; its bound is {FLOOR:g}, and its empty rows are left out by the blocks. Gram + Cholesky "
        "are A.T @ A, SciPy's cholesky and solve_triangular, or a product with the inverse of the factor; by blocks, "
        f"{BLOCK} rows at a time. They are not tried where the square of the condition number is more than double "
        "precision holds. The sketch gives scores within some tens of per cent. Rates count the entries of A once."
    ),
    rate="10^9 entries/s",
    cap=CAP,
    describe=describe,
)
