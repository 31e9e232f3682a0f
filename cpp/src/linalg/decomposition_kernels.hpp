/// Eigen's decompositions of square matrices, on one thread and in double alone: float matrices are converted.
///
/// Compiled for the baseline instruction set only: no other file takes as long to compile, and three times over it was
/// two fifths of the build. AVX2 made decompositions of 200 rows 1.5 times as fast.
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

/// Square matrices are n x n, stored by columns without gaps, finite, and zero or scaled to a largest entry between 1/2
/// and 1. All but jacobi_row allocate.
struct DecompositionKernels {
  /// Eigenvalues, ascending, of the symmetric matrix in the lower triangle of `a`; eigenvectors replace it if they are
  /// wanted. Returns whether the iteration converged.
  bool (*symmetric_eigen)(Index n, double* a, double* values, bool wants_vectors);

  /// Singular values, descending, without vectors. Returns whether the iteration converged.
  bool (*singular_values)(Index n, const double* a, double* s);

  /// A = U diag(s) V^T by divide and conquer. Returns whether the result has been found to be one: orthogonal U and V,
  /// and a small residual.
  bool (*divide_and_conquer_svd)(Index n, const double* a, double* u, double* s, double* v);

  /// Makes columns i + 1, ..., n - 1 of A orthogonal to column i, each by a rotation that changes both, and rotates the
  /// columns of V alike. Returns how many pairs were not orthogonal before.
  Index (*jacobi_row)(Index n, Index i, double* a, double* v) noexcept;

  /// The columns of the rotated A, mutually orthogonal, become s and U; where they are zero, U gets columns that
  /// complete it. Sorted descending, with the columns of V.
  void (*jacobi_finish)(Index n, double* a, double* s, double* v);
};

/// Named like the tables of core/dispatch.hpp, whose rules hold here.
extern "C" const DecompositionKernels nearlinear_decompositions_base;

}  // namespace nearlinear::linalg
