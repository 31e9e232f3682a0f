"""Samples of rows."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.sampling._checks import Matrix, as_csr_array, check_matrix, check_p, check_rows, check_weights
from nearlinear.sketch._row_sketch import refuse_if_not_finite
from nearlinear.sketch._solution import check_positive, check_probability

Score = Literal["auto", "uniform", "leverage", "root-leverage", "lewis", "sensitivity", "sensitivity+leverage"]
SCORES = ("auto", "uniform", "leverage", "root-leverage", "lewis", "sensitivity", "sensitivity+leverage")


@dataclass(frozen=True, repr=False, eq=False)
class RowSample:
    r"""
    What `sample_rows` returns. Its length is that of `indices`.

    Attributes
    ----------
    indices : ndarray of int, shape (k,)
        The rows, ascending; those that were drawn several times are there as often.
    weights : ndarray, shape (k,)
        :math:`1 / q_i` for each of them: :math:`\sum_i \text{weight}_i f(a_i)` over the sample is unbiased for the sum
        over all rows. For every ``sample_weight``.
    scale : ndarray, shape (k,)
        :math:`q_i^{-1/p}`: rows times it are S A, and :math:`|S A x|_p^p` is unbiased for :math:`|A x|_p^p`.
    probabilities : ndarray, shape (n,)
        q of all rows; with replacement, expected numbers of draws.
    scores : ndarray, shape (n,)
        What rows were sampled by.
    score : str
        Its name: what "auto" has chosen, or "array" for given scores.
    p : float
        The exponent.
    """

    indices: NDArray[np.intp]
    weights: NDArray[np.floating]
    scale: NDArray[np.floating]
    probabilities: NDArray[np.floating]
    scores: NDArray[np.floating]
    score: str
    p: float

    @property
    def expected_size(self) -> float:
        """The sum of `probabilities`: expected number of rows, and more than that by "root-leverage" for p < 2."""
        return float(self.probabilities.sum(dtype=np.float64))

    def apply(self, A: Any) -> Any:
        """
        Return S A: the sampled rows, each times `scale`.

        Parameters
        ----------
        A : array_like, shape (n, d) or (n,), or sparse array, shape (n, d)
            The matrix, or anything else with as many rows, like a right-hand side.

        Returns
        -------
        ndarray, shape (k, d) or (k,), or csr_array, shape (k, d)
            float32 for float32 and float16 input, float64 otherwise.

        Raises
        ------
        ValueError
            If A has another number of rows, or an entry is NaN or Inf.
        TypeError
            If A is complex, masked or not numeric.
        """
        if hasattr(A, "tocsr"):
            csr = _inputs.check_sparse("A", A, function="RowSample.apply")
            self._check_rows(csr.shape)
            matrix = as_csr_array("A", csr, function="RowSample.apply")
            refuse_if_not_finite("A", csr._replace(data=csr.data[: csr.indptr[-1]]))
            rows = matrix[self.indices]
            rows.data *= np.repeat(self.scale.astype(rows.dtype, copy=False), np.diff(rows.indptr))
            return rows
        array = _inputs.check_array("A", A, ndim=(1, 2))
        self._check_rows(array.shape)
        scale = self.scale.astype(array.dtype, copy=False)
        sampled = array[self.indices]
        sampled *= scale if array.ndim == 1 else scale[:, np.newaxis]
        return sampled

    def _check_rows(self, shape: tuple[int, ...]) -> None:
        if shape[0] != self.probabilities.size:
            raise ValueError(f"A has shape {shape}, and the sample is one of {self.probabilities.size} rows")

    def __len__(self) -> int:
        return self.indices.size

    def __repr__(self) -> str:
        return f"RowSample({len(self)} of {self.probabilities.size} rows by {self.score!r}, p={self.p:g})"


def sample_rows(
    A: Any,
    p: float,
    m: int | None = None,
    *,
    eps: float | None = None,
    delta: float = 0.05,
    score: Score | ArrayLike = "auto",
    replacement: bool = False,
    exact_size: bool = False,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> RowSample:
    r"""
    A sample of rows that stands for all of them.

    .. math:: q_i = \min(1, c s_i), \qquad E |S A x|_p^p = |A x|_p^p \quad \text{for all } x,

    where S A are rows that were kept with probability :math:`q_i`, each times :math:`q_i^{-1/p}`, and c is such that m
    are expected.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns. For regression, sample rows of [A b].
    p : float
        :math:`1 \leq p < \infty`.
    m : int, optional
        Expected number of rows. From n on, all rows are returned, with weight 1. Give either m or `eps`.
    eps : float, optional
        :math:`m = 2 S \log(2 d / \delta) / \epsilon^2`, S the sum of scores as they count for the bound: d for
        "leverage" at p = 2 and for "lewis" at p <= 2, see the table. For p = 2 that makes
        :math:`|S A x|_2^2 = (1 \pm \epsilon) |A x|_2^2` for all x with probability :math:`1 - \delta` ([4]_, theorem
        1.1, up to a term :math:`\epsilon / 3`); for other p proofs ask for more logarithms, and measurements for fewer
        rows.
    delta : float, default 0.05
        The probability that `eps` fails.
    score : str or array_like, shape (n,), default "auto"
        Scores :math:`s_i`, by name or as numbers, which must not be negative, and 0 for rows of zeros alone: a row that
        is never kept would bias every estimate. The third column holds the numbers of rows that are proved to be enough
        for :math:`|S A x|_p = (1 \pm \epsilon) |A x|_p`, for all x with high probability, without
        :math:`\epsilon^{-2}` and logarithms; S is the sum of the sensitivities.

        ======================  ==========================================  ===========================================
        score                   :math:`s_i`                                 rows
        ======================  ==========================================  ===========================================
        "auto"                  p = 2: "leverage"; p < 2: "lewis"; p > 2:
                                the better bound of "lewis" and, for
                                n <= 20000, "sensitivity+leverage"
        "uniform"               1                                           no bound
        "leverage"              :math:`\tau_i`                              p = 2: d
        "root-leverage"         :math:`\tau_i^{p/2}`                        p < 2: d, by recursion; p > 2:
                                                                            :math:`n^{1 - 2/p} d`
        "lewis"                 :math:`w_i`                                 p <= 2: d; p > 2: :math:`d^{p/2}`
        "sensitivity"           :math:`\sigma_i`, `sensitivities`           p < 2: :math:`d^{1 - p/2} S`; p > 2:
                                                                            :math:`S^{2 - 2/p}`
        "sensitivity+leverage"  :math:`\sigma_i + \tau_i`                   p <= 2: S + d; p > 2:
                                                                            :math:`d^{2/p} S^{2 - 4/p}`
        ======================  ==========================================  ===========================================
    replacement : bool, default False
        m independent draws with probabilities :math:`s_i / \sum_j s_j` in place of one decision for every row.
    exact_size : bool, default False
        Exactly m rows with the same probabilities, by systematic sampling in random order. By default rows are kept
        independently of each other, and their number varies by some :math:`\sqrt m`.
    seed : int or numpy.random.Generator, optional
        Decides the sample. By default a new one every time. Unless there is `replacement` or `exact_size`, whether row
        i is kept depends on the seed, i and :math:`q_i` alone.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    RowSample
        With ``indices``, ``weights``, ``scale``, ``probabilities``, ``scores``, ``score`` and ``apply``. Weights and
        scores are float32 for float32 and float16 input, float64 otherwise; all is equal to the last bit for every
        number of threads.

    Raises
    ------
    ValueError
        If A is no matrix of finite numbers, has no rows or no columns, p or an option is out of range, not exactly one
        of m and `eps` is given, or given scores have the wrong shape, are negative, NaN or Inf, all 0, or 0 for a row
        that is not.
    TypeError
        If an input is complex, masked or not numeric.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    embedding_distortion : how good a sample is.
    lp_regression : regression with a sample.
    StreamingCoreset : samples of rows that come block by block.

    Notes
    -----
    Bounds are those of [1]_, theorems 1.2 to 1.6 ("sensitivity", "root-leverage", "sensitivity+leverage" for p > 2),
    [2]_, theorem 1.1 ("sensitivity+leverage" for p <= 2), and [3]_ ("lewis"). The recursion of "root-leverage" for
    p < 2 ([1]_, theorem 1.5) goes from :math:`n_0 = n` to :math:`n_{k+1} = \max(m, \sqrt{n_k m})` rows in each round,
    of which :math:`\log \log (n / m)` are enough; ``probabilities`` are then products up to the round that a row was
    lost in.

    Rows of zeros are never kept, but by "uniform" and given scores. The cost is that of `leverage_scores`,
    `lewis_weights` or `sensitivities`; the sampling itself takes O(n).

    References
    ----------
    .. [1] D. P. Woodruff and T. Yasuda, "Sharper bounds for l_p sensitivity sampling", ICML 2023.
    .. [2] A. Munteanu and S. Omlor, "Optimal bounds for l_p sensitivity sampling via l_2 augmentation", ICML 2024.
    .. [3] M. B. Cohen and R. Peng, "l_p row sampling by Lewis weights", STOC 2015, 183-192.
    .. [4] J. A. Tropp, "User-friendly tail bounds for sums of random matrices", Foundations of Computational
       Mathematics 12 (2012) 389-434.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> A = np.random.default_rng(0).standard_t(2.5, (20000, 5))
    >>> sample = nl.sampling.sample_rows(A, p=1, m=1000, exact_size=True, seed=0)
    >>> sample
    RowSample(1000 of 20000 rows by 'lewis', p=1)
    >>> x = np.ones(5)
    >>> bool(abs(abs(sample.apply(A) @ x).sum() / abs(A @ x).sum() - 1) < 0.2)
    True
    """
    number = check_p(p)
    if m is None and eps is None:
        raise ValueError("m and eps are None; give m, the expected number of rows, or eps, the distortion to be kept")
    if m is not None and eps is not None:
        raise ValueError(f"m is {m} and eps is {eps}; give one of them")
    size = 0 if m is None else min(_inputs.check_int("m", m, minimum=1), 2**62)
    distortion = 0.0 if eps is None else check_positive("eps", eps)
    delta = check_probability("delta", delta)
    name = _inputs.check_choice("score", score, SCORES) if isinstance(score, str) else "auto"
    key = _inputs.check_seed(seed)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="sample_rows")
    given = None if isinstance(score, str) else _check_scores(score, matrix)
    with _progress.watch("sample_rows", callback, verbose) as keep_going:
        indices, weights, scale, probabilities, scores, used = _core.sample_rows(
            matrix.stored,
            number,
            getattr(_core.RowScore, name.replace("+", "_").replace("-", "_")),
            given,
            size,
            distortion,
            delta,
            bool(replacement),
            bool(exact_size),
            key,
            n_threads=threads,
            callback=keep_going,
        )
    return RowSample(
        indices,
        weights.astype(matrix.dtype, copy=False),
        scale.astype(matrix.dtype, copy=False),
        probabilities.astype(matrix.dtype, copy=False),
        scores.astype(matrix.dtype, copy=False),
        _score_name(used) if given is None else "array",
        number,
    )


def check_sample(
    sample: RowSample | tuple[ArrayLike, ArrayLike], matrix: Matrix
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the indices and weights of a sample of rows of a matrix."""
    n = matrix.shape[0]
    if isinstance(sample, RowSample):
        if sample.probabilities.size != n:
            raise ValueError(f"A has shape {matrix.shape}, and sample is one of {sample.probabilities.size} rows")
        pair: tuple[ArrayLike, ArrayLike] = (sample.indices, sample.weights)
    elif isinstance(sample, tuple | list) and len(sample) == 2:
        pair = (sample[0], sample[1])
    else:
        raise TypeError(f"sample is a {type(sample).__name__}; it must be a RowSample or a pair of indices and weights")
    indices = check_rows("sample[0]", pair[0], n)
    return indices, check_weights("sample[1]", pair[1], indices.size, f"sample[0] has shape {indices.shape}")


def _check_scores(score: ArrayLike, matrix: Matrix) -> NDArray[np.float64]:
    scores = check_weights("score", score, matrix.shape[0], f"A has shape {matrix.shape}")
    if scores.size > 0 and not scores.any():
        raise ValueError("score is 0 for every row; some must be positive")
    return scores


def _score_name(score: _core.RowScore) -> str:
    name = str(score.name)
    return "sensitivity+leverage" if name == "sensitivity_leverage" else name.replace("_", "-")
