"""Dense linear algebra that several rooms share."""

from nearlinear.linalg._cholesky import cholesky, cholesky_slide, cholesky_solve, cholesky_update, triangular_solve
from nearlinear.linalg._conjugate_gradient import ConjugateGradientResult, conjugate_gradient
from nearlinear.linalg._dct import dct
from nearlinear.linalg._elementwise import TopK, log_sum_exp, top_k
from nearlinear.linalg._iterations import IterationState
from nearlinear.linalg._lsqr import LsqrResult, lsqr
from nearlinear.linalg._products import gram, normal_product
from nearlinear.linalg._qr import QrFactors, qr, qr_multiply
from nearlinear.linalg._solvers import SpdBatchResult, solve_spd_batch
from nearlinear.linalg._spectral import RandomizedSvdResult, randomized_svd
from nearlinear.linalg._transforms import hadamard_transform

__all__ = [
    "ConjugateGradientResult",
    "IterationState",
    "LsqrResult",
    "QrFactors",
    "RandomizedSvdResult",
    "SpdBatchResult",
    "TopK",
    "cholesky",
    "cholesky_slide",
    "cholesky_solve",
    "cholesky_update",
    "conjugate_gradient",
    "dct",
    "gram",
    "hadamard_transform",
    "log_sum_exp",
    "lsqr",
    "normal_product",
    "qr",
    "qr_multiply",
    "randomized_svd",
    "solve_spd_batch",
    "top_k",
    "triangular_solve",
]
