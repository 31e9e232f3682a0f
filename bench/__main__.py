"""Run the benchmarks: ``python -m bench [room ...] [--quick] [--threads 1,2] [--output DIR] [--resume]``."""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import ROOMS, find, harness, machine, plots, report, stem
from bench.matrices import FURTHER_DATA
from bench.report import Report

RESULTS = harness.ROOT / "bench" / "results"


def main() -> int:
    options = _options()
    folder = options.output or (RESULTS / "quick" if options.quick else RESULTS)
    failures = []
    for name in [room for named in options.rooms or ROOMS for room in find(named)]:
        results = folder / f"{stem(name)}.json"
        results.parent.mkdir(parents=True, exist_ok=True)
        room = importlib.import_module(f"bench.{name}").ROOM
        found = _run(room, options.threads, options.quick, results, options.resume)
        _print_tables(found)
        plots.save(found, results.with_suffix(".png"))
        failures += found.failures()
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time nearlinear and its peers.")
    parser.add_argument("rooms", nargs="*", metavar="room", help=f"{', '.join(ROOMS)}; all unless named")
    parser.add_argument("--quick", action="store_true", help="small inputs and few repetitions, to see that it works")
    parser.add_argument("--threads", type=_thread_counts, default=[1, 2], help="such as 1,2, which is the default")
    parser.add_argument("--output", type=Path, help="folder for JSON and PNG; bench/results or bench/results/quick")
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run with the same was stopped")
    options = parser.parse_args()
    unknown = {name for name in options.rooms if not find(name)}
    if unknown:
        parser.error(f"there is no benchmark of {', '.join(sorted(unknown))}, only of {', '.join(ROOMS)}")
    if max(options.threads) > machine.cpus():
        parser.error(f"{max(options.threads)} threads need as many processors; this process may use {machine.cpus()}")
    return options


def _thread_counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("a number of threads is at least 1")
    return sorted(set(counts))


def _run(room: harness.Room, threads: Sequence[int], quick: bool, results: Path, resume: bool) -> Report:
    """Measure all cases, and write what there is after each of them: a run may take an hour, or be stopped."""
    packages = dict.fromkeys(package for contender in room.contenders for package in contender.packages)
    stamp = machine.stamp(packages)
    load_before = machine.load()
    content: dict[str, Any] = {
        "room": room.name,
        "task": room.task,
        "bound": room.bound,
        "remark": room.remark,
        "along": room.along,
        "rate": room.rate,
        "cap": room.longest_call(quick),
        "pictures": room.pictures,
        "quick": quick,
        "command": _command(room, threads, quick),
        "machine": stamp,
        "contenders": [{"name": one.name, "role": one.role} for one in room.contenders],
        "summaries": {
            label: [one.name for one in room.contenders if one.role == "peer" and is_among(one)]
            for label, is_among in room.summaries.items()
        },
        "cases": [],
        "measurements": [],
    }
    if resume and results.exists():
        _take_over(content, json.loads(results.read_text()), results)
        load_before = stamp.get("load", {}).get("before", load_before)
    for case, measurements in harness.run(room, threads, quick, content["measurements"]):
        content["cases"].append(case)
        content["measurements"] += measurements
        stamp["load"] = {"before": load_before, "after": machine.load()}
        results.write_text(json.dumps(content, indent=1) + "\n")
        _print_case(content, case["name"])
    return Report(content)


def _take_over(content: dict[str, Any], earlier: dict[str, Any], results: Path) -> None:
    """Take the cases of an earlier run, which must have been the same run on the same machine."""
    for key, value in json.loads(json.dumps(content)).items():
        if key not in ("machine", "cases", "measurements", "remark") and earlier[key] != value:
            sys.exit(f"--resume: {results} is of another run, its {key} differs")
    for key in ("processor", "cpus", "isa", "versions"):
        if earlier["machine"][key] != content["machine"][key]:
            sys.exit(f"--resume: {results} is of another machine or other packages, its {key} differs")
    content["machine"].update({key: earlier["machine"][key] for key in ("date", "load")})
    content["cases"], content["measurements"] = earlier["cases"], earlier["measurements"]


def _command(room: harness.Room, threads: Sequence[int], quick: bool) -> str:
    """Return what reproduces the figures, without the paths of this machine."""
    needs_folder = room.name == "sparse.matmul" and os.environ.get(FURTHER_DATA)
    words = [f"{FURTHER_DATA}=<folder>"] if needs_folder else []
    words += ["python -m bench", room.name, *(["--quick"] if quick else []), "--threads", ",".join(map(str, threads))]
    return " ".join(words)


def _print_case(content: dict[str, Any], case: str) -> None:
    so_far = Report(content)
    for threads in so_far.threads:
        print(f"\n{so_far.content['task']}, {case}, threads: {threads}")
        print(report.measurement_table(so_far, threads, [case]), flush=True)


def _print_tables(found: Report) -> None:
    print(f"\n{found.content['task']}: the time of others over ours")
    for threads in found.threads:
        print(f"\nthreads: {threads}\n{report.ratio_table(found, threads)}")
    print(f"\n{report.comparison_table(found)}\n")
    if found.comparisons_in_part():
        print(f"{report.part_table(found)}\n")
    for note in found.notes():
        print(note)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
