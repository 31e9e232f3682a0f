"""Products of three sparse matrices: the Galerkin products of algebraic multigrid."""

from functools import partial
from typing import Any

import scipy.sparse

import nearlinear as nl
from bench import matrices
from bench.harness import Case, Contender, Room
from bench.sparse import matmul

POINTS = (30, 60, 100)


def cases() -> list[Case]:
    return [Case(f"galerkin_{points}", partial(factors, points), quick=points == POINTS[0]) for points in POINTS]


def factors(points: int) -> Any:
    (A, P), (R, _) = matrices.galerkin_pieces(points)
    return R, A, P


def automatic(triple: Any) -> Any:
    return lambda: nl.sparse.triple_product(*triple)


def fused(triple: Any) -> Any:
    return lambda: nl.sparse.triple_product(*triple, method="fused")


def separate(triple: Any) -> Any:
    return lambda: nl.sparse.triple_product(*triple, method="separate")


def scipy_products(triple: Any) -> Any:
    R, A, P = triple
    return lambda: R @ (A @ P)


def mkl_products(triple: Any) -> Any:
    matmul.show_mkl()
    from sparse_dot_mkl import dot_product_mkl

    R, A, P = triple
    return lambda: dot_product_mkl(R, dot_product_mkl(A, P))


def facts(triple: Any) -> dict[str, int]:
    R, A, P = triple
    first, second = matmul.facts((A, P)), matmul.facts((R, scipy.sparse.csr_array(A @ P)))
    return {"rows": A.shape[0], "operations": first["operations"] + second["operations"]}


def reference(triple: Any) -> Any:
    R, A, P = triple
    return R @ (A @ P), abs(R) @ (abs(A) @ abs(P))


def check(triple: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of an entry in units of the largest entry of |R| |A| |P|."""
    product, magnitude = expected
    return float(abs(scipy.sparse.csr_array(result) - product).max() / magnitude.max())


ROOM = Room(
    name="sparse.triple_product",
    task="Galerkin product R A P",
    cases=cases,
    contenders=[
        Contender("nearlinear", automatic, role="ours"),
        Contender("nearlinear, fused", fused),
        Contender("nearlinear, separate", separate),
        Contender("scipy, unsorted", scipy_products),
        Contender("MKL, unsorted", mkl_products, packages=matmul.MKL),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="largest entry of |R| |A| |P|",
    tolerance=1e-13,
    summaries={"best peer": lambda contender: not contender.name.startswith("nearlinear")},
)
