"""Powers of a sparse matrix."""

from typing import Any

from nearlinear import _core, _inputs, _progress
from nearlinear.sparse import _results


def matpow(
    A: Any,
    k: int,
    *,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> Any:
    r"""
    Power of a square sparse matrix.

    Computes :math:`A^k` by repeated squaring; :math:`A^0` is the identity.

    Parameters
    ----------
    A : sparse array or matrix, shape (n, n)
        Any format of SciPy; CSR is taken as it is, others are converted. Rows need not be sorted, and a place may be
        stored more than once, which means the sum. Real numbers; integers and booleans become float64.
    k : int
        The exponent, at least 0.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    C : csr_array or csr_matrix, shape (n, n)
        In canonical format, a new matrix also for k = 1; an array if `A` is. float32 if `A` is, else float64. It has an
        entry wherever there is a walk of k steps. It is equal to the last bit for every number of threads and
        instruction set, but for the sign of zeros.

    Raises
    ------
    ValueError
        If `A` is not square or no valid matrix, or k is negative.
    TypeError
        If `A` is not sparse, complex or not numeric, or k is not an integer.
    OverflowError
        If k is :math:`2^{63}` or more.
    MemoryError
        If there is no memory for a power; the message states the size.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    At most :math:`2 \log_2 k` products of `matmul`. The bits of k are taken from the highest on, so that the powers are
    squared and multiplied with `A`, which is sparser than they are, from the right.

    Examples
    --------
    >>> import nearlinear as nl
    >>> import scipy.sparse as sp
    >>> A = sp.csr_array([[1.0, 2.0], [0.0, 5.0]])
    >>> nl.sparse.matpow(A, 3).toarray()
    array([[  1.,  62.],
           [  0., 125.]])
    """
    a = _inputs.check_sparse("A", A, function="matpow")
    exponent = _inputs.check_int("k", k, minimum=0)
    if exponent >= 2**63:
        raise OverflowError(f"k is {exponent}; it must be below 2**63")
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("matpow", callback, verbose) as keep_going:
        parts = _results.with_wide_indices_if_needed(
            lambda a: _core.matpow(a, exponent, n_threads=threads, callback=keep_going), a
        )
    return _results.canonical(parts, a.shape, A)
