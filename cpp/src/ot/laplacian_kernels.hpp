/// Eigen's sparse factorisation, on one thread. Compiled for the baseline instruction set alone: it follows pointers,
/// and wider registers gain it nothing.
#pragma once

#include <cstdint>

#include "nearlinear/core/views.hpp"

namespace nearlinear::ot {

struct LaplacianKernels {
  /// Solves (diag(d) - P^T diag(weights) P) x = r for a sparse n x m matrix P, whose rows are sorted, by LDL^T with an
  /// ordering of approximate minimum degree. The matrix is positive semidefinite, and where it is `grounded` its rank
  /// may be m - 1: the last entry of x is set to 0. Returns whether the factorisation succeeded and x is finite.
  /// Allocates.
  bool (*solve)(Index n, Index m, const Index* indptr, const std::int32_t* indices, const double* values,
                const double* weights, const double* d, bool grounded, const double* r, double* x);
};

/// Named like the tables of core/dispatch.hpp, whose rules hold here.
extern "C" const LaplacianKernels nearlinear_laplacians_base;

}  // namespace nearlinear::ot
