"""Setting up the inverse of Fisher of given gradients: their Gram matrix and its Cholesky factor."""

from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.fisher.windows import DAMPING, Window, cases, combine, facts, gram, read
from bench.harness import Contender, Room

LARGEST_RECURRENCE = 64  # gradients: its time grows with their square, at the speed of memory


class Solver:
    """What a contender has set up: products of x with the inverse."""

    def __init__(self, product: Any) -> None:
        self.product = product


def factorised(window: Window) -> Any:
    G = window.gradients()
    return lambda: Solver(nl.fisher.FisherInverse(G, DAMPING, copy=False).matvec)


def recurrence(window: Window) -> Any:
    if window.m > LARGEST_RECURRENCE:
        return None
    G = window.gradients()
    return lambda: Solver(nl.fisher.FisherInverse(G, DAMPING, copy=False, method="recurrence").matvec)


def numpy_woodbury(window: Window) -> Any:
    G = window.gradients()

    def set_up() -> Any:
        S = (G @ G.T).astype(np.float64) + window.m * DAMPING * np.eye(window.m)
        factor = scipy.linalg.cho_factor(S, lower=True)
        return Solver(lambda x: (x - scipy.linalg.cho_solve(factor, G @ x).astype(np.float32) @ G) / DAMPING)

    return set_up


def torch_recurrence(window: Window) -> Any:
    """The paper's static algorithm in PyTorch, row by row."""
    if window.m > LARGEST_RECURRENCE:
        return None
    import torch

    torch.set_num_threads(nl.get_num_threads())
    G = torch.from_numpy(window.gradients())

    def set_up() -> Any:
        hg = torch.empty_like(G)
        den = torch.empty(window.m)
        for i in range(window.m):
            q = (hg[:i] @ G[i]) / den[:i]
            hg[i] = G[i] / DAMPING - q @ hg[:i]
            den[i] = window.m + G[i] @ hg[i]

        def product(x: Any) -> Any:
            x = torch.from_numpy(x)
            return (x / DAMPING - ((hg @ x) / den) @ hg).numpy()

        return Solver(product)

    return set_up


def read_once(window: Window) -> Any:
    return read(window.gradients())


def vector(window: Window) -> Any:
    return np.random.default_rng(1).standard_normal(window.d, dtype=np.float32)


def reference(window: Window) -> Any:
    G, x = window.gradients(), vector(window)
    u = np.concatenate([[row.astype(np.float64) @ x] for row in G])
    c = np.linalg.solve(gram(G) + window.m * DAMPING * np.eye(window.m), u)
    return (x - combine(c, G)) / DAMPING


def check(window: Window, expected: Any, result: Any, contender: Contender) -> float:
    x = vector(window)
    error = np.linalg.norm(np.asarray(result.product(x)) - expected)
    return float(error / (np.linalg.norm(x) / DAMPING) / 1e-5)


ROOM = Room(
    name="fisher.setup",
    task="inverse of Fisher of given gradients",
    cases=cases,
    contenders=[
        Contender("nearlinear", factorised, role="ours"),
        Contender("numpy, Gram and Cholesky", numpy_woodbury, uses_blas=True),
        Contender("nearlinear, recurrence", recurrence),
        Contender("torch, recurrence", torch_recurrence, packages=("torch",)),
        Contender("one read", read_once, role="limit"),
    ],
    facts=lambda window: {**facts(window), "operations": window.m**2 * window.d},
    reference=reference,
    check=check,
    bound="1e-5 |x| / damping",
    summaries={"numpy": lambda contender: contender.name.startswith("numpy")},
    remark="One product with a random vector is checked, and not timed.",
)
