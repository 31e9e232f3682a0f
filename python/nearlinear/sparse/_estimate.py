"""What a product takes, before and without storing it."""

from typing import Any, NamedTuple

import numpy as np

from nearlinear import _core, _inputs, _progress
from nearlinear.sparse import _factors


class MatmulEstimate(NamedTuple):
    """
    What `estimate` returns.

    Attributes
    ----------
    products : int
        Number of scalar products, which the time of `matmul` goes with.
    nnz : int
        Bound on the number of entries of the product: no row has more of them than columns or scalar products.
    bytes : int
        What a product of so many entries takes, in CSR, with the types that `matmul` gives it.
    """

    products: int
    nnz: int
    bytes: int


def estimate(A: Any, B: Any, *, n_threads: int | None = None) -> MatmulEstimate:
    r"""
    What the product of two sparse matrices will take, at the cost of a look at `A`.

    Counts :math:`f = \sum_{(i, k) \in A} \mathrm{nnz}(B_{k:})`, the scalar products, and bounds the number of entries
    of :math:`C = A B` by :math:`\sum_i \min(f_i, m)`.

    Parameters
    ----------
    A, B
        Sparse as for `matmul`, of shapes (n, k) and (k, m). Their values are not looked at.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

    Returns
    -------
    MatmulEstimate
        Named tuple of `products`, `nnz` and `bytes`.

    Raises
    ------
    ValueError, TypeError
        As `matmul`.
    OverflowError
        If there are :math:`2^{63}` scalar products or more.

    See Also
    --------
    matmul_nnz : The number of entries itself.

    Examples
    --------
    >>> import nearlinear as nl
    >>> import scipy.sparse as sp
    >>> A = sp.csr_array([[1.0, 2.0], [0.0, 5.0]])
    >>> nl.sparse.estimate(A, A)
    MatmulEstimate(products=4, nnz=3, bytes=48)
    """
    a, b = _factors.patterns("estimate_matmul", A=A, B=B)
    products, nnz, _ = _core.estimate_matmul(a, b, n_threads=_inputs.check_n_threads(n_threads))
    index, value = a.indices.itemsize, np.result_type(A.dtype, B.dtype).itemsize
    return MatmulEstimate(products, nnz, (a.shape[0] + 1) * index + nnz * (index + value))


def matmul_nnz(
    A: Any,
    B: Any,
    *,
    prune_zeros: bool = False,
    threshold: float | None = None,
    top_k: int | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> int:
    """
    Return how many entries the product of two sparse matrices has.

    The product is computed row by row and stored nowhere, in the time of `matmul`.

    Parameters
    ----------
    A, B
        Sparse as for `matmul`. Their values matter only to the options that drop entries: with these they are real
        numbers, of which integers and booleans become float64.
    prune_zeros, threshold, top_k, n_threads, callback, verbose
        As for `matmul`.

    Returns
    -------
    int
        ``matmul(A, B, ...).nnz``.

    Raises
    ------
    ValueError, TypeError, Interrupted
        As `matmul`.

    See Also
    --------
    estimate : A bound, in much less time.

    Examples
    --------
    >>> import nearlinear as nl
    >>> import scipy.sparse as sp
    >>> A = sp.csr_array([[1.0, 2.0], [0.0, 5.0]])
    >>> nl.sparse.matmul_nnz(A, A)
    3
    """
    selection = _factors.selection(prune_zeros, threshold, top_k)
    operands = _factors.operands if any(selection.values()) else _factors.patterns
    a, b = operands("matmul_nnz", A=A, B=B)
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("matmul_nnz", callback, verbose) as keep_going:
        return int(_core.matmul_nnz(a, b, **selection, n_threads=threads, callback=keep_going))
