"""Least squares with a Kronecker product, and sketches of one, neither of which forms it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs

Method = Literal["exact", "tensor-srht", "sampling"]
METHODS = ("exact", "tensor-srht", "sampling")


def tensor_srht(
    factors: Iterable[ArrayLike],
    m: int,
    seed: int | np.random.Generator | None = None,
    khatri_rao: bool = False,
    *,
    n_threads: int | None = None,
) -> NDArray[np.floating]:
    r"""
    TensorSRHT: the sketch :math:`S (A_1 \otimes \dots \otimes A_q)` of a product that is never formed.

    S is random with m rows and :math:`E[S^T S] = I`. For two factors

    .. math:: S = m^{-1/2} P (H D_1 \otimes H D_2),

    whose row k is :math:`m^{-1/2} (H D_1 A_1)_{i_k} \otimes (H D_2 A_2)_{j_k}`: H are Walsh-Hadamard matrices, D_t
    random signs, and P picks m pairs of rows. More factors make a binary tree of such sketches [1]_, in which pairs
    whose product has m rows or fewer are left as they are.

    Parameters
    ----------
    factors : sequence of array_like, shapes (n_t, d_t)
        Real numbers. One factor is allowed, too.
    m : int
        Rows of the sketch.
    seed : int or numpy.random.Generator, optional
        Decides S, together with m and all n_t. By default a new S every time.
    khatri_rao : bool, default False
        Sketch the Khatri-Rao product instead, whose column j is the Kronecker product of columns j of the factors,
        which must have the same number d of columns. With one matrix given several times these are the features of a
        polynomial kernel.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

    Returns
    -------
    ndarray, shape (m, d_1 * ... * d_q) or (m, d)
        float32 if all factors are float32 or float16, float64 otherwise; equal to the last bit for every number of
        threads.

    Raises
    ------
    ValueError
        If there are no factors, one is empty or no matrix of finite numbers, m is not positive, or `khatri_rao` and
        numbers of columns differ.
    TypeError
        If a factor is complex, masked, sparse, or not numeric.

    See Also
    --------
    kron_lstsq : least squares with a Kronecker product.
    sketch : sketches of matrices that are at hand.

    Notes
    -----
    Takes :math:`\sum_t n_t d_t \log_2 n_t + m \prod_t d_t` operations for two factors; each further one adds transforms
    of m rows. :math:`|S x|^2` has expectation :math:`|x|^2` for every x, and a variance that grows polynomially in q.

    References
    ----------
    .. [1] T. D. Ahle, M. Kapralov, J. B. T. Knudsen, R. Pagh, A. Velingker, D. P. Woodruff and A. Zandieh, "Oblivious
       sketching of high-degree polynomial kernels", SODA 2020, 141-160.

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((300, 3)), rng.standard_normal((200, 2))
    >>> S_AB = nl.sketch.tensor_srht([A, B], 500, seed=1)
    >>> S_AB.shape
    (500, 6)
    >>> x = rng.standard_normal(6)
    >>> bool(abs(np.linalg.norm(S_AB @ x) / np.linalg.norm(np.kron(A, B) @ x) - 1) < 0.1)
    True
    """
    matrices = _check_factors(factors)
    m = _inputs.check_int("m", m, minimum=1)
    if m > 2**30:
        raise ValueError(f"m is {m}; it must be at most 2**30")
    columns = [matrix.shape[1] for matrix in matrices]
    if khatri_rao:
        for t, count in enumerate(columns):
            if count != columns[0]:
                raise ValueError(
                    f"factors[{t}] has shape {matrices[t].shape} and factors[0] has shape {matrices[0].shape}; with "
                    "khatri_rao=True they must have as many columns"
                )
    d = columns[0] if khatri_rao else math.prod(columns)
    _check_size(m * d)
    result = np.empty((m, d), dtype=matrices[0].dtype)
    _core.tensor_srht(
        matrices, _inputs.check_seed(seed), bool(khatri_rao), result, n_threads=_inputs.check_n_threads(n_threads)
    )
    return result


@dataclass(frozen=True, eq=False)
class KronLstsqResult:
    """
    What `kron_lstsq` returns.

    Attributes
    ----------
    x : ndarray, shape (D,) or (d_1, ..., d_q)
        The solution, a vector if b was one and a tensor if b was.
    residual_norm : float
        :math:`|A x - b|_2`. For "sampling" that of the weighted sample, an estimate, which is too small on average by a
        factor of about :math:`(1 - D / m)^{1/2}`, because x was fitted to the same equations.
    method : str
        The method that was used.
    rank : int
        Of A; for "tensor-srht" and "sampling" of the sketch. Below D, x is the solution of least norm.
    indices : ndarray of int, shape (m, q), or None
        For "sampling": the rows :math:`(i_1, ..., i_q)` whose equations were used. Some may be equal.
    """

    x: NDArray[np.floating]
    residual_norm: float
    method: str
    rank: int
    indices: NDArray[np.intp] | None = None


def kron_lstsq(
    factors: Iterable[ArrayLike],
    b: ArrayLike | Callable[[NDArray[np.intp]], ArrayLike],
    method: Method = "exact",
    *,
    m: int | None = None,
    seed: int | np.random.Generator | None = None,
    n_threads: int | None = None,
) -> KronLstsqResult:
    r"""
    Least squares with a Kronecker product, which is never formed.

    Solves :math:`\min_x |(A_1 \otimes A_2 \otimes \dots \otimes A_q) x - b|_2`, a regression on a grid; where many x
    attain the minimum, for the one of least norm.

    Parameters
    ----------
    factors : sequence of array_like, shapes (n_t, d_t)
        Real numbers, with at least one row and column each. One factor is allowed, too.
    b : array_like, shape (n_1 * ... * n_q,) or (n_1, ..., n_q), or callable
        The right-hand side, as a vector in C order, the last index fastest, or as a tensor. For "sampling" it may be a
        function that is called once, with an integer array of shape (m, q), and returns the entries at these m index
        tuples.
    method : {"exact", "tensor-srht", "sampling"}, default "exact"
        "exact": pseudo-inverses of the factors along the modes of b. As accurate as QR of each factor and, for a b that
        is at hand, as a rule the fastest.
        "tensor-srht": the least-squares problem of a sketch, see `tensor_srht`.
        "sampling": m equations, drawn by the leverage scores of their rows. For a b whose entries are expensive: no
        other entries are read.
    m : int, optional
        Rows of the sketch or the sample, at least :math:`D = d_1 \cdots d_q`. By default
        :math:`\max(16 D, 4 D \log D)`. Not for "exact".
    seed : int or numpy.random.Generator, optional
        Decides the sketch or the sample. By default a new one every time.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.

    Returns
    -------
    KronLstsqResult
        With attributes ``x``, of shape (D,) or, for a tensor or a function b, :math:`(d_1, ..., d_q)`;
        ``residual_norm``; ``method``; ``rank``; and ``indices``. x is float32 if all factors and an array b are float32
        or float16, float64 otherwise, and equal to the last bit for every number of threads.

    Raises
    ------
    ValueError
        If there are no factors, one is empty or no matrix of finite numbers, b does not fit them or is not finite, or
        `method` is unknown; for "tensor-srht" and "sampling" also if m < D or a factor has fewer rows than columns.
    TypeError
        If a factor or b is complex, masked, sparse, or not numeric, or b is a function and `method` not "sampling".

    See Also
    --------
    tensor_srht : the sketch by itself.
    lstsq : least squares with a matrix that is at hand.

    Notes
    -----
    "exact" takes 2 n_t d_t^2 operations for every factor, and for two tall ones :math:`2 n_1 n_2 \min(d_1, d_2)` and a
    little for their product with b: modes are taken in the order that costs least [1]_. A factor counts as
    rank-deficient where its R, columns scaled to length 1, has the condition number 1 / (15 eps) or more; singular
    values up to 15 eps times the largest one of the scaled R are dropped.

    "tensor-srht" changes every coefficient by about as much as a Gaussian sketch with m rows does (`sketch_rows`), with
    more than two factors and m = 4 D by a little more; this is observed, and not proved. Where few rows of A hold a
    direction, it needs :math:`m > D \log D` not to lose it, which shows in ``rank``.

    "sampling" draws the tuple :math:`(i_1, \dots, i_q)` with probability :math:`\prod_t l_t(i_t) / d_t`, independently
    m times, where l_t are the leverage scores of A_t; their products are those of A [2]_. :math:`|A x - b|` is within a
    factor :math:`1 + \epsilon` of the minimum with :math:`m = O(D \log D + D / \epsilon)`. There is no guarantee for
    single coefficients of x, as there is for Gaussian sketches: a coefficient may depend on entries of b that are not
    read.

    References
    ----------
    .. [1] D. W. Fausett and C. T. Fulton, "Large least squares problems involving Kronecker products", SIAM Journal on
       Matrix Analysis and Applications 15 (1994) 219-227.
    .. [2] H. Diao, R. Jayaram, Z. Song, W. Sun and D. P. Woodruff, "Optimal sketching for Kronecker product regression
       and low rank approximation", NeurIPS 2019.

    Examples
    --------
    A polynomial in two variables from its values on a grid:

    >>> import numpy as np
    >>> import nearlinear as nl
    >>> u, v = np.linspace(0, 1, 50), np.linspace(-1, 1, 40)
    >>> factors = [np.vander(u, 3, increasing=True), np.vander(v, 2, increasing=True)]
    >>> result = nl.sketch.kron_lstsq(factors, 1 + 2 * u[:, None] ** 2 - 3 * u[:, None] * v)
    >>> result.x.round(10) + 0.0
    array([[ 1.,  0.],
           [ 0., -3.],
           [ 2.,  0.]])

    The same from a few of the values:

    >>> def value(indices):
    ...     i, j = indices.T
    ...     return 1 + 2 * u[i] ** 2 - 3 * u[i] * v[j]
    >>> nl.sketch.kron_lstsq(factors, value, "sampling", m=100, seed=0).x.round(10) + 0.0
    array([[ 1.,  0.],
           [ 0., -3.],
           [ 2.,  0.]])
    """
    _inputs.check_choice("method", method, METHODS)
    matrices = _check_factors(factors)
    rows, cols = zip(*(matrix.shape for matrix in matrices), strict=True)
    D = math.prod(cols)
    _check_size(D)
    sketch_rows = _check_rows(m, D, method, matrices)
    key, threads = _inputs.check_seed(seed), _inputs.check_n_threads(n_threads)
    if callable(b) and not hasattr(b, "__array__"):
        if method != "sampling":
            raise TypeError(f"b is a function and method is {method!r}; only 'sampling' takes one")
        dtype = matrices[0].dtype
        x, residual_norm, rank, drawn = _core.kron_lstsq_sample(
            matrices, _entries(b, len(rows), dtype), sketch_rows, key, n_threads=threads
        )
        shape = cols
    else:
        rhs = _inputs.check_array("b", cast(ArrayLike, b), ndim=(1, len(rows)), check_finite=method != "sampling")
        if rhs.shape not in ((math.prod(rows),), rows):
            raise ValueError(
                f"b has shape {rhs.shape}, and the factors have {', '.join(map(str, rows))} rows; it must have shape "
                f"({math.prod(rows)},) or {rows}"
            )
        shape = cols if rhs.shape == rows else (D,)
        dtype = np.result_type(rhs, *matrices)
        matrices = [matrix.astype(dtype, copy=False) for matrix in matrices]
        x, residual_norm, rank, drawn = _core.kron_lstsq(
            matrices,
            rhs.astype(dtype, copy=False).ravel(),
            getattr(_core.KronMethod, method.replace("-", "_")),
            sketch_rows,
            key,
            n_threads=threads,
        )
    indices = drawn.reshape(-1, len(rows)) if method == "sampling" else None
    return KronLstsqResult(x.reshape(shape), residual_norm, method, rank, indices)


def _check_factors(factors: Iterable[ArrayLike]) -> list[NDArray[np.floating]]:
    """Return matrices of one type, each with a row and a column."""
    try:
        values = list(factors)
    except TypeError:
        raise TypeError(f"factors is a {type(factors).__name__}; it must be a sequence of matrices") from None
    if not values:
        raise ValueError("factors is empty; there must be at least one matrix")
    matrices = [_inputs.check_array(f"factors[{t}]", value, ndim=2) for t, value in enumerate(values)]
    for t, matrix in enumerate(matrices):
        if matrix.size == 0:
            raise ValueError(f"factors[{t}] has shape {matrix.shape}; it must have at least one row and one column")
    dtype = np.result_type(*matrices)
    return [matrix.astype(dtype, copy=False) for matrix in matrices]


def _check_size(entries: int) -> None:
    if entries >= 2**63:
        raise OverflowError(f"the Kronecker product would take {entries} numbers, more than can be counted in 63 bits")


def _check_rows(m: int | None, D: int, method: Method, matrices: list[NDArray[np.floating]]) -> int:
    """Return the number of rows of the sketch, 0 for the exact method."""
    if method == "exact":
        if m is not None:
            raise ValueError(f"m is {m} and method is 'exact', which makes no sketch; leave m out")
        return 0
    for t, matrix in enumerate(matrices):
        if matrix.shape[0] < matrix.shape[1]:
            raise ValueError(
                f"factors[{t}] has shape {matrix.shape}; it must not have fewer rows than columns for method {method!r}"
            )
    if m is None:
        return _core.kron_sketch_rows(D)
    m = _inputs.check_int("m", m, minimum=1)
    if m < D:
        raise ValueError(f"m is {m}, but the factors have {D} columns in all; it must be at least that")
    if m > 2**30:
        raise ValueError(f"m is {m}; it must be at most 2**30")
    return m


def _entries(
    b: Callable[[NDArray[np.intp]], ArrayLike], q: int, dtype: np.dtype[np.floating]
) -> Callable[[NDArray[np.intp]], NDArray[np.floating]]:
    """Return what the core calls with all indices as one vector; it answers an array of its type."""

    def read(indices: NDArray[Any]) -> NDArray[np.floating]:
        tuples = indices.reshape(-1, q)
        entries = _inputs.check_array("b(indices)", b(tuples.copy()), ndim=1)
        if entries.shape != tuples.shape[:1]:
            raise ValueError(
                f"b(indices) has shape {entries.shape} for indices of shape {tuples.shape}; it must have shape "
                f"{tuples.shape[:1]}"
            )
        return np.ascontiguousarray(entries, dtype=dtype)

    return read
