"""
The process of one measurement, started by bench/harness.py. Imports nothing that reads the number of processors before
the process is pinned.
"""

import gc
import importlib
import json
import os
import pickle
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.harness import Case, Contender, Room

FEWEST, MOST = 3, 15  # repetitions
SECONDS = {False: 1.0, True: 0.1}  # all repetitions together; True: --quick
LONG_CALL = 1.0  # seconds; what takes longer is warm after the first call


def main() -> None:
    job = json.loads(sys.argv[1])
    _pin(job["threads"])
    room: Room = importlib.import_module(f"bench.{job['room']}").ROOM
    answer = _build(room, job) if job["action"] == "build" else _measure(room, job)
    Path(job["answer"]).write_text(json.dumps(answer))


def _pin(threads: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-threads:])  # the last ones: interrupts go to the first


def _build(room: "Room", job: dict[str, Any]) -> dict[str, Any]:
    case: Case = next(case for case in room.cases() if case.name == job["case"])
    built = case.build()
    for name, value in (("input", built), ("reference", room.reference(built))):
        with (Path(job["folder"]) / f"{name}.pickle").open("wb") as file:
            pickle.dump(value, file, protocol=5)
    return {"status": "ok", "facts": room.facts(built)}


def _measure(room: "Room", job: dict[str, Any]) -> dict[str, Any]:
    contender = next(contender for contender in room.contenders if contender.name == job["contender"])
    given = _load(job, "input")
    try:
        call = contender.prepare(given)
    except ImportError as error:
        install = " ".join(contender.packages)
        return {"status": "skipped", "message": f"pip install {install} ({error})" if install else str(error)}
    if call is None:
        return {"status": "skipped", "message": "not for this case"}
    measured = _timed(call, SECONDS[job["quick"]])
    del call
    if contender.role == "limit":
        return {"status": "ok", **measured}
    return {**measured, **_checked(room, contender, given, _load(job, "reference"))}


def _load(job: dict[str, Any], name: str) -> Any:
    with (Path(job["folder"]) / f"{name}.pickle").open("rb") as file:
        return pickle.load(file)


def _timed(call: Callable[[], Any], budget: float) -> dict[str, Any]:
    """Time the call without the release of its result, which is dropped before the next one."""
    gc.disable()
    before = _reset_peak_memory()
    first = _seconds(call)
    peak = _memory("VmHWM")
    warm = first if first > LONG_CALL else _seconds(call)
    repeats = max(FEWEST, min(MOST, round(budget / warm)))
    seconds = [_seconds(call) for _ in range(repeats)]
    return {
        "first": first,
        "min": min(seconds),
        "median": statistics.median(seconds),
        "repeats": repeats,
        "memory": None if peak is None or before is None else peak - before,
    }


def _seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - begin
    del result
    return seconds


def _reset_peak_memory() -> int | None:
    """
    Begin a new peak and return the memory in use.

    Not ru_maxrss: a fresh process inherits that of its parent, and here it would hold the peak of reading the input.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux
        return None
    return _memory("VmRSS")


def _memory(field: str) -> int | None:
    """Return a field of /proc/self/status in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)


def _checked(room: "Room", contender: "Contender", given: Any, reference: Any) -> dict[str, Any]:
    call = contender.prepare(given)  # anew: a call that works in place has changed its input
    assert call is not None
    error = float(room.check(given, reference, contender.export(call()), contender))
    if error <= room.tolerance:  # false for NaN as well
        return {"status": "ok", "error": error}
    return {"status": "wrong", "message": f"the result is off by {error:.3g} times its bound, {room.bound}"}


if __name__ == "__main__":
    main()
