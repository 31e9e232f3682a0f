/// A matrix that is known by its products alone: sparse, structured, or never formed.
#pragma once

#include <functional>

#include "nearlinear/core.hpp"

namespace nearlinear {

/// What the iterative methods and the randomised decompositions need to know of a rows x cols matrix A.
///
/// - apply(X, Y) is Y <- A X for X of cols x p and Y of rows x p, which do not overlap; apply_transposed(X, Y) is
///   Y <- A^T X for X of rows x p and Y of cols x p. Any p >= 1 and any row strides may come; the old Y is not read.
/// - A function that only multiplies by A accepts an operator whose apply_transposed is empty.
/// - Both are called on the thread that called the library, one at a time, and may use threads of their own. What they
///   throw leaves the call unchanged. Results that are to be equal to the last bit need products that are.
///
///     // The second difference, tridiagonal (-1, 2, -1).
///     const auto difference = [n](nearlinear::MatrixView<const double> X, nearlinear::MatrixView<double> Y) {
///       for (nearlinear::Index i = 0; i < n; ++i)
///         for (nearlinear::Index j = 0; j < X.cols(); ++j)
///           Y(i, j) = 2 * X(i, j) - (i > 0 ? X(i - 1, j) : 0) - (i + 1 < n ? X(i + 1, j) : 0);
///     };
///     const nearlinear::LinearOperator<double> A{n, n, difference, difference};
template <class T>
struct LinearOperator {
  Index rows = 0;
  Index cols = 0;
  std::function<void(MatrixView<const T> X, MatrixView<T> Y)> apply = {};
  std::function<void(MatrixView<const T> X, MatrixView<T> Y)> apply_transposed = {};
};

/// The operator of a dense matrix, which it refers to and does not copy.
///
/// - Products with one vector that has no gaps are gemv_pair's, others gemm's: with the same bits for every number of
///   threads, and with the options of `run`, whose keep_going may stop them.
/// - Throws std::invalid_argument when A is not a view of real memory.
template <class T>  // float, double
[[nodiscard]] LinearOperator<T> as_operator(MatrixView<const T> A, const RunOptions& run = {});

}  // namespace nearlinear
