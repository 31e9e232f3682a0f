/// The matrix whose rows are sampled, however it is stored, and the passes over it.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "nearlinear/sampling/scores.hpp"
#include "sketch/passes.hpp"

namespace nearlinear::sampling {

/// An n x d matrix with rows and columns. Its entries may be scaled by a power of two, see fit_scale().
class Matrix {
 public:
  virtual ~Matrix() = default;

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] int exponent() const { return exponent_; }  ///< what is read is 2^-exponent A

  /// G <- A^T W A, W = diag(roots)^2; no roots are ones.
  virtual void weighted_gram(std::span<const double> roots, MatrixView<double> G, const RunOptions& run) = 0;

  /// Passes without weights, of the matrix as it is scaled.
  [[nodiscard]] virtual sketch::Passes<double>& passes() = 0;

  /// values_i <- |P^T a_i|^2.
  virtual void squared_norms(const sketch::Preconditioner& P, std::span<double> values, const RunOptions& run) = 0;

  /// In single precision, with sums in double, for well-conditioned matrices of moderate scale: G <- A^T W A where
  /// reweigh(begin, end, values) makes of values_i = |R^{-T} a_i|^2 the roots of the rows' weights, or of ones where
  /// there is no R. It is called for blocks of rows by several threads.
  using Reweigh = std::function<void(Index begin, Index end, double* values)>;
  virtual void reweighted_gram(const sketch::Square* R, const Reweigh& reweigh, MatrixView<double> G,
                               const RunOptions& run) = 0;

  /// values_i <- |a_i^T M|^2 for M of d x k, stored by rows.
  virtual void projected_norms(MatrixView<const double> M, std::span<double> values, const RunOptions& run) = 0;

  /// Row i to `to`, d numbers.
  virtual void copy_row(Index i, double* to) const = 0;

  /// Rows [begin, end) without gaps, each times its factor.
  virtual void copy_rows(Index begin, Index end, const double* factors, double* to) const = 0;

  /// Columns of T (k x n) become P^T a_i; T is stored by rows.
  void whiten(const sketch::Preconditioner& P, MatrixView<double> T, const RunOptions& run) const;

  /// Given the trace of the Gram matrix: refuses NaN and infinities in the name of `function`, and scales the matrix
  /// where squares of entries leave the range of numbers. Answers whether it did, so that the trace is of no use.
  bool fit_scale(double trace, const char* function, const RunOptions& run);

  /// Throws std::invalid_argument, in the name of `function`, if an entry is NaN or infinite.
  void require_finite(const char* function, const RunOptions& run) { (void)magnitude(function, run); }

 protected:
  Matrix(Index rows, Index cols) : rows_(rows), cols_(cols) {}

  /// The largest absolute value. Throws in the name of `function` if an entry is NaN or infinite.
  [[nodiscard]] virtual double magnitude(const char* function, const RunOptions& run) = 0;
  virtual void rescale(int exponent) = 0;

 private:
  Index rows_;
  Index cols_;
  int exponent_ = 0;
};

/// Throws std::invalid_argument, in the name of `function`, unless A is a matrix with rows and columns.
[[nodiscard]] std::unique_ptr<Matrix> matrix_of(const StoredMatrix& A, const char* function);

/// tile <- tile P for rows without gaps; `scratch` gets the result where P is not triangular. Returns where it is.
[[nodiscard]] double* whiten_tile(const sketch::Preconditioner& P, Index rows, double* tile, double* scratch);

}  // namespace nearlinear::sampling
