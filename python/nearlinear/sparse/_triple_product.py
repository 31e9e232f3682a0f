"""Product of three sparse matrices."""

from typing import Any, Literal

from nearlinear import _core, _inputs, _progress
from nearlinear.sparse import _factors, _results


def triple_product(
    R: Any,
    A: Any,
    P: Any,
    *,
    method: Literal["auto", "fused", "separate"] = "auto",
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> Any:
    r"""
    Product of three sparse matrices.

    Computes :math:`C = R A P`, which is the Galerkin product of algebraic multigrid when :math:`R = P^T`.

    Parameters
    ----------
    R, A, P : sparse array or matrix, shapes (n, k), (k, l), (l, m)
        Any format of SciPy; CSR is taken as it is, others are converted. Rows need not be sorted, and a place may be
        stored more than once, which means the sum. Real numbers; integers and booleans become float64.
    method : {"auto", "fused", "separate"}, default "auto"
        "fused" is :math:`(R A) P`, block by block of the rows of `R`, so that :math:`R A` is never stored as a whole;
        "separate" is :math:`R (A P)`. "auto" is "separate" unless "fused" takes a fifth fewer scalar products, by the
        patterns alone: those of the first products are counted, those of the second ones estimated from a sample of
        the rows.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the computation.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    C : csr_array or csr_matrix, shape (n, m)
        In canonical format, an array if one of the operands is. float32 if all three are, else float64. It has the bits
        of ``matmul(matmul(R, A), P)`` (fused) or ``matmul(R, matmul(A, P))`` (separate) on any number of threads and
        every instruction set, but for the sign of zeros.

    Raises
    ------
    ValueError
        If the shapes do not match, an operand does not have two dimensions or is no valid matrix, or for any other
        `method`.
    TypeError
        If an operand is not sparse, complex or not numeric.
    MemoryError
        If there is no memory for the result; the message states the size.
    Interrupted
        If `callback` returned True.

    Notes
    -----
    With :math:`f(A, B)` the number of scalar products of :math:`A B`, it takes :math:`f(R, A) + f(R A, P)` operations
    fused and :math:`f(A, P) + f(R, A P)` separate. Memory: the result twice and some 50 MB, or the result and
    :math:`A P`. To first order the error is at most :math:`(p + q)\, u\, (|R| |A| |P|)_{ij}`, p and q being the largest
    numbers of entries in a row of the left factors, u the unit round-off.

    Examples
    --------
    >>> import nearlinear as nl
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(6, 6), format="csr")
    >>> P = sp.csr_array(np.kron(np.eye(3), [[1.0], [1.0]]))
    >>> nl.sparse.triple_product(P.T, A, P).toarray()
    array([[ 2., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  2.]])
    """
    factors = _factors.operands("triple_product", R=R, A=A, P=P)
    choice = _core.TripleProductMethod[_inputs.check_choice("method", method, ("auto", "fused", "separate"))]
    threads = _inputs.check_n_threads(n_threads)
    with _progress.watch("triple_product", callback, verbose) as keep_going:
        parts = _results.with_wide_indices_if_needed(
            lambda r, a, p: _core.triple_product(r, a, p, method=choice, n_threads=threads, callback=keep_going),
            *factors,
        )
    return _results.canonical(parts, (factors[0].shape[0], factors[2].shape[1]), R, A, P)
