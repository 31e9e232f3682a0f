/// Regression in l_p norms.
#pragma once

#include "nearlinear/sampling/scores.hpp"

namespace nearlinear {

struct LpRegressionOptions {
  double tol = 1e-8;    ///< of the gap
  Index maxiter = 200;  ///< of Newton's or interior point steps
};

enum class LpRegressionStatus {
  converged = 0,  ///< gap <= tol
  maxiter = 1,    ///< `maxiter` iterations were not enough
  stagnated = 2,  ///< rounding allows no smaller gap
};

struct LpRegressionResult {
  LpRegressionStatus status = LpRegressionStatus::converged;
  double norm = 0;  ///< (sum_i w_i |a_i^T x - b_i|^p)^{1/p}
  double gap = 0;   ///< 1 - lower bound / norm, the lower bound from a dual solution
  Index iterations = 0;
  Index rank = 0;  ///< of A
};

/// Regression in an l_p norm.
///
///     min_x sum_i w_i |a_i^T x - b_i|^p
///
/// - A is n x d, b has n entries, 1 <= p < inf; `weights` w_i >= 0 are those of a sample, or empty. x has d entries.
/// - p = 1: a primal-dual interior point method (Portnoy and Koenker 1997). Other p: Newton's method (iteratively
///   reweighted least squares whose step a line search chooses: 1 / (p - 1) of the reweighting's, which
///   diverges from p = 3 on, is Newton's) with a smoothing that vanishes. p = 2: least squares.
/// - gap: v = weights and signs of residuals, corrected so that A^T v = 0, bounds the minimum from below by
///   |b^T v| / |v|_q.
/// - Rank-deficient A: x of least norm in coordinates in which columns have one length.
/// - Cost: O(n d^2) for each of 10 to 40 iterations. Memory: n d numbers.
/// - Throws as leverage_scores(), and when b or a weight is not finite or a weight is negative.
///
/// Source: Portnoy and Koenker, The Gaussian hare and the Laplacian tortoise, Statistical Science 12 (1997).
LpRegressionResult lp_regression(const StoredMatrix& A, std::span<const double> b, double p,
                                 std::span<const double> weights, std::span<double> x,
                                 const LpRegressionOptions& options = {}, const RunOptions& run = {});

}  // namespace nearlinear
