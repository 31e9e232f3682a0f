"""A gradient comes into a full window of few parameters: what its factor costs, and not its passes over gradients."""

import itertools
from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.fisher.windows import DAMPING, Window, cases, facts, gram, read
from bench.harness import Contender, Room

SIZES = ((256, 64), (256, 256), (256, 1024))


def full_window(window: Window) -> Any:
    inverse = nl.fisher.SlidingFisherInverse(window.d, window.m, DAMPING, normalize="capacity", storage="float32")
    inverse.update_many(window.gradients())
    inverse.logdet()
    return inverse, itertools.cycle([window.gradient(window.m + i) for i in range(4)])


def slides(window: Window) -> Any:
    inverse, new = full_window(window)

    def step() -> float:
        inverse.update(next(new))
        return float(inverse.logdet())

    return step


def factored_anew(window: Window) -> Any:
    inverse, new = full_window(window)

    def step() -> float:
        inverse.update(next(new))
        inverse.set_damping(DAMPING)  # which the factor does not survive
        return float(inverse.logdet())

    return step


def scipy_factored_anew(window: Window) -> Any:
    G, slot = window.gradients(), itertools.cycle(range(window.m))
    new = itertools.cycle([window.gradient(window.m + i) for i in range(4)])
    K = gram(G)

    def step() -> float:
        i = next(slot)
        G[i] = next(new)
        K[i] = K[:, i] = G @ G[i]
        shift = window.m * DAMPING
        L = scipy.linalg.cholesky(K + shift * np.eye(window.m), lower=True, check_finite=False)
        return float(2 * np.log(np.diag(L)).sum() - window.m * np.log(shift) + window.d * np.log(DAMPING))

    return step


def read_factor(window: Window) -> Any:
    return read(np.ones((window.m, window.m)))


def reference(window: Window) -> Any:
    """Return log det F with the first of the new gradients in the place of the oldest."""
    G = window.gradients()
    G[0] = window.gradient(window.m)
    shift = window.m * DAMPING
    sign, value = np.linalg.slogdet(gram(G) + shift * np.eye(window.m))
    assert sign == 1
    return value - window.m * np.log(shift) + window.d * np.log(DAMPING)


def check(window: Window, expected: Any, result: Any, contender: Contender) -> float:
    return float(abs(result - expected) / abs(expected) / 1e-6)


ROOM = Room(
    name="fisher.slide",
    task="factor of a sliding window",
    cases=lambda: cases(SIZES),
    contenders=[
        Contender("nearlinear, slide", slides, role="ours"),
        Contender("nearlinear, factored anew", factored_anew),
        Contender("scipy, factored anew", scipy_factored_anew, uses_blas=True),
        Contender("one read of the Gram matrix", read_factor, role="limit"),
    ],
    facts=lambda window: {**facts(window), "operations": 4 * window.m**2},
    reference=reference,
    check=check,
    bound="1e-6 |log det F|",
    summaries={
        "anew": lambda contender: contender.name == "nearlinear, factored anew",
        "scipy": lambda contender: contender.name.startswith("scipy"),
    },
)
