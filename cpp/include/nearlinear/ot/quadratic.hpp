/// Optimal transport with a quadratic regularisation, whose plans are sparse.
#pragma once

#include "nearlinear/ot/sinkhorn.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

struct QuadraticOptions {
  double reg = 0;                  ///< > 0, absolute
  double tol = 1e-9;               ///< of the marginal error, relative to sum(a)
  Index maxiter = 1000;            ///< Newton steps in all
  std::span<const double> f = {};  ///< dual variables to start from, or none: n of them
  std::span<const double> g = {};  ///< and m
  /// Called after every iteration on the calling thread; false stops with the status `stopped`.
  std::function<bool(const SinkhornIteration&)> callback = {};
};

template <class T>
struct QuadraticResult {
  SinkhornStatus status = SinkhornStatus::maxiter;
  CsrMatrix<T, Index> plan;   ///< n x m, sorted, without zeros
  std::vector<double> f;      ///< n, mean 0
  std::vector<double> g;      ///< m
  double primal_value = 0;    ///< <C, P> + reg/2 * sum P^2
  double dual_value = 0;      ///< a f + b g - 1/(2 reg) * sum [f + g - C]_+^2, a lower bound of every plan's value
  double cost = 0;            ///< <C, P>
  double marginal_error = 0;  ///< |P 1 - a|_1 + |P^T 1 - b|_1
  Index iterations = 0;
  Index passes = 0;  ///< over all pairs
  std::vector<SinkhornIteration> history;
};

/// Quadratically regularised optimal transport,
///
///     min  <C, P> + reg/2 * sum_ij P_ij^2    subject to    P 1 = a,  P^T 1 = b,  P >= 0,
///
/// whose solution is P_ij = [f_i + g_j - C_ij]_+ / reg: most entries are zero. With all masses near 1/n, a row has some
/// k entries where reg is k n times what neighbouring costs differ by.
///
/// Eliminating f, which makes the rows exact, leaves the concave semi-dual F(g), continuously differentiable and
/// quadratic in pieces: with A_ij = 1 where P_ij > 0, and 0 elsewhere,
///
///     grad F = b - P^T 1,    -Hess F = (1/reg) (diag(A^T 1) - A^T diag(1 / (A 1)) A),
///
/// the Laplacian of a graph. Semismooth Newton steps maximise it, from the dual variables of entropic transport at a
/// regularisation of the same width; systems are solved by LDL^T where their graph is like a tree, else by conjugate
/// gradients.
///
/// - Masses, forbidden pairs, starts, points, threads and errors as for sinkhorn().
/// - Cost: one reading of all costs for each pass, some 20 to 100 of them, the first with exponentials; plus the Newton
///   steps' linear algebra on the plan's entries. Memory: O(n + m) and 24 bytes per entry.
///
/// Semismooth Newton's method: D. A. Lorenz, P. Manns and C. Meyer, "Quadratically regularized optimal transport",
/// Applied Mathematics and Optimization 83, 2021. Semi-dual: M. Blondel, V. Seguy and A. Rolet, "Smooth and sparse
/// optimal transport", AISTATS 2018.
///
///     const std::vector<double> cost{0, 1, 1, 0};
///     const nearlinear::MatrixView<const double> C(cost.data(), 2, 2);
///     const auto result = nearlinear::quadratic<double>({.cost = C}, {.reg = 0.1});   // result.plan = diag(0.5, 0.5)
template <class T>  // float, double
QuadraticResult<T> quadratic(const TransportProblem<T>& problem, const QuadraticOptions& options,
                             const RunOptions& run = {});

}  // namespace nearlinear
