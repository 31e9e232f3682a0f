"""Matrices that come in blocks of rows."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _inputs

Pair = tuple[NDArray[np.floating], NDArray[np.floating]]


def is_blocks(value: Any) -> bool:
    """Tell whether a value is an iterable of blocks of rows, and not one matrix."""
    if isinstance(value, list | tuple):
        first = value[0] if len(value) > 0 else None
        return isinstance(first, tuple) or getattr(first, "ndim", 0) == 2
    return hasattr(value, "__iter__") and not any(
        hasattr(value, name) for name in ("__array__", "tocsr", "matmat", "__dlpack__")
    )


class Blocks:
    """
    Blocks of rows of A and b, as the core reads them: `next` answers None behind the last, `rewind` begins anew.

    The first block is read at once: it tells the shapes. `rows` is known after one pass.
    """

    def __init__(self, open_blocks: Callable[[], Iterator[Any]], is_repeatable: bool, b: ArrayLike | None) -> None:
        self._open = open_blocks
        self.is_repeatable = is_repeatable
        self._b = None if b is None else _inputs.check_array("b", b, ndim=(1, 2))
        self._blocks = open_blocks()
        self._row = 0
        self._number = 0
        self.rows = 0
        self.rhs_ndim = 1
        self.dtype = np.dtype(np.float64)
        first = self._read()
        if first is None:
            raise ValueError("A yields no block of rows")
        self.cols, self.rhs = first[0].shape[1], first[1].shape[1]
        if self.cols == 0:
            raise ValueError("A yields a block without columns")
        self.dtype = np.result_type(*first)
        self._first: Pair | None = first

    @classmethod
    def of_iterable(cls, iterable: Iterable[Any], b: ArrayLike | None) -> "Blocks":
        """Return the blocks of what can be iterated, once if it is its own iterator."""
        is_repeatable = iter(iterable) is not iterable
        return cls(lambda: iter(iterable), is_repeatable, b)

    def rewind(self) -> None:
        """Begin anew, unless nothing but the first block was read, which is kept."""
        if self._first is None:
            self._blocks = self._open()
            self._row = self._number = 0

    def next(self) -> Pair | None:
        """Return the next rows of A and b as contiguous arrays of one type, or None."""
        pair = self._first if self._first is not None else self._read()
        self._first = None
        if pair is None:
            self.rows = self._row
            return None
        a, b = pair
        if a.shape[1] != self.cols or b.shape[1] != self.rhs:
            raise ValueError(
                f"block {self._number - 1} has {a.shape[1]} columns of A and {b.shape[1]} of b; "
                f"the first has {self.cols} and {self.rhs}"
            )
        return np.ascontiguousarray(a, dtype=self.dtype), np.ascontiguousarray(b, dtype=self.dtype)

    def _read(self) -> Pair | None:
        block = next(self._blocks, None)
        if block is None:
            if self._b is not None and self._b.shape[0] != self._row:
                raise ValueError(
                    f"A yields {self._row} rows and b has shape {self._b.shape}; they must have as many rows"
                )
            return None
        name = f"block {self._number} of A"
        self._number += 1
        if self._b is None:
            if not isinstance(block, tuple) or len(block) != 2:
                raise TypeError(f"{name} is no pair of rows of A and of b; without the argument b it must be one")
            block, rhs = block
            b = _inputs.check_array(f"b of {name}", rhs, ndim=(1, 2), check_finite=False)
            self.rhs_ndim = b.ndim
        else:
            b = self._b[self._row : self._row + len(block)]
            self.rhs_ndim = self._b.ndim
        a = _inputs.check_array(name, block, ndim=2, check_finite=False)
        if b.shape[0] != a.shape[0]:
            raise ValueError(
                f"{name} has shape {a.shape} and b has {b.shape[0]} rows for it; they must have as many rows"
            )
        self._row += a.shape[0]
        return a, _inputs.as_columns(b)
