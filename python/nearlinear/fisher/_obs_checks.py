"""Checks of what optimal brain surgeon is given."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _inputs
from nearlinear.fisher._static import FisherInverse


def check_weights(w: ArrayLike, finv: FisherInverse) -> NDArray[np.floating]:
    if not isinstance(finv, FisherInverse):
        raise TypeError(f"finv is a {type(finv).__name__}; it must be a FisherInverse")
    weights = _inputs.check_array("w", w, ndim=1)
    if weights.size != finv.shape[0]:
        raise ValueError(f"w has shape {weights.shape} and finv has shape {finv.shape}; they must match")
    return weights


def check_gradients(name: str, value: ArrayLike, d: int) -> NDArray[np.floating]:
    gradients = _inputs.check_array(name, value, ndim=2)
    if gradients.shape[1] != d:
        raise ValueError(f"{name} has shape {gradients.shape} and w has shape {(d,)}; it must have a column per weight")
    return gradients


def check_prune(prune: ArrayLike, d: int) -> NDArray[np.bool_]:
    array = _without_mask("prune", prune)
    if array.ndim != 1:
        raise ValueError(f"prune has shape {array.shape}; it must have 1 dimension")
    if array.dtype.kind == "b":
        if array.size != d:
            raise ValueError(f"prune has shape {array.shape} and w has shape {(d,)}; a mask has an entry per weight")
        return np.ascontiguousarray(array, dtype=np.bool_)
    mask = np.zeros(d, dtype=np.bool_)
    if array.size > 0:
        _check_integers("prune", array, "indices or a mask of booleans")
        bad = np.flatnonzero((array < 0) | (array >= d))
        if bad.size > 0:
            raise IndexError(f"prune has the entry {array[bad[0]]} at index {bad[0]}; w has {d} entries")
        mask[array.astype(np.int64)] = True
    return mask


def check_groups(groups: ArrayLike | None, d: int) -> NDArray[np.int64] | None:
    if groups is None:
        return None
    array = _without_mask("groups", groups)
    if array.ndim != 2:
        raise ValueError(f"groups has shape {array.shape}; it must have 2 dimensions")
    if array.shape[1] == 0:
        raise ValueError(f"groups has shape {array.shape}; a group must have at least one weight")
    _check_integers("groups", array, "indices")
    bad = np.flatnonzero((array < 0) | (array >= d))
    if bad.size > 0:
        raise ValueError(f"groups has {_entry(array, bad[0])}; w has {d} entries")
    flat = array.ravel()
    order = np.argsort(flat, kind="stable")
    again = order[1:][flat[order[1:]] == flat[order[:-1]]]
    if again.size > 0:
        raise ValueError(f"groups has {_entry(array, again.min())} for the second time; groups must be disjoint")
    return np.ascontiguousarray(array, dtype=np.int64)


def _entry(array: NDArray[Any], place: int) -> str:
    index = tuple(int(i) for i in np.unravel_index(place, array.shape))
    return f"the entry {array[index]} at index {index}"


def _without_mask(name: str, value: ArrayLike) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill its masked entries first, e.g. with {name}.filled(0)")
    return np.asarray(value)


def _check_integers(name: str, array: NDArray[Any], what: str) -> None:
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}; it must hold {what}")
