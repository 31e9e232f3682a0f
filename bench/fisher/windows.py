"""Gradients to time with: made anew by every contender, because to read them from a file would take longer."""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

import nearlinear as nl
from bench.harness import Case

# d, m. What takes m^2 d operations has fewer parameters with the most gradients, or peers would take minutes a call.
SIZES = ((100_000, 64), (1_000_000, 64), (1_000_000, 256), (100_000, 1024))
DAMPING = 1e-5


@functools.cache
def numbers() -> Any:
    return np.random.default_rng(0).standard_normal(2**20, dtype=np.float32)


@dataclass(frozen=True)
class Window:
    """m gradients of d parameters, of norm 1 or so."""

    d: int
    m: int

    def gradient(self, index: int) -> Any:
        """Return a gradient of numbers that repeat only after 2^20, turned by a random distance."""
        base = numbers()
        shift = int(np.random.default_rng(index + 1).integers(base.size))
        return np.resize(np.roll(base, shift), self.d) / np.float32(np.sqrt(self.d))

    def gradients(self) -> Any:
        G = np.empty((self.m, self.d), np.float32)
        for i in range(self.m):
            G[i] = self.gradient(i)
        return G


def cases(sizes: Sequence[tuple[int, int]] = SIZES) -> list[Case]:
    return [
        Case(f"d = {_short(d)}, m = {m}", lambda d=d, m=m: Window(d, m), quick=index == 0)
        for index, (d, m) in enumerate(sizes)
    ]


def _short(number: int) -> str:
    return f"{number:.0e}".replace("e+0", "e") if number >= 1000 else str(number)


def facts(window: Window) -> dict[str, int]:
    return {
        "parameters": window.d,
        "gradients": window.m,
        "bytes": 4 * window.m * window.d,
        "operations": 4 * window.m * window.d,
    }


def gram(G: Any) -> Any:
    """Return G G^T in float64."""
    K = np.zeros((G.shape[0], G.shape[0]))
    for begin in range(0, G.shape[1], 65536):
        part = G[:, begin : begin + 65536].astype(np.float64)
        K += part @ part.T
    return K


def combine(c: Any, G: Any) -> Any:
    """Return c^T G in float64."""
    parts = [c @ G[:, begin : begin + 65536].astype(np.float64) for begin in range(0, G.shape[1], 65536)]
    return np.concatenate(parts, axis=-1)


def read(G: Any) -> Any:
    """Return a call that does nothing but read G once: the largest of its bits as integers, on all threads."""
    threads = nl.get_num_threads()
    parts = np.array_split(G.reshape(-1).view(np.int64), threads)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(np.max, parts))
