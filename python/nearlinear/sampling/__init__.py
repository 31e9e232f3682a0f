"""Which rows of a matrix matter for norms of A x, and samples of rows that stand for all of them."""

from nearlinear.sampling._coreset import Coreset, StreamingCoreset
from nearlinear.sampling._distortion import embedding_distortion
from nearlinear.sampling._leverage import leverage_scores
from nearlinear.sampling._lewis import lewis_certificate, lewis_weights
from nearlinear.sampling._regression import LpRegressionResult, lp_regression
from nearlinear.sampling._sample import RowSample, sample_rows
from nearlinear.sampling._sensitivities import (
    SensitivityEstimate,
    max_sensitivity,
    sensitivities,
    total_sensitivity,
)

__all__ = [
    "Coreset",
    "LpRegressionResult",
    "RowSample",
    "SensitivityEstimate",
    "StreamingCoreset",
    "embedding_distortion",
    "leverage_scores",
    "lewis_certificate",
    "lewis_weights",
    "lp_regression",
    "max_sensitivity",
    "sample_rows",
    "sensitivities",
    "total_sensitivity",
]
