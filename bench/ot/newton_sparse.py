"""
The experiments of the paper of Sinkhorn-Newton-Sparse, at eta = 1200: how many iterations, and how much time, it saves.

Each case is solved for many seeds, and which of them converge to 1e-9 is counted.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.ot import problems
from bench.ot.problems import TOLERANCE, Problem

ETA = 1200
SEEDS = 20
SINKHORN_SEEDS = 5  # for which Sinkhorn's algorithm is run
DENSITIES = (2, 5, 15, 50)  # times 1 / n; the paper has the first where transport is unique, and else the third
MOST_NEWTON = 300  # steps
MOST_SINKHORN = 1_000_000  # sweeps


@dataclass(frozen=True)
class Experiment:
    problems: list[Problem]
    sweeps: int  # before the first Newton step, as the paper has it


@dataclass(frozen=True)
class Solution:
    """Dual variables over reg, as they stand in the plan's logarithm."""

    f: Any
    g: Any
    iterations: int
    converged: bool


def cases() -> list[Case]:
    def digits(metric: str, seed: int) -> Problem:
        return problems.strokes(metric, 1 / ETA, seed, seed + 17)

    instances: dict[str, tuple[Callable[[int], Problem], int]] = {
        "random assignment": (lambda seed: problems.rand(500, 1 / ETA, seed), 20),
        "images, squared L2": (functools.partial(digits, "sqeuclidean"), 20),
        "images, L1": (functools.partial(digits, "cityblock"), 700),
    }
    return [
        Case(name, functools.partial(experiment, build, sweeps), quick=name == "images, squared L2")
        for name, (build, sweeps) in instances.items()
    ]


def experiment(build: Callable[[int], Problem], sweeps: int) -> Experiment:
    return Experiment([build(seed) for seed in range(SEEDS)], sweeps)


def nearlinear_solution(problem: Problem, **options: Any) -> Solution:
    found = nl.ot.sinkhorn(problem.a, problem.b, problem.C, reg=problem.reg, tol=TOLERANCE, plan=None, **options)
    return Solution(found.f / found.reg, found.g / found.reg, found.nit, found.success)


def newton_sparse(per_row: int) -> Callable[[Experiment], Any]:
    """Return what prepares the two stages with a Hessian of so many entries per row."""
    return lambda given: (
        lambda: [
            nearlinear_solution(
                problem,
                method="sns",
                sns_density=per_row / len(problem.a),
                sns_sweeps=given.sweeps,
                maxiter=given.sweeps + MOST_NEWTON,
            )
            for problem in given.problems
        ]
    )


def automatic(given: Experiment) -> Callable[[], list[Solution]]:
    return lambda: [nearlinear_solution(problem) for problem in given.problems]


def sinkhorn(given: Experiment) -> Callable[[], list[Solution]]:
    return lambda: [
        nearlinear_solution(problem, method="sinkhorn", maxiter=MOST_SINKHORN)
        for problem in given.problems[:SINKHORN_SEEDS]
    ]


def check(given: Experiment, reference: None, solutions: list[Solution], contender: Contender) -> float:
    """Return the largest error of all seeds: who has not solved all of them is not timed, but described."""
    return max(_error(*pair) for pair in zip(given.problems, solutions, strict=False))


def _error(problem: Problem, solution: Solution) -> float:
    P = np.exp(solution.f[:, None] + solution.g - problem.C / problem.reg)
    P[problem.a == 0], P[:, problem.b == 0] = 0, 0  # where our dual variables are finite all the same
    return problems.marginal_error(P, problem.a, problem.b) / TOLERANCE


def describe(solutions: list[Solution], contender: Contender) -> dict[str, float]:
    return {
        "seeds converged": sum(bool(solution.converged) for solution in solutions),
        "median of iterations": float(np.median([solution.iterations for solution in solutions])),
    }


def facts(given: Experiment) -> dict[str, int]:
    n = len(given.problems[0].a)
    return {
        "n": n,
        "seeds": len(given.problems),
        "sweeps before Newton": given.sweeps,
        "operations": len(given.problems) * n * n,
    }


ROOM = Room(
    name="ot.newton_sparse",
    task="Sinkhorn-Newton-Sparse beside Sinkhorn's algorithm",
    cases=cases,
    contenders=[
        Contender("nearlinear, auto", automatic, role="ours"),
        *(Contender(f"nearlinear, sns {per_row} / n", newton_sparse(per_row)) for per_row in DENSITIES),
        Contender("nearlinear, sinkhorn", sinkhorn, role="context"),
    ],
    facts=facts,
    reference=lambda given: None,
    check=check,
    bound="1e-9 = |P 1 - a|_1 + |P' 1 - b|_1",
    tolerance=1.001,  # sums are rounded
    summaries={
        "sns of its best density": lambda contender: "sns" in contender.name,
    },
    remark=(
        f"Times are those of all {SEEDS} seeds together; one that does not converge makes the whole wrong. The last "
        "columns of the measurements say how many do, and the median of iterations, sweeps and Newton steps. "
        '"sns" is the algorithm of the paper; its Hessian has that part of the plan\'s entries that the name says, and '
        f"it takes {MOST_NEWTON} Newton steps at most. Sinkhorn's algorithm, in the logarithmic domain, is run for "
        f"{SINKHORN_SEEDS} seeds, and its time is that of these."
    ),
    rate="10^9 pairs/s",
    cap=900.0,
    describe=describe,
)
