"""Semirings: the types in which products over them are computed, and those of what comes out."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from nearlinear import _core, _inputs

Semiring = Literal["plus_times", "min_plus", "max_plus", "max_times", "or_and", "plus_pair", "min_first"]
NAMES = ("plus_times", "min_plus", "max_plus", "max_times", "or_and", "plus_pair", "min_first")
NEED_ORDER = ("min_plus", "max_plus", "max_times", "min_first")


_USUAL = (np.dtype(np.float64), np.dtype(np.float32))


class Types(NamedTuple):
    """The types of a product."""

    result: np.dtype[Any]
    operands: np.dtype[Any]  # what the operands are cast to: `result`, where they take part in it
    computed: np.dtype[Any]  # what the core is given

    @property
    def bits(self) -> int:
        """Width of integers."""
        return 8 * self.operands.itemsize if self.operands.kind in "iu" else 64

    def cast(self, data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return entries in the type in which they are computed with; no copy unless it takes one."""
        return data.astype(self.operands, copy=False).astype(self.computed, copy=False)


def check_number(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type of SciPy's sparse products, in the byte order of this machine."""
    if dtype in _USUAL:
        return dtype
    if dtype.kind in "biu" or (dtype.kind, dtype.itemsize) in (("f", 4), ("f", 8), ("c", 8), ("c", 16)):
        return dtype.newbyteorder("=")
    raise TypeError(
        f"{name} has dtype {dtype}; it must hold booleans, integers, or real or complex numbers of 32 or 64 bits"
    )


def types_of(semiring: str, factors: dict[str, Any], added: list[Any], dtype: DTypeLike | None) -> Types:
    """Return the types of a product of two factors, to which numbers and matrices of other types are added."""
    given = {name: check_number(name, factor.dtype) for name, factor in factors.items()}
    if semiring == "plus_times" and dtype is None and not added and given["A"] == given["B"]:
        return Types(given["A"], given["A"], _computed(given["A"]))  # the usual case, at once
    if semiring == "min_first":
        del given["B"]
    wanted = None if dtype is None else check_number("dtype", np.dtype(dtype))
    for name, type_ in given.items():
        if wanted is not None and type_.kind == "c" and wanted.kind != "c" and semiring not in ("or_and", "plus_pair"):
            raise TypeError(f"{name} has dtype {type_}, which cannot be cast to {wanted}")
        if type_.kind == "c" and semiring in NEED_ORDER:
            raise TypeError(f"{name} has dtype {type_}; {semiring} needs numbers that have an order")
    if semiring == "or_and":
        boolean = np.dtype(np.bool_)
        return Types(boolean if wanted is None else wanted, boolean, boolean)
    if semiring == "plus_pair":
        integer = np.dtype(np.int64)
        return Types(integer if wanted is None else wanted, integer, integer)
    result = np.result_type(*given.values(), *added) if wanted is None else wanted
    check_number("accum", result)  # numbers beside a matrix may widen it
    if semiring in NEED_ORDER:
        if result.kind == "c":
            raise TypeError(f"dtype is {result}; {semiring} needs numbers that have an order")
        if result.kind == "b":
            if wanted is not None:
                raise TypeError(f"dtype is bool; {semiring} needs numbers")
            result = np.dtype(np.int64)
    return Types(result, result, _computed(result))


def require_suitable(types: Types, accum: Any, top_k: int | None) -> None:
    """Refuse to drop imaginary parts, and to compare complex numbers."""
    if accum is not None and accum.dtype.kind == "c" and types.computed.kind not in "bc":
        raise TypeError(f"accum has dtype {accum.dtype}, which cannot be cast to {types.computed}")
    if top_k is not None and types.computed.kind == "c":
        raise TypeError(f"top_k needs numbers that have an order; the product has dtype {types.result}")


def types_of_operand(argument: str, semiring: str, types: Types) -> Types:
    """Return how an operand is cast: one whose values are not looked at so that NumPy warns of nothing."""
    unread = {"plus_pair": "AB", "min_first": "B"}.get(semiring, "")
    return types._replace(operands=np.dtype(np.bool_)) if argument in unread else types


def _computed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return {"i": np.dtype(np.int64), "u": np.dtype(np.uint64)}.get(dtype.kind, dtype)


def check_name(semiring: str) -> _core.SemiringName:
    """Return the core's name."""
    return _core.SemiringName[_inputs.check_choice("semiring", semiring, NAMES)]
