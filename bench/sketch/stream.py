"""Least squares with a file that is read by windows, and never held in memory."""

import functools
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.sketch.accuracy import solution, triangular_factor

COLUMNS = 96
SIZES = (50_000, 2_600_000)  # rows; the last make 2 GB
BLOCK = 20_000  # rows that are made, or read, at a time; 16 MB
NOISE = 1e-3
TOLERANCE = 1e-10
CAP = 120.0  # seconds


@dataclass(frozen=True)
class Rows:
    """Rows of A and b, the same numbers in every process: nothing but sums of few terms makes them."""

    n: int

    def blocks(self) -> Iterator[Any]:
        """Yield [A b] by blocks; its columns have much in common, and different scales."""
        x = np.random.default_rng(0).standard_normal(COLUMNS)
        scales = np.logspace(0, -2, COLUMNS)
        for index, begin in enumerate(range(0, self.n, BLOCK)):
            random = np.random.default_rng((1, index))
            rows = min(BLOCK, self.n - begin)
            A = (random.standard_normal((rows, COLUMNS)) + random.standard_normal((rows, 1))) * scales
            yield np.column_stack([A, (A * x).sum(axis=1) + NOISE * random.standard_normal(rows)])


class RowFile:
    """Rows in a file, which is removed when the process ends."""

    def __init__(self, rows: Rows) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nearlinear-bench-")
        self.path = Path(self._folder.name) / "rows.bin"
        with self.path.open("wb") as file:
            for block in rows.blocks():
                block.tofile(file)

    def windows(self) -> Iterator[Any]:
        bytes_of_block = BLOCK * (COLUMNS + 1) * 8
        for offset in range(0, self.path.stat().st_size, bytes_of_block):
            yield np.fromfile(self.path, count=BLOCK * (COLUMNS + 1), offset=offset).reshape(-1, COLUMNS + 1)

    def whole(self) -> tuple[Any, Any]:
        rows = np.fromfile(self.path).reshape(-1, COLUMNS + 1)
        return np.ascontiguousarray(rows[:, :-1]), rows[:, -1].copy()


@functools.cache
def file_of(rows: Rows) -> RowFile:
    """Write the file once per process: a measurement prepares its call more than once."""
    return RowFile(rows)


@dataclass(frozen=True)
class Answer:
    x: Any
    told: dict[str, float]


def cases() -> list[Case]:
    return [
        Case(f"{n} rows, {8 * n * (COLUMNS + 1) / 1e6:.0f} MB", functools.partial(Rows, n), quick=n == SIZES[0])
        for n in SIZES
    ]


def stream(rows: Rows) -> Callable[[], Answer]:
    blocks = nl.sketch.LstsqStream.from_file(file_of(rows).path, COLUMNS + 1, target=COLUMNS)
    return lambda: answer_of(blocks.solve())


def in_memory(rows: Rows) -> Callable[[], Answer]:
    file = file_of(rows)
    return lambda: answer_of(nl.sketch.lstsq(*file.whole()))


def answer_of(found: nl.sketch.LstsqResult) -> Answer:
    return Answer(found.x, {"passes": found.passes})


def peer(solve: Callable[[RowFile], Any]) -> Callable[[Rows], Callable[[], Answer]]:
    """Return what prepares a call that solves by the file."""

    def prepare(rows: Rows) -> Callable[[], Answer]:
        file = file_of(rows)
        return lambda: Answer(solve(file), {})

    return prepare


def numpy_qr(file: RowFile) -> Any:
    return solution(triangular_factor(file.windows()))


def gelsd(file: RowFile) -> Any:
    return scipy.linalg.lstsq(*file.whole(), overwrite_a=True, check_finite=False)[0]


def normal_equations(file: RowFile) -> Any:
    gram = np.zeros((COLUMNS + 1, COLUMNS + 1))
    for window in file.windows():
        gram += window.T @ window
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram[:-1, :-1]), gram[:-1, -1])


def one_read(rows: Rows) -> Callable[[], Any]:
    file = file_of(rows)
    return lambda: sum(len(window) for window in file.windows())


def facts(rows: Rows) -> dict[str, int]:
    size = 8 * rows.n * (COLUMNS + 1)
    return {"rows": rows.n, "columns": COLUMNS, "bytes": size, "operations": size}


def reference(rows: Rows) -> Any:
    return solution(triangular_factor(rows.blocks()))


def check(rows: Rows, expected: Any, answer: Answer, contender: Contender) -> float:
    """Return the relative error of x in units of its bound."""
    return float(np.linalg.norm(answer.x - expected) / (TOLERANCE * np.linalg.norm(expected)))


def describe(answer: Answer, contender: Contender) -> dict[str, float]:
    return {**answer.told, "peak MB": round(peak_memory() / 1e6, 1)}


def peak_memory() -> int:
    """Return the most memory of the process in bytes, since it has begun its first call where Linux tells."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(
            1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")
        )
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


ROOM = Room(
    name="sketch.stream",
    task="least squares with a file",
    cases=cases,
    contenders=[
        Contender("nearlinear", stream, role="ours"),
        Contender("nearlinear, in memory", in_memory, role="ours"),
        Contender("numpy QR, by windows", peer(numpy_qr), uses_blas=True),
        Contender("scipy gelsd, in memory", peer(gelsd), uses_blas=True),
        Contender("normal equations, by windows", peer(normal_equations), role="context", uses_blas=True),
        Contender("one read of the file", one_read, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound=f"{TOLERANCE:g} |x|",
    summaries={
        "best peer": lambda contender: True,
        "by windows": lambda contender: "by windows" in contender.name,
    },
    remark=(
        "The file was just written, so that the system may have it in memory; one thread reads it. Peak MB is the most "
        "memory of the whole process, interpreter and libraries included; memory MB is what the first call adds. Who "
        "solves in memory reads the whole file first, which is part of the time. Errors are those of x, beside the "
        "solution of QR by blocks."
    ),
    rate="GB/s",
    cap=CAP,
    describe=describe,
)
