/// Products of two sparse matrices.
#pragma once

#include <cstdint>
#include <variant>

#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// What a row's products are summed in.
enum class Accumulator {
  automatic,  ///< dense, unless its memory would exceed what the operands take
  dense,      ///< one sum per column of B, and a flag that tells which of them are used
  hash,       ///< a hash table of the row's columns: memory in proportion to the largest row of the product
  sort,       ///< a list of the row's scalar products, which is sorted: memory in proportion to the longest list
};

struct MatmulOptions {
  Accumulator accumulator = Accumulator::automatic;

  // Entries that are dropped row by row, before they take memory: what is left is C, not the product.
  bool prune_zeros = false;  ///< Entries equal to zero are dropped.
  double threshold = 0;      ///< Entries with |C_ij| < threshold are dropped; NaN stays. Rounded to T.
  Index top_k = 0;           ///< Of every row the largest ones stay, of equals the first, NaN after all; 0: all.

  /// More than these bytes for C, as estimate_matmul() bounds them, are refused before anything is computed; 0: none
  /// are. With top_k, a row counts as top_k entries at most.
  Index max_bytes = 0;

  /// The operands are known to be valid and to have strictly increasing columns in every row: they are not checked, and
  /// the behaviour is undefined where they are not.
  bool assume_valid = false;
};

/// What a product will take.
struct MatmulEstimate {
  Index products = 0;  ///< Scalar products, f.
  Index nnz = 0;       ///< Bound on the number of entries: the sum over all rows of min(f_i, m).
  Index bytes = 0;     ///< What a CsrMatrix of so many entries takes.
};

/// Product of two sparse matrices.
///
///     C = A B,    C_ij = sum over k of A_ik B_kj
///
/// - `A` is n x k, `B` is k x m. C has strictly increasing columns in every row and an entry wherever some A_ik and
///   B_kj are both stored, also when the sum is zero. NaN and Inf spread through stored entries only.
/// - Each entry is summed in the order of row i of A, without fused operations: C is equal to the last bit for every
///   thread count, instruction set and accumulator, but for the sign of zeros. |error_ij| <= nnz(A_i) u (|A| |B|)_ij to
///   first order, u the unit round-off.
/// - Cost: with f = sum over A_ik of nnz(B_k), the number of scalar products, O(nnz(A) + nnz(B) + f) for the dense
///   accumulator, and a factor log(nnz(C_i)) more for sorting with the hash accumulator. Memory: C, and per thread
///   about 2 MB and a dense accumulator of m (sizeof(T) + 1) bytes or a hash table of the largest row. Address space,
///   not memory, is reserved for f entries; where the system refuses even that, the product is computed twice.
/// - Throws std::invalid_argument when the shapes do not match or require_valid_csr refuses an operand,
///   when an option is out of range, std::overflow_error when C has more entries than I can count, out_of_memory, also
///   for more than options.max_bytes, and `interrupted` when run.keep_going answers false.
///
/// Row-wise products merged by hashing, with work cut into tokens of equal numbers of scalar products: K. Shivdikar,
/// "SMASH: Sparse Matrix Atomic Scratchpad Hashing", Northeastern University, 2021. On a CPU each row has one owner, so
/// that its accumulator is private and needs no atomics. Row-wise products: F. G. Gustavson, "Two fast algorithms for
/// sparse matrices: multiplication and permuted transposition", ACM Transactions on Mathematical Software 4 (1978).
///
///     #include <nearlinear/sparse.hpp>
///     #include <cstdio>
///
///     int main() {   // ( 1 2 )   ( 0 3 )   ( 8 3 )
///                    // ( 0 5 ) * ( 4 0 ) = (20 0 )
///       const int a_indptr[] = {0, 2, 3}, a_indices[] = {0, 1, 1}, b_indptr[] = {0, 1, 2}, b_indices[] = {1, 0};
///       const double a_data[] = {1, 2, 5}, b_data[] = {3, 4};
///       const nearlinear::CsrView<double, int> A{2, 2, a_indptr, a_indices, a_data};
///       const nearlinear::CsrView<double, int> B{2, 2, b_indptr, b_indices, b_data};
///       const auto C = nearlinear::matmul(A, B);
///       for (const double value : C.data) std::printf("%g ", value);   // 8 3 20
///     }
template <class T, class I>
CsrMatrix<T, I> matmul(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options = {},
                       const RunOptions& run = {});

/// Counts the scalar products of A B, which takes time in proportion to nnz(A). Errors as matmul's.
template <class T, class I>
MatmulEstimate estimate_matmul(const CsrView<T, I>& A, const CsrView<T, I>& B, const RunOptions& run = {});

/// The number of entries of A B, exactly and without storing it; takes the time of the product. Errors as matmul's.
template <class T, class I>
Index matmul_nnz(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options = {},
                 const RunOptions& run = {});

/// matmul for 32-bit indices, but a product of more than 2^31 - 1 entries comes with 64-bit indices.
template <class T>
using CsrMatrixOfAnySize = std::variant<CsrMatrix<T, std::int32_t>, CsrMatrix<T, std::int64_t>>;

template <class T>
CsrMatrixOfAnySize<T> matmul_any_size(const CsrView<T, std::int32_t>& A, const CsrView<T, std::int32_t>& B,
                                      const MatmulOptions& options = {}, const RunOptions& run = {});

}  // namespace nearlinear
