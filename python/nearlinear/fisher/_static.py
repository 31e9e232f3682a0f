"""The inverse of a Fisher matrix of given gradients."""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.fisher import _operator
from nearlinear.fisher._operator import FisherOperator

Method = Literal["cholesky", "recurrence"]


class FisherInverse(FisherOperator):
    r"""
    Products with the inverse of a damped empirical Fisher matrix.

    .. math:: F = \lambda I + \frac1m \sum_{i=1}^m g_i g_i^T

    A `scipy.sparse.linalg.LinearOperator` of shape (d, d) that stands for :math:`F^{-1}`: a preconditioner, the
    inverse-Hessian-vector products of influence functions, the covariance of a Laplace approximation. No matrix of
    :math:`d^2` numbers is formed.

    Parameters
    ----------
    grads : array, shape (m, d)
        A gradient per row: float32 or float64, other real numbers become float64. A `numpy.memmap` is read piece by
        piece, in a few passes, with ``copy=False``.
    damping : float or array of one per block, default 1e-5
        :math:`\lambda > 0`, absolute: it is added to F, whatever the size of the gradients.
    block_size : int, optional
        Let F be block diagonal, with blocks of so many parameters, the last one maybe smaller. By default one block.
    normalize : "count" or float, default "count"
        What the sum of :math:`g g^T` is divided by: the number of gradients, or a positive number.
    storage : {"float64", "float32", "float16", "bfloat16"}, optional
        Keep the gradients rounded to this type, in memory of its own. float16 stands for numbers of 16 bits times a
        power of two of its own for every gradient. By default they are kept as they are.
    method : {"cholesky", "recurrence"}, default "cholesky"
        "recurrence" is the paper's own static algorithm, to compare with: slower, less accurate, and without the
        methods that need a factor.
    copy : bool, default True
        With False, a contiguous array is used where it is, and must not change as long as the operator lives.
    n_threads : int, optional
        Upper limit on the number of threads, here and in all methods. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Raises
    ------
    ValueError
        If `grads` does not have two dimensions, has no rows or columns or an entry that is NaN or infinite, or an
        option is out of range.
    TypeError
        If `grads` is complex or not numeric.
    OverflowError
        If `storage` cannot hold an entry, or a double the square of a gradient's norm.
    MemoryError
        If there is no memory; the message states the size.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    SlidingFisherInverse : A window of gradients that come and go.
    obs_prune : Pruning with it.

    Notes
    -----
    With the gradients as rows of G and :math:`S = m \lambda I + G G^T = L L^T` [1]_,

    .. math:: F^{-1} = \frac1\lambda \left(I - G^T S^{-1} G\right).

    To set up takes :math:`m^2 d` operations, a product :math:`4 m d` in two passes over G, `diagonal` :math:`m^2 d`, an
    element :math:`m^2`. Blocks of fewer than m parameters are factored themselves. Gram matrix and factor are float64.
    Products of float32 gradients are summed in float32 over 1024 parameters at most, then in float64; in float64
    altogether where that is cheap, and where the factor's pivots show that it is needed. Results are equal to the last
    bit for every number of threads on one instruction set.

    References
    ----------
    .. [1] E. Frantar, E. Kurtic, D. Alistarh, "M-FAC: Efficient matrix-free approximations of second-order
       information", NeurIPS 2021.

    Examples
    --------
    >>> import nearlinear as nl
    >>> inverse = nl.fisher.FisherInverse([[3.0, 4.0]], damping=1.0)   # F = I + g g^T
    >>> inverse.matvec([26.0, 0.0])
    array([ 17., -12.])
    >>> inverse.element(0, [0, 1])
    array([ 0.65384615, -0.46153846])
    """

    def __init__(
        self,
        grads: ArrayLike,
        damping: ArrayLike = 1e-5,
        *,
        block_size: int | None = None,
        normalize: Literal["count"] | float = "count",
        storage: _operator.Storage | None = None,
        method: Method = "cholesky",
        copy: bool = True,
        n_threads: int | None = None,
        callback: _inputs.Callback | None = None,
        verbose: _progress.Verbose = False,
    ) -> None:
        if storage is not None:
            _inputs.check_choice("storage", storage, _operator.STORAGES)
        _inputs.check_choice("method", method, ("cholesky", "recurrence"))
        G = _inputs.check_array("grads", grads, ndim=2, check_finite=False, copy=copy and storage is None)
        if 0 in G.shape:
            raise ValueError(f"grads has shape {G.shape}; it must have rows and columns")
        self._damping = _operator.check_damping("damping", damping)
        self._n_threads = _inputs.check_n_threads(n_threads)
        size = 0 if block_size is None else _inputs.check_int("block_size", block_size, minimum=1)
        divisor = _divisor(normalize)
        self._method = method
        self._storage = storage if storage is not None else G.dtype.name
        m, d = G.shape
        n_blocks = 1 if size == 0 else -(-d // size)
        if len(self._damping) not in (1, n_blocks):
            raise ValueError(f"damping has {len(self._damping)} entries; there are {n_blocks} blocks")
        super().__init__(dtype=G.dtype, shape=(d, d))
        self._block_size = min(size, d) if size > 0 else None
        self._grads = G if storage is None else None  # the core looks at them
        wide = G.dtype == np.float64
        with _progress.watch("FisherInverse", callback, verbose) as keep_going:
            if method == "recurrence":
                if size > 0 or storage is not None:
                    raise ValueError('method "recurrence" has neither blocks nor storage')
                recurrence: Any = _core.StaticRecurrence64 if wide else _core.StaticRecurrence32
                self._core: Any = recurrence(G, self._damping[0], divisor, self._n_threads, keep_going)
            else:
                inverse: Any = _core.FisherInverse64 if wide else _core.FisherInverse32
                self._core = inverse(G, self._damping, size, divisor, storage or "", self._n_threads, keep_going)
        self._n_grads: int = m

    @classmethod
    def from_gradients(
        cls, iterable: Iterable[ArrayLike], m: int, d: int, damping: ArrayLike = 1e-5, **options: Any
    ) -> "FisherInverse":
        """
        Make the operator of gradients that come one by one.

        Parameters
        ----------
        iterable : iterable of arrays of shape (d,)
            At least one gradient, at most `m`, fewer than `m` are all there are. The first one's type is that of all.
        m, d : int
            Room for so many gradients of so many parameters.
        damping, **options
            Those of the class.

        Raises
        ------
        ValueError
            If there is no gradient or more than `m`, or one has another shape.
        """
        rows, cols = _inputs.check_int("m", m, minimum=1), _inputs.check_int("d", d, minimum=1)
        G: NDArray[np.floating] | None = None
        count = 0
        for gradient in iterable:
            if count == rows:
                raise ValueError(f"iterable yields more than m = {rows} gradients")
            g = _inputs.check_array(f"gradient {count}", gradient, ndim=1, check_finite=False)
            if g.shape != (cols,):
                raise ValueError(f"gradient {count} has shape {g.shape}; it must have shape ({cols},)")
            if G is None:
                G = np.empty((rows, cols), g.dtype)
            G[count] = g
            count += 1
        if G is None:
            raise ValueError("iterable yields no gradient")
        return cls(G[:count], damping, copy=False, **options)

    @staticmethod
    def estimate_nbytes(
        m: int, d: int, *, block_size: int | None = None, storage: _operator.Storage = "float32"
    ) -> int:
        """Return how many bytes the operator of `m` gradients of `d` parameters takes, its copy of them included."""
        rows, cols = _inputs.check_int("m", m, minimum=1), _inputs.check_int("d", d, minimum=1)
        _inputs.check_choice("storage", storage, _operator.STORAGES)
        size = cols if block_size is None else min(cols, _inputs.check_int("block_size", block_size, minimum=1))
        blocks = -(-cols // size)
        return int(rows * cols * _operator.BYTES[storage] + blocks * 16 * min(rows, size) ** 2)

    @property
    def damping(self) -> float | NDArray[np.float64]:
        """The damping, or an array of one per block."""
        return self._damping[0] if len(self._damping) == 1 else np.array(self._damping)

    @property
    def n_grads(self) -> int:
        """Number of gradients."""
        return self._n_grads

    @property
    def block_size(self) -> int | None:
        """Parameters per block, or None."""
        return self._block_size

    @property
    def storage(self) -> str:
        """Type of the numbers that the gradients are kept in."""
        return self._storage

    @property
    def method(self) -> str:
        """How products are computed: "cholesky" or "recurrence"."""
        return self._method

    @property
    def nbytes(self) -> int:
        """Memory that the operator holds."""
        held = 0 if self._grads is None else self._grads.nbytes
        return held + (held if self._method == "recurrence" else int(self._factored("nbytes").nbytes))

    @property
    def gram(self) -> NDArray[np.float64]:
        """The Gram matrix of the gradients, read-only."""
        if self._block_size is not None or self._n_grads > self.shape[0]:
            raise ValueError("gram: there is none with blocks or with more gradients than parameters")
        return self._factored("gram").gram  # type: ignore[no-any-return]

    def _apply(self, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        return self._products(self._core.apply, rows)

    def fisher_matvec(self, x: ArrayLike) -> NDArray[np.floating]:
        """Return :math:`F x` of a vector, or of the columns of a matrix: what tells residuals."""
        core = self._factored("fisher_matvec")
        return self._map_columns(lambda rows: self._products(core.apply_fisher, rows), self._checked("x", x))

    def sqrt_matvec(self, x: ArrayLike) -> NDArray[np.floating]:
        r"""
        Return :math:`F^{-1/2} x` of a vector, or of the columns of a matrix, by the symmetric root.

        Of standard normal `x` it makes samples of :math:`\mathcal N(0, F^{-1})`. Every call takes the eigenvectors of
        the Gram matrix, some :math:`9 m^3` operations: hand over all vectors at once.
        """
        core = self._factored("sqrt_matvec")
        return self._map_columns(lambda rows: self._products(core.apply_square_root, rows), self._checked("x", x))

    def quad_form(self, x: ArrayLike) -> Any:
        """Return :math:`x^T F^{-1} x` of a vector, or an array of that of every column of a matrix."""
        array = self._checked("x", x)
        products = self._map_columns(self._apply, array)
        value = np.einsum("i...,i...->...", array, products, dtype=np.float64)
        return float(value) if array.ndim == 1 else value

    def diagonal(
        self, *, callback: _inputs.Callback | None = None, verbose: _progress.Verbose = False
    ) -> NDArray[np.float64]:
        """
        Return the diagonal of :math:`F^{-1}`, in :math:`m^2 d` operations.

        Entries of float gradients are computed in float where the estimated error is below :math:`2^{-22}` of an entry,
        in double otherwise.
        """
        out = np.empty(self.shape[0])
        with _progress.watch("FisherInverse.diagonal", callback, verbose) as keep_going:
            self._core.diagonal(out, self._n_threads, keep_going)
        return out

    def element(self, i: ArrayLike, j: ArrayLike) -> Any:
        """
        Return elements of :math:`F^{-1}`.

        Parameters
        ----------
        i, j : int or arrays of them
            Rows and columns, which broadcast against each other. Negative ones count from the end.

        Returns
        -------
        float or ndarray
            One number for every pair, each in :math:`m^2` operations.

        Raises
        ------
        IndexError
            If an index is out of range.
        """
        rows, cols = np.broadcast_arrays(self._indices("i", i), self._indices("j", j))
        out = np.empty(rows.size)
        self._factored("element").elements(np.ascontiguousarray(rows.ravel()), np.ascontiguousarray(cols.ravel()), out)
        return float(out[0]) if rows.ndim == 0 else out.reshape(rows.shape)

    def submatrix(self, rows: ArrayLike, cols: ArrayLike) -> NDArray[np.float64]:
        """Return the elements of :math:`F^{-1}` in these rows and columns, an array of shape (rows, cols)."""
        i, j = self._indices("rows", rows), self._indices("cols", cols)
        if i.ndim != 1 or j.ndim != 1:
            raise ValueError(f"rows has shape {i.shape} and cols {j.shape}; they must have 1 dimension")
        out = np.empty((i.size, j.size))
        self._factored("submatrix").submatrix(i, j, out)
        return out

    def logdet(self) -> float:
        r"""Return :math:`\log \det F`."""
        return float(self._factored("logdet").log_determinant())

    def set_damping(self, damping: ArrayLike) -> None:
        """Change the damping, in :math:`m^3 / 3` operations and without a look at the gradients."""
        core = self._factored("set_damping")
        numbers = _operator.check_damping("damping", damping)
        core.set_damping(numbers, self._n_threads)
        self._damping = numbers

    def _joint_step(
        self, w: NDArray[np.floating], prune_mask: NDArray[np.uint8], n_threads: int = 0
    ) -> tuple[NDArray[np.floating], float]:
        step = np.empty(self.shape[0], self.dtype)
        loss_increase = self._factored("obs_update").joint_step(w, prune_mask, step, n_threads)
        return step, float(loss_increase)

    def _group_inverses(self, groups: NDArray[np.int64], n_threads: int = 0) -> NDArray[np.float64]:
        count, size = groups.shape
        out = np.empty(count * size * size)
        self._factored("obs_saliency").group_inverses(np.ascontiguousarray(groups), out, n_threads)
        return out.reshape(count, size, size)

    def _products(self, function: Any, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        out = np.empty_like(rows)
        function(rows, out, self._n_threads)
        return out

    def _factored(self, what: str) -> Any:
        if self._method == "recurrence":
            raise ValueError(f'{what} needs a factor, which method "recurrence" does not have')
        return self._core

    def _indices(self, name: str, value: ArrayLike) -> NDArray[np.int64]:
        indices = np.asarray(value)
        if indices.dtype.kind not in "iu" and indices.size > 0:
            raise TypeError(f"{name} has dtype {indices.dtype}; it must hold integers")
        indices = indices.astype(np.int64)
        bad = np.flatnonzero((indices < -self.shape[0]) | (indices >= self.shape[0]))
        if bad.size > 0:
            raise IndexError(f"{name} has the index {indices.ravel()[bad[0]]}; there are {self.shape[0]} parameters")
        return np.where(indices < 0, indices + self.shape[0], indices)


def _divisor(normalize: Any) -> float:
    """Return the core's ``normalization``, in which 0 stands for the number of gradients."""
    if isinstance(normalize, str):
        _inputs.check_choice("normalize", normalize, ("count",))
        return 0.0
    number = _inputs.check_real("normalize", normalize)
    if number == 0:
        raise ValueError("normalize is 0.0; it must be positive")
    return number
