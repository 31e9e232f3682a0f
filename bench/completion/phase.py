"""
Draw how often a matrix is completed against how much of it is known: ``python -m bench.completion.phase``.

Success is a held-out relative error below 1e-5. Matrices that the known entries do not determine, even locally, are
dropped: that is looked into where nobody succeeds. A peer is given up at a ratio when all its time for it is spent; its
rate is of what it has tried. ``bench.completion.gates`` reads the figures.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.completion import ours, peers
from bench.completion.limits import is_identifiable
from bench.completion.problems import Instance, Predict, instance
from bench.report import number, table
from bench.tables import DOCS

CELLS = {(300, 5): (1.1, 1.2, 1.3, 1.5, 2.0, 2.5), (1_000, 10): (1.1, 1.2, 1.3, 1.5, 2.0)}
QUICK_CELLS = {(300, 5): (1.2, 1.5, 2.5)}
SEEDS, QUICK_SEEDS = 50, 3
SUCCESS = 1e-5
SECONDS = 60.0  # of a peer at one ratio
LONGEST = 10.0  # seconds of a fit of pymanopt
SMALL_GRADIENT = 1e-8  # relative to X: below that it stops
EPOCHS = 2000  # of stochastic gradients
LARGEST_FULL = 300  # rows of a matrix all of whose entries are formed, again and again
PACKAGES = ("cmfrec", "scikit-surprise", "pymanopt", "fancyimpute", "scikit-learn")

Solve = Callable[[Instance, int], Predict | None]  # with a seed; None: not for such a matrix


def nearlinear(given: Instance, seed: int, **options: Any) -> Predict:
    found: Predict = ours.complete(given.X, given.k, seed=seed, **options).predict
    return found


def cmfrec(given: Instance, seed: int) -> Predict:
    return peers.cmfrec(given.X, given.k, iterations=300, seed=seed + 1)


def pymanopt(given: Instance, seed: int) -> Predict:
    small = SMALL_GRADIENT * float(np.linalg.norm(given.X.data))
    return peers.pymanopt(given.X, given.k, iterations=10**6, gradient=small, seconds=LONGEST)


def surprise(given: Instance, seed: int) -> Predict:
    """Take the longest step that reaches a small residual, or the one that reaches the least."""
    rows, cols = given.observed
    tries: list[tuple[float, int, Predict]] = []
    for step in peers.SURPRISE_STEPS:
        predict = peers.surprise(given.X, given.k, EPOCHS, step, seed)
        residual = np.linalg.norm(predict(rows, cols) - given.X.data) / np.linalg.norm(given.X.data)
        tries.append((float(np.nan_to_num(residual, nan=np.inf)), -len(tries), predict))
        if residual < SUCCESS:
            break
    return min(tries)[-1]


def iterative_svd(given: Instance, seed: int) -> Predict | None:
    return peers.iterative_svd(given.X, given.k, iterations=1000) if given.n <= LARGEST_FULL else None


OURS, PLAIN = "nearlinear", "nearlinear, als alone"
CONTENDERS: dict[str, Solve] = {
    OURS: nearlinear,
    PLAIN: partial(nearlinear, solver="als", homotopy=False),
    "cmfrec": cmfrec,
    "surprise SVD": surprise,
    "pymanopt": pymanopt,
    "fancyimpute IterativeSVD": iterative_svd,
}


@dataclass
class Tried:
    """What a contender did at one ratio, seed by seed."""

    succeeded: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return sum(self.succeeded) / len(self.succeeded)

    def note(self, succeeded: bool, seconds: float) -> None:
        self.succeeded.append(succeeded)
        self.seconds.append(seconds)


@dataclass
class Cell:
    """Matrices of one size and ratio; the dropped ones count in nothing else."""

    n: int
    k: int
    ratio: float
    identifiable: int = 0
    dropped: int = 0
    contenders: dict[str, Tried] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        rates = {name: {"rate": tried.rate} for name, tried in self.contenders.items()}
        content = asdict(self)
        return {**content, "contenders": {name: {**content["contenders"][name], **rates[name]} for name in rates}}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.completion.phase", description="Draw rates of success.")
    parser.add_argument("--output", type=Path, default=DOCS / "completion" / "phase.png", help="the picture's path")
    parser.add_argument("--figures", type=Path, default=ours.FIGURES / "phase.json", help="that of JSON")
    parser.add_argument("--seeds", type=int, help=f"matrices per ratio, {SEEDS} by default")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a peer at a ratio, {SECONDS:g} by default")
    parser.add_argument("--quick", action="store_true", help="few ratios and seeds, to see that it works")
    options = parser.parse_args()
    seeds = options.seeds or (QUICK_SEEDS if options.quick else SEEDS)
    cells: list[Cell] = []
    for (n, k), ratios in (QUICK_CELLS if options.quick else CELLS).items():
        for ratio in ratios:
            cells.append(tried(n, k, ratio, seeds, options.seconds))
            print(f"{summary(cells[-1])}\n", flush=True)
            content = {"success": SUCCESS, "seeds": seeds, "cells": [cell.content() for cell in cells]}
            ours.write(options.figures, PACKAGES, content)
    draw(cells, options.output)
    return 0


def tried(n: int, k: int, ratio: float, seeds: int, seconds: float) -> Cell:
    """Try all contenders on as many matrices as there are seeds."""
    cell, spent, absent = Cell(n, k, ratio), dict.fromkeys(CONTENDERS, 0.0), set()
    for seed in range(seeds):
        given = instance(n, k, ratio, seed=seed)
        outcomes: dict[str, tuple[bool, float]] = {}
        for name in CONTENDERS:
            if name in absent or (name not in (OURS, PLAIN) and spent[name] > seconds):
                continue
            try:
                took, found = ours.timed(partial(attempt, name, given, seed))
            except ImportError as error:
                print(f"{name} skipped: {error}")
                found = None
            if found is None:
                absent.add(name)
                continue
            spent[name] += took
            outcomes[name] = (found < SUCCESS, took)
        if not any(succeeded for succeeded, _ in outcomes.values()) and not is_identifiable(given):
            cell.dropped += 1
            continue
        cell.identifiable += 1
        for name, outcome in outcomes.items():
            cell.contenders.setdefault(name, Tried()).note(*outcome)
    return cell


def attempt(name: str, given: Instance, seed: int) -> float | None:
    """Return the error; infinity for a peer that gives up."""
    try:
        predict = CONTENDERS[name](given, seed)
    except (ArithmeticError, RuntimeError, ValueError):
        if name in (OURS, PLAIN):
            raise
        return float("inf")
    return None if predict is None else given.error(predict)


def summary(cell: Cell) -> str:
    rows = [
        [name, str(len(one.succeeded)), f"{100 * one.rate:.0f}", number(statistics.median(one.seconds))]
        for name, one in cell.contenders.items()
    ]
    dropped = f", {cell.dropped} dropped" if cell.dropped else ""
    of = f"n = {cell.n}, k = {cell.k}, ratio {cell.ratio:g}: {cell.identifiable} matrices{dropped}"
    return f"{of}\n{table(['contender', 'tried', 'success, %', 'median s'], rows)}"


def draw(cells: Sequence[Cell], path: Path) -> None:
    from matplotlib.figure import Figure

    shapes = list(dict.fromkeys((cell.n, cell.k) for cell in cells))
    figure = Figure(figsize=(6 * len(shapes), 4), layout="constrained")
    panels = figure.subplots(1, len(shapes), squeeze=False, sharey=True)[0]
    for (n, k), axes in zip(shapes, panels, strict=True):
        for rank, name in enumerate(CONTENDERS):
            of_name = [cell for cell in cells if (cell.n, cell.k) == (n, k) and name in cell.contenders]
            rates = [100 * cell.contenders[name].rate for cell in of_name]
            width = 2.5 if name == OURS else 1.5
            axes.plot(
                [cell.ratio for cell in of_name],
                rates,
                marker="os^vDX"[rank],
                markersize=5,
                color=f"C{rank}",
                linewidth=width,
                label=name,
            )
        axes.set(title=f"{n} x {n}, rank {k}", xlabel=f"known entries over {k} (2 n - {k})", ylim=(-3, 103))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("completed, % of those that can be")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    sys.exit(main())
