"""Lewis weights, to a certificate of one per cent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.sampling import problems
from bench.sketch.accuracy import three_digits

QUICK = (20_000, 20)
SHAPES = [QUICK, (200_000, 100)]
POWERS = (1.0, 1.5, 3.0, 8.0)
TOLERANCE = 1e-2  # of the certificate, which is the default of lewis_weights
SLACK = 1.001  # for a certificate that is computed twice
ITERATIONS = 300  # at most
DIVERGES = 4.0  # from this p on, the plain fixed point does
BLOCK = 8192  # rows of A that stay in the cache while NumPy works with them
CAP = 60.0  # seconds


@dataclass(frozen=True)
class Task:
    A: Any
    p: float


@dataclass(frozen=True)
class Answer:
    weights: Any
    task: Task
    told: dict[str, float] = field(default_factory=dict)

    @cached_property
    def certificate(self) -> float:
        """The largest |tau / w - 1|, by NumPy."""
        if not (np.isfinite(self.weights).all() and (self.weights > 0).all()):
            return float("inf")
        scores = reweighted_scores(self.task.A, self.weights, self.task.p)
        return float(np.abs(scores / self.weights - 1).max())


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, {kind}, p = {p:g}", partial(task, n, d, kind, p), quick=(n, d) == QUICK)
        for n, d in SHAPES
        for kind in problems.NAMED
        for p in POWERS
    ]


def task(n: int, d: int, kind: str, p: float) -> Task:
    return Task(problems.NAMED[kind](n, d), p)


def nearlinear(given: Task) -> Callable[[], Answer]:
    return lambda: Answer(nl.sampling.lewis_weights(given.A, given.p, tol=TOLERANCE), given)


def in_turn(given: Task) -> Callable[[], Answer]:
    return lambda: iterated(given, given.p / 2, 1.0)


def best_exponent(given: Task) -> Callable[[], Answer]:
    return lambda: iterated(given, 2 * given.p / (given.p + 2))


def fixed_point(given: Task) -> Callable[[], Answer] | None:
    return (lambda: iterated(given, given.p / 2)) if given.p < DIVERGES else None


def iterated(given: Task, *exponents: float) -> Answer:
    """Iterate w <- w^(1 - a) tau^a, exponents taken in turn, from weights that are all alike."""
    n, d = given.A.shape
    weights, iterations = np.full(n, d / n), 0
    while True:
        scores = reweighted_scores(given.A, weights, given.p)
        if np.abs(scores / weights - 1).max() <= TOLERANCE or iterations == ITERATIONS:
            return Answer(weights, given, {"iterations": iterations})
        exponent = exponents[iterations % len(exponents)]
        weights = weights ** (1 - exponent) * scores**exponent
        iterations += 1


def reweighted_scores(A: Any, weights: Any, p: float) -> Any:
    """Return the leverage scores of rows times w^(1/2 - 1/p), by blocks: Gram, Cholesky, and the factor's inverse."""
    scale = weights ** (0.5 - 1 / p)
    gram = np.zeros((A.shape[1],) * 2)
    for rows in blocks(A):
        part = scale[rows, np.newaxis] * A[rows]
        gram += part.T @ part
    R = scipy.linalg.cholesky(gram, check_finite=False)
    inverse = scipy.linalg.solve_triangular(R, np.eye(len(R)), check_finite=False)
    scores = np.empty(len(A))
    for rows in blocks(A):
        white = A[rows] @ inverse
        scores[rows] = np.einsum("ij,ij->i", white, white)
    return scale**2 * scores


def blocks(A: Any) -> Iterator[slice]:
    return (slice(begin, begin + BLOCK) for begin in range(0, len(A), BLOCK))


def facts(given: Task) -> dict[str, int]:
    n, d = given.A.shape
    return {"rows": n, "columns": d, "operations": n * d}


def check(given: Task, expected: None, answer: Answer, contender: Contender) -> float:
    return answer.certificate / TOLERANCE


def describe(answer: Answer, contender: Contender) -> dict[str, float]:
    return {"certificate": three_digits(answer.certificate), **answer.told}


SAME = "numpy, a = p / 2 and 1 in turn"
ROOM = Room(
    name="sampling.lewis",
    task="Lewis weights",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear, role="ours"),
        Contender(SAME, in_turn, uses_blas=True),
        Contender("numpy, a = 2 p / (p + 2)", best_exponent, uses_blas=True),
        Contender("numpy, a = p / 2", fixed_point, uses_blas=True),
    ],
    facts=facts,
    reference=lambda given: None,
    check=check,
    bound=f"{TOLERANCE:g}",
    tolerance=SLACK,
    summaries={
        "the same iteration": lambda contender: contender.name == SAME,
        "best peer": lambda contender: True,
    },
    remark=(
        f"Errors are certificates, the largest |tau / w - 1|, computed by NumPy; all stop at {TOLERANCE:g}, or after "
        f"{ITERATIONS} iterations, and all begin with equal weights. The peers iterate w <- w^(1 - a) tau^a, scores "
        f"by Gram matrix and Cholesky factor, {BLOCK} rows at a time, and a product with the factor's inverse. The "
        "first one has the exponents that we begin with, a = 2 p / (p + 2) is the best one that does not change, and "
        "a = p / 2 is the fixed-point iteration, which diverges from p = 4 on and is not tried there. Heavy tails are "
        f"rows of Student's distribution with {problems.FREEDOM:g} degrees of freedom, {problems.HEAVY_ROWS} of them "
        f"times {problems.TIMES}. Rates count the entries of A once, whatever the number of iterations."
    ),
    rate="10^9 entries/s",
    cap=CAP,
    describe=describe,
)
