/// The methods behind qr(), qr_multiply() and qr_thin(), which have checked what they pass.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// A = Q R with C = Q^T B, or with Q: B, C and Q have no columns where they are not wanted.
template <class T>
struct QrProblem {
  MatrixView<const T> A;
  MatrixView<const T> B;
  MatrixView<T> R;
  MatrixView<T> C;
  MatrixView<T> Q;

  [[nodiscard]] Index rows() const { return A.rows(); }
  [[nodiscard]] Index cols() const { return A.cols(); }
  [[nodiscard]] Index rhs() const { return B.cols(); }
  [[nodiscard]] bool wants_q() const { return Q.cols() > 0; }
  [[nodiscard]] double operations() const {
    return 2 * static_cast<double>(rows()) * static_cast<double>(cols()) * static_cast<double>(cols() + 2 * rhs());
  }
};

/// False when A is too ill-conditioned for it; R, C and Q are then unspecified.
template <class T>
[[nodiscard]] bool cholesky_qr(const QrProblem<T>& problem, const RunOptions& run);

/// Whether A is tall enough for tall_skinny_qr().
[[nodiscard]] bool is_tall_skinny(Index rows, Index cols);

/// Without Q.
template <class T>
void tall_skinny_qr(const QrProblem<T>& problem, const RunOptions& run);

template <class T>
void householder_qr(const QrProblem<T>& problem, const RunOptions& run);

}  // namespace nearlinear::linalg
