"""The discrete cosine transform of the columns of a matrix."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress

__all__ = ["dct"]


def dct(
    x: ArrayLike,
    *,
    norm: Literal["ortho"] | None = None,
    inverse: bool = False,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> NDArray[np.floating]:
    r"""
    Discrete cosine transform of every column, of type II, or its inverse.

    Computes :math:`Y = C_n X`, where :math:`(C_n)_{kj} = f_k \cos(\pi k (2j + 1) / (2n))`. The conventions are SciPy's:
    the result agrees with ``scipy.fft.dct(x, type=2, axis=0, norm=norm)``, the inverse with ``scipy.fft.idct``.

    Parameters
    ----------
    x : array_like, shape (n,) or (n, d)
        Real numbers; any n >= 1.
    norm : {None, "ortho"}, default None
        None: :math:`f_k = 2`. "ortho": :math:`f_0 = \sqrt{1/n}` and :math:`f_k = \sqrt{2/n}` for :math:`k > 0`, so that
        :math:`C_n` is orthogonal.
    inverse : bool, default False
        Compute :math:`Y = C_n^{-1} X` instead, a transform of type III.
    n_threads : int, optional
        Upper limit on the number of threads, which share the columns. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.
    check_finite : bool, default True
        Check that input and output are finite. Without it NaN, Inf and overflow spread over their column.

    Returns
    -------
    y : ndarray, same shape as `x`
        A new array: float32 for float32 and float16 input, float64 otherwise. Each column has the same bits for every
        number of threads and every instruction set, and whatever the other columns hold.

    Raises
    ------
    ValueError
        If `x` has no row, has the wrong number of dimensions, or an entry is NaN or Inf; if `norm` is neither None
        nor "ortho".
    TypeError
        If `x` is complex, masked, sparse, or not numeric.
    OverflowError
        If an entry of the result, or a sum on the way to it, exceeds the range of its type.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    Takes :math:`O(n d \log n)` operations for every n, least when n is even and has no prime factor above 5, and one
    reading and one writing of memory. The error of a column, in the Euclidean norm and relative to that of the
    orthonormal transform, is a small multiple of :math:`u \log_2 n`, u being the unit round-off [2]_.

    References
    ----------
    .. [1] J. Makhoul, "A fast cosine transform in one and two dimensions", IEEE Transactions on Acoustics, Speech, and
       Signal Processing 28 (1980) 27-34.
    .. [2] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002, theorem 24.2.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> x = np.array([[1.0, 4.0], [2.0, 3.0], [3.0, 2.0], [4.0, 1.0]])
    >>> y = nl.linalg.dct(x, norm="ortho")
    >>> y[0]
    array([5., 5.])
    >>> np.allclose(nl.linalg.dct(y, norm="ortho", inverse=True), x)
    True
    """
    x = _inputs.check_array("x", x, ndim=(1, 2), check_finite=check_finite)
    if x.shape[0] == 0:
        raise ValueError(f"x has shape {x.shape}; it must have at least one row")
    orthonormal = norm is not None and _inputs.check_choice("norm", norm, ["ortho"]) == "ortho"
    threads = _inputs.check_n_threads(n_threads)
    y = np.empty(x.shape, x.dtype)
    with _progress.watch("dct", callback, verbose) as keep_going:
        _core.dct(
            _inputs.as_columns(x),
            _inputs.as_columns(y),
            orthonormal=orthonormal,
            inverse=bool(inverse),
            n_threads=threads,
            callback=keep_going,
        )
    if check_finite and not _inputs.is_finite(y):
        raise OverflowError(f"x has entries so large that its transform exceeds the range of {y.dtype}")
    return y
