/// Plans with a quadratic regularisation as users get them.
#pragma once

#include <cmath>
#include <vector>

#include "nearlinear/sparse/csr.hpp"
#include "ot/marginals.hpp"
#include "ot/quadratic_newton.hpp"

namespace nearlinear::ot {

/// Where Newton's steps begin.
struct QuadraticStart {
  std::vector<double> g;
  double level;      ///< the regularisation to begin at, `reg` or more
  Index passes = 0;  ///< over all pairs, that finding it took
};

/// Entropic transport, to one digit, at a regularisation at which plans are about as wide: far fewer passes than
/// Newton's steps take from elsewhere, as they have to find out which of the pairs have entries. `reg` is that of a
/// plan with the sum 1.
template <class T>
QuadraticStart entropic_start(const TransportProblem<T>& problem, const Marginal& rows, const Marginal& cols,
                              double typical_cost, double reg, const RunOptions& run) {
  constexpr double of_a_line = 0.3, widest = 0.06, narrowest = 1e-4, tol = 0.1, first_level = 0.05;
  constexpr Index most_iterations = 60;
  const auto lines = static_cast<double>(std::max(rows.mass.size(), cols.mass.size()));
  QuadraticStart start{std::vector<double>(cols.mass.size(), 0.0), std::max(reg, first_level * typical_cost * lines)};
  const double entropic = std::clamp(of_a_line * reg / lines, narrowest * typical_cost, widest * typical_cost);
  if (!(entropic >= 4 * std::numeric_limits<double>::min())) return start;
  const SinkhornResult found = sinkhorn<T>(problem, {.reg = entropic, .tol = tol, .maxiter = most_iterations}, run);
  start.passes = found.passes;
  if (found.status == SinkhornStatus::infeasible) return start;
  cols.gather(found.g, start.g);
  start.level = std::max(reg, entropic / of_a_line * lines);
  if (start.level < 2 * reg) start.level = reg;
  return start;
}

/// Of a plan whose entries are rounded to T.
struct PlanFigures {
  double cost = 0;            ///< <C, P>, before they are
  double squares = 0;         ///< the sum of P^2
  double marginal_error = 0;  ///< |P 1 - a|_1 + |P^T 1 - b|_1
};

/// Writes the plan of the solver's point, which sums to `mass`, as an n x m matrix without zeros.
template <class T, class Rows>
PlanFigures figures_of(QuadraticNewton<Rows>& solver, double reg, double mass, const Marginal& rows,
                       const Marginal& cols, const TransportProblem<T>& problem, Index n, Index m,
                       CsrMatrix<T, Index>& plan) {
  BipartiteLaplacian& active = solver.plan();
  const QuadraticPoint& at = solver.current();
  const auto indptr = active.indptr();
  PlanFigures figures;
  plan = {n, m, Array<Index>::zeros(n + 1), Array<Index>(active.nnz()), Array<T>(active.nnz())};
  std::vector<double> r(static_cast<std::size_t>(n)), c(static_cast<std::size_t>(m));
  for (std::size_t i = 0; i < at.f.size(); ++i) {
    plan.indptr[static_cast<Index>(rows.place(i)) + 1] = indptr[i + 1] - indptr[i];
    for (Index k = indptr[i]; k < indptr[i + 1]; ++k) {
      const auto place = static_cast<std::size_t>(k), j = static_cast<std::size_t>(active.indices()[place]);
      const double slack = solver.slacks()[place];
      plan.indices[k] = static_cast<Index>(cols.place(j));
      plan.data[k] = static_cast<T>(mass * slack / reg);
      const auto entry = static_cast<double>(plan.data[k]);
      figures.cost += mass * slack / reg * ((at.g[j] + at.f[i]) - slack);  // which is C_ij
      figures.squares += entry * entry;
      r[rows.place(i)] += entry;
      c[cols.place(j)] += entry;
    }
  }
  for (Index i = 0; i < n; ++i) plan.indptr[i + 1] += plan.indptr[i];
  for (std::size_t i = 0; i < r.size(); ++i)
    figures.marginal_error +=
        std::abs(r[i] - (problem.a.empty() ? 1 / static_cast<double>(n) : problem.a[i] * (mass / rows.total)));
  for (std::size_t j = 0; j < c.size(); ++j)
    figures.marginal_error +=
        std::abs(c[j] - (problem.b.empty() ? 1 / static_cast<double>(m) : problem.b[j] * (mass / cols.total)));
  return figures;
}

}  // namespace nearlinear::ot
