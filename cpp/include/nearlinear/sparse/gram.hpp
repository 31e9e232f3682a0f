/// Gram matrices of the rows or columns of a sparse matrix.
#pragma once

#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// The side on which the transposed matrix stands.
enum class GramSide {
  right,  ///< A A^T
  left,   ///< A^T A
};

enum class GramMethod {
  automatic,  ///< whichever is cheaper, by a sample of the rows
  half,       ///< the upper half, mirrored
  whole,      ///< the product with the transpose
};

struct GramOptions {
  GramSide side = GramSide::right;
  GramMethod method = GramMethod::automatic;
};

/// Product of a sparse matrix and its own transpose, exactly symmetric.
///
///     right:  C = A A^T,    C_ij = sum over k of A_ik A_jk
///     left:   C = A^T A,    C_ij = sum over k of A_ki A_kj
///
/// - `A` is n x k; C is n x n, or k x k, canonical. Entries are stored wherever a product of two stored ones falls.
///   Duplicates of A are summed first.
/// - Entry (i, j), i <= j, has the bits of matmul(A, transpose of A), or of matmul(transpose of A, A), for sorted
///   operands without duplicates, for every thread count and instruction set; and C_ji is C_ij.
/// - Cost: with f the scalar products of matmul(), about f / 2 and nnz(C) / 2 entries that are mirrored (half), or f
///   (whole). To mirror an entry takes about as long as a dozen scalar products; the half is taken from 12 of them
///   per entry of C on. Memory: A^T, and C, or with the half 1.5 times C while it is mirrored.
/// - Throws what matmul() throws.
///
///     const auto C = nearlinear::gram(A);                                              // A as for matmul(): (5 10)
///     for (const double value : C.data) std::printf("%g ", value);                     // 5 10 10 25         (10 25)
template <class T, class I>
CsrMatrix<T, I> gram(const CsrView<T, I>& A, const GramOptions& options = {}, const RunOptions& run = {});

}  // namespace nearlinear
