"""
Draw the time of a sweep for each known entry and each of its k products: ``python -m bench.completion.scaling``.

It is flat where time is proportional to |Omega| k. Sweeps by conjugate gradients are such; exact ones, which take k^2
for each entry, are drawn as well. The figures are written beside those of other benchmarks; ``bench.completion.gates``
reads them.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import machine
from bench.completion import ours
from bench.completion.problems import instance
from bench.report import number, table
from bench.tables import DOCS

RATIO = 3.0
RANKS, N_OF_RANKS = (16, 24, 32, 48, 64), 5_000
SIZES, RANKS_OF_SIZES = (2_000, 5_000, 10_000, 20_000, 40_000), (8, 16, 32)
QUICK_SIZES, QUICK_RANKS = (1_000, 2_000), (8, 16)
SOLVERS = {"cg": "conjugate gradients", "als": "Cholesky"}
REPEATS, QUICK_REPEATS = 5, 2
NANO = 1e9


@dataclass(frozen=True)
class Family:
    """Times of a sweep in ns per entry and k, where k or n grows and the other is fixed."""

    solver: str
    threads: int
    along: str
    fixed: str
    at: list[int]
    entries: list[int]
    ns: list[float]

    @property
    def spread(self) -> float:
        """The largest over the least; not a number if a difference of times was not positive."""
        return max(self.ns) / min(self.ns) if min(self.ns) > 0 else math.nan


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.completion.scaling", description="Draw times of sweeps.")
    parser.add_argument("--output", type=Path, default=DOCS / "completion" / "scaling.png", help="the picture's path")
    parser.add_argument("--figures", type=Path, default=ours.FIGURES / "scaling.json", help="that of JSON")
    parser.add_argument("--threads", default="1,2", help="such as 1,2, which is the default")
    parser.add_argument("--quick", action="store_true", help="small matrices and few repetitions, to see that it works")
    options = parser.parse_args()
    threads = [count for count in map(int, options.threads.split(",")) if count <= machine.cpus()]
    families = measured(threads, options.quick)
    print(table(["sweep by", "threads", "along", "of", "least ns", "largest ns", "spread"], list(map(row, families))))
    ours.write(
        options.figures, (), {"ratio": RATIO, "families": [asdict(one) | {"spread": one.spread} for one in families]}
    )
    draw(families, options.output)
    return 0


def measured(threads: Sequence[int], quick: bool) -> list[Family]:
    sizes, ranks = (QUICK_SIZES, QUICK_RANKS) if quick else (SIZES, RANKS)
    n_of_ranks = QUICK_SIZES[-1] if quick else N_OF_RANKS
    wanted = [("k", f"n = {n_of_ranks}", [(n_of_ranks, k) for k in ranks])]
    wanted += [("n", f"k = {k}", [(n, k) for n in sizes]) for k in (QUICK_RANKS if quick else RANKS_OF_SIZES)]
    times, entries = points(dict.fromkeys(cell for *_, cells in wanted for cell in cells), threads, quick)
    return [
        Family(
            solver,
            count,
            along,
            fixed,
            [k if along == "k" else n for n, k in cells],
            [entries[cell] for cell in cells],
            [times[solver, count, cell] for cell in cells],
        )
        for solver in SOLVERS
        for count in threads
        for along, fixed, cells in wanted
    ]


def points(
    cells: dict[tuple[int, int], None], threads: Sequence[int], quick: bool
) -> tuple[dict[tuple[str, int, tuple[int, int]], float], dict[tuple[int, int], int]]:
    """Return the times by solver, threads and (n, k), and the numbers of entries by (n, k)."""
    times, entries = {}, {}
    for n, k in cells:
        X = instance(n, k, RATIO).X
        entries[n, k] = int(X.nnz)
        sweep = partial(ours.seconds_per_sweep, X, k, repeats=QUICK_REPEATS if quick else REPEATS)
        for solver in SOLVERS:
            for count in threads:
                ns = NANO * sweep(solver, count) / (X.nnz * k)
                times[solver, count, (n, k)] = ns
                print(f"n = {n}, k = {k}, {solver}, threads: {count}: {number(ns)} ns", flush=True)
    return times, entries


def row(family: Family) -> list[str]:
    shown = [number(min(family.ns)), number(max(family.ns)), number(family.spread)]
    return [SOLVERS[family.solver], str(family.threads), family.along, family.fixed, *shown]


def draw(families: Sequence[Family], path: Path) -> None:
    from matplotlib.figure import Figure

    alongs = list(dict.fromkeys(family.along for family in families))
    threads = list(dict.fromkeys(family.threads for family in families))
    figure = Figure(figsize=(6 * len(alongs), 4 * len(threads)), layout="constrained")
    panels = figure.subplots(len(threads), len(alongs), squeeze=False, sharey="row")
    for count, line in zip(threads, panels, strict=True):
        for along, axes in zip(alongs, line, strict=True):
            _draw_panel(axes, [one for one in families if (one.along, one.threads) == (along, count)])
            axes.set(xlabel=along, title=f"a sweep, threads: {count}")
        line[0].set(ylabel="ns per known entry and k", ylim=(0, 1.05 * max(max(one.ns) for one in families)))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_panel(axes: Any, families: Sequence[Family]) -> None:
    fixed = list(dict.fromkeys(family.fixed for family in families))
    for family in families:
        style = {"color": f"C{fixed.index(family.fixed)}", "linestyle": "-" if family.solver == "cg" else ":"}
        axes.plot(family.at, family.ns, marker=".", label=f"{SOLVERS[family.solver]}, {family.fixed}", **style)
    at = sorted({value for family in families for value in family.at})
    axes.set_xscale("log", base=2)
    axes.set_xticks(at, [str(value) for value in at], minor=False)
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    sys.exit(main())
