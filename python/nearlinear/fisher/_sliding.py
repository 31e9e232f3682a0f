"""The inverse of a Fisher matrix of the last gradients."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.fisher import _operator
from nearlinear.fisher._operator import FisherOperator

State = dict[str, Any]


class SlidingFisherInverse(FisherOperator):
    r"""
    Products with the inverse of the Fisher matrix of the newest gradients.

    .. math:: F = \lambda I + \frac1s \sum_i g_i g_i^T

    over a window of the last gradients. A `scipy.sparse.linalg.LinearOperator` that stands for :math:`F^{-1}` and
    changes as gradients come and go.

    Parameters
    ----------
    n_params : int
        d, the number of entries of a gradient.
    window : int
        Room for so many gradients; beyond that, the oldest one goes for every new one.
    damping : float, default 1e-5
        :math:`\lambda > 0`, absolute: it is added to F, whatever the size of the gradients.
    normalize : {"count", "capacity"}, default "count"
        s, the number of gradients held or the size of the window. They differ while the window fills. The authors'
        optimiser does the second, as if the window began full of zeros: its first steps are `window` times as long.
    storage : {"float32", "float64", "float16", "bfloat16"}, default "float32"
        Type of the numbers that the gradients are rounded to. float16 stands for numbers of 16 bits times a power of
        two of its own for every gradient. Vectors are float64 with "float64", otherwise float32.
    topk : float, optional
        Keep only this share of a gradient's entries, in (0, 1]: the largest of every 65536, of the gradient plus what
        was left out of the ones before it (error feedback [1]_). F is then that of the sparse gradients, and
        `precondition` multiplies the sparse one.
    method : {"cholesky", "recurrence"}, default "cholesky"
        "recurrence" is the paper's own dynamic algorithm, to compare with: :math:`m^3` operations per gradient, with
        normalize="capacity" and without the methods that need a factor.
    n_threads : int, optional
        Upper limit on the number of threads, here and in all methods. By default `nearlinear.get_num_threads`.

    Raises
    ------
    ValueError
        If a size is not positive or an option is unknown.
    MemoryError
        If there is no memory for the window; the message states the size.

    See Also
    --------
    FisherInverse : Of gradients that are all there.

    Notes
    -----
    The Gram matrix of the window and the Cholesky factor of :math:`S = s \lambda I + G G^T` are kept in float64 and in
    the order of age. Then the factor of a window that slides comes from the last one by a positive rank-one update:
    :math:`O(m^2)` operations instead of :math:`O(m^3)`, and stable for ever. With ``normalize="count"``, S changes
    altogether while the window fills, and is factored anew when it is next needed.

    A gradient in the window needs no difference of large numbers:

    .. math:: F^{-1} G^T = s\, G^T S^{-1}

    so that `precondition` and `combination` are as accurate as the storage for every damping, where `matvec` loses
    :math:`\log_{10}(|G|^2 / (s \lambda))` digits of such a vector. In 16 bits all methods are exact for the rounded
    gradients; to hand an unrounded one to `matvec` instead can give something many times as long.

    References
    ----------
    .. [1] I.-V. Modoranu, A. Kalinov, E. Kurtic, E. Frantar, D. Alistarh, "Error feedback can accurately compress
       preconditioners", ICML 2024.

    Examples
    --------
    >>> import nearlinear as nl
    >>> inverse = nl.fisher.SlidingFisherInverse(2, window=10, damping=1.0, storage="float64")
    >>> inverse.precondition([3.0, 4.0]) * 26   # F = I + g g^T
    array([3., 4.])
    >>> inverse.n_stored
    1
    """

    def __init__(
        self,
        n_params: int,
        window: int,
        damping: float = 1e-5,
        *,
        normalize: Literal["count", "capacity"] = "count",
        storage: _operator.Storage = "float32",
        topk: float | None = None,
        method: Literal["cholesky", "recurrence"] = "cholesky",
        n_threads: int | None = None,
    ) -> None:
        d = _inputs.check_int("n_params", n_params, minimum=1)
        self._window = _inputs.check_int("window", window, minimum=1)
        _inputs.check_choice("normalize", normalize, ("count", "capacity"))
        _inputs.check_choice("storage", storage, _operator.STORAGES)
        _inputs.check_choice("method", method, ("cholesky", "recurrence"))
        self._damping = _one_damping(damping)
        self._topk = 1.0 if topk is None else _inputs.check_real("topk", topk)
        if not 0 < self._topk <= 1:
            raise ValueError(f"topk is {topk}; it must be above 0 and at most 1")
        self._n_threads = _inputs.check_n_threads(n_threads)
        self._normalize, self._storage, self._method = normalize, storage, method
        wide = storage == "float64"
        super().__init__(dtype=np.float64 if wide else np.float32, shape=(d, d))
        if method == "recurrence":
            if normalize != "capacity" or storage not in ("float32", "float64") or self._topk < 1:
                raise ValueError('method "recurrence" has normalize="capacity", no storage of 16 bits and no topk')
            make = _core.DynamicRecurrence64 if wide else _core.DynamicRecurrence32
            self._core: Any = make(d, self._window, self._damping)
        else:
            sliding = _core.SlidingFisherInverse64 if wide else _core.SlidingFisherInverse32
            self._core = sliding(d, self._window, self._damping, normalize == "count", storage, self._topk)

    @property
    def n_stored(self) -> int:
        """Number of gradients in the window."""
        return int(self._core.n_stored)

    @property
    def window(self) -> int:
        """Number of gradients that there is room for."""
        return self._window

    @property
    def damping(self) -> float:
        """The damping."""
        return self._damping

    @property
    def normalize(self) -> str:
        """What the sum is divided by: "count" or "capacity"."""
        return self._normalize

    @property
    def storage(self) -> str:
        """Type of the numbers that the gradients are kept in."""
        return self._storage

    @property
    def topk(self) -> float:
        """The share of a gradient's entries that is kept."""
        return self._topk

    @property
    def method(self) -> str:
        """How products are computed: "cholesky" or "recurrence"."""
        return self._method

    @property
    def nbytes(self) -> int:
        """Memory of the window, its Gram matrix and the factor."""
        return int(self._factored("nbytes").nbytes)

    @property
    def gram(self) -> NDArray[np.float64]:
        """A copy of the Gram matrix, in the order of age."""
        out = np.empty((self.n_stored, self.n_stored))
        self._factored("gram").gram(out)
        return out

    def update(self, g: ArrayLike) -> None:
        """
        Take a gradient in.

        Parameters
        ----------
        g : array, shape (d,)
            Real and finite.

        Raises
        ------
        ValueError
            If `g` has another shape or an entry that is NaN or infinite; the window is then what it was.
        OverflowError
            If the storage cannot hold it, likewise.
        """
        vector = self._gradient("g", g)
        if self._method == "recurrence":
            self._core.update(vector, self._n_threads)
        else:
            self._core.update(vector.reshape(1, -1), self._n_threads)

    def update_many(
        self, G: ArrayLike, *, callback: _inputs.Callback | None = None, verbose: _progress.Verbose = False
    ) -> None:
        """Take gradients in, one per row of an array of shape (k, d), all of them in one pass over the window."""
        rows = _inputs.check_array("G", G, ndim=2, check_finite=False)
        if rows.shape[1] != self.shape[0]:
            raise ValueError(f"G has shape {rows.shape}; it must have {self.shape[0]} columns")
        if not _inputs.is_finite(rows):
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(rows))[0])
            raise ValueError(f"G has the entry {rows[index]} at index {index}; all entries must be finite")
        if self._method == "recurrence":
            for row in rows:
                self.update(row)
            return
        with _progress.watch("SlidingFisherInverse.update_many", callback, verbose) as keep_going:
            self._core.update(rows.astype(self.dtype, copy=False), self._n_threads, keep_going)

    def precondition(self, g: ArrayLike) -> NDArray[np.floating]:
        """
        Take a gradient in and multiply it by the inverse.

        Parameters
        ----------
        g : array, shape (d,)
            As for `update`.

        Returns
        -------
        y : ndarray, shape (d,)
            :math:`F^{-1} g`, of the window that `g` is part of, and of `g` as it is stored. In float32 it is accurate
            to 1e-6 and better for every damping.
        """
        if self._method == "recurrence":
            self.update(g)
            return self.matvec(g)
        out = np.empty(self.shape[0], self.dtype)
        self._core.precondition(self._gradient("g", g), out, self._n_threads)
        return out

    def combination(self, a: ArrayLike) -> NDArray[np.floating]:
        r"""
        Multiply a combination of the window's gradients by the inverse, in one pass.

        Parameters
        ----------
        a : array, shape (n_stored,)
            A number for every gradient, from the oldest on; ``a = ones / n_stored`` is their mean.

        Returns
        -------
        y : ndarray, shape (d,)
            :math:`F^{-1} G^T a = s\, G^T S^{-1} a`.

        Raises
        ------
        ValueError
            If the window is empty or `a` has another length.
        """
        core = self._factored("combination")
        coefficients = _inputs.check_array("a", a, ndim=1).astype(np.float64, copy=False)
        if self.n_stored == 0:
            raise ValueError("combination: the window is empty")
        if coefficients.shape != (self.n_stored,):
            raise ValueError(f"a has shape {coefficients.shape}; it must have shape ({self.n_stored},)")
        out = np.empty(self.shape[0], self.dtype)
        core.combination(coefficients, out, self._n_threads)
        return out

    def remove_oldest(self) -> None:
        """Take the oldest gradient out."""
        self.remove(0)

    def remove(self, age: int) -> None:
        """Take a gradient out: 0 is the oldest, ``n_stored - 1`` the newest."""
        core = self._factored("remove")
        core.remove(self._age(age))

    def gradient(self, age: int) -> NDArray[np.floating]:
        """Return a gradient as it is stored: 0 is the oldest."""
        core = self._factored("gradient")
        out = np.empty(self.shape[0], self.dtype)
        core.gradient(self._age(age), out)
        return out

    def logdet(self) -> float:
        r"""Return :math:`\log \det F`."""
        return float(self._factored("logdet").log_determinant(self._n_threads))

    def set_damping(self, damping: float) -> None:
        """Change the damping; the factor is computed anew when it is next needed."""
        core = self._factored("set_damping")
        number = _one_damping(damping)
        core.set_damping(number)
        self._damping = number

    def reset(self) -> None:
        """Take all gradients out."""
        while self.n_stored > 0:
            self.remove(self.n_stored - 1)

    def state_dict(self) -> State:
        """Return all that the window holds, as arrays and plain values that can be pickled."""
        damping, slots, gradients, scales, gram, factor, residual = self._factored("state_dict").save()
        return {
            "n_params": self.shape[0],
            "window": self._window,
            "storage": self._storage,
            "normalize": self._normalize,
            "topk": self._topk,
            "damping": damping,
            "slots": slots,
            "gradients": gradients,
            "scales": scales,
            "gram": gram,
            "factor": factor,
            "residual": residual,
        }

    def load_state_dict(self, state: State) -> None:
        """
        Go on from a state, with the same bits.

        Raises
        ------
        ValueError
            If it is the state of another number of parameters, window, storage or normalisation, or misses a part.
        """
        core = self._factored("load_state_dict")
        ours = {
            "n_params": self.shape[0],
            "window": self._window,
            "storage": self._storage,
            "normalize": self._normalize,
            "topk": self._topk,
        }
        parts = ("damping", "slots", "gradients", "scales", "gram", "factor", "residual")
        missing = [key for key in (*ours, *parts) if key not in state]
        if missing:
            raise ValueError(f"state has no {missing[0]!r}")
        for key, value in ours.items():
            if state[key] != value:
                raise ValueError(f"state has {key} {state[key]!r}; here it is {value!r}")
        dtypes = (np.int64, np.uint8, np.float64, np.float64, np.float64, np.float64)
        arrays = [np.ascontiguousarray(state[key], dtype=dtype) for key, dtype in zip(parts[1:], dtypes, strict=True)]
        core.load(float(state["damping"]), *arrays)
        self._damping = float(state["damping"])

    def _apply(self, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        out = np.empty_like(rows)
        self._core.apply(rows, out, self._n_threads)
        return out

    def _gradient(self, name: str, value: ArrayLike) -> NDArray[np.floating]:
        vector = _inputs.check_array(name, value, ndim=1, check_finite=False)
        if vector.shape != (self.shape[0],):
            raise ValueError(f"{name} has shape {vector.shape}; it must have shape ({self.shape[0]},)")
        if vector.dtype == self.dtype:
            return vector
        with np.errstate(over="ignore"):
            converted = vector.astype(self.dtype)
        if not _inputs.is_finite(converted) and _inputs.is_finite(vector):
            raise OverflowError(f"{name} has the entry {vector[~np.isfinite(converted)][0]}, too large for float32")
        return converted

    def _age(self, age: int) -> int:
        number = _inputs.check_int("age", age, minimum=0)
        if number >= self.n_stored:
            raise IndexError(f"age is {number}; the window holds {self.n_stored} gradients")
        return number

    def _factored(self, what: str) -> Any:
        if self._method == "recurrence":
            raise ValueError(f'{what} needs a factor, which method "recurrence" does not have')
        return self._core


def _one_damping(damping: Any) -> float:
    numbers = _operator.check_damping("damping", damping)
    if np.ndim(damping) != 0:
        raise ValueError(f"damping has shape {np.shape(damping)}; it must be a number")
    return numbers[0]
