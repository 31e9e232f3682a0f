/// Solutions of small problems: what a triangle and Q^T B, or a sketch, say.
#pragma once

#include "nearlinear/sketch/row_sketch.hpp"
#include "sketch/preconditioner.hpp"

namespace nearlinear::sketch {

/// A solution by the singular values of R.
struct RankedSolution {
  Array<double> X;  ///< d x p by rows
  Index rank = 0;
  double condition = 0;
  Preconditioner P;  ///< V_k diag(1 / s_k), for the scaled columns where there is no rcond
};

/// The solution of least norm of R x = C. Without `rcond`, singular values of R with columns of length 1 are dropped
/// from 15 eps s_1 on; with it, those of R itself.
[[nodiscard]] RankedSolution solve_by_rank(const Square& R, MatrixView<const double> C, std::optional<double> rcond,
                                           double eps, const RunOptions& run);

/// Whether R, its columns scaled, is singular to working precision.
[[nodiscard]] bool is_deficient(const Square& R, double eps, const RunOptions& run);

/// The problem of a sketch, with error bars.
template <class T>
[[nodiscard]] SketchSolution<T> solve_sketch(MatrixView<const T> SA, MatrixView<const T> SB, double ridge, double delta,
                                             const RunOptions& run);

}  // namespace nearlinear::sketch
