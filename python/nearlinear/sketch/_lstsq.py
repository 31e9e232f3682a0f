"""Least squares."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result
from nearlinear.sketch._families import KINDS, SPARSE_KINDS, SketchKind, core_kind
from nearlinear.sketch._solution import as_solution, check_positive, check_probability, intervals, sketch_rows
from nearlinear.sketch._sources import Source, source_of

__all__ = ["LstsqResult", "lstsq"]

Method = Literal["auto", "cholesky", "gram", "sketch-cg", "sketch-solve", "tsqr"]
METHODS = ("auto", "cholesky", "gram", "sketch-cg", "sketch-solve", "tsqr")
MESSAGES = (
    "the solution is as accurate as it can be",
    "maxiter iterations were not enough",
    "the method makes no progress: A is too ill-conditioned for it",
    "the solution of a sketch, with error bars",
)


@dataclass(frozen=True, repr=False, eq=False)
class LstsqResult(Result):
    r"""
    What `lstsq` returns.

    Attributes
    ----------
    success : bool
        Whether x is as accurate as asked for; for "sketch-solve" True.
    status : int
        0: it is; 1: `maxiter` iterations were not enough; 2: the method makes no progress; 3: x is an estimate with
        error bars ("sketch-solve").
    message : str
        The status in words.
    nit : int
        Iterations of conjugate gradients, else corrections by refinement.
    x : ndarray, shape (d,) or (d, p)
        The solution.
    residual_norm : float or ndarray, shape (p,)
        :math:`|b - A x|_2`, weighted with `sample_weight`; an estimate for "sketch-solve".
    rank : int
        Of A. Below min(n, d), x is the solution of least norm.
    cond : float
        Condition number of A in the 2-norm, estimated; infinite when the rank is deficient.
    backward_error : float
        x solves a problem whose matrix differs from A by this much, relative to :math:`\|A\|_F` (Karlson and Walden);
        the largest of all right-hand sides. An upper bound for d > 256, NaN where A was read only once.
    passes : int
        How often A was read.
    method : str
        What yielded x.
    coef_err, linf_bound : ndarray or None
        For "sketch-solve": standard errors of the coefficients as estimates of the exact ones, and a bound of the
        largest error, which holds with probability 1 - delta.
    """

    x: NDArray[np.floating]
    residual_norm: float | NDArray[np.float64]
    rank: int
    cond: float
    backward_error: float
    passes: int
    method: str
    coef_err: NDArray[np.float64] | None = None
    linf_bound: float | NDArray[np.float64] | None = None
    _problem: "_Problem | None" = field(default=None, compare=False)

    def _names(self) -> list[str]:
        return [name for name in super()._names() if not name.startswith("_")]

    def covariance(self) -> NDArray[np.float64]:
        r"""
        Return the covariance of the coefficients under independent errors of b of one variance.

        .. math:: \frac{|b - A x|^2}{n - d} (A^T A)^{-1}, \quad \text{with a ridge} \quad
            \frac{|b - A x|^2}{n - d} G^{-1} A^T A \, G^{-1}, \; G = A^T A + \lambda I

        of the exact solution, by its triangular factor. Where the method had none ("sketch-cg"), it is computed now.
        Shape (d, d) or, with p right-hand sides, (p, d, d).

        Raises
        ------
        ValueError
            For "sketch-solve", which has `coef_err` instead, for rank-deficient A, and where n <= d.
        """
        if self._problem is None or self.status == 3:
            raise ValueError("there is no covariance of an estimate from a sketch; see coef_err")
        return self._problem.covariance(self)

    def conf_int(self, level: float = 0.95) -> NDArray[np.float64]:
        """
        Return intervals of the coefficients, lower and upper ends, shape (..., 2).

        For "sketch-solve" they hold the coefficients of the exact solution with probability `level`. For exact
        solutions they are those of regression: what b's errors leave open, by `covariance`.
        """
        if self.status == 3 and self.coef_err is not None and self._problem is not None:
            return intervals(self.x, self.coef_err, self._problem.sketch_freedom, level)
        if self._problem is None:
            raise ValueError("there are no intervals for this solution")
        variances = np.diagonal(self.covariance(), axis1=-2, axis2=-1)
        return intervals(self.x, np.sqrt(variances).T.reshape(self.x.shape), self._problem.freedom, level)


class _Problem(NamedTuple):
    """What a result keeps for its covariance."""

    rows: int
    cols: int
    ridge: float
    factor: NDArray[np.float64]
    make_factor: Callable[[], NDArray[np.float64]]
    sketch_freedom: int

    @property
    def freedom(self) -> int:
        return self.rows - self.cols

    def covariance(self, result: LstsqResult) -> NDArray[np.float64]:
        if self.freedom <= 0:
            raise ValueError(
                f"A has {self.rows} rows and {self.cols} columns; there is no covariance unless it has more rows"
            )
        if result.rank < self.cols:
            raise ValueError(f"A has rank {result.rank} but {self.cols} columns; its coefficients have no covariance")
        R = (self.factor if self.factor.size > 0 else self.make_factor()).reshape(self.cols, self.cols)
        from scipy.linalg import solve_triangular

        inverse = solve_triangular(R, np.eye(self.cols))
        scaled = inverse @ inverse.T
        if self.ridge > 0:
            scaled = scaled - self.ridge * (scaled @ scaled)
        squares = np.square(result.residual_norm) / self.freedom
        covariance: NDArray[np.float64] = np.multiply.outer(squares, scaled)
        return covariance


def lstsq(
    A: Any,
    b: ArrayLike | None = None,
    *,
    method: Method = "auto",
    sketch: Literal["auto"] | SketchKind = "auto",
    m: int | None = None,
    eps: float | None = None,
    delta: float = 0.05,
    ridge: float = 0.0,
    sample_weight: ArrayLike | None = None,
    rcond: float | None = None,
    tol: float | None = None,
    maxiter: int | None = None,
    x0: ArrayLike | None = None,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> LstsqResult:
    r"""
    Least squares, as accurate as by QR at any conditioning, or by one pass with error bars.

    .. math:: \min_x \|A x - b\|_2^2 + \lambda \|x\|_2^2

    and of many solutions the one of least norm.

    Parameters
    ----------
    A : array_like, sparse array, LinearOperator, or iterable of blocks of rows; shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns. An iterable yields arrays, or pairs of rows of A and
        of b; what can be iterated once only is read once. `LstsqStream` reads files.
    b : array_like, shape (n,) or (n, p), optional
        Right-hand sides. None if the iterable A yields pairs.
    method : {"auto", "cholesky", "gram", "sketch-cg", "sketch-solve", "tsqr"}, default "auto"
        ================  ============================================================  ====================
        method            what it does                                                  passes, operations
        ================  ============================================================  ====================
        "cholesky"        Cholesky factor of :math:`A^T A`, refinement; up to           2 to 4, n d^2
                          condition numbers of 1e7, of A with scaled columns
        "gram"            R of a sketch; Cholesky factor of                             3 to 5, 2 n d^2
                          :math:`R^{-T} A^T A R^{-1}`, refinement
        "sketch-cg"       R of a sketch, conjugate gradients, refinement                25, O(m d^2)
        "tsqr"            QR of A; singular values of R if it is singular               2, 2 n d^2
        "sketch-solve"    :math:`\arg\min |S (A x - b)|`, with error bars               1, O(m d^2)
        ================  ============================================================  ====================

        Refinement is that of [1]_. "auto" takes the one of the first four with the least estimated time; what is too
        ill-conditioned for it, or does not reach full accuracy, is handed on, in the end to "tsqr". The same happens to
        methods that are asked for: see ``result.method``.
    sketch : {"auto", "block-hadamard", "srht", "sjlt", "gaussian", "dct", "pooled", "countsketch"}, default "auto"
        The kind of sketch, see `sketch`. "auto": "sjlt" for sparse A, "block-hadamard" for others.
    m : int, optional
        Rows of the sketch. By default as many as cost least; for "sketch-solve", those of `eps` or 16 d.
    eps : float, optional
        For "sketch-solve": m such that :math:`|x_i - x^*_i| \leq \epsilon d^{-1/2} |b - A x^*| \|A^+\|` for all i with
        probability 1 - delta, see `sketch_rows`. Sparse sketches cannot promise this, whatever m is, and warn.
    delta : float, default 0.05
        Probability that ``linf_bound`` fails.
    ridge : float, default 0.0
        :math:`\lambda`.
    sample_weight : array_like, shape (n,), optional
        Weights :math:`w_i \geq 0` of the squares of residuals. Not for LinearOperators and iterables.
    rcond : float, optional
        Singular values of A below ``rcond`` times the largest count as 0, as in SciPy. By default A is deficient if its
        columns, scaled to one length, are dependent to 15 units of rounding; badly scaled columns are no reason.
    tol : float, optional
        Wanted backward error, relative to :math:`\|A\|_F`. By default the unit round-off: 1.1e-16, or 6e-8 in float32.
    maxiter : int, optional
        Iterations of conjugate gradients, 100 by default.
    x0 : array_like, shape (d,) or (d, p), optional
        Where iterations start. Without effect on direct methods and on rank-deficient problems.
    seed : int or numpy.random.Generator, optional
        Decides the sketch. By default 0 for methods whose result is exact, and new every time for "sketch-solve".
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    LstsqResult
        ``result.x`` is float32 when A and b are, else float64. Equal to the last bit for every number of threads.

    Raises
    ------
    ValueError
        If shapes do not match, A has no rows or no columns, an entry is NaN or Inf, or an option is out of range.
    TypeError
        If an input is complex, masked or not numeric.
    Interrupted
        If `callback` returned True.

    Warns
    -----
    UserWarning
        If "sketch-solve" with a sparse sketch is asked for with `eps`; if "srht" or "dct" have so few rows
        (m < d log(d / delta)) that they can lose directions; if x did not reach `tol`; if A has no full rank.

    See Also
    --------
    LstsqStream : matrices that are larger than the memory.
    RowSketch : sketches of rows that arrive over time.
    nearlinear.linalg.lsqr : sparse problems with too many columns for a dense factor.

    Notes
    -----
    Sparse A: "cholesky", then "sketch-cg"; both form dense d x d matrices. LinearOperators: "sketch-cg" alone. n < d: R
    of :math:`A^T`, x as :math:`A^T R^{-1} R^{-T} b`, and refinement.

    The l_inf guarantee of "sketch-solve" is proved for "gaussian", exactly; for "pooled", with more padding than is
    used here [3]_; and for "srht" with :math:`d^{1 + o(1)}` rows [4]_. The proof for "srht" with d polylog(n) rows [2]_
    is disputed by two of its authors [3]_. What was measured agrees with the Gaussian formula for "srht", "dct",
    "pooled" and "block-hadamard".

    References
    ----------
    .. [1] E. N. Epperly, M. Meier and Y. Nakatsukasa, "Fast randomized least-squares solvers can be just as accurate
       and stable as classical direct solvers", Communications on Pure and Applied Mathematics, 2025.
    .. [2] Z. Song, M. Ye, J. Yin and L. Zhang, "A nearly-optimal bound for fast regression with l_inf guarantee", ICML
       2023.
    .. [3] Z. Song and L. Zhang, "Hadamard flattening and Gaussian pooling sketch for least squares with coordinate-wise
       guarantee", 2026.
    .. [4] E. Price, Z. Song and D. P. Woodruff, "Fast regression with an l_inf guarantee", ICALP 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> result = nl.sketch.lstsq([[1, 0], [1, 1], [1, 2]], [6, 0, 0])
    >>> result.x.round(6)
    array([ 5., -3.])

    One pass, and how far each coefficient may be from the exact one:

    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((20000, 5))
    >>> b = A @ np.ones(5) + rng.standard_normal(20000)
    >>> estimate = nl.sketch.lstsq(A, b, method="sketch-solve", m=1000, seed=1)
    >>> exact = nl.sketch.lstsq(A, b)
    >>> bool(np.max(abs(estimate.x - exact.x)) < estimate.linf_bound)
    True
    """
    options = _core.LstsqOptions()
    options.method = getattr(_core.LstsqMethod, _inputs.check_choice("method", method, METHODS).replace("-", "_"))
    _inputs.check_choice("sketch", sketch, ("auto", *KINDS))
    options.sketch = None if sketch == "auto" else core_kind("sketch", sketch)
    options.delta = check_probability("delta", delta)
    options.ridge = _inputs.check_real("ridge", ridge)
    options.rcond = _inputs.check_optional_real("rcond", rcond)
    if rcond is not None and rcond >= 1:
        raise ValueError(f"rcond is {rcond}; it must be below 1")
    options.tol = None if tol is None else check_positive("tol", tol)
    options.maxiter = 100 if maxiter is None else _inputs.check_int("maxiter", maxiter, minimum=0)
    options.seed = 0 if seed is None and method != "sketch-solve" else _inputs.check_seed(seed)
    m = None if m is None else _inputs.check_int("m", m, minimum=1)
    _check_eps(method, eps, m)
    source = source_of(A, b, sample_weight)
    d = source.cols
    if eps is not None:
        m = sketch_rows(d, eps, delta)
    options.sketch_rows = _check_sketch_rows(method, source, m)
    _warn_of_sketch(sketch, source, options.sketch_rows, eps, delta)

    shape = (d,) if source.rhs_ndim == 1 else (d, source.rhs)
    x = np.zeros(shape, dtype=source.dtype)
    if x0 is not None:
        guess = _inputs.check_array("x0", x0, ndim=len(shape))
        if guess.shape != shape:
            raise ValueError(f"x0 has shape {guess.shape}; it must have shape {shape}")
        x[...] = guess
        options.has_guess = True
    threads = _inputs.check_n_threads(n_threads)
    columns = _inputs.as_columns(x)
    with _progress.watch("lstsq", callback, verbose) as keep_going:
        found = source.solve(columns, options, threads, keep_going)
    code, status, rank, cond, backward_error, passes, nit, residual_norm, factor, estimate = found
    if status in (1, 2):
        warnings.warn(f"lstsq: {MESSAGES[status]}; the backward error is {backward_error:.1e}", stacklevel=2)
    if rank < min(source.rows, d):
        warnings.warn(f"lstsq: A has shape {(source.rows, d)} and rank {rank}; x is that of least norm", stacklevel=2)

    def make_factor() -> NDArray[np.float64]:
        again = _core.LstsqOptions()
        again.method = _core.LstsqMethod.gram
        again.ridge = options.ridge
        return source.solve(np.zeros_like(columns), again, threads, None)[8]  # type: ignore[no-any-return]

    single = source.rhs_ndim == 1
    freedom = options.sketch_rows - d
    solution = as_solution(estimate, d, shape, freedom) if status == 3 else None
    return LstsqResult(
        status in (0, 3),
        status,
        MESSAGES[status],
        nit,
        x,
        float(residual_norm[0]) if single else residual_norm,
        rank,
        cond,
        backward_error,
        passes,
        code.name.replace("_", "-"),
        None if solution is None else solution.coef_err,
        None if solution is None else solution.linf_bound,
        _Problem(source.rows, d, options.ridge, factor, make_factor, freedom),
    )


def _check_eps(method: str, eps: float | None, m: int | None) -> None:
    if eps is None:
        return
    check_positive("eps", eps)
    if method != "sketch-solve":
        raise ValueError(f"eps is for method 'sketch-solve', and method is {method!r}")
    if m is not None:
        raise ValueError(f"eps is {eps} and m is {m}; give one of them")


def _check_sketch_rows(method: str, source: Source, m: int | None) -> int:
    """Return the rows of the sketch, 0 where the core is to choose."""
    d, is_estimate = source.cols, method == "sketch-solve"
    if is_estimate and 0 < source.rows < d:
        raise ValueError(f"A has shape {(source.rows, d)}; 'sketch-solve' needs at least as many rows as columns")
    if m is None:
        return 16 * d if is_estimate else 0
    if m < d or (is_estimate and m == d):
        least = "more" if is_estimate else "at least as many"
        raise ValueError(f"m is {m} and A has {d} columns; a sketch to solve must have {least} rows")
    return m


def _warn_of_sketch(sketch: str, source: Source, rows: int, eps: float | None, delta: float) -> None:
    d = source.cols
    kind = sketch if sketch != "auto" else ("sjlt" if source.is_sparse else "block-hadamard")
    if eps is not None and kind in SPARSE_KINDS:
        warnings.warn(
            f"sketch {kind!r} gives no l_inf guarantee, whatever m is: one row that meets another in the sketch moves "
            "a coefficient by |b - A x|. Take 'srht', 'block-hadamard' or 'gaussian' with eps",
            stacklevel=3,
        )
    if kind in ("srht", "dct") and 0 < rows < d * np.log(d / delta):
        warnings.warn(
            f"sketch {kind!r} with {rows} rows can lose one of {d} directions; from d log(d / delta) = "
            f"{int(np.ceil(d * np.log(d / delta)))} rows on this is unlikely",
            stacklevel=3,
        )
