"""Transport with at most k entries per column of the plan, beside POT, whose plans may miss the rows' masses."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.ot import peers, problems
from bench.ot.problems import TOLERANCE
from bench.ot.sparse_problems import SparseProblem, instances

CAP = 20.0  # seconds
POT_MOST = 3000  # iterations


def cases() -> list[Case]:
    return [
        Case(
            f"{name}, n = {n}, k = {k}",
            functools.partial(build, n, k),
            quick=(name, n, k) == ("gauss", 100, 2),
            family=f"{name}, k = {k}",
            hardness=(n,),
        )
        for name, n in instances()
        for k in ((5, 20) if name == "image" else (1, 2, 5, 20))  # fewer hardly have a plan where masses are uneven
        for build in [functools.partial(SparseProblem.of, name)]
    ]


class Answer(NamedTuple):
    """What a solver returned, and what it was asked."""

    result: Any
    given: SparseProblem

    @property
    def plan(self) -> Any:
        """As an array."""
        plan = getattr(self.result, "plan", self.result)
        return plan.toarray() if hasattr(plan, "toarray") else plan

    @property
    def marginal_error(self) -> float:
        return problems.marginal_error(self.plan, self.given.problem.a, self.given.problem.b)


def nearlinear_plan(given: SparseProblem) -> Callable[[], Answer]:
    problem = given.problem
    options = {"reg": problem.reg, "max_nz": given.k, "tol": TOLERANCE}
    return lambda: Answer(nl.ot.sparse_plan(problem.a, problem.b, problem.C, **options), given)


def pot(name: str) -> Callable[[SparseProblem], Callable[[], Answer]]:
    """Return what prepares one of POT's smooth solvers, at the least tolerance."""

    def prepare(given: SparseProblem) -> Callable[[], Answer]:
        ot = peers.import_pot()
        problem = given.problem
        solve = functools.partial(
            getattr(ot.smooth, name),
            problem.a,
            problem.b,
            problem.C,
            problem.reg,
            reg_type="sparsity_constrained",
            max_nz=given.k,
            stopThr=1e-12,
            numItermax=POT_MOST,
        )
        return lambda: Answer(solve(), given)

    return prepare


def pot_emd(given: SparseProblem) -> Callable[[], Answer] | None:
    solve = peers.pot_emd(given.problem)
    return (lambda: Answer(solve(), given)) if given.k == 1 else None


def check(given: SparseProblem, reference: None, answer: Answer, contender: Contender) -> float:
    """Return our error, and infinity for too many entries; what others miss is shown, and not held against them."""
    P = answer.plan
    if (np.count_nonzero(P, axis=0) > given.k).any() or not np.isfinite(P).all():
        return float("inf")
    return answer.marginal_error / TOLERANCE if contender.role == "ours" else 0.0


def describe(answer: Answer, contender: Contender) -> dict[str, float]:
    P = answer.plan
    shown = {"marginal error": answer.marginal_error, "entries per column": float(np.count_nonzero(P) / P.shape[1])}
    if contender.role == "ours":
        shown["gap, %"] = 100 * max(answer.result.gap, 0.0) / answer.result.primal_value
    return shown


ROOM = Room(
    name="ot.sparse_plan",
    task="optimal transport with at most k entries per column",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_plan, role="ours"),
        Contender("POT dual", pot("smooth_ot_dual"), packages=("POT",)),
        Contender("POT semi-dual", pot("smooth_ot_semi_dual"), packages=("POT",)),
        Contender("POT emd, exact", pot_emd, role="context", packages=("POT",)),
    ],
    facts=lambda given: {**given.problem.facts, "k": given.k},
    reference=lambda given: None,
    check=check,
    bound="1e-9 = |P 1 - a|_1 + |P' 1 - b|_1, of ours",
    tolerance=1.001,  # sums are rounded
    summaries={"best peer": lambda contender: True},
    remark=(
        "Ours meets both marginals, has at most k entries in every column, and states its gap to a lower bound. Where "
        "k binds, POT solves another problem: its plans miss the masses of the rows, as the last columns of the "
        "measurements say. Where k does not bind, the gap is 0 and both solve the same one, POT to some 1e-5. reg is "
        "1, the largest cost."
    ),
    rate="10^9 pairs/s",
    cap=CAP,
    describe=describe,
)
