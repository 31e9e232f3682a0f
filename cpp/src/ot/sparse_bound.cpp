// The lower bound of transport with sparsity constraints.
#include "ot/sparse_bound.hpp"

#include <cmath>
#include <numeric>

#include "ot/lbfgs.hpp"

namespace nearlinear::ot {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double worthwhile = 1e-3;  // of what is missing, in some iterations

}  // namespace

SparseBound::SparseBound(const Problem& problem, RowPasses& passes, LimitedRows& rows, Journal& journal,
                         PlanMemory& memory, double reg, double goal)
    : problem_(problem),
      rows_(rows),
      journal_(journal),
      newton_(problem, passes, rows, journal, memory, infinity),
      reg_(reg),
      goal_(goal),
      best_(problem.rows(), problem.cols()),
      here_(best_) {}

void SparseBound::note(const QuadraticPoint& at) {
  if (has_point_ && !(at.value > best_.value)) return;
  best_ = at;
  has_point_ = true;
}

void SparseBound::record(const QuadraticPoint& at, bool is_newton) {
  journal_.add({.reg = reg_,
                .marginal_error = at.error,
                .newton = is_newton,
                .cg_iterations = 0,
                .nnz = std::accumulate(at.entries.begin(), at.entries.end(), Index{0})});
}

/// What values are compared with: costs may cancel, but squares do not.
double SparseBound::scale(double value) const {
  return std::max(std::abs(value), 1e-3 * reg_ / static_cast<double>(problem_.rows()));
}

bool SparseBound::proves(double upper) const {
  return has_point_ && upper < infinity && upper - best_.value <= goal_ * scale(upper);
}

void SparseBound::offer(std::span<const double> g) {
  std::copy(g.begin(), g.end(), here_.g.begin());
  rows_.evaluate(reg_, here_);
  note(here_);
}

bool SparseBound::ascend_by_newton(Index most_iterations) {
  newton_.current() = best_;
  newton_.evaluate(reg_);
  const auto outcome = newton_.solve(reg_, goal_, std::min(most_iterations, journal_.left()));
  note(newton_.current());
  if (outcome != QuadraticNewton<LimitedRows>::Outcome::reached) return false;
  best_ = newton_.current();
  return true;
}

void SparseBound::ascend_by_lbfgs(SparsePlanFormulation formulation, double upper, Index most_iterations) {
  constexpr Index between_looks = 10;
  const std::size_t n = best_.f.size(), m = best_.g.size();
  const bool is_semi_dual = formulation == SparsePlanFormulation::semi_dual;
  std::vector<double> start(best_.g);
  if (!is_semi_dual) start.insert(start.begin(), best_.f.begin(), best_.f.end());
  const auto evaluate = [&](std::span<const double> x, std::span<double> gradient) {
    if (is_semi_dual) {
      std::copy(x.begin(), x.end(), here_.g.begin());
      rows_.evaluate(reg_, here_);
      note(here_);
      for (std::size_t j = 0; j < m; ++j) gradient[j] = problem_.b[j] - here_.c[j];
      return here_.value;
    }
    std::copy(x.begin() + static_cast<std::ptrdiff_t>(n), x.end(), here_.g.begin());
    const double value = rows_.evaluate(reg_, x.first(n), here_.g, gradient.first(n), here_.c);
    here_.error = 0;
    for (std::size_t i = 0; i < n; ++i) {
      gradient[i] = problem_.a[i] - gradient[i];
      here_.error += std::abs(gradient[i]);
    }
    for (std::size_t j = 0; j < m; ++j) {
      gradient[n + j] = problem_.b[j] - here_.c[j];
      here_.error += std::abs(gradient[n + j]);
    }
    return value;
  };
  Lbfgs lbfgs(evaluate, std::move(start));
  lbfgs.set_first_step(reg_ / static_cast<double>(std::max(n, m)));
  double before = lbfgs.value();
  for (Index k = 0; k < most_iterations && journal_.may_go_on() && !proves(upper); ++k) {
    const bool was_fresh = lbfgs.is_fresh();
    if (!lbfgs.step()) {
      if (was_fresh) break;
      lbfgs.restart();
      continue;
    }
    record(here_, false);
    if (here_.error <= goal_) break;
    if ((k + 1) % between_looks == 0) {
      const double missing = upper < infinity ? upper - lbfgs.value() : std::abs(lbfgs.value());
      if (lbfgs.value() - before < worthwhile * missing) break;
      before = lbfgs.value();
    }
  }
  if (!is_semi_dual) {
    const std::vector<double> x = lbfgs.x();
    offer(std::span(x).last(m));
  }
}

void SparseBound::ascend_by_supergradients(double upper, Index most_iterations) {
  constexpr Index patience = 6;
  constexpr double least_step = 1e-3, a_little = 0.1;
  here_ = best_;
  double step = 1, reached = best_.value;
  const double guess = a_little * scale(best_.value);
  Index since = 0;
  for (Index k = 0; k < most_iterations && journal_.may_go_on() && step > least_step && !proves(upper); ++k) {
    double norm = 0;
    for (std::size_t j = 0; j < here_.g.size(); ++j) {
      const double entry = problem_.b[j] - here_.c[j];
      norm += entry * entry;
    }
    if (!(norm > 0)) return;
    const double rise = upper < infinity ? step * (upper - here_.value) : best_.value + step * guess - here_.value;
    for (std::size_t j = 0; j < here_.g.size(); ++j) here_.g[j] += rise / norm * (problem_.b[j] - here_.c[j]);
    rows_.evaluate(reg_, here_);
    note(here_);
    record(here_, false);
    if (best_.value - reached > worthwhile * std::min(upper - reached, guess)) {
      reached = best_.value;
      since = 0;
    } else if (++since >= patience) {
      since = 0;
      step *= 0.5;
      here_ = best_;
    }
  }
}

}  // namespace nearlinear::ot
