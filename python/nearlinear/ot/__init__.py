"""Optimal transport: entropic, on matrices of costs and between clouds of points."""

from nearlinear.ot._plan import TransportPlan
from nearlinear.ot._sinkhorn import SinkhornGradient, SinkhornIteration, SinkhornResult, SinkhornWarning, sinkhorn

__all__ = ["SinkhornGradient", "SinkhornIteration", "SinkhornResult", "SinkhornWarning", "TransportPlan", "sinkhorn"]
