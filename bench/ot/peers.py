"""Other packages' solvers, each with what its stopping rule needs for TOLERANCE to hold."""

import functools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.ot.problems import TOLERANCE, Problem, marginal_error

MANY = 10**9  # iterations, where the cap is what stops
OTT_MOST = 10**7  # OTT stores one error for every ten of them


def import_pot() -> Any:
    """Import POT for NumPy alone: it would load PyTorch and JAX, which have threads of their own."""
    for backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{backend}", "1")
    import ot

    return ot


def import_jax() -> Any:
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    os.environ.setdefault("JAX_TRACEBACK_FILTERING", "off")  # else the last line of an error is advice
    import jax

    return jax


def pot(method: str, threshold: Callable[[int, int], float], **options: Any) -> Callable[[Problem], Any]:
    """Return what prepares `ot.sinkhorn`; ``threshold(n, m)`` is what it stops at."""

    def prepare(problem: Problem) -> Callable[[], Any]:
        ot = import_pot()
        return functools.partial(
            ot.sinkhorn,
            problem.a,
            problem.b,
            problem.C,
            problem.reg,
            method=method,
            stopThr=threshold(*problem.C.shape),
            numItermax=MANY,
            **options,
        )

    return prepare


def norm_of_columns(n: int, m: int) -> float:
    """Rows are exact, and the Euclidean norm of the columns' errors is what is tested."""
    return TOLERANCE / math.sqrt(m)


def largest_violation(n: int, m: int) -> float:
    return TOLERANCE / (n + m)


def norm_of_gradient(n: int, m: int) -> float:
    """Return what suffices as a rule: RegOT leaves out the last column, whose error may be as large as all others'."""
    return TOLERANCE / math.sqrt(n + m)


def pot_emd(problem: Problem) -> Callable[[], Any]:
    ot = import_pot()
    return functools.partial(ot.emd, problem.a, problem.b, problem.C, numItermax=MANY)


def regot(name: str, threshold: Callable[[int, int], float] = norm_of_gradient) -> Callable[[Problem], Any]:
    """
    Return what prepares a solver of RegOT's, with costs stored by columns as it wants them.

    If the threshold was too large, half of it is tried. Not at once, as some solvers do not get there.
    """

    def prepare(problem: Problem) -> Callable[[], Any]:
        import regot

        C, limit = np.asfortranarray(problem.C), threshold(*problem.C.shape)
        solve = functools.partial(getattr(regot, name), C, problem.a, problem.b, problem.reg, max_iter=MANY)

        def twice() -> Any:
            plan = solve(tol=limit).plan
            if marginal_error(plan, problem.a, problem.b) > TOLERANCE:
                plan = solve(tol=limit / 2).plan
            return plan

        return twice

    return prepare


def ott(log_domain: bool) -> Callable[[Problem], Any]:
    """Return what prepares OTT-JAX, compiled beforehand; it tests the sum of the columns' errors."""

    def prepare(problem: Problem) -> Callable[[], Any]:
        jax = import_jax()
        from ott.geometry.geometry import Geometry
        from ott.problems.linear.linear_problem import LinearProblem
        from ott.solvers.linear.sinkhorn import Sinkhorn

        solver = Sinkhorn(lse_mode=log_domain, threshold=TOLERANCE / 2, max_iterations=OTT_MOST)

        def solve(a: Any, b: Any, C: Any) -> Any:
            return solver(LinearProblem(Geometry(cost_matrix=C, epsilon=problem.reg), a, b)).matrix

        given = [jax.numpy.asarray(array) for array in (problem.a, problem.b, problem.C)]
        compiled = jax.jit(solve).lower(*given).compile()
        return lambda: np.asarray(compiled(*given))

    return prepare
