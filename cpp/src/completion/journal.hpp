/// What the caller sees of a fit: its history, validation, the best model so far.
#pragma once

#include <chrono>
#include <limits>
#include <vector>

#include "completion/half_sweeps.hpp"
#include "nearlinear/completion/complete.hpp"

namespace nearlinear::completion {

class Journal {
 public:
  using Clock = std::chrono::steady_clock;

  /// In units of the scaled observations, whose mean was `mu`; `offset` is not part of the caller's objective. `begin`
  /// is when the call began.
  Journal(const CompletionOptions& options, const ValidationEntries& validation, const Scale& scale, double mu,
          double offset, Clock::time_point begin)
      : options_(options), validation_(validation), scale_(scale), mu_(mu), offset_(offset), begin_(begin) {}

  /// Notes a step, and answers whether to go on.
  bool report(const CompletionStep& step, const PaddedFactor& U, const PaddedFactor& V);

  [[nodiscard]] CompletionStatus status(CompletionStatus of_fit) const {
    return status_ == CompletionStatus::converged ? of_fit : status_;
  }
  [[nodiscard]] std::vector<CompletionStep>& history() { return history_; }

  /// The model of the least validation error. Biases alone are preferred to factors that do not make it less by more
  /// than the standard error of the difference: these are worth having where validation tells them from chance.
  [[nodiscard]] bool has_best() const { return best_U_.lines > 0; }
  PaddedFactor& best_U() { return prefers_biases() ? biases_U_ : best_U_; }
  PaddedFactor& best_V() { return prefers_biases() ? biases_V_ : best_V_; }
  [[nodiscard]] double best() const;  ///< its error
  [[nodiscard]] double best_lam() const { return best_lam_; }

 private:
  static constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

  /// The squared error of every validation entry.
  [[nodiscard]] std::vector<double> validation_squares(const PaddedFactor& U, const PaddedFactor& V) const;
  [[nodiscard]] bool prefers_biases() const { return !biases_.empty() && !is_clear_ && !options_.chooses_lam; }

  const CompletionOptions& options_;
  const ValidationEntries& validation_;
  Scale scale_;
  double mu_;
  double offset_;
  Clock::time_point begin_;
  std::vector<CompletionStep> history_;
  PaddedFactor best_U_, best_V_;
  PaddedFactor biases_U_, biases_V_;
  std::vector<double> biases_;  // validation squares of biases alone
  bool is_clear_ = false;       // that the best model is better
  double best_ = not_a_number;
  double best_lam_ = 0;
  Index waited_ = 0;
  CompletionStatus status_ = CompletionStatus::converged;
};

}  // namespace nearlinear::completion
