// Sweeps and Newton steps on the semi-dual.
#include "ot/semi_dual.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace nearlinear::ot {
namespace {

constexpr double smallest_mass = 1e-300;  // of a column, for its logarithm

constexpr double most_damping = 1e3;
constexpr double least_damping = 1e-6;
constexpr double least_threshold = 1e-15;
constexpr double first_threshold = 1e-3;

}  // namespace

SemiDualSolver::SemiDualSolver(const Problem& problem, RowPasses& passes, Journal& journal)
    : problem_(problem),
      passes_(passes),
      journal_(journal),
      schur_(problem, passes),
      gradient_(problem.b.size()),
      step_(problem.b.size()) {
  current_.f.resize(problem.a.size());
  current_.g.resize(problem.b.size());
  current_.c.resize(problem.b.size());
  trial_ = current_;
}

void SemiDualSolver::evaluate(double reg) { evaluate(reg, current_); }

void SemiDualSolver::evaluate(double reg, Iterate& at, float* stored) {
  at.value = passes_.make_rows_exact(reg, at.g.data(), at.f.data(), at.c.data(), stored);
  at.error = 0;
  for (std::size_t j = 0; j < at.c.size(); ++j) at.error += std::abs(problem_.b[j] - at.c[j]);
}

bool SemiDualSolver::note(double reg, double goal, bool newton, Index cg_iterations) {
  journal_.show(stage_begin_, stage_end_, current_.error, goal);
  return journal_.add({.reg = reg,
                       .marginal_error = current_.error,
                       .newton = newton,
                       .cg_iterations = cg_iterations,
                       .nnz = newton ? schur_.nnz() : 0});
}

/// g += reg log(b / c) is left to the caller to scale: step_ <- log(b / c).
void SemiDualSolver::take_sweep() {
  for (std::size_t j = 0; j < step_.size(); ++j)
    step_[j] = std::log(problem_.b[j]) - std::log(std::max(current_.c[j], smallest_mass));
}

Outcome SemiDualSolver::sweep(double reg, double goal) {
  while (current_.error > goal) {
    if (!journal_.may_go_on()) return Outcome::over;
    take_sweep();
    for (std::size_t j = 0; j < step_.size(); ++j) current_.g[j] += reg * step_[j];
    evaluate(reg);
    note(reg, goal, false, 0);
  }
  return Outcome::reached;
}

Outcome SemiDualSolver::sweep_stored(double reg, double goal) {
  constexpr double least_error = 1e-6;     // of floats, with a digit to spare
  constexpr double sweeps_of_newton = 40;  // what Newton's method takes from here, in sweeps
  constexpr Index first_sweeps = 5;
  float* const rows = schur_.rows();
  if (rows == nullptr) return Outcome::reached;
  evaluate(reg, current_, rows);
  if (current_.error <= goal) return Outcome::reached;
  if (!journal_.may_go_on()) return Outcome::over;
  schur_.keep(reg, current_.f, current_.g);
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

Outcome SemiDualSolver::solve(double reg, double goal, Index most_iterations) {
  constexpr Index first_sweeps = 1;   // cheap, and they bring g to where Newton's method works
  constexpr double fast_sweep = 0.5;  // of the error before: worth another one
  Index sweeps_left = first_sweeps;
  damping_ = 1e-2;
  threshold_ = std::max(threshold_, first_threshold);
  for (Index k = 0; current_.error > goal; ++k) {
    if (k == most_iterations || !journal_.may_go_on()) return Outcome::over;
    if (sweeps_left > 0) {
      const double before = current_.error;
      take_sweep();
      for (std::size_t j = 0; j < step_.size(); ++j) current_.g[j] += reg * step_[j];
      evaluate(reg);
      note(reg, goal, false, 0);
      if (!(current_.error < fast_sweep * before)) --sweeps_left;
      continue;
    }
    const bool accepted = take_newton_step(reg, goal);
    note(reg, goal, true, cg_iterations_);
    if (accepted) continue;
    if (damping_ >= most_damping) return Outcome::stuck;
    sweeps_left = 3;
  }
  return Outcome::reached;
}

/// One step of S d = b - c, g += alpha reg d; alpha by backtracking. Returns whether a point was accepted.
bool SemiDualSolver::take_newton_step(double reg, double goal) {
  constexpr double longest_step = 20;  // of g, in units of reg: beyond it, a quadratic model of exponentials is no use
  constexpr double shorter = 0.4;
  constexpr int most_trials = 12;
  constexpr double sufficient = 1e-4;  // Armijo's condition
  const std::size_t m = step_.size();
  // What a step leaves of the error is its square, what was left out of P, and the residual: none has to be less than
  // what the goal is of the error.
  threshold_ = std::clamp(0.01 * std::max(current_.error, std::sqrt(goal)), least_threshold, threshold_);
  for (std::size_t j = 0; j < m; ++j) gradient_[j] = problem_.b[j] - current_.c[j];
  schur_.build(reg, current_.f, current_.g, current_.c, threshold_);
  const double tol = std::clamp(std::max(current_.error, 0.1 * goal / current_.error), 1e-4, 0.1);
  cg_iterations_ = schur_.solve(damping_ * current_.error, gradient_, tol, step_);

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
    if (trial_.value >= current_.value + sufficient * alpha * slope ||
        (trial_.error < 0.7 * current_.error && trial_.value >= current_.value - rounding))
      break;
  }
  if (trial == most_trials) {
    damping_ = std::min(10 * damping_, most_damping);
    threshold_ = std::max(0.1 * threshold_, least_threshold);
    return false;
  }
  if (trial_.error > 0.3 * current_.error && trial == 0) threshold_ = std::max(0.1 * threshold_, least_threshold);
  damping_ = trial == 0 ? std::max(0.3 * damping_, least_damping) : std::min(2 * damping_, 10.0);
  std::swap(current_, trial_);
  return true;
}

}  // namespace nearlinear::ot
