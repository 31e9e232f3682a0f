"""Cholesky factors of matrices that change by a vector, or by a row and a column."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK_SIZE = 500
SIZES = [QUICK_SIZE, 2000]


class Change(NamedTuple):
    old: Any  # matrix
    factor: Any  # of it
    new: Any  # matrix
    vector: Any  # what is added, or the last row
    slides: bool


def cases() -> list[Case]:
    return [
        Case(f"{'slide' if slides else 'update'}, n = {n}", partial(change, n, slides), quick=n == QUICK_SIZE)
        for slides in (False, True)
        for n in SIZES
    ]


def change(n: int, slides: bool) -> Any:
    random = np.random.default_rng(0)
    M = random.random((n + 1, n + 1)) - 0.5
    M += M.T
    M.flat[:: n + 2] += 2.0 * np.sqrt(n)
    old = M[:n, :n].copy()
    vector = M[n, 1:].copy() if slides else random.random(n)
    new = M[1:, 1:].copy() if slides else old + np.outer(vector, vector)
    return Change(old, np.linalg.cholesky(old), new, vector, slides)


def nearlinear_inplace(given: Change) -> Any:
    """The factor goes along from call to call; the check looks at the first one."""
    L, x = given.factor.copy(), given.vector.copy()

    def update() -> Any:
        np.copyto(x, given.vector)
        status = _core.cholesky_slide_inplace(L, x) if given.slides else _core.cholesky_update_inplace(L, x)
        if status != 0:
            raise ValueError("not positive definite")
        return L

    return update


def scipy_factorisation(given: Change) -> Any:
    work = np.empty(given.new.shape, order="F")

    def factor() -> Any:
        np.copyto(work.T, given.new)
        return scipy.linalg.cholesky(work, lower=True, overwrite_a=True, check_finite=False)

    return factor


def potrf(given: Change) -> Any:
    work = np.empty(given.new.shape, order="F")

    def factor() -> Any:
        np.copyto(work.T, given.new)
        L, info = scipy.linalg.lapack.dpotrf(work, lower=True, overwrite_a=True, clean=False)
        if info != 0:
            raise ValueError("not positive definite")
        return L

    return factor


def facts(given: Change) -> dict[str, int]:
    return {"rows": len(given.new), "operations": (4 if given.slides else 3) * given.new.size}


def reference(given: Change) -> Any:
    return None


def check(given: Change, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry of L L' in some rows in units of its bound."""
    n = len(given.new)
    rows = np.linspace(0, n - 1, 20).astype(int)
    wide = np.tril(result).astype(np.longdouble)
    error = np.abs(wide[rows] @ wide.T - given.new[rows])
    scale = np.sqrt(np.diag(given.new))
    bound = 16 * n * np.finfo(float).eps / 2 * np.outer(scale[rows], scale)
    return float((error / bound).max())


ROOM = Room(
    name="linalg.cholesky_update",
    task="update of a Cholesky factor",
    cases=cases,
    contenders=[
        Contender("nearlinear, in place", nearlinear_inplace, role="ours"),
        Contender("scipy cholesky, anew", scipy_factorisation, uses_blas=True),
        Contender("lapack potrf, anew", potrf, uses_blas=True),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="16 n u sqrt(a_ii a_jj), the factor before included",
    summaries={"best peer": lambda contender: True},
    remark="The peers factor the changed matrix anew: NumPy and SciPy have no update.",
)
