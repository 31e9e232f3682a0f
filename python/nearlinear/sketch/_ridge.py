"""Ridge regression for many ridges at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _inputs, _progress
from nearlinear.sketch._sources import source_of


@dataclass(frozen=True, eq=False)
class RidgePath:
    r"""
    Solutions of ridge regression, one for each ridge. With several right-hand sides there is one axis more, the last.

    Attributes
    ----------
    ridges : ndarray, shape (L,)
        The ridges, as given.
    x : ndarray, shape (L, d)
        Solutions.
    residual_norm : ndarray, shape (L,)
        :math:`|b - A x|_2`.
    loo_error : ndarray, shape (L,)
        Mean squared error of rows that are left out.
    degrees_of_freedom : ndarray, shape (L,)
        Trace of :math:`A (A^T A + \lambda I)^{-1} A^T`, the same for all right-hand sides.
    """

    ridges: NDArray[np.float64]
    x: NDArray[np.float64]
    residual_norm: NDArray[np.float64]
    loo_error: NDArray[np.float64]
    degrees_of_freedom: NDArray[np.float64]

    @property
    def best(self) -> int | NDArray[np.int64]:
        """Index of the ridge with the least leave-one-out error, of every right-hand side."""
        index = np.argmin(self.loo_error, axis=0)
        return int(index) if index.ndim == 0 else index


def ridge_path(
    A: Any,
    b: ArrayLike,
    ridges: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> RidgePath:
    r"""
    Ridge regression for several ridges, with leave-one-out errors, from one factorisation.

    .. math:: \min_x \|A x - b\|_2^2 + \lambda \|x\|_2^2, \qquad
        \frac{1}{n} \sum_i \left(\frac{b_i - a_i^T x}{1 - h_i}\right)^2,
        \quad h_i = a_i^T (A^T A + \lambda I)^{-1} a_i

    The i-th term is the squared error, in row i, of the solution without that row.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Any shape and rank. For an intercept that is not to be shrunk, centre A and b.
    b : array_like, shape (n,) or (n, p)
        Right-hand sides.
    ridges : array_like, shape (L,)
        Values of :math:`\lambda \geq 0`, in any order. 0 gives the solution of least norm.
    sample_weight : array_like, shape (n,), optional
        Weights of squared errors, at least 0.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    RidgePath

    Raises
    ------
    ValueError
        If shapes do not match, an entry is NaN or Inf, or a ridge is negative.
    TypeError
        If an input is complex, masked or not numeric, or A is a linear operator.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    leave_one_out : the error of each row.

    Notes
    -----
    R of A takes :math:`2 n d^2` operations, its singular values :math:`22 d^3` on one thread, and everything else
    :math:`2 n d (d + L (1 + p))` in one more pass [1]_.

    References
    ----------
    .. [1] G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a good ridge
       parameter", Technometrics 21 (1979) 215-223.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((60, 40))
    >>> b = A[:, 0] + rng.standard_normal(60)
    >>> path = nl.sketch.ridge_path(A, b, [0, 1, 10, 100, 1000])
    >>> path.best
    3
    """
    values = _check_ridges(ridges)
    source = source_of(A, b, sample_weight)
    _check_shape(source.rhs)
    with _progress.watch("ridge_path", callback, verbose) as keep_going:
        x, norms, errors, freedom = source.ridge_path(values, _inputs.check_n_threads(n_threads), keep_going)
    tail = () if source.rhs_ndim == 1 else (source.rhs,)
    return RidgePath(
        values,
        x.reshape(values.size, source.cols, *tail),
        norms.reshape(values.size, *tail),
        errors.reshape(values.size, *tail),
        freedom,
    )


def leave_one_out(
    A: Any,
    b: ArrayLike,
    *,
    ridge: float = 0.0,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> NDArray[np.float64]:
    r"""
    Errors of least squares in rows that are left out, one by one.

    .. math:: \frac{b_i - a_i^T x}{1 - h_i}, \quad h_i = a_i^T (A^T A + \lambda I)^{-1} a_i

    is what :math:`b_i` differs by from the prediction of the solution without row i, for all i from one factorisation.

    Parameters
    ----------
    A, b, sample_weight, n_threads, callback, verbose
        As for `ridge_path`. With weights, errors are multiplied by their roots.
    ridge : float, default 0.0
        :math:`\lambda`.

    Returns
    -------
    ndarray, shape (n,) or (n, p)
        Infinite for a row that alone decides a coefficient.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.sketch.leave_one_out([[1, 0], [1, 1], [1, 2], [1, 3]], [0, 1, 2, 4]).round(6)
    array([ 0.666667, -0.142857, -0.571429,  1.      ])
    """
    ridge = _inputs.check_real("ridge", ridge)
    source = source_of(A, b, sample_weight)
    _check_shape(source.rhs)
    residuals = np.zeros((source.rows, source.rhs))
    with _progress.watch("leave_one_out", callback, verbose) as keep_going:
        source.leave_one_out(ridge, residuals, _inputs.check_n_threads(n_threads), keep_going)
    return residuals[:, 0] if source.rhs_ndim == 1 else residuals


def _check_ridges(ridges: ArrayLike) -> NDArray[np.float64]:
    values = _inputs.check_array("ridges", ridges, ndim=1).astype(np.float64)
    bad = np.flatnonzero(values < 0)
    if bad.size > 0:
        raise ValueError(f"ridges has the entry {values[bad[0]]} at index {bad[0]}; it must not be negative")
    return values


def _check_shape(rhs: int) -> None:
    if rhs == 0:
        raise ValueError("b has no columns")
