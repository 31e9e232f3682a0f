"""What a sketch says of the exact solution of least squares, and how many rows it takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearlinear import _core, _inputs


def sketch_rows(d: int, eps: float, delta: float = 0.05) -> int:
    r"""
    Rows of a Gaussian sketch that give the l_inf guarantee.

    The least m for which, whatever A and b are, :math:`x' = \arg\min |S (A x - b)|` satisfies

    .. math:: |x'_i - x^*_i| \leq \frac{\epsilon}{\sqrt d} \|b - A x^*\|_2 \|A^+\|_2 \quad \text{for all } i

    with probability :math:`1 - \delta`: that with :math:`t \leq \epsilon \sqrt{(m - d + 1) / d}`, t the quantile
    :math:`1 - \delta / (2 d)` of Student's distribution with m - d + 1 degrees of freedom; about
    :math:`d + 2 d \log(2 d / \delta) / \epsilon^2`.

    Parameters
    ----------
    d : int
        Columns of A.
    eps : float
        The bound, positive.
    delta : float, default 0.05
        The probability that it fails.

    Returns
    -------
    int

    Notes
    -----
    For Gaussian S, the error is :math:`(S A)^+ S r` with S r independent of S A, so that its entries, divided by
    :math:`\|r\| ([(A^T A)^{-1}]_{ii})^{1/2}`, have Student's distribution over :math:`\sqrt{m - d + 1}`.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.sketch.sketch_rows(64, eps=1)
    792
    """
    d = _inputs.check_int("d", d, minimum=1)
    return _core.sketch_rows(d, check_positive("eps", eps), check_probability("delta", delta))


def check_positive(name: str, value: float) -> float:
    """Return a finite number above 0."""
    number = _inputs.check_real(name, value)
    if number == 0:
        raise ValueError(f"{name} is {value}; it must be positive")
    return number


def check_probability(name: str, value: float) -> float:
    """Return a number between 0 and 1."""
    number = _inputs.check_real(name, value)
    if not 0 < number < 1:
        raise ValueError(f"{name} is {number}; it must be between 0 and 1")
    return number


@dataclass(frozen=True, eq=False)
class SketchSolution:
    r"""
    The least-squares solution of a sketch, with error bars. Shapes are (d,) or, with several right-hand sides, (d, p).

    Attributes
    ----------
    x : ndarray
        :math:`\arg\min |S (A x - b)|_2`.
    coef_err : ndarray
        Standard errors :math:`|S (b - A x)| / \sqrt{m - d} \; ([((S A)^T S A)^{-1}]_{ii})^{1/2}` of x as an estimate of
        the solution of the whole problem. For Gaussian sketches, errors divided by them have Student's distribution
        with m - d degrees of freedom; for "srht" and "block-hadamard" this is observed.
    residual_norm : float or ndarray, shape (p,)
        :math:`|S (b - A x)|_2`, an estimate of :math:`|b - A x|_2`.
    linf_bound : float or ndarray, shape (p,)
        No coefficient is further off, with probability 1 - delta.
    rank : int
        Of S A; below d, x is that of least norm and error bars are infinite.
    cond : float
        Condition number of S A, estimated.
    degrees_of_freedom : int
        m - d.
    """

    x: NDArray[np.floating]
    coef_err: NDArray[np.float64]
    residual_norm: float | NDArray[np.float64]
    linf_bound: float | NDArray[np.float64]
    rank: int
    cond: float
    degrees_of_freedom: int

    def conf_int(self, level: float = 0.95) -> NDArray[np.float64]:
        """Return the ends of intervals that hold each coefficient with probability `level`, shape (..., 2)."""
        return intervals(self.x, self.coef_err, self.degrees_of_freedom, level)


def intervals(
    x: NDArray[np.floating], error: NDArray[np.float64], degrees_of_freedom: int, level: float
) -> NDArray[np.float64]:
    """Return x -+ the quantile of Student's distribution times its standard error."""
    quantile = _core.student_quantile((1 + check_probability("level", level)) / 2, degrees_of_freedom)
    return np.stack([x - quantile * error, x + quantile * error], axis=-1)


def as_solution(parts: tuple[Any, ...], d: int, shape: tuple[int, ...], freedom: int) -> SketchSolution:
    """Return what the core has found, in the shape (d,) or (d, p) of the solution."""
    x, error, residual_norm, bound, rank, cond = parts
    single = len(shape) == 1
    return SketchSolution(
        x.reshape(shape),
        error.reshape(shape),
        float(residual_norm[0]) if single else residual_norm,
        float(bound[0]) if single else bound,
        rank,
        cond,
        freedom,
    )
