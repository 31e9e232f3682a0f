"""Least squares with matrices that are larger than the memory."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nearlinear import _inputs
from nearlinear.sketch._blocks import Blocks
from nearlinear.sketch._lstsq import LstsqResult, lstsq

__all__ = ["LstsqStream"]

WINDOW_BYTES = 1 << 24


class LstsqStream:
    r"""
    Least squares with a matrix that is read block by block, as often as it takes.

    Two passes over the rows suffice for few columns ("tsqr"), three to five for many ("cholesky" or "gram"), and some
    25 where these have more to compute than to read ("sketch-cg"). Beside a block, O(d^2) numbers are kept.

    Parameters
    ----------
    blocks : callable
        ``blocks()`` returns a new iterator over pairs of rows of A, shape (rows, d), and of b, shape (rows,) or
        (rows, p); or over rows of A alone where b is given. Blocks of some 16 MB are good.
    b : array_like, shape (n,) or (n, p), optional
        Right-hand sides.

    See Also
    --------
    RowSketch : one pass, and any order of the rows.

    Examples
    --------
    A file of float64 numbers with 4 columns of A and one of b:

    >>> import os, tempfile
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((1000, 4))
    >>> b = A @ [1.0, 2, 3, 4]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "rows.bin")
    ...     np.column_stack([A, b]).tofile(path)
    ...     result = nl.sketch.LstsqStream.from_file(path, n_cols=5, target=4).solve()
    >>> result.x.round(6)
    array([1., 2., 3., 4.])
    """

    def __init__(self, blocks: Callable[[], Iterable[Any]], b: ArrayLike | None = None) -> None:
        if not callable(blocks):
            raise TypeError(
                f"blocks is a {type(blocks).__name__}; it must be callable and return an iterator of blocks"
            )
        self._blocks = blocks
        self._b = b

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        n_cols: int,
        *,
        target: int | None = None,
        b: ArrayLike | None = None,
        dtype: DTypeLike = np.float64,
        offset: int = 0,
        block_rows: int | None = None,
    ) -> "LstsqStream":
        """
        Rows of numbers, one after the other, in a binary file; windows of it are read, never the whole.

        Parameters
        ----------
        path : path-like
            The file.
        n_cols : int
            Numbers per row, with the target.
        target : int, optional
            The column that is b; the others are A. Without it, `b` is needed.
        b : array_like, shape (n,) or (n, p), optional
            Right-hand sides.
        dtype : dtype, default float64
            Of the numbers in the file.
        offset : int, default 0
            Bytes of the file before the first row.
        block_rows : int, optional
            Rows of a window; by default 16 MB.
        """
        path = os.fspath(path)
        n_cols = _inputs.check_int("n_cols", n_cols, minimum=1)
        offset = _inputs.check_int("offset", offset, minimum=0)
        kind = np.dtype(dtype)
        row_bytes = n_cols * kind.itemsize
        size = os.stat(path).st_size - offset
        if size < 0 or size % row_bytes != 0:
            raise ValueError(
                f"{path} holds {size} bytes from offset {offset} on; rows of {n_cols} numbers take {row_bytes} each"
            )
        if (target is None) == (b is None):
            raise ValueError("give either target, the column of the file that is b, or b itself")
        if target is not None and not 0 <= _inputs.check_int("target", target, minimum=0) < n_cols:
            raise ValueError(f"target is {target}; it must be below n_cols = {n_cols}")
        rows = (
            max(1, WINDOW_BYTES // row_bytes)
            if block_rows is None
            else _inputs.check_int("block_rows", block_rows, minimum=1)
        )

        def windows() -> Iterator[Any]:
            for begin in range(0, size, rows * row_bytes):
                window = np.fromfile(
                    path, kind, min(rows * row_bytes, size - begin) // kind.itemsize, offset=offset + begin
                )
                matrix = window.reshape(-1, n_cols)
                yield matrix if target is None else (np.delete(matrix, target, axis=1), matrix[:, target])

        return cls(windows, b)

    @classmethod
    def from_memmap(cls, A: np.memmap, b: ArrayLike, *, block_rows: int | None = None) -> "LstsqStream":
        """Rows of a matrix that numpy.memmap has opened, stored by rows; read by windows, which are not kept mapped."""
        if not isinstance(A, np.memmap) or A.filename is None:
            raise TypeError(f"A is a {type(A).__name__}; it must be a numpy.memmap of a file")
        if A.ndim != 2 or not A.flags.c_contiguous:
            raise ValueError(f"A has shape {A.shape}; it must have 2 dimensions and be stored by rows")
        base = A
        while isinstance(base.base, np.memmap):  # a slice knows its file, but not where in it it begins
            base = base.base
        skipped = A.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        n, d = A.shape
        row_bytes, begin = d * A.itemsize, base.offset + skipped
        rows = (
            max(1, WINDOW_BYTES // row_bytes)
            if block_rows is None
            else _inputs.check_int("block_rows", block_rows, minimum=1)
        )
        path, kind = os.fspath(A.filename), A.dtype

        def windows() -> Iterator[Any]:
            for row in range(0, n, rows):
                count = min(rows, n - row)
                yield np.fromfile(path, kind, count * d, offset=begin + row * row_bytes).reshape(count, d)

        return cls(windows, b)

    def solve(self, **options: Any) -> LstsqResult:
        """
        Return the solution as `lstsq` does.

        Parameters
        ----------
        **options
            Those of `lstsq`, but for b and `sample_weight`.
        """
        return lstsq(Blocks(lambda: iter(self._blocks()), True, self._b), **options)
