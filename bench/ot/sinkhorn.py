"""Entropic transport on a matrix of costs, to an error of the marginals of 1e-9, the dense plan included."""

import functools
from typing import Any

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.ot import peers, problems
from bench.ot.problems import TOLERANCE, Problem

CAP = 30.0  # seconds


def cases() -> list[Case]:
    regs = (1e-2, 1e-3, 1e-4)
    # The more independent costs there are to choose from, the fewer sweeps Sinkhorn's algorithm takes.
    rand = functools.partial(problems.cases_of, "rand", problems.rand, harder_with_n=False)
    return [
        *problems.cases_of("gauss", problems.gauss, [1000], (1e-1, *regs)),
        *problems.cases_of("gauss", problems.gauss, [2000, 4000], regs),
        *rand([500, 1000, 2000], regs, quick=True),
        *rand([4000], regs[:2]),
        *problems.cases_of("imgL1", lambda n, reg: problems.images("cityblock", reg), [784], regs),
        *problems.cases_of("imgL2", lambda n, reg: problems.images("sqeuclidean", reg), [784], regs[:2]),
    ]


def nearlinear_sinkhorn(problem: Problem) -> Any:
    def solve() -> Any:
        result = nl.ot.sinkhorn(problem.a, problem.b, problem.C, reg=problem.reg, tol=TOLERANCE)
        _ = result.plan  # which is computed here, and kept
        return result

    return solve


def check(problem: Problem, reference: None, plan: Any, contender: Contender) -> float:
    """Return the error of the marginals in units of TOLERANCE; inf if they are right, but another plan's."""
    error = problems.marginal_error(plan, problem.a, problem.b) / TOLERANCE
    is_optimal = contender.role == "context" or not error <= ROOM.tolerance or problems.has_kernel(plan, problem)
    return error if is_optimal else float("inf")


def describe(result: Any, contender: Contender) -> dict[str, float]:
    if contender.role != "ours":
        return {}
    return {"iterations": result.nit, "Newton steps": result.n_newton, "passes": result.n_passes}


def by_pot(name: str, threshold: Any = peers.norm_of_columns, *, uses_blas: bool = False, **options: Any) -> Contender:
    prepare = peers.pot(name, threshold, **options)
    return Contender(f"POT {name}", prepare, packages=("POT",), uses_blas=uses_blas)


def by_regot(name: str, threshold: Any = peers.norm_of_gradient) -> Contender:
    return Contender(f"regot {name}", peers.regot(f"sinkhorn_{name}", threshold), packages=("regot",))


ROOM = Room(
    name="ot.sinkhorn",
    task="entropic optimal transport",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_sinkhorn, role="ours", export=lambda result: result.plan),
        by_pot("sinkhorn", uses_blas=True),
        by_pot("sinkhorn_log"),
        by_pot("sinkhorn_stabilized", uses_blas=True),
        by_pot("sinkhorn_epsilon_scaling", numInnerItermax=peers.MANY),
        by_pot("greenkhorn", peers.largest_violation),
        by_regot("bcd", peers.norm_of_columns),
        by_regot("apdagd"),
        by_regot("lbfgs_dual"),
        by_regot("newton"),
        by_regot("ssns"),
        by_regot("sparse_newton"),
        by_regot("splr"),
        Contender("OTT", peers.ott(log_domain=True), packages=("ott-jax",)),
        Contender("OTT, kernel", peers.ott(log_domain=False), packages=("ott-jax",)),
        Contender("POT emd, exact", peers.pot_emd, role="context", packages=("POT",)),
    ],
    facts=lambda problem: problem.facts,
    reference=lambda problem: None,
    check=check,
    bound="1e-9 = |P 1 - a|_1 + |P' 1 - b|_1",
    tolerance=1.001,  # sums are rounded
    summaries={
        "best peer": lambda contender: True,
        "POT's best": lambda contender: contender.name.startswith("POT"),
    },
    remark=(
        "All return the dense plan. Its marginals are checked, and in minors of two rows and two columns that it is a "
        "scaled exponential of the costs, which together make it the solution. POT and regot stop at other norms, and "
        "get thresholds that imply the bound; regot gets costs stored by columns, OTT is compiled beforehand. `emd` "
        "solves the exact problem. geomloss stops after a number of iterations, at no tolerance, and is not compared "
        "here."
    ),
    rate="10^9 pairs/s",
    cap=CAP,
    describe=describe,
    pictures={"convergence.png": "Error against time, and what the phases take"},
)
