"""The diagonal of the inverse of Fisher, by which weights are pruned."""

from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.fisher.windows import DAMPING, Window, cases, facts, gram, read
from bench.harness import Contender, Room

CHECKED = 500  # entries


def nearlinear_diagonal(window: Window) -> Any:
    return nl.fisher.FisherInverse(window.gradients(), DAMPING, copy=False).diagonal


def scipy_triangular(window: Window) -> Any:
    G = window.gradients()
    L = np.linalg.cholesky(gram(G) + window.m * DAMPING * np.eye(window.m)).astype(np.float32)

    def diagonal() -> Any:
        V = scipy.linalg.solve_triangular(L, G, lower=True, check_finite=False)
        return (1 - np.einsum("ij,ij->j", V, V)) / DAMPING

    return diagonal


def read_once(window: Window) -> Any:
    return read(window.gradients())


def reference(window: Window) -> Any:
    G = window.gradients()
    columns = np.random.default_rng(2).integers(window.d, size=CHECKED)
    L = np.linalg.cholesky(gram(G) + window.m * DAMPING * np.eye(window.m))
    V = scipy.linalg.solve_triangular(L, G[:, columns].astype(np.float64), lower=True)
    return columns, (1 - (V * V).sum(axis=0)) / DAMPING


def check(window: Window, expected: Any, result: Any, contender: Contender) -> float:
    columns, values = expected
    return float(np.abs(result[columns] - values).max() * DAMPING / 1e-5)


ROOM = Room(
    name="fisher.diagonal",
    task="diagonal of the inverse of Fisher",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_diagonal, role="ours"),
        Contender("scipy, triangular system", scipy_triangular, uses_blas=True),
        Contender("one read", read_once, role="limit"),
    ],
    facts=lambda window: {**facts(window), "operations": window.m**2 * window.d},
    reference=reference,
    check=check,
    bound="1e-5 / damping",
    summaries={"scipy": lambda contender: contender.name.startswith("scipy")},
)
