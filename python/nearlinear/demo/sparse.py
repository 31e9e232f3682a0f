"""
Squares of two real matrices: which places of a circuit, and which buses of a power grid, are two steps apart.

The entry (i, j) of A A tells whether a path of two steps leads from i to j. Products like it are the core of algebraic
multigrid, graph algorithms and the elimination of unknowns. The first matrix is the circuit of a computer memory. The
second is [-B, G; -G, -B], made of the admittance matrix Y = G + iB of a power grid of 10000 buses: it has the pattern
of the Jacobian of the power flow, and its values where all voltages are 1 and no bus has a shunt.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

import nearlinear as nl
from nearlinear.demo import Outcome, timed


def demo(pictures: Path | None) -> list[Outcome]:
    matrices = {"circuit memplus squared": memplus(), "power grid squared": power_grid()}
    outcomes = [_square(task, A) for task, A in matrices.items()]
    if pictures is not None:
        _plot(matrices, outcomes, pictures / "sparse.png")
    return outcomes


def memplus() -> Any:
    return scipy.sparse.csr_array(_load("memplus"))


def power_grid() -> Any:
    Y = _load("power_grid").tocoo()
    G, B = (scipy.sparse.csr_array((part, (Y.row, Y.col)), shape=Y.shape) for part in (Y.data.real, Y.data.imag))
    return scipy.sparse.csr_array(scipy.sparse.bmat([[-B, G], [-G, -B]]))


def _load(name: str) -> Any:
    with (files("nearlinear.demo") / "data" / f"{name}.npz").open("rb") as file:
        return scipy.sparse.load_npz(file)


def _square(task: str, A: Any) -> Outcome:
    product, seconds = timed(lambda: nl.sparse.matmul(A, A), repeat=7)
    reference, peer_seconds = timed(lambda: _sorted_product(A), repeat=7)
    return Outcome(
        task=task,
        size=f"{A.shape[0]} rows, {A.nnz} entries",
        seconds=seconds,
        peer="SciPy, sorted rows",
        peer_seconds=peer_seconds,
        error=_componentwise_error(product, reference, A),
        tolerance=2.0,
    )


def _sorted_product(A: Any) -> Any:
    product = A @ A
    product.sort_indices()
    return product


def _componentwise_error(product: Any, reference: Any, A: Any) -> float:
    """Return the largest |C - R|_ij in units of its bound, nnz(A_i) u (|A| |A|)_ij, or inf if the order is wrong."""
    if not (np.diff(product.indices) > 0)[np.isin(np.arange(1, product.nnz), product.indptr, invert=True)].all():
        return np.inf
    bound = (abs(A) @ abs(A)).tocoo()
    terms = np.diff(A.indptr)[bound.row]
    bound.data = 1 / (bound.data * terms * np.finfo(A.dtype).eps / 2)
    difference = abs(product - reference)
    difference.eliminate_zeros()
    relative = difference.multiply(bound.tocsr())
    return float(relative.max()) if relative.nnz == difference.nnz else np.inf


def _plot(matrices: dict[str, Any], outcomes: list[Outcome], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.5), layout="constrained")
    for axes_of_row, (task, A), outcome in zip(figure.subplots(2, 3), matrices.items(), outcomes, strict=True):
        pattern, squared, bars = axes_of_row
        pattern.imshow(_density(A), cmap="Greys", vmin=0, vmax=1, extent=(0, A.shape[1], A.shape[0], 0))
        pattern.set(title=f"A: {task.removesuffix(' squared')}", ylabel=f"{A.nnz} entries")
        product = nl.sparse.matmul(A, A)
        squared.imshow(_density(product), cmap="Greys", vmin=0, vmax=1, extent=(0, A.shape[1], A.shape[0], 0))
        squared.set(title="A A", ylabel=f"{product.nnz} entries")
        times = [1e3 * outcome.seconds, 1e3 * outcome.peer_seconds]
        drawn = bars.barh(["nearlinear", outcome.peer], times, color=["C0", "0.6"])
        bars.bar_label(drawn, fmt="%.1f ms", padding=3)
        bars.invert_yaxis()
        bars.margins(x=0.4)
        bars.set(title=f"{outcome.peer_seconds / outcome.seconds:.1f} times faster", xlabel="milliseconds")
    figure.savefig(path, dpi=130)


def _density(A: Any, cells: int = 250) -> Any:
    """Return how dark each cell of a picture of the pattern is, such that single entries show."""
    entries = A.tocoo()
    counts, _, _ = np.histogram2d(entries.row, entries.col, bins=cells, range=((0, A.shape[0]), (0, A.shape[1])))
    return np.log1p(counts) / np.log1p(counts.max())
