"""Dense least squares, from well-conditioned to nearly singular: whose answer is as good as that of QR, and when."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.sketch.accuracy import (
    BOUND,
    ROWS,
    Answer,
    Problem,
    check,
    describe,
    solution,
    three_digits,
    triangular_factor,
)

QUICK = (100_000, 100)
SHAPES = [QUICK, (1_000_000, 100), (100_000, 1000), (20_000, 2000)]
CONDITIONS = (2, 8, 12)  # powers of 10
NOISE = 1e-3  # of b, relative
ITERATIONS = 10  # of LSQR and LSMR at most, times the number of columns
TOLERANCE = 1e-14  # of LSQR and LSMR
SKETCH_ROWS = 40  # of SciPy's sketch, times the number of columns
CAP = 20.0  # seconds

Prepare = Callable[[Problem], Callable[[], Answer]]


def cases() -> list[Case]:
    return [case(n, d, power, quick=(n, d) == QUICK and power != 8) for n, d in SHAPES for power in CONDITIONS]


def case(n: int, d: int, power: int, quick: bool) -> Case:
    return Case(
        f"{n} x {d}, condition 1e{power}",
        partial(problem, n, d, power),
        quick=quick,
        family=f"{n} x {d}",
        hardness=(power,),
    )


def problem(n: int, d: int, power: int) -> Problem:
    """Return a Gaussian matrix with scaled columns times an orthogonal one, and b of it with noise."""
    random = np.random.default_rng(0)
    mix = np.logspace(0, -power, d)[:, np.newaxis] * np.linalg.qr(random.standard_normal((d, d))).Q
    A = random.standard_normal((n, d)) @ mix
    exact, noise = A @ random.standard_normal(d), random.standard_normal(n)
    b = exact + NOISE * np.linalg.norm(exact) / np.linalg.norm(noise) * noise
    rows = max(ROWS, 4 * d)
    R = triangular_factor(np.column_stack([A[i : i + rows], b[i : i + rows]]) for i in range(0, n, rows))
    return Problem.of(A, b, 10**power, R=R[:-1, :-1], by_qr=solution(R))


def nearlinear(given: Problem) -> Callable[[], Answer]:
    def solve() -> Answer:
        found = nl.sketch.lstsq(given.A, given.b)
        told = {"own estimate": three_digits(found.backward_error), "passes": found.passes}
        return Answer(found.x, given, told)

    return solve


def solver(solve: Callable[[Any, Any], Any]) -> Prepare:
    """Return what prepares a call that solves by A and b."""
    return lambda given: lambda: Answer(solve(given.A, given.b), given)


def lapack(driver: str, A: Any, b: Any) -> Any:
    return scipy.linalg.lstsq(A, b, lapack_driver=driver, check_finite=False)[0]


def qr(A: Any, b: Any) -> Any:
    Q, R = np.linalg.qr(A)
    return scipy.linalg.solve_triangular(R, Q.T @ b, check_finite=False)


def lsqr(A: Any, b: Any) -> Any:
    limit = ITERATIONS * A.shape[1]
    return scipy.sparse.linalg.lsqr(A, b, atol=TOLERANCE, btol=TOLERANCE, conlim=0, iter_lim=limit)[0]


def lsmr(A: Any, b: Any) -> Any:
    limit = ITERATIONS * A.shape[1]
    return scipy.sparse.linalg.lsmr(A, b, atol=TOLERANCE, btol=TOLERANCE, conlim=0, maxiter=limit)[0]


def sketch_and_solve(A: Any, b: Any) -> Any:
    """Solve SciPy's sketch of the problem in place of the problem."""
    rows = min(SKETCH_ROWS * A.shape[1], A.shape[0] // 4)
    SA, Sb = (
        scipy.linalg.clarkson_woodruff_transform(part, rows, rng=np.random.default_rng(0))
        for part in (A, b[:, np.newaxis])
    )
    return scipy.linalg.lstsq(SA, Sb[:, 0], check_finite=False)[0]


def normal_equations(A: Any, b: Any) -> Any:
    """Solve by Cholesky's factor of A'A, which does not exist to working precision where A is ill-conditioned."""
    try:
        factor = scipy.linalg.cho_factor(A.T @ A, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return np.full(A.shape[1], np.nan)
    return scipy.linalg.cho_solve(factor, A.T @ b, check_finite=False)


def facts(given: Problem) -> dict[str, int]:
    n, d = given.A.shape
    return {"rows": n, "columns": d, "condition": given.condition, "operations": 2 * n * d**2 - 2 * d**3 // 3}


DIRECT = ("scipy gelsd", "scipy gelsy", "numpy QR + solve")
CONTENDERS = [
    Contender("nearlinear", nearlinear, role="ours"),
    Contender("scipy gelsd", solver(partial(lapack, "gelsd")), uses_blas=True),
    Contender("scipy gelsy", solver(partial(lapack, "gelsy")), uses_blas=True),
    Contender("numpy QR + solve", solver(qr), uses_blas=True),
    Contender("scipy LSQR", solver(lsqr), uses_blas=True),
    Contender("scipy LSMR", solver(lsmr), uses_blas=True),
    Contender("scipy sketch + gelsd", solver(sketch_and_solve), role="context", uses_blas=True),
    Contender("normal equations", solver(normal_equations), role="context", uses_blas=True),
]

ROOM = Room(
    name="sketch.lstsq",
    task="least squares",
    cases=cases,
    contenders=CONTENDERS,
    facts=facts,
    reference=lambda given: None,
    check=check,
    bound=BOUND,
    summaries={
        "best peer": lambda contender: True,
        "gelsd": lambda contender: contender.name == "scipy gelsd",
        "best of gelsd, gelsy and QR": lambda contender: contender.name in DIRECT,
    },
    remark=(
        "Backward errors are estimates of Karlson and Walden, relative to |A|_F, with sums in long double; whose is "
        "above the bound has not solved the problem and is wrong. An infinite one is that of a factorisation that "
        f"failed. LSQR and LSMR are asked for {TOLERANCE:g} and end after {ITERATIONS} d iterations at the latest. "
        f"SciPy's sketch, clarkson_woodruff_transform, has {SKETCH_ROWS} d rows, or n / 4 if these are less. Its "
        "solution and that of the normal equations are less accurate, and shown for context alone. Rates count "
        "the operations of QR, whatever a contender does. A is stored by rows, and finite, which only we check."
    ),
    cap=CAP,
    describe=describe,
    pictures={"conditioning.png": "Time against the condition number"},
)
