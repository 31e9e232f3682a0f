"""Sketches of a tall matrix beside one read of it, and the Hadamard transform beside two passes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.linalg import hadamard
from bench.linalg.normal_product import one_read
from nearlinear import _core

QUICK = (2**14, 32)
SHAPES = [QUICK, (2**20, 100)]
TRANSFORM = "hadamard_transform"  # no sketch, but what "srht" and "block-hadamard" begin with
KINDS = [
    *((kind, times) for kind in ("block-hadamard", "srht", "dct", "sjlt", "countsketch") for times in (4, 12)),
    ("gaussian", 4),
]
SLACK = 0.1  # added to sqrt(d / m), the distortion of a random matrix
CHECKED = 4  # columns of the transform


@dataclass(frozen=True)
class Task:
    """The kind of a sketch, its number of rows and the matrix."""

    kind: Any
    m: int
    A: Any


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, {name}", partial(task, n, d, kind, times), quick=(n, d) == QUICK)
        for n, d in SHAPES
        for kind, times, name in [*((*pair, named(*pair)) for pair in KINDS), (TRANSFORM, 0, TRANSFORM)]
    ]


def named(kind: str, times: int) -> str:
    return f"{kind}, m = {times} d"


def task(n: int, d: int, kind: str, times: int) -> Task:
    return Task(kind, times * d if times else n, hadamard.random_matrix(n, d))


def nearlinear(given: Task) -> Callable[[], Any]:
    if given.kind == TRANSFORM:
        return lambda: nl.linalg.hadamard_transform(given.A)
    return lambda: nl.sketch.sketch(given.A, given.m, given.kind, seed=0)


def nearlinear_inplace(given: Task) -> Any:
    return hadamard.nearlinear_inplace(given.A) if given.kind == TRANSFORM else None


def scipy_transform(given: Task) -> Callable[[], Any] | None:
    if given.kind != "countsketch":
        return None
    return lambda: scipy.linalg.clarkson_woodruff_transform(given.A, given.m, rng=np.random.default_rng(0))


def read(given: Task) -> Any:
    return one_read((given.A,))


def two_passes(given: Task) -> Any:
    return hadamard.two_read_write_passes(given.A) if given.kind == TRANSFORM else None


def facts(given: Task) -> dict[str, int]:
    rows, cols = given.A.shape
    return {"rows": rows, "columns": cols, "rows of the sketch": given.m, "operations": rows * cols}


def reference(given: Task) -> Any:
    """Return R of A, which is well-conditioned, or some columns of the transform."""
    if given.kind == TRANSFORM:
        return hadamard.reference(given.A[:, :CHECKED])
    gram = np.empty((given.A.shape[1],) * 2)
    _core.gram(given.A, gram)
    return scipy.linalg.cholesky(gram)


def check(given: Task, expected: Any, result: Any, contender: Contender) -> float:
    """Return how far singular values of the sketch of an orthonormal basis are from 1, in units of the bound."""
    if given.kind == TRANSFORM:
        return hadamard.check(given.A[:, :CHECKED], expected, result[:, :CHECKED], contender)
    of_basis = scipy.linalg.solve_triangular(expected, result.T, trans="T")
    distortion = np.abs(scipy.linalg.svdvals(of_basis) - 1).max()
    return float(distortion / (np.sqrt(given.A.shape[1] / given.m) + SLACK))


ROOM = Room(
    name="sketch.sketches",
    task="sketches",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear, role="ours"),
        Contender("nearlinear, in place", nearlinear_inplace, role="ours"),
        Contender("scipy clarkson_woodruff_transform", scipy_transform),
        Contender("one read of A", read, role="limit"),
        Contender("two read + write passes", two_passes, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound=f"sqrt(d / m) + {SLACK:g}",
    summaries={"scipy": lambda contender: True},
    remark=(
        "Errors are the distortion of A's range, the largest |s - 1| of singular values s of S U with an orthonormal "
        "basis U; those of hadamard_transform are in units of u log2(n) sum |x|. The read is the sum of all entries, "
        "on as many threads; in place, the transform is that of the last one's result."
    ),
    rate="10^9 entries/s",
)
