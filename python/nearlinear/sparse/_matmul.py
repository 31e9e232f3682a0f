"""Product of two sparse matrices."""

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from nearlinear import _core, _inputs, _progress
from nearlinear.sparse import _dense_matmul, _factors, _formats, _results, _semirings


def matmul(
    A: Any,
    B: Any,
    *,
    mask: Any = None,
    mask_complement: bool = False,
    mask_values: bool = False,
    semiring: _semirings.Semiring = "plus_times",
    accum: Any = None,
    prune_zeros: bool = False,
    threshold: float | None = None,
    top_k: int | None = None,
    index_dtype: Any = "auto",
    dtype: DTypeLike | None = None,
    accumulator: Literal["auto", "dense", "hash", "sort"] = "auto",
    check: Literal["fast", "full", "none"] = "fast",
    out_format: Literal["same", "csr", "csc"] = "same",
    n_threads: int | None = None,
    max_bytes: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> Any:
    r"""
    Product of two sparse matrices, or of a sparse and a dense one.

    Computes :math:`C = A B`, that is :math:`C_{ij} = \sum_k A_{ik} B_{kj}` over the entries that are stored: of two
    sparse matrices a sparse one with sorted rows and one entry per place, else a dense one. Of sparse matrices also
    :math:`C = M \circ (C_0 + A B)`, restricted to the places of a mask :math:`M` and added to :math:`C_0`, and with
    other operations than plus and times.

    Parameters
    ----------
    A : sparse array or matrix, or array, shape (n, k)
        Any format of SciPy; CSR, and CSC where the result is CSC, are taken as they are, others are converted. Rows
        need not be sorted, and a place may be stored more than once, which means the sum. Booleans, integers, real and
        complex numbers; beside a dense operand real numbers, and integers and booleans become float64. If `B` is
        sparse it may be dense, and then also a vector of k entries.
    B : sparse array or matrix, or array, shape (k, m)
        The same. If `A` is sparse it may be dense, and then also a vector of k entries.
    mask : sparse array or matrix, shape (n, m), optional
        The result has no entries but at the places that the mask stores. What the mask leaves out takes no memory, and
        rows for which it is empty take no time.
    mask_complement : bool, default False
        The result has no entries at the places of the mask instead.
    mask_values : bool, default False
        Stored zeros are no places of the mask. (Places that are stored twice mean the sum.)
    semiring : str, default "plus_times"
        What takes the place of plus and times; see the notes.
    accum : sparse array or matrix, shape (n, m), or tuple of it and two numbers, optional
        :math:`C_0`, to which the products are added, by the semiring's addition. With (C_0, alpha, beta) and
        "plus_times", computes :math:`M \circ (\beta C_0 + (\alpha A) B)`.
    prune_zeros : bool, default False
        Drop entries that are zero, as SciPy's product does; over a semiring, those equal to the neutral element of
        its addition.
    threshold : float, optional
        Drop entries with :math:`|C_{ij}|` below it; NaN stays. Rounded to the type of the result.
    top_k : int, optional
        Of every row, keep the largest entries (not the largest in absolute value), this many; of equal ones those of
        the first columns, and NaN after all others. What is dropped, by any of the three, never takes memory. Not for
        complex numbers.
    index_dtype : {"auto", "int32", "int64"} or dtype, default "auto"
        Type of the indices of the result. By default int32 if those of all operands are and it can count the entries.
    dtype : dtype, optional
        Cast the operands to it, and return it. By default SciPy's rule: the common type of the operands.
    accumulator : {"auto", "dense", "hash", "sort"}, default "auto"
        What a row's products are summed in: one sum per column of `B`, which is fast; a hash table, which takes
        memory in proportion to the row alone; or a list that is sorted. "auto" takes the dense one unless it is large
        (16 MiB over all threads) and large beside the operands (a quarter of their memory), else the table. The choice
        changes no entry.
    check : {"fast", "full", "none"}, default "fast"
        "fast" refuses what is no valid matrix, and sorts rows that are not. "full" refuses also NaN in an operand, and
        operands whose flags `has_canonical_format` and `has_sorted_indices` are set and not true. "none" trusts the
        caller that all operands of the result's format are valid and canonical, the columns of every row increasing
        strictly; where they are not, anything may happen.
    out_format : {"same", "csr", "csc"}, default "same"
        "same" is CSC if `A` is CSC, else CSR, as SciPy has it but for products of two BSR or DIA matrices, which come
        as CSR here. CSC is computed as :math:`C^T = B^T A^T`, without conversions of CSC operands.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    max_bytes : int, optional
        Refuse a product that may take more, by the bound of `estimate`, in which a row has `top_k` entries at most, and
        no more than the mask. Nothing is computed then.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    C : sparse array or matrix, or ndarray, shape (n, m)
        Where one operand is dense an ndarray, of one dimension if that is a vector; float32 if both operands are, else
        float64. Else an array if one of the operands is, in canonical format. It has an entry wherever some
        :math:`A_{ik}` and :math:`B_{kj}` are both stored, even when their sum is zero (with `prune_zeros` it has not;
        SciPy's own product never stores them). It is equal to the last bit for every number of threads, instruction
        set and accumulator, but for the sign of zeros. Its type is `dtype`, or that of SciPy's product: booleans give
        booleans, by "or" and "and"; integers wrap around; uint64 with a signed type gives float64.

    Raises
    ------
    ValueError
        If the shapes do not match, an operand does not have two dimensions, or an operand is no valid matrix: indptr
        that does not begin with 0 or decreases, or an index out of range, which SciPy does not always notice; or if
        `threshold` is negative or not finite, or `top_k` or `max_bytes` below 1, or a choice does not exist, or a mask
        is spoken of that is not given; or if an option that only sparse results have is given for a dense one.
    TypeError
        If neither operand is sparse, or one is not numeric, or float16 or longdouble; if complex numbers meet a dense
        operand, an order (`top_k`, "min_plus"), or a real `dtype`.
    OverflowError
        If `index_dtype` is int32 and the result has more entries or columns than it can count.
    MemoryError
        If there is no memory for the result, or it may take more than `max_bytes`; the message states the size.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    With :math:`f = \sum_{(i, k) \in A} \mathrm{nnz}(B_{k:})`, the number of scalar products, it takes
    :math:`O(\mathrm{nnz}(A) + \mathrm{nnz}(B) + f)` operations; hashing takes a factor
    :math:`\log \mathrm{nnz}(C_{i:})` more, for sorting. Memory: the result, and per thread about 2 MB and an
    accumulator. Entry :math:`C_{ij}` is summed in the order in which row i of `A` is stored, or, where the result is
    CSC, column j of `B`; to first order its error is at most :math:`\mathrm{nnz}(A_{i:})\, u\, (|A| |B|)_{ij}`, u being
    the unit round-off (CSC: :math:`\mathrm{nnz}(B_{:j})`). NaN and Inf spread through stored entries only.

    With a dense operand it takes :math:`2\, \mathrm{nnz}(A)\, m` or :math:`2\, n\, \mathrm{nnz}(B)` operations, and
    entries are summed in the order of CSR, without fused operations: the bits are those of the sparse product, but for
    the sign of zeros, and where a sparse `B` stores a place twice, which that product sums up first.

    ============  =======================================  =========================  =================
    semiring      :math:`C_{ij}`                           types                      result
    ============  =======================================  =========================  =================
    "plus_times"  :math:`\sum_k A_{ik} B_{kj}`             all                        common type
    "min_plus"    :math:`\min_k (A_{ik} + B_{kj})`         integers, real             common type
    "max_plus"    :math:`\max_k (A_{ik} + B_{kj})`         integers, real             common type
    "max_times"   :math:`\max_k A_{ik} B_{kj}`             integers, real             common type
    "or_and"      whether some are both nonzero            all                        bool
    "plus_pair"   how many are both stored                 all; values do not matter  int64
    "min_first"   the least :math:`A_{ik}` of those that   integers, real; those of   type of `A`
                  have :math:`B_{kj}` stored               `B` do not matter
    ============  =======================================  =========================  =================

    Booleans count as int64 where an order is needed. Minima and maxima are NaN where an operand is. Places that are
    stored twice are combined by the semiring's addition. Products other than "plus_times" of float32 or float64
    without mask and `accum` run on code for all types, which is several times slower per scalar product.

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

    Only where `A` has entries, and shortest paths of one or two edges:

    >>> nl.sparse.matmul(A, B, mask=A).toarray()
    array([[8., 3.],
           [0., 0.]])
    >>> nl.sparse.matmul(A, A, semiring="min_plus", accum=A).toarray()
    array([[1., 2.],
           [0., 5.]])
    """
    is_sparse = [hasattr(factor, "tocsr") for factor in (A, B)]
    if not any(is_sparse):
        kinds = f"A is a {type(A).__name__} and B is a {type(B).__name__}"
        raise TypeError(f"{kinds}; one of them must be sparse, e.g. scipy.sparse.csr_array(A)")
    if not all(is_sparse):
        _refuse_for_dense(
            {"A": A, "B": B},
            mask=mask is not None,
            mask_complement=mask_complement,
            mask_values=mask_values,
            semiring=semiring != "plus_times",
            accum=accum is not None,
            prune_zeros=prune_zeros,
            threshold=threshold is not None,
            top_k=top_k is not None,
            index_dtype=not isinstance(index_dtype, str) or index_dtype != "auto",
            dtype=dtype is not None,
            accumulator=accumulator != "auto",
            check=check != "fast",
            out_format=out_format != "same",
            max_bytes=max_bytes is not None,
        )
        return _dense_matmul.product(A, B, n_threads, callback, verbose)

    name = _semirings.check_name(semiring)
    _inputs.check_choice("check", check, ("fast", "full", "none"))
    _inputs.check_choice("out_format", out_format, ("same", "csr", "csc"))
    index = _check_index_dtype(index_dtype)
    options: dict[str, Any] = {
        "accumulator": _core.Accumulator[_inputs.check_choice("accumulator", accumulator, _ACCUMULATORS)],
        **_factors.selection(prune_zeros, threshold, top_k),
        "max_bytes": 0 if max_bytes is None else _inputs.check_int("max_bytes", max_bytes, minimum=1),
        "n_threads": _inputs.check_n_threads(n_threads),
    }
    if mask is None and (mask_complement or mask_values):
        raise ValueError(f"{'mask_complement' if mask_complement else 'mask_values'} is set, but mask is None")
    added, alpha, beta = _check_accum(accum, semiring)
    matrices = _check_matrices(A=A, B=B, mask=mask, accum=added)
    if check == "full":
        for argument, matrix in matrices.items():
            _formats.require_as_flagged(argument, matrix)

    numbers = [] if added is None else [added.dtype, alpha, beta]
    types = _semirings.types_of(semiring, {"A": A, "B": B}, numbers, dtype)
    _semirings.require_suitable(types, added, top_k)
    result_format = out_format if out_format != "same" else "csc" if A.format == "csc" else "csr"
    by_columns = result_format == "csc" and top_k is None  # top_k is of rows
    operands: dict[str, Any] = {
        argument: _formats.mask(matrix, values=mask_values, by_columns=by_columns)
        if argument == "mask"
        else _formats.operand(
            argument, matrix, _semirings.types_of_operand(argument, semiring, types), by_columns=by_columns
        )
        for argument, matrix in matrices.items()
        if argument != "B" or B is not A or semiring == "min_first"
    }
    operands.setdefault("B", operands["A"])
    if accum is not None and isinstance(accum, tuple):
        for argument, factor in (("A", alpha), ("accum", beta)):
            scaled = operands[argument]
            operands[argument] = scaled._replace(data=types.cast(scaled.data * types.computed.type(factor)))
    options["assume_valid"] = check == "none"
    if by_columns and check != "none":
        options["assume_valid"] = _require_valid_transposes(operands, mask_values)
    widths = {operand.indices.dtype for operand in operands.values()}
    if len(widths) > 1:
        operands = {argument: operand.astype(operand.dtype, np.int64) for argument, operand in operands.items()}
    left, right = (operands.pop(argument) for argument in ("BA" if by_columns else "AB"))

    with _progress.watch("matmul", callback, verbose) as keep_going:
        if semiring == "plus_times" and types.computed.kind == "f" and not operands:
            parts: tuple[Any, Any, Any] = _core.matmul(left, right, **options, callback=keep_going)
        else:
            parts = _core.semiring_matmul(
                left,
                right,
                name,
                bits=types.bits,
                exchanged=by_columns,
                mask_complement=bool(mask_complement),
                mask_values=bool(mask_values),
                **operands,
                **options,
                callback=keep_going,
            )

    data, indices, indptr = parts
    # The view turns C's long long, as wide as long, into the int64 that NumPy prints without its name.
    parts = (data.astype(types.result, copy=False).view(types.result), indices, indptr)
    product = _results.canonical(parts, (A.shape[0], B.shape[1]), A, B, by_columns=by_columns)
    if by_columns != (result_format == "csc"):
        product = product.tocsc()
        product.has_canonical_format = True
    return product if index is None else _with_index(product, index)


_ACCUMULATORS = ("auto", "dense", "hash", "sort")


def _check_matrices(**matrices: Any) -> dict[str, Any]:
    """Return those that are given."""
    given = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    for name, matrix in given.items():
        _inputs.check_is_sparse(name, matrix)
        _semirings.check_number(name, matrix.dtype)
    return given


def _with_index(product: Any, index: np.dtype[Any]) -> Any:
    most = max(product.nnz, product.shape[product.format == "csr"])
    if most > np.iinfo(index).max:
        raise OverflowError(
            f"index_dtype is {index}, but the product has {most} entries, columns or rows to be counted"
        )
    product.indices = product.indices.astype(index, copy=False)  # SciPy's constructor would choose by itself
    product.indptr = product.indptr.astype(index, copy=False)
    return product


def _check_index_dtype(index_dtype: Any) -> np.dtype[Any] | None:
    if isinstance(index_dtype, str) and index_dtype == "auto":
        return None
    for index in (np.dtype(np.int32), np.dtype(np.int64)):
        if index_dtype in (index, index.name, index.type):
            return index
    raise ValueError(f"index_dtype is {index_dtype!r}; it must be one of 'auto', 'int32', 'int64'")


def _check_accum(accum: Any, semiring: str) -> tuple[Any, Any, Any]:
    """Return C_0, alpha and beta."""
    if not isinstance(accum, tuple):
        return accum, 1, 1
    if len(accum) != 3:
        raise ValueError(f"accum is a tuple of {len(accum)}; it must be a sparse matrix or (C_0, alpha, beta)")
    if semiring != "plus_times":
        raise ValueError(f"accum is a tuple, but {semiring} has no scalar factors; give the matrix alone")
    matrix, alpha, beta = accum
    for factor, name in ((alpha, "alpha"), (beta, "beta")):
        if not isinstance(factor, int | float | complex | np.number):
            raise TypeError(f"accum has {name} {factor!r}; it must be a number")
    return matrix, alpha, beta


def _require_valid_transposes(operands: dict[str, _inputs.Csr], mask_values: bool) -> bool:
    """
    Check operands that are transposed, under their own names; return whether all are canonical.

    The core would speak of B^T as its A.
    """
    (k, n), (m, k_of_b) = operands["A"].shape, operands["B"].shape
    canonical = True
    for argument, matrix in operands.items():
        whole = matrix
        if argument == "mask" and not mask_values:
            whole = matrix._replace(data=np.empty(len(matrix.indices), np.bool_))
        canonical &= _formats.require_valid(f"{argument}.T", whole)
    if k != k_of_b:
        raise ValueError(f"matmul: A is {n} x {k} but B is {k_of_b} x {m}; A must have as many columns as B has rows")
    for argument, matrix in operands.items():
        if argument in ("mask", "accum") and matrix.shape != (m, n):
            shape = f"{matrix.shape[1]} x {matrix.shape[0]}"
            raise ValueError(f"matmul: {argument} is {shape} but the product is {n} x {m}")
    return canonical


def _refuse_for_dense(factors: dict[str, Any], **given: Any) -> None:
    for name, is_given in given.items():
        if is_given:
            for factor, value in factors.items():  # what is no matrix at all is the greater mistake
                if not hasattr(value, "tocsr"):
                    _inputs.check_array(factor, value, ndim=(1, 2), check_finite=False)
            raise ValueError(f"{name} is for products of two sparse matrices; with a dense one the product is dense")
