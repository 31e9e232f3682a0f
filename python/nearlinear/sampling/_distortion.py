"""How well a sample of rows stands for all of them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nearlinear import _core, _inputs, _progress
from nearlinear.sampling._checks import check_matrix, check_p
from nearlinear.sampling._sample import RowSample, check_sample


def embedding_distortion(
    A: Any,
    sample: RowSample | tuple[ArrayLike, ArrayLike],
    p: float | None = None,
    *,
    n_directions: int = 400,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> float:
    r"""
    Distortion of norms by a sample, measured.

    .. math:: \max_x \left| \frac{|S A x|_p}{|A x|_p} - 1 \right|

    where S A are the rows of the sample, each times :math:`\text{weight}^{1/p}`.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers. Arrays may be stored by rows or by columns.
    sample : RowSample or pair of array_like
        From `sample_rows`, or indices and weights of rows.
    p : float, optional
        :math:`1 \leq p < \infty`. By default that of the RowSample.
    n_directions : int, default 400
        How many x to begin with, for p other than 2.
    seed : int or numpy.random.Generator, optional
        Decides them. By default new ones every time.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    float
        For p = 2 the distortion; else a lower bound of it, which is close for small d.

    Raises
    ------
    ValueError
        If A is no matrix of finite numbers, has no rows or no columns, p or an option is out of range, p is missing, or
        the sample does not fit A.
    TypeError
        If an input is complex, masked or not numeric, or `sample` is something else.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    sample_rows : samples of rows.

    Notes
    -----
    p = 2: by singular values. Other p: x are Gaussian in coordinates in which the columns of A are orthonormal, and the
    best 8 in either direction are improved by 10 steps of ascent. It takes a factorisation of A and a product with
    `n_directions` columns.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> A = np.random.default_rng(0).standard_t(2.5, (20000, 5))
    >>> sample = nl.sampling.sample_rows(A, p=1, m=1000, seed=0)
    >>> nl.sampling.embedding_distortion(A, sample, seed=0) < 0.3
    True
    """
    if p is None:
        if not isinstance(sample, RowSample):
            raise ValueError("p is None; it must be given unless sample is a RowSample, which knows its own")
        p = sample.p
    number = check_p(p)
    directions = min(_inputs.check_int("n_directions", n_directions, minimum=1), 2**62)
    key = _inputs.check_seed(seed)
    threads = _inputs.check_n_threads(n_threads)
    matrix = check_matrix("A", A, function="embedding_distortion")
    if 0 in matrix.shape:
        raise ValueError(f"A has shape {matrix.shape}; it must have rows and columns")
    indices, weights = check_sample(sample, matrix)
    with _progress.watch("embedding_distortion", callback, verbose) as keep_going:
        return _core.embedding_distortion(
            matrix.stored, number, indices, weights, directions, key, n_threads=threads, callback=keep_going
        )
