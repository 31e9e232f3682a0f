"""
Functions with the signatures of POT, the Python Optimal Transport library, backed by :mod:`nearlinear.ot`.

``import nearlinear.ot.compat as ot`` takes the place of ``import ot`` where no other function of POT is used. Names are
found where POT has them: `sinkhorn` and `sinkhorn2` here, everything of :mod:`~nearlinear.ot.compat.bregman` and
:mod:`~nearlinear.ot.compat.smooth` in the modules of these names, and here, too.
"""

from nearlinear.ot.compat import bregman, smooth
from nearlinear.ot.compat._empirical import (
    LazyPlan,
    empirical_sinkhorn,
    empirical_sinkhorn2,
    empirical_sinkhorn_divergence,
)
from nearlinear.ot.compat._sinkhorn import sinkhorn, sinkhorn2
from nearlinear.ot.compat.smooth import smooth_ot_dual, smooth_ot_semi_dual

__all__ = [
    "LazyPlan",
    "bregman",
    "empirical_sinkhorn",
    "empirical_sinkhorn2",
    "empirical_sinkhorn_divergence",
    "sinkhorn",
    "sinkhorn2",
    "smooth",
    "smooth_ot_dual",
    "smooth_ot_semi_dual",
]
