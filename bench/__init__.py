"""
Benchmarks: ``python -m bench [room ...]`` from the root of the repository.

A room joins with a module ``bench/<room>.py`` that holds ``ROOM``, a :class:`bench.harness.Room`; one with several
tasks has a folder with a module for each. ``python -m bench linalg`` runs all tasks of a room.
"""

ROOMS = (
    "completion.complete",
    "fisher.diagonal",
    "fisher.products",
    "fisher.setup",
    "fisher.slide",
    "fisher.step",
    "linalg.batched_solve",
    "linalg.cholesky",
    "linalg.cholesky_update",
    "linalg.dct",
    "linalg.exponential",
    "linalg.gemm",
    "linalg.gram",
    "linalg.hadamard",
    "linalg.iterative_solve",
    "linalg.normal_product",
    "linalg.qr",
    "linalg.qr_thin",
    "linalg.randomized_svd",
    "linalg.top_k",
    "linalg.triangular_solve",
    "ot.exact",
    "ot.newton_sparse",
    "ot.point_clouds",
    "ot.quadratic",
    "ot.route",
    "ot.sinkhorn",
    "ot.sparse_plan",
    "sampling.leverage",
    "sampling.lewis",
    "sampling.sensitivities",
    "sketch.lstsq",
    "sketch.sketches",
    "sketch.sparse_lstsq",
    "sketch.stream",
    "sparse.busy",
    "sparse.gram",
    "sparse.matmul",
    "sparse.plan",
    "sparse.semirings",
    "sparse.spmm",
    "sparse.top_k",
    "sparse.triple_product",
)


def find(name: str) -> list[str]:
    """Return the tasks that ``name`` stands for: one, or all of a room."""
    return [room for room in ROOMS if room == name or room.startswith(f"{name}.")]


def stem(room: str) -> str:
    """Return where a task's files lie below a folder of results, without their suffix."""
    return room.replace(".", "/")
