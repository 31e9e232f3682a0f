"""What a figure depends on besides the code: the machine, its load and the versions of everything that was timed."""

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


def stamp(packages: Iterable[str]) -> dict[str, Any]:
    """Return date, processor, kernels in use and the versions of NumPy, SciPy and ``packages`` where installed."""
    import nearlinear

    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cpus": cpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "isa": nearlinear.isa(),
        "versions": {"python": platform.python_version(), "nearlinear": nearlinear.__version__, **_versions(packages)},
    }


def cpus() -> int:
    """Return the number of processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """Return the load average of the last minute, rounded."""
    return round(os.getloadavg()[0], 2)


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in ("numpy", "scipy", *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor()
