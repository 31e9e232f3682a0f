/// Least squares for matrices that are not wider than tall, and for wide ones through their transpose.
#pragma once

#include "sketch/passes.hpp"

namespace nearlinear::sketch {

/// n >= d. Throws OutOfScale, unless A and B are scaled already, where squares of entries leave the range of numbers.
template <class T>
[[nodiscard]] LstsqResult<T> tall_lstsq(Passes<T>& passes, bool is_scaled, MatrixView<T> X, const LstsqOptions& options,
                                        const RunOptions& run);

/// Throws OutOfScale when one of the squares is out of the range in which sums of squares are accurate, and scaling by
/// the largest entries would change that.
template <class T>
void require_scale(Passes<T>& passes, double square_of_A, std::span<const double> squares_of_b, const RunOptions& run);

/// What a wide problem needs beside the passes over M = A^T, which has no right-hand sides: Y <- M Z and Z <- M^T Y.
template <class T>
struct TransposedProducts {
  std::function<void(MatrixView<const T> Z, MatrixView<T> Y)> multiply;
  std::function<void(MatrixView<const T> Y, MatrixView<T> Z)> multiply_transposed;
};

/// n < d: `passes` over A^T. Throws OutOfScale as tall_lstsq().
template <class T>
[[nodiscard]] LstsqResult<T> wide_lstsq(Passes<T>& passes, bool is_scaled, const TransposedProducts<T>& products,
                                        MatrixView<const T> B, MatrixView<T> X, const LstsqOptions& options,
                                        const RunOptions& run);

/// Throws std::invalid_argument unless the options are within their ranges.
void require_valid(const LstsqOptions& options, Index cols);

}  // namespace nearlinear::sketch
