"""A step of an optimiser: a gradient comes into a full window, and is multiplied by the inverse."""

import itertools
from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.fisher.windows import DAMPING, Window, cases, combine, facts, gram, read
from bench.harness import Contender, Room

SIZES = (
    (100_000, 64),
    (1_000_000, 16),
    (1_000_000, 64),
    (1_000_000, 256),
    (100_000, 1024),
    (10_000_000, 64),
)
NEW = 4  # gradients that come in, again and again


def new_gradients(window: Window) -> Any:
    """Return an endless iterator; its first gradient is the one that is checked."""
    return itertools.cycle([window.gradient(window.m + i) for i in range(NEW)])


def sliding(window: Window, storage: Any) -> Any:
    inverse = nl.fisher.SlidingFisherInverse(window.d, window.m, DAMPING, normalize="capacity", storage=storage)
    inverse.update_many(window.gradients())
    inverse.logdet()  # which makes the first factor; from here on it slides
    new = new_gradients(window)
    return lambda: inverse.precondition(next(new))


def float32(window: Window) -> Any:
    return sliding(window, "float32")


def float16(window: Window) -> Any:
    return sliding(window, "float16")


def bfloat16(window: Window) -> Any:
    return sliding(window, "bfloat16")


def numpy_woodbury(window: Window) -> Any:
    """The same formulas with NumPy and SciPy, the factorisation anew in every step."""
    G, new, slot = window.gradients(), new_gradients(window), itertools.cycle(range(window.m))
    K = (G @ G.T).astype(np.float64)
    unit = np.zeros(window.m)

    def step() -> Any:
        i = next(slot)
        G[i] = next(new)
        K[i] = K[:, i] = G @ G[i]
        factor = scipy.linalg.cho_factor(K + window.m * DAMPING * np.eye(window.m), lower=True)
        unit[:] = 0
        unit[i] = window.m
        return scipy.linalg.cho_solve(factor, unit).astype(np.float32) @ G

    return step


def numpy_passes(window: Window) -> Any:
    G, g = window.gradients(), window.gradient(window.m)
    return lambda: (G @ g) @ G


def read_twice(window: Window) -> Any:
    once = read(window.gradients())
    return lambda: (once(), once())


def torch_recurrence(window: Window) -> Any:
    """The paper's dynamic algorithm, as its authors compute it, in PyTorch: D and B anew in every step."""
    import torch

    torch.set_num_threads(nl.get_num_threads())
    G = torch.from_numpy(window.gradients())
    new, slot = new_gradients(window), itertools.cycle(range(window.m))
    K = G @ G.T
    m = window.m
    eye = torch.eye(m)

    def step() -> Any:
        i = next(slot)
        g = torch.from_numpy(next(new))
        G[i] = g
        row = G @ g
        K[i] = row
        K[:, i] = row
        A = K / DAMPING + m * eye
        # LU without pivoting, which PyTorch lacks on CPUs, from the Cholesky factor.
        L = torch.linalg.cholesky(A)
        diagonal = torch.diagonal(L)
        U = diagonal[:, None] * L.T
        D = torch.triu(U - m * eye)
        den = m + torch.diagonal(D)
        lower = torch.tril((D / den[:, None]).T, -1) + eye
        B = torch.linalg.solve_triangular(lower, eye / DAMPING, upper=False, unitriangular=True)
        q = torch.linalg.solve_triangular(lower, (row / DAMPING)[:, None], upper=False, unitriangular=True)[:, 0]
        return g / DAMPING - ((q / den) @ B) @ G

    return step


def reference(window: Window) -> Any:
    """Return the first product: the window's gradients without the oldest, and the new one."""
    G = window.gradients()
    G[0] = window.gradient(window.m)
    S = gram(G) + window.m * DAMPING * np.eye(window.m)
    unit = np.zeros(window.m)
    unit[0] = window.m
    return combine(np.linalg.solve(S, unit), G)


def check(window: Window, expected: Any, result: Any, contender: Contender) -> float:
    """Return the relative error, in units of the rounding of what is stored."""
    unit = {"nearlinear, float16": 2e-3, "nearlinear, bfloat16": 1e-2}.get(contender.name, 1e-6)
    if not contender.name.startswith("nearlinear"):
        unit = 1e-2  # float32 throughout
    return float(np.linalg.norm(np.asarray(result) - expected) / np.linalg.norm(expected) / unit)


ROOM = Room(
    name="fisher.step",
    task="step with a sliding window of gradients",
    cases=lambda: cases(SIZES),
    contenders=[
        Contender("nearlinear, float32", float32, role="ours"),
        Contender("nearlinear, float16", float16),
        Contender("nearlinear, bfloat16", bfloat16),
        Contender("numpy, Woodbury", numpy_woodbury, uses_blas=True),
        Contender("torch, recurrence", torch_recurrence, packages=("torch",)),
        Contender("numpy, two passes alone", numpy_passes, role="limit", uses_blas=True),
        Contender("two reads", read_twice, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="1e-6 |F^-1 g|, for storages of 16 bits 2e-3 and 1e-2, for peers 1e-2",
    summaries={
        "peers": lambda contender: not contender.name.startswith("nearlinear"),
        "16 bits": lambda contender: contender.name.endswith("float16"),
    },
    along=("gradients", {"parameters": 1_000_000}),
    remark="The two last rows compute nothing: they are the products alone, and a plain read of the window, twice.",
)
