"""What a run found, as it stands in the JSON file, and the tables that are made of it: on the terminal and in docs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MILLI, MEGA, GIGA = 1e-3, 1e6, 1e9


@dataclass(frozen=True)
class Comparison:
    """
    How many times faster we are than the best of some peers, over all cases in which one of them was timed.

    A peer that more threads make slower counts with fewer.
    """

    against: str
    threads: int
    ratios: dict[str, float]  # by case

    @property
    def geometric_mean(self) -> float:
        return math.exp(sum(math.log(ratio) for ratio in self.ratios.values()) / len(self.ratios))

    @property
    def least(self) -> tuple[str, float]:
        return min(self.ratios.items(), key=lambda item: item[1])


class Report:
    """Questions to the content of a JSON file. Times are medians in seconds, of right results only."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.room: str = content["room"]
        self.facts: dict[str, dict[str, int]] = {case["name"]: case["facts"] for case in content["cases"]}
        self.cases = list(self.facts)
        self.threads = sorted({measurement["threads"] for measurement in content["measurements"]})
        self.contenders = [contender["name"] for contender in content["contenders"]]
        self._found = {(one["case"], one["threads"], one["contender"]): one for one in content["measurements"]}

    def role(self, role: str) -> list[str]:
        return [contender["name"] for contender in self.content["contenders"] if contender["role"] == role]

    @property
    def ours(self) -> str:
        return self.role("ours")[0]

    def measurement(self, case: str, threads: int, contender: str) -> dict[str, Any]:
        found: dict[str, Any] = self._found[case, threads, contender]
        return found

    def seconds(self, case: str, threads: int, contender: str) -> float | None:
        found = self.measurement(case, threads, contender)
        return found["median"] if found["status"] == "ok" else None

    def ratio(self, case: str, threads: int, contender: str) -> float | None:
        """Return how many times as long as ours the contender takes."""
        ours, theirs = self.seconds(case, threads, self.ours), self.seconds(case, threads, contender)
        return None if ours is None or theirs is None else theirs / ours

    def rate(self, case: str, threads: int, contender: str) -> float | None:
        """Return 10^9 operations per second."""
        seconds = self.seconds(case, threads, contender)
        return None if seconds is None else self.facts[case]["operations"] / seconds / GIGA

    def comparisons(self) -> list[Comparison]:
        """Compare with the best peer of each kind that the room names, per number of threads."""
        made = [
            Comparison(against, threads, self._ratios_to_best(peers, threads))
            for threads in self.threads
            for against, peers in self.content["summaries"].items()
        ]
        return [comparison for comparison in made if comparison.ratios]

    def _ratios_to_best(self, peers: Sequence[str], threads: int) -> dict[str, float]:
        ratios = {}
        for case in self.cases:
            ours = self.seconds(case, threads, self.ours)
            theirs = [self.seconds(case, count, peer) for peer in peers for count in self.threads if count <= threads]
            known = [seconds for seconds in theirs if seconds is not None]
            if ours is not None and known:
                ratios[case] = min(known) / ours
        return ratios

    def largest_error(self) -> float:
        """Return that of our results, in units of the room's bound."""
        ours = [one for one in self.content["measurements"] if one["contender"] == self.ours]
        return max((one["error"] for one in ours if one["status"] == "ok"), default=math.nan)

    def failures(self) -> list[str]:
        """Say what of our own went wrong."""
        return [note for note in self._notes(("wrong", "failed")) if note.startswith(tuple(self.role("ours")))]

    def notes(self) -> list[str]:
        """Say who was not timed, and why."""
        return self._notes(("skipped", "wrong", "failed"))

    def _notes(self, statuses: Sequence[str]) -> list[str]:
        cases: dict[str, list[str]] = {}
        for one in self.content["measurements"]:
            if one["status"] in statuses:
                of_note = cases.setdefault(f"{one['contender']} {one['status']}: {one['message']}", [])
                of_note += [one["case"]] if one["case"] not in of_note else []
        return [f"{note} ({'all' if len(of) == len(self.cases) else ', '.join(of)})" for note, of in cases.items()]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, aligned for reading as it stands: names and text to the left, numbers to the right."""
    columns: list[list[str]] = []
    for title, *cells in zip(header, *rows, strict=True):
        texts = [text.replace("|", r"\|") for text in (title, *cells)]
        width = max(3, *(len(text) for text in texts))
        are_numbers = bool(columns) and all(text[0].isdigit() for text in cells if text)
        rule = "-" * (width - 1) + ":" if are_numbers else "-" * width
        first, *others = [text.rjust(width) if are_numbers else text.ljust(width) for text in texts]
        columns.append([first, rule, *others])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def comparison_table(report: Report) -> str:
    header = ["times faster than", "threads", "cases", "geometric mean", "least", "in the case"]
    rows = []
    for one in report.comparisons():
        case, least = one.least
        counts = [str(one.threads), str(len(one.ratios))]
        rows.append([one.against, *counts, number(one.geometric_mean), number(least), case])
    return table(header, rows)


def ratio_table(report: Report, threads: int) -> str:
    """Return a row per case: our time and rate, and for every other contender how many times as long it takes."""
    others = [contender for contender in report.contenders if contender != report.ours]
    header = ["case", f"{report.ours} ms", "GFLOP/s", *others]
    rows = [
        [
            case,
            number(report.seconds(case, threads, report.ours), MILLI),
            number(report.rate(case, threads, report.ours)),
            *(number(report.ratio(case, threads, other)) for other in others),
        ]
        for case in report.cases
    ]
    return table(header, rows)


def case_table(report: Report) -> str:
    names = [name for name in next(iter(report.facts.values())) if name != "operations"]
    rows = [[case, *(str(facts[name]) for name in names)] for case, facts in report.facts.items()]
    return table(["case", *names], rows)


def measurement_table(report: Report, threads: int, cases: Sequence[str] | None = None) -> str:
    """Return a row per case and contender: first call, minimum and median, memory, error."""
    header = ["case", "contender", "first ms", "min ms", "median ms", "calls", "GFLOP/s", "memory MB", "error / bound"]
    rows = [
        [case, contender, *_measured(report, case, threads, contender)]
        for case in cases or report.cases
        for contender in report.contenders
        if report.measurement(case, threads, contender)["status"] != "skipped"
    ]
    return table(header, rows)


def _measured(report: Report, case: str, threads: int, contender: str) -> list[str]:
    one = report.measurement(case, threads, contender)
    if one["status"] != "ok":
        return [one["status"], *[""] * 6]
    is_limit = contender in report.role("limit")
    return [
        number(one["first"], MILLI),
        number(one["min"], MILLI),
        number(one["median"], MILLI),
        str(one["repeats"]),
        "" if is_limit else number(report.rate(case, threads, contender)),
        "" if is_limit else number(one["memory"], MEGA),
        number(one.get("error")),
    ]


def number(value: float | None, unit: float = 1.0) -> str:
    """Return three digits, and no more than the whole part of large numbers."""
    if value is None:
        return ""
    value /= unit
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(0, min(digits, 4))}f}"
