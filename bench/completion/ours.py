"""Our own calls, as several benchmarks of this room make them, and how their figures are written."""

import json
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import nearlinear as nl
from bench import machine
from bench.__main__ import RESULTS

TOL = 1e-7  # of the residual: held-out errors are larger, the more so the fewer entries lines have
TOL_OF_FEW = {5: 1e-10, 10: 1e-9}  # at ratios below 2, for each k
FIGURES = RESULTS / "completion"
FEW, MANY = 2, 12  # sweeps, whose difference is timed


def complete(X: Any, k: int, **options: Any) -> Any:
    """Return what `nearlinear.completion.complete` does, without its warnings: what it found is judged by its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nl.completion.complete(X, k, **options)


def tol(ratio: float, k: int) -> float:
    return TOL_OF_FEW.get(k, TOL) if ratio < 2 else TOL


def seconds_per_sweep(X: Any, k: int, solver: str, threads: int, repeats: int) -> float:
    """
    Return the time of a sweep, an update of U and one of V: what MANY take more than FEW.

    The least of some repetitions, which take turns, for whatever else the machine does makes them longer.
    """
    fit = partial(complete, X, k, solver=solver, homotopy=False, tol=0.0, seed=0, n_threads=threads)
    fits: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in range(repeats):
        for sweeps, of_sweeps in fits.items():
            of_sweeps.append(timed(partial(fit, maxiter=sweeps))[0])
    return (min(fits[MANY]) - min(fits[FEW])) / (MANY - FEW)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def write(path: Path, packages: Iterable[str], content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine.stamp(packages), **content}, indent=1) + "\n")
