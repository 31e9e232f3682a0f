/// Products of dense matrices.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear {

enum class Transpose { no, yes };

/// General product of two matrices.
///
///     C <- alpha op(A) op(B) + beta C,    op(X) = X or X^T
///
/// - op(A) is m x k, op(B) is k x n, C is m x n and overlaps neither; any row strides. With beta = 0 the old C is not
///   read, so that NaN in it does no harm.
/// - Cost: 2 m n k operations; blocks of A and B are packed, up to 4 MB and some 0.3 MB for every thread.
/// - Equal to the last bit for every number of threads on one instruction set: every entry is summed in blocks that
///   depend on k alone.
///   |error| <= gamma_k |alpha| |op(A)| |op(B)| entrywise, gamma_k = k u / (1 - k u), u the unit round-off (Higham,
///   Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM 2002, section 3.5).
/// - Throws std::invalid_argument when shapes do not match or a view is not one of real memory, std::bad_alloc, and
///   `interrupted` when run.keep_going answers false; C is then unspecified.
///
///     std::vector<double> a{1, 2, 3, 4}, c(4);
///     const nearlinear::MatrixView<const double> A(a.data(), 2, 2);
///     nearlinear::gemm(1.0, A, nearlinear::Transpose::yes, A, nearlinear::Transpose::no, 0.0,
///                      nearlinear::MatrixView<double>(c.data(), 2, 2));   // c = 10 14 14 20
template <class T>  // float, double
void gemm(std::type_identity_t<T> alpha, MatrixView<const T> A, Transpose op_A, MatrixView<const T> B, Transpose op_B,
          std::type_identity_t<T> beta, MatrixView<T> C, const RunOptions& run = {});

/// Gram matrix of the columns of a matrix, the normal matrix of least squares.
///
///     C <- A^T A
///
/// - A is n x d, C is d x d and becomes symmetric to the last bit, both triangles written.
/// - Sum is T or, for float A, double: then blocks of rows are multiplied in float and summed in double, which
///   keeps the error at that of one block however long A is.
/// - Cost: n d (d + 1) operations, one read of A, and up to 32 d^2 numbers of memory for partial sums.
/// - Equal to the last bit for every number of threads on one instruction set: rows are cut into blocks, and these into
///   groups, by their number alone.
/// - Throws like gemm.
template <class T, class Sum>  // float and float, float and double, double and double
void gram(MatrixView<const T> A, MatrixView<Sum> C, const RunOptions& run = {});

/// One pass of A serves a product and a transposed product.
///
///     y <- A x,    z <- A^T w
///
/// - A is n x d; x and z have d entries, y and w have n. Give x and y, or z and w, as empty spans to leave one out.
/// - Cost: 4 n d operations, one read of A: what memory can deliver is the limit.
/// - Sums over rows are taken in double and in fixed blocks: the same bits for every number of threads.
/// - Throws like gemm.
template <class T>
void gemv_pair(MatrixView<const T> A, std::span<const T> x, std::span<T> y, std::span<const T> w, std::span<T> z,
               const RunOptions& run = {});

/// Product with the normal matrix in one read of A, for several vectors at once.
///
///     Y <- A^T (A Z)
///
/// - A is n x d, Z and Y are d x p and do not overlap. Two products, A Z and then A^T of that, read A twice; here each
///   block of rows is used for both while it is in the cache.
/// - Cost: 4 n d p operations; while p is small, one read of A is the limit.
/// - The same bits for every number of threads on one instruction set. Throws like gemm.
template <class T>
void normal_product(MatrixView<const T> A, MatrixView<const T> Z, MatrixView<T> Y, const RunOptions& run = {});

}  // namespace nearlinear
