"""Gram matrices of sparse matrices: up to half the work of a product."""

from typing import Any

import nearlinear as nl
from bench import matrices
from bench.harness import Case, Contender, Room
from bench.sparse import matmul

QUICK = {"memplus", "fe_4elt"}
NAMES = ("rmat_14_8", "rmat_14_16", "rmat_16_8", "erdos_renyi_17_8", "poisson_2d_1000", "band_33")


def cases() -> list[Case]:
    builders = {**matrices.real(), **{name: matrices.generated()[name] for name in NAMES}}
    return [Case(name, _with_transpose(build), quick=name in QUICK) for name, build in builders.items()]


def _with_transpose(build: Any) -> Any:
    """Return the matrix and its transpose, both in compressed rows, as `matmul` takes them."""

    def pair() -> Any:
        A = build()[0]
        transposed = A.T.tocsr()
        transposed.indices, transposed.indptr = transposed.indices.astype("i4"), transposed.indptr.astype("i4")
        return A, transposed

    return pair


def half(pair: Any) -> Any:
    return lambda: nl.sparse.gram(pair[0], method="half")


def nearlinear_gram(pair: Any) -> Any:
    return lambda: nl.sparse.gram(pair[0])


ROOM = Room(
    name="sparse.gram",
    task="product of a sparse matrix and its own transpose",
    cases=cases,
    contenders=[
        Contender("nearlinear, gram", nearlinear_gram, role="ours"),
        Contender("nearlinear, half", half),
        Contender("nearlinear, matmul", matmul.nearlinear_matmul),
        Contender("scipy, sorted", matmul.scipy_sorted),
        Contender("scipy, unsorted", matmul.scipy_unsorted, sorts=False),
        Contender("MKL, sorted", matmul.mkl_sorted, packages=matmul.MKL),
    ],
    facts=matmul.facts,
    reference=matmul.reference,
    check=matmul.check,
    bound="nnz(A_i) u (|A| |B|)_ij",
    tolerance=2.0,
    summaries={
        "matmul": lambda contender: contender.name == "nearlinear, matmul",
        "best peer that sorts rows": lambda contender: contender.sorts and not contender.name.startswith("nearlinear"),
    },
    remark="The transpose is made before the clock starts; gram makes it itself.",
)
