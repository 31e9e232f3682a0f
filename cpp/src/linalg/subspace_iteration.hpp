/// Subspace iteration, which randomized_svd() prepares a matrix or an operator for.
#pragma once

#include <array>
#include <functional>

#include "linalg/progress.hpp"
#include "nearlinear/core.hpp"
#include "nearlinear/linalg/randomized_svd.hpp"

namespace nearlinear::linalg {

/// A matrix stored by rows, with its memory.
template <class T>
struct Factor {
  Index rows = 0;
  Index cols = 0;
  Array<T> entries = {};

  Factor() = default;
  Factor(Index rows_in, Index cols_in) : rows(rows_in), cols(cols_in), entries(checked_product(rows_in, cols_in)) {}
  [[nodiscard]] MatrixView<T> view() const { return {entries.data(), rows, cols}; }
};

/// What the iteration knows of 2^-exponent A.
template <class T>
struct LowRankProblem {
  using Product = std::function<void(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run)>;

  Index rows;
  Index cols;
  std::array<Product, 2> products;  // by A, by A^T
  double frobenius_norm;            // of the scaled matrix; negative: unknown
  int exponent;
};

/// The sum of (2^-exponent a_ij)^2, in a fixed order.
template <class T>
[[nodiscard]] double square_sum(MatrixView<const T> A, int exponent, const RunOptions& run);

/// The low-rank approximation of a matrix with rows and columns; `rank` and `options` have been checked.
template <class T>
[[nodiscard]] RandomizedSvd<T> iterate_subspace(const LowRankProblem<T>& problem, Index rank,
                                                const RandomizedSvdOptions& options, Progress& progress);

}  // namespace nearlinear::linalg
