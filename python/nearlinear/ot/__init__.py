"""Optimal transport, exact, entropic and quadratic, on matrices of costs and between clouds of points."""

from nearlinear.ot import compat
from nearlinear.ot._barycenter import BarycenterResult, barycenter
from nearlinear.ot._batch import SinkhornBatch, sinkhorn_batch
from nearlinear.ot._divergence import SinkhornDivergence, sinkhorn_divergence
from nearlinear.ot._exact import ExactIteration, ExactResult, ExactWarning, exact
from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._quadratic import QuadraticResult, quadratic
from nearlinear.ot._result import SinkhornGradient, SinkhornIteration, SinkhornResult, SinkhornWarning
from nearlinear.ot._sinkhorn import sinkhorn

__all__ = [
    "BarycenterResult",
    "ExactIteration",
    "ExactResult",
    "ExactWarning",
    "QuadraticResult",
    "SinkhornBatch",
    "SinkhornDivergence",
    "SinkhornGradient",
    "SinkhornIteration",
    "SinkhornResult",
    "SinkhornWarning",
    "TransportPlan",
    "barycenter",
    "compat",
    "exact",
    "quadratic",
    "sinkhorn",
    "sinkhorn_batch",
    "sinkhorn_divergence",
]
