"""Quadratically regularised transport, to an error of the marginals of 1e-9, the plan included."""

import functools
from typing import Any

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.ot import peers, problems
from bench.ot.problems import TOLERANCE, Problem
from bench.ot.sparse_problems import build, instances

CAP = 20.0  # seconds
POT_ERROR = 1e-4  # of the marginals: SciPy's L-BFGS-B, which POT calls, stops where the objective rests
SLACK_ERROR = 1e-6  # of an entry, relative to the largest


def cases() -> list[Case]:
    return [
        Case(
            f"{name}, n = {n}",
            functools.partial(build, name, n),
            quick=(name, n) == ("gauss", 100),
            family=name,
            hardness=(n,),
        )
        for name, n in instances()
    ]


def nearlinear_plan(problem: Problem) -> Any:
    return lambda: nl.ot.quadratic(problem.a, problem.b, problem.C, reg=problem.reg, tol=TOLERANCE)


def pot(name: str) -> Any:
    def prepare(problem: Problem) -> Any:
        ot = peers.import_pot()
        solve = getattr(ot.smooth, name)
        return functools.partial(
            solve, problem.a, problem.b, problem.C, problem.reg, reg_type="l2", stopThr=1e-12, numItermax=3000
        )

    return prepare


def check(problem: Problem, reference: Any, plan: Any, contender: Contender) -> float:
    """Return the error of the marginals; infinity if the cost is another plan's."""
    P = plan.toarray() if hasattr(plan, "toarray") else plan
    error = problems.marginal_error(P, problem.a, problem.b)
    if not abs((problem.C * P).sum() + problem.reg / 2 * (P**2).sum() - reference) <= max(error, TOLERANCE):
        return float("inf")
    return error / (POT_ERROR if contender.name.startswith("POT") else TOLERANCE)


def value(problem: Problem) -> float:
    return float(nl.ot.quadratic(problem.a, problem.b, problem.C, reg=problem.reg, tol=TOLERANCE).dual_value)


def describe(result: Any, contender: Contender) -> dict[str, float]:
    if contender.role != "ours":
        return {}
    return {
        "entries per row": result.plan.nnz / result.plan.shape[0],
        "Newton steps": result.nit,
        "passes": result.n_passes,
    }


ROOM = Room(
    name="ot.quadratic",
    task="quadratically regularised optimal transport",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_plan, role="ours", export=lambda result: result.plan),
        *(
            Contender(f"regot {name}", peers.regot(f"qrot_{name}"), packages=("regot",))
            for name in ("grssn", "assn", "lbfgs_dual", "lbfgs_semi_dual", "bcd", "apdagd", "pdaam", "gd")
        ),
        Contender("POT dual", pot("smooth_ot_dual"), packages=("POT",)),
        Contender("POT semi-dual", pot("smooth_ot_semi_dual"), packages=("POT",)),
    ],
    facts=lambda problem: problem.facts,
    reference=value,
    check=check,
    bound="1e-9 = |P 1 - a|_1 + |P' 1 - b|_1",
    tolerance=1.001,  # sums are rounded
    summaries={
        "best peer": lambda contender: True,
        "regot's best": lambda contender: contender.name.startswith("regot"),
        "POT's best": lambda contender: contender.name.startswith("POT"),
    },
    remark=(
        "reg is 1, the largest cost. Values are checked against a lower bound. POT stops far from the tolerance, "
        "whatever it is: its bound is 1e-4. RegOT returns a dense plan, as POT does, and gets costs stored by columns."
    ),
    rate="10^9 pairs/s",
    cap=CAP,
    describe=describe,
)
