/// One fit: its factors, where it is, and when it ends.
#pragma once

#include <utility>

#include "completion/acceleration.hpp"
#include "completion/half_sweeps.hpp"

namespace nearlinear::completion {

/// What a fit is asked for, in the units of the scaled observations.
struct Goal {
  Ridge ridge = {};
  bool is_nonnegative = false;
  CompletionSolver solver = CompletionSolver::automatic;
  Homotopy homotopy = Homotopy::automatic;
  double tol = 1e-8;
  Index maxiter = 500;
  std::uint64_t seed = 0;
  bool takes_whole_path = false;  ///< from the largest singular value to `ridge`, each until it has settled
  double bias_unit = 1;           ///< what the ridge of factors is multiplied by for biases on that path
  /// Shown the singular values of U V^T for every lambda of the path, where there is one.
  std::function<void(std::span<const double>)> show_spectrum = {};
  /// Shown every step; fills in what only the caller knows, and answers whether to go on.
  std::function<bool(const CompletionStep&, const PaddedFactor& U, const PaddedFactor& V)> report = {};
};

class Fit {
 public:
  Fit(HalfSweeps& sweeps, PaddedFactor U, PaddedFactor V, Goal goal, const RunOptions& run);

  void run_from_spectral_start();
  void run_from_given_start();
  void run_path_alone();

  [[nodiscard]] CompletionStatus status() const { return status_; }
  [[nodiscard]] bool used_homotopy() const { return used_homotopy_; }
  PaddedFactor& U() { return U_; }
  PaddedFactor& V() { return V_; }
  [[nodiscard]] const CompletionStep& last() const { return last_; }
  [[nodiscard]] double squares() const { return square_sum_; }

 private:
  using Phase = CompletionStep::Phase;

  void fit_biases();
  double start();
  void enter_iteration();
  void sweep(const Ridge& ridge, Phase phase);
  /// A sweep from where the acceleration has gone. If that was too far, the fit is back where it was.
  void accelerated_sweep(const Ridge& ridge, Phase phase);
  void extrapolate();
  /// An update of V and one of U: sum w r^2 and the objective.
  std::pair<double, double> update(const Ridge& ridge);
  void record(double square_sum, double objective, Phase phase, double ridge, Index inner_iterations,
              bool may_settle = true);
  void descend();
  [[nodiscard]] bool contracts();
  void follow_path();
  /// Back to where the path begins.
  void turn();
  /// Up to `most` sweeps, until the objective falls by less than `enough`. Whether that was early.
  bool settle(const Ridge& ridge, double enough, int most);
  [[nodiscard]] bool has_plenty() const;
  void finish();
  void project();
  [[nodiscard]] LineMethod method() const;
  [[nodiscard]] bool allows_acceleration() const;
  [[nodiscard]] bool allows_projection() const;

  HalfSweeps& sweeps_;
  PaddedFactor U_, V_;
  PaddedFactor start_U_, start_V_;  // where the path begins, as long as it may be taken
  Goal goal_;
  Acceleration acceleration_;
  RunOptions run_;
  double norm_ = 0;  // of the observations
  CompletionStep last_ = {};
  double square_sum_ = 0;  // of the weighted residuals there
  double largest_ = 0;     // singular value of what was observed
  bool is_over_ = false;
  bool used_homotopy_ = false;
  CompletionStatus status_ = CompletionStatus::maxiter;
};

}  // namespace nearlinear::completion
