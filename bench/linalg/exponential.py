"""exp, log and log-sum-exp of many numbers."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from bench.harness import Case, Contender, Room
from nearlinear import _core

SIZES = {"cache": 4096, "10^6": 1_000_000, "memory": 12_500_000}
TYPES = (np.float64, np.float32)


class Numbers(NamedTuple):
    function: str
    x: Any


def cases() -> list[Case]:
    return [
        Case(
            f"{function}, {name}, {np.dtype(dtype).name}",
            partial(numbers, function, size, dtype),
            quick=name == "cache",
        )
        for function in ("exp", "log", "log_sum_exp")
        for dtype in TYPES
        for name, size in SIZES.items()
    ]


def numbers(function: str, size: int, dtype: Any) -> Any:
    x = np.random.default_rng(0).random(size, dtype=dtype)
    return Numbers(function, x * dtype(100) + dtype(1e-3) if function == "log" else x * dtype(40) - dtype(20))


def nearlinear_function(given: Numbers) -> Any:
    if given.function == "log_sum_exp":
        return lambda: _core.log_sum_exp(given.x)
    function, y = getattr(_core, given.function), np.empty_like(given.x)

    def apply() -> Any:
        function(given.x, y)
        return y

    return apply


def numpy_function(given: Numbers) -> Any:
    if given.function == "log_sum_exp":
        return lambda: stable_log_sum_exp(given.x)
    function, y = getattr(np, given.function), np.empty_like(given.x)
    return lambda: function(given.x, out=y)


def stable_log_sum_exp(x: Any) -> Any:
    largest = x.max()
    return largest + np.log(np.exp(x - largest).sum())


def scipy_function(given: Numbers) -> Any:
    return (lambda: scipy.special.logsumexp(given.x)) if given.function == "log_sum_exp" else None


def facts(given: Numbers) -> dict[str, int]:
    return {"numbers": given.x.size, "operations": given.x.size}


def reference(given: Numbers) -> Any:
    wide = given.x.astype(np.longdouble)
    return stable_log_sum_exp(wide) if given.function == "log_sum_exp" else getattr(np, given.function)(wide[:100_000])


def check(given: Numbers, expected: Any, result: Any, contender: Contender) -> float:
    """Return the largest error in units of the bound."""
    unit = np.finfo(given.x.dtype).eps / 2
    if given.function == "log_sum_exp":
        n = given.x.size
        terms = 70 + 5 * n / 4096 if given.x.dtype == np.float64 else 0
        bound = unit * (abs(expected) + 2 * np.log(n) + 4 + terms)
        return float(abs(np.longdouble(result) - expected) / bound)
    return float((np.abs(result[:100_000] - expected) / (4 * unit * np.abs(expected))).max())


ROOM = Room(
    name="linalg.exponential",
    task="exponentials and logarithms",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear_function, role="ours"),
        Contender("numpy", numpy_function),
        Contender("scipy logsumexp", scipy_function),
    ],
    facts=facts,
    reference=reference,
    check=check,
    bound="2 ulp; u (|result| + 2 log n + 4 + d)",
    tolerance=4.0,  # NumPy promises 4 ulp, and its sum in float32 has no bound as good as ours
    summaries={"best peer": lambda contender: True},
    remark="An operation is one number: 10^9 / (operations per second) is the time of each in ns.",
)
