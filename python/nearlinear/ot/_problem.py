"""What a problem of optimal transport is made of, checked."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse import csr_array

from nearlinear import _inputs
from nearlinear._results import Result

METRICS = ("sqeuclidean", "euclidean", "cityblock", "cosine")


class Cost(NamedTuple):
    """A matrix of costs as `first`, or two clouds of points as `first` and `y` with the name of a metric."""

    first: NDArray[np.floating]
    y: NDArray[np.floating]
    metric: str

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns of the plan."""
        return (self.first.shape[0], self.y.shape[0] if self.metric else self.first.shape[1])

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of costs and plan."""
        return self.first.dtype


class Problem(NamedTuple):
    """Costs and masses, checked."""

    cost: Cost
    a: NDArray[np.float64]
    b: NDArray[np.float64]


def check_balanced(  # noqa: PLR0917 (in the order of the functions that take them)
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | None,
    x: ArrayLike | None,
    y: ArrayLike | None,
    metric: str,
    dtype: DTypeLike | None,
) -> Problem:
    """Return costs, and masses of the same sum; a bad cost of what has no mass is found here, others by the core."""
    cost = check_cost(C, x, y, metric, dtype)
    n, m = cost.shape
    problem = Problem(cost, check_masses("a", a, n), check_masses("b", b, m))
    check_sums(problem.a, problem.b, unless="")
    if not (problem.a.all() and problem.b.all()):
        check_entries(cost)
    return problem


def check_cost(
    C: ArrayLike | None, x: ArrayLike | None, y: ArrayLike | None, metric: str, dtype: DTypeLike | None
) -> Cost:
    """Return the costs that were given, either as a matrix or by points."""
    _inputs.check_choice("metric", metric, METRICS)
    wanted = _check_dtype(dtype)
    if C is not None:
        if x is not None or y is not None:
            raise ValueError("C is given, and x or y as well; give a matrix of costs or two clouds of points")
        matrix = _inputs.check_array("C", C, ndim=2, check_finite=False)
        matrix = matrix if wanted is None else matrix.astype(wanted)
        if 0 in matrix.shape:
            raise ValueError(f"C has shape {matrix.shape}; it must have rows and columns")
        return Cost(matrix, np.empty((0, 0), matrix.dtype), "")
    if x is None and y is None:
        raise TypeError("C is None, and so are x and y; give a matrix of costs or two clouds of points")
    if x is None or y is None:
        raise TypeError(f"{'x' if x is None else 'y'} is None; give both x and y")
    points = [_points("x", x, wanted), _points("y", y, wanted)]
    if points[0].shape[1] != points[1].shape[1]:
        raise ValueError(
            f"x has shape {points[0].shape} and y has shape {points[1].shape}; they must have as many columns"
        )
    if metric == "cosine":
        for name, cloud in zip("xy", points, strict=True):
            zero = np.flatnonzero(~cloud.any(axis=1))
            if zero.size > 0:
                raise ValueError(
                    f"{name} has a point that is zero at index {zero[0]}; metric 'cosine' has no angle to it"
                )
    return Cost(*_inputs.common_dtype(*points), metric)


def _check_dtype(dtype: DTypeLike | None) -> np.dtype[Any] | None:
    if dtype is None:
        return None
    wanted = np.dtype(dtype)
    if wanted not in (np.float32, np.float64):
        raise ValueError(f"dtype is {wanted}; it must be float32 or float64")
    return wanted


def _points(name: str, value: ArrayLike, dtype: np.dtype[Any] | None) -> NDArray[np.floating]:
    points = _inputs.check_array(name, value, ndim=2)
    if 0 in points.shape:
        raise ValueError(f"{name} has shape {points.shape}; it must have points and coordinates")
    return points if dtype is None else points.astype(dtype, copy=False)


@contextlib.contextmanager
def bad_entries_named(costs: Mapping[str, Cost]) -> Iterator[None]:
    """
    Find the entry that the core complains of, and say where it is, after what names the problem.

    The core looks at all costs anyway; Python does so only where something is wrong.
    """
    try:
        yield
    except ValueError:
        for name, cost in costs.items():
            check_entries(cost, name)
        raise


def check_entries(cost: Cost, name: str = "") -> None:
    """Refuse NaN and -Inf, and rows and columns of nothing but +Inf, in a matrix of costs."""
    C = cost.first
    if cost.metric or _inputs.is_finite(C):
        return
    bad = np.argwhere(np.isnan(C) | np.isneginf(C))
    if len(bad) > 0:
        index = tuple(int(i) for i in bad[0])
        raise ValueError(
            f"{name}C has the entry {C[index]} at index {index}; entries must be finite, or +Inf for forbidden pairs"
        )
    forbidden = np.isposinf(C)
    for axis, what in ((1, "row"), (0, "column")):
        full = np.flatnonzero(forbidden.all(axis=axis))
        if full.size > 0:
            raise ValueError(
                f"{name}C forbids all pairs of {what} {full[0]}; every row and column needs a finite entry"
            )


def check_masses(name: str, value: ArrayLike | None, size: int) -> NDArray[np.float64]:
    """Return masses that are finite and not negative, by default 1 / size each."""
    if value is None:
        return np.full(size, 1 / size)
    masses = np.ascontiguousarray(_inputs.check_array(name, value, ndim=1), dtype=np.float64)
    if masses.size != size:
        raise ValueError(f"{name} has shape {masses.shape}; it must have shape ({size},)")
    negative = np.flatnonzero(masses < 0)
    if negative.size > 0:
        raise ValueError(f"{name} has the entry {masses[negative[0]]} at index {negative[0]}; masses are not negative")
    if not masses.any():
        raise ValueError(f"{name} has no mass; at least one entry must be positive")
    return masses


def check_positive(name: str, value: float) -> float:
    """Return a positive finite number."""
    number = _inputs.check_real(name, value)
    if number < np.finfo(float).tiny:
        raise ValueError(f"{name} is {number}; it must be positive")
    return number


def check_sums(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    *,
    equal: bool = True,
    unless: str = ", unless reg_marginals is given",
) -> None:
    """Refuse sums that overflow, or differ by more than 1e-6 where they must be equal."""
    with np.errstate(over="ignore"):
        sums = a.sum(), b.sum()
    for name, total in zip("ab", sums, strict=True):
        if not np.isfinite(total):
            raise ValueError(f"the sum of {name} is {total}; it must be finite")
    if equal and abs(sums[0] - sums[1]) > 1e-6 * max(sums):
        raise ValueError(f"a sums to {sums[0]} and b to {sums[1]}; the sums must be equal{unless}")


def check_reg_marginals(value: float | Sequence[float] | None) -> tuple[float, float]:
    """Return the penalties of both marginals, infinite where they hold exactly."""
    if value is None:
        return np.inf, np.inf
    both = (value, value) if np.ndim(value) == 0 else tuple(value)  # type: ignore[arg-type]
    if len(both) != 2:
        raise ValueError(f"reg_marginals has {len(both)} entries; it must be a number or a pair of numbers")
    numbers = []
    for entry in both:
        number = float(entry) if entry == np.inf else _inputs.check_real("reg_marginals", entry)  # type: ignore[arg-type]
        if not number > 0:
            raise ValueError(f"reg_marginals is {value}; it must be positive, or inf for a marginal that holds exactly")
        numbers.append(number)
    return numbers[0], numbers[1]


def each_iteration(kind: Any, ask: Callable[[Any], object] | None) -> Callable[[tuple[Any, ...]], object] | None:
    """Return what the core calls after an iteration with its numbers, which `ask` gets as a `kind`."""
    return None if ask is None else lambda numbers: ask(kind(*numbers))


def sparse_plan_of(parts: tuple[NDArray[Any], ...], shape: tuple[int, int], kind: Any = csr_array) -> Any:
    """Return the core's data, indices and indptr as a sparse array, with 32-bit indices where that is enough."""
    data, indices, indptr = parts
    if max(*shape, len(data)) < 2**31:
        indices, indptr = indices.astype(np.int32), indptr.astype(np.int32)
    return kind((data, indices, indptr), shape=shape)


def check_warmstart(warmstart: Any, n: int, m: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return new arrays that the core turns from a guess of f and g, of a result or a pair, into the solution."""
    if warmstart is None:
        return np.zeros(n), np.zeros(m)
    if isinstance(warmstart, Result):
        warmstart = (warmstart["f"], warmstart["g"])
    if not isinstance(warmstart, tuple | list) or len(warmstart) != 2:
        raise ValueError("warmstart must be a result or a pair (f, g)")
    duals = []
    for name, value, size in zip("fg", warmstart, (n, m), strict=True):
        dual = _inputs.check_array(f"warmstart's {name}", value, ndim=1)
        if dual.size != size:
            raise ValueError(f"warmstart's {name} has shape {dual.shape}; it must have shape ({size},)")
        duals.append(np.array(dual, dtype=np.float64))
    return duals[0], duals[1]
