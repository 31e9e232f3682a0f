"""Entries that are not fitted but watched: given ones, or some of those that were observed."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearlinear import _core, _inputs
from nearlinear.completion._labels import Labels, check_same, positions
from nearlinear.completion._observations import Observations, observe, place_numbers, sort_lines


class Entries(NamedTuple):
    """Rows, columns and values, as the core takes them."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    values: NDArray[np.float64]


def given_entries(validation: Any, shape: tuple[int, int], labels: Labels) -> Entries:
    """Return the entries of a matrix of the shape of X, or those that were given as rows, columns and values."""
    if isinstance(validation, tuple | list) and len(validation) == 3 and not hasattr(validation, "shape"):
        rows, cols = (
            positions(f"validation[{part}]", validation[part], shape[part], labels[part], ("row", "column")[part])
            for part in (0, 1)
        )
        values = _inputs.check_array("validation[2]", validation[2], ndim=1)
        if not rows.shape == cols.shape == values.shape:
            raise ValueError(
                f"validation has rows, columns and values of shapes {rows.shape}, {cols.shape} and {values.shape}; "
                "they must be the same"
            )
        return Entries(rows, cols, values.astype(np.float64, copy=False))
    if not hasattr(validation, "shape"):
        raise TypeError(
            f"validation is {validation!r}; it must be a fraction, a matrix, or a tuple of rows, columns and values"
        )
    check_same("validation", validation, labels, "X")
    held = observe("validation", validation)
    if held.shape != shape:
        raise ValueError(f"validation has shape {held.shape} and X has shape {shape}; they must be the same")
    bad = np.flatnonzero(~np.isfinite(held.csr.data))
    if bad.size > 0:
        place = (int(held.rows[bad[0]]), int(held.cols[bad[0]]))
        raise ValueError(f"validation has the entry {held.csr.data[bad[0]]} at index {place}; it must be finite")
    return Entries(held.rows.astype(np.int64), held.cols.astype(np.int64), held.csr.data)


def hold_out(
    observed: Observations, fraction: float, *, least: int, duplicates: str, seed: int
) -> tuple[Observations, Entries]:
    """
    Return what is left to be fitted, and entries that were drawn from the observed ones.

    Rows and columns keep `least` of their entries, or all if they have fewer. Entries of weight 0 are not drawn.
    """
    observed = combine(observed, duplicates)
    rows, cols = observed.rows, observed.cols
    order = np.random.default_rng(seed).permutation(observed.size)
    can_go = (_turns(rows[order], observed.shape[0]) >= least) & (_turns(cols[order], observed.shape[1]) >= least)
    if observed.weights.size > 0:
        can_go &= observed.weights[order] > 0
    drawn = order[np.flatnonzero(can_go)[: max(1, round(fraction * observed.size))]]
    if drawn.size == 0:
        raise ValueError(
            f"validation is {fraction}, and no entry of X can be held out: each row and column keeps {least} of its own"
        )
    drawn.sort()
    kept = np.ones(observed.size, np.bool_)
    kept[drawn] = False
    held = Entries(rows[drawn].astype(np.int64), cols[drawn].astype(np.int64), observed.csr.data[drawn])
    return observed.take(kept), held


def combine(observed: Observations, duplicates: str) -> Observations:
    """Return one entry for each place, as the core makes it of several, so that none is both fitted and held out."""
    if duplicates == "raise":
        refuse_duplicates(observed, function="complete", name="X", hint="; say by `duplicates` what they mean")
        return observed
    csr, weights = observed.csr, observed.weights
    numbers, order, begins = _places(csr)
    if begins.size == order.size:
        return observed
    counts = np.diff(begins, append=order.size)
    x = csr.data[order]
    w = weights[order] if weights.size > 0 else np.ones(x.size)
    ends = begins + counts - 1
    totals = np.add.reduceat(w, begins)
    if duplicates == "last":
        x, w = x[ends], w[ends]
    elif duplicates == "sum":
        x, w = np.add.reduceat(x, begins), totals / counts
    else:
        moments = np.add.reduceat(w * x, begins)
        x, w = np.divide(moments, totals, out=np.zeros_like(totals), where=totals > 0), totals
    places = order[begins]
    indptr = np.searchsorted(numbers[places], np.arange(csr.shape[0] + 1, dtype=np.int64) * csr.shape[1])
    single = _inputs.Csr(csr.shape, x, csr.indices[places], indptr.astype(csr.indptr.dtype))
    is_weighted = weights.size > 0 or duplicates == "mean"
    return observed._replace(csr=single, weights=w if is_weighted else weights)


def _turns(lines: NDArray[np.signedinteger], count: int) -> NDArray[np.intp]:
    """Return, for each entry, how many come before it in its line."""
    order, begins = sort_lines(lines, count)
    turns = np.empty(lines.size, np.intp)
    turns[order] = np.arange(lines.size) - np.repeat(begins[:-1], np.diff(begins))
    return turns


def refuse_duplicates(observed: Observations, *, function: str, name: str, hint: str) -> None:
    """Refuse places that are stored several times."""
    csr = observed.csr
    if _core.require_valid_csr(csr, function=function, argument=name):
        return  # columns increase strictly in every row
    numbers, order, begins = _places(csr)
    counts = np.diff(begins, append=order.size)
    several = np.flatnonzero(counts > 1)
    if several.size > 0:
        i, j = divmod(int(numbers[order[begins[several[0]]]]), csr.shape[1])
        raise ValueError(f"{function}: {name} holds the entry in row {i}, column {j} {counts[several[0]]} times{hint}")


def _places(csr: _inputs.Csr) -> tuple[NDArray[np.int64], NDArray[np.intp], NDArray[np.intp]]:
    """Return numbers of places, the order that sorts them, and where each place begins in it."""
    numbers = place_numbers(csr)
    order = np.argsort(numbers, kind="stable")
    return numbers, order, np.flatnonzero(np.diff(numbers[order], prepend=-1))
