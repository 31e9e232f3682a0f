"""
Benchmarks of nearlinear.sparse: products of two sparse matrices.

SciPy and MKL leave rows unsorted unless they are asked; both ways are timed, and rows in any order are ranked apart.
"""

import importlib.metadata
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

import nearlinear as nl
from bench import matrices
from bench.harness import Case, Contender, Room

QUICK = {"memplus", "power_grid_J", "fe_4elt", "groebner_id2003"}
CHECKED_PRODUCTS = 20_000_000  # larger products are compared in part, entry by entry
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Reference:
    """
    Some rows of the product and of |A| |B|, entry by entry, and the whole of it in its action on a vector.

    The entries are long doubles: Gustavson's algorithm sums in one order whoever runs it, so that the products of most
    contenders are equal to the last bit, and the distance between them says nothing about their errors.
    """

    rows: Any
    product: Any
    bound: Any  # nnz(A_i) u (|A| |B|)_ij
    vector: Any
    image: Any  # A (B x)
    image_bound: Any


def cases() -> list[Case]:
    pairs = {**matrices.real(), **matrices.generated()}
    return [Case(name, build, quick=name in QUICK) for name, build in pairs.items()]


def nearlinear_matmul(pair: matrices.Pair) -> Any:
    A, B = pair
    return lambda: nl.sparse.matmul(A, B)


def scipy_sorted(pair: matrices.Pair) -> Any:
    A, B = pair

    def multiply() -> Any:
        product = A @ B
        product.sort_indices()
        return product

    return multiply


def scipy_unsorted(pair: matrices.Pair) -> Any:
    A, B = pair
    return lambda: A @ B


def mkl_sorted(pair: matrices.Pair) -> Any:
    return _mkl(pair, reorder_output=True)


def mkl_unsorted(pair: matrices.Pair) -> Any:
    return _mkl(pair, reorder_output=False)


def _mkl(pair: matrices.Pair, *, reorder_output: bool) -> Any:
    show_mkl()
    from sparse_dot_mkl import dot_product_mkl

    A, B = pair
    return lambda: dot_product_mkl(A, B, reorder_output=reorder_output)


def show_mkl() -> None:
    """Tell sparse_dot_mkl where pip put the library: it looks elsewhere."""
    for file in importlib.metadata.files("mkl") or []:
        if file.name.startswith("libmkl_rt."):
            os.environ.setdefault("MKL_RT", str(file.locate()))


def graphblas_mxm(pair: matrices.Pair) -> Any:
    import graphblas

    graphblas.init("suitesparse", blocking=False)
    A, B = (graphblas.io.from_scipy_sparse(factor) for factor in pair)
    A.wait()
    B.wait()

    def multiply() -> Any:
        product = A.mxm(B, graphblas.semiring.plus_times).new()
        product.wait()  # which sorts the rows
        return product

    return multiply


def graphblas_to_scipy(product: Any) -> Any:
    import graphblas

    return graphblas.io.to_scipy_sparse(product)


def copy_of_as_many_bytes(pair: matrices.Pair) -> Any:
    """Read and write, together, as many bytes as reading A and B and writing C takes at least."""
    from concurrent.futures import ThreadPoolExecutor

    source = np.ones(facts(pair)["bytes"] // 16)
    target = np.ones_like(source)
    threads = nl.get_num_threads()
    if threads == 1:
        return lambda: np.copyto(target, source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


def facts(pair: matrices.Pair) -> dict[str, int]:
    A, B = pair
    products = int(_products_of_rows(A, B).sum())
    entries = (_pattern(A) @ _pattern(B)).nnz
    stored = [A] if B is A else [A, B]
    bytes_read = sum(12 * factor.nnz + 4 * (factor.shape[0] + 1) for factor in stored)
    return {
        "rows": A.shape[0],
        "entries of A": A.nnz,
        "products": products,
        "entries of C": entries,
        "bytes": bytes_read + 12 * entries + 4 * (A.shape[0] + 1),
        "operations": 2 * products,
    }


def reference(pair: matrices.Pair) -> Reference:
    A, B = pair
    unit = np.finfo(float).eps / 2
    products = _products_of_rows(A, B)
    rows = _some_rows(products)
    some = A[rows]
    bound = scipy.sparse.diags_array(unit * np.diff(some.indptr)) @ (abs(some) @ abs(B))
    x = np.random.default_rng(0).normal(size=B.shape[1])
    return Reference(
        rows=rows,
        product=some.astype(np.longdouble) @ B.astype(np.longdouble),
        bound=scipy.sparse.csr_array(bound),
        vector=x,
        image=A @ (B @ x),
        # Both ways sum twice, at most as many terms as the row has products, to first order.
        image_bound=4 * unit * products * (abs(A) @ (abs(B) @ abs(x))),
    )


def check(pair: matrices.Pair, expected: Reference, result: Any, contender: Contender) -> float:
    """
    Return the largest error of an entry in units of its bound; inf if the order of a row is not as promised.

    Every row takes part in a product with a random vector, which no wrong entry leaves as it should be.
    """
    C = scipy.sparse.csr_array((result.data, result.indices, result.indptr), shape=result.shape)  # without its flags
    if contender.sorts and not C.has_canonical_format:
        return np.inf
    if not (abs(C @ expected.vector - expected.image) <= expected.image_bound).all():
        return np.inf
    return _largest_error(C[expected.rows], expected.product, expected.bound)


def _largest_error(some: Any, product: Any, bound: Any) -> float:
    difference = abs(some - product)
    difference.eliminate_zeros()
    inverse = bound.copy()
    inverse.data = 1 / inverse.data
    relative = difference.multiply(inverse)
    if relative.nnz != difference.nnz:  # an entry where there is none to be
        return np.inf
    return float(relative.max()) if relative.nnz else 0.0


def _some_rows(products: Any) -> Any:
    """Return runs of neighbouring rows, drawn at random, that take some CHECKED_PRODUCTS scalar products."""
    starts = np.arange(0, products.size, ROWS_AT_ONCE)
    order = np.random.default_rng(0).permutation(starts.size)
    count = np.searchsorted(np.cumsum(np.add.reduceat(products, starts)[order]), CHECKED_PRODUCTS, side="right")
    taken = np.sort(order[: max(count, 1)])
    rows = np.add.outer(starts[taken], np.arange(ROWS_AT_ONCE)).ravel()
    return rows[rows < products.size]


def _products_of_rows(A: Any, B: Any) -> Any:
    """Return the number of scalar products that each row of A B takes."""
    return _pattern(A, dtype=np.int64) @ np.diff(B.indptr).astype(np.int64)


def _pattern(A: Any, dtype: Any = np.float64) -> Any:
    return scipy.sparse.csr_array((np.ones(A.nnz, dtype), A.indices, A.indptr), shape=A.shape)


MKL = ("sparse_dot_mkl", "mkl")
GRAPHBLAS = ("python-graphblas", "suitesparse-graphblas")

ROOM = Room(
    name="sparse.matmul",
    task="product of sparse matrices",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_matmul, role="ours"),
        Contender("scipy, sorted", scipy_sorted),
        Contender("MKL, sorted", mkl_sorted, packages=MKL),
        Contender("GraphBLAS", graphblas_mxm, export=graphblas_to_scipy, packages=GRAPHBLAS),
        Contender("scipy, unsorted", scipy_unsorted, sorts=False),
        Contender("MKL, unsorted", mkl_unsorted, packages=MKL, sorts=False),
        Contender("copy", copy_of_as_many_bytes, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="nnz(A_i) u (|A| |B|)_ij",
    tolerance=2.0,  # where long double is no longer than double, the reference has an error of its own
    summaries={
        "best peer that sorts rows": lambda contender: contender.sorts,
        "best peer, rows in any order": lambda contender: True,
    },
    remark=(
        "SciPy stores no sums that are zero: where a matrix has stored zeros it writes less than the others. A product "
        f"that takes more than {CHECKED_PRODUCTS} scalar products is compared entry by entry in some of its rows, and "
        "in all of them by its action on a random vector."
    ),
)
