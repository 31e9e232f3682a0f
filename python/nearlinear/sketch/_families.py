"""Families of sketches, and the sketch of one array."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from nearlinear import _core, _inputs, _progress

SketchKind = Literal["gaussian", "srht", "dct", "sjlt", "block-hadamard", "pooled", "countsketch"]
KINDS = ("gaussian", "srht", "dct", "sjlt", "block-hadamard", "pooled", "countsketch")
SPARSE_KINDS = ("sjlt", "countsketch")
WHOLE_KINDS = ("dct", "pooled")  # which need all rows at once


def core_kind(name: str, kind: str) -> _core.SketchKind:
    """Return the core's name of a kind."""
    return getattr(_core.SketchKind, _inputs.check_choice(name, kind, KINDS).replace("-", "_"))  # type: ignore[no-any-return]


def kind_name(spec: _core.SketchSpec) -> str:
    """Return Python's name of a kind."""
    return str(spec.kind.name).replace("_", "-")


def sketch(
    A: ArrayLike,
    m: int,
    kind: SketchKind = "block-hadamard",
    *,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
    check_finite: bool = True,
) -> NDArray[np.floating]:
    r"""
    Sketch of a matrix: :math:`S A` with a random S of m rows, :math:`E[S^T S] = I`.

    Parameters
    ----------
    A : array_like or sparse array, shape (n, d)
        Real numbers.
    m : int
        Rows of the sketch.
    kind : {"block-hadamard", "srht", "gaussian", "sjlt", "dct", "pooled", "countsketch"}, default "block-hadamard"
        ==================  ======================================================  ===========================
        kind                S                                                       time, dense A
        ==================  ======================================================  ===========================
        "gaussian"          independent N(0, 1/m)                                   2 m n d
        "srht"              :math:`m^{-1/2} P H D`, m random rows of the            n d (10 + m / 1024)
                            Walsh-Hadamard matrix
        "dct"               the same with the discrete cosine transform             n d log n
        "block-hadamard"    Hadamard matrices of a block of rows, then              n d (log2 b + 1)
                            a CountSketch of all
        "pooled"            Hadamard, Gaussian weights, sums of N / m rows          N d log N, N >= max(n, m d)
        "sjlt"              8 entries :math:`\pm 8^{-1/2}` a column                 16 n d; 8 nnz for sparse A
        "countsketch"       one entry :math:`\pm 1` a column                        n d; nnz for sparse A
        ==================  ======================================================  ===========================
    seed : int or numpy.random.Generator, optional
        Decides S, together with `kind`, m and n. By default a new S every time.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.
    check_finite : bool, default True
        Check that the sketch is finite, and look for what is wrong with A if it is not.

    Returns
    -------
    ndarray, shape (m, d)
        float32 for float32 and float16 input, float64 otherwise; equal to the last bit for every number of threads.

    Raises
    ------
    ValueError
        If m is not positive, `kind` is unknown, or A is not a matrix of finite numbers.
    TypeError
        If A is complex, masked, or not numeric.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    RowSketch : the sketch of rows that come block by block.
    lstsq : least squares by sketches.

    Notes
    -----
    All are one pass over A without a copy but for "dct" and "pooled", which transform some columns at a time. Singular
    values of :math:`S U`, U orthonormal, are within :math:`1 \pm \sqrt{d / m}` or so; "sjlt" and "block-hadamard" do so
    for every U from m = 4 d on, "srht" and "dct" may need :math:`m \geq d \log d` and "countsketch"
    :math:`m \sim d^2` where few rows of A hold a direction [1]_. "pooled" is that of [2]_.

    References
    ----------
    .. [1] J. A. Tropp, "Improved analysis of the subsampled randomized Hadamard transform", Advances in Adaptive Data
       Analysis 3 (2011) 115-126.
    .. [2] Z. Song and L. Zhang, "Hadamard flattening and Gaussian pooling sketch for least squares with coordinate-wise
       guarantee", 2026.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> A = np.random.default_rng(0).standard_normal((5000, 3))
    >>> SA = nl.sketch.sketch(A, 300, "srht", seed=1)
    >>> SA.shape
    (300, 3)
    >>> bool(abs(np.linalg.norm(SA) / np.linalg.norm(A) - 1) < 0.1)
    True
    """
    m = _inputs.check_int("m", m, minimum=1)
    matrix = check_rows("A", A, function="sketch")
    n, d = matrix.shape
    spec = _core.sketch_for(n, d, core_kind("kind", kind), m, _inputs.check_seed(seed))
    if n == 0 and kind in WHOLE_KINDS:
        raise ValueError(f"A has shape {matrix.shape}; it must have a row for kind {kind!r}")
    result = np.zeros((m, d), dtype=matrix.dtype)
    with _progress.watch("sketch", callback, verbose) as keep_going:
        _core.apply_sketch(spec, matrix, result, n_threads=_inputs.check_n_threads(n_threads), callback=keep_going)
    if check_finite and not _inputs.is_finite(result):
        refuse_non_finite("A", matrix)
    return result


def check_rows(name: str, value: Any, *, function: str) -> NDArray[np.floating] | _inputs.Csr:
    """Return a dense or sparse matrix as the core takes it; whether it is finite its sketch will tell."""
    if hasattr(value, "tocsr"):
        return _inputs.check_sparse(name, value, function=function)
    return _inputs.check_array(name, value, ndim=2, check_finite=False)


def refuse_non_finite(name: str, matrix: NDArray[np.floating] | _inputs.Csr) -> None:
    """Raise the error that names the first entry that is not finite, if there is one."""
    if isinstance(matrix, _inputs.Csr):
        bad = np.flatnonzero(~np.isfinite(matrix.data))
        if bad.size > 0:
            raise ValueError(f"{name}.data has the entry {matrix.data[bad[0]]} at index {bad[0]}; it must be finite")
    else:
        _inputs.check_array(name, matrix, ndim=matrix.ndim)


class SketchOperator(LinearOperator):  # type: ignore[misc]
    """
    A sketch S as a linear operator: products with S and with its transpose, which is never formed.

    `RowSketch.as_operator` makes them.
    """

    def __init__(self, spec: _core.SketchSpec, n: int, dtype: np.dtype[Any], n_threads: int) -> None:
        super().__init__(dtype, (spec.rows, n))
        self._spec = spec
        self._threads = n_threads

    def _matmat(self, X: NDArray[Any]) -> NDArray[np.floating]:
        columns = np.ascontiguousarray(X, dtype=self.dtype)
        result = np.zeros((self.shape[0], columns.shape[1]), dtype=self.dtype)
        _core.apply_sketch(self._spec, columns, result, n_threads=self._threads)
        return result

    def _rmatmat(self, Y: NDArray[Any]) -> NDArray[np.floating]:
        columns = np.ascontiguousarray(Y, dtype=self.dtype)
        result = np.zeros((self.shape[1], columns.shape[1]), dtype=self.dtype)
        _core.apply_sketch_transposed(self._spec, columns, result, n_threads=self._threads)
        return result

    def _matvec(self, x: NDArray[Any]) -> NDArray[np.floating]:
        return self._matmat(x.reshape(-1, 1)).ravel()

    def _rmatvec(self, y: NDArray[Any]) -> NDArray[np.floating]:
        return self._rmatmat(y.reshape(-1, 1)).ravel()
