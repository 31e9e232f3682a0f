// Newton's method with a line search. In terms of iteratively reweighted least squares: the directions are those of the
// reweighting, and the step is about 1 / (p - 1), which for p > 2 keeps it from diverging and for p < 2 is longer
// than 1.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "sampling/row_program.hpp"
#include "sampling/vectors.hpp"

namespace nearlinear::sampling {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

class NewtonMethod {
 public:
  NewtonMethod(MatrixView<const double> V, std::span<const double> weights, const LossFunction& loss,
               std::span<const double> c, double t, std::span<double> x, const ProgramOptions& options,
               Scratch& scratch)
      : V_(V),
        weights_(weights),
        loss_(loss),
        c_(c),
        t_(t),
        x_(x),
        options_(options),
        scratch_(scratch),
        y_(piece(0, V.cols())),
        g_(piece(1, V.cols())),
        trial_y_(piece(2, V.cols())),
        trial_g_(piece(3, V.cols())),
        dy_(piece(4, V.cols())),
        h_(piece(5, V.cols())),
        v_(piece(6, V.cols())),
        gradient_(piece(7, V.rows())),
        dx_(piece(8, V.rows())),
        toward_(piece(9, V.rows())),
        H_(V.rows()),
        step_(loss.natural_step()) {}

  ProgramResult run() {
    kernels().combine(V_.cols(), columns(V_), x_.data(), y_.data());
    result_.value = loss_.gradient(weights_, y_, g_);
    result_.bound = -infinity;
    typical_ = std::sqrt(dot(y_, y_) / static_cast<double>(y_.size()));
    smoothing_ = is_lp() ? 0.1 * typical_ : 0.1;
    Index stalls = 0;
    while (result_.iterations < options_.maxiter) {
      if (!find_direction()) {
        result_.is_stuck = true;
        break;
      }
      const double slope = dot(g_, dy_);
      if (result_.gap() <= options_.tol) break;
      if (!is_lp() && -slope <= options_.tol * result_.value) break;
      if (!(slope < 0 && search_line(slope))) {
        if (changes_smoothing()) continue;
        result_.is_stuck = true;
        break;
      }
      constexpr Index patience = 4;
      stalls = result_.value - trial_value_ > 1e-15 * result_.value ? 0 : stalls + 1;
      move();
      if (stalls >= patience) {
        result_.is_stuck = true;
        break;
      }
    }
    result_.bound = std::min(result_.bound, result_.value);
    return result_;
  }

 private:
  [[nodiscard]] std::span<double> piece(std::size_t which, Index size) {
    return {scratch_.room(which, size), static_cast<std::size_t>(size)};
  }
  [[nodiscard]] bool is_lp() const { return loss_.loss() == RowLoss::lp; }

  /// dx = mu H^{-1} c - H^{-1} gradient, mu such that c^T dx = 0. The bound gets better with v = g + h dy: V v =
  /// gradient
  /// + H dx = mu c, a dual solution.
  bool find_direction() {
    loss_.curvature(weights_, y_, smoothing_, h_);
    // The row that the constraint fixes may have any curvature: not one beside which the others are nothing.
    if (options_.own >= 0) {
      double& own = h_[static_cast<std::size_t>(options_.own)];
      const double before = std::exchange(own, 0.0), largest = *std::max_element(h_.begin(), h_.end());
      own = largest > 0 ? largest : before;
    }
    weighted_gram(V_, h_.data(), H_, scratch_);
    if (!factor_definite(H_)) return false;
    ++result_.iterations;
    kernels().reduce(V_.cols(), columns(V_), g_.data(), gradient_.data());
    std::copy(c_.begin(), c_.end(), toward_.begin());
    std::copy(gradient_.begin(), gradient_.end(), dx_.begin());
    solve_definite(H_, toward_.data());
    solve_definite(H_, dx_.data());
    const double length = dot(c_, toward_), mu = length > 0 ? dot(c_, dx_) / length : 0;
    for (std::size_t k = 0; k < dx_.size(); ++k) dx_[k] = mu * toward_[k] - dx_[k];
    kernels().combine(V_.cols(), columns(V_), dx_.data(), dy_.data());
    for (std::size_t j = 0; j < v_.size(); ++j) v_[j] = g_[j] + h_[j] * dy_[j];
    result_.bound = std::max(result_.bound, loss_.dual_bound(weights_, v_, mu * t_));
    return true;
  }

  /// The trial at y + step dy; returns its slope.
  double look(double step) {
    step_ = step;
    for (std::size_t j = 0; j < y_.size(); ++j) trial_y_[j] = y_[j] + step * dy_[j];
    trial_value_ = loss_.gradient(weights_, trial_y_, trial_g_);
    return dot(trial_g_, dy_);
  }

  /// A step at which the slope has gone to a fifth, or as near to that as some trials come: by the secant rule between
  /// steps that are too short and too long, or by their geometric mean where the slope rises so steeply that a secant
  /// says nothing. False if no trial is lower.
  bool search_line(double slope) {
    constexpr int most_trials = 12;
    constexpr double enough = 0.2, margin = 0.05, too_steep = 10, growth = 4;
    double low = 0, low_slope = slope, high = infinity, at = step_;
    for (int k = 0; k < most_trials; ++k) {
      const double new_slope = look(at);
      const bool is_lower = trial_value_ <= result_.value;
      if (is_lower && std::abs(new_slope) <= enough * -slope) return true;
      if (k + 1 == most_trials) {
        if (!is_lower && low > 0) (void)look(low);
        break;
      }
      const double secant = at - new_slope * (at - low) / (new_slope - low_slope);
      if (!is_lower || new_slope > 0) {
        high = at;
        const bool is_steep = !(new_slope < -too_steep * low_slope);
        const double middle = low > 0 ? std::sqrt(low * high) : 0.1 * high, inset = margin * (high - low);
        at = is_steep ? middle : std::clamp(secant, low + inset, high - inset);
      } else {
        low = at;
        low_slope = new_slope;
        const double longest = std::isfinite(high) ? high - margin * (high - low) : growth * low;
        at = secant > low ? std::min(secant, longest) : longest;
      }
    }
    return trial_value_ <= result_.value;
  }

  void move() {
    for (std::size_t k = 0; k < x_.size(); ++k) x_[k] += step_ * dx_[k];
    result_.value = trial_value_;
    std::swap(y_, trial_y_);
    std::swap(g_, trial_g_);
    constexpr double decay = 0.3, most = 4;
    smoothing_ = is_lp() ? decay * smoothing_ : std::max(1e-6, decay * smoothing_);
    step_ = std::clamp(step_, loss_.natural_step() / most, most * loss_.natural_step());
  }

  /// Where a direction leads nowhere: for p < 2 with less smoothing, for p > 2 with more, the next one is shorter.
  /// False where that was tried.
  bool changes_smoothing() {
    constexpr double least = 1e-14, most = 10;
    step_ = loss_.natural_step();
    if (!is_lp()) {  // with 1 every step lowers the loss
      if (smoothing_ >= 1) return false;
      smoothing_ = std::min(1.0, 30 * smoothing_);
      return true;
    }
    const bool is_sharp = loss_.p() < 2;
    if (is_sharp ? smoothing_ <= least * typical_ : smoothing_ >= most * typical_) return false;
    smoothing_ *= is_sharp ? 0.01 : 30;
    return true;
  }

  MatrixView<const double> V_;
  std::span<const double> weights_;
  const LossFunction& loss_;
  std::span<const double> c_;
  double t_;
  std::span<double> x_;
  const ProgramOptions& options_;
  Scratch& scratch_;
  std::span<double> y_, g_, trial_y_, trial_g_, dy_, h_, v_, gradient_, dx_, toward_;
  sketch::Square H_;
  double step_;
  double trial_value_ = 0;
  double typical_ = 0;    // residual
  double smoothing_ = 0;  // of |y| for lp, else a share of a larger curvature
  ProgramResult result_;
};

}  // namespace

ProgramResult RowProgram::solve_by_newton(std::span<const double> c, double t, std::span<double> x,
                                          const ProgramOptions& options, Scratch& scratch) const {
  return NewtonMethod(V_, weights_, loss_, c, t, x, options, scratch).run();
}

}  // namespace nearlinear::sampling
