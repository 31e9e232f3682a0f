"""Conjugate gradients and LSQR, dense and sparse, to the same tolerance as SciPy's."""

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import nearlinear as nl
from bench.harness import Case, Contender, Room

TOL = 1e-8


def cases() -> list[Case]:
    return [
        Case("cg, dense 500", partial(dense_system, 500), quick=True),
        Case("cg, dense 3000", partial(dense_system, 3000)),
        Case("cg, Poisson 100 x 100", partial(poisson, 100), quick=True),
        Case("cg, Poisson 500 x 500", partial(poisson, 500)),
        Case("lsqr, dense 4000 x 200", partial(dense_regression, 4000, 200), quick=True),
        Case("lsqr, dense 40000 x 400", partial(dense_regression, 40_000, 400)),
        Case("lsqr, sparse 200000 x 20000", partial(sparse_regression, 200_000, 20_000)),
    ]


def dense_system(n: int) -> Any:
    rng = np.random.default_rng(0)
    G = rng.normal(size=(n, 2 * n))
    return "cg", G @ G.T / n, rng.normal(size=n)


def poisson(side: int) -> Any:
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    A = scipy.sparse.csr_array(scipy.sparse.kronsum(line, line))
    return "cg", A, np.random.default_rng(0).normal(size=side**2)


def dense_regression(m: int, n: int) -> Any:
    rng = np.random.default_rng(0)
    return "lsqr", rng.normal(size=(m, n)) * np.linspace(0.1, 1, n), rng.normal(size=m)


def sparse_regression(m: int, n: int) -> Any:
    rng = np.random.default_rng(0)
    return "lsqr", scipy.sparse.random_array((m, n), density=1e-3, format="csr", rng=rng), rng.normal(size=m)


def nearlinear(given: Any) -> Any:
    method, A, b = given
    if method == "cg":
        return lambda: nl.linalg.conjugate_gradient(A, b, tol=TOL, check_finite=False).x
    return lambda: nl.linalg.lsqr(A, b, atol=TOL, btol=TOL, conlim=0, check_finite=False).x


def scipy_peer(given: Any) -> Any:
    method, A, b = given
    if method == "cg":
        return lambda: scipy.sparse.linalg.cg(A, b, rtol=TOL)[0]
    return lambda: scipy.sparse.linalg.lsqr(A, b, atol=TOL, btol=TOL, conlim=0)[0]


def facts(given: Any) -> dict[str, int]:
    _, A, _ = given
    entries = A.nnz if scipy.sparse.issparse(A) else A.size
    return {"rows": A.shape[0], "columns": A.shape[1], "entries": entries, "operations": 2 * entries}


def reference(given: Any) -> Any:
    return None  # a solution is judged by its residual


def check(given: Any, _: Any, x: Any, contender: Contender) -> float:
    """Return the residual of the system or of the normal equations in units of what was asked for."""
    method, A, b = given
    r = b - A @ x
    if method == "cg":
        return float(np.linalg.norm(r) / (TOL * np.linalg.norm(b)))
    norm = scipy.sparse.linalg.norm(A) if scipy.sparse.issparse(A) else np.linalg.norm(A)
    return float(np.linalg.norm(A.T @ r) / (TOL * norm * np.linalg.norm(r)))


ROOM = Room(
    name="linalg.iterative_solve",
    task="Iterative solves",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear, role="ours"),
        Contender("scipy", scipy_peer, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="tol ||b||, or tol ||A|| ||r||",
    tolerance=2.0,  # estimates of norms grow by rounding, and SciPy tests the residual of its recurrence
    summaries={"scipy": lambda contender: True},
    remark="Sparse products are SciPy's for both. Rates count one product, so that they compare, and are no measure.",
)
