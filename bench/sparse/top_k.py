"""The ten most similar rows to each row: the largest entries of A A^T, which is not stored."""

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse

import nearlinear as nl
from bench.harness import Case, Contender, Room

KEPT = 10
QUICK = ("names", 5_000)
LARGEST_FULL_PRODUCT = 100_000_000  # scalar products up to which SciPy forms the whole of it


def cases() -> list[Case]:
    sizes = [QUICK, ("names", 50_000), ("documents", 3_000), ("documents", 10_000), ("ratings", 5_000)]
    return [
        Case(f"{count} {kind}", partial(similar, kind, count), quick=(kind, count) == QUICK) for kind, count in sizes
    ]


def similar(kind: str, rows: int) -> Any:
    """Return rows of norm 1 whose columns follow Zipf's law, as words, trigrams of names and films do."""
    cols, per_row, exponent = {
        "names": (20_000, 20, 0.7),
        "documents": (50_000, 100, 1.0),
        "ratings": (5_000, 60, 0.5),
    }[kind]
    rng = np.random.default_rng(0)
    weights = np.arange(1, cols + 1) ** -exponent
    lengths = rng.poisson(per_row, rows)
    drawn = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(lengths.sum()))
    counts = scipy.sparse.csr_array(
        (np.ones(drawn.size), np.minimum(drawn, cols - 1), np.concatenate([[0], np.cumsum(lengths)])),
        shape=(rows, cols),
    )
    counts.sum_duplicates()
    frequency = np.bincount(counts.indices, minlength=cols)
    A = scipy.sparse.csr_array(counts * np.log((1 + rows) / (1 + frequency)))
    norms = np.sqrt(np.asarray(A.multiply(A).sum(axis=1)).ravel())
    A = scipy.sparse.csr_array(scipy.sparse.diags_array(1 / np.maximum(norms, 1e-300)) @ A)
    A.sort_indices()
    return A, scipy.sparse.csr_array(A.T)


def nearlinear_matmul(pair: Any) -> Any:
    A, B = pair
    return lambda: nl.sparse.matmul(A, B, top_k=KEPT)


def sparse_dot_topn(pair: Any) -> Any:
    import os

    from sparse_dot_topn import sp_matmul_topn

    A, B = (scipy.sparse.csr_matrix(factor) for factor in pair)
    threads = int(os.environ["OMP_NUM_THREADS"])
    return lambda: sp_matmul_topn(A, B, top_n=KEPT, n_threads=threads)


def scipy_whole_product(pair: Any) -> Any:
    A, B = pair
    if facts(pair)["products"] > LARGEST_FULL_PRODUCT:
        return None

    def multiply() -> Any:
        product = A @ B
        kept = [_largest(product, i) for i in range(product.shape[0])]
        indptr = np.concatenate([[0], np.cumsum([places.size for places in kept])])
        places = np.concatenate(kept)
        return scipy.sparse.csr_array((product.data[places], product.indices[places], indptr), shape=product.shape)

    return multiply


def _largest(product: Any, i: int) -> Any:
    begin, end = product.indptr[i], product.indptr[i + 1]
    if end - begin <= KEPT:
        return np.arange(begin, end)
    return begin + np.argpartition(product.data[begin:end], -KEPT)[-KEPT:]


def product_unselected(pair: Any) -> Any:
    A, B = pair
    return lambda: nl.sparse.matmul_nnz(A, B)


def facts(pair: Any) -> dict[str, int]:
    A, B = pair
    products = int(np.diff(B.indptr).astype(np.int64)[A.indices].sum())
    return {"rows": A.shape[0], "entries of A": A.nnz, "products": products, "operations": 2 * products}


def reference(pair: Any) -> Any:
    """Return, for some rows, the largest entries, and the rows of the product."""
    A, B = pair
    rows = np.sort(np.random.default_rng(1).permutation(A.shape[0])[:500])
    product = (A[rows] @ B).toarray()
    return rows, product, -np.sort(-product, axis=1)[:, :KEPT]


def check(pair: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of a kept value in units of its bound; inf if others are larger."""
    rows, product, largest = expected
    some = scipy.sparse.csr_array(result)[rows]
    bound = np.finfo(float).eps / 2 * np.diff(pair[0].indptr)[rows]  # rows have norm 1: |A| |B| <= 1
    worst = 0.0
    for i in range(rows.size):
        places = slice(some.indptr[i], some.indptr[i + 1])
        found = np.zeros(KEPT)
        found[: places.stop - places.start] = -np.sort(-some.data[places])
        errors = [np.abs(some.data[places] - product[i, some.indices[places]]), np.abs(found - largest[i])]
        worst = max(worst, *(error.max(initial=0.0) / max(bound[i], 1e-300) for error in errors))
    return float(worst)


ROOM = Room(
    name="sparse.top_k",
    task=f"{KEPT} largest entries per row of A A^T",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_matmul, role="ours"),
        Contender("sparse_dot_topn", sparse_dot_topn, packages=("sparse_dot_topn",)),
        Contender("scipy, whole product", scipy_whole_product),
        Contender("nearlinear, counted only", product_unselected, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="nnz(A_i) u",
    tolerance=2.0,  # the reference is summed in double, too
    summaries={"best peer": lambda contender: True},
    remark=(
        f"SciPy takes part up to {LARGEST_FULL_PRODUCT} scalar products. 500 rows are compared. The limit is the "
        "product without a selection, and without a place for it."
    ),
)
