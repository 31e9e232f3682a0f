"""Transport with at most k entries per column of the plan, beside POT, whose plans may miss the rows' masses."""

import functools
from typing import Any

import numpy as np

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.ot import peers, problems
from bench.ot.problems import TOLERANCE, Problem
from bench.ot.sparse_problems import SparseProblem, instances

CAP = 30.0  # seconds
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
        for k in (1, 2, 3, 5, 20)
        for build in [functools.partial(SparseProblem.of, name)]
    ]


def nearlinear_plan(given: SparseProblem) -> Any:
    problem = given.problem
    return lambda: nl.ot.sparse_plan(problem.a, problem.b, problem.C, reg=problem.reg, max_nz=given.k, tol=TOLERANCE)


def pot(name: str) -> Any:
    """Return what prepares one of POT's smooth solvers, at the settings of its users and the least tolerance."""

    def prepare(given: SparseProblem) -> Any:
        ot = peers.import_pot()
        problem: Problem = given.problem
        return functools.partial(
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

    return prepare


def pot_emd(given: SparseProblem) -> Any:
    return peers.pot_emd(given.problem) if given.k == 1 else None


def dense(plan: Any) -> Any:
    return plan.toarray() if hasattr(plan, "toarray") else plan


def check(given: SparseProblem, reference: None, plan: Any, contender: Contender) -> float:
    """Return our error, and infinity for too many entries; what others miss is shown, and not held against them."""
    P = dense(plan)
    if (np.count_nonzero(P, axis=0) > given.k).any() or not np.isfinite(P).all():
        return float("inf")
    error = problems.marginal_error(P, given.problem.a, given.problem.b) / TOLERANCE
    return error if contender.role == "ours" else 0.0


def describe(result: Any, contender: Contender) -> dict[str, float]:
    P = dense(result.plan if contender.role == "ours" else result)
    # Every instance has the sum 1, and these are its columns' sums but for what is missed.
    facts = {"marginal error": float(abs(P.sum(axis=1) - 1 / len(P)).sum()), "entries per column": float((P > 0).sum() / P.shape[1])}
    if contender.role == "ours":
        facts = {
            "marginal error": result.marginal_error,
            "entries per column": result.plan.nnz / P.shape[1],
            "gap, %": 100 * result.gap / result.primal_value,
            "limit binds": float(result.status != 0 or result.n_ties > 0),
        }
    return facts


ROOM = Room(
    name="ot.sparse_plan",
    task="optimal transport with at most k entries per column",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_plan, role="ours", export=lambda result: result.plan),
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
        "measurements say. Where k does not bind, the gap is 0 and both solve the same one, POT to some 1e-5. reg is 1, "
        "the largest cost."
    ),
    rate="10^9 pairs/s",
    cap=CAP,
    describe=describe,
)
