"""Products of sparse matrices."""

from nearlinear.sparse._estimate import MatmulEstimate, estimate, matmul_nnz
from nearlinear.sparse._matmul import matmul
from nearlinear.sparse._plan import MatmulPlan

__all__ = [
    "MatmulEstimate",
    "MatmulPlan",
    "estimate",
    "matmul",
    "matmul_nnz",
]
