"""Tokens to experts of limited capacity: exact routing beside the rules that mixtures of experts use."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

import nearlinear as nl
from bench.harness import Case, Contender, Room

SPREAD = 0.5  # of the experts' popularity, in units of what tokens differ by
ERROR = 1e-9  # of the score, relative


@dataclass(frozen=True)
class Routing:
    scores: Any
    capacity: int
    k: int

    @property
    def pairs(self) -> int:
        return len(self.scores) * self.k


def cases() -> list[Case]:
    sizes = [(1024, 16, 1), (1024, 16, 2), (4096, 64, 1), (4096, 64, 2), (16384, 64, 2)]
    return [
        Case(f"{tokens} tokens, {experts} experts, k = {k}", functools.partial(routing, *size), quick=tokens == 1024)
        for size in sizes
        for tokens, experts, k in [size]
    ]


def routing(tokens: int, experts: int, k: int) -> Routing:
    """Probabilities of a router that prefers some experts, and just as much capacity as there are pairs."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(tokens, experts)) + SPREAD * rng.normal(size=experts)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Routing(scores / scores.sum(axis=1, keepdims=True), tokens * k // experts, k)


def nearlinear_route(given: Routing) -> Any:
    return lambda: nl.ot.route(given.scores, given.capacity, given.k)


def best_experts(given: Routing) -> Any:
    """Return each token's k best experts, best first."""
    experts = np.argpartition(-given.scores, given.k - 1, axis=1)[:, : given.k]
    order = np.argsort(-np.take_along_axis(given.scores, experts, axis=1), axis=1)
    return np.take_along_axis(experts, order, axis=1)


def top_k(given: Routing) -> Any:
    """Return the pairs of all tokens with their best experts, which take as many as come."""

    def solve() -> Any:
        return np.repeat(np.arange(len(given.scores)), given.k), best_experts(given).ravel()

    return solve


def greedy(given: Routing) -> Any:
    """Drop what exceeds the capacity, where first choices of all tokens come before second ones, in order of tokens."""

    def solve() -> Any:
        tokens = np.tile(np.arange(len(given.scores)), given.k)
        experts = best_experts(given).T.ravel()
        order = np.argsort(experts, kind="stable")
        begins = np.searchsorted(experts[order], experts[order])
        kept = order[np.arange(len(order)) - begins < given.capacity]
        return tokens[kept], experts[kept]

    return solve


def assignment(given: Routing) -> Any:
    """Solve for k = 1 by SciPy, with a column for each place at an expert."""
    if given.k > 1 or given.scores.size * given.capacity > 10**8:
        return None
    from scipy.optimize import linear_sum_assignment

    def solve() -> Any:
        tokens, places = linear_sum_assignment(np.repeat(given.scores, given.capacity, axis=1), maximize=True)
        return tokens, places // given.capacity

    return solve


def pairs_of(result: Any) -> Any:
    return result.tocoo().coords if hasattr(result, "tocoo") else result


def best(given: Routing) -> float:
    """Return the bound that prices prove."""
    _, certificate = nl.ot.route(given.scores, given.capacity, given.k, certificate=True)
    return float(certificate.bound)


def check(given: Routing, reference: float, result: Any, contender: Contender) -> float:
    """Return how far the score is from the bound; infinity where a token or an expert has another number of pairs."""
    tokens, experts = pairs_of(result)
    if contender.role == "context":
        return 0.0
    sizes = np.bincount(tokens, minlength=len(given.scores)), np.bincount(experts)
    if (sizes[0] != given.k).any() or sizes[1].max() > given.capacity:
        return float("inf")
    return abs(given.scores[tokens, experts].sum() - reference) / (ERROR * reference)


def describe(result: Any, contender: Contender) -> dict[str, float]:
    tokens, experts = pairs_of(result)
    loads = np.bincount(experts)
    return {"pairs": len(tokens), "largest / mean load": float(loads.max() / loads.mean())}


def score(given: Routing, result: Any) -> float:
    return float(given.scores[pairs_of(result)].sum())


ROOM = Room(
    name="ot.route",
    task="tokens to experts of limited capacity",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_route, role="ours"),
        Contender("SciPy, assignment", assignment),
        Contender("top-k, no limit", top_k, role="context"),
        Contender("greedy, drops pairs", greedy, role="context"),
    ],
    facts=lambda given: {
        "tokens": given.scores.shape[0],
        "experts": given.scores.shape[1],
        "k": given.k,
        "capacity": given.capacity,
        "kept by ours, %": round(100 * score(given, nearlinear_route(given)()) / score(given, top_k(given)())),
        "kept by greedy, %": round(100 * score(given, greedy(given)()) / score(given, top_k(given)())),
        "operations": given.scores.size,
    },
    reference=best,
    check=check,
    bound="1e-9 = |score - bound| / bound",
    summaries={"SciPy": lambda contender: True},
    remark=(
        "The capacity is the mean load: every expert must be full. Greedy routing drops pairs that find no place. The "
        "scores that are kept are relative to those of top-k without limits."
    ),
    rate="10^9 pairs/s",
    describe=describe,
)
