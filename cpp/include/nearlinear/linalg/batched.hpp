/// Many small systems at once.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear {

/// `count` matrices of one shape, each row-major: entry (i, j) of matrix s lies at
/// data()[s * matrix_stride() + i * row_stride() + j].
///
///     std::vector<double> storage(1000 * 4 * 4);
///     nearlinear::BatchView<double> batch(storage.data(), 1000, 4, 4);
///     batch[7](2, 3) = 5.0;
template <class T>
class BatchView {
 public:
  constexpr BatchView(T* data, Index count, Index rows, Index cols)
      : BatchView(data, count, rows, cols, cols, rows * cols) {}

  /// Both strides count elements; matrices must not overlap.
  constexpr BatchView(T* data, Index count, Index rows, Index cols, Index row_stride, Index matrix_stride)
      : data_(data), count_(count), rows_(rows), cols_(cols), row_stride_(row_stride), matrix_stride_(matrix_stride) {}

  /// A writable view is also a read-only one.
  constexpr operator BatchView<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data_, count_, rows_, cols_, row_stride_, matrix_stride_};
  }

  [[nodiscard]] constexpr T* data() const { return data_; }
  [[nodiscard]] constexpr Index count() const { return count_; }
  [[nodiscard]] constexpr Index rows() const { return rows_; }
  [[nodiscard]] constexpr Index cols() const { return cols_; }
  [[nodiscard]] constexpr Index row_stride() const { return row_stride_; }
  [[nodiscard]] constexpr Index matrix_stride() const { return matrix_stride_; }

  [[nodiscard]] constexpr MatrixView<T> operator[](Index s) const {
    return {data_ + s * matrix_stride_, rows_, cols_, row_stride_};
  }

 private:
  T* data_;
  Index count_;
  Index rows_;
  Index cols_;
  Index row_stride_;
  Index matrix_stride_;
};

/// Solves many small symmetric positive definite systems, each with right-hand sides of its own.
///
///     X_s = (A_s + ridge I)^{-1} B_s,    s = 0, ..., count - 1
///
/// - A is count x k x k, of which the lower triangles count, B and X are count x k x r. X is the same view as B, for
///   solving in place, or overlaps neither A nor B; A and, unless it is X, B are not written. ridge >= 0 is rounded to
///   T and added to the diagonals as they are read.
/// - status has `count` entries: 0 or, as cholesky() returns it, the order of the first leading minor of A_s + ridge I
///   that is not positive definite; X_s is then NaN throughout. NaN in a lower triangle is always found. Returns the
///   number of systems whose status is not 0.
/// - Up to k = 128, as many systems as a vector register has entries are solved together, entry by entry side by side,
///   by a Cholesky factorisation that takes right-hand sides along; larger ones by cholesky(), one after another.
///   Either way, what comes out for a system depends on A_s, B_s, ridge and r alone: to the last bit, whatever its
///   neighbours are, wherever it stands, and on any number of threads of one instruction set.
/// - Cost: count (k^3 / 3 + 2 k^2 r) operations, one read of A and B and one writing of X; a tile of
///   (k + min(r, max(k, 16))) k numbers for every lane of every thread.
/// - Each column x of X_s solves a system nearby: (A_s + ridge I + dA) x = b, |dA| <= gamma_{3k+7} |L| |L^T| entrywise,
///   gamma_n = n u / (1 - n u), u the unit round-off (Higham, Accuracy and Stability of Numerical Algorithms, 2nd
///   edition, SIAM 2002, theorem 10.4, with the roundings of inverted diagonals and of the ridge).
/// - Throws std::invalid_argument when shapes do not match, a view is not one of real memory or ridge is negative or
///   not finite, std::bad_alloc, and `interrupted` when run.keep_going answers false; X and status are then
///   unspecified.
///
///     const std::vector<double> a{4, 2, 2, 5,  1, 2, 2, 1};           // the second one is indefinite
///     std::vector<double> b{8, 8,  1, 1};
///     std::vector<nearlinear::Index> status(2);
///     const nearlinear::BatchView<double> B(b.data(), 2, 2, 1);
///     nearlinear::cholesky_solve_batch<double>({a.data(), 2, 2, 2}, B, B, status);   // b = 1.5 1 NaN NaN, status = 0
///     2
template <class T>  // float, double
Index cholesky_solve_batch(BatchView<const T> A, BatchView<const T> B, BatchView<T> X, std::span<Index> status,
                           double ridge = 0, const RunOptions& run = {});

}  // namespace nearlinear
