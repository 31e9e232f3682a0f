"""Products of the inverse of Fisher with one vector and with sixteen."""

from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.fisher.windows import DAMPING, Window, cases, combine, facts, gram, read
from bench.harness import Contender, Room

MANY = 16


def vectors(window: Window, count: int) -> Any:
    """Return vectors as the columns of a matrix that is stored by columns."""
    return np.random.default_rng(1).standard_normal((MANY, window.d), dtype=np.float32)[:count].T


def sixteen(window: Window) -> Any:
    inverse, X = nl.fisher.FisherInverse(window.gradients(), DAMPING, copy=False), vectors(window, MANY)
    return lambda: inverse.matmat(X)


def one(window: Window) -> Any:
    inverse, X = nl.fisher.FisherInverse(window.gradients(), DAMPING, copy=False), vectors(window, 1)
    return lambda: inverse.matmat(X)


def numpy_sixteen(window: Window) -> Any:
    G, X = window.gradients(), vectors(window, MANY)
    factor = scipy.linalg.cho_factor(gram(G) + window.m * DAMPING * np.eye(window.m), lower=True)
    return lambda: (X - (scipy.linalg.cho_solve(factor, G @ X).astype(np.float32).T @ G).T) / DAMPING


def read_twice(window: Window) -> Any:
    once = read(window.gradients())
    return lambda: (once(), once())


def reference(window: Window) -> Any:
    G, X = window.gradients(), vectors(window, 2)
    U = np.stack([np.concatenate([[row.astype(np.float64) @ x] for row in G]) for x in X.T])
    C = np.linalg.solve(gram(G) + window.m * DAMPING * np.eye(window.m), U.T)
    return (X - combine(C.T, G).T) / DAMPING


def check(window: Window, expected: Any, result: Any, contender: Contender) -> float:
    X = vectors(window, 2)
    count = min(2, result.shape[1])
    errors = np.linalg.norm(result[:, :count] - expected[:, :count], axis=0)
    return float((errors / np.linalg.norm(X[:, :count], axis=0)).max() * DAMPING / 1e-5)


ROOM = Room(
    name="fisher.products",
    task="products with the inverse of Fisher, 16 vectors",
    cases=cases,
    contenders=[
        Contender("nearlinear, 16 vectors", sixteen, role="ours"),
        Contender("numpy, 16 vectors", numpy_sixteen, uses_blas=True),
        Contender("nearlinear, 1 vector", one),
        Contender("two reads", read_twice, role="limit"),
    ],
    facts=lambda window: {**facts(window), "operations": 4 * MANY * window.m * window.d},
    reference=reference,
    check=check,
    bound="1e-5 |x| / damping",
    summaries={
        "numpy": lambda contender: contender.name.startswith("numpy"),
        "one vector": lambda contender: contender.name == "nearlinear, 1 vector",
    },
)
