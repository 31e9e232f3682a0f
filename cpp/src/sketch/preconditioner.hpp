/// Triangular factors as preconditioners, and what can be told from them.
#pragma once

#include <optional>

#include "nearlinear/core.hpp"

namespace nearlinear::sketch {

/// A square matrix in double, stored by rows.
struct Square {
  Index size = 0;
  Array<double> entries;

  Square() = default;
  explicit Square(Index d);
  [[nodiscard]] MatrixView<double> view() const { return {entries.data(), size, size}; }
  [[nodiscard]] double& operator()(Index i, Index j) const { return entries[i * size + j]; }
};

/// P = R^{-1}, R upper triangular; or P = V diag(1 / s), d x k, for a matrix of rank k.
class Preconditioner {
 public:
  Preconditioner() = default;
  explicit Preconditioner(Square R);
  Preconditioner(Array<double> P, Index cols, Index rank);

  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] Index rank() const { return rank_; }
  [[nodiscard]] bool is_triangular() const { return R_.size == cols_ && P_.size() == 0; }
  [[nodiscard]] const Square& R() const { return R_; }
  [[nodiscard]] const Array<double>& P() const { return P_; }

  /// X <- P Y (Y is rank x p), Y <- P^T X.
  void apply(MatrixView<const double> Y, MatrixView<double> X, const RunOptions& run) const;
  void apply_transposed(MatrixView<const double> X, MatrixView<double> Y, const RunOptions& run) const;

 private:
  Index cols_ = 0;
  Index rank_ = 0;
  Square R_;
  Array<double> P_;
};

/// R with R^T R = G, or nothing when G, scaled to a unit diagonal, is not positive definite to working precision, whose
/// unit round-off is `unit`: a pivot has lost all but a few digits.
[[nodiscard]] std::optional<Square> cholesky_factor(const Square& G, double unit, const RunOptions& run);

/// R of the m x d matrix over sqrt(ridge) I; with the m x p matrix B beside it, C <- Q^T (B; 0).
template <class T>
[[nodiscard]] Square qr_factor(MatrixView<const T> A, MatrixView<const T> B, double ridge, MatrixView<double> C,
                               const RunOptions& run);

struct Condition {
  double largest = 0;   ///< singular value of R, estimated from below
  double smallest = 0;  ///< from above; 0 where R is singular
  [[nodiscard]] double number() const;
};

/// By a few steps of power iteration with R^T R and its inverse, good to a few per cent as a rule.
[[nodiscard]] Condition estimate_condition(const Square& R, const RunOptions& run);

/// Lengths of the columns of R, where 1 stands for 0.
void column_lengths(const Square& R, std::span<double> lengths);

/// R with its columns scaled to length 1, and their lengths, where 1 stands for 0.
[[nodiscard]] Square scale_columns(const Square& R, std::span<double> lengths);

/// The singular values s of R, descending, and V (d x d by rows), U^T C in place of C.
struct Decomposition {
  Array<double> s;
  Square V;
};
[[nodiscard]] Decomposition decompose(const Square& R, MatrixView<double> C, const RunOptions& run);

/// True if every entry is finite.
[[nodiscard]] bool is_finite(std::span<const double> entries);

}  // namespace nearlinear::sketch
