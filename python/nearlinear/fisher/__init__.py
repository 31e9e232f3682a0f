"""Products with the inverse of a damped empirical Fisher matrix, and what is pruned with it."""

from nearlinear.fisher._obs import PruneResult, UpdateResult, obs_prune, obs_saliency, obs_update
from nearlinear.fisher._sliding import SlidingFisherInverse
from nearlinear.fisher._static import FisherInverse

__all__ = [
    "FisherInverse",
    "PruneResult",
    "SlidingFisherInverse",
    "UpdateResult",
    "obs_prune",
    "obs_saliency",
    "obs_update",
]
