"""Completion of matrices of low rank."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.completion._low_rank import Seen
from nearlinear.completion._observations import Observations, observe
from nearlinear.completion._options import check_dtype, check_init, check_options, held_out_fraction
from nearlinear.completion._result import (
    MAXITER,
    STOPPED,
    Completion,
    CompletionStep,
    CompletionWarning,
    Found,
    history_of,
    make_result,
)
from nearlinear.completion._validation import Entries, given_entries, hold_out

Ask = Callable[[CompletionStep], object]


def complete(
    X: Any,
    rank: int | None = None,
    *,
    mask: ArrayLike | None = None,
    weights: Any = None,
    lam: float | Literal["auto"] = 0.0,
    biases: bool = False,
    nonneg: bool = False,
    solver: Literal["auto", "als", "cg", "vp", "sketch"] = "auto",
    homotopy: Literal["auto"] | bool = "auto",
    init: Completion | tuple[ArrayLike, ArrayLike] | None = None,
    tol: float = 1e-8,
    maxiter: int = 500,
    validation: Any = None,
    patience: int = 5,
    duplicates: Literal["raise", "mean", "sum", "last"] = "raise",
    underdetermined: Literal["raise", "ridge", "drop"] = "raise",
    implicit: bool = False,
    dtype: DTypeLike | None = None,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: Ask | None = None,
    verbose: _progress.Verbose = False,
) -> Completion:
    r"""
    A matrix of low rank from some of its entries.

    .. math:: \min_{U, V, b, c} \; \tfrac12 \sum_{(i, j) \text{ observed}} w_{ij}
        (X_{ij} - \mu - b_i - c_j - u_i^T v_j)^2
        + \tfrac{\lambda}{2} (\|U\|_F^2 + \|V\|_F^2 + \|b\|^2 + \|c\|^2)

    over m x k matrices U and n x k matrices V with rows :math:`u_i` and :math:`v_j`. Without `biases`,
    :math:`\mu, b, c` are 0; with them :math:`\mu` is the weighted mean of what was observed.

    Parameters
    ----------
    X : sparse array, DataFrame or array_like, shape (m, n)
        Real numbers. What a sparse array stores was observed, explicit zeros included (but those of the DIA format are
        its padding); of others, what is not NaN. A DataFrame of pandas gives its labels to the result.
    rank : int, optional
        k, at most min(m, n); 0, with `biases`, for biases alone. By default that of `init` or, without, one that is
        found on the path of :math:`\lambda`, see the notes.
    mask : array_like of bool, shape (m, n), optional
        Of dense X: True for what was observed. What it hides may be anything.
    weights : sparse array or array_like, optional
        :math:`w_{ij} \geq 0`: a sparse array with the places of X, an array of its shape, or, for sparse X, one number
        for each stored entry, in their order (that of ``X.tocoo().data``). 0: as if not observed. Integers count as
        many observations of the same value.
    lam : float or "auto", default 0.0
        :math:`\lambda \geq 0`, absolute. "auto": the one on the way down whose model is best on the validation
        entries, by default a tenth of all; then all entries are fitted with it.
    biases : bool, default False
        Fit b and c.
    nonneg : bool, default False
        :math:`U \geq 0` and :math:`V \geq 0`. X must not be negative; solvers "auto" and "als"; no biases.
    solver : {"auto", "als", "cg", "vp", "sketch"}, default "auto"
        ========  =================================================================  ==========================
        solver    what it does                                                       operations
        ========  =================================================================  ==========================
        "als"     alternating least squares by normal equations                      entries k^2 + (m + n) k^3
        "cg"      the same by a few warm-started steps of conjugate gradients        entries k
        "vp"      Newton steps for U, of which V is a function                       entries k^2 + (m + n) k^3
        "sketch"  the source's algorithm: sketched preconditioners, high accuracy    entries k + (m + n) k^3
        ========  =================================================================  ==========================

        for each iteration. "auto" chooses by k and by how fast sweeps contract.
    homotopy : {"auto", True, False}, default "auto"
        Whether :math:`\lambda` comes down from far above to its value, along which path solutions of low rank are found
        where there are few entries. "auto": where a few sweeps do not contract.
    init : Completion or (U, V), optional
        Start from these factors, without a homotopy.
    tol : float, default 1e-8
        Stop when the norm of the residual is at most `tol` times that of the entries, or the objective falls by no more
        than `tol` of itself.
    maxiter : int, default 500
        Most iterations: sweeps, an update of U and one of V, and Newton steps. With ``lam="auto"`` of either fit.
    validation : float, matrix or (rows, cols, values), optional
        Entries that are not fitted: a fraction of those of X, drawn at random, where each row and column keeps one, or
        for :math:`\lambda = 0` as many as it has unknowns; a matrix of the shape of X, in the forms of X; or positions
        (of a DataFrame labels) and values. The model that is best on them is returned; with biases these alone, unless
        factors make the error less by more than the standard error of the difference. With ``lam="auto"`` they choose
        :math:`\lambda`.
    patience : int, default 5
        End the fit when the validation error has not fallen for so many iterations, on the path values of
        :math:`\lambda`.
    duplicates : {"raise", "mean", "sum", "last"}, default "raise"
        What entries mean that are stored for the same place: an error; their weighted mean with the sum of their
        weights, which is the same as to fit all; their sum; the one that is stored last.
    underdetermined : {"raise", "ridge", "drop"}, default "raise"
        What to do for :math:`\lambda = 0` if a row or column has fewer entries than unknowns, k or, with biases, k + 1,
        or X fewer than k (m + n - k): an error; the solution of least norm; leave out those rows and columns, and so on
        until all others have enough.
    implicit : bool, default False
        Entries say how often something happened. With :math:`c_{ij} = 1 + X_{ij}`, :math:`p_{ij} = 1` for stored
        entries above 0, and 1 and 0 for all others,
        :math:`\frac12 \sum_{ij} c_{ij} (p_{ij} - u_i^T v_j)^2` over all of the matrix takes the place of the sum
        [4]_. No biases; not for "vp" and "sketch".
    dtype : float32 or float64, optional
        Of the factors; by default that of X, float64 for integers. All is computed in float64.
    seed : int or numpy.random.Generator, optional
        Decides the start, sketches, and what is held out. By default new ones every time.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(state)`` with a `CompletionStep` after every iteration; returning True stops.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    Completion
        With the factors, the methods `predict`, `recommend`, `fold_in`, `dense` and `plot`, and the history. Equal to
        the last bit for every number of threads.

    Raises
    ------
    ValueError
        If an observed entry is not finite or a place is stored twice, a weight is negative, shapes or labels do not
        match, nothing is observed, there are too few entries for the rank, the rank is too large, or an option is out
        of range or excludes another. The message names the first offender.
    TypeError
        If an input is complex, masked or not numeric.
    MemoryError
        If there is no memory; the message states the size.

    Warns
    -----
    CompletionWarning
        If `maxiter` iterations were not enough; ``result.success`` is then False. If rows or columns are left out, or
        have several solutions.

    See Also
    --------
    nearlinear.sklearn.MatrixCompletion : The same as a transformer of scikit-learn.
    nearlinear.linalg.randomized_svd : Matrices all of which is known.

    Notes
    -----
    Alternating least squares begin with the largest singular vectors of what was observed [2]_, at a few
    :math:`\lambda` that fall fast. Where sweeps contract then, they go on from combinations of the last four of them,
    which saves more than half. Where they do not, :math:`\lambda` comes down slowly from half the largest singular
    value: the ridge terms of U and V are the nuclear norm of :math:`U V^T`, which leads to matrices of low rank. What
    contracts slowly at the end is left to Newton steps by variable projection [3]_. A Gaussian matrix is recovered from
    1.2 to 1.5 times as many entries as it has degrees of freedom, k (m + n - k), if they determine it at all.

    ``rank=None``: the path is taken with the largest k, at most 50, for which there are 1.2 times as many entries as
    degrees of freedom, and none for which a row or column has too few where that matters. Ranks beyond which singular
    values are ten times smaller for several :math:`\lambda` in turn, and that k, are fitted without a tenth of the
    entries, and the least is taken whose error on these is within two per cent, or its standard error, of the best one.

    For ratings: ``biases=True``, ``lam="auto"``, and ``validation`` to end early. Compare with ``rank=0``: biases
    explain most of many data sets.

    The entries take 24 bytes each, with weights 32, besides X; "vp" (m + n) k^2 numbers, others some (m + n) k.

    References
    ----------
    .. [1] Y. Gu, Z. Song, J. Yin and L. Zhang, "Low rank matrix completion via robust alternating minimization in
       nearly linear time", ICLR 2024.
    .. [2] P. Jain, P. Netrapalli and S. Sanghavi, "Low-rank matrix completion using alternating minimization", STOC
       2013.
    .. [3] G. H. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
       whose variables separate", SIAM Journal on Numerical Analysis 10, 1973.
    .. [4] Y. Hu, Y. Koren and C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> X = [[1, 2, np.nan], [2, 4, 6], [np.nan, 6, 9]]
    >>> nl.completion.complete(X, 1, seed=0).dense().round(3)
    array([[1., 2., 3.],
           [2., 4., 6.],
           [3., 6., 9.]])

    A third of a 300 x 200 matrix:

    >>> rng = np.random.default_rng(0)
    >>> truth = rng.standard_normal((300, 4)) @ rng.standard_normal((4, 200))
    >>> result = nl.completion.complete(truth, 4, mask=rng.random(truth.shape) < 0.3, seed=0)
    >>> bool(abs(result.dense() - truth).max() < 1e-5)
    True

    Ratings, what to recommend, and somebody new:

    >>> import scipy.sparse
    >>> users, films = rng.integers(100, size=2000), rng.integers(50, size=2000)
    >>> stars = np.clip(np.rint(3 + rng.standard_normal(100)[users] + rng.standard_normal(2000)), 1, 5)
    >>> X = scipy.sparse.coo_array((stars, (users, films)), shape=(100, 50))
    >>> result = nl.completion.complete(X, 2, biases=True, lam=5.0, duplicates="mean", seed=0)
    >>> result.recommend(0, 3).cols.shape
    (3,)
    >>> new = result.fold_in(scipy.sparse.coo_array(([5.0, 4.0], ([0, 0], [3, 7])), shape=(1, 50)))
    >>> bool(new.bias[0] > 0)
    True
    """
    options = check_options(
        lam=lam,
        biases=biases,
        nonneg=nonneg,
        implicit=implicit,
        solver=solver,
        homotopy=homotopy,
        underdetermined=underdetermined,
        duplicates=duplicates,
        tol=tol,
        maxiter=maxiter,
        patience=patience,
    )
    k = None if rank is None else min(_inputs.check_int("rank", rank, minimum=0), 2**62)
    wanted = check_dtype(dtype)
    options.seed = _inputs.check_seed(seed)
    threads = _inputs.check_n_threads(n_threads)
    ask = _inputs.check_callback(callback)
    observed = observe("X", X, mask=mask, weights=weights)
    start, k = check_init(init, observed.shape, k, options.biases)
    fitted, entries, fraction = observed, None, held_out_fraction(validation, lam, implicit)
    if fraction is not None:
        least = max(1, (k or 0) + options.biases) if lam == 0 else 1
        fitted, entries = hold_out(observed, fraction, least=least, duplicates=duplicates, seed=options.seed)
    elif validation is not None:
        entries = given_entries(validation, observed.shape, observed.labels)
    fits_again = lam == "auto" and fraction is not None
    problem = _Problem(options, threads, ask, [])
    with _progress.watch("complete", None, verbose) as keep_going:
        found = problem.fit(fitted, k, start, entries, _part(keep_going, 0, 0.7 if fits_again else 1))
        validation_rmse, chosen = found.validation_rmse, found.lam
        if fits_again and found.status != STOPPED:
            options.chooses_lam, options.lam, options.homotopy = False, chosen, _core.Homotopy.off
            fitted = observed
            found = problem.fit(fitted, found.model.rank, found.model, None, _part(keep_going, 0.7, 1))
    result = make_result(
        found,
        lam=chosen,
        validation_rmse=validation_rmse,
        history=history_of(problem.history),
        seen=Seen(observed.csr.indptr.copy(), observed.csr.indices.copy()),
        dtype=observed.dtype if wanted is None else wanted,
        labels=observed.labels,
        has_biases=options.biases,
        nonneg=options.nonnegative,
        implicit=options.implicit,
    )
    _warn(result, fitted, underdetermined)
    return result


class _Problem(NamedTuple):
    """What several fits share."""

    options: _core.CompletionOptions
    n_threads: int
    ask: Ask | None
    history: list[tuple[Any, ...]]  # of all fits so far

    def fit(
        self,
        observed: Observations,
        rank: int | None,
        start: _core.LowRankModel | None,
        validation: Entries | None,
        keep_going: _progress.FractionDone | None,
    ) -> Found:
        """Fit the entries; iterations and seconds are counted on from the fits before."""
        nit, seconds = (self.history[-1][0], self.history[-1][6]) if self.history else (0, 0.0)

        def placed(step: tuple[Any, ...]) -> tuple[Any, ...]:
            return (step[0] + nit, *step[1:6], step[6] + seconds, step[7])

        def each_step(step: tuple[Any, ...]) -> object:
            return self.ask is not None and self.ask(CompletionStep(*placed(step)))

        solve: Any = _core.complete  # of the type of the indices
        found = Found(
            *solve(
                observed.csr,
                observed.weights,
                rank,
                self.options,
                start,
                validation,
                n_threads=self.n_threads,
                callback=keep_going,
                each_step=None if self.ask is None else each_step,
            )
        )
        self.history.extend(map(placed, found.history))
        return found


def _part(keep_going: _progress.FractionDone | None, begin: float, end: float) -> _progress.FractionDone | None:
    """Return what is told the progress of a part of the call."""
    if keep_going is None:
        return None
    tell = keep_going
    return lambda done: tell(begin + (end - begin) * done)


def _warn(result: Completion, fitted: Observations, underdetermined: str) -> None:
    def tell(message: str) -> None:
        warnings.warn(f"complete: {message}", CompletionWarning, stacklevel=4)

    if result.status == MAXITER:
        tell(f"{result.message}; the training error is {result.training_rmse:.3g}")
    if result.empty_rows.size + result.empty_cols.size > 0:
        which = "with too few entries" if result.lam == 0 and underdetermined == "drop" else "without entries"
        first = f"row {result.empty_rows[0]}" if result.empty_rows.size > 0 else f"column {result.empty_cols[0]}"
        tell(
            f"{_lines(result.empty_rows.size, result.empty_cols.size)} {which} left out, {first} the first of them: "
            "their factors are 0"
        )
    if result.lam == 0 and underdetermined == "ridge" and not result._fold_options.implicit:
        unknowns = result.rank + result._has_biases
        few = [int(np.count_nonzero((count > 0) & (count < unknowns))) for count in _counts(fitted)]
        if sum(few) > 0:
            tell(
                f"lam = 0, and fewer entries than the {unknowns} unknowns of each in {_lines(*few)}: theirs are the "
                "solutions of least norm"
            )


def _counts(observed: Observations) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how many entries rows and columns have."""
    m, n = observed.shape
    counted = observed if observed.weights.size == 0 else observed.take(observed.weights > 0)
    return np.bincount(counted.rows, minlength=m), np.bincount(counted.cols, minlength=n)


def _lines(rows: int, cols: int) -> str:
    """Return numbers of rows and columns in words."""
    parts = [f"{count} {what}{'s' * (count != 1)}" for count, what in ((rows, "row"), (cols, "column")) if count > 0]
    return " and ".join(parts)
