"""Products of sparse matrices."""

from nearlinear.sparse._estimate import MatmulEstimate, estimate, matmul_nnz
from nearlinear.sparse._matmul import matmul

__all__ = ["MatmulEstimate", "estimate", "matmul", "matmul_nnz"]
