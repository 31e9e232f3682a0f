"""Products of sparse matrices."""

from nearlinear.sparse._estimate import MatmulEstimate, estimate, matmul_nnz
from nearlinear.sparse._gram import gram
from nearlinear.sparse._matmul import matmul
from nearlinear.sparse._matpow import matpow
from nearlinear.sparse._plan import MatmulPlan
from nearlinear.sparse._triple_product import triple_product

__all__ = [
    "MatmulEstimate",
    "MatmulPlan",
    "estimate",
    "gram",
    "matmul",
    "matmul_nnz",
    "matpow",
    "triple_product",
]
