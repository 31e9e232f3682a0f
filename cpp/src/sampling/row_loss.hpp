/// The convex losses of rows as Newton's method sees them.
#pragma once

#include "nearlinear/sampling/sensitivities.hpp"

namespace nearlinear::sampling {

/// sum_j w_j rho(y_j) for rho(t) = |t|^p / p, Huber's or the logistic function.
class LossFunction {
 public:
  LossFunction(RowLoss loss, double p) : loss_(loss), p_(p) {}

  [[nodiscard]] RowLoss loss() const { return loss_; }
  [[nodiscard]] double p() const { return p_; }

  /// rho(t).
  [[nodiscard]] double value(double t) const;

  /// The loss, and g_j = w_j rho'(y_j).
  [[nodiscard]] double gradient(std::span<const double> w, std::span<const double> y, std::span<double> g) const;

  /// h_j: about w_j rho''(y_j), positive; for lp without the factor p - 1, and with (y^2 + smoothing^2)^{1/2} in place
  /// of |y|; for the others plus `smoothing` times the curvature of a square that lies above rho and touches it in y_j,
  /// where rho'' is next to nothing.
  void curvature(std::span<const double> w, std::span<const double> y, double smoothing, std::span<double> h) const;

  /// A lower bound of min { sum_j w_j rho(y_j) : c^T x = t } where V v = mu c, y = V^T x. Up to here rho of lp may have
  /// any scale. -infinity where v says nothing.
  [[nodiscard]] double dual_bound(std::span<const double> w, std::span<const double> v, double mu_t) const;

  /// The step along the Newton direction of these curvatures that is best where the loss is quadratic.
  [[nodiscard]] double natural_step() const;

 private:
  RowLoss loss_;
  double p_;
};

}  // namespace nearlinear::sampling
