"""The entries that were observed, and their weights, as the core takes them: compressed rows of float64."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from nearlinear import _core, _inputs
from nearlinear.completion._labels import Labels, check_same, labels_of, values_of

Indices = NDArray[np.signedinteger]


class Observations(NamedTuple):
    """What is stored is what was observed. Rows need not be sorted, and a place may be stored twice."""

    csr: _inputs.Csr
    weights: NDArray[np.float64]  # of every entry; empty: all are 1
    dtype: np.dtype[np.floating]  # of what is made from them
    labels: Labels

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.csr.shape

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.csr.indices.size

    @property
    def rows(self) -> Indices:
        """The row of every entry."""
        return _rows_of(self.csr)

    @property
    def cols(self) -> Indices:
        """The column of every entry."""
        return self.csr.indices

    def transposed(self) -> "Observations":
        """Return the same entries, rows for columns."""
        csr, order = _by_rows(self.cols, self.rows, self.csr.data, self.shape[::-1])
        weights = self.weights[order] if self.weights.size > 0 else self.weights
        return Observations(csr, weights, self.dtype, Labels(*self.labels[::-1]))

    def take(self, kept: NDArray[np.bool_]) -> "Observations":
        """Return some of the entries."""
        csr = self.csr
        before = np.concatenate([[0], np.cumsum(kept)]).astype(csr.indptr.dtype)
        some = _inputs.Csr(csr.shape, csr.data[kept], csr.indices[kept], before[csr.indptr])
        return self._replace(csr=some, weights=self.weights[kept] if self.weights.size > 0 else self.weights)


def observe(
    name: str, X: Any, *, mask: ArrayLike | None = None, weights: Any = None, function: str = "complete"
) -> Observations:
    """Return the observed entries of a matrix: what it stores, if it is sparse, else what is not NaN or hidden."""
    is_sparse = hasattr(X, "tocsr")
    labels = labels_of(X)
    order = None
    if is_sparse:
        if mask is not None:
            raise TypeError(f"mask is for dense arrays, and {name} is sparse: what it stores is what was observed")
        csr, order, dtype = _of_sparse(name, X, function)
    else:
        csr, dtype = _of_dense(name, X, mask, labels)
    observed = Observations(csr, np.empty(0), dtype, labels)
    if weights is None:
        return observed
    if hasattr(weights, "tocsr"):
        return observed._replace(weights=_sparse_weights(weights, observed, name, function))
    return observed._replace(weights=_dense_weights(weights, observed, name, order, is_sparse=is_sparse))


def sort_lines(lines: NDArray[Any], count: int) -> tuple[Indices, Indices]:
    """
    Return the order that sorts numbers below `count`, stably and in linear time, and where each begins in it.

    That is SciPy's conversion of a matrix with one entry in each row, in the column that the number says.
    """
    index = np.int32 if max(lines.size, count) < 2**31 else np.int64
    if lines.size == 0:
        return np.empty(0, index), np.zeros(count + 1, index)
    parts = (np.ones(lines.size, np.int8), lines.astype(index, copy=False), np.arange(lines.size + 1, dtype=index))
    columns = scipy.sparse.csr_array(parts, shape=(lines.size, count)).tocsc()
    return columns.indices, columns.indptr


def place_numbers(csr: _inputs.Csr) -> NDArray[np.int64]:
    """Return a number for the place of each entry, ascending by rows, then by columns."""
    numbers: NDArray[np.int64] = _rows_of(csr).astype(np.int64) * csr.shape[1] + csr.indices
    return numbers


def _rows_of(csr: _inputs.Csr) -> Indices:
    rows: Indices = np.repeat(np.arange(csr.shape[0], dtype=csr.indices.dtype), np.diff(csr.indptr))
    return rows


def _of_sparse(name: str, X: Any, function: str) -> tuple[_inputs.Csr, Indices | None, np.dtype[np.floating]]:
    """Return the matrix, and which entry of `X` each of its own is unless they are in the same order."""
    _inputs.check_is_sparse(name, X)
    dtype: np.dtype[np.floating] = np.dtype(_inputs._working_dtype(name, X.dtype))
    if X.format == "csr":
        return _valid(name, _inputs.check_sparse(name, X, function=function), function), None, dtype
    if X.format == "csc":
        try:
            transposed = X.T
        except ValueError as error:  # SciPy looks at some of it, and does not say of what
            raise ValueError(f"{function}: {name}.indptr does not fit {name}: {error}") from None
        columns = _valid(f"{name}.T", _inputs.check_sparse(f"{name}.T", transposed, function=function), function)
        rows, cols, data = columns.indices, _rows_of(columns), columns.data
    else:
        rows, cols, data = _coordinates(name, X, function)
    csr, order = _by_rows(rows, cols, data, (int(X.shape[0]), int(X.shape[1])))
    return csr, order, dtype


def _valid(name: str, csr: _inputs.Csr, function: str) -> _inputs.Csr:
    """Return a matrix of float64 whose indices can be trusted, and whose arrays end with its last entry."""
    _core.require_valid_csr(csr, function=function, argument=name)
    nnz = int(csr.indptr[-1])
    trimmed = _inputs.Csr(csr.shape, csr.data[:nnz], csr.indices[:nnz], csr.indptr)
    return trimmed.astype(np.float64, csr.indices.dtype)


def _coordinates(name: str, X: Any, function: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return rows, columns and values of the entries in their order, twice where a place is stored twice."""
    try:
        coordinates = X.tocoo(copy=False)
    except ValueError as error:
        raise ValueError(f"{function}: {name} is no valid {X.format} matrix: {error}") from None
    data = _inputs._as_ndarray(f"{name}.data", coordinates.data)
    if data.ndim != 1:
        raise ValueError(f"{name}.data has shape {data.shape}; it must have 1 dimension")
    places = []
    for part, size, what in zip(("row", "col"), X.shape, ("rows", "columns"), strict=True):
        index = _inputs._as_ndarray(f"{name}.{part}", getattr(coordinates, part))
        if index.dtype.kind != "i":
            raise TypeError(f"{name}.{part} has dtype {index.dtype}; it must hold signed integers")
        if index.shape != data.shape:
            raise ValueError(
                f"{name}.{part} has shape {index.shape} and {name}.data {data.shape}; they must be the same"
            )
        bad = np.flatnonzero((index < 0) | (index >= size))
        if bad.size > 0:
            raise ValueError(
                f"{function}: {name}.{part} has the entry {index[bad[0]]} at index {bad[0]}; {name} has {size} {what}"
            )
        places.append(index)
    return places[0], places[1], data


def _by_rows(
    rows: NDArray[Any], cols: NDArray[Any], data: NDArray[Any], shape: tuple[int, int]
) -> tuple[_inputs.Csr, Indices]:
    """Return entries in compressed rows, and which of the given ones each is. None are summed."""
    order, begins = sort_lines(rows, shape[0])
    index = begins.dtype if max(shape) < 2**31 else np.dtype(np.int64)
    return _inputs.Csr(shape, data[order], cols[order], begins).astype(np.float64, index), order


def _of_dense(name: str, X: Any, mask: ArrayLike | None, labels: Labels) -> tuple[_inputs.Csr, np.dtype[np.floating]]:
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array; pass {name}.data, and mask=~np.ma.getmaskarray({name}) for what was observed"
        )
    array = _inputs.check_array(name, values_of(name, X), ndim=2, check_finite=False)
    seen = ~np.isnan(array) if mask is None else _check_mask(name, array, mask, labels)
    rows, cols = np.nonzero(seen)
    data = array[seen]
    bad = np.flatnonzero(~np.isfinite(data))
    if bad.size > 0:
        place = (int(rows[bad[0]]), int(cols[bad[0]]))
        which = "entries must be finite, or NaN if missing" if mask is None else "by mask it is observed"
        raise ValueError(f"{name} has the entry {array[place]} at index {place}; {which}")
    index = np.int32 if max(data.size, *array.shape) < 2**31 else np.int64
    begins = np.zeros(array.shape[0] + 1, index)
    np.cumsum(np.count_nonzero(seen, axis=1), out=begins[1:])
    shape = (array.shape[0], array.shape[1])
    return _inputs.Csr(shape, data, cols, begins).astype(np.float64, index), array.dtype


def _check_mask(name: str, array: NDArray[np.floating], mask: ArrayLike, labels: Labels) -> NDArray[np.bool_]:
    check_same("mask", mask, labels, name)
    seen = _inputs._as_ndarray("mask", mask)
    if seen.dtype != np.bool_:
        raise TypeError(f"mask has dtype {seen.dtype}; it must hold booleans, True for what was observed")
    if seen.shape != array.shape:
        raise ValueError(f"mask has shape {seen.shape} and {name} has shape {array.shape}; they must be the same")
    return seen


def _dense_weights(
    weights: Any, observed: Observations, name: str, order: Indices | None, *, is_sparse: bool
) -> NDArray[np.float64]:
    """Return a weight for each entry from an array of X's shape or, of sparse X, from one for each that it stores."""
    check_same("weights", weights, observed.labels, name)
    array = _inputs.check_array("weights", values_of("weights", weights), ndim=(1, 2), check_finite=False)
    if array.ndim == 1 and is_sparse:
        if array.shape != (observed.size,):
            raise ValueError(
                f"weights has shape {array.shape}; {name} has shape {observed.shape} and stores {observed.size} entries"
            )
        bad = _bad_weights(array)
        if bad.size > 0:
            raise _weight_error(array[bad[0]], int(bad[0]))
        return (array if order is None else array[order]).astype(np.float64, copy=False)
    if array.shape != observed.shape:
        raise ValueError(
            f"weights has shape {array.shape} and {name} has shape {observed.shape}; they must be the same"
        )
    return _checked(array[observed.rows, observed.cols], observed)


def _sparse_weights(weights: Any, observed: Observations, name: str, function: str) -> NDArray[np.float64]:
    """Return weights that are stored for the same places, in any order of both."""
    given, _, _ = _of_sparse("weights", weights, function)
    csr = observed.csr
    if given.shape != csr.shape:
        raise ValueError(f"weights has shape {given.shape} and {name} has shape {csr.shape}; they must be the same")
    if np.array_equal(given.indptr, csr.indptr) and np.array_equal(given.indices, csr.indices):
        return _checked(given.data, observed)
    own, theirs = place_numbers(csr), place_numbers(given)
    own_order, their_order = np.argsort(own, kind="stable"), np.argsort(theirs, kind="stable")
    own, theirs = own[own_order], theirs[their_order]
    common = min(own.size, theirs.size)
    first = int(np.append(np.flatnonzero(own[:common] != theirs[:common]), common)[0])
    if first < max(own.size, theirs.size):
        is_own = first == theirs.size or (first < own.size and own[first] < theirs[first])
        i, j = divmod(int((own if is_own else theirs)[first]), csr.shape[1])
        has, has_not = (name, "weights") if is_own else ("weights", name)
        raise ValueError(
            f"{has} stores an entry in row {i}, column {j}, and {has_not} does not; both must store the same"
        )
    values = np.empty(own.size)
    values[own_order] = given.data[their_order]
    return _checked(values, observed)


def _checked(values: NDArray[np.floating], observed: Observations) -> NDArray[np.float64]:
    bad = _bad_weights(values)
    if bad.size > 0:
        raise _weight_error(values[bad[0]], (int(observed.rows[bad[0]]), int(observed.cols[bad[0]])))
    return np.ascontiguousarray(values, dtype=np.float64)


def _bad_weights(values: NDArray[np.floating]) -> NDArray[np.intp]:
    return np.flatnonzero(~((values >= 0) & (values < np.inf)))


def _weight_error(value: np.floating, index: int | tuple[int, int]) -> ValueError:
    return ValueError(f"weights has the entry {value} at index {index}; weights must be finite and not negative")
