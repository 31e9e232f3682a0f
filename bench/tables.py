"""
Write the tables of docs/benchmarks and README.md from bench/results: ``python -m bench.tables [--check]``.

Nobody types a figure: what stands there is what ``python -m bench`` found last. With ``--check`` nothing is written,
and the exit status is 1 where a file is not what the results give.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bench import ROOMS, report
from bench.__main__ import RESULTS
from bench.harness import ROOT
from bench.report import Report

DOCS = ROOT / "docs" / "benchmarks"
README = ROOT / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, tell whether the files are up to date")
    check = parser.parse_args().check
    reports = [Report(json.loads(path.read_text())) for path in _results()]
    texts = {DOCS / f"{found.room}.md": page(found) for found in reports}
    if reports:
        texts[README] = with_summary(README.read_text(), summary(reports))
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} is {'not what the results give' if check else 'written'}")
    if check:
        return 1 if stale else 0
    DOCS.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(texts[path])
    for found in reports:
        picture = RESULTS / f"{found.room}.png"
        if picture.exists():
            shutil.copyfile(picture, DOCS / picture.name)
    return 0


def _results() -> list[Path]:
    paths = [RESULTS / f"{room}.json" for room in ROOMS]
    missing = [path.stem for path in paths if not path.exists()]
    if missing:
        print(f"no results of {', '.join(missing)}: python -m bench {' '.join(missing)}", file=sys.stderr)
    return [path for path in paths if path.exists()]


def page(found: Report) -> str:
    """Return the page of a room: the comparison, a table of ratios per number of threads, and everything measured."""
    parts = [
        f"# {found.room}: {found.content['task']}",
        _circumstances(found.content, found.content["machine"]),
        "Each time is the median over warm calls in a process of its own, pinned to as many processors as it has "
        f"threads; every result was checked, its error in units of {found.content['bound']}.",
        "## Against the best",
        report.comparison_table(found),
        f"![Performance profile and rates]({found.room}.png)",
    ]
    for threads in found.threads:
        parts += [
            f"## Times of others over ours, {_threads(threads)}",
            report.ratio_table(found, threads),
        ]
    parts += ["## The cases", report.case_table(found)]
    for threads in found.threads:
        parts += [f"## Everything measured, {_threads(threads)}", report.measurement_table(found, threads)]
    if found.notes():
        parts += ["## Not measured", "\n".join(f"- {note}" for note in found.notes())]
    return "\n\n".join(parts) + "\n"


def _circumstances(content: dict[str, Any], machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
    return (
        f"Made by `{content['command']}` and `python -m bench.tables` on {machine['date'][:10]}: "
        f"{machine['processor']}, {machine['cpus']} processors, {machine['system']}, instruction set {machine['isa']}; "
        f"load average {machine['load']['before']} before and {machine['load']['after']} after, of which the "
        f"measurements themselves are a part; {versions}."
    )


def summary(reports: list[Report]) -> str:
    """Return the table of the README: a row per room and kind of peer."""
    threads = sorted({count for found in reports for count in found.threads})
    header = ["task", "times faster than the", *map(_threads, threads), "largest error / bound", "measured by"]
    rows = []
    for found in reports:
        by_peers = {(one.against, one.threads): one for one in found.comparisons()}
        for against in found.content["summaries"]:
            ratios = [by_peers.get((against, count)) for count in threads]
            cells = ["" if one is None else f"{one.geometric_mean:.1f} (least {one.least[1]:.2f})" for one in ratios]
            task = f"[{found.content['task']}](docs/benchmarks/{found.room}.md)"
            error = f"{found.largest_error():.2g}"
            rows.append([task, against, *cells, error, f"`python -m bench {found.room}`"])
    return report.table(header, rows)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def with_summary(text: str, table: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"README.md has no place for the table, between the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
