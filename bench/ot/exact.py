"""Exact transport by a network simplex, beside POT's."""

import functools
from typing import Any

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.ot import peers, problems
from bench.ot.problems import Problem
from bench.ot.sparse_problems import SIZES, build, instances, uneven

ERROR = 1e-10  # of the cost, relative; and of the marginals


def cases() -> list[Case]:
    builders = {
        **{f"{name}, n = {n}": functools.partial(build, name, n) for name, n in instances()},
        **{f"uneven masses, n = {n}": functools.partial(uneven, n) for n in SIZES},
    }
    return [Case(name, make, quick=name == "gauss, n = 100") for name, make in builders.items()]


def nearlinear_plan(problem: Problem) -> Any:
    return lambda: nl.ot.exact(problem.a, problem.b, problem.C)


def check(problem: Problem, reference: float, plan: Any, contender: Contender) -> float:
    P = plan.toarray() if hasattr(plan, "toarray") else plan
    cost = abs((problem.C * P).sum() - reference) / reference
    return float(max(cost, problems.marginal_error(P, problem.a, problem.b)) / ERROR)


def least_cost(problem: Problem) -> float:
    """Return a lower bound that holds with equality: the dual value."""
    result = nl.ot.exact(problem.a, problem.b, problem.C)
    return float(result.cost - result.gap)


ROOM = Room(
    name="ot.exact",
    task="exact optimal transport",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_plan, role="ours", export=lambda result: result.plan),
        Contender("POT emd", peers.pot_emd, packages=("POT",)),
    ],
    facts=lambda problem: problem.facts,
    reference=least_cost,
    check=check,
    bound="1e-10 = max(|cost - least| / least, |P 1 - a|_1 + |P' 1 - b|_1)",
    summaries={"POT": lambda contender: True},
    remark=(
        "Both return a vertex and its dual variables, ours as a sparse matrix. Pivots follow one another on one thread."
    ),
    rate="10^9 pairs/s",
    describe=lambda result, contender: {"pivots": result.nit} if contender.role == "ours" else {},
)
