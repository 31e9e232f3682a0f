"""
Say whether the figures of a run are what this room asks of itself: ``python -m bench.sketch.gates [--results DIR]``.

The exit status is 1 if one of them is not, or if our own result had no time.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import stem
from bench.__main__ import RESULTS
from bench.report import Report, number, table

Figures = dict[str, float]  # by case, or by what they are the mean of; NaN where there is none
LARGE = "20000 x 2000"  # where others are bound by the same product as we are
SPARSE = "1000000 x 500"
TALL = "1048576 x 100"
LONG = "2600000 rows"


@dataclass(frozen=True)
class Gate:
    """What a room's figures, for one number of threads, must be at least or at most."""

    room: str
    what: str
    figures: Callable[[Report, int], Figures]
    least: float = 0.0
    most: float = math.inf

    def is_met_by(self, value: float) -> bool:
        return self.least <= value <= self.most  # false for NaN

    @property
    def limit(self) -> str:
        return f"at most {self.most:g}" if self.most < math.inf else f"at least {self.least:.3g}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sketch.gates", description="Judge the figures of a run.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    folder = parser.parse_args().results
    rows = [row for gate in GATES for row in verdicts(gate, folder)]
    if not rows:
        print(f"{folder} holds no figures to judge: python -m bench sketch makes them", file=sys.stderr)
        return 1
    print(table(["benchmark", "what", "threads", "of", "is", "must be", "verdict"], rows))
    return 1 if any(row[-1] != "met" for row in rows) else 0


def verdicts(gate: Gate, folder: Path) -> Iterator[list[str]]:
    """Yield a row of the table per figure; none if the room has not been run."""
    path = folder / f"{stem(gate.room)}.json"
    if not path.exists():
        return
    report = Report(json.loads(path.read_text()))
    for threads in report.threads:
        for where, value in gate.figures(report, threads).items():
            shown = "unknown" if math.isnan(value) else number(value)
            verdict = "met" if gate.is_met_by(value) else "missed"
            yield [gate.room, gate.what, str(threads), where, shown, gate.limit, verdict]


def ratios(against: str, is_of: Callable[[str], bool]) -> Callable[[Report, int], Figures]:
    """Return how many times faster we are than the best of some peers, case by case."""

    def figures(report: Report, threads: int) -> Figures:
        compared = [one for one in report.comparisons() if (one.against, one.threads) == (against, threads)]
        found = compared[0].ratios if compared else {}
        return {case: found.get(case, math.nan) for case in report.cases if is_of(case)}

    return figures


def mean_ratio(against: str) -> Callable[[Report, int], Figures]:
    """Return the geometric mean over all cases, in each of which we need a time."""

    def figures(report: Report, threads: int) -> Figures:
        of_cases = ratios(against, lambda case: True)(report, threads).values()
        return {"geometric mean": math.exp(sum(map(math.log, of_cases)) / len(of_cases))}

    return figures


def times(contender: str, is_of: Callable[[str], bool], ours: str | None = None) -> Callable[[Report, int], Figures]:
    """Return our time, or that of another contender of ours, over that of another, case by case."""

    def figures(report: Report, threads: int) -> Figures:
        found = {}
        for case in filter(is_of, report.cases):
            mine, theirs = (report.seconds(case, threads, name) for name in (ours or report.ours, contender))
            found[case] = math.nan if mine is None or theirs is None else mine / theirs
        return found

    return figures


def of_kinds(*kinds: str) -> Callable[[str], bool]:
    return lambda case: case in [f"{TALL}, {kind}" for kind in kinds]


def over_normal_equations(report: Report, threads: int) -> Figures:
    """Return our time over that of normal equations where these are accurate."""
    found = times("normal equations", lambda case: case.startswith(SPARSE))(report, threads)
    return {case: value for case, value in found.items() if normal_equations_hold(report, case, threads)}


def faster_than_lsmr(report: Report, threads: int) -> Figures:
    """
    Return how many times faster than LSMR we are where normal equations are not accurate.

    LSMR without scaled columns, and by the time after which it gave up: it need not have come to a right result.
    """
    found = {}
    for case in (case for case in report.cases if case.startswith(SPARSE)):
        if not normal_equations_hold(report, case, threads):
            ours = report.seconds(case, threads, report.ours)
            spent = report.measurement(case, threads, "scipy LSMR").get("median", report.cap)
            found[case] = math.nan if ours is None or spent is None else spent / ours
    return found


def normal_equations_hold(report: Report, case: str, threads: int) -> bool:
    return report.seconds(case, threads, "normal equations") is not None


def peak_memory(report: Report, threads: int) -> Figures:
    cases = [case for case in report.cases if case.startswith(LONG)]
    found = {case: report.measurement(case, threads, report.ours) for case in cases}
    return {case: one["found"]["peak MB"] if one["status"] == "ok" else math.nan for case, one in found.items()}


FASTER = "times faster than"
READS = "reads of A"
GATES = [
    Gate("sketch.lstsq", f"{FASTER} the best peer", ratios("best peer", lambda case: LARGE not in case), least=1),
    Gate("sketch.lstsq", f"{FASTER} the best peer", ratios("best peer", lambda case: LARGE in case), least=1 / 1.1),
    Gate("sketch.lstsq", f"{FASTER} gelsd", mean_ratio("gelsd"), least=4),
    Gate(
        "sketch.lstsq",
        f"{FASTER} the best of gelsd, gelsy and QR",
        mean_ratio("best of gelsd, gelsy and QR"),
        least=2.5,
    ),
    Gate("sketch.sparse_lstsq", "times of normal equations", over_normal_equations, most=1.3),
    Gate("sketch.sparse_lstsq", f"{FASTER} LSMR", faster_than_lsmr, least=10),
    *(
        Gate("sketch.sketches", READS, times("one read of A", of_kinds(*kinds)), most=most)
        for most, kinds in {
            3: ("block-hadamard, m = 4 d", "srht, m = 4 d"),
            4: ("block-hadamard, m = 12 d", "srht, m = 12 d"),
            8: ("sjlt, m = 4 d", "sjlt, m = 12 d"),
        }.items()
    ),
    Gate(
        "sketch.sketches",
        "two passes of reading and writing, all in place",
        times("two read + write passes", of_kinds("hadamard_transform"), ours="nearlinear, in place"),
        most=2,
    ),
    Gate("sketch.stream", "peak memory in MB", peak_memory, most=300),
]


if __name__ == "__main__":
    sys.exit(main())
