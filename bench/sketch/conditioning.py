"""
Draw the time of dense least squares against the condition number: ``python -m bench.sketch.conditioning``.

Each point is measured as in other benchmarks, in a process of its own. An answer that is worse than the benchmark
``sketch.lstsq`` allows has no point, nor has a call that was stopped.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import harness
from bench.harness import Case, Room
from bench.sketch import lstsq
from bench.tables import DOCS

SHAPE = (100_000, 100)
POWERS = range(0, 15, 2)  # of 10
QUICK = (0, 8)
DRAWN = ("nearlinear", "scipy gelsd", "numpy QR + solve", "scipy LSQR", "normal equations")
CAP = 20.0  # seconds


def cases() -> list[Case]:
    return [lstsq.case(*SHAPE, power, quick=power in QUICK) for power in POWERS]


ROOM = replace(
    lstsq.ROOM,
    name="sketch.conditioning",
    cases=cases,
    # Normal equations are judged here as others are: their curve ends where they fail.
    contenders=[
        replace(one, role="peer" if one.role == "context" else one.role)
        for one in lstsq.CONTENDERS
        if one.name in DRAWN
    ],
    cap=CAP,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sketch.conditioning", description="Draw times.")
    parser.add_argument("--output", type=Path, default=DOCS / "sketch" / "conditioning.png", help="the picture's path")
    parser.add_argument("--threads", type=int, default=2, help="of all contenders, 2 by default")
    parser.add_argument("--quick", action="store_true", help="few points and repetitions, to see that it works")
    options = parser.parse_args()
    from matplotlib.figure import Figure

    points = measure(ROOM, options.threads, options.quick)
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for rank, (name, of_contender) in enumerate(points.items()):
        width = 2.5 if rank == 0 else 1.5
        axes.plot(*zip(*of_contender, strict=True), marker=".", linewidth=width, color=f"C{rank}", label=name)
    n, d = SHAPE
    axes.set(xscale="log", yscale="log", xlabel="condition number", ylabel="seconds")
    axes.set_title(f"{n} x {d}, threads: {options.threads}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, dpi=110, metadata={"Software": None})
    return 0


def measure(room: Room, threads: int, quick: bool) -> dict[str, list[tuple[int, float]]]:
    """Return condition numbers and medians of each contender, of right results alone."""
    points: dict[str, list[tuple[int, float]]] = {}
    for case, measurements in harness.run(room, [threads], quick):
        condition: int = case["facts"]["condition"]
        for one in measurements:
            print(f"{case['name']}, {one['contender']}: {outcome(one)}", flush=True)
            if one["status"] == "ok":
                points.setdefault(one["contender"], []).append((condition, one["median"]))
    return points


def outcome(measured: dict[str, Any]) -> str:
    return (
        f"{measured['median']:.3g} s" if measured["status"] == "ok" else f"{measured['status']}, {measured['message']}"
    )


if __name__ == "__main__":
    sys.exit(main())
