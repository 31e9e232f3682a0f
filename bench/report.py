"""What a run found, as it stands in the JSON file, and the tables that are made of it: on the terminal and in docs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MILLI, MEGA, GIGA = 1e-3, 1e6, 1e9
WITHOUT_TIME = ("capped", "wrong", "failed")
COMPARED = ("threads", "cases", "geometric mean", "least", "in the case")


@dataclass(frozen=True)
class Comparison:
    """
    How many times faster we are than the best of some peers, over all cases in which one of them was timed.

    A peer that more threads make slower counts with fewer.
    """

    against: str
    threads: int
    ratios: dict[str, float]  # by case
    part: str = ""  # of the cases

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
        self.cap: float | None = content.get("cap")  # which reports of the past lack
        self.rate_name: str = content.get("rate", "GFLOP/s")
        self._counted = {case["name"]: case["counted"] for case in content["cases"] if "counted" in case}
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

    def counted_seconds(self, case: str, threads: int, contender: str) -> float | None:
        """Return the time, and what who was stopped or has no right result counts with."""
        status = self.measurement(case, threads, contender)["status"]
        return self.counted(case, contender) if status in WITHOUT_TIME else self.seconds(case, threads, contender)

    @property
    def has_counted(self) -> bool:
        return bool(self._counted)

    def counted(self, case: str, contender: str) -> float | None:
        return self._counted.get(case, self.cap) if contender in self.role("peer") else self.cap

    def ratio(self, case: str, threads: int, contender: str) -> float | None:
        """Return how many times as long as ours the contender takes, or at least takes."""
        ours, theirs = self.seconds(case, threads, self.ours), self.counted_seconds(case, threads, contender)
        return None if ours is None or theirs is None else theirs / ours

    def rate(self, case: str, threads: int, contender: str) -> float | None:
        """Return 10^9 operations per second."""
        seconds = self.seconds(case, threads, contender)
        return None if seconds is None else self.facts[case]["operations"] / seconds / GIGA

    def comparisons(self) -> list[Comparison]:
        """Compare with the best peer of each kind that the room names, per number of threads."""
        return self._comparisons("", lambda case, peers: True)

    def comparisons_in_part(self) -> list[Comparison]:
        """Compare in the families of cases, and in the cases that some peers or all of them finished."""
        families = {case["name"]: case.get("family", "") for case in self.content["cases"]}

        def is_in(family: str) -> Callable[[str, Sequence[str]], bool]:
            return lambda case, peers: families[case] == family

        made = []
        for family in dict.fromkeys(filter(None, families.values())):
            made += self._comparisons(family, is_in(family))
        if self.cap is not None:
            made += self._comparisons("one of them finished", lambda case, peers: any(self._finished(case, peers)))
            made += self._comparisons("all of them finished", lambda case, peers: all(self._finished(case, peers)))
        return made

    def _comparisons(self, part: str, is_in_part: Callable[[str, Sequence[str]], bool]) -> list[Comparison]:
        made = [
            Comparison(against, threads, self._ratios_to_best(peers, threads, is_in_part), part)
            for threads in self.threads
            for against, peers in self.content["summaries"].items()
        ]
        return [comparison for comparison in made if comparison.ratios]

    def _finished(self, case: str, peers: Sequence[str]) -> list[bool]:
        """Say of each peer that was tried whether it came to a right result, on whatever number of threads."""
        statuses = [[self.measurement(case, count, peer)["status"] for count in self.threads] for peer in peers]
        return ["ok" in status for status in statuses if "skipped" not in status]

    def _ratios_to_best(
        self, peers: Sequence[str], threads: int, is_in_part: Callable[[str, Sequence[str]], bool]
    ) -> dict[str, float]:
        ratios = {}
        for case in (case for case in self.cases if is_in_part(case, peers)):
            ours = self.seconds(case, threads, self.ours)
            counts = [count for count in self.threads if count <= threads]
            theirs = [self.counted_seconds(case, count, peer) for peer in peers for count in counts]
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
        return self._notes(("skipped", "wrong", "failed", "capped"))

    def _notes(self, statuses: Sequence[str]) -> list[str]:
        cases: dict[str, list[str]] = {}
        for one in self.content["measurements"]:
            if one["status"] in statuses:
                of_note = cases.setdefault(f"{one['contender']} {one['status']}: {one['message']}", [])
                of_note += [one["case"]] if one["case"] not in of_note else []
        return [f"{note} ({'all' if len(of) == len(self.cases) else ', '.join(of)})" for note, of in cases.items()]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[str] = ()) -> str:
    """
    Return a Markdown table, aligned for reading as it stands: names and text to the left, numbers to the right.

    ``words`` are what may stand among numbers.
    """
    columns: list[list[str]] = []
    for title, *cells in zip(header, *rows, strict=True):
        texts = [text.replace("|", r"\|") for text in (title, *cells)]
        width = max(3, *(len(text) for text in texts))
        numbers = [text.lstrip(">") for text in cells if text and text not in words]
        are_numbers = bool(columns) and all(text[0].isdigit() for text in numbers)
        rule = "-" * (width - 1) + ":" if are_numbers else "-" * width
        first, *others = [text.rjust(width) if are_numbers else text.ljust(width) for text in texts]
        columns.append([first, rule, *others])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def comparison_table(report: Report) -> str:
    header = ["times faster than", *COMPARED]
    return table(header, [[one.against, *_compared(one)] for one in report.comparisons()])


def part_table(report: Report) -> str:
    header = ["cases of", "times faster than", *COMPARED]
    return table(header, [[one.part, one.against, *_compared(one)] for one in report.comparisons_in_part()])


def _compared(one: Comparison) -> list[str]:
    case, least = one.least
    return [str(one.threads), str(len(one.ratios)), number(one.geometric_mean), number(least), case]


def ratio_table(report: Report, threads: int) -> str:
    """Return a row per case: our time and rate, and for every other contender how many times as long it takes."""
    others = [contender for contender in report.contenders if contender != report.ours]
    header = ["case", f"{report.ours} ms", report.rate_name, *others]
    rows = [
        [
            case,
            number(report.seconds(case, threads, report.ours), MILLI),
            number(report.rate(case, threads, report.ours)),
            *(_ratio(report, case, threads, other) for other in others),
        ]
        for case in report.cases
    ]
    return table(header, rows, WITHOUT_TIME if report.cap is not None else ())


def _ratio(report: Report, case: str, threads: int, contender: str) -> str:
    ratio = report.ratio(case, threads, contender)
    status = report.measurement(case, threads, contender)["status"]
    if ratio is None or status in ("wrong", "failed"):
        return "" if ratio is None else status
    return f"{'>' if status == 'capped' else ''}{number(ratio)}"


def case_table(report: Report) -> str:
    names = [name for name in next(iter(report.facts.values())) if name != "operations"]
    rows = [[case, *(str(facts[name]) for name in names)] for case, facts in report.facts.items()]
    return table(["case", *names], rows)


def measurement_table(report: Report, threads: int, cases: Sequence[str] | None = None) -> str:
    """Return a row per case and contender: first call, minimum and median, memory, error, what was found besides."""
    measured = [
        (case, contender, report.measurement(case, threads, contender))
        for case in cases or report.cases
        for contender in report.contenders
    ]
    found = list(dict.fromkeys(name for *_, one in measured for name in one.get("found", {})))
    times = ["first ms", "min ms", "median ms", "calls", report.rate_name, "memory MB", "error / bound"]
    rows = [
        [case, contender, *_measured(report, case, threads, contender), *_found(one, found)]
        for case, contender, one in measured
        if one["status"] != "skipped"
    ]
    words = WITHOUT_TIME if report.cap is not None else ()
    return table(["case", "contender", *times, *found], rows, words)


def _measured(report: Report, case: str, threads: int, contender: str) -> list[str]:
    one = report.measurement(case, threads, contender)
    if one["status"] == "capped":
        return [f">{number(report.counted(case, contender), MILLI)}", *[""] * 6]
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


def _found(one: dict[str, Any], names: Sequence[str]) -> list[str]:
    found = one.get("found", {})
    return [f"{found[name]:g}" if name in found else "" for name in names]


def number(value: float | None, unit: float = 1.0) -> str:
    """Return three digits, and no more than the whole part of large numbers."""
    if value is None:
        return ""
    if math.isinf(value):
        return "inf"
    value /= unit
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(0, min(digits, 4))}f}"
