"""Products whose patterns stay: what a plan saves when there are new values."""

from typing import Any

import numpy as np

import nearlinear as nl
from bench.harness import Contender, Room
from bench.sparse import matmul


def execute(pair: Any) -> Any:
    A, B = pair
    plan = nl.sparse.MatmulPlan(A, B)
    return lambda: plan.execute(A.data, B.data)


def execute_into(pair: Any) -> Any:
    A, B = pair
    plan = nl.sparse.MatmulPlan(A, B)
    out = np.empty(plan.nnz)
    return lambda: plan.execute(A.data, B.data, out)


def execute_without_positions(pair: Any) -> Any:
    A, B = pair
    plan = nl.sparse.MatmulPlan(A, B, store_positions=False)
    return lambda: plan.execute(A.data, B.data)


ROOM = Room(
    name="sparse.plan",
    task="product of sparse matrices whose patterns are known",
    cases=matmul.cases,
    contenders=[
        Contender("nearlinear, plan", execute, role="ours"),
        Contender("nearlinear, matmul", matmul.nearlinear_matmul),
        Contender("nearlinear, plan and out", execute_into),
        Contender("nearlinear, plan without positions", execute_without_positions),
        Contender("scipy, unsorted", matmul.scipy_unsorted, sorts=False),
        Contender("MKL, unsorted", matmul.mkl_unsorted, packages=matmul.MKL, sorts=False),
    ],
    facts=matmul.facts,
    reference=matmul.reference,
    check=matmul.check,
    bound="nnz(A_i) u (|A| |B|)_ij",
    tolerance=2.0,
    summaries={
        "matmul": lambda contender: contender.name == "nearlinear, matmul",
        "scipy and MKL, rows in any order": lambda contender: not contender.sorts,
    },
    remark="The plans are made before the clock starts; making one takes the time of two to four products.",
)
