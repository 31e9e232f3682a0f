"""Products with masks, over semirings, and of integers, booleans and complex numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse

import nearlinear as nl
from bench import matrices
from bench.harness import Case, Contender, Room
from bench.sparse import matmul

PRODUCTS_AT_ONCE = 5_000_000
# What each semiring adds with and multiplies with, for the reference, and what GraphBLAS calls it.
PLUS: dict[str, np.ufunc] = {
    "plus_times": np.add,
    "plus_pair": np.add,
    "min_plus": np.minimum,
    "or_and": np.logical_or,
}
TIMES: dict[str, Callable[[Any, Any], Any]] = {
    "plus_times": np.multiply,
    "plus_pair": lambda a, b: np.ones(a.size, np.int64),
    "min_plus": np.add,
    "or_and": np.logical_and,
}
OF_GRAPHBLAS = {"or_and": "lor_land"}


@dataclass(frozen=True)
class Square:
    """The product A A, at the places of the mask or at all others."""

    A: Any
    semiring: str = "plus_times"
    mask: Any = None
    mask_complement: bool = False


def cases() -> list[Case]:
    inputs: dict[str, Callable[[], Square]] = {
        "triangles_rmat_12_8": partial(triangles, 12),
        "triangles_rmat_14_8": partial(triangles, 14),
        "triangles_lower_rmat_14_8": partial(triangles, 14, lower=True),
        "masked_stencil_27_30": lambda: masked(matrices.stencil_27(30)),
        "masked_poisson_2d_500": lambda: masked(matrices.laplacian(500, dimensions=2)),
        "complement_rmat_12_8": lambda: masked(matrices.rmat(scale=12, edges_per_vertex=8), mask_complement=True),
        "complement_erdos_renyi_15_8": lambda: masked(matrices.erdos_renyi(2**15, per_row=8), mask_complement=True),
        "min_plus_erdos_renyi_15_8": lambda: Square(abs(matrices.erdos_renyi(2**15, per_row=8)), "min_plus"),
        "min_plus_rmat_13_8": lambda: Square(abs(matrices.rmat(scale=13, edges_per_vertex=8)), "min_plus"),
        "or_and_rmat_13_8": lambda: Square(matrices.rmat(scale=13, edges_per_vertex=8).astype(bool), "or_and"),
        "int64_rmat_13_8": lambda: Square(integers(matrices.rmat(scale=13, edges_per_vertex=8))),
        "int64_poisson_2d_500": lambda: Square(integers(matrices.laplacian(500, dimensions=2))),
        "complex128_stencil_27_20": lambda: Square(with_phases(matrices.stencil_27(20))),
    }
    quick = {"triangles_rmat_12_8", "complement_rmat_12_8", "complex128_stencil_27_20"}
    return [Case(name, build, quick=name in quick) for name, build in inputs.items()]


def triangles(scale: int, *, lower: bool = False) -> Square:
    """
    Return A A at the places of A, for a graph without loops.

    With ``lower`` A holds every edge once, and every triangle is found once instead of six times.
    """
    directed = matrices.rmat(scale, edges_per_vertex=8)
    graph = directed + directed.T
    places = scipy.sparse.tril(graph, -1).tocsr() if lower else graph - scipy.sparse.diags_array(graph.diagonal())
    places = scipy.sparse.csr_array(places)
    places.eliminate_zeros()
    A = _with_values(places, np.ones(places.nnz, np.int64))
    return Square(A, "plus_pair", mask=A)


def masked(A: Any, *, mask_complement: bool = False) -> Square:
    return Square(A, mask=A, mask_complement=mask_complement)


def integers(A: Any) -> Any:
    """Return small positive integers at the places of A, of which no sum is zero: SciPy would drop it."""
    return _with_values(A, np.random.default_rng(0).integers(1, 10, A.nnz))


def with_phases(A: Any) -> Any:
    return _with_values(A, A.data * np.exp(1j * np.random.default_rng(0).random(A.nnz)))


def _with_values(A: Any, values: Any) -> Any:
    return scipy.sparse.csr_array((values, A.indices.astype(np.int32), A.indptr.astype(np.int32)), shape=A.shape)


def nearlinear_matmul(square: Square) -> Any:
    A, options = square.A, {"mask": square.mask, "mask_complement": square.mask_complement}
    return lambda: nl.sparse.matmul(A, A, semiring=square.semiring, **options)


def graphblas_mxm(square: Square) -> Any:
    return _graphblas(square, by_inner_products=False)


def graphblas_inner_products(square: Square) -> Any:
    """Give GraphBLAS the right factor as a transpose, which is how it is asked for inner products at the mask."""
    if square.mask is None or square.mask_complement:
        return None
    return _graphblas(square, by_inner_products=True)


def _graphblas(square: Square, *, by_inner_products: bool) -> Any:
    import graphblas

    graphblas.init("suitesparse", blocking=False)
    A = graphblas.io.from_scipy_sparse(square.A)
    A.wait()
    B = A
    if by_inner_products:
        columns = graphblas.io.from_scipy_sparse(scipy.sparse.csr_array(square.A.T))
        columns.wait()
        B = columns.T
    mask = None
    if square.mask is not None:
        places = A if square.mask is square.A else graphblas.io.from_scipy_sparse(square.mask)
        mask = ~places.S if square.mask_complement else places.S
    semiring = getattr(graphblas.semiring, OF_GRAPHBLAS.get(square.semiring, square.semiring))

    def multiply() -> Any:
        product = A.mxm(B, semiring).new(mask=mask)
        product.wait()  # which sorts the rows
        return product

    return multiply


def scipy_sorted(square: Square) -> Any:
    """Multiply, and apply the mask to the whole product. SciPy has no semirings but the ordinary ones."""
    if square.semiring == "min_plus":
        return None
    A, mask = square.A, square.mask
    ones = None if mask is None else _with_values(mask, np.ones(mask.nnz, mask.dtype))

    def multiply() -> Any:
        product = A @ A
        product.sort_indices()  # unsorted rows are masked more slowly
        if ones is None:
            return product
        kept = product.multiply(ones)
        return product - kept if square.mask_complement else kept

    return multiply


def scipy_unsorted(square: Square) -> Any:
    if square.mask is not None:
        return None
    return scipy_sorted(square) and (lambda: square.A @ square.A)


def facts(square: Square) -> dict[str, int]:
    A, mask = square.A, square.mask
    products = int(_products_of_rows(A).sum())
    return {
        "rows": A.shape[0],
        "entries of A": A.nnz,
        "entries of mask": 0 if mask is None else mask.nnz,
        "products": products,
        "operations": 2 * products,
    }


def reference(square: Square) -> tuple[Any, Any]:
    """Return the product, and the bound of the error of every entry, or None where there is nothing to round."""
    product = _product(square, PLUS[square.semiring], TIMES[square.semiring], square.A.data)
    if square.semiring != "plus_times" or square.A.dtype.kind not in "fc":
        return product, None
    magnitude = _product(square, np.add, np.multiply, abs(square.A.data))
    terms = np.repeat(np.diff(square.A.indptr), np.diff(product.indptr))
    return product, (terms + 3) * np.finfo(float).eps / 2 * magnitude.data


def _product(square: Square, plus: np.ufunc, times: Callable[[Any, Any], Any], values: Any) -> Any:
    """List all scalar products, sort them by place and add up what meets in one, some rows at a time."""
    A, cols = square.A, square.A.shape[1]
    places, sums = [np.empty(0, np.int64)], []
    wanted = None if square.mask is None else _places(square.mask)
    for begin, end in _blocks_of_rows(A):
        first, last = A.indptr[begin], A.indptr[end]
        middle = A.indices[first:last]
        counts = np.diff(A.indptr)[middle]
        left = np.repeat(np.arange(first, last), counts)
        right = np.arange(left.size) + np.repeat(A.indptr[middle] - (np.cumsum(counts) - counts), counts)
        row = np.repeat(np.arange(begin, end), np.diff(A.indptr[begin : end + 1]))
        place = np.repeat(row.astype(np.int64), counts) * cols + A.indices[right]
        if wanted is not None:
            kept = np.flatnonzero(np.isin(place, wanted, invert=square.mask_complement))
            place, left, right = place[kept], left[kept], right[kept]
        order = np.argsort(place, kind="stable")
        place, starts = np.unique(place[order], return_index=True)
        products = times(values[left], values[right])[order]
        places.append(place)
        sums.append(plus.reduceat(products, starts) if place.size else products)
    row, col = np.divmod(np.concatenate(places), cols)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=A.shape[0]))])
    return scipy.sparse.csr_array((np.concatenate(sums), col, indptr), shape=A.shape)


def _places(A: Any) -> Any:
    return np.repeat(np.arange(A.shape[0], dtype=np.int64), np.diff(A.indptr)) * A.shape[1] + A.indices


def _blocks_of_rows(A: Any) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(_products_of_rows(A))
    begin = 0
    while begin < A.shape[0]:
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + PRODUCTS_AT_ONCE, side="right")))
        yield begin, end
        begin = end


def _products_of_rows(A: Any) -> Any:
    counts = np.concatenate([[0], np.cumsum(np.diff(A.indptr).astype(np.int64)[A.indices])])
    return np.diff(counts[A.indptr])


def check(square: Square, expected: tuple[Any, Any], result: Any, contender: Contender) -> float:
    """Return the largest error of an entry in units of its bound; inf if there are others, or in another order."""
    product, bound = expected
    C = scipy.sparse.csr_array((result.data, result.indices, result.indptr), shape=result.shape)  # without its flags
    if not contender.sorts:
        C.sort_indices()
    if not (np.array_equal(C.indptr, product.indptr) and np.array_equal(C.indices, product.indices)):
        return np.inf
    if bound is None:
        return 0.0 if np.array_equal(C.data, product.data) else np.inf
    return float((abs(C.data - product.data) / bound).max())


ROOM = Room(
    name="sparse.semirings",
    task="products with masks and over semirings",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_matmul, role="ours"),
        Contender("GraphBLAS", graphblas_mxm, export=matmul.graphblas_to_scipy, packages=matmul.GRAPHBLAS),
        Contender(
            "GraphBLAS, inner products",
            graphblas_inner_products,
            export=matmul.graphblas_to_scipy,
            packages=matmul.GRAPHBLAS,
        ),
        Contender("scipy, sorted", scipy_sorted),
        Contender("scipy, unsorted", scipy_unsorted, sorts=False),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="(nnz(A_i) + 3) u (|A| |A|)_ij",
    tolerance=2.0,  # the reference is rounded, too
    summaries={
        "best peer that sorts rows": lambda contender: contender.sorts,
        "best peer, rows in any order": lambda contender: True,
    },
    remark=(
        "All are squares; triangles are counted by the semiring plus_pair. SciPy computes the product in full and then "
        "applies the mask; min_plus it has not. Integers, booleans and minima must be exact. Rates count the scalar "
        "products of the square without its mask, of which inner products skip some."
    ),
)
