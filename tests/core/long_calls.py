"""Every public function that can run long: a room joins the tests of running by adding one row."""

import atexit
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

import nearlinear as nl


@dataclass(frozen=True)
class LongCall:
    """
    ``call(size, **options)`` takes time in proportion to ``size``, about a second at 1.

    The callback of an iterative function gets the state of the iteration, and to stop it is no error.
    """

    function: str
    call: Callable[..., Any]
    iterative: bool = False

    def __str__(self):
        return self.function


def _transform(size, **options):
    x = np.zeros((2**20, max(1, int(size * 64))), dtype=np.float32)
    nl.linalg.hadamard_transform(x, check_finite=False, **options)


def _cosines(size, **options):
    """A prime number of rows: much work for little memory."""
    x = np.zeros((99991, max(1, int(size * 256))), dtype=np.float32)
    nl.linalg.dct(x, check_finite=False, **options)


def _multiply(size, **options):
    """Full matrices: much work for little memory."""
    n, k = 1000, max(1, int(size * 1000))
    A = scipy.sparse.csr_array(np.ones((n, k)))
    nl.sparse.matmul(A, A.T.tocsr(), **options)


def _multiply_masked(size, **options):
    n, k = 1000, max(1, int(size * 300))
    A = scipy.sparse.csr_array(np.ones((n, k)))
    nl.sparse.matmul(A, A.T.tocsr(), semiring="min_plus", mask=scipy.sparse.csr_array(np.ones((n, n))), **options)


def _multiply_dense(size, **options):
    A = scipy.sparse.csr_array(np.ones((1000, 1000)))
    nl.sparse.matmul(A, np.zeros((1000, max(1, int(size * 3000)))), **options)


def _sparse_gram(size, **options):
    nl.sparse.gram(scipy.sparse.csr_array(np.ones((1000, max(1, int(size * 2000))))), **options)


def _triple_product(size, **options):
    A = scipy.sparse.csr_array(np.ones((1000, 1000)))
    nl.sparse.triple_product(A[: max(1, int(size * 500))], A, A, method="fused", **options)


def _matpow(size, **options):
    n = max(1, int(1000 * size ** (1 / 3)))
    nl.sparse.matpow(scipy.sparse.csr_array(np.ones((n, n))), 2, **options)


def _plan_factors(size):
    """Every other column of B is empty, so that nothing is added by vectors."""
    k = max(1, int(size * 1000))
    return scipy.sparse.csr_array(np.ones((1000, k))), scipy.sparse.csr_array(np.tile([1.0, 0.0], (k, 1000)))


def _plan(size, **options):
    nl.sparse.MatmulPlan(*_plan_factors(size), **options)


@functools.cache
def _made_plan(size):
    A, B = _plan_factors(size)
    return nl.sparse.MatmulPlan(A, B), A.data, B.data


atexit.register(_made_plan.cache_clear)  # nanobind reports what lives longer than the interpreter as leaked


def _execute_plan(size, **options):
    plan, a, b = _made_plan(size)
    plan.execute(a, b, **options)


def _factor(size, **options):
    A = np.random.default_rng(0).normal(size=(max(1, int(size * 400)) * 1000, 60))
    nl.linalg.qr(A, mode="r", check_finite=False, **options)


def _gram(size, **options):
    nl.linalg.gram(np.zeros((max(1, int(size * 16384)), 1000)), check_finite=False, **options)


def _normal_product(size, **options):
    nl.linalg.normal_product(np.zeros((max(1, int(size * 8192)), 1000)), np.zeros((1000, 400)), **options)


def _cholesky(size, **options):
    nl.linalg.cholesky(np.eye(max(1, int(3500 * size ** (1 / 3)))), check_finite=False, **options)


def _cholesky_solve(size, **options):
    nl.linalg.cholesky_solve(np.eye(1000), np.zeros((1000, max(1, int(size * 8192)))), **options)


def _triangular_solve(size, **options):
    nl.linalg.triangular_solve(np.eye(1000), np.zeros((1000, max(1, int(size * 16384)))), **options)


def _log_sum_exp(size, **options):
    nl.linalg.log_sum_exp(np.zeros(max(1, int(size * 2**27)), np.float32), **options)


def _decompose(size, **options):
    A = np.ones((4000, max(1, int(size * 2000))))
    nl.linalg.randomized_svd(A, 50, power_iterations=7, seed=0, **options)


def _solve_large_batch(size, **options):
    k = max(1, int(3000 * size ** (1 / 3)))
    nl.linalg.solve_spd_batch(
        np.zeros((1, k, k), np.float32), np.ones((1, k), np.float32), ridge=1.0, check_finite=False, **options
    )


def _invert_fisher(size, **options):
    nl.fisher.FisherInverse(np.zeros((512, max(1, int(size * 150_000)))), copy=False, **options)


def _diagonal_of_inverse(size, **options):
    n_threads = options.pop("n_threads", None)
    G = np.zeros((512, max(1, int(size * 100_000))))
    nl.fisher.FisherInverse(G, copy=False, n_threads=n_threads).diagonal(**options)


def _transport(size, **options):
    """Costs of zero: one sweep is enough, and points of many coordinates make it a long one."""
    x, y = np.zeros((max(1, int(size * 5000)), 100)), np.zeros((2000, 100))
    b = np.arange(1.0, 2001.0)
    nl.ot.sinkhorn(None, b / b.sum(), x=x, y=y, reg=1.0, method="sinkhorn", **options)


def _transport_many(size, **options):
    x, y = np.zeros((max(2, int(size * 100)), 100, 100)), np.zeros((1000, 100))
    nl.ot.sinkhorn_batch(None, None, x=x, y=y, reg=1.0, method="sinkhorn", **options)


def _route(size, **options):
    scores = np.random.default_rng(0).normal(size=(max(2, int(size * 8)), 4096, 64))
    nl.ot.route(scores, 64, 1, **options)


def _transport_sparsely(size, **options):
    x, y = np.full((max(2, int(size * 2500)), 100), 0.01), np.zeros((2000, 100))
    b = np.arange(1.0, 2001.0)
    nl.ot.quadratic(None, b / b.sum(), x=x, y=y, reg=1e4, **options)


def _barycenter(size, **options):
    x, y = np.full((max(2, int(size * 2500)), 100), 0.01), np.zeros((2000, 100))
    x[0] = y[0] = -0.01
    A = np.ones((2, len(x)))
    A[:, 0] += [1, 0]
    A[:, 1] += [0, 1]
    nl.ot.barycenter(A, x=x, y=y, reg=1.0, **options)


def _exact_transport(size, **options):
    """Points of many coordinates, so that every row takes long."""
    x = np.random.default_rng(0).random((max(1, int(size * 2000)), 300))
    nl.ot.exact(None, None, x=x, y=1 - x[:500], **options)


def _sketch(size, **options):
    A = np.zeros((max(1, int(size * 100_000)), 50))
    nl.sketch.sketch(A, 1000, "gaussian", seed=0, check_finite=False, **options)


def _solve_least_squares(size, **options):
    A = np.random.default_rng(0).normal(size=(max(1, int(size * 400)) * 1000, 60))
    nl.sketch.lstsq(A, np.zeros(len(A)), method="tsqr", **options)


@functools.cache
def _tall(rows, cols):
    """Random rows again and again, which are made at once."""
    block = np.random.default_rng(0).standard_normal((2000, cols))
    return np.tile(block, (-(-rows // 2000), 1))[:rows]


def _leverage_scores(size, **options):
    nl.sampling.leverage_scores(_tall(max(1, int(size * 60_000)), 300), **options)


def _lewis_weights(size, **options):
    nl.sampling.lewis_weights(_tall(max(1, int(size * 15_000)), 100), 8, tol=1e-9, **options)


def _sensitivities(size, **options):
    rows = np.arange(max(1, int(size * 800))) % 2000
    nl.sampling.sensitivities(_tall(2000, 10), 1, rows=rows, **options)


def _total_sensitivity(size, **options):
    nl.sampling.total_sensitivity(_tall(2000, 10), 1, n_solves=max(2, int(size * 800)), seed=0, **options)


def _max_sensitivity(size, **options):
    """Rows that are all alike, so that bounds say little."""
    nl.sampling.max_sensitivity(_tall(max(1, int(1300 * size**0.5)), 10), 1, **options)


def _sample_rows(size, **options):
    nl.sampling.sample_rows(
        _tall(max(2, int(size * 7000)), 10), 3, max(1, int(size * 500)), score="sensitivity", seed=0, **options
    )


def _embedding_distortion(size, **options):
    sample = (np.arange(100), np.full(100, 20.0))
    directions = max(1, int(size * 45_000))
    nl.sampling.embedding_distortion(_tall(2000, 10), sample, 1, n_directions=directions, seed=0, **options)


def _lp_regression(size, **options):
    A = _tall(max(1, int(size * 200_000)), 60)
    nl.sampling.lp_regression(A, np.arange(len(A)) % 7, 1.5, **options)


@functools.cache
def _observed(rows):
    """100 entries in each row of a matrix of rank 5, the same rows again and again."""
    rng = np.random.default_rng(0)
    cols = rng.permuted(np.tile(np.arange(1000, dtype=np.int32), (500, 1)), axis=1)[:, :100]
    values = np.einsum("ik,ijk->ij", rng.standard_normal((500, 5)), rng.standard_normal((1000, 5))[cols])
    many = np.arange(rows) % 500
    parts = (values[many].ravel(), cols[many].ravel(), np.arange(rows + 1, dtype=np.int32) * 100)
    return scipy.sparse.csr_array(parts, shape=(rows, 1000))


def _complete(size, **options):
    nl.completion.complete(_observed(max(200, int(size * 5000))), 5, lam=1.0, solver="als", seed=0, **options)


@functools.cache
def _completed():
    return nl.completion.complete(_observed(500), 40, lam=1.0, seed=0, tol=1e-3)


atexit.register(_completed.cache_clear)


def _fold_in(size, **options):
    _completed().fold_in(_observed(max(1, int(size * 10_000))), **options)


LONG_CALLS = [
    LongCall("complete", _complete, iterative=True),
    LongCall("fold_in", _fold_in),
    LongCall("leverage_scores", _leverage_scores),
    LongCall("lewis_weights", _lewis_weights),
    LongCall("sensitivities", _sensitivities),
    LongCall("total_sensitivity", _total_sensitivity),
    LongCall("max_sensitivity", _max_sensitivity),
    LongCall("sample_rows", _sample_rows),
    LongCall("embedding_distortion", _embedding_distortion),
    LongCall("lp_regression", _lp_regression),
    LongCall("sketch", _sketch),
    LongCall("lstsq", _solve_least_squares),
    LongCall("FisherInverse", _invert_fisher),
    LongCall("FisherInverse.diagonal", _diagonal_of_inverse),
    LongCall("gram", _gram),
    LongCall("normal_product", _normal_product),
    LongCall("cholesky", _cholesky),
    LongCall("cholesky_solve", _cholesky_solve),
    LongCall("triangular_solve", _triangular_solve),
    LongCall("log_sum_exp", _log_sum_exp),
    LongCall("dct", _cosines),
    LongCall("solve_spd_batch", _solve_large_batch),
    LongCall("hadamard_transform", _transform),
    LongCall("qr", _factor),
    LongCall("matmul", _multiply),
    LongCall("matmul", _multiply_masked),
    LongCall("matmul", _multiply_dense),
    LongCall("MatmulPlan", _plan),
    LongCall("MatmulPlan.execute", _execute_plan),
    LongCall("gram", _sparse_gram),
    LongCall("triple_product", _triple_product),
    LongCall("matpow", _matpow),
    LongCall("randomized_svd", _decompose),
    LongCall("sinkhorn", _transport, iterative=True),
    LongCall("sinkhorn_batch", _transport_many),
    LongCall("barycenter", _barycenter, iterative=True),
    LongCall("quadratic", _transport_sparsely, iterative=True),
    LongCall("route", _route),
    LongCall("exact", _exact_transport, iterative=True),
]
