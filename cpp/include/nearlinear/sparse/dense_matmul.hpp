/// Products of a sparse and a dense matrix.
#pragma once

#include "nearlinear/core/views.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// Product of a sparse and a dense matrix, into C.
///
///     C <- A B,    C_ij = sum over k of A_ik B_kj
///
/// - One of A, of n x k, and B, of k x m, is dense; C, of n x m, overlaps neither. A row of the sparse one may hold a
///   column twice, which means the sum. NaN and Inf in the dense one spread where something is stored.
/// - Each entry is summed in the order in which row i of a sparse A, or column j of a sparse B by rows, is stored,
///   without fused operations: the same bits for every thread count and instruction set, but for the sign of zeros.
///   |error_ij| <= l u (|A| |B|)_ij to first order, l the number of its products, u the unit round-off.
/// - Cost: 2 nnz m operations for a sparse A, 2 n nnz for a sparse B, which is read once for every 8 rows of A; and
///   then up to 8 m numbers per thread, of at most 64 MB.
/// - Throws std::invalid_argument when shapes do not match, require_valid_csr refuses the sparse matrix or a view is
///   not one of real memory, std::bad_alloc, and `interrupted` when run.keep_going answers false; C is then
///   unspecified.
///
///     const double b[] = {1, 2}; double c[2];                                          // A as above, of 2 x 2
///     nearlinear::matmul(A, nearlinear::MatrixView<const double>(b, 2, 1), nearlinear::MatrixView<double>(c, 2, 1));
template <class T, class I>
void matmul(const CsrView<T, I>& A, MatrixView<const T> B, MatrixView<T> C, const RunOptions& run = {});
template <class T, class I>
void matmul(MatrixView<const T> A, const CsrView<T, I>& B, MatrixView<T> C, const RunOptions& run = {});

}  // namespace nearlinear
