"""
Draw the distortion by samples of rows against their number: ``python -m bench.sampling.distortion``.

Rows are drawn with replacement, so that no probability is clipped at 1. By theory, distortions then go down with the
root of the number of rows, for those scores that it has a bound for. By default, rows are kept or not, each by itself,
and those that matter most for certain; that is drawn as well, for Lewis weights and for the rounds of root leverage
scores. The figures are written beside those of other benchmarks; ``bench.sampling.gates`` reads them.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nearlinear as nl
from bench import machine
from bench.__main__ import RESULTS
from bench.report import number, table
from bench.sampling import problems
from bench.tables import DOCS

SHAPE = (20_000, 10)
POWERS = (1.0, 1.5, 3.0)
SIZES = (200, 400, 800, 1600, 3200)  # rows of samples
SEEDS = 20
QUICK_SIZES, QUICK_SEEDS = (200, 800), 3
THEORY = -0.5  # the slope of distortions
RULES = ("uniform", "leverage", "root-leverage", "lewis", "sensitivity", "sensitivity+leverage")
BOUNDED = ("root-leverage", "lewis", "sensitivity", "sensitivity+leverage")  # for which there is a bound for p != 2
BY_ITSELF = ", each by itself"


@dataclass(frozen=True)
class Curve:
    """The distortions of one rule, for one matrix and one p."""

    matrix: str
    p: float
    rule: str
    sizes: list[int]
    medians: list[float]
    largest: list[float]
    clipped: int  # probabilities that are 1, at the largest size

    @property
    def slope(self) -> float:
        """That of a line through logarithms of medians."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.medians), 1)[0])

    @property
    def is_bounded(self) -> bool:
        return self.rule in BOUNDED


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sampling.distortion", description="Draw distortions.")
    parser.add_argument("--output", type=Path, default=DOCS / "sampling" / "distortion.png", help="the picture's path")
    parser.add_argument("--figures", type=Path, default=RESULTS / "sampling" / "distortion.json", help="that of JSON")
    parser.add_argument("--quick", action="store_true", help="few sizes and seeds, to see that it works")
    options = parser.parse_args()
    sizes, seeds = (QUICK_SIZES, QUICK_SEEDS) if options.quick else (SIZES, SEEDS)
    curves = []
    for name, build in problems.NAMED.items():
        A = build(*SHAPE)
        for p in POWERS:
            found = measured(name, A, p, sizes, seeds)
            print(f"{name}, p = {p:g}, medians of {seeds} samples\n{slopes(found)}\n", flush=True)
            curves += found
    write(curves, seeds, options.figures)
    draw(curves, seeds, options.output)
    return 0


def measured(name: str, A: Any, p: float, sizes: tuple[int, ...], seeds: int) -> list[Curve]:
    """Return the curves of all rules; scores are computed once for each."""
    curves = []
    for rule, sample in rules(A, p).items():
        distortions = np.array(
            [
                [nl.sampling.embedding_distortion(A, sample(m, seed), p, seed=seed) for seed in range(seeds)]
                for m in sizes
            ]
        )
        clipped = 0 if rule in RULES else int((sample(sizes[-1], 0).probabilities >= 1).sum())
        medians, largest = np.median(distortions, axis=1), distortions.max(axis=1)
        curves.append(Curve(name, p, rule, list(sizes), medians.tolist(), largest.tolist(), clipped))
    return curves


def rules(A: Any, p: float) -> dict[str, Callable[[int, int], Any]]:
    """Return what draws a sample of m rows with a seed, for each rule."""
    sample = partial(nl.sampling.sample_rows, A, p)
    leverage = nl.sampling.leverage_scores(A)
    lewis = nl.sampling.lewis_weights(A, p)
    sensitivity = nl.sampling.sensitivities(A, p, method="coreset", seed=0)
    scores = (np.ones(len(A)), leverage, leverage ** (p / 2), lewis, sensitivity, sensitivity + leverage)

    def drawn(score: Any, replacement: bool) -> Callable[[int, int], Any]:
        return lambda m, seed: sample(m, score=score, replacement=replacement, seed=seed)

    with_replacement = {rule: drawn(score, True) for rule, score in zip(RULES, scores, strict=True)}
    in_rounds = {f"root-leverage{BY_ITSELF}": drawn("root-leverage", False)} if p < 2 else {}
    return {**with_replacement, f"lewis{BY_ITSELF}": drawn(lewis, False), **in_rounds}


def slopes(curves: list[Curve]) -> str:
    first, last = (f"m = {size}" for size in (curves[0].sizes[0], curves[0].sizes[-1]))
    rows = [
        [
            curve.rule,
            number(curve.medians[0]),
            number(curve.medians[-1]),
            f"{curve.slope:.2f}",
            f"{THEORY:g}" if curve.is_bounded else "",
            str(curve.clipped),
        ]
        for curve in curves
    ]
    return table(["rule", first, last, "slope", "theory", "clipped"], rows)


def write(curves: list[Curve], seeds: int, path: Path) -> None:
    content = {
        "machine": machine.stamp(()),
        "shape": SHAPE,
        "seeds": seeds,
        "theory": THEORY,
        "curves": [{**asdict(curve), "slope": curve.slope, "is_bounded": curve.is_bounded} for curve in curves],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def draw(curves: list[Curve], seeds: int, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8), layout="constrained")
    panels = figure.subplots(len(problems.NAMED), len(POWERS), sharex=True, sharey="row")
    for name, row in zip(problems.NAMED, panels, strict=True):
        for p, axes in zip(POWERS, row, strict=True):
            _draw_panel(axes, [curve for curve in curves if (curve.matrix, curve.p) == (name, p)])
            axes.set_title(f"{name}, p = {p:g}")
        row[0].set_ylabel(f"distortion, the median of {seeds} samples")
    for axes in panels[-1]:
        axes.set_xlabel("rows m of the sample")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_panel(axes: Any, curves: list[Curve]) -> None:
    for curve in curves:
        rule = curve.rule.removesuffix(BY_ITSELF)
        style = {"color": f"C{RULES.index(rule)}", "linestyle": "-" if rule == curve.rule else ":"}
        axes.plot(curve.sizes, curve.medians, marker=".", label=curve.rule, **style)
    sizes = np.array(curves[0].sizes)
    start = min(curve.medians[0] for curve in curves)
    axes.plot(sizes, 0.7 * start * (sizes / sizes[0]) ** THEORY, "k--", linewidth=1, label="slope -1/2")
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    sys.exit(main())
