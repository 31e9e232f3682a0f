"""Entropic optimal transport, under the name of POT's module."""

from nearlinear.ot.compat._empirical import (
    empirical_sinkhorn,
    empirical_sinkhorn2,
    empirical_sinkhorn_divergence,
)
from nearlinear.ot.compat._sinkhorn import sinkhorn, sinkhorn2

__all__ = ["empirical_sinkhorn", "empirical_sinkhorn2", "empirical_sinkhorn_divergence", "sinkhorn", "sinkhorn2"]
