"""Sparse least squares with columns of very different scales: two of them nearly equal, or none."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from bench.harness import Case, Contender, Room
from bench.sketch.accuracy import (
    BOUND,
    Answer,
    Problem,
    check,
    describe,
    residual_and_gradient,
    solution,
    three_digits,
    triangular_factor,
)
from bench.sketch.lstsq import nearlinear, solver

QUICK = (100_000, 100)
SHAPES = [QUICK, (1_000_000, 500)]
DENSITY = 1e-3
SCALES = -6  # the power of 10 by which the last column is multiplied; the first is as it is
NOISE = 0.1
GAP = 10  # two columns differ by 10^-GAP
ITERATIONS = 1000  # of LSQR and LSMR at most
TOLERANCE = 1e-15  # of theirs; with ten times more, LSMR stops short where columns are nearly equal
DENSE_ROWS = 20_000  # at a time
CAP = 60.0  # seconds


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, {name}", partial(problem, n, d, power), quick=(n, d) == QUICK)
        for n, d in SHAPES
        for name, power in (("well-conditioned", 0), ("two columns nearly equal", GAP))
    ]


def problem(n: int, d: int, power: int) -> Problem:
    """Return a random matrix; with a power, its second column is the first but for 10^-power times another."""
    random = np.random.default_rng(0)
    entries = round(DENSITY * n * d)
    places = (random.integers(n, size=entries, dtype=np.int32), random.integers(d, size=entries, dtype=np.int32))
    A = scipy.sparse.csc_array(scipy.sparse.coo_array((random.standard_normal(entries), places), shape=(n, d)))
    if power:
        second = A[:, [0]] + 10.0**-power * A[:, [1]]
        A = scipy.sparse.hstack([A[:, [0]], second, A[:, 2:]], format="csc")
    scales = np.logspace(0, SCALES, d)
    x = random.standard_normal(d) / scales
    A = csr(A @ scipy.sparse.diags_array(scales))
    b = A @ x + NOISE * random.standard_normal(n)
    norms = column_norms(A)
    scaled = csr(A @ scipy.sparse.diags_array(1 / norms))
    R = triangular_factor(dense_blocks(scaled, b))
    return Problem.of(A, b, 10**power, R=R[:-1, :-1], by_qr=solution(R) / norms, scales=norms)


def csr(A: Any) -> Any:
    """Return A with indices of 32 bits."""
    result = scipy.sparse.csr_array(A)
    result.sum_duplicates()
    result.indptr, result.indices = result.indptr.astype(np.int32), result.indices.astype(np.int32)
    return result


def column_norms(A: Any) -> Any:
    return np.sqrt(A.power(2).sum(axis=0))


def dense_blocks(A: Any, b: Any) -> Any:
    """Yield the rows of [A b] that have an entry in A, and one more that stands for the others."""
    full = np.flatnonzero(np.diff(A.indptr))
    rest = np.zeros((1, A.shape[1] + 1))
    rest[0, -1] = np.linalg.norm(np.delete(b, full))
    yield rest
    for begin in range(0, len(full), DENSE_ROWS):
        rows = full[begin : begin + DENSE_ROWS]
        yield np.column_stack([A[rows].toarray(), b[rows]])


def normal_equations(A: Any, b: Any) -> Any:
    factor = scipy.linalg.cho_factor((A.T @ A).toarray(), overwrite_a=True, check_finite=False)
    return scipy.linalg.cho_solve(factor, A.T @ b, check_finite=False)


def lsqr(A: Any, b: Any) -> Any:
    return scipy.sparse.linalg.lsqr(A, b, atol=TOLERANCE, btol=TOLERANCE, conlim=0, iter_lim=ITERATIONS)[0]


def lsmr(A: Any, b: Any) -> Any:
    return scipy.sparse.linalg.lsmr(A, b, atol=TOLERANCE, btol=TOLERANCE, conlim=0, maxiter=ITERATIONS)[0]


def with_scaled_columns(solve: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the solver that is given columns of length 1, as someone who knows its weakness would do."""

    def scaled(A: Any, b: Any) -> Any:
        norms = column_norms(A)
        return solve(A @ scipy.sparse.diags_array(1 / norms), b) / norms

    return scaled


def facts(given: Problem) -> dict[str, int]:
    n, d = given.A.shape
    return {"rows": n, "columns": d, "entries": given.A.nnz, "operations": given.A.nnz}


def describe_optimality(answer: Answer, contender: Contender) -> dict[str, float]:
    residual, gradient = residual_and_gradient(answer.problem, answer.x)
    optimality = float(np.linalg.norm(gradient)) / residual
    return {"optimality": three_digits(optimality), **describe(answer, contender)}


ROOM = Room(
    name="sketch.sparse_lstsq",
    task="sparse least squares",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear, role="ours"),
        Contender("normal equations", solver(normal_equations), uses_blas=True),
        Contender("scipy LSQR", solver(lsqr)),
        Contender("scipy LSMR", solver(lsmr)),
        Contender("scipy LSQR, scaled columns", solver(with_scaled_columns(lsqr))),
        Contender("scipy LSMR, scaled columns", solver(with_scaled_columns(lsmr))),
    ],
    facts=facts,
    reference=lambda given: None,
    check=check,
    bound=BOUND,
    summaries={"best peer": lambda contender: True},
    remark=(
        f"Columns are multiplied by 1 to 1e{SCALES}, and nearly equal ones differ by 1e-{GAP} of it. Optimality is "
        "|D^-1 A' r| / |r|, r = b - A x, D the norms of the columns. Backward errors, by which results are judged, are "
        "of A D^-1 and D x, relative to |A D^-1|_F. Normal equations are SciPy's: A.T @ A, made dense, and its "
        f"Cholesky factor. LSQR and LSMR are asked for {TOLERANCE:g} and end after {ITERATIONS} iterations at the "
        "latest; to scale columns is part of their time. Rates count the entries of A once."
    ),
    rate="10^9 entries/s",
    cap=CAP,
    describe=describe_optimality,
)
