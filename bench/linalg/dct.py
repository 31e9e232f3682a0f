"""The discrete cosine transform of columns."""

from functools import partial
from typing import Any

import numpy as np
import scipy.fft

import nearlinear as nl
from bench.harness import Case, Contender, Room
from nearlinear import _core

QUICK_SIZES = [(1000, 1000, "float64"), (4096, 512, "float32")]
SIZES = [
    *QUICK_SIZES,
    (4096, 512, "float64"),
    (99991, 16, "float64"),  # a prime
    (100_000, 100, "float64"),
    (2**17, 1, "float64"),
    (2**17, 100, "float64"),
    (2**17, 100, "float32"),
]


def cases() -> list[Case]:
    return [
        Case(f"{n} x {d}, {dtype}", partial(random_matrix, n, d, dtype), quick=(n, d, dtype) in QUICK_SIZES)
        for n, d, dtype in SIZES
    ]


def random_matrix(rows: int, cols: int, dtype: str) -> Any:
    return np.random.default_rng(0).normal(size=(rows, cols)).astype(dtype)


def nearlinear_new(x: Any) -> Any:
    return lambda: nl.linalg.dct(x, norm="ortho")


def nearlinear_inplace(x: Any) -> Any:
    y = x.copy()  # transformed again by every call: the orthonormal transform keeps its norm

    def transform() -> Any:
        _core.dct(y, y, orthonormal=True)
        return y

    return transform


def scipy_new(x: Any) -> Any:
    return lambda: scipy.fft.dct(x, type=2, norm="ortho", axis=0, workers=nl.get_num_threads())


def scipy_rows(x: Any) -> Any:
    """SciPy's best case: the columns lie one after the other, as no row-major matrix has them."""
    columns = np.ascontiguousarray(x.T)
    return lambda: scipy.fft.dct(columns, type=2, norm="ortho", axis=1, workers=nl.get_num_threads())


def read_write_pass(x: Any) -> Any:
    """No transform is faster than one reading and writing of its memory, here on one thread."""
    y = x.copy()
    return lambda: np.negative(y, out=y)


def facts(x: Any) -> dict[str, int]:
    rows, cols = x.shape
    return {"rows": rows, "columns": cols, "operations": int(2.5 * rows * cols * np.log2(rows))}


def reference(x: Any) -> Any:
    y = np.empty(x.shape)
    for j in range(x.shape[1]):  # one at a time: memory for all may be missing
        y[:, j] = scipy.fft.dct(x[:, j].astype(np.longdouble), type=2, norm="ortho")
    return y


def check(x: Any, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error of a column in units of its bound."""
    unit = np.finfo(x.dtype).eps / 2
    errors = np.linalg.norm(result - expected, axis=0) / np.linalg.norm(expected, axis=0)
    return float(errors.max() / (80 * unit * np.log2(4 * len(x))))


ROOM = Room(
    name="linalg.dct",
    task="Cosine transform",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_new, role="ours"),
        Contender("nearlinear, in place", nearlinear_inplace, role="ours"),
        Contender("scipy.fft.dct", scipy_new),
        Contender("scipy.fft.dct, transposed memory", scipy_rows, export=np.transpose),
        Contender("read + write pass", read_write_pass, role="limit"),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="80 u log2(4 n) ||x||",
    summaries={"best peer": lambda contender: True},
)
