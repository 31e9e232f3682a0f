"""
Say whether the figures of a run are what this room asks of itself: ``python -m bench.sampling.gates [--results DIR]``.

They are those of ``python -m bench sampling`` and of ``python -m bench.sampling.distortion``. The exit status is 1 if
one of them is not, or if our own result had no time.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.__main__ import RESULTS
from bench.report import Report, table
from bench.sampling import distortion
from bench.sampling.leverage import GRAM, QR
from bench.sampling.sensitivities import CORESET
from bench.sketch.gates import FASTER, Figures, Gate, verdicts

TALL = "1000000 x 100"
ILL = "condition 1e12"
LARGE = "200000 x 100"
ALL = "20000 x 10"
THREADS = 2  # on which sensitivities have a limit in seconds
NOISE = 0.05  # by which a slope through medians may fall short of that of the theory


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sampling.gates", description="Judge the figures of a run.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    folder = parser.parse_args().results
    rows = [row for gate in GATES for row in verdicts(gate, folder)]
    rows += slope_verdicts(folder / "sampling" / "distortion.json")
    if not rows:
        print(f"{folder} holds no figures to judge: python -m bench sampling makes them", file=sys.stderr)
        return 1
    print(table(["benchmark", "what", "threads", "of", "is", "must be", "verdict"], rows))
    return 1 if any(row[-1] != "met" for row in rows) else 0


def faster_than(is_meant: Callable[[str], bool], is_of: Callable[[str], bool]) -> Callable[[Report, int], Figures]:
    """
    Return how many times faster we are than the best of some contenders, case by case.

    A peer that more threads make slower counts with fewer; one without a right result does not count.
    """

    def figures(report: Report, threads: int) -> Figures:
        counts = [count for count in report.threads if count <= threads]
        meant = [name for name in report.role("peer") if is_meant(name)]
        found = {}
        for case in filter(is_of, report.cases):
            ours = report.seconds(case, threads, report.ours)
            theirs = [report.seconds(case, count, name) for name in meant for count in counts]
            known = [seconds for seconds in theirs if seconds is not None]
            found[case] = math.nan if ours is None or not known else min(known) / ours
        return found

    return figures


def of_shape(shape: str) -> Callable[[str], bool]:
    return lambda case: case.startswith(f"{shape},")


def error_over_qr(report: Report, threads: int) -> Figures:
    """Return our relative error over that of NumPy's QR."""
    found = {}
    for case in (case for case in report.cases if case.endswith(ILL)):
        ours, theirs = (
            report.measurement(case, threads, name).get("found", {}).get("relative error", math.nan)
            for name in (report.ours, QR)
        )
        found[case] = ours / theirs
    return found


def seconds_of_all(contender: str) -> Callable[[Report, int], Figures]:
    def figures(report: Report, threads: int) -> Figures:
        if threads != THREADS:
            return {}
        cases = [case for case in report.cases if case.startswith(ALL) and case.endswith("all rows")]
        found = {case: report.seconds(case, threads, contender) for case in cases}
        return {case: math.nan if seconds is None else seconds for case, seconds in found.items()}

    return figures


def slope_verdicts(path: Path) -> Iterator[list[str]]:
    """Yield a row of the table per rule, matrix and p for which theory has a slope; none if there are no figures."""
    if not path.exists():
        return
    for curve in json.loads(path.read_text())["curves"]:
        if curve["is_bounded"]:
            most = distortion.THEORY + NOISE
            where = f"{curve['matrix']}, p = {curve['p']:g}, {curve['rule']}"
            verdict = "met" if curve["slope"] <= most else "missed"
            shown = [f"{curve['slope']:.2f}", f"at most {most:.2f}"]
            yield ["sampling.distortion", "slope of the distortion", "", where, *shown, verdict]


GATES = [
    Gate("sampling.leverage", f"{FASTER} QR", faster_than(lambda name: name == QR, of_shape(TALL)), least=8),
    Gate(
        "sampling.leverage",
        f"{FASTER} {GRAM}",
        faster_than(lambda name: name.startswith(GRAM), of_shape(TALL)),
        least=1.3,
    ),
    Gate("sampling.leverage", "error over that of QR", error_over_qr, most=10),
    Gate(
        "sampling.lewis",
        f"{FASTER} the fastest iteration in NumPy",
        faster_than(lambda name: name.startswith("numpy"), of_shape(LARGE)),
        least=3,
    ),
    Gate("sampling.sensitivities", "seconds, exact", seconds_of_all("nearlinear"), most=60),
    Gate("sampling.sensitivities", "seconds, coreset", seconds_of_all(CORESET), most=10),
]


if __name__ == "__main__":
    sys.exit(main())
