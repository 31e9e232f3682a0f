"""Products of a sparse and a dense matrix."""

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse

import nearlinear as nl
from bench import matrices
from bench.harness import Case, Contender, Room
from bench.sparse.matmul import MKL, show_mkl

QUICK = ("power_grid_J", 32, "right")
CASES = [
    QUICK,
    *((name, width, "right") for name in ("poisson_2d_1000", "rmat_16_8", "band_33") for width in (1, 8, 64)),
    ("erdos_renyi_17_16", 200, "right"),
    *((name, width, "left") for name in ("poisson_2d_1000", "rmat_16_8") for width in (1, 8, 64)),
]


def cases() -> list[Case]:
    return [
        Case(
            f"{name}, {width} columns" if side == "right" else f"{width} rows, {name}",
            partial(factors, name, width, side),
            quick=(name, width, side) == QUICK,
        )
        for name, width, side in CASES
    ]


def factors(name: str, width: int, side: str) -> Any:
    A = {**matrices.real(), **matrices.generated()}[name]()[0]
    random = np.random.default_rng(0)
    if side == "right":
        return A, random.standard_normal((A.shape[1], width))
    return random.standard_normal((width, A.shape[0])), A


def nearlinear_matmul(pair: Any) -> Any:
    return lambda: nl.sparse.matmul(*pair)


def scipy_matmul(pair: Any) -> Any:
    return lambda: pair[0] @ pair[1]


def mkl_matmul(pair: Any) -> Any:
    show_mkl()
    from sparse_dot_mkl import dot_product_mkl

    factors = [scipy.sparse.csr_matrix(factor) if scipy.sparse.issparse(factor) else factor for factor in pair]
    return lambda: dot_product_mkl(*factors)


def facts(pair: Any) -> dict[str, int]:
    (sparse,) = (factor for factor in pair if scipy.sparse.issparse(factor))
    (dense,) = (factor for factor in pair if not scipy.sparse.issparse(factor))
    width = min(dense.shape)
    return {"entries": sparse.nnz, "width": width, "operations": 2 * sparse.nnz * width}


def reference(pair: Any) -> Any:
    """Return some columns, or rows, of the product and of |A| |B|, in long double."""
    A, B = pair
    if scipy.sparse.issparse(A):
        X = B[:, :4].astype(np.longdouble)
        return A.astype(np.longdouble) @ X, abs(A).astype(np.longdouble) @ abs(X)
    X = A[:4].astype(np.longdouble).T
    transposed = scipy.sparse.csr_array(B.T).astype(np.longdouble)
    return (transposed @ X).T, (abs(transposed) @ abs(X)).T


def check(pair: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry in units of its bound."""
    A, B = pair
    product, magnitude = expected
    some = result[:, :4] if scipy.sparse.issparse(A) else result[:4]
    sparse = A if scipy.sparse.issparse(A) else scipy.sparse.csr_array(B.T)
    lengths = np.diff(sparse.indptr)
    lengths = lengths[:, np.newaxis] if scipy.sparse.issparse(A) else lengths
    bound = lengths * (np.finfo(float).eps / 2) * magnitude
    return float((np.abs(some - product) / np.maximum(bound, np.finfo(float).tiny)).max())


ROOM = Room(
    name="sparse.spmm",
    task="product of a sparse and a dense matrix",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_matmul, role="ours"),
        Contender("scipy", scipy_matmul),
        Contender("MKL", mkl_matmul, packages=MKL),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="l u |A| |B|, l the number of products of an entry",
    summaries={"best peer": lambda contender: True, "scipy": lambda contender: contender.name == "scipy"},
)
