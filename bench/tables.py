"""
Write the tables of the documentation and of README.md from the JSON files of a run: ``python -m bench.tables``.

With ``--check`` nothing is written; the exit status is 1 if a file is not what the JSON files give.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import ROOMS, stem
from bench.__main__ import RESULTS
from bench.harness import ROOT
from bench.report import (
    Report,
    case_table,
    comparison_table,
    measurement_table,
    number,
    part_table,
    ratio_table,
    table,
)

DOCS = ROOT / "docs" / "benchmarks"
README = ROOT / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description="Write the tables of a run.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    options = parser.parse_args()
    reports = _read(options.results)
    if not reports:
        print(f"{options.results} holds no results: python -m bench makes them", file=sys.stderr)
        return 1
    wanted = _files(reports, options.results)
    changed = [path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content]
    for path in changed:
        print(f"{path.relative_to(ROOT)} {'is out of date' if options.check else 'is written'}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[path])
    return 1 if options.check and changed else 0


def _read(folder: Path) -> list[Report]:
    paths = [folder / f"{stem(room)}.json" for room in ROOMS]
    return [Report(json.loads(path.read_text())) for path in paths if path.exists()]


def _files(reports: Sequence[Report], results: Path) -> dict[Path, bytes]:
    files = {}
    for report in reports:
        page = DOCS / f"{stem(report.room)}.md"
        picture = results / f"{stem(report.room)}.png"
        if picture.exists():
            files[page.with_suffix(".png")] = picture.read_bytes()
        files[page] = _page(report, page.with_suffix(".png").name if picture.exists() else None).encode()
    readme = _readme(reports)
    if readme is not None:
        files[README] = readme.encode()
    return files


def _page(report: Report, picture: str | None) -> str:
    parts = [
        f"# Benchmarks: {report.content['task']}\nMade by `python -m bench.tables`, of the figures of",
        f"    {report.content['command']}",
        _machine(report),
        f"## Summary\n{_explanation(report)}\n\n{comparison_table(report)}",
    ]
    if picture is not None:
        parts.append(f"![Performance profiles of all contenders, and their rates]({picture})")
    if report.comparisons_in_part():
        parts.append(f"## Parts\nThe same, over some of the cases.\n\n{part_table(report)}")
    folder = (DOCS / stem(report.room)).parent
    for name, shown in report.content.get("pictures", {}).items():
        if (folder / name).exists():
            parts.append(f"## {shown}\n![{shown}]({name})")
    for threads in report.threads:
        heading = f"## Threads: {threads}\nThe median time of each contender over that of {report.ours}."
        parts.append(f"{heading}\n\n{ratio_table(report, threads)}")
    parts.append(f"## Cases\n{case_table(report)}")
    for threads in report.threads:
        parts.append(f"## Measurements, threads: {threads}\n{measurement_table(report, threads)}")
    if report.notes():
        parts.append("## Not timed\n" + "\n".join(f"- {note}" for note in report.notes()))
    return "\n\n".join(parts) + "\n"


def _machine(report: Report) -> str:
    machine = report.content["machine"]
    load = machine["load"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cpus']} processors, {machine['system']}, kernels "
        f"{machine['isa']}, load average {load['before']} before and {load['after']} after. {versions}."
    )


def _explanation(report: Report) -> str:
    limits = ", ".join(f'"{name}"' for name in report.role("limit"))
    sentences = [
        "Ratios are of medians; the best peer is chosen case by case, and may use fewer threads than we do. "
        f"Errors are in units of their bound, `{report.content['bound']}`, u being the unit round-off. "
        "A first call is that of a fresh process, and memory is what it takes on top."
    ]
    if limits or "cap" not in report.content:  # which reports of the past lack
        sentences.append(f"{limits} is no contender, but the time that none can beat.")
    if report.role("context"):
        contexts = ", ".join(f'"{name}"' for name in report.role("context"))
        sentences.append(f"{contexts} is shown beside the others, and not ranked: see below.")
    if report.cap is not None:
        sentences.append(
            f"A peer's call is stopped after {report.cap:g} s, which is marked by >. Who was stopped, failed or was "
            "wrong is not tried on harder cases, nor with fewer threads, and counts with "
            + ("what was to be tried there, behind >." if report.has_counted else f"{report.cap:g} s there.")
        )
    return " ".join([*sentences, report.content.get("remark", "")]).rstrip()


def _readme(reports: Sequence[Report]) -> str | None:
    """Return README.md with the short table between its markers, or None if it has none."""
    text = README.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        print(f"README.md is left as it is: it has no place between {BEGIN} and {END}", file=sys.stderr)
        return None
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{_short_table(reports)}\n{END}{rest.split(END)[1]}"


def _short_table(reports: Sequence[Report]) -> str:
    threads = sorted({count for report in reports for count in report.threads})
    columns = [f"{count} thread{'s' if count > 1 else ''}" for count in threads]
    rows = [row for report in reports for row in _short_rows(report, threads)]
    note = "How many times faster: geometric mean over the cases, and the least in brackets."
    return f"{table(['task', 'than', *columns, 'error / bound', 'command'], rows)}\n\n{note}"


def _short_rows(report: Report, threads: Sequence[int]) -> list[list[str]]:
    comparisons = {(one.against, one.threads): one for one in report.comparisons()}
    rows = []
    for against in dict.fromkeys(label for label, _ in comparisons):
        cells = []
        for count in threads:
            found = comparisons.get((against, count))
            cells.append("" if found is None else f"{number(found.geometric_mean)} ({number(found.least[1])})")
        task = f"[{report.content['task']}](docs/benchmarks/{stem(report.room)}.md), {len(report.cases)} cases"
        peers = f"{against}: {'; '.join(report.content['summaries'][against])}"
        rows.append([task, peers, *cells, number(report.largest_error()), f"`{report.content['command']}`"])
    return rows


if __name__ == "__main__":
    sys.exit(main())
