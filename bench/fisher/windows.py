"""Gradients to time with: made anew by every contender, because to read them from a file would take longer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.harness import Case

SIZES = ((100_000, 64), (1_000_000, 64), (1_000_000, 256), (1_000_000, 1024), (10_000_000, 64))  # d, m
QUICK = (100_000, 64)
DAMPING = 1e-5


@dataclass(frozen=True)
class Window:
    """m gradients of d parameters, of norm 1 or so."""

    d: int
    m: int

    def gradient(self, index: int) -> Any:
        """Return a gradient of numbers that repeat only after 2^20, turned by a random distance."""
        rng = np.random.default_rng(0)
        base = rng.standard_normal(2**20, dtype=np.float32) / np.float32(np.sqrt(self.d))
        shift = int(np.random.default_rng(index + 1).integers(base.size))
        return np.resize(np.roll(base, shift), self.d)

    def gradients(self) -> Any:
        G = np.empty((self.m, self.d), np.float32)
        rng = np.random.default_rng(0)
        base = rng.standard_normal(2**20, dtype=np.float32) / np.float32(np.sqrt(self.d))
        for i in range(self.m):
            shift = int(np.random.default_rng(i + 1).integers(base.size))
            G[i] = np.resize(np.roll(base, shift), self.d)
        return G


def cases() -> list[Case]:
    return [
        Case(f"d = {d:.0e}, m = {m}".replace("e+0", "e"), lambda d=d, m=m: Window(d, m), quick=(d, m) == QUICK)
        for d, m in SIZES
    ]


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
    """Return a call that reads G once, as fast as OpenBLAS does."""
    flat = G.reshape(-1)
    return lambda: np.dot(flat, flat)
