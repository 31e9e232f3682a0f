"""
Say whether the figures are what this room asks of itself: ``python -m bench.completion.gates [--results DIR]``.

They are those of ``python -m bench completion`` and of ``python -m bench.completion.phase``, ``.scaling``, ``.large``
and ``.ratings``. The exit status is 1 if one of them is not, or if our own result had no time.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.__main__ import RESULTS
from bench.completion import phase
from bench.completion.complete import SIZES
from bench.report import Report, number, table
from bench.sketch.gates import FASTER, Figures, Gate, verdicts

ROOM = "completion.complete"
MEASURED = ("phase", "scaling", "large", "ratings")
RATES = {  # n, k, ratio -> the least rate of success
    (300, 5, 1.2): 0.6,
    (300, 5, 1.3): 0.8,
    (300, 5, 1.5): 1.0,
    (300, 5, 2.0): 1.0,
    (1_000, 10, 1.2): 0.9,
    (1_000, 10, 1.5): 1.0,
}
SPREAD = 1.6  # of the time per entry and k
EXACT_SWEEPS = 28
BIASES, AROUND = 1.1946, 0.002  # the test error of biases on the first split
WORSE_THAN_BIASES = 0.001
BESIDE_PEER = 0.012


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.completion.gates", description="Judge the figures.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    folder = parser.parse_args().results
    rows = [row for gate in GATES for row in verdicts(gate, folder)]
    for name in MEASURED:
        path = folder / "completion" / f"{name}.json"
        if path.exists():
            judged = JUDGES[name](json.loads(path.read_text()))
            rows += [[f"completion.{name}", *row] for row in judged]
        else:
            print(f"no figures of completion.{name}: python -m bench.completion.{name} makes them", file=sys.stderr)
    if not rows:
        return 1
    print(table(["benchmark", "what", "threads", "of", "is", "must be", "verdict"], rows))
    return 1 if any(row[-1] != "met" for row in rows) else 0


def beside_who_arrives(report: Report, threads: int) -> Figures:
    """Return how many times faster we are than the best peer, where one comes to the error that is asked for."""
    found = {}
    for case in filter(lambda case: report.facts[case]["n"] >= SIZES[0], report.cases):
        counts = [count for count in report.threads if count <= threads]
        theirs = [report.seconds(case, count, name) for name in report.role("peer") for count in counts]
        known = [seconds for seconds in theirs if seconds is not None]
        ours = report.seconds(case, threads, report.ours)
        if known and not report.facts[case]["noisy"]:
            found[case] = math.nan if ours is None else min(known) / ours
    return found


def beside_all(report: Report, threads: int) -> Figures:
    """Return the same for all cases, where who does not arrive counts with the cap."""
    compared = [one for one in report.comparisons() if (one.against, one.threads) == ("best peer", threads)]
    found = compared[0].ratios if compared else {}
    return {case: found.get(case, math.nan) for case in report.cases}


def over_noise(report: Report, threads: int) -> Figures:
    """Return our error over that of least squares linearised at the truth."""
    noisy = [case for case in report.cases if report.facts[case]["noisy"]]
    measured = {case: report.measurement(case, threads, report.ours) for case in noisy}
    return {case: one.get("found", {}).get("over noise", math.nan) for case, one in measured.items()}


def judge_phase(content: dict[str, Any]) -> Iterator[list[str]]:
    """Yield rows of the table: rates of success among the matrices that can be completed."""
    for cell in content["cells"]:
        least = RATES.get((cell["n"], cell["k"], cell["ratio"]))
        if least is not None and cell["identifiable"]:
            of = f"n = {cell['n']}, k = {cell['k']}, ratio {cell['ratio']:g}, {cell['identifiable']} matrices"
            rate = cell["contenders"][phase.OURS]["rate"]
            yield row("rate of success", "", of, f"{rate:.2f}", f"at least {least:g}", is_met=rate >= least)


def judge_scaling(content: dict[str, Any]) -> Iterator[list[str]]:
    for family in content["families"]:
        if family["solver"] == "cg":
            of = f"{family['along']} = {family['at'][0]} to {family['at'][-1]}, {family['fixed']}"
            spread, limit = family["spread"], f"at most {SPREAD:g}"
            what = "largest over least time per entry and k"
            yield row(what, family["threads"], of, f"{spread:.2f}", limit, is_met=spread <= SPREAD)


def judge_large(content: dict[str, Any]) -> Iterator[list[str]]:
    bound = content["error"]
    for one in content["large"]:
        sweeps, error = one["exact sweeps"], one["error"]
        shown = [shape_of(one), number(sweeps), f"at most {EXACT_SWEEPS}"]
        yield row("exact sweeps", one["threads"], *shown, is_met=sweeps <= EXACT_SWEEPS)
        shown = [shape_of(one), f"{error:.2g}", f"at most {bound:g}"]
        yield row("error", one["threads"], *shown, is_met=error <= bound)
    for one in content["hard"]:
        shown = [f"{shape_of(one)}, seed {one['seed']}", f"{one['error']:.2g}", f"at most {phase.SUCCESS:g}"]
        yield row("error", "", *shown, is_met=one["error"] < phase.SUCCESS)


def judge_ratings(content: dict[str, Any]) -> Iterator[list[str]]:
    splits = content["splits"]
    biases, limit = splits[0]["biases"], f"{BIASES:g} +- {AROUND:g}"
    is_met = abs(biases - BIASES) <= AROUND
    yield row("test error of biases", "", "the first split", f"{biases:.4f}", limit, is_met=is_met)
    for same in zip(*(one["early"] for one in splits), strict=True):
        worse = max(one["rmse"] - one["biases"] for one in same)
        shown = [f"{pair(same[0])}, worst split", f"{worse:.4f}", f"at most {WORSE_THAN_BIASES:g}"]
        yield row("early stopping less biases", "", *shown, is_met=worse <= WORSE_THAN_BIASES)
    for one in content["converged"]:
        apart = abs(one["rmse"] - one["cmfrec"])
        shown = [pair(one), f"{apart:.4f}", f"at most {BESIDE_PEER:g}"]
        yield row("converged beside cmfrec", "", *shown, is_met=apart <= BESIDE_PEER)


def pair(one: dict[str, float]) -> str:
    return f"k = {one['k']}, lambda = {one['lam']:g}"


def shape_of(one: dict[str, Any]) -> str:
    return f"n = {one['n']}, k = {one['k']}, ratio {one['ratio']:g}"


def row(what: str, threads: object, of: str, shown: str, limit: str, *, is_met: bool) -> list[str]:
    return [what, str(threads), of, shown, limit, "met" if is_met else "missed"]


JUDGES = dict(zip(MEASURED, (judge_phase, judge_scaling, judge_large, judge_ratings), strict=True))
GATES = [
    Gate(ROOM, f"{FASTER} the best peer that arrives", beside_who_arrives, least=15),
    Gate(ROOM, f"{FASTER} the best peer", beside_all, least=1),
    Gate(ROOM, "error over that of noise", over_noise, most=1.03),
]


if __name__ == "__main__":
    sys.exit(main())
