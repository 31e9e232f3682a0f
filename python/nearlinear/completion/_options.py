"""What `complete` is told beside its entries, checked."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nearlinear import _core, _inputs
from nearlinear.completion._result import Completion

SOLVERS = ("auto", "als", "cg", "vp", "sketch")
DUPLICATES = ("raise", "mean", "sum", "last")
UNDERDETERMINED = ("raise", "ridge", "drop")
HELD_OUT = 0.1  # where lam="auto" is asked for without validation


def check_options(
    *,
    lam: float | str,
    biases: bool,
    nonneg: bool,
    implicit: bool,
    solver: str,
    homotopy: str | bool,
    underdetermined: str,
    duplicates: str,
    tol: float,
    maxiter: int,
    patience: int,
) -> _core.CompletionOptions:
    """Return the options of the core, but for the seed; which ones exclude each other, the core says."""
    options = _core.CompletionOptions()
    if isinstance(lam, str):
        _inputs.check_choice("lam", lam, ("auto",))
        options.chooses_lam = True
    else:
        options.lam = _inputs.check_real("lam", lam)
    options.biases, options.nonnegative, options.implicit = bool(biases), bool(nonneg), bool(implicit)
    options.solver = getattr(_core.CompletionSolver, _inputs.check_choice("solver", solver, SOLVERS))
    if isinstance(homotopy, bool | np.bool_):
        options.homotopy = _core.Homotopy.on if homotopy else _core.Homotopy.off
    elif homotopy != "auto":
        raise ValueError(f"homotopy is {homotopy!r}; it must be 'auto', True or False")
    _inputs.check_choice("underdetermined", underdetermined, UNDERDETERMINED)
    _inputs.check_choice("duplicates", duplicates, DUPLICATES)
    options.underdetermined = getattr(_core.Underdetermined, underdetermined.replace("raise", "refuse"))
    options.duplicates = getattr(_core.DuplicateEntries, duplicates.replace("raise", "refuse"))
    options.tol = _inputs.check_real("tol", tol)
    options.maxiter = min(_inputs.check_int("maxiter", maxiter, minimum=1), 2**62)
    options.patience = min(_inputs.check_int("patience", patience, minimum=1), 2**62)
    return options


def check_dtype(dtype: DTypeLike | None) -> np.dtype[np.floating] | None:
    if dtype is None:
        return None
    wanted: np.dtype[Any] = np.dtype(dtype)
    if wanted not in (np.float32, np.float64):
        raise ValueError(f"dtype is {wanted}; it must be float32 or float64")
    return wanted


def check_init(
    init: Any, shape: tuple[int, int], rank: int | None, has_biases: bool
) -> tuple[_core.LowRankModel | None, int | None]:
    """Return the model to start from, if there is one, and the rank."""
    if init is None:
        return None, rank
    if isinstance(init, Completion):
        if init._has_biases and not has_biases:
            raise ValueError("init has biases, and the model that is asked for has none; pass (init.U, init.V)")
        names, parts = ("init.U", "init.V"), (init.U, init.V)
    elif isinstance(init, tuple | list) and len(init) == 2:
        names, parts = ("init[0]", "init[1]"), (init[0], init[1])
    else:
        raise TypeError(f"init is a {type(init).__name__}; it must be a Completion or a tuple of U and V")
    U, V = (_inputs.check_array(name, part, ndim=2) for name, part in zip(names, parts, strict=True))
    k = U.shape[1] if rank is None else rank
    for name, part, lines in zip(names, (U, V), shape, strict=True):
        if part.shape != (lines, k):
            raise ValueError(
                f"{name} has shape {part.shape}; for X of shape {shape} and rank {k} it must be {(lines, k)}"
            )
    if isinstance(init, Completion) and init._has_biases == has_biases:
        return init._model, k
    b, c = (np.zeros(size if has_biases else 0) for size in shape)
    double = [np.ascontiguousarray(part, dtype=np.float64) for part in (U, V)]
    return _core.LowRankModel(double[0], double[1], 0.0, b, c), k


def held_out_fraction(validation: Any, lam: float | str, implicit: bool) -> float | None:
    """Return which part of X is to be held out, None if entries are given or nothing is."""
    if validation is None:
        if lam != "auto":
            return None
        validation = HELD_OUT
    if not isinstance(validation, float | int | np.floating) or isinstance(validation, bool):
        return None
    fraction = float(validation)
    if not 0 < fraction < 1:
        raise ValueError(f"validation is {validation}; a fraction must be above 0 and below 1")
    if implicit:
        raise ValueError(
            "implicit feedback has no values that could be held out; give validation as (rows, cols, values), with "
            "values 1 for what happened and 0 for what did not"
        )
    return fraction
