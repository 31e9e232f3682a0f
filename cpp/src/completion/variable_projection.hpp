/// Newton's method for U alone, V being a function of it.
#pragma once

#include "completion/half_sweeps.hpp"

namespace nearlinear::completion {

/// What a step has done.
struct ProjectionStep {
  double square_sum = 0;  ///< sum w r^2
  double objective = 0;
  Index inner_iterations = 0;
  bool is_accepted = false;
};

class VariableProjection {
 public:
  /// Memory for factors of these shapes: unknowns times what the factors have, for both sides.
  VariableProjection(HalfSweeps& sweeps, const PaddedFactor& U, const PaddedFactor& V);

  /// V <- argmin; must be called before the first step, and whenever U, V or the ridge were changed by others.
  ProjectionStep begin(PaddedFactor& U, PaddedFactor& V, const Ridge& ridge);
  ProjectionStep step(PaddedFactor& U, PaddedFactor& V, const Ridge& ridge);

  [[nodiscard]] static double memory(const PaddedFactor& U, const PaddedFactor& V);

 private:
  /// The step, by conjugate gradients, from where it begins or as far as curvature is positive. Returns the number of
  /// iterations, 0 where there is no positive curvature.
  Index solve(const PaddedFactor& U, const PaddedFactor& V, const Ridge& ridge, bool is_newton);
  [[nodiscard]] bool wants_newton() const;
  void precondition(const double* r, double* z);

  HalfSweeps& sweeps_;
  Array<double> inverse_U_, inverse_V_, damping_, gradient_, direction_, residual_, z_, p_, q_, pairs_U_, pairs_V_,
      own_U_, own_V_, at_V_, solved_V_, errors_rows_, errors_cols_;
  PaddedFactor saved_U_, saved_V_;
  double objective_ = 0;
  double square_sum_ = 0;
  double fall_ = 1;  ///< of the objective in the last step, relative
  double damping = 1e-3;
  double first_gradient_ = 0;
};

}  // namespace nearlinear::completion
