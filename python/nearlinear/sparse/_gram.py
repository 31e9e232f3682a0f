"""Gram matrices of the rows or columns of a sparse matrix."""

from typing import Any, Literal

from nearlinear import _core, _inputs, _progress
from nearlinear.sparse import _results


def gram(
    A: Any,
    side: Literal["right", "left"] = "right",
    *,
    method: Literal["auto", "half", "whole"] = "auto",
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> Any:
    r"""
    Product of a sparse matrix and its own transpose, exactly symmetric.

    Computes :math:`C = A A^T` or, with the transpose on the left, :math:`C = A^T A`.

    Parameters
    ----------
    A : sparse array or matrix, shape (n, k)
        Any format of SciPy; CSR is taken as it is, others are converted. Rows need not be sorted, and a place may be
        stored more than once, which means the sum. Real numbers; integers and booleans become float64.
    side : {"right", "left"}, default "right"
        Where the transpose stands.
    method : {"auto", "half", "whole"}, default "auto"
        Whether only the entries on and above the diagonal are computed and the others mirrored, or all are computed.
        "auto" takes the half if a sample of the rows has 12 scalar products per entry. The choice changes no entry.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    C : csr_array or csr_matrix, shape (n, n) or (k, k)
        In canonical format, an array if `A` is. float32 if `A` is, else float64. It has an entry wherever two rows (or
        columns) of `A` have one in common, and is symmetric to the last bit. For `A` in canonical format it has every
        bit of ``matmul(A, A.T)`` or ``matmul(A.T, A)``, but for the sign of zeros, on any number of threads and every
        instruction set.

    Raises
    ------
    ValueError
        If `A` does not have two dimensions or is no valid matrix, or for any other `side` or
        `method`.
    TypeError
        If `A` is not sparse, complex or not numeric.
    MemoryError
        If there is no memory for the result; the message states the size.
    Interrupted
        If `callback` returned True.

    See Also
    --------
    matmul : The product of any two matrices.
    nearlinear.linalg.gram : The same for a dense matrix.

    Notes
    -----
    The half takes about half of the scalar products of `matmul`, and mirrors the other half of the entries. To mirror
    an entry takes about as long as a dozen scalar products, so that the half gains where many of them meet in an entry;
    elsewhere the time is that of `matmul`.

    Examples
    --------
    >>> import nearlinear as nl
    >>> import scipy.sparse as sp
    >>> A = sp.csr_array([[1.0, 2.0], [0.0, 5.0]])
    >>> nl.sparse.gram(A).toarray()
    array([[ 5., 10.],
           [10., 25.]])
    >>> nl.sparse.gram(A, side="left").toarray()
    array([[ 1.,  2.],
           [ 2., 29.]])
    """
    a = _inputs.check_sparse("A", A, function="gram")
    choice = _core.GramSide[_inputs.check_choice("side", side, ("right", "left"))]
    way = _core.GramMethod[_inputs.check_choice("method", method, ("auto", "half", "whole"))]
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("gram", callback, verbose) as keep_going:
        parts = _results.with_wide_indices_if_needed(
            lambda a: _core.gram(a, side=choice, method=way, n_threads=threads, callback=keep_going), a
        )
    size = a.shape[0] if side == "right" else a.shape[1]
    return _results.canonical(parts, (size, size), A)
