/// Decompositions of square matrices in double, which the public functions scale and reduce to.
#pragma once

#include "linalg/progress.hpp"
#include "nearlinear/linalg/spectral.hpp"

namespace nearlinear::linalg {

/// A = U diag(s) V^T for the finite n x n matrix A, which is destroyed. All matrices are stored by columns without
/// gaps, so that A^T = V diag(s) U^T for one that is stored by rows. Scales A. u and v are null where they are not
/// wanted. Returns whether the iteration converged. Takes the call from `begin` to `end`.
[[nodiscard]] bool small_svd(Index n, double* a, double* u, double* s, double* v, SvdMethod method, Progress& progress,
                             double begin, double end);

}  // namespace nearlinear::linalg
