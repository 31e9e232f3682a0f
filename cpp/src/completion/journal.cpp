#include "completion/journal.hpp"

#include <cmath>

namespace nearlinear::completion {
namespace {

double root_mean(const std::vector<double>& squares) {
  double sum = 0;
  for (const double square : squares) sum += square;
  return squares.empty() ? std::numeric_limits<double>::quiet_NaN()
                         : std::sqrt(sum / static_cast<double>(squares.size()));
}

/// Whether one is less than the other in the mean, by more than the standard error of their difference.
bool is_clearly_less(const std::vector<double>& one, const std::vector<double>& other) {
  const auto count = static_cast<double>(other.size());
  double sum = 0, square = 0;
  for (std::size_t e = 0; e < other.size(); ++e) sum += other[e] - one[e];
  const double mean = sum / count;
  for (std::size_t e = 0; e < other.size(); ++e) square += (other[e] - one[e] - mean) * (other[e] - one[e] - mean);
  return mean > std::sqrt(square) / count;
}

}  // namespace

bool Journal::report(const CompletionStep& step, const PaddedFactor& U, const PaddedFactor& V) {
  CompletionStep shown = step;
  shown.objective = scale_.objective_back(step.objective) - offset_;
  shown.lam = scale_.ridge_back(step.lam);
  shown.training_rmse = scale_.value_back(step.training_rmse);
  const std::vector<double> squares = validation_squares(U, V);
  shown.validation_rmse = scale_.value_back(root_mean(squares));
  shown.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const bool is_new_stage = !history_.empty() && shown.lam != history_.back().lam;
  history_.push_back(shown);
  bool goes_on = true;
  if (options_.callback && !options_.callback(shown)) {
    status_ = CompletionStatus::stopped;
    goes_on = false;
  }
  if (validation_.values.empty()) return goes_on;
  if (!(shown.validation_rmse >= best_)) {
    best_ = shown.validation_rmse;
    best_lam_ = shown.lam;
    best_U_ = U.copy();
    best_V_ = V.copy();
    waited_ = 0;
    if (shown.phase == CompletionStep::Phase::biases) {
      biases_ = squares;
      biases_U_ = U.copy();
      biases_V_ = V.copy();
    }
    is_clear_ = is_clearly_less(squares, biases_);
  } else if (shown.phase != CompletionStep::Phase::homotopy || is_new_stage) {
    ++waited_;
  }
  if (goes_on && waited_ >= options_.patience) {
    status_ = CompletionStatus::early_stop;
    goes_on = false;
  }
  return goes_on;
}

double Journal::best() const {
  if (!has_best()) return not_a_number;
  return prefers_biases() ? scale_.value_back(root_mean(biases_)) : best_;
}

std::vector<double> Journal::validation_squares(const PaddedFactor& U, const PaddedFactor& V) const {
  std::vector<double> squares(validation_.values.size());
  for (std::size_t e = 0; e < squares.size(); ++e) {
    const double* const u = U.row(validation_.rows[e]);
    const double* const v = V.row(validation_.cols[e]);
    double value = mu_;
    for (Index k = 0; k < U.rank; ++k) value += u[k] * v[k];
    if (U.has_bias) value += u[U.rank] + v[V.rank];
    const double residual = value - scale_.value(validation_.values[e]);
    squares[e] = residual * residual;
  }
  return squares;
}

}  // namespace nearlinear::completion
