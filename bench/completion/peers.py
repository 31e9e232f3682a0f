"""Other packages' solvers, called as well as they can be for an exact completion: each returns what predicts."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from bench import machine
from bench.completion.problems import Predict, inner, of_factors

NO_RIDGE = 1e-9  # where lambda = 0 divides by zero
SCALE = 1e4  # of entries for cmfrec, whose conjugate gradients stop at an absolute residual
SURPRISE_STEPS = (0.6, 0.45, 0.3, 0.2)  # of stochastic gradients, times the root of k; longer ones diverge
LIBMF_STEPS = (0.8, 0.4, 0.2, 0.1)


def threads() -> int:
    """Return the number that the process of a measurement was given; else that of processors."""
    return int(os.environ.get("OMP_NUM_THREADS") or machine.cpus())


def cmfrec(X: Any, k: int, iterations: int, *, seed: int = 1) -> Predict:
    model = _cmfrec(X * SCALE, k, iterations, lam=NO_RIDGE, biases=False, use_cg=True, seed=seed)
    return of_factors(model.A_ / SCALE, model.B_)


def cmfrec_with_biases(X: Any, k: int, iterations: int, lam: float) -> Predict:
    model = _cmfrec(X, k, iterations, lam=lam, biases=True, use_cg=False, seed=1)
    predict = of_factors(model.A_, model.B_)
    return lambda rows, cols: model.glob_mean_ + model.user_bias_[rows] + model.item_bias_[cols] + predict(rows, cols)


def _cmfrec(X: Any, k: int, iterations: int, *, lam: float, biases: bool, use_cg: bool, seed: int) -> Any:
    from cmfrec import CMF

    model = CMF(
        k=k,
        lambda_=lam,
        method="als",
        use_cg=use_cg,
        finalize_chol=False,
        user_bias=biases,
        item_bias=biases,
        center=biases,
        niter=iterations,
        use_float=False,
        precompute_for_predictions=False,
        random_state=seed,
        nthreads=threads(),
        verbose=False,
    )
    return model.fit(scipy.sparse.coo_matrix(X))


def pymanopt(
    X: Any, k: int, iterations: int, *, forms_products: bool = False, gradient: float = 0.0, seconds: float = 1e9
) -> Predict:
    """
    Minimise on the manifold of matrices of rank k by conjugate gradients, from the singular vectors of X.

    The package forms products of factors, n x n, whenever it moves a vector. With three lines more it does not.
    """
    import pymanopt
    from pymanopt.manifolds import FixedRankEmbedded
    from pymanopt.optimizers import ConjugateGradient

    rows, cols = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
    residual = scipy.sparse.csr_array((X.data.copy(), X.indices, X.indptr), shape=X.shape)
    known: list[Any] = [None]  # the point that the residual is of

    def update(u: Any, s: Any, vt: Any) -> None:
        if known[0] is not u:
            residual.data[:] = inner(u * s, np.ascontiguousarray(vt.T), rows, cols) - X.data
            known[0] = u

    manifold = (FixedRankEmbedded if forms_products else _fixed_rank())(*X.shape, k)

    def cost(u: Any, s: Any, vt: Any) -> Any:
        update(u, s, vt)
        return residual.data @ residual.data / 2

    def riemannian_gradient(u: Any, s: Any, vt: Any) -> Any:
        update(u, s, vt)
        return manifold.projection((u, s, vt), residual)

    with_arrays = pymanopt.function.numpy(manifold)
    problem = pymanopt.Problem(manifold, with_arrays(cost), riemannian_gradient=with_arrays(riemannian_gradient))
    optimizer = ConjugateGradient(
        max_iterations=iterations, min_gradient_norm=gradient, min_step_size=0.0, max_time=seconds, verbosity=0
    )
    found = optimizer.run(problem, initial_point=_singular_vectors(X, k)).point
    return of_factors(found[0] * found[1], np.ascontiguousarray(found[2].T))


@cache
def _fixed_rank() -> Any:
    from pymanopt.manifolds import FixedRankEmbedded

    class FixedRank(FixedRankEmbedded):  # type: ignore[misc]
        def projection(self, point: Any, vector: Any) -> Any:
            if not isinstance(vector, (list, tuple)):
                return super().projection(point, vector)
            left, middle, right = vector
            product = _Product(left @ middle, right)
            return super().projection(point, product)

    return FixedRank


class _Product:
    """L R^T, which is not formed."""

    def __init__(self, L: Any, R: Any) -> None:
        self._L, self._R = L, R

    def __matmul__(self, X: Any) -> Any:
        return self._L @ (self._R.T @ X)

    @property
    def T(self) -> "_Product":  # noqa: N802
        return _Product(self._R, self._L)


def _singular_vectors(X: Any, k: int) -> tuple[Any, Any, Any]:
    """Return those of X as if what is missing was 0, scaled for what is missing."""
    u, s, vt = scipy.sparse.linalg.svds(X, k, tol=1e-2, random_state=0)
    order = np.argsort(-s)
    return u[:, order], s[order] * (X.shape[0] * X.shape[1] / X.nnz), vt[order]


def iterative_svd(X: Any, k: int, iterations: int) -> Predict:
    return _imputed("IterativeSVD", X, rank=k, max_iters=iterations, convergence_threshold=0.0)


def soft_impute(X: Any, k: int, iterations: int) -> Predict:
    """Shrink singular values by less than the error that is asked for."""
    shrinkage = 1e-7 * float(scipy.sparse.linalg.norm(X)) / np.sqrt(k)
    return _imputed(
        "SoftImpute", X, shrinkage_value=shrinkage, max_rank=k, max_iters=iterations, convergence_threshold=0.0
    )


def _imputed(solver: str, X: Any, **options: Any) -> Predict:
    filled = np.full(X.shape, np.nan)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    filled[rows, X.indices] = X.data
    completed = getattr(_fancyimpute(), solver)(verbose=False, **options).fit_transform(filled)
    return lambda rows, cols: completed[rows, cols]


@cache
def _fancyimpute() -> Any:
    """Import fancyimpute, which names an argument of scikit-learn's that has another name by now."""
    import sklearn.utils

    check_array = sklearn.utils.check_array

    def with_old_name(*arguments: Any, force_all_finite: Any = True, **options: Any) -> Any:
        return check_array(*arguments, **{"ensure_all_finite": force_all_finite, **options})

    sklearn.utils.check_array = with_old_name
    try:
        import fancyimpute
    finally:
        sklearn.utils.check_array = check_array
    return fancyimpute


def implicit(X: Any, k: int, iterations: int, use_cg: bool, told: Callable[[float], None]) -> Predict:
    """Fit preferences, 1 where X has an entry, with its absolute value as confidence; tell the time of each sweep."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=k,
        regularization=NO_RIDGE,
        dtype=np.float64,
        use_cg=use_cg,
        iterations=iterations,
        num_threads=threads(),
        random_state=0,
    )
    model.fit_callback = lambda iteration, seconds, loss: told(seconds)
    model.fit(scipy.sparse.csr_matrix(abs(X)), show_progress=False)
    return of_factors(model.user_factors, model.item_factors)


def libmf(X: Any, k: int, iterations: int, step: float) -> Predict:
    from libmf import mf

    engine = mf.MF(
        k=k,
        nr_threads=1,  # two may wait for each other for ever
        nr_iters=iterations,
        lambda_p1=0.0,
        lambda_p2=0.0,
        lambda_q1=0.0,
        lambda_q2=0.0,
        eta=step,
        quiet=True,
    )
    coordinates = scipy.sparse.coo_array(X)
    engine.fit(np.stack([coordinates.row, coordinates.col, coordinates.data], axis=1).copy())
    return of_factors(engine.p_factors(), engine.q_factors())  # engine.predict wants all rows before all columns


def surprise(X: Any, k: int, iterations: int, step: float, seed: int = 0) -> Predict:
    from surprise import SVD

    rate = step / np.sqrt(k)
    algorithm = SVD(n_factors=k, n_epochs=iterations, biased=False, reg_all=0.0, lr_all=rate, random_state=seed)
    algorithm.fit(_trainset(X))
    return of_factors(algorithm.pu, algorithm.qi)


def _trainset(X: Any) -> Any:
    """Return what its readers make of a table of ratings, but for the ratings by item, which SVD does not use."""
    from surprise import Trainset

    ends = X.indptr.tolist()
    entries = list(zip(X.indices.tolist(), X.data.tolist(), strict=True))
    by_user = {line: entries[ends[line] : ends[line + 1]] for line in range(X.shape[0])}
    users, items = ({line: line for line in range(size)} for size in X.shape)
    return Trainset(by_user, {}, *X.shape, X.nnz, (float(X.data.min()), float(X.data.max())), users, items)
