"""Regression in l_p norms."""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result
from nearlinear.sampling._checks import Matrix, check_matrix, check_p_or_inf, check_weights
from nearlinear.sampling._minimax import minimax
from nearlinear.sampling._sample import RowSample, check_sample
from nearlinear.sketch._row_sketch import refuse_if_not_finite
from nearlinear.sketch._solution import check_positive

MESSAGES = (
    "the gap is at most tol",
    "maxiter iterations were not enough",
    "rounding allows no smaller gap",
)


@dataclass(frozen=True, repr=False, eq=False)
class LpRegressionResult(Result):
    r"""
    What `lp_regression` returns.

    Attributes
    ----------
    success : bool
        Whether the gap is at most `tol`.
    status : int
        0: it is; 1: `maxiter` iterations were not enough; 2: rounding allows no smaller gap.
    message : str
        The status in words.
    nit : int
        Iterations.
    x : ndarray, shape (d,)
        The solution.
    norm : float
        :math:`(\sum_i w_i |a_i^T x - b_i|^p)^{1/p}`; with a sample, over its rows alone: an estimate of that of all.
    gap : float
        1 - lower bound / norm, the lower bound of the minimum from a dual solution.
    rank : int
        Of A, or of the sampled rows.
    """

    x: NDArray[np.floating]
    norm: float
    gap: float
    rank: int


def lp_regression(
    A: Any,
    b: ArrayLike,
    p: float,
    *,
    sample: RowSample | tuple[ArrayLike, ArrayLike] | None = None,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-8,
    maxiter: int = 200,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> LpRegressionResult:
    r"""
    Regression in an l_p norm, of all rows or of a sample.

    .. math:: \min_x \sum_i w_i |a_i^T x - b_i|^p \qquad \text{or} \qquad \min_x \max_i |a_i^T x - b_i|

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    b : array_like, shape (n,)
        Right-hand side.
    p : float
        :math:`1 \leq p \leq \infty`. 1: least absolute deviations; 2: least squares; ``np.inf``: the second problem.
    sample : RowSample or pair of array_like, optional
        From `sample_rows`, of A or of [A b], or indices and weights of rows. No other rows are used.
    sample_weight : array_like, shape (n,), optional
        :math:`w_i \geq 0`; with a sample, its weights are multiplied by them. For p = inf all that counts is which are
        0.
    tol : float, default 1e-8
        Wanted gap.
    maxiter : int, default 200
        Iterations at the most; 10 to 40 are enough as a rule. Not for p = inf.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation. Not called while
        SciPy solves the linear program of p = inf.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    LpRegressionResult
        ``result.x`` is float32 when A and b are float32 or float16, else float64.

    Raises
    ------
    ValueError
        If shapes do not match, A has no rows or no columns, an entry is NaN or Inf, p or an option is out of range, a
        weight is negative, or the sample is empty or does not fit A.
    TypeError
        If an input is complex, masked or not numeric.
    Interrupted
        If `callback` returned True.

    Warns
    -----
    RuntimeWarning
        If the gap is above `tol`.

    See Also
    --------
    sample_rows : samples of rows.
    nearlinear.sketch.lstsq : least squares.

    Notes
    -----
    p = 1: a primal-dual interior point method [1]_. p = inf: the linear program :math:`\max b^T v` with
    :math:`A^T v = 0` and :math:`|v|_1 \leq 1`, whose multipliers are x, by ``scipy.optimize.linprog`` (HiGHS). Other p:
    Newton's method, which is iteratively reweighted least squares whose step a line search chooses: 1 / (p - 1) of
    the reweighting's, which diverges from p = 3 on, is Newton's. It is smoothed by an amount that vanishes. p = 2:
    least squares.

    The gap comes from v, weights and signs of residuals corrected so that :math:`A^T v = 0`: the minimum is at least
    :math:`|b^T v| / |v|_q`, 1/p + 1/q = 1. With rank-deficient A, x is the solution of least norm in coordinates in
    which columns have one length, and for p = inf any solution. Each iteration takes O(n d^2) operations; n d numbers
    of memory are used.

    References
    ----------
    .. [1] S. Portnoy and R. Koenker, "The Gaussian hare and the Laplacian tortoise: computability of squared-error
       versus absolute-error estimators", Statistical Science 12 (1997) 279-300.

    Examples
    --------
    The median, and the middle of the range:

    >>> import numpy as np
    >>> import nearlinear as nl
    >>> A, b = np.ones((5, 1)), [1, 2, 3, 4, 100]
    >>> nl.sampling.lp_regression(A, b, 1).x.round(4)
    array([3.])
    >>> nl.sampling.lp_regression(A, b, np.inf).x.round(4)
    array([50.5])

    Of 5 % of the rows:

    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((20000, 5))
    >>> b = A @ [1.0, 2, 3, 4, 5] + rng.standard_t(2, 20000)
    >>> sample = nl.sampling.sample_rows(np.column_stack([A, b]), p=1, m=1000, seed=0)
    >>> x = nl.sampling.lp_regression(A, b, 1, sample=sample).x
    >>> bool(abs(A @ x - b).sum() < 1.05 * nl.sampling.lp_regression(A, b, 1).norm)
    True
    """
    number = check_p_or_inf(p)
    tol = check_positive("tol", tol)
    limit = min(_inputs.check_int("maxiter", maxiter, minimum=0), 2**62)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="lp_regression")
    rhs = _inputs.check_array("b", b, ndim=1)
    if rhs.shape[0] != matrix.shape[0]:
        raise ValueError(f"A has shape {matrix.shape} and b has shape {rhs.shape}; they must have as many rows")
    dtype = np.result_type(matrix.dtype, rhs.dtype)
    weights = None
    if sample_weight is not None:
        weights = check_weights("sample_weight", sample_weight, matrix.shape[0], f"A has shape {matrix.shape}")
    problem = _Problem(matrix, rhs.astype(np.float64, copy=False), weights)
    if sample is not None:
        problem = problem.take(sample)
    with _progress.watch("lp_regression", callback, verbose) as keep_going:
        run = {"n_threads": threads, "callback": keep_going}
        found = problem.solve_minimax(tol, run) if number == np.inf else problem.solve(number, tol, limit, run)
    x, status, norm, gap, nit, rank = found
    if status != 0:
        warnings.warn(f"lp_regression: {MESSAGES[status]}; the gap is {gap:.1e}", RuntimeWarning, stacklevel=2)
    return LpRegressionResult(status == 0, status, MESSAGES[status], nit, x.astype(dtype, copy=False), norm, gap, rank)


_Found = tuple[NDArray[np.float64], int, float, float, int, int]  # x, status, norm, gap, iterations, rank


class _Problem(NamedTuple):
    """What is to be fitted, in float64."""

    matrix: Matrix
    rhs: NDArray[np.float64]
    weights: NDArray[np.float64] | None

    def take(self, sample: RowSample | tuple[ArrayLike, ArrayLike]) -> "_Problem":
        """Return the problem of the sampled rows."""
        indices, weights = check_sample(sample, self.matrix)
        if indices.size == 0:
            raise ValueError("sample has no rows; there is nothing to fit")
        # What is not finite is looked for in all rows, so that the message tells its place among them.
        stored = self.matrix.stored
        refuse_if_not_finite("A", stored if isinstance(stored, _inputs.Csr) else self.matrix.operand("lp_regression"))
        if self.weights is not None:
            weights = weights * self.weights[indices]
        return _Problem(self.matrix.take(indices, "lp_regression"), self.rhs[indices], weights)

    def solve(self, p: float, tol: float, maxiter: int, run: dict[str, Any]) -> _Found:
        """Minimise the sum of powers."""
        x = np.zeros(self.matrix.shape[1])
        status, norm, gap, nit, rank = _core.lp_regression(
            self.matrix.stored, self.rhs, p, self.weights, x, tol, maxiter, **run
        )
        return x, status, norm, gap, nit, rank

    def solve_minimax(self, tol: float, run: dict[str, Any]) -> _Found:
        """Minimise the maximum."""
        scores = np.zeros(self.matrix.shape[0])  # not needed, but the core tells the rank and what is wrong with A
        rank, _ = _core.leverage_scores(self.matrix.stored, scores, _core.LeverageMethod.exact, 0.0, None, 0, **run)
        A, b = self.matrix.operand("lp_regression"), self.rhs
        if self.weights is not None:
            counts = np.flatnonzero(self.weights)
            if counts.size == 0:
                raise ValueError("all weights are 0; there is nothing to fit")
            A, b = A[counts], b[counts]
        return *minimax(A, b, tol), rank
