"""How many iterations of a peer's are enough: what its user would find by trying."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

FEWEST = 10  # iterations
LEAST_STEP, LONGEST_STEP = 1.3, 3.0  # from one number of iterations to the next
LEAST_GAIN, PATIENCE = 0.9, 8  # the error after a step over that before, and how many steps may gain less
WORTH_WHILE = 0.95  # of the iterations, for which one number more is tried
SEARCH = 2  # times the longest call, for all that are tried

Error = Callable[[int], float]  # after so many iterations


@dataclass(frozen=True)
class Found:
    """A variant of a solver, how many iterations it needs, and the error: the least, if none is small enough."""

    variant: str
    count: int
    error: float


@dataclass(frozen=True)
class Limits:
    """The error that is asked for, and the seconds that a call may take."""

    error: float
    seconds: float


def search(variants: Mapping[str, Error], limits: Limits) -> Found:
    """Return the variant that comes to the error with the fewest iterations, or comes nearest."""
    deadline = time.perf_counter() + SEARCH * limits.seconds
    best = Found(next(iter(variants)), FEWEST, math.inf)
    for name, error_after in variants.items():
        arrived = best.error <= limits.error
        count, error = _climb(error_after, limits, best.count if arrived else None, deadline)
        if error <= limits.error if arrived else error < best.error:
            best = Found(name, count, error)
        if time.perf_counter() > deadline:
            break
    return best


def _climb(error_after: Error, limits: Limits, most: int | None, deadline: float) -> tuple[int, float]:
    """Return a number of iterations below ``most`` that is enough, or the best that was tried, and the error."""
    tried: list[tuple[int, float]] = []
    count, in_vain = FEWEST, 0
    while most is None or count < most:
        begin = time.perf_counter()
        error = error_after(count)
        now = time.perf_counter()
        if error <= limits.error:
            return _refined(error_after, limits.error, (count, error), tried)
        least = min((one for _, one in tried), default=math.inf)
        in_vain = 0 if error < LEAST_GAIN * least else in_vain + 1
        tried.append((count, error))
        longest = int(count * limits.seconds / (now - begin))
        if not math.isfinite(error) or in_vain == PATIENCE or longest < LEAST_STEP * count or now > deadline:
            break
        count = min(_next(tried, limits.error), longest)
    return min(tried, key=lambda one: one[1] if one[1] == one[1] else math.inf, default=(FEWEST, math.inf))


def _next(tried: list[tuple[int, float]], bound: float) -> int:
    """Return the number after which the error would be small enough if it went on falling at the same rate."""
    count, error = tried[-1]
    wanted = LEAST_STEP * count
    if len(tried) > 1 and error < tried[-2][1]:
        wanted = count + 1.05 * (count - tried[-2][0]) * math.log(error / bound) / math.log(tried[-2][1] / error)
    return math.ceil(min(max(wanted, LEAST_STEP * count), LONGEST_STEP * count))


def _refined(
    error_after: Error, bound: float, enough: tuple[int, float], tried: list[tuple[int, float]]
) -> tuple[int, float]:
    """Return fewer iterations if they are enough as well: those where a line through the logarithms has the bound."""
    if not tried:
        return enough
    (before, larger), (count, error) = tried[-1], enough
    share = math.log(larger / bound) / math.log(larger / max(error, 1e-300)) if larger > error else 1.0
    fewer = math.ceil(before + share * (count - before))
    if fewer > WORTH_WHILE * count:
        return enough
    refined = error_after(fewer)
    return (fewer, refined) if refined <= bound else enough


def prepared(solve: Callable[[int], Any], error: Callable[[Any], float]) -> Error:
    """Return the error of what is solved, after a first call that imports what is needed."""
    solve(1)
    return lambda count: error(solve(count))
