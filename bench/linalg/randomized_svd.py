"""
Low-rank approximation by randomised subspace iteration.

Accuracy is a matter of the number of iterations, so that contenders are held to one bound, the error of every singular
vector of Musco and Musco (2015), and scikit-learn is timed with the iterations that it chooses and with fewer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

import nearlinear as nl
from bench.harness import Case, Contender, Room

EPSILON = 0.1
LARGEST_FULL = 1500  # columns up to which the whole decomposition is among the contenders


@dataclass(frozen=True)
class Problem:
    A: Any
    rank: int
    s: Any  # the exact singular values, at least rank + 1 of them


def cases() -> list[Case]:
    return [
        Case("1000 x 1000, s = 1/j, k = 20", partial(dense, 1000, 1000, 20, "polynomial"), quick=True),
        Case("20000 x 500, s = 1/j, k = 20", partial(dense, 20000, 500, 20, "polynomial"), quick=True),
        Case("3000 x 3000, s = 1/j, k = 20", partial(dense, 3000, 3000, 20, "polynomial")),
        Case("3000 x 3000, s = 1/j, k = 100", partial(dense, 3000, 3000, 100, "polynomial")),
        Case("3000 x 3000, s = 0.9^j, k = 50", partial(dense, 3000, 3000, 50, "exponential")),
        Case("3000 x 3000, 20 factors and noise, k = 20", partial(dense, 3000, 3000, 20, "factors")),
        Case("3000 x 3000, s = j^-1/2, k = 20", partial(dense, 3000, 3000, 20, "slow")),
        Case("3000 x 3000, s = 1/j, k = 20, float32", partial(dense, 3000, 3000, 20, "polynomial", np.float32)),
        Case("sparse 50000 x 10000, k = 20", partial(sparse, 50000, 10000, 20)),
    ]


SPECTRA: dict[str, Callable[[Any], Any]] = {
    "polynomial": lambda j: 1 / j,
    "slow": lambda j: j**-0.5,
    "exponential": lambda j: 0.9**j,
    "factors": lambda j: np.where(j <= 20, 2.0, 1 / np.sqrt(j)),
}


def dense(rows: int, cols: int, rank: int, spectrum: str, dtype: Any = np.float64) -> Problem:
    rng = np.random.default_rng(0)
    s = SPECTRA[spectrum](np.arange(1.0, min(rows, cols) + 1))
    U, V = (np.linalg.qr(rng.normal(size=(size, s.size)))[0] for size in (rows, cols))
    return Problem(np.ascontiguousarray(U * s @ V.T, dtype=dtype), rank, s)


def sparse(rows: int, cols: int, rank: int) -> Problem:
    """Random entries, in columns that are used as seldom as words are (Zipf)."""
    rng = np.random.default_rng(0)
    entries = 20 * rows
    frequency = 1 / np.arange(1, cols + 1)
    columns = rng.choice(cols, size=entries, p=frequency / frequency.sum())
    A = scipy.sparse.csr_array((np.ones(entries), (rng.integers(rows, size=entries), columns)), shape=(rows, cols))
    A.sum_duplicates()
    s = scipy.sparse.linalg.svds(A, k=rank + 1, return_singular_vectors=False, rng=np.random.default_rng(0))
    return Problem(A, rank, np.sort(s)[::-1])


def nearlinear_auto(problem: Problem) -> Any:
    return lambda: nl.linalg.randomized_svd(problem.A, problem.rank, seed=0)


def nearlinear_two(problem: Problem) -> Any:
    return lambda: nl.linalg.randomized_svd(problem.A, problem.rank, power_iterations=2, seed=0)


def sklearn_svd(problem: Problem, iterations: Any) -> Any:
    from sklearn.utils.extmath import randomized_svd

    return lambda: randomized_svd(problem.A, n_components=problem.rank, n_iter=iterations, random_state=0)


def scipy_svds(problem: Problem) -> Any:
    start = np.random.default_rng(0).normal(size=min(problem.A.shape)).astype(problem.A.dtype)
    return lambda: scipy.sparse.linalg.svds(problem.A, k=problem.rank, v0=start, tol=1e-2)


def scipy_svd(problem: Problem) -> Any:
    if scipy.sparse.issparse(problem.A) or problem.A.shape[1] > LARGEST_FULL:
        return None
    return lambda: scipy.linalg.svd(problem.A, full_matrices=False, check_finite=False)


def left_vectors(result: Any) -> Any:
    """Return U with its columns in the order of the singular values, which svds gives ascending."""
    U, s = (result.U, result.s) if isinstance(result, nl.linalg.RandomizedSvdResult) else result[:2]
    return U[:, np.argsort(s)[::-1]]


def facts(problem: Problem) -> dict[str, int]:
    rows, cols = problem.A.shape
    entries = problem.A.nnz if scipy.sparse.issparse(problem.A) else rows * cols
    # One product with the columns that scikit-learn and nearlinear work with.
    return {"rows": rows, "columns": cols, "rank": problem.rank, "operations": 2 * entries * (problem.rank + 10)}


def reference(problem: Problem) -> Any:
    return problem.s[: problem.rank + 1]


def check(problem: Problem, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of sigma_i^2 as a singular vector gives it, in units of its bound."""
    images = problem.A.T.astype(np.float64) @ result[:, : problem.rank].astype(np.float64)
    captured = (images**2).sum(axis=0)
    return float(np.abs(expected[:-1] ** 2 - captured).max() / (EPSILON * expected[-1] ** 2))


ROOM = Room(
    name="linalg.randomized_svd",
    task="low-rank approximation",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_auto, role="ours", export=left_vectors),
        Contender("nearlinear, 2 iterations", nearlinear_two, role="ours", export=left_vectors),
        *(
            Contender(
                f"scikit-learn, {'auto' if n == 'auto' else f'{n} iterations'}",
                partial(sklearn_svd, iterations=n),
                export=left_vectors,
                packages=("scikit-learn",),
                uses_blas=True,
            )
            for n in ("auto", 3, 2, 1)
        ),
        Contender("scipy svds, tol = 0.01", scipy_svds, export=left_vectors, uses_blas=True),
        Contender("scipy svd", scipy_svd, export=left_vectors, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound=f"|sigma_i^2 - |A^T u_i|^2| <= {EPSILON} sigma_(k+1)^2",
    summaries={"best peer that is as accurate": lambda contender: True},
    remark="A contender that needs more iterations than it was given to keep the bound is wrong, and not ranked.",
)
