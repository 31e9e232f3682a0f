"""Problems of entropic transport to time with, the largest cost 1, and how far from their solution a plan is."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from bench.harness import Case

TOLERANCE = 1e-9  # of the marginals, summed over rows and columns
SIDE = 28  # pixels of an image
FLOOR = 0.01  # of an image's mass, spread evenly
MINORS = 5000  # that are tested, of two rows and two columns each
KERNEL_ERROR = 1e-4  # of a plan's entry, relative
NEGLIGIBLE = 1e-8  # of a mass: the error of smaller entries is relative to this


@dataclass(frozen=True)
class Problem:
    a: Any
    b: Any
    C: Any
    reg: float

    @property
    def facts(self) -> dict[str, int]:
        n, m = self.C.shape
        return {"n": n, "m": m, "1 / reg": round(1 / self.reg), "operations": n * m}


def gauss(n: int, reg: float) -> Problem:
    """Two clouds of normal points in space and their squared distances."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 3)), 0.7 * rng.normal(size=(n, 3)) + 0.5
    return Problem(even(n), even(n), _scaled(cdist(x, y, "sqeuclidean")), reg)


def rand(n: int, reg: float, seed: int = 0) -> Problem:
    """Independent costs, uniform on [0, 1]."""
    return Problem(even(n), even(n), np.random.default_rng(seed).random((n, n)), reg)


def images(metric: str, reg: float, first: int = 0, second: int = 17) -> Problem:
    """Two of scikit-learn's digits with a floor everywhere, and the distances between pixels."""
    return Problem(*(_with_floor(_digit(index)) for index in (first, second)), _distances(metric), reg)


def strokes(metric: str, reg: float, first: int, second: int) -> Problem:
    """The same without a floor, and black where they are dark: as few pixels have mass as in the digits of MNIST."""
    masses = [np.where(digit > digit.max() / 2, digit, 0.0) for digit in map(_digit, (first, second))]
    return Problem(*(mass / mass.sum() for mass in masses), _distances(metric), reg)


def _distances(metric: str) -> Any:
    pixels = np.indices((SIDE, SIDE)).reshape(2, -1).T.astype(float)
    return _scaled(cdist(pixels, pixels, metric))


def _with_floor(digit: Any) -> Any:
    masses = digit / digit.sum() + FLOOR / digit.size
    return masses / masses.sum()


def _digit(index: int) -> Any:
    """Return a digit of 8 x 8 pixels, interpolated."""
    from scipy.ndimage import zoom

    small = _digits()[index]
    return zoom(small, SIDE / small.shape[0], order=1).ravel()


@functools.cache
def _digits() -> Any:
    from sklearn.datasets import load_digits

    return load_digits().images


def even(n: int) -> Any:
    return np.full(n, 1 / n)


def _scaled(C: Any) -> Any:
    return C / C.max()


def cases_of(
    family: str,
    build: Any,
    sizes: Sequence[int],
    regs: Sequence[float],
    *,
    quick: bool = False,
    harder_with_n: bool = True,
) -> list[Case]:
    """Return the cases of ``build(n, reg)``, from easy to hard; the first is the quick one if there is one."""
    return [
        Case(
            f"{family}, n = {n}, reg = {reg:g}",
            functools.partial(build, n, reg),
            quick=quick and (n, reg) == (sizes[0], regs[0]),
            family=family,
            hardness=(1 / reg, n) if harder_with_n else (1 / reg, n, -n),
        )
        for n in sizes
        for reg in regs
    ]


def marginal_error(P: Any, a: Any, b: Any) -> float:
    return float(np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum())


def has_kernel(P: Any, problem: Problem) -> bool:
    """
    Say whether P_ij = exp((f_i + g_j - C_ij) / reg) for some f and g, which with right marginals makes a plan optimal.

    Then log P + C / reg has the same sum over both diagonals of every 2 x 2 minor. Minors are drawn with three
    entries that matter, as most of small regularisations have none; the fourth may be as small as it likes, or zero,
    where the other three say so.
    """
    rng = np.random.default_rng(0)
    n, m = P.shape
    negligible = NEGLIGIBLE * min(1 / n, 1 / m)
    i = rng.integers(n, size=MINORS)
    j, ell = (_draw(rng, P[i] > negligible) for _ in range(2))
    k = _draw(rng, P.T[j] > negligible)
    three = np.log(P[i, ell]) + np.log(P[k, j]) - np.log(P[i, j])
    costs = problem.C[i, ell] + problem.C[k, j] - problem.C[i, j] - problem.C[k, ell]
    with np.errstate(over="ignore", invalid="ignore"):
        expected = np.exp(three + costs / problem.reg)
        error = np.abs(P[k, ell] - expected) / (np.maximum(P[k, ell], expected) + negligible)
    return bool((error <= KERNEL_ERROR).all())


def _draw(rng: np.random.Generator, candidates: Any) -> Any:
    """Return one true column of each row at random."""
    return (candidates * rng.random(candidates.shape)).argmax(axis=1)
