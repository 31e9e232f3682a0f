"""
Products of sparse matrices while other processes keep the processors busy.

A thread that spins while it waits for another one takes time from it when both share a processor, so that two threads
can take much longer than one. Ours sleep: two threads are to take at most 1.2 times as long as one, whatever else runs.
That is, "times faster than one thread" is to be at least 0.83 in every case.
"""

import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import nearlinear as nl
from bench import matrices
from bench.harness import Case, Contender, Room
from bench.sparse import matmul

BUSY_PROCESSES = 2
# It ends with the process that started it, however that one ends.
SPIN = f"""
import os
while os.getppid() == {{parent}}:
    for _ in range({10**6}):
        pass
"""


class ProductAmongOthers:
    """The product, and processes that spin as long as this object lives."""

    def __init__(self, pair: matrices.Pair, n_threads: int) -> None:
        self.pair, self.n_threads = pair, n_threads
        command = [sys.executable, "-c", SPIN.format(parent=os.getpid())]
        others = [subprocess.Popen(command) for _ in range(BUSY_PROCESSES)]
        weakref.finalize(self, _end, others)

    def __call__(self) -> Any:
        A, B = self.pair
        return nl.sparse.matmul(A, B, n_threads=self.n_threads)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def cases() -> list[Case]:
    """Return products of some milliseconds: the time slices of others weigh most there, and calls are many."""
    real, square = matrices.real(), matrices.square
    pairs: dict[str, Callable[[], matrices.Pair]] = {
        "fe_4elt": real["fe_4elt"],
        "memplus": real["memplus"],
        "rmat_12_8": lambda: square(matrices.rmat(scale=12, edges_per_vertex=8)),
        "erdos_renyi_14_8": lambda: square(matrices.erdos_renyi(2**14, per_row=8)),
        "poisson_2d_300": lambda: square(matrices.laplacian(300, dimensions=2)),
        "stencil_27_20": lambda: square(matrices.stencil_27(20)),
    }
    return [Case(name, build, quick=name in ("fe_4elt", "memplus")) for name, build in pairs.items()]


def product(n_threads: int, pair: matrices.Pair) -> Callable[[], Any] | None:
    """Return the call, or None where the process is pinned to one processor and two threads could but take turns."""
    return ProductAmongOthers(pair, n_threads) if nl.get_num_threads() >= 2 else None


ROOM = Room(
    name="sparse.busy",
    task="product of sparse matrices on busy processors",
    cases=cases,
    contenders=[
        Contender("2 threads", partial(product, 2), role="ours"),
        Contender("1 thread", partial(product, 1)),
    ],
    facts=matmul.facts,
    reference=matmul.reference,
    check=matmul.check,
    bound="nnz(A_i) u (|A| |B|)_ij",
    tolerance=2.0,
    summaries={"one thread": lambda contender: True},
    remark=(
        f"All contenders are nearlinear's, pinned to two processors on which {BUSY_PROCESSES} other processes spin. "
        "Two threads are to take at most 1.2 times as long as one: at least 0.83 times faster in every case."
    ),
)
