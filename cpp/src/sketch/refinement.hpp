/// Iterative refinement of least squares, whose corrections come from a preconditioner and an inner solver:
///
///     g = A^T (b - A x) - lambda x,    y ~ (P^T (A^T A + lambda I) P)^{-1} P^T g,    x <- x + P y
///
/// A residual that is computed afresh makes up for what the inner solver lacks; two corrections by one that is itself
/// backward stable give a backward stable solution (Epperly, Meier and Nakatsukasa 2025).
#pragma once

#include <functional>
#include <limits>

#include "linalg/progress.hpp"
#include "sketch/passes.hpp"

namespace nearlinear::sketch {

template <class T>
constexpr double unit_roundoff = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;

/// What backward errors are relative to.
struct ProblemScale {
  double frobenius_norm = 0;  ///< of A over sqrt(lambda) I
  Array<double> lengths;      ///< of its columns, where 1 stands for 0
  Array<double> rhs_norms;
  bool is_projected = false;  ///< rhs_norms are those of Q^T b, without what is orthogonal to A
  double condition = 0;
};

/// A solution x of min |A x - b|, with g = A^T (b - A x), by norms.
struct Solution {
  double frobenius_norm;  ///< of A
  double rhs_norm;
  double solution_norm;
  double residual_norm;
  double whitened_norm;  ///< of R^{-T} g
  std::span<const double> gradient;
};

/// R, and R^T R.
struct Factor {
  Square R;
  Square gram;
};

/// The backward error of Karlson and Walden relative to |A|_F, with R^T R for A^T A, or a bound of it where there is no
/// factor.
[[nodiscard]] double backward_error(const Solution& solution, const Factor* factor, const RunOptions& run);

/// Solves (P^T (A^T A + lambda I) P) Y = V for the columns of V that are wanted, up to `reduction` of their residuals;
/// answers the number of passes it took. Y is zero to start with.
using InnerSolver = std::function<Index(MatrixView<const double> V, std::span<const double> reduction,
                                        MatrixView<double> Y, const RunOptions& run)>;

/// y = v: for a P that makes A orthonormal but for rounding.
[[nodiscard]] InnerSolver identity_solver();

/// With the Cholesky factor of P^T (A^T A + lambda I) P.
[[nodiscard]] InnerSolver factor_solver(Square L);

/// Conjugate gradients, until all columns have met their reduction or `iterations_left`, which it counts down, is 0.
template <class T>
[[nodiscard]] InnerSolver conjugate_gradient_solver(Passes<T>& passes, const Preconditioner& P, double ridge,
                                                    Index& iterations_left);

struct RefinementOptions {
  const Square* gram = nullptr;  ///< R^T R, where it is known
  double ridge = 0;
  double tol = 0;
  Index most_corrections = 10;
  int most_stalls = 0;  ///< corrections that gained nothing, and are followed by another
};

struct RefinementResult {
  LstsqStatus status = LstsqStatus::stagnated;
  double backward_error = 0;
  Index passes = 0;
  Index corrections = 0;
  Array<double> residual_norms;
};

/// X, d x p, holds a guess and becomes the solution. R stands for A in backward errors where d <= 512.
template <class T>
[[nodiscard]] RefinementResult refine(Passes<T>& passes, const Preconditioner& P, const InnerSolver& solve,
                                      ProblemScale& scale, const RefinementOptions& options, MatrixView<T> X,
                                      const RunOptions& run);

}  // namespace nearlinear::sketch
