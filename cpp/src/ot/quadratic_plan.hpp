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
  double cost = 0;                   ///< <C, P>, before they are
  double squares = 0;                ///< the sum of P^2
  double marginal_error = 0;         ///< |P 1 - a|_1 + |P^T 1 - b|_1
  double error_before_rounding = 0;  ///< the same, before they are
};

/// Takes a plan entry by entry, row after row and by ascending column, and writes it as an n x m matrix.
template <class T>
class PlanWriter {
 public:
  PlanWriter(double mass, const Marginal& rows, const Marginal& cols, Index n, Index m, Index nnz,
             CsrMatrix<T, Index>& plan)
      : mass_(mass), rows_(rows), cols_(cols), plan_(plan), r_(static_cast<std::size_t>(n)), c_(r_), exact_r_(r_) {
    c_.assign(static_cast<std::size_t>(m), 0.0);
    exact_c_ = c_;
    plan = {n, m, Array<Index>::zeros(n + 1), Array<Index>(nnz), Array<T>(nnz)};
  }

  /// An entry of a plan that sums to 1.
  void add(std::size_t row, std::size_t col, double entry, double cost) {
    const std::size_t i = rows_.place(row), j = cols_.place(col);
    entry *= mass_;
    plan_.indices[size_] = static_cast<Index>(j);
    plan_.data[size_] = static_cast<T>(entry);
    const auto rounded = static_cast<double>(plan_.data[size_++]);
    ++plan_.indptr[static_cast<Index>(i) + 1];
    figures_.cost += entry * cost;
    figures_.squares += rounded * rounded;
    r_[i] += rounded;
    c_[j] += rounded;
    exact_r_[i] += entry;
    exact_c_[j] += entry;
  }

  PlanFigures finish(const TransportProblem<T>& problem) {
    for (Index i = 0; i < plan_.rows; ++i) plan_.indptr[i + 1] += plan_.indptr[i];
    add_errors(problem.a, mass_ / rows_.total, r_, exact_r_);
    add_errors(problem.b, mass_ / cols_.total, c_, exact_c_);
    return figures_;
  }

 private:
  void add_errors(std::span<const double> masses, double scale, const std::vector<double>& sums,
                  const std::vector<double>& exact_sums) {
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const double mass = masses.empty() ? 1 / static_cast<double>(sums.size()) : masses[k] * scale;
      figures_.marginal_error += std::abs(sums[k] - mass);
      figures_.error_before_rounding += std::abs(exact_sums[k] - mass);
    }
  }

  double mass_;
  const Marginal& rows_;
  const Marginal& cols_;
  CsrMatrix<T, Index>& plan_;
  std::vector<double> r_, c_, exact_r_, exact_c_;
  Index size_ = 0;
  PlanFigures figures_;
};

/// Writes the plan of the solver's point, which sums to `mass`, as an n x m matrix without zeros.
template <class T, class Rows>
PlanFigures figures_of(QuadraticNewton<Rows>& solver, double reg, double mass, const Marginal& rows,
                       const Marginal& cols, const TransportProblem<T>& problem, Index n, Index m,
                       CsrMatrix<T, Index>& plan) {
  BipartiteLaplacian& active = solver.plan();
  const QuadraticPoint& at = solver.current();
  const auto indptr = active.indptr();
  PlanWriter<T> writer(mass, rows, cols, n, m, active.nnz(), plan);
  for (std::size_t i = 0; i < at.f.size(); ++i)
    for (Index k = indptr[i]; k < indptr[i + 1]; ++k) {
      const auto place = static_cast<std::size_t>(k), j = static_cast<std::size_t>(active.indices()[place]);
      const double slack = solver.slacks()[place];
      writer.add(i, j, slack / reg, (at.g[j] + at.f[i]) - slack);
    }
  return writer.finish(problem);
}

}  // namespace nearlinear::ot
