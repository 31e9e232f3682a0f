"""Product of two sparse matrices."""

from typing import Any, Literal

import scipy.sparse

from nearlinear import _core, _inputs, _progress
from nearlinear.sparse import _dense_matmul, _factors


def matmul(
    A: Any,
    B: Any,
    *,
    accumulator: Literal["auto", "dense", "hash"] = "auto",
    prune_zeros: bool = False,
    threshold: float | None = None,
    top_k: int | None = None,
    n_threads: int | None = None,
    max_bytes: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> Any:
    r"""
    Product of two sparse matrices, or of a sparse and a dense one.

    Computes :math:`C = A B`, that is :math:`C_{ij} = \sum_k A_{ik} B_{kj}` over the entries that are stored: of two
    sparse matrices a sparse one with sorted rows and one entry per place, else a dense one.

    Parameters
    ----------
    A : sparse array or matrix, or array, shape (n, k)
        Any format of SciPy; CSR is taken as it is, others are converted. Rows need not be sorted, and a place may be
        stored more than once, which means the sum. Real numbers; integers and booleans become float64. If `B` is
        sparse it may be dense, and then also a vector of k entries.
    B : sparse array or matrix, or array, shape (k, m)
        The same. If `A` is sparse it may be dense, and then also a vector of k entries.
    accumulator : {"auto", "dense", "hash"}, default "auto"
        What a row's products are summed in: one sum per column of `B`, which is fast, or a hash table, which takes
        memory in proportion to the row alone. "auto" takes the dense one unless it is large (16 MiB over all threads)
        and large beside the operands (a quarter of their memory). The choice changes no entry.
    prune_zeros : bool, default False
        Drop entries that are zero, as SciPy's product does.
    threshold : float, optional
        Drop entries with :math:`|C_{ij}|` below it; NaN stays. Rounded to the type of the result.
    top_k : int, optional
        Of every row, keep the largest entries (not the largest in absolute value), this many; of equal ones those of
        the first columns, and NaN after all others. What is dropped, by any of the three, never takes memory.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    max_bytes : int, optional
        Refuse a product that may take more, by the bound of `estimate`, in which a row has `top_k` entries at most.
        Nothing is computed then.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    C : csr_array or csr_matrix, or ndarray, shape (n, m)
        Where one operand is dense an ndarray, of one dimension if that is a vector. Else an array if one of the
        operands is, in canonical format. float32 if both operands are, else float64. Its indices are 32 bits wide if
        those of both operands are and it has fewer than :math:`2^{31}` entries. It has an entry wherever some
        :math:`A_{ik}` and :math:`B_{kj}` are both stored, even when their sum is zero (with `prune_zeros` it has not;
        SciPy's own product never stores them). It is equal to the last bit for every number of threads, instruction
        set and accumulator, but for the sign of zeros.

    Raises
    ------
    ValueError
        If the shapes do not match, an operand does not have two dimensions, or an operand is no valid matrix: indptr
        that does not begin with 0 or decreases, or an index out of range, which SciPy does not always notice; or if
        `threshold` is negative or not finite, or `top_k` or `max_bytes` below 1, or one of `accumulator`,
        `prune_zeros`, `threshold`, `top_k` and `max_bytes` is given for a dense result.
    TypeError
        If neither operand is sparse, or one is complex or not numeric.
    MemoryError
        If there is no memory for the result, or it may take more than `max_bytes`; the message states the size.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    With :math:`f = \sum_{(i, k) \in A} \mathrm{nnz}(B_{k:})`, the number of scalar products, it takes
    :math:`O(\mathrm{nnz}(A) + \mathrm{nnz}(B) + f)` operations; hashing takes a factor
    :math:`\log \mathrm{nnz}(C_{i:})` more, for sorting. Memory: the result, and per thread about 2 MB and an
    accumulator. Entry :math:`C_{ij}` is summed in the order in which row i of `A` is stored; to first order its error
    is at most :math:`\mathrm{nnz}(A_{i:})\, u\, (|A| |B|)_{ij}`, u being the unit round-off. NaN and Inf spread through
    stored entries only.

    With a dense operand it takes :math:`2\, \mathrm{nnz}(A)\, m` or :math:`2\, n\, \mathrm{nnz}(B)` operations, and
    entries are summed in the same order, without fused operations: the bits are those of the sparse product, but for
    the sign of zeros, and where a sparse `B` stores a place twice, which that product sums up first.

    The work is cut into tokens of equal numbers of scalar products, and rows are merged as they are generated, as in
    SMASH [1]_; on a CPU every row has one owner, so that its accumulator needs no atomic operations.

    References
    ----------
    .. [1] K. Shivdikar, "SMASH: Sparse Matrix Atomic Scratchpad Hashing", Northeastern University, 2021.
    .. [2] F. G. Gustavson, "Two fast algorithms for sparse matrices: multiplication and permuted transposition", ACM
       Transactions on Mathematical Software 4 (1978) 250-269.

    Examples
    --------
    >>> import nearlinear as nl
    >>> import scipy.sparse as sp
    >>> A = sp.csr_array([[1.0, 2.0], [0.0, 5.0]])
    >>> B = sp.csr_array([[0.0, 3.0], [4.0, 0.0]])
    >>> nl.sparse.matmul(A, B).toarray()
    array([[ 8.,  3.],
           [20.,  0.]])
    >>> nl.sparse.matmul(A, [1.0, 2.0])
    array([ 5., 10.])
    """
    is_sparse = [hasattr(factor, "tocsr") for factor in (A, B)]
    if not any(is_sparse):
        kinds = f"A is a {type(A).__name__} and B is a {type(B).__name__}"
        raise TypeError(f"{kinds}; one of them must be sparse, e.g. scipy.sparse.csr_array(A)")
    if not all(is_sparse):
        _refuse_for_dense(accumulator, prune_zeros, threshold, top_k, max_bytes)
        return _dense_matmul.product(A, B, n_threads, callback, verbose)
    a, b = _factors.operands(A, B, "matmul")
    choice = _core.Accumulator[_inputs.check_choice("accumulator", accumulator, ("auto", "dense", "hash"))]
    selection = _factors.selection(prune_zeros, threshold, top_k)
    limit = 0 if max_bytes is None else _inputs.check_int("max_bytes", max_bytes, minimum=1)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("matmul", callback, verbose) as keep_going:
        parts = _core.matmul(
            a, b, accumulator=choice, **selection, max_bytes=limit, n_threads=threads, callback=keep_going
        )

    is_array = isinstance(A, scipy.sparse.sparray) or isinstance(B, scipy.sparse.sparray)
    kind = scipy.sparse.csr_array if is_array else scipy.sparse.csr_matrix
    product = kind(parts, shape=(a.shape[0], b.shape[1]))
    product.has_canonical_format = True  # or SciPy looks at every entry to find out
    return product


def _refuse_for_dense(accumulator: str, prune_zeros: bool, threshold: Any, top_k: Any, max_bytes: Any) -> None:
    given = {
        "accumulator": accumulator != "auto",
        "prune_zeros": bool(prune_zeros),
        "threshold": threshold is not None,
        "top_k": top_k is not None,
        "max_bytes": max_bytes is not None,
    }
    for name, is_given in given.items():
        if is_given:
            raise ValueError(f"{name} is for products of two sparse matrices; with a dense one the product is dense")
