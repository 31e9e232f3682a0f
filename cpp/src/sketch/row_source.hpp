/// Rows of a matrix and of its right-hand sides, however they are stored, as tiles that the kernels read.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "nearlinear/core.hpp"
#include "nearlinear/sparse/csr.hpp"
#include "sketch/kernels.hpp"

namespace nearlinear::sketch {

/// The n x (d + p) matrix [A B].
template <class T>
class RowSource {
 public:
  virtual ~RowSource() = default;

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }  ///< of A
  [[nodiscard]] Index rhs() const { return B_.cols(); }
  [[nodiscard]] Index width() const { return cols_ + rhs(); }
  [[nodiscard]] MatrixView<const T> B() const { return B_; }

  /// Multiplies a factor for every row in [begin, end) by its weight's square root.
  virtual void weigh(Index /*begin*/, Index /*end*/, T* /*factors*/) const {}

  /// A and B count as 2^a A and 2^b B from now on, in copies; plain() has nothing then.
  void rescale(int a, int b) {
    scale_a_ = a;
    scale_b_ = b;
  }

  /// Rows [begin, end) of the columns [first, last) of [A B], each times its factor, as a tile whose rows lie `stride`
  /// apart; by default without gaps.
  void copy(Index begin, Index end, Index first, Index last, const T* factors, T* tile, Index stride = 0) const {
    const Index width = stride > 0 ? stride : last - first, skipped = std::clamp(cols_, first, last);
    if (first < cols_) copy_matrix(begin, end, first, skipped, factors, tile, width);
    if (skipped < last)
      kernels_for<T>().copy_rows(end - begin, last - skipped, &B_(begin, skipped - cols_), B_.row_stride(), factors,
                                 tile + (skipped - first), width);
    if (!is_scaled()) return;
    for (Index i = 0; i < end - begin; ++i)
      for (Index j = 0; j < last - first; ++j)
        tile[i * width + j] = std::ldexp(tile[i * width + j], j < skipped - first ? scale_a_ : scale_b_);
  }

  /// The same followed by H_64 of every 64 rows, of whole sets of them. False where there is no way to do both at once.
  /// What lies between the rows of the tile is transformed along.
  [[nodiscard]] bool copy_transformed(Index begin, Index end, Index first, Index last, const T* factors, T* tile,
                                      Index stride) const {
    const MatrixView<const T>* const rows = by_rows();
    if (rows == nullptr || is_scaled() || (end - begin) % 64 != 0) return false;
    const Index skipped = std::clamp(cols_, first, last);
    const RowMajor<T> a{rows->data() + begin * rows->row_stride() + first, skipped - first, rows->row_stride()};
    const T* const of_b = skipped < last ? &B_(begin, skipped - cols_) : nullptr;
    const RowMajor<T> b{of_b, last - skipped, B_.row_stride()};
    kernels_for<T>().copy_transformed(end - begin, a, b, factors, tile, stride);
    return true;
  }

  /// Whether a copy of A is no larger than what it is copied from.
  [[nodiscard]] virtual bool is_dense() const { return false; }

  /// A itself where its rows can be read as they are, without weights; else null.
  [[nodiscard]] virtual const MatrixView<const T>* plain() const { return nullptr; }

 protected:
  RowSource(Index rows, Index cols, MatrixView<const T> B) : rows_(rows), cols_(cols), B_(B) {}

  [[nodiscard]] bool is_scaled() const { return scale_a_ != 0 || scale_b_ != 0; }

 private:
  /// A, with weights or not, if it is stored by rows; else null.
  [[nodiscard]] virtual const MatrixView<const T>* by_rows() const { return nullptr; }
  virtual void copy_matrix(Index begin, Index end, Index first, Index last, const T* factors, T* tile,
                           Index stride) const = 0;

  Index rows_;
  Index cols_;
  MatrixView<const T> B_;
  int scale_a_ = 0;
  int scale_b_ = 0;
};

/// A dense matrix that is stored by rows or by columns: one of its strides is 1.
template <class T>
class DenseRows final : public RowSource<T> {
 public:
  DenseRows(MatrixView<const T> A, MatrixView<const T> B, std::span<const T> root_weights = {})
      : RowSource<T>(A.rows(), A.cols(), B), matrix_(A), by_columns_(false), root_weights_(root_weights) {}

  /// A^T of a matrix that is stored by rows.
  [[nodiscard]] static DenseRows transposed(MatrixView<const T> A, MatrixView<const T> B,
                                            std::span<const T> root_weights = {}) {
    return DenseRows(A, B, root_weights, true);
  }

  void weigh(Index begin, Index end, T* factors) const override {
    if (root_weights_.empty()) return;
    for (Index i = begin; i < end; ++i) factors[i - begin] *= root_weights_[static_cast<std::size_t>(i)];
  }

  [[nodiscard]] bool is_dense() const override { return true; }

  [[nodiscard]] const MatrixView<const T>* plain() const override {
    return by_columns_ || !root_weights_.empty() || this->is_scaled() ? nullptr : &matrix_;
  }

 private:
  DenseRows(MatrixView<const T> A, MatrixView<const T> B, std::span<const T> root_weights, bool /*transposed*/)
      : RowSource<T>(A.cols(), A.rows(), B), matrix_(A), by_columns_(true), root_weights_(root_weights) {}

  [[nodiscard]] const MatrixView<const T>* by_rows() const override { return by_columns_ ? nullptr : &matrix_; }

  void copy_matrix(Index begin, Index end, Index first, Index last, const T* factors, T* tile,
                   Index stride) const override {
    const auto& kernels = kernels_for<T>();
    if (by_columns_)
      kernels.copy_columns(end - begin, last - first, matrix_.data() + first * matrix_.row_stride() + begin,
                           matrix_.row_stride(), factors, tile, stride);
    else
      kernels.copy_rows(end - begin, last - first, matrix_.data() + begin * matrix_.row_stride() + first,
                        matrix_.row_stride(), factors, tile, stride);
  }

  MatrixView<const T> matrix_;
  bool by_columns_;
  std::span<const T> root_weights_;
};

/// A sparse matrix.
template <class T, class I>
class CsrRows final : public RowSource<T> {
 public:
  CsrRows(const CsrView<T, I>& A, MatrixView<const T> B) : RowSource<T>(A.rows, A.cols, B), matrix_(A) {}

  [[nodiscard]] const CsrView<T, I>& matrix() const { return matrix_; }

 private:
  void copy_matrix(Index begin, Index end, Index first, Index last, const T* factors, T* tile,
                   Index stride) const override {
    for (Index i = begin; i < end; ++i) {
      T* const row = tile + (i - begin) * stride - first;
      std::fill(row + first, row + last, T{0});
      const auto at = static_cast<std::size_t>(i);
      for (I k = matrix_.indptr[at]; k < matrix_.indptr[at + 1]; ++k) {
        const auto col = static_cast<Index>(matrix_.indices[static_cast<std::size_t>(k)]);
        if (col >= first && col < last) row[col] += factors[i - begin] * matrix_.data[static_cast<std::size_t>(k)];
      }
    }
  }

  CsrView<T, I> matrix_;
};

}  // namespace nearlinear::sketch
