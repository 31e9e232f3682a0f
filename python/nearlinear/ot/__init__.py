"""Optimal transport, exact, entropic and quadratic, on matrices of costs and between clouds of points."""

import importlib
from typing import TYPE_CHECKING, Any

from nearlinear.ot._barycenter import BarycenterResult, barycenter
from nearlinear.ot._batch import SinkhornBatch, sinkhorn_batch
from nearlinear.ot._divergence import SinkhornDivergence, sinkhorn_divergence
from nearlinear.ot._exact import ExactIteration, ExactResult, ExactWarning, exact
from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._quadratic import QuadraticResult, quadratic
from nearlinear.ot._result import SinkhornGradient, SinkhornIteration, SinkhornResult, SinkhornWarning
from nearlinear.ot._route import RouteCertificate, route
from nearlinear.ot._sinkhorn import sinkhorn
from nearlinear.ot._sparse_plan import SparsePlanResult, SparsePlanWarning, sparse_plan

if TYPE_CHECKING:
    from nearlinear.ot import compat

__all__ = [
    "BarycenterResult",
    "ExactIteration",
    "ExactResult",
    "ExactWarning",
    "QuadraticResult",
    "RouteCertificate",
    "SinkhornBatch",
    "SinkhornDivergence",
    "SinkhornGradient",
    "SinkhornIteration",
    "SinkhornResult",
    "SinkhornWarning",
    "SparsePlanResult",
    "SparsePlanWarning",
    "TransportPlan",
    "barycenter",
    "compat",
    "exact",
    "quadratic",
    "route",
    "sinkhorn",
    "sinkhorn_batch",
    "sinkhorn_divergence",
    "sparse_plan",
]


def __getattr__(name: str) -> Any:
    if name == "compat":  # who does without it does without its imports
        return importlib.import_module("nearlinear.ot.compat")
    raise AttributeError(f"module 'nearlinear.ot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
