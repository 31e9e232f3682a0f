"""Sensitivities of some rows, which peers can do, and of all of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import scipy.optimize

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.sampling import problems

QUICK = (2_000, 5)
SHAPES = [QUICK, (20_000, 10)]
POWERS = (1.0, 1.5, 3.0)
SOME = 20  # rows, from the shortest to the longest
EXACT, APPROXIMATE = 1e-6, 5e-2  # relative errors
FEASIBILITY = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}  # of linear programs
ITERATIONS = 300  # of reweighted least squares at most
DECAY = 0.9  # of the smoothing in each of them
CHANGE = 1e-8  # of the value, below which they end
CAP = 120.0  # seconds


@dataclass(frozen=True)
class Task:
    """A matrix, the exponent, rows whose values are known from others, and whether all rows are asked for."""

    A: Any
    p: float
    some: Any
    wants_all: bool

    @property
    def rows(self) -> Any:
        return np.arange(len(self.A)) if self.wants_all else self.some


@dataclass(frozen=True)
class Answer:
    values: Any
    told: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    some: Any  # of Task.some, by peers
    ours: Any  # of all rows, by our exact method; None unless they are asked for


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, p = {p:g}, {what} rows", partial(task, n, d, p, what == "all"), quick=(n, d) == QUICK)
        for n, d in SHAPES
        for p in POWERS
        for what in (str(SOME), "all")
    ]


def task(n: int, d: int, p: float, wants_all: bool) -> Task:
    A = problems.heavy_tailed(n, d)
    by_length = np.argsort(np.linalg.norm(A, axis=1))
    return Task(A, p, by_length[np.linspace(0, n - 1, SOME).astype(np.int64)], wants_all)


def nearlinear(method: Any, only_all: bool = False) -> Callable[[Task], Callable[[], Answer] | None]:
    def prepare(given: Task) -> Callable[[], Answer] | None:
        if only_all and not given.wants_all:
            return None
        rows = None if given.wants_all else given.rows
        return lambda: Answer(nl.sampling.sensitivities(given.A, given.p, rows=rows, method=method, seed=0))

    return prepare


def peer(
    sensitivity: Callable[[Any, int, float], float], is_for: Callable[[float], bool]
) -> Callable[[Task], Callable[[], Answer] | None]:
    """Return what prepares a call that goes from row to row, and says what it would take for all of them."""

    def prepare(given: Task) -> Callable[[], Answer] | None:
        if given.wants_all or not is_for(given.p):
            return None

        def solve() -> Answer:
            begin = time.perf_counter()
            values = [sensitivity(given.A, row, given.p) for row in given.rows]
            seconds = time.perf_counter() - begin
            return Answer(np.array(values), {"all rows s": round(seconds * len(given.A) / len(values), 1)})

        return solve

    return prepare


def by_linear_program(A: Any, row: int, p: float) -> float:
    """Return 1 / max t of the dual, A' v = t a_i with |v_j| <= 1, which has d equations: p = 1."""
    n, d = A.shape
    found = scipy.optimize.linprog(
        np.append(np.zeros(n), -1.0),
        A_eq=np.column_stack([A.T, -A[row]]),
        b_eq=np.zeros(d),
        bounds=np.vstack([np.tile([-1.0, 1.0], (n, 1)), [[0.0, np.inf]]]),
        method="highs",
        options=FEASIBILITY,
    )
    return float(-1 / found.fun) if found.success else float("nan")


def by_reweighting(A: Any, row: int, p: float, change: float = CHANGE) -> float:
    """
    Return 1 / min |A x|_p^p over x with a_i' x = 1, by iteratively reweighted least squares.

    For p > 2, steps are damped by p - 1, without which they diverge; weights are smoothed by less and less.
    """
    a, damping = A[row], 1 / max(1.0, p - 1)
    z = np.linalg.solve(A.T @ A, a)
    x, smoothing, value = z / (a @ z), 1.0, np.inf
    for _ in range(ITERATIONS):
        y, last, smoothing = A @ x, value, DECAY * smoothing
        value = (np.abs(y) ** p).sum()
        if abs(last - value) <= change * value:
            break
        weights = (y * y + (smoothing * np.abs(y).max()) ** 2) ** (p / 2 - 1)
        z = np.linalg.solve((weights[:, np.newaxis] * A).T @ A, a)
        x = x + damping * (z / (a @ z) - x)
    return float(1 / value)


def facts(given: Task) -> dict[str, int]:
    n, d = given.A.shape
    return {"rows": n, "columns": d, "sensitivities": len(given.rows), "operations": n * d * len(given.rows)}


def reference(given: Task) -> Reference:
    """Take other people's methods, to the end of their iterations; to judge estimates of all rows, our exact ones."""
    exactly = by_linear_program if given.p == 1 else partial(by_reweighting, change=0.0)
    some = np.array([exactly(given.A, row, given.p) for row in given.some])
    return Reference(some, nl.sampling.sensitivities(given.A, given.p) if given.wants_all else None)


def check(given: Task, expected: Reference, answer: Answer, contender: Contender) -> float:
    """Return the largest relative error in units of its bound."""
    if contender.name in ESTIMATES:
        exact, bound = expected.ours if given.wants_all else expected.some, APPROXIMATE
        return float(np.abs(answer.values / exact - 1).max() / bound)
    some = answer.values[given.some] if given.wants_all else answer.values
    return float(np.abs(some / expected.some - 1).max() / EXACT)


def describe(answer: Answer, contender: Contender) -> dict[str, float]:
    return answer.told


CORESET, BUCKET = "nearlinear, coreset", "nearlinear, bucket"
ESTIMATES = (CORESET, BUCKET)
LINEAR_PROGRAM, REWEIGHTING = "scipy linprog, dual", "numpy, reweighted least squares"
ROOM = Room(
    name="sampling.sensitivities",
    task="sensitivities of rows",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear("exact"), role="ours"),
        Contender(CORESET, nearlinear("coreset"), role="ours"),
        Contender(BUCKET, nearlinear("bucket", only_all=True), role="context"),
        Contender(LINEAR_PROGRAM, peer(by_linear_program, lambda p: p == 1)),
        Contender(REWEIGHTING, peer(by_reweighting, lambda p: p > 1), uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound=f"{EXACT:g} s, or {APPROXIMATE:g} s of estimates",
    summaries={"best peer": lambda contender: True},
    remark=(
        f"Rows are of Student's distribution with {problems.FREEDOM:g} degrees of freedom, {problems.HEAVY_ROWS} of "
        f"them times {problems.TIMES}. Peers take one row after the other and would take hours for all of them. They "
        f"are compared on the same {SOME} rows, from the shortest to the longest, and only there: ratios are of equal "
        "work, nothing in them is scaled. What a peer would take for all rows, its time times the number of rows of A "
        f'over {SOME}, stands beside it as "all rows s". Errors are relative, and the largest: of exact values on the '
        f"{SOME} rows, beside linprog for p = 1 and reweighted least squares to their end otherwise; of the coreset on "
        "all rows, where they are asked for, beside our exact values. The bucket method overestimates, by its nature. "
        "linprog is given the dual program, which has as many equations as A has columns. Rates count the entries of A "
        "once for each sensitivity."
    ),
    rate="10^9 entries/s",
    cap=CAP,
    describe=describe,
    pictures={"distortion.png": "Distortion by samples of rows against their number"},
)
