"""What iterative methods share: the state that callbacks see, guesses, tolerances."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _inputs


class IterationState(NamedTuple):
    """
    What the callback of an iterative method gets.

    Attributes
    ----------
    nit : int
        Iterations so far.
    residual_norm : float or ndarray
        Norm of the residual, of every right-hand side where there are several.
    """

    nit: int
    residual_norm: float | NDArray[np.float64]


def check_guess(
    name: str, value: ArrayLike | None, shape: tuple[int, ...], dtype: np.dtype[np.floating], check_finite: bool
) -> NDArray[np.floating]:
    """Return the guess as a new array, which the core makes the solution."""
    if value is None:
        return np.zeros(shape, dtype=dtype)
    guess = _inputs.check_array(name, value, ndim=len(shape), check_finite=check_finite)
    if guess.shape != shape:
        raise ValueError(f"{name} has shape {guess.shape}; it must have shape {shape}")
    return np.array(guess, dtype=dtype, order="C")
