"""Labels of rows and columns, where a pandas DataFrame brings them. pandas is never imported."""

import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearlinear import _inputs


class Labels(NamedTuple):
    """The index and the columns of a DataFrame, or None and None."""

    rows: Any = None
    cols: Any = None


def is_frame(value: Any) -> bool:
    """Tell whether it is a DataFrame of pandas."""
    return all(hasattr(value, part) for part in ("index", "columns", "dtypes", "to_numpy"))


def labels_of(value: Any) -> Labels:
    """Return the labels of a DataFrame; of anything else there are none."""
    return Labels(value.index, value.columns) if is_frame(value) else Labels()


def values_of(name: str, value: Any) -> Any:
    """Return the numbers of a DataFrame with NaN for what is missing, and anything else as it is."""
    if not is_frame(value):
        return value
    for column, dtype in zip(value.columns, value.dtypes, strict=True):
        if getattr(dtype, "kind", "O") not in "biuf":
            raise TypeError(f"{name} has the column {column!r} of dtype {dtype}; it must hold real numbers")
    array = value.to_numpy()
    if array.dtype == object:  # columns of pandas' own types, whose NA NumPy does not know, or of several types
        array = value.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def check_same(name: str, value: Any, labels: Labels, of: str) -> None:
    """Refuse a DataFrame whose labels are not those, in their order, of another one: nothing is aligned in silence."""
    for what, own, theirs in zip(("rows", "columns"), labels_of(value), labels, strict=True):
        if own is not None and theirs is not None and not own.equals(theirs):
            raise ValueError(f"{name} has other labels of {what} than {of}, or in another order; reindex it first")


def positions(name: str, value: Any, size: int, labels: Any, what: str) -> NDArray[np.int64]:
    """
    Return positions of rows or columns from themselves or, if there are labels, from labels.

    Integers are then labels if any label is a number, and positions otherwise.
    """
    if labels is not None:
        shape, entries = _entries(value, labels)
        if _has_numbers(labels) or not _are_integers(entries):
            return _find(name, entries, shape, labels, what)
    array = _inputs._as_ndarray(name, value)
    if array.size == 0:
        return np.zeros(array.shape, np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}; it must hold integers, the positions of {what}s")
    bad = np.argwhere((array < 0) | (array >= size))
    if len(bad) > 0:
        raise IndexError(f"{name} has the entry {array[tuple(bad[0])]}{_at(bad[0])}; there are {size} {what}s")
    return array.astype(np.int64)


def _entries(value: Any, labels: Any) -> tuple[tuple[int, ...], Any]:
    """Return the shape of some labels, and the labels one after the other."""
    if isinstance(value, np.ndarray):
        return value.shape, value.ravel()
    is_one = isinstance(value, str | bytes) or not np.iterable(value)
    if is_one or (isinstance(value, tuple) and labels.nlevels > 1):  # a MultiIndex has tuples for labels
        return (), [value]
    entries = list(value)
    if any(isinstance(entry, list) for entry in entries):
        array = np.array(entries, dtype=object)
        return array.shape, array.ravel()
    return (len(entries),), entries


def _are_integers(entries: Any) -> bool:
    if isinstance(entries, np.ndarray) and entries.dtype.kind != "O":
        return entries.dtype.kind in "iu"
    return all(isinstance(entry, numbers.Integral) and not isinstance(entry, bool) for entry in entries)


def _has_numbers(labels: Any) -> bool:
    kind = getattr(labels.dtype, "kind", "O")
    return kind in "iuf" or (kind == "O" and any(isinstance(label, numbers.Number) for label in labels))


def _find(name: str, entries: Any, shape: tuple[int, ...], labels: Any, what: str) -> NDArray[np.int64]:
    if not labels.is_unique:
        raise ValueError(
            f"{name} cannot be found by labels, some of which stand for several {what}s; pass X.to_numpy() to complete"
        )
    places = np.asarray(labels.get_indexer(entries), dtype=np.int64).reshape(shape)
    missing = np.argwhere(places < 0)
    if len(missing) > 0:
        label = entries[np.ravel_multi_index(tuple(missing[0]), shape) if shape else 0]
        raise KeyError(f"{name} has the entry {label!r}{_at(missing[0])}, which is the label of no {what}")
    return places


def _at(index: Sequence[int] | NDArray[np.intp]) -> str:
    """Return where it stands, unless it is the only one."""
    place = tuple(int(i) for i in index)
    return "" if place == () else f" at index {place[0] if len(place) == 1 else place}"
