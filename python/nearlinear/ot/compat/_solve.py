"""What the functions with POT's signatures share: from POT's arguments to `nearlinear.ot.sinkhorn`, and back."""

import contextlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearlinear import _inputs
from nearlinear.ot._problem import check_positive
from nearlinear.ot._quadratic import QuadraticResult, quadratic
from nearlinear.ot._result import SinkhornResult, SinkhornWarning
from nearlinear.ot._sinkhorn import find_plan
from nearlinear.ot._sparse_plan import SparsePlanResult, sparse_plan

# The entries of POT's log for each of its methods.
KEYS = {
    "sinkhorn": ("err", "niter", "u", "v"),
    "sinkhorn_log": ("err", "niter", "log_u", "log_v", "u", "v"),
    "greenkhorn": ("n_iter", "u", "v"),
    "sinkhorn_stabilized": ("err", "n_iter", "logu", "logv", "alpha", "beta", "warmstart"),
    "sinkhorn_epsilon_scaling": ("err", "niter", "alpha", "beta", "warmstart"),
}
# Their warm start is reg * (log u, log v), that of all others is (log u, log v).
WITH_POTENTIALS = ("sinkhorn_stabilized", "sinkhorn_epsilon_scaling")
# Options of POT's algorithms, of which there is nothing here to tune.
WITHOUT_EFFECT = ("tau", "print_period", "epsilon0", "numInnerItermax")
# POT runs until numItermax where stopThr is below what rounding allows. It counts as this fraction of the masses.
PRECISION = 1e-13


@dataclass(frozen=True)
class Costs:
    """Costs as `nearlinear.ot.sinkhorn` takes them, and what its arguments are called in errors."""

    arguments: Mapping[str, Any]
    names: Mapping[str, str]


@dataclass(frozen=True)
class Solutions:
    """One result for a vector `b`, or one for every column of a matrix `b`."""

    results: list[SinkhornResult]
    masses: list[tuple[NDArray[np.floating] | None, NDArray[np.floating] | None]]
    several: bool

    @property
    def losses(self) -> Any:
        """<P, M>, a number or an array of shape (n_hists,)."""
        losses = np.array([result.cost for result in self.results])
        return losses if self.several else losses[0]

    def log(self, method: str) -> dict[str, Any]:
        """Return what POT's `method` logs."""
        log_u, log_v, alpha, beta = (self._columns(arrays) for arrays in zip(*self._scalings(), strict=True))
        iterations = max(result.nit for result in self.results)
        with np.errstate(over="ignore"):
            u, v = np.exp(log_u), np.exp(log_v)
        entries = {
            "err": self._errors(),
            "niter": iterations,
            "n_iter": iterations,
            "u": u,
            "v": v,
            "log_u": log_u,
            "log_v": log_v,
            "logu": log_u,
            "logv": log_v,
            "alpha": alpha,
            "beta": beta,
            "warmstart": (alpha, beta),
        }
        return {key: entries[key] for key in KEYS[method]}

    def _scalings(self) -> Iterator[tuple[NDArray[np.float64], ...]]:
        """
        Yield log u, log v, alpha, beta of each result, where the largest entries of u and v are the same.

        So both are at most sqrt(max P exp(M / reg)), which overflows later than with any other constant that may be
        moved from one to the other.
        """
        for result, (a, b) in zip(self.results, self.masses, strict=True):
            with_mass_f = result.f if a is None else result.f[a > 0]
            with_mass_g = result.g if b is None else result.g[b > 0]
            shift = (with_mass_g.max() - with_mass_f.max()) / 2
            alpha, beta = result.f + shift, result.g - shift
            log_u = alpha / result.reg if a is None else np.where(a > 0, alpha / result.reg, -np.inf)
            log_v = beta / result.reg if b is None else np.where(b > 0, beta / result.reg, -np.inf)
            yield log_u, log_v, alpha, beta

    def _columns(self, arrays: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
        return np.stack(arrays, axis=1) if self.several else arrays[0]

    def _errors(self) -> list[float]:
        """Return the marginal errors of all iterations; for a matrix `b` the norm of the last ones."""
        if self.several:
            return [float(np.linalg.norm([result.marginal_error for result in self.results]))]
        a = self.masses[0][0]
        total = 1.0 if a is None else float(a.sum(dtype=np.float64))
        (result,) = self.results
        return [total * state.marginal_error for state in result.history] or [result.marginal_error]


def matrix_costs(M: ArrayLike) -> Costs:
    """Return a matrix that is called M in errors."""
    return Costs({"C": _inputs.check_array("M", M, ndim=2, check_finite=False)}, {"C": "M"})


def check_method(method: str) -> str:
    """Return a method of POT's in lower case."""
    return _inputs.check_choice("method", str(method).lower(), tuple(KEYS))


def check_options(function: str, names: Iterable[str]) -> None:
    """Refuse keyword arguments that no algorithm of POT's has: most of them are misspelt."""
    for name in names:
        if name not in WITHOUT_EFFECT:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def check_pair(warmstart: Any) -> tuple[ArrayLike, ArrayLike]:
    """Return the two parts of a warm start."""
    try:
        first, second = warmstart
    except (TypeError, ValueError):
        raise ValueError("warmstart must be a pair of arrays, for the rows and the columns of the plan") from None
    return first, second


def solve(
    a: ArrayLike | None,
    b: ArrayLike | None,
    costs: Costs,
    reg: float,
    *,
    iterations: tuple[str, int],
    stopThr: float,
    verbose: bool,
    warn: bool,
    method: str = "sinkhorn",
    warmstart: Any = None,
    one_column: bool = False,
    stacklevel: int = 3,
) -> Solutions:
    """Solve for `b`, or each of its columns; `iterations` is the limit and its name, of which POT has two spellings."""
    first, second = _masses("a", a, 1), _masses("b", b, 1 if one_column else (1, 2))
    several = second is not None and second.ndim == 2
    columns = [second] if second is None or not several else list(second.T)
    number = check_positive("reg", reg)
    maxiter = _inputs.check_int(*iterations, minimum=0)
    tol = _tolerance(_inputs.check_real("stopThr", stopThr) / np.sqrt(len(columns)), first)
    starts = _starts(warmstart, first, columns, number, method=method, several=several)
    results, names = [], []
    for k, (column, start) in enumerate(zip(columns, starts, strict=True)):
        names.append({**costs.names, **({"b": f"b[:, {k}]"} if several else {})})
        with _errors_name(names[k]):
            results.append(
                find_plan(  # whose warning is said below, in POT's words, if at all
                    first,
                    column,
                    **costs.arguments,
                    reg=number,
                    tol=tol,
                    maxiter=maxiter,
                    warmstart=start,
                    verbose=bool(verbose),
                )
            )
    worst, called = max(
        zip(results, names, strict=True), key=lambda pair: (not pair[0].success, pair[0].marginal_error)
    )
    if warn and not worst.success:
        warnings.warn(
            f"Sinkhorn did not converge: {_in_words_of_pot(worst.message, called)}; the marginal error is "
            f"{worst.marginal_error:.3g}. You might want to increase the number of iterations `{iterations[0]}` or the "
            "regularization parameter `reg`.",
            SinkhornWarning,
            stacklevel=stacklevel,
        )
    return Solutions(results, [(first, column) for column in columns], several)


def solve_quadratic(
    a: ArrayLike | None,
    b: ArrayLike | None,
    costs: Costs,
    reg: float,
    *,
    stopThr: float,
    numItermax: int,
    verbose: bool,
    max_nz: int | None = None,
) -> QuadraticResult | SparsePlanResult:
    """Solve for vectors `a` and `b` with a quadratic regularisation, and at most `max_nz` entries per column."""
    first, second = _masses("a", a, 1), _masses("b", b, 1)
    number = check_positive("reg", reg)
    maxiter = _inputs.check_int("numItermax", numItermax, minimum=0)
    tol = _tolerance(_inputs.check_real("stopThr", stopThr), first)
    options: dict[str, Any] = {"reg": number, "tol": tol, "maxiter": maxiter, "verbose": bool(verbose)}
    with _errors_name(costs.names):
        if max_nz is not None:
            return sparse_plan(first, second, **costs.arguments, max_nz=max_nz, **options)
        return quadratic(first, second, **costs.arguments, **options)


def _masses(name: str, value: ArrayLike | None, ndim: int | tuple[int, ...]) -> NDArray[np.floating] | None:
    """Return masses, or None, which means equal ones, for an empty array."""
    if value is None:
        return None
    masses = _inputs.check_array(name, value, ndim=ndim)
    if len(masses) == 0:
        return None
    if masses.size == 0:
        raise ValueError(f"{name} has shape {masses.shape}; it must have columns")
    return masses


def _tolerance(stop: float, a: NDArray[np.floating] | None) -> float:
    """Return the relative tolerance of the L1 norm of both violations for POT's absolute one of the L2 norm of one."""
    with np.errstate(over="ignore"):
        total = 1.0 if a is None else float(a.sum(dtype=np.float64))
    if not 0 < total < np.inf:  # an error, which sinkhorn states
        return 1.0
    return min(max(float(stop) / total, PRECISION), 1.0)


def _starts(
    warmstart: Any,
    a: NDArray[np.floating] | None,
    columns: list[NDArray[np.floating] | None],
    reg: float,
    *,
    method: str,
    several: bool,
) -> list[tuple[ArrayLike, ArrayLike] | None]:
    """Return f and g for every column of `b`, from what POT's `method` takes."""
    count = len(columns)
    if warmstart is None:
        return [None] * count
    if several and method == "sinkhorn_log":  # a pair for each column, where other methods have a pair of matrices
        pairs = list(warmstart)
        if len(pairs) != count:
            raise ValueError(f"warmstart has {len(pairs)} pairs; it must have one for each of the {count} columns of b")
    else:
        pairs = [warmstart] * count
    scale = 1.0 if method in WITH_POTENTIALS else reg
    starts: list[tuple[ArrayLike, ArrayLike] | None] = []
    for k, (pair, b) in enumerate(zip(pairs, columns, strict=True)):
        first, second = check_pair(pair)
        f = _start("warmstart[0]", first, a, k, count if several else 0)
        g = _start("warmstart[1]", second, b, k, count if several else 0)
        starts.append((scale * f, scale * g))
    return starts


def _start(
    name: str, value: ArrayLike, masses: NDArray[np.floating] | None, k: int, count: int
) -> NDArray[np.floating]:
    """Return column `k` of what a warm start has for `count` columns of b, with 0 in place of -Inf without mass."""
    array = _inputs.check_array(name, value, ndim=(1, 2) if count else 1, check_finite=False)
    if array.ndim == 2:
        if array.shape[1] != count:
            raise ValueError(f"{name} has shape {array.shape}; it must have {count} columns, as b has")
        array = array[:, k]
    if masses is None or masses.shape != array.shape:
        return array
    return np.where((masses == 0) & np.isneginf(array), 0, array)


@contextlib.contextmanager
def _errors_name(names: Mapping[str, str]) -> Iterator[None]:
    """Have errors speak of the arguments that the caller passed."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.args = (_in_words_of_pot(str(error), names),)
        raise


def _in_words_of_pot(text: str, names: Mapping[str, str]) -> str:
    """Return what `nearlinear.ot.sinkhorn` says with the names of POT's arguments, and without one that POT has not."""
    names = {"warmstart's f": "warmstart[0]", "warmstart's g": "warmstart[1]", **names}
    words = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names)
    return re.sub(words, lambda match: names[match[0]], text.removesuffix(", unless reg_marginals is given"))
