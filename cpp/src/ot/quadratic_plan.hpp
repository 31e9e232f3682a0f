/// Plans with a quadratic regularisation as users get them.
#pragma once

#include <cmath>
#include <vector>

#include "nearlinear/sparse/csr.hpp"
#include "ot/marginals.hpp"
#include "ot/quadratic_newton.hpp"

namespace nearlinear::ot {

/// A g to start from: that of entropic transport, which a few passes find at a regularisation of some percent of what
/// costs differ by. Sets `passes` to their number.
template <class T>
std::vector<double> entropic_start(const TransportProblem<T>& problem, const Marginal& cols, double typical_cost,
                                   const RunOptions& run, Index& passes) {
  constexpr double fraction = 0.05, tol = 0.05;
  constexpr Index most_iterations = 30;
  std::vector<double> g(cols.mass.size(), 0.0);
  const double reg = fraction * typical_cost;
  passes = 0;
  if (!(reg >= 4 * std::numeric_limits<double>::min())) return g;
  const SinkhornResult start = sinkhorn<T>(problem, {.reg = reg, .tol = tol, .maxiter = most_iterations}, run);
  passes = start.passes;
  if (start.status != SinkhornStatus::infeasible) cols.gather(start.g, g);
  return g;
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
