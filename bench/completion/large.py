"""
Complete a large matrix and one with few entries: ``python -m bench.completion.large``.

The time of the whole completion, initialisation included, is counted in exact sweeps: updates of U and V that solve
normal equations. ``bench.completion.gates`` reads the figures.
"""

import argparse
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench import machine
from bench.completion import ours
from bench.completion.complete import ERROR
from bench.completion.problems import Instance, instance
from bench.report import MILLI, number, table

LARGE, HARD = (50_000, 10, 3.0), (10_000, 10, 1.5)
QUICK_LARGE, QUICK_HARD = (5_000, 10, 3.0), (1_000, 10, 1.5)
REPEATS, QUICK_REPEATS = 3, 1
SEEDS = 5
COUNTED = ["n", "k", "ratio", "threads", "seconds", "iterations", "error", "exact sweep ms", "exact sweeps"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.completion.large", description="Complete large matrices.")
    parser.add_argument("--figures", type=Path, default=ours.FIGURES / "large.json", help="the path of JSON")
    parser.add_argument("--threads", default="1,2", help="such as 1,2, which is the default")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"of the matrix with few entries, {SEEDS} by default")
    parser.add_argument("--quick", action="store_true", help="small matrices, to see that it works")
    options = parser.parse_args()
    threads = [count for count in map(int, options.threads.split(",")) if count <= machine.cpus()]
    large, hard = (QUICK_LARGE, QUICK_HARD) if options.quick else (LARGE, HARD)
    given = instance(*large)
    in_sweeps = [counted(given, count, QUICK_REPEATS if options.quick else REPEATS) for count in threads]
    print(table(COUNTED, list(map(counted_row, in_sweeps))), flush=True)
    recovered = [of_seed(hard, seed, threads[-1]) for seed in range(options.seeds)]
    print(f"\n{table(list(recovered[0]), [list(map(shown, one.values())) for one in recovered])}")
    ours.write(options.figures, (), {"error": ERROR, "large": in_sweeps, "hard": recovered})
    return 0


def counted(given: Instance, threads: int, repeats: int) -> dict[str, Any]:
    """Return the median time of the completion, and how many exact sweeps take as long."""
    fit = partial(ours.complete, given.X, given.k, tol=ours.TOL, seed=0, n_threads=threads)
    fits = [ours.timed(fit) for _ in range(repeats)]
    seconds, found = statistics.median(seconds for seconds, _ in fits), fits[0][1]
    sweep = ours.seconds_per_sweep(given.X, given.k, "als", threads, repeats)
    return {
        **shape(given),
        "threads": threads,
        "seconds": seconds,
        "iterations": found.nit,
        "error": given.error(found.predict),
        "seconds of an exact sweep": sweep,
        "exact sweeps": seconds / sweep,
    }


def counted_row(one: dict[str, Any]) -> list[str]:
    *first, sweep, sweeps = one.values()
    return [*map(shown, first), number(sweep, MILLI), number(sweeps)]


def shown(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def of_seed(cell: tuple[int, int, float], seed: int, threads: int) -> dict[str, Any]:
    given = instance(*cell, seed=seed)
    seconds, found = ours.timed(partial(ours.complete, given.X, given.k, tol=ours.TOL, seed=seed, n_threads=threads))
    return {**shape(given), "seed": seed, "seconds": seconds, "error": given.error(found.predict)}


def shape(given: Instance) -> dict[str, Any]:
    return {"n": given.n, "k": given.k, "ratio": given.ratio}


if __name__ == "__main__":
    sys.exit(main())
