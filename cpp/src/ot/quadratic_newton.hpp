/// Semismooth Newton steps on the semi-dual of quadratically regularised transport.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "ot/journal.hpp"
#include "ot/quadratic_rows.hpp"

namespace nearlinear::ot {

/// Maximises F(g), which is concave and quadratic in pieces. With A_ij = 1 where the plan has an entry, and 0
/// elsewhere, its gradient is b - P^T 1, and reg times its Hessian -(diag(A^T 1) - A^T diag(1 / (A 1)) A). `Rows` say
/// which entries there may be: LimitedRows or SupportRows. Limits make corners in F, where no step may lead further.
template <class Rows>
class QuadraticNewton {
 public:
  /// A semi-dual above `most_value` + reg/2 proves that there is no plan.
  QuadraticNewton(const Problem& problem, RowPasses& passes, Rows& rows, Journal& journal, PlanMemory& memory,
                  double most_value)
      : problem_(problem),
        rows_(rows),
        journal_(journal),
        most_value_(most_value),
        active_(problem, passes, memory),
        vectors_(problem.cols()),
        weights_(problem.a.size()),
        diagonal_(problem.b.size()),
        jacobi_(problem.b.size()),
        gradient_(problem.b.size()),
        step_(problem.b.size()),
        current_(problem.rows(), problem.cols()),
        trial_(current_) {}

  enum class Outcome { reached, over, stuck, infeasible };

  [[nodiscard]] QuadraticPoint& current() { return current_; }
  void evaluate(double reg) { rows_.evaluate(reg, current_); }

  Outcome solve(double reg, double goal, Index most_iterations) {
    constexpr double most_damping = 1e6;
    damping_ = 1e-2;
    for (Index k = 0; current_.error > goal; ++k) {
      // The value of a plan is at most this: no entry is above 1, and so is their sum.
      if (current_.value > most_value_ + 0.5 * reg) return Outcome::infeasible;
      if (k == most_iterations || !journal_.may_go_on()) return Outcome::over;
      const auto [accepted, cg_iterations] = take_step(reg);
      journal_.show(0, 1, current_.error, goal);
      journal_.add({.reg = reg,
                    .marginal_error = current_.error,
                    .newton = true,
                    .cg_iterations = cg_iterations,
                    .nnz = active_.nnz()});
      if (!accepted && damping_ >= most_damping) return Outcome::stuck;
    }
    return Outcome::reached;
  }

  /// At `first_level` from the current g, and from there down to `reg`.
  Outcome solve_from_above(double reg, double first_level, double goal) {
    constexpr double factor = 0.25, level_goal = 0.05;
    constexpr Index most_iterations_of_level = 30;
    for (double level = first_level; level > reg && journal_.may_go_on(); level *= factor) {
      evaluate(level);
      const Index most = std::min(journal_.left(), most_iterations_of_level);
      if (solve(level, std::max(goal, level_goal), most) == Outcome::infeasible) return Outcome::infeasible;
    }
    evaluate(reg);
    return solve(reg, goal, journal_.left());
  }

  /// The plan of the current point, as it stays until the next step: its pairs, and reg times its entries.
  BipartiteLaplacian& plan() {
    rows_.collect(current_, active_, slacks_);
    return active_;
  }
  [[nodiscard]] const std::vector<double>& slacks() const { return slacks_; }

 private:
  /// Raises g where columns have no entries to where they just have their mass, if f stays: the Hessian knows nothing
  /// of what is in between.
  void wake_columns(double reg) {
    if (std::none_of(current_.c.begin(), current_.c.end(), [](double sum) { return sum == 0; })) return;
    const std::vector<double> onsets = rows_.onsets(current_);
    trial_.g = current_.g;
    for (std::size_t j = 0; j < onsets.size(); ++j)
      if (current_.c[j] == 0 && onsets[j] < infinity) trial_.g[j] = onsets[j] + reg * problem_.b[j];
    rows_.evaluate(reg, trial_);
    if (trial_.value > current_.value) std::swap(current_, trial_);
  }

  std::pair<bool, Index> take_step(double reg) {
    constexpr double of_a_tree = 8, of_what_may_be_factored = 40;
    const std::size_t n = current_.f.size(), m = current_.g.size();
    wake_columns(reg);
    plan();
    const auto indptr = active_.indptr();
    std::fill(diagonal_.begin(), diagonal_.end(), 0.0);
    for (Index k = 0; k < active_.nnz(); ++k)
      diagonal_[static_cast<std::size_t>(active_.indices()[static_cast<std::size_t>(k)])] += 1;
    const double mean = static_cast<double>(active_.nnz()) / static_cast<double>(m);
    for (std::size_t j = 0; j < m; ++j) {
      diagonal_[j] += damping_ * std::min(1.0, current_.error) * mean;
      gradient_[j] = problem_.b[j] - current_.c[j];
    }
    for (std::size_t i = 0; i < n; ++i)
      weights_[i] = indptr[i + 1] > indptr[i] ? 1 / static_cast<double>(indptr[i + 1] - indptr[i]) : 0.0;

    Index iterations = 0;
    const double entries = active_.entries_per_column();
    if (!(entries < of_a_tree && active_.factor(weights_, diagonal_, false, gradient_, step_))) {
      active_.transpose();
      jacobi_ = diagonal_;
      active_.subtract_diagonal(weights_, jacobi_);
      for (std::size_t j = 0; j < m; ++j) jacobi_[j] = 1 / std::max(jacobi_[j], 1e-12 * diagonal_[j]);
      const Index most = entries < of_what_may_be_factored ? 400 : 3000;
      const auto multiply = [this](std::span<const double> x, std::span<double> y) {
        active_.multiply(weights_, x, y);
        for (std::size_t j = 0; j < x.size(); ++j) y[j] = diagonal_[j] * x[j] - y[j];
      };
      iterations = conjugate_gradients(multiply, jacobi_, gradient_, std::clamp(0.1 * current_.error, 1e-8, 1e-2), most,
                                       vectors_, step_);
      if (iterations == most && entries < of_what_may_be_factored &&
          active_.factor(weights_, diagonal_, false, gradient_, vectors_.z.span()))
        std::copy(vectors_.z.begin(), vectors_.z.end(), step_.begin());
    }
    return {search(reg), iterations};
  }

  void evaluate_at(double reg, double alpha) {
    for (std::size_t j = 0; j < step_.size(); ++j) trial_.g[j] = current_.g[j] + alpha * reg * step_[j];
    rows_.evaluate(reg, trial_);
  }

  [[nodiscard]] double derivative(double reg, const QuadraticPoint& at) const {
    double sum = 0;
    for (std::size_t j = 0; j < step_.size(); ++j) sum += step_[j] * (problem_.b[j] - at.c[j]);
    return reg * sum;
  }

  /// Goes along step_ to about where F is largest: by its derivative, whose corners are where pairs come in or go. The
  /// derivative falls from `slope`, and where parts of the plan hang together no longer, it falls late and steeply.
  bool search(double reg) {
    constexpr double sufficient = 1e-4, flat = 0.3;
    // It counts together with the error. With less, steps go far along where the plan hangs together by rounding alone.
    constexpr double least_damping = 1e-3;
    constexpr int most_trials = 30, most_trials_in_noise = 4;
    const double slope = derivative(reg, current_);
    const double rounding = 1e-13 * std::max(reg, std::abs(current_.value));
    double low = 0, high = infinity, of_low = slope, of_high = 0, alpha = 1;  // Illinois' variant of the secant method
    int side = 0;
    for (int trial = 0; trial < most_trials; ++trial) {
      evaluate_at(reg, alpha);
      const double here = derivative(reg, trial_);
      const bool rises = trial_.value >= current_.value + sufficient * alpha * slope;
      const bool is_noise = alpha * slope < rounding;
      const bool falls_in_error = trial_.error < 0.7 * current_.error && trial_.value >= current_.value - rounding;
      // Where F has a corner on the way, its derivative is nowhere small; where it has no end, nowhere zero.
      const bool is_corner = rows_.has_corners() && high < infinity && high - low < 0.05 * high;
      if ((rises && std::abs(here) <= flat * slope && (!is_noise || trial_.error < current_.error)) || falls_in_error ||
          (rises && here > 0 && (is_corner || trial == most_trials - 1))) {
        damping_ = trial == 0 ? std::max(0.1 * damping_, least_damping) : std::min(2 * damping_, 1e2);
        std::swap(current_, trial_);
        return true;
      }
      if (is_noise && trial + 1 == most_trials_in_noise) break;
      if (here > 0) {
        low = alpha;
        of_low = here;
        if (side == 1) of_high *= 0.5;
        side = 1;
      } else {
        high = alpha;
        of_high = here;
        if (side == -1) of_low *= 0.5;
        side = -1;
      }
      if (high == infinity)
        alpha *= 2;
      else
        alpha = std::clamp(low + (high - low) * of_low / (of_low - of_high), low + 1e-3 * (high - low),
                           high - 1e-3 * (high - low));
    }
    damping_ *= 100;
    return false;
  }

  static constexpr double infinity = std::numeric_limits<double>::infinity();

  Problem problem_;
  Rows& rows_;
  Journal& journal_;
  double most_value_;
  BipartiteLaplacian active_;
  ConjugateGradientsMemory vectors_;
  std::vector<double> weights_, diagonal_, jacobi_, gradient_, step_, slacks_;
  QuadraticPoint current_, trial_;
  double damping_ = 1e-2;
};

}  // namespace nearlinear::ot
