"""Product of two sparse matrices with fixed patterns."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.sparse import _factors, _results


class MatmulPlan:
    r"""
    Product of two sparse matrices, prepared for many values.

    Finds the pattern of :math:`C = A B` once. From then on `execute` computes the entries
    :math:`C_{ij} = \sum_k A_{ik} B_{kj}` for any values at the places that `A` and `B` store: in Newton's method, in
    time steps, wherever matrices change and their patterns do not.

    Parameters
    ----------
    A : sparse array or matrix in CSR, shape (n, k)
        Rows need not be sorted, and a place may be stored more than once, which means the sum. Real numbers; integers
        and booleans become float64. Other formats are refused: their data are stored in another order.
    B : sparse array or matrix in CSR, shape (k, m)
        The same.
    store_positions : bool, default True
        Remember for every scalar product where it goes, where that takes at most 12 bytes per entry of `C`. Without it
        the plan is smaller and slower. No entry depends on it.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Raises
    ------
    ValueError
        If the shapes do not match, an operand is not in CSR, does not have two dimensions, or is no valid matrix.
    TypeError
        If an operand is not sparse, complex or not numeric.
    MemoryError
        If there is no memory for the plan; the message states the size.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    matmul : One product.

    Notes
    -----
    The plan copies both patterns: what happens to `A` and `B` later does not matter to it. Their values have no part in
    it. Making it takes the time of two to four products, executing it :math:`f = \sum_{(i, k) \in A}
    \mathrm{nnz}(B_{k:})` operations, without a search for the pattern and without sorting. It holds the patterns of
    `A`, `B` and `C` and the positions; an execution takes one number per thread and column of `B`, of no more columns
    than `B` has entries and :math:`2^{16}`. Several threads may execute a plan at once. To reuse what the patterns tell
    is as old as the algorithm [1]_.

    References
    ----------
    .. [1] F. G. Gustavson, "Two fast algorithms for sparse matrices: multiplication and permuted transposition", ACM
       Transactions on Mathematical Software 4 (1978) 250-269.

    Examples
    --------
    >>> import nearlinear as nl
    >>> import scipy.sparse as sp
    >>> A = sp.csr_array([[1.0, 2.0], [0.0, 5.0]])
    >>> B = sp.csr_array([[0.0, 3.0], [4.0, 0.0]])
    >>> plan = nl.sparse.MatmulPlan(A, B)
    >>> plan.execute(A.data, B.data).toarray()
    array([[ 8.,  3.],
           [20.,  0.]])
    >>> plan.execute([1.0, 0.0, 0.0], B.data).toarray()
    array([[0., 3.],
           [0., 0.]])
    """

    def __init__(
        self,
        A: Any,
        B: Any,
        *,
        store_positions: bool = True,
        n_threads: int | None = None,
        callback: _inputs.Callback | None = None,
        verbose: _progress.Verbose = False,
    ) -> None:
        a, b = _factors.operands("MatmulPlan", A=_in_rows("A", A), B=B if B is A else _in_rows("B", B))
        threads = _inputs.check_n_threads(n_threads)
        with _progress.watch("MatmulPlan", callback, verbose) as keep_going:
            self._plan = _results.with_wide_indices_if_needed(
                lambda a, b: _core.matmul_plan(
                    a, b, store_positions=bool(store_positions), n_threads=threads, callback=keep_going
                ),
                a,
                b,
            )
        self._dtype = a.dtype
        self._shape = (a.shape[0], b.shape[1])
        is_array = isinstance(A, scipy.sparse.sparray) or isinstance(B, scipy.sparse.sparray)
        self._kind = scipy.sparse.csr_array if is_array else scipy.sparse.csr_matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the product."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of the product's entries: float32 if both operands are, else float64."""
        return self._dtype

    @property
    def nnz(self) -> int:
        """Number of entries of the product."""
        return int(self._plan.nnz)

    @property
    def products(self) -> int:
        """Number of scalar products that one execution takes."""
        return int(self._plan.products)

    @property
    def indptr(self) -> NDArray[np.signedinteger]:
        """Where the rows of the product begin, read-only."""
        return self._plan.indptr  # type: ignore[no-any-return]

    @property
    def indices(self) -> NDArray[np.signedinteger]:
        """Columns of the product's entries, increasing in every row; read-only."""
        return self._plan.indices  # type: ignore[no-any-return]

    def execute(
        self,
        A_data: ArrayLike,
        B_data: ArrayLike,
        out: NDArray[np.floating] | None = None,
        *,
        n_threads: int | None = None,
        callback: _inputs.Callback | None = None,
        verbose: _progress.Verbose = False,
    ) -> Any:
        """
        Multiply matrices of the plan's patterns with these values.

        Parameters
        ----------
        A_data : array, shape (nnz(A),)
            Values in the order of ``A.data``. What `dtype` cannot hold, float64 for a plan of float32, is refused.
        B_data : array, shape (nnz(B),)
            The same for `B`.
        out : ndarray, shape (nnz,), optional
            Where the values of the product go: a writable contiguous array of the plan's `dtype` that overlaps neither
            `A_data` nor `B_data`. It becomes the result's ``data``, and the result of an earlier execution into the
            same array changes with it. By default a new array.
        n_threads, callback, verbose
            As for the plan.

        Returns
        -------
        C : csr_array or csr_matrix
            In canonical format, an array if one of the operands was. All results of a plan share its `indptr` and
            `indices`, which are read-only; ``C.copy()`` has its own. The values are those of `matmul`, equal to the
            last bit for every number of threads and instruction set, but for the sign of zeros.

        Raises
        ------
        ValueError
            If an array has another length than the plan's, or does not have one dimension; or if `out` is not
            contiguous, read-only or overlaps the input.
        TypeError
            If an array is complex, not numeric or of a wider type than the plan, or `out` is not an array of the plan's
            type.
        Interrupted
            If `callback` returned True; the content of `out` is then unspecified.
        """
        a, b = self._values("A_data", A_data), self._values("B_data", B_data)
        c = np.empty(self.nnz, self._dtype) if out is None else self._checked_out(out, a, b)
        threads = _inputs.check_n_threads(n_threads)
        with _progress.watch("MatmulPlan.execute", callback, verbose) as keep_going:
            self._plan.execute(a, b, c, n_threads=threads, callback=keep_going)
        result = self._kind((c, self.indices, self.indptr), shape=self._shape)
        result.has_canonical_format = True
        return result

    def _values(self, name: str, values: ArrayLike) -> NDArray[np.floating]:
        array = _inputs.check_array(name, values, ndim=1, check_finite=False)
        if array.dtype.itemsize > self._dtype.itemsize:
            raise TypeError(f"{name} has dtype {array.dtype}; the plan was made for {self._dtype}")
        return array.astype(self._dtype, copy=False)

    def _checked_out(self, out: Any, *inputs: NDArray[np.floating]) -> NDArray[np.floating]:
        if not isinstance(out, np.ndarray) or out.dtype != self._dtype or not out.dtype.isnative:
            what = f"an array of {out.dtype}" if isinstance(out, np.ndarray) else f"a {type(out).__name__}"
            raise TypeError(f"out is {what}; it must be an ndarray of {self._dtype}")
        if out.shape != (self.nnz,):
            raise ValueError(f"out has shape {out.shape}; the product has {self.nnz} entries")
        if not out.flags.c_contiguous or not out.flags.writeable:
            raise ValueError("out must be contiguous and writable")
        if any(np.may_share_memory(out, array) for array in inputs):
            raise ValueError("out overlaps A_data or B_data")
        return out


def _in_rows(name: str, value: Any) -> Any:
    if hasattr(value, "tocsr") and value.ndim == 2 and value.format != "csr":  # what else is wrong is refused elsewhere
        raise ValueError(f"MatmulPlan: {name} is in the format {value.format}; pass {name}.tocsr(), and later its data")
    return value
