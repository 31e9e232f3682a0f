"""
The process of one measurement, started by bench/harness.py. Imports nothing that reads the number of processors before
the process is pinned.
"""

import gc
import importlib
import json
import math
import os
import pickle
import signal
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
ONLY_CALL = 5.0  # seconds; in a room with a cap, what takes longer is called once


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
    counted = {"counted": room.counted(built)} if room.counted is not None else {}
    return {"status": "ok", "facts": room.facts(built), **counted}


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
    limit = room.longest_call(job["quick"]) if contender.role in ("peer", "context") else None
    with _Cap(limit) as cap:
        measured, result = _timed(call, SECONDS[job["quick"]], cap, math.inf if room.cap is None else ONLY_CALL)
    del call
    if contender.role == "limit":
        return {"status": "ok", **measured}
    if result is None:
        call = contender.prepare(given)  # anew: a call that works in place has changed its input
        assert call is not None
        result = call()
    return {**measured, **_checked(room, contender, given, _load(job, "reference"), result)}


def _load(job: dict[str, Any], name: str) -> Any:
    with (Path(job["folder"]) / f"{name}.pickle").open("rb") as file:
        return pickle.load(file)


class _Cap:
    """End the process, by a signal whose status the parent knows, if one call takes longer than ``seconds``."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds if hasattr(signal, "setitimer") else None

    def __enter__(self) -> "_Cap":
        return self

    def __exit__(self, *reason: object) -> None:
        self._set(0)

    def restart(self) -> None:
        self._set(self._seconds)

    def _set(self, seconds: float | None) -> None:
        if seconds is not None and self._seconds is not None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # not a Python handler, for which compiled code has no ear
            signal.setitimer(signal.ITIMER_REAL, seconds)


def _timed(call: Callable[[], Any], budget: float, cap: _Cap, only_call: float) -> tuple[dict[str, Any], Any]:
    """
    Time the call without the release of its result, which is dropped before the next one.

    A first call that takes longer than ``only_call`` is the only one, and its result is returned as well.
    """
    gc.disable()
    before = _reset_peak_memory()
    first, result = _seconds(call, cap)
    peak = _memory("VmHWM")
    if first > only_call:
        seconds = [first]
    else:
        result = None
        warm = first if first > LONG_CALL else _seconds(call, cap)[0]
        repeats = max(FEWEST, min(MOST, round(budget / warm)))
        seconds = [_seconds(call, cap)[0] for _ in range(repeats)]
    return {
        "first": first,
        "min": min(seconds),
        "median": statistics.median(seconds),
        "repeats": len(seconds),
        "memory": None if peak is None or before is None else peak - before,
    }, result


def _seconds(call: Callable[[], Any], cap: _Cap) -> tuple[float, Any]:
    cap.restart()
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


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


def _checked(room: "Room", contender: "Contender", given: Any, reference: Any, result: Any) -> dict[str, Any]:
    found = {} if room.describe is None else room.describe(result, contender)
    described = {"found": found} if found else {}
    error = float(room.check(given, reference, contender.export(result), contender))
    if error <= room.tolerance or contender.role == "context":  # false for NaN as well
        return {"status": "ok", "error": error, **described}
    message = f"the result is off by {error:.3g} times its bound, {room.bound}"
    return {"status": "wrong", "message": message, **described}


if __name__ == "__main__":
    main()
