// Sweeps and Newton steps on the semi-dual.
#include "ot/semi_dual.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace nearlinear::ot {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double smallest_mass = 1e-300;  // of a column, for its logarithm

constexpr double most_damping = 1e3;
constexpr double least_damping = 1e-6;
constexpr double least_threshold = 1e-15;
constexpr double first_threshold = 1e-3;

}  // namespace

SemiDualSolver::SemiDualSolver(const Problem& problem, RowPasses& passes, Journal& journal, PlanMemory& memory,
                               double largest_cost)
    : problem_(problem),
      passes_(passes),
      journal_(journal),
      largest_cost_(largest_cost),
      schur_(problem, passes, memory),
      gradient_(problem.b.size()),
      step_(problem.b.size()) {
  current_.f.resize(problem.a.size());
  current_.g.resize(problem.b.size());
  current_.r.resize(problem.a.size());
  current_.c.resize(problem.b.size());
  current_.targets.resize(problem.b.size());
  trial_ = current_;
}

void SemiDualSolver::centre() {
  if (problem_.is_soft()) return;  // the constant is part of the solution
  const double mean = std::accumulate(current_.g.begin(), current_.g.end(), 0.0) / static_cast<double>(step_.size());
  for (double& entry : current_.g) entry -= mean;
  for (double& entry : current_.f) entry += mean;
}

void SemiDualSolver::evaluate(double reg) { evaluate(reg, current_); }

void SemiDualSolver::evaluate(double reg, Iterate& at, float* stored) {
  passes_.fit_rows(reg, at.g, at.f, at.r, at.c, stored);
  if (problem_.is_soft()) fit_constant(reg, at);
  at.value = problem_.semi_dual_value(reg, at.f, at.g, at.r);
  problem_.col_targets(reg, at.g, at.targets);
  double error = 0, total = 0;
  for (std::size_t j = 0; j < at.c.size(); ++j) {
    error += std::abs(at.targets[j] - at.c[j]);
    total += at.targets[j];
  }
  at.error = problem_.is_soft() ? error / std::max(total, smallest_mass) : error;
}

/// Of g - t for all t, which for soft marginals have plans that differ by a factor: the one with the largest value. To
/// go there by steps in g would take for ever where penalties are large, as the constant is some rho log(sum a / sum
/// b).
void SemiDualSolver::fit_constant(double reg, Iterate& at) const {
  const double total = std::accumulate(at.c.begin(), at.c.end(), 0.0);
  if (!(total > 0)) return;
  const double of_rows = 1 / (problem_.rho_a + reg);  // the plan's logarithm falls by t times this
  const double t = (std::log(total) - problem_.log_sum_of_targets(reg, at.g)) / (1 / problem_.rho_b + of_rows);
  const double factor = std::exp(-t * of_rows);
  for (double& entry : at.g) entry -= t;
  for (double& entry : at.f) entry += t / (1 + reg / problem_.rho_a);
  if (factor == 1) return;
  for (double& entry : at.r) entry *= factor;
  for (double& entry : at.c) entry *= factor;
}

void SemiDualSolver::change_reg(double from, double to) {
  if (!problem_.is_soft_in_columns()) return;
  for (double& entry : current_.g) entry += problem_.shift(from) - problem_.shift(to);
}

bool SemiDualSolver::note(double reg, double goal, bool newton, Index cg_iterations) {
  journal_.show(stage_begin_, stage_end_, current_.error, goal);
  return journal_.add({.reg = reg,
                       .marginal_error = current_.error,
                       .newton = newton,
                       .cg_iterations = cg_iterations,
                       .nnz = newton ? schur_.nnz() : 0});
}

void SemiDualSolver::take_sweep(double reg, double goal) {
  const double length = reg / (1 + reg / problem_.rho_b);
  for (std::size_t j = 0; j < step_.size(); ++j)
    current_.g[j] += length * (std::log(std::max(current_.targets[j], smallest_mass)) -
                               std::log(std::max(current_.c[j], smallest_mass)));
  evaluate(reg);
  note(reg, goal, false, 0);
}

/// A dual value above that of every plan, <C, P> + reg sum P log P <= the largest cost, proves that there is none.
bool SemiDualSolver::is_infeasible(double reg) const {
  return current_.value > largest_cost_ + 1e-9 * std::abs(largest_cost_) + 1e-5 * reg;  // and not by rounding
}

Outcome SemiDualSolver::sweep(double reg, double goal) {
  while (current_.error > goal) {
    if (!journal_.may_go_on()) return Outcome::over;
    take_sweep(reg, goal);
    if (is_infeasible(reg)) return Outcome::infeasible;
  }
  return Outcome::reached;
}

Outcome SemiDualSolver::sweep_stored(double reg, double goal) {
  constexpr double least_error = 1e-6;     // of floats, with a digit to spare
  constexpr double sweeps_of_newton = 40;  // what Newton's method takes from here, in sweeps
  constexpr Index first_sweeps = 5;
  float* const rows = has_stored() ? schur_.rows() : nullptr;
  if (rows == nullptr) return Outcome::reached;
  set_coarse(goal < least_error);  // what is stored is rounded to floats in any case
  evaluate(reg, current_, rows);
  set_coarse(false);
  if (current_.error <= goal) return Outcome::reached;
  if (!journal_.may_go_on()) return Outcome::over;
  schur_.keep(reg, current_);
  const Iterate start = current_;
  std::vector<double> v(problem_.b.size(), 1.0), u(problem_.a.size(), 1.0), next(v.size());
  bool goes_on = true;
  double before = current_.error;
  for (Index k = 0; goes_on && current_.error > std::max(goal, least_error); ++k) {
    for (std::size_t j = 0; j < v.size(); ++j) next[j] = v[j] * problem_.b[j] / std::max(current_.c[j], smallest_mass);
    schur_.scale_rows(next, u, current_.c);
    double error = 0;
    for (std::size_t j = 0; j < v.size(); ++j) error += std::abs(problem_.b[j] - current_.c[j]);
    if (!std::isfinite(error)) {  // beyond the range of floats: the point before was better
      schur_.scale_rows(v, u, current_.c);
      break;
    }
    std::swap(v, next);
    current_.error = error;
    goes_on = note(reg, goal, false, 0);
    const double rate = std::log(error / before);  // below 0
    const double sweeps_left = rate < 0 ? std::log(least_error / error) / rate : sweeps_of_newton + 1;
    if (k >= first_sweeps && sweeps_left > sweeps_of_newton) break;
    before = error;
  }
  for (std::size_t j = 0; j < v.size(); ++j) current_.g[j] = start.g[j] + reg * std::log(v[j]);
  for (std::size_t i = 0; i < u.size(); ++i) current_.f[i] = start.f[i] + reg * std::log(u[i]);
  evaluate(reg);
  return goes_on ? Outcome::reached : Outcome::over;
}

Outcome SemiDualSolver::solve(double reg, double goal, Index most_iterations, bool is_on_the_way) {
  // Sweeps are cheap, and they bring g to where Newton's method works; on a stored plan that is cheaper still.
  const Index first_sweeps = schur_.is_kept() ? 0 : 1;
  constexpr double fast_sweep = 0.5;  // of the error before: worth another one
  // At a larger regularisation the goal is a means: the next level is a better way on than steps that gain little.
  constexpr double close_enough = 0.1, slow_step = 0.8;
  Index sweeps_left = first_sweeps;
  damping_ = 1e-2;
  threshold_ = std::max(threshold_, first_threshold);
  for (Index k = 0; current_.error > goal; ++k) {
    if (is_infeasible(reg)) return Outcome::infeasible;
    if (k == most_iterations || !journal_.may_go_on()) return Outcome::over;
    if (sweeps_left > 0) {
      const double before = current_.error;
      take_sweep(reg, goal);
      if (!(current_.error < fast_sweep * before)) --sweeps_left;
      continue;
    }
    const double before = current_.error;
    const bool accepted = take_newton_step(reg, goal);
    note(reg, goal, true, cg_iterations_);
    if (is_on_the_way && current_.error < close_enough && current_.error > slow_step * before) return Outcome::reached;
    if (accepted) continue;
    if (damping_ >= most_damping) return Outcome::stuck;
    sweeps_left = 3;
  }
  return Outcome::reached;
}

/// Where pairs are forbidden, there may be a direction along which F rises for ever: goes on along step_ while it does.
void SemiDualSolver::extend_step(double reg, double alpha) {
  constexpr double enough = 0.5;  // of what the last stretch gained, per length
  Iterate next = trial_;
  double gain = (trial_.value - current_.value) / alpha;
  while (trial_.value <= largest_cost_ && gain > 0) {
    for (std::size_t j = 0; j < step_.size(); ++j) next.g[j] = current_.g[j] + 2 * alpha * reg * step_[j];
    next.f = trial_.f;
    evaluate(reg, next);
    const double gain_of_stretch = (next.value - trial_.value) / alpha;
    if (!(gain_of_stretch >= enough * gain)) return;
    gain = gain_of_stretch;
    alpha *= 2;
    std::swap(trial_, next);
  }
}

/// One step of S d = targets - c, g += alpha reg d; alpha by backtracking. Returns whether a point was accepted.
bool SemiDualSolver::take_newton_step(double reg, double goal) {
  constexpr double longest_step = 20;  // of g, in units of reg: beyond it, a quadratic model of exponentials is no use
  constexpr double shorter = 0.4;
  constexpr int most_trials = 12;
  constexpr double sufficient = 1e-4;  // Armijo's condition
  const std::size_t m = step_.size();
  // What a step leaves of the error is its square, what was left out of P, and the residual: none has to be less than
  // what the goal is of the error.
  threshold_ = std::clamp(0.01 * std::max(current_.error, std::sqrt(goal)), least_threshold, threshold_);
  for (std::size_t j = 0; j < m; ++j) gradient_[j] = current_.targets[j] - current_.c[j];
  schur_.build(reg, current_, threshold_);
  const double tol = std::clamp(std::max(current_.error, 0.1 * goal / current_.error), 1e-4, 0.1);
  cg_iterations_ = schur_.solve(damping_ * current_.error + reg / problem_.rho_b, gradient_, tol, step_);

  const double slope = reg * std::inner_product(step_.begin(), step_.end(), gradient_.begin(), 0.0);
  const double largest = std::accumulate(step_.begin(), step_.end(), 0.0,
                                         [](double most, double x) { return std::max(most, std::abs(x)); });
  double alpha = largest > longest_step ? longest_step / largest : 1.0;
  int trial = 0;
  for (; trial < most_trials; ++trial, alpha *= shorter) {
    for (std::size_t j = 0; j < m; ++j) trial_.g[j] = current_.g[j] + alpha * reg * step_[j];
    trial_.f = current_.f;
    evaluate(reg, trial_);
    // Near the solution, F differs by less than its rounding: there, the error decides.
    const double rounding = 1e-12 * std::max(reg, std::abs(current_.value));
    const bool is_noise = alpha * slope < rounding;
    if ((trial_.value >= current_.value + sufficient * alpha * slope && (!is_noise || trial_.error < current_.error)) ||
        (trial_.error < 0.7 * current_.error && trial_.value >= current_.value - rounding))
      break;
  }
  // Floats may be what keeps a step from being a good one: systems can be too close to singular for them.
  const bool was_good = trial == 0 && trial_.error < 0.3 * current_.error;
  if (!was_good && schur_.is_stored()) {
    schur_.refuse_floats();
    if (trial == most_trials) return false;
  }
  if (trial == most_trials) {
    damping_ = std::min(10 * damping_, most_damping);
    threshold_ = std::max(0.1 * threshold_, least_threshold);
    return false;
  }
  if (trial == 0 && alpha < 1 && largest_cost_ < infinity) extend_step(reg, alpha);
  if (trial_.error > 0.3 * current_.error && trial == 0) threshold_ = std::max(0.1 * threshold_, least_threshold);
  damping_ = trial == 0 ? std::max(0.3 * damping_, least_damping) : std::min(2 * damping_, 10.0);
  std::swap(current_, trial_);
  return true;
}

}  // namespace nearlinear::ot
