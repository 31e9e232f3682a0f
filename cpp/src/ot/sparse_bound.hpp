/// The lower bound of transport with sparsity constraints.
#pragma once

#include "nearlinear/ot/sparse_plan.hpp"
#include "ot/journal.hpp"
#include "ot/quadratic_newton.hpp"

namespace nearlinear::ot {

/// Ascends F(g) of rows with limits, and keeps the best point that it has seen.
class SparseBound {
 public:
  SparseBound(const Problem& problem, RowPasses& passes, LimitedRows& rows, Journal& journal, PlanMemory& memory,
              double reg, double goal);

  /// Looks at a g that somebody else has found.
  void offer(std::span<const double> g);

  /// Newton's steps from the best point. Returns whether the gradient has become zero, so that the plan of the best
  /// point solves the problem.
  bool ascend_by_newton(Index most_iterations);

  /// L-BFGS, as long as it rises by more than a part of the gap to `upper`, which is the value of a plan or infinite.
  void ascend_by_lbfgs(SparsePlanFormulation formulation, double upper, Index most_iterations);

  /// Supergradients, with steps that would lead to `upper`, or a little above where it is infinite, if F were linear
  /// (B. T. Polyak, 1969).
  void ascend_by_supergradients(double upper, Index most_iterations);

  [[nodiscard]] const QuadraticPoint& best() const { return best_; }
  QuadraticNewton<LimitedRows>& newton() { return newton_; }

  /// Whether a plan of the value `upper` is optimal, up to rounding and the tolerance.
  [[nodiscard]] bool proves(double upper) const;

 private:
  [[nodiscard]] double scale(double value) const;
  void note(const QuadraticPoint& at);
  void record(const QuadraticPoint& at, bool is_newton);

  Problem problem_;
  LimitedRows& rows_;
  Journal& journal_;
  QuadraticNewton<LimitedRows> newton_;
  double reg_;
  double goal_;
  QuadraticPoint best_, here_;
  bool has_point_ = false;
};

}  // namespace nearlinear::ot
