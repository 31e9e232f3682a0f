"""The matrices whose products are timed: real ones from files, and families of generated ones with fixed seeds."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from nearlinear.demo import sparse as demo

DATA = Path(__file__).parent / "data"
FURTHER_DATA = "NEARLINEAR_BENCH_DATA"  # a folder with matrices whose licences keep them out of the repository

Pair = tuple[Any, Any]  # the factors of a product


def real() -> dict[str, Callable[[], Pair]]:
    """Return the products with matrices of files: A A, or A A^T where A is rectangular."""
    paths = sorted(DATA.glob("*.npz"))
    if os.environ.get(FURTHER_DATA):
        paths += sorted(Path(os.environ[FURTHER_DATA]).glob("*.npz"))
    return {
        "memplus": lambda: square(_csr(demo.memplus())),
        "power_grid_J": lambda: square(_csr(demo.power_grid())),
        **{path.stem: partial(_square_of_file, path) for path in paths},
    }


def generated() -> dict[str, Callable[[], Pair]]:
    return {
        "rmat_14_8": lambda: square(rmat(scale=14, edges_per_vertex=8)),
        "rmat_14_16": lambda: square(rmat(scale=14, edges_per_vertex=16)),
        "rmat_15_8": lambda: square(rmat(scale=15, edges_per_vertex=8)),
        "rmat_15_16": lambda: square(rmat(scale=15, edges_per_vertex=16)),
        "rmat_16_8": lambda: square(rmat(scale=16, edges_per_vertex=8)),
        "rmat_16_16": lambda: square(rmat(scale=16, edges_per_vertex=16)),
        "erdos_renyi_17_8": lambda: square(erdos_renyi(2**17, per_row=8)),
        "erdos_renyi_17_16": lambda: square(erdos_renyi(2**17, per_row=16)),
        "erdos_renyi_20_8": lambda: square(erdos_renyi(2**20, per_row=8)),
        "poisson_2d_1000": lambda: square(laplacian(1000, dimensions=2)),
        "band_33": lambda: square(band(200_000, diagonals=33)),
        "stencil_27_100": lambda: square(stencil_27(100)),
        "galerkin_AP_100": lambda: galerkin_pieces(100)[0],
        "galerkin_RAP_100": lambda: galerkin_pieces(100)[1],
    }


def square(A: Any) -> Pair:
    return (A, A) if A.shape[0] == A.shape[1] else (A, scipy.sparse.csr_array(A.T))


def rmat(scale: int, edges_per_vertex: int) -> Any:
    """Return a graph in which every edge chooses its quadrant ``scale`` times, with probabilities a, b, c, d."""
    a, b, c = 0.57, 0.19, 0.19
    rng = np.random.default_rng(0)
    n = 2**scale
    edges = n * edges_per_vertex
    row, col = np.zeros(edges, dtype=np.int32), np.zeros(edges, dtype=np.int32)
    for _ in range(scale):
        quadrant = np.searchsorted(np.cumsum([a, b, c]), rng.random(edges), side="right").astype(np.int32)
        row, col = 2 * row + quadrant // 2, 2 * col + quadrant % 2
    return _random_values(row, col, n, rng)


def erdos_renyi(n: int, per_row: int) -> Any:
    """Return a matrix of ``per_row * n`` entries at places drawn with equal probability."""
    rng = np.random.default_rng(0)
    row, col = rng.integers(n, size=(2, per_row * n), dtype=np.int32)
    return _random_values(row, col, n, rng)


def laplacian(points: int, dimensions: int) -> Any:
    """Return the matrix of finite differences on a cube: 5 points per row in two dimensions, 7 in three."""
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(points, points))
    total = line
    for _ in range(dimensions - 1):
        total = scipy.sparse.kronsum(total, line)
    return _csr(total)


def band(n: int, diagonals: int) -> Any:
    half = diagonals // 2
    values = np.random.default_rng(0).normal(size=(diagonals, n))
    return _csr(scipy.sparse.dia_array((values, np.arange(-half, half + 1)), shape=(n, n)))


def stencil_27(points: int) -> Any:
    """Return the matrix that adds every point of a cube's grid to its 26 neighbours, with weights of their own."""
    line = scipy.sparse.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(points, points))
    return _csr(scipy.sparse.kron(line, scipy.sparse.kron(line, line)))


def galerkin_pieces(points: int) -> tuple[Pair, Pair]:
    """
    Return the products A P and R (A P) of algebraic multigrid.

    P = (I - 2/3 D^-1 A) P_0 is the smoothed prolongation, P_0 takes 2 x 2 x 2 points together, and R = P^T.
    """
    A = laplacian(points, dimensions=3)
    pairs = scipy.sparse.kron(scipy.sparse.eye_array(points // 2), np.ones((2, 1)))
    tentative = _csr(scipy.sparse.kron(pairs, scipy.sparse.kron(pairs, pairs)))
    scaled = scipy.sparse.diags_array(2 / 3 / A.diagonal()) @ A
    P = _csr(tentative - scaled @ tentative)
    return (A, P), (_csr(P.T), _csr(A @ P))


def _square_of_file(path: Path) -> Pair:
    return square(_load(path))


def _load(path: Any) -> Any:
    return _csr(scipy.sparse.load_npz(path))


def _random_values(row: Any, col: Any, n: int, rng: np.random.Generator) -> Any:
    return _csr(scipy.sparse.coo_array((rng.normal(size=row.size), (row, col)), shape=(n, n)))


def _csr(A: Any) -> Any:
    """Return A as every contender takes it: CSR, sorted, without duplicates, float64, indices of 32 bits."""
    csr = scipy.sparse.csr_array(A, dtype=np.float64)
    csr.sum_duplicates()
    csr.indptr, csr.indices = csr.indptr.astype(np.int32), csr.indices.astype(np.int32)
    return csr
