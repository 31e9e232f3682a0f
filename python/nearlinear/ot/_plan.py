"""Plans that are known by their dual variables."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from nearlinear import _core, _inputs
from nearlinear.ot._problem import Cost, sparse_plan_of


class TransportPlan(LinearOperator):  # type: ignore[misc]  # SciPy has no types
    r"""
    A transport plan as a linear operator that stores no matrix.

    :math:`P_{ij} = \exp((f_i + g_j - C_{ij}) / \mathrm{reg})`, and zero where there is no mass. `sinkhorn` makes it.

    Attributes
    ----------
    shape : tuple of int
        (n, m).
    dtype : dtype
        Type of `toarray` and `to_csr`; products are float64.

    Notes
    -----
    Every product takes an exponential for each of the n m pairs; several vectors at once share them.
    """

    def __init__(
        self,
        cost: Cost,
        *,
        f: NDArray[np.float64],
        g: NDArray[np.float64],
        reg: float,
        a: NDArray[np.float64],
        b: NDArray[np.float64],
        n_threads: int,
    ):
        super().__init__(np.dtype(np.float64), cost.shape)
        kind: Any = _core.TransportPlan32 if cost.dtype == np.float32 else _core.TransportPlan64
        self._cost = cost  # the core refers to a matrix
        self._core = kind(cost.first, cost.y, cost.metric, f, g, reg, a, b)
        self._g, self._reg, self._b = g, reg, b
        self._n_threads = n_threads

    def barycentres(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the averages of the second cloud's points with weights exp((g_j - c(x, y_j)) / reg)."""
        points, y = _inputs.common_dtype(x, self._cost.y)
        there = Cost(np.ascontiguousarray(points), np.ascontiguousarray(y), self._cost.metric)
        rows = np.ones(len(points))
        plan = TransportPlan(
            there, f=np.zeros(len(points)), g=self._g, reg=self._reg, a=rows, b=self._b, n_threads=self._n_threads
        )
        plan._core.normalize_rows(self._n_threads)
        return plan._product(plan._core.multiply, len(points), y)

    def toarray(self) -> NDArray[np.floating]:
        """Return the plan as an array of the type of the costs."""
        return self.rows(0, self.shape[0])

    def rows(self, begin: int, end: int) -> NDArray[np.floating]:
        """Return rows `begin` to `end` - 1 of the plan as an array."""
        out = np.empty((end - begin, self.shape[1]), self._cost.dtype)
        self._core.dense(begin, out, self._n_threads)
        return out

    def to_csr(
        self, *, mass: float | None = None, tol: float | None = None, top_k: int | None = None
    ) -> scipy.sparse.csr_array:
        """
        Return the plan's large entries as a sparse array.

        Parameters
        ----------
        mass : float, optional
            Keep the largest entries of every row until they hold this fraction of its sum; in (0, 1].
        tol : float, optional
            Keep entries above `tol` times the sum of their row; in [0, 1). By default 1e-12, where nothing else is
            given.
        top_k : int, optional
            Keep the `top_k` largest entries of every row.

        Returns
        -------
        P : csr_array, shape (n, m)
            Entries that satisfy everything that is given, with sorted indices.

        Raises
        ------
        ValueError
            If `mass`, `tol` or `top_k` is out of its range.
        """
        if mass is None and top_k is None and tol is None:
            tol = 1e-12
        if tol is not None and not 0 <= _inputs.check_real("tol", tol) < 1:
            raise ValueError(f"tol is {tol}; it must be in [0, 1)")
        if mass is not None and not 0 < _inputs.check_real("mass", mass) <= 1:
            raise ValueError(f"mass is {mass}; it must be in (0, 1]")
        if top_k is not None:
            top_k = _inputs.check_int("top_k", top_k, minimum=1)
        parts = self._core.sparse(-1.0 if tol is None else tol, mass or 0.0, top_k or 0, self._n_threads)
        return sparse_plan_of(parts, self.shape)

    def _matmat(self, X: ArrayLike) -> NDArray[np.float64]:
        return self._product(self._core.multiply, self.shape[0], X)

    def _rmatmat(self, X: ArrayLike) -> NDArray[np.float64]:
        return self._product(self._core.multiply_transposed, self.shape[1], X)

    def _matvec(self, x: ArrayLike) -> NDArray[np.float64]:
        return self._matmat(np.reshape(x, (-1, 1))).reshape(-1)

    def _rmatvec(self, x: ArrayLike) -> NDArray[np.float64]:
        return self._rmatmat(np.reshape(x, (-1, 1))).reshape(-1)

    def _product(self, function: Any, rows: int, X: ArrayLike) -> NDArray[np.float64]:
        factor = np.ascontiguousarray(_inputs.check_array("X", X, ndim=2), dtype=np.float64)
        out = np.empty((rows, factor.shape[1]))
        function(factor, out, self._n_threads)
        return out
