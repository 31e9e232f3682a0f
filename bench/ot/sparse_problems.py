"""Problems whose plans are sparse: the largest cost is 1, and so is the regularisation."""

from dataclasses import dataclass, replace

from bench.ot import problems
from bench.ot.problems import Problem

REG = 1.0
SIZES = (100, 300, 1000, 3000)


@dataclass(frozen=True)
class SparseProblem:
    problem: Problem
    k: int

    @classmethod
    def of(cls, name: str, n: int, k: int) -> "SparseProblem":
        return cls(build(name, n), k)


def instances() -> list[tuple[str, int]]:
    """Return names and sizes, from small to large."""
    return [*((name, n) for name in ("gauss", "rand") for n in SIZES), ("image", problems.SIDE**2)]


def build(name: str, n: int) -> Problem:
    if name == "image":
        return problems.images("cityblock", REG)
    return {"gauss": problems.gauss, "rand": problems.rand}[name](n, REG)


def uneven(n: int) -> Problem:
    """Clouds of points with masses of all sizes."""
    import numpy as np

    rng = np.random.default_rng(n)
    a, b = (rng.dirichlet(np.full(n, 0.5)) + 1e-9 for _ in range(2))
    return replace(problems.gauss(n, REG), a=a / a.sum(), b=b / b.sum())
