/// Coordinates in which the columns of a matrix are orthonormal.
#pragma once

#include <optional>

#include "sampling/matrix.hpp"
#include "sketch/preconditioner.hpp"

namespace nearlinear::sampling {

struct Whitening {
  sketch::Preconditioner P;  ///< P^T (A^T A + lambda I) P = I, P of d x rank
  Index rank = 0;
  double condition = 0;   ///< of A with its columns scaled to one length, estimated
  bool is_exact = false;  ///< P is that of QR, or corrected: as accurate as rounding allows
};

struct WhiteningOptions {
  double ridge = 0;
  std::optional<double> rcond = {};
  double accuracy = 1e-8;  ///< that relative errors of |P^T a_i|^2 must have
};

/// The fastest way that is accurate enough: one Gram matrix; two of them; QR; and where A has no full rank, its
/// singular values. Scales the matrix where it has to. n >= d, or the rank is at most n.
[[nodiscard]] Whitening whiten(Matrix& A, const WhiteningOptions& options, const char* function, const RunOptions& run);

}  // namespace nearlinear::sampling
