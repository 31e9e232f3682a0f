"""Where the largest entries are."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK = (100_000, 100, "random")
SHAPES = [QUICK, (1_000_000, 10, "random"), (1_000_000, 1000, "random"), (10_000_000, 100, "random")]
SHAPES += [(1_000_000, 100, "ascending"), (1_000_000, 100, "ties")]


class Selection(NamedTuple):
    x: Any
    k: int


def cases() -> list[Case]:
    return [
        Case(f"{k} of {n}, {kind}", partial(selection, n, k, kind), quick=(n, k, kind) == QUICK)
        for n, k, kind in SHAPES
    ]


def selection(n: int, k: int, kind: str) -> Any:
    x = np.random.default_rng(0).random(n)
    if kind == "ascending":
        x.sort()
    return Selection(np.floor(10 * x) if kind == "ties" else x, k)


def nearlinear_top_k(given: Selection) -> Any:
    indices = np.empty(given.k, np.int64)

    def select() -> Any:
        _core.top_k(given.x, indices)
        return indices

    return select


def numpy_argpartition(given: Selection) -> Any:
    """Sort the few that are found, as ours are; ties come in any order."""

    def select() -> Any:
        found = np.argpartition(given.x, -given.k)[-given.k :]
        return found[np.argsort(-given.x[found], kind="stable")]

    return select


def numpy_argsort(given: Selection) -> Any:
    return lambda: np.argsort(-given.x, kind="stable")[: given.k]


def one_read(given: Selection) -> Any:
    return given.x.max


def facts(given: Selection) -> dict[str, int]:
    return {"entries": given.x.size, "k": given.k, "operations": given.x.size}


def reference(given: Selection) -> Any:
    return np.sort(given.x)[: -given.k - 1 : -1]


def check(given: Selection, expected: Any, result: Any, contender: Contender) -> float:
    """Return 0 when the values are right and in order, and no index comes twice."""
    right = np.array_equal(given.x[result], expected) and np.unique(result).size == given.k
    return 0.0 if right else np.inf


ROOM = Room(
    name="linalg.top_k",
    task="largest entries",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_top_k, role="ours"),
        Contender("numpy argpartition", numpy_argpartition),
        Contender("numpy argsort", numpy_argsort),
        Contender("numpy max", one_read, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="exact",
    summaries={"best peer": lambda contender: True},
    remark="All on one thread.",
)
