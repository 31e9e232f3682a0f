/// Orthonormal bases of tall matrices.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// Y <- Q,  Y = Q R,  Q^T Q = I,  R upper triangular
///
/// Y is m x n with m >= n, finite, of any rank: where it is deficient, Q has columns that complete it. R is n x n, with
/// zeros below the diagonal; every entry of it is written. float is computed in double, so that Q is orthonormal up to
/// the rounding of its entries and R is as good as that of double. The same bits for every number of threads. Polls at
/// least as often as a block of max(4 n, 2048) rows takes.
template <class T>
void orthonormalise(MatrixView<T> Y, MatrixView<double> R, const RunOptions& run);

}  // namespace nearlinear::linalg
