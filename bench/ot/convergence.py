"""
Draw the error against time, and what the phases take: ``python -m bench.ot.convergence``.

Each curve is one call, after another that warms up. While the regularisation comes down, the error is that of an easier
problem; these parts are thin.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nearlinear as nl
from bench.ot import problems
from bench.ot.problems import TOLERANCE, Problem
from bench.tables import DOCS

CELLS: dict[str, Callable[[], Problem]] = {
    "gauss, n = 1000, reg = 0.001": partial(problems.gauss, 1000, 1e-3),
    "imgL1, n = 784, reg = 0.001": partial(problems.images, "cityblock", 1e-3),
}
PER_ROW = 15  # entries of the Hessian of "sns"
METHODS: dict[str, Callable[[int], dict[str, Any]]] = {
    "auto": lambda n: {},
    "sns": lambda n: {"method": "sns", "sns_density": PER_ROW / n},
    "sinkhorn": lambda n: {"method": "sinkhorn", "maxiter": 20_000},
}
PHASES = ("sweeps at larger reg", "Newton at larger reg", "sweeps", "Newton")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ot.convergence", description="Draw errors against time.")
    parser.add_argument("--output", type=Path, default=DOCS / "ot" / "convergence.png", help="the picture's path")
    path = parser.parse_args().output
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.5), layout="constrained")
    axes = figure.subplots(2, len(CELLS), height_ratios=(3, 1))
    for (name, build), (above, below) in zip(CELLS.items(), axes.T, strict=True):
        problem = build()
        steps = {method: _steps(problem, options(len(problem.a))) for method, options in METHODS.items()}
        _draw_errors(above, steps, problem.reg)
        _draw_phases(below, steps, problem.reg)
        above.set_title(name)
    axes[0, 0].legend()
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(PHASES))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return 0


def _steps(problem: Problem, options: dict[str, Any]) -> list[tuple[float, Any]]:
    """Return each iteration with the time at which it ended, from the second of two calls."""
    for _ in range(2):
        steps: list[tuple[float, Any]] = []
        begin = time.perf_counter()

        def note(iteration: Any, steps: list[tuple[float, Any]] = steps, begin: float = begin) -> None:
            steps.append((time.perf_counter() - begin, iteration))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nl.ot.SinkhornWarning)  # a curve that does not arrive shows that itself
            nl.ot.sinkhorn(
                problem.a, problem.b, problem.C, reg=problem.reg, tol=TOLERANCE, plan=None, callback=note, **options
            )
    return steps


def _draw_errors(axes: Any, steps: dict[str, list[tuple[float, Any]]], reg: float) -> None:
    for rank, (method, of_method) in enumerate(steps.items()):
        final = next(index for index, (_, iteration) in enumerate(of_method) if iteration.reg == reg)
        for part, width in ((of_method[: final + 1], 0.8), (of_method[final:], 2.0)):
            times, errors = [seconds for seconds, _ in part], [iteration.marginal_error for _, iteration in part]
            label = method if width > 1 else None
            axes.plot(times, errors, color=f"C{rank}", linewidth=width, marker=".", markersize=3, label=label)
    axes.axhline(TOLERANCE, color="black", linestyle=":", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="error of the marginals")
    axes.grid(alpha=0.3)


def _draw_phases(axes: Any, steps: dict[str, list[tuple[float, Any]]], reg: float) -> None:
    """Draw the share of each phase in the time of a method."""
    for place, of_method in enumerate(steps.values()):
        spent, last = dict.fromkeys(PHASES, 0.0), 0.0
        for seconds, iteration in of_method:
            spent[PHASES[2 * (iteration.reg == reg) + iteration.newton]] += seconds - last
            last = seconds
        left = 0.0
        for rank, (phase, seconds) in enumerate(spent.items()):
            share, label = 100 * seconds / last, None if place else phase
            axes.barh(place, share, left=left, color=("0.75", "C4", "0.5", "C5")[rank], label=label)
            left += share
    names = [f"{method}: {of_method[-1][0]:.2g} s" for method, of_method in steps.items()]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="% of the time")


if __name__ == "__main__":
    sys.exit(main())
