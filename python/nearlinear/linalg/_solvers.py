"""Many small systems at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear._results import Result

__all__ = ["SpdBatchResult", "solve_spd_batch"]


@dataclass(frozen=True, repr=False, eq=False)
class SpdBatchResult(Result):
    """
    What `solve_spd_batch` returns.

    Attributes
    ----------
    success : bool
        Whether all systems were positive definite.
    status : int
        0, or 1 when some were not.
    message : str
        The status in words.
    nit : int
        0: the method is direct.
    x : ndarray
        The solutions, of the shape of the right-hand sides; NaN where a system was not positive definite.
    info : ndarray of int64, shape (count,)
        0, or the order of the first leading minor of the system that is not positive definite.
    """

    x: NDArray[np.floating]
    info: NDArray[np.int64]


def solve_spd_batch(
    A: ArrayLike,
    B: ArrayLike,
    *,
    ridge: float = 0.0,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> SpdBatchResult:
    r"""
    Solve many small symmetric positive definite systems.

    Computes :math:`X_s = (A_s + \lambda I)^{-1} B_s` for every s by a Cholesky factorisation.

    Parameters
    ----------
    A : array_like, shape (count, k, k)
        The matrices, of which only the lower triangles count.
    B : array_like, shape (count, k) or (count, k, r)
        The right-hand sides.
    ridge : float, default 0.0
        :math:`\lambda \ge 0`, added to the diagonals.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.
    check_finite : bool, default True
        Check that the input is finite. Without it, systems with NaN or Inf are reported as not positive definite.

    Returns
    -------
    result : SpdBatchResult
        With the solutions ``result.x``, of the shape of `B`: float32 when both inputs are, float64 otherwise. Where a
        matrix is not positive definite they are NaN, ``result.info`` says where, and the others are not affected.

    Raises
    ------
    ValueError
        If shapes do not match, `ridge` is negative or not finite, or an entry is NaN or Inf.
    TypeError
        If an input is complex, masked, sparse, or not numeric.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    Takes :math:`k^3 / 3 + 2 k^2 r` operations for every system. Up to k = 128, as many systems are solved together as
    a vector register has entries. A solution depends on its own system alone, to the last bit: not on its neighbours,
    its place or the number of threads. Each column x solves a system nearby, :math:`(A + \lambda I + \Delta) x = b`
    with :math:`|\Delta| \le \gamma_{3k+7} |L| |L^T|` entrywise, :math:`\gamma_n = n u / (1 - n u)` [1]_.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM 2002, theorem 10.4.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> A = [[[4, 2], [2, 5]], [[1, 2], [2, 1]]]
    >>> result = nl.linalg.solve_spd_batch(A, [[8, 8], [1, 1]])
    >>> result.x
    array([[1.5, 1. ],
           [nan, nan]])
    >>> result.info
    array([0, 2])
    """
    matrices = _inputs.check_array("A", A, ndim=3, check_finite=check_finite)
    rhs = _inputs.check_array("B", B, ndim=(2, 3), check_finite=check_finite)
    count, rows, cols = matrices.shape
    if rows != cols:
        raise ValueError(f"A has shape {matrices.shape}; its matrices must be square")
    if rhs.shape[:2] != (count, rows):
        raise ValueError(
            f"A has shape {matrices.shape} and B has shape {rhs.shape}; the first two lengths must be the same"
        )
    shift = _inputs.check_real("ridge", ridge)
    threads = _inputs.check_n_threads(n_threads)
    dtype = np.result_type(matrices, rhs)
    x = np.array(rhs, dtype=dtype, order="C")
    info = np.zeros(count, dtype=np.int64)
    with _progress.watch("solve_spd_batch", callback, verbose) as keep_going:
        failures = _core.cholesky_solve_batch(
            np.ascontiguousarray(matrices, dtype=dtype),
            x.reshape(count, rows, 1 if x.ndim == 2 else x.shape[2]),
            info,
            ridge=shift,
            n_threads=threads,
            callback=keep_going,
        )
    message = f"{failures} of {count} systems are not positive definite" if failures > 0 else "solved"
    return SpdBatchResult(success=failures == 0, status=int(failures > 0), message=message, nit=0, x=x, info=info)
