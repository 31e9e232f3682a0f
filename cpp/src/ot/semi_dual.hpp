/// Maximisation of the semi-dual F(g) = a f(g) + b g, where f(g) makes the plan's rows exact, and of what takes its
/// place where marginals are soft.
#pragma once

#include <vector>

#include "ot/journal.hpp"
#include "ot/schur_complement.hpp"

namespace nearlinear::ot {

enum class Outcome {
  reached,
  over,        ///< iterations are used up, or the callback wants no more
  stuck,       ///< no step makes progress
  infeasible,  ///< the value is above that of any plan
};

class SemiDualSolver {
 public:
  /// `largest_cost`: of allowed pairs, where others are forbidden; infinite where none are.
  SemiDualSolver(const Problem& problem, RowPasses& passes, Journal& journal, PlanMemory& memory, double largest_cost);

  [[nodiscard]] Iterate& current() { return current_; }

  /// Moves a constant from g to f, so that no digits are lost in f + g.
  void centre();

  /// Keeps the dual variables of soft columns, which g differs from by a multiple of `reg`; from 0 at the start.
  void change_reg(double from, double to);

  /// Whether passes may take exponentials in float.
  void set_coarse(bool is_coarse) { passes_.set_coarse(is_coarse); }

  /// Brings f, c, value and error up to date with g and a regularisation.
  void evaluate(double reg);

  /// Sweeps g += share reg log(targets / c), share = rho_b / (rho_b + reg), which take a pass each, until the error is
  /// `goal`.
  Outcome sweep(double reg, double goal);

  /// The same on a stored matrix of floats, without exponentials, until the error is `goal`, or floats cannot lower it,
  /// or Newton's method is faster. Evaluates first; does nothing where the matrix is too large.
  Outcome sweep_stored(double reg, double goal);
  [[nodiscard]] bool has_stored() { return !problem_.is_soft() && schur_.rows() != nullptr; }

  /// Sweeps, then Newton steps until the error is `goal`, in at most so many iterations; or nearly so, where this
  /// regularisation is only on the way to a smaller one.
  Outcome solve(double reg, double goal, Index most_iterations, bool is_on_the_way = false);

  /// Which part of the call the next solve() is.
  void set_stage(double begin, double end) {
    stage_begin_ = begin;
    stage_end_ = end;
  }

 private:
  void evaluate(double reg, Iterate& at, float* stored = nullptr);
  void fit_constant(double reg, Iterate& at) const;
  bool note(double reg, double goal, bool newton, Index cg_iterations);
  void take_sweep(double reg, double goal);
  [[nodiscard]] bool is_infeasible(double reg) const;
  [[nodiscard]] bool take_newton_step(double reg, double goal);
  void extend_step(double reg, double alpha);

  Problem problem_;
  RowPasses& passes_;
  Journal& journal_;
  double largest_cost_;
  SchurComplement schur_;
  Iterate current_, trial_;
  std::vector<double> gradient_, step_;
  double threshold_ = 1e-3;  // of the entries that a Newton step sees
  double damping_ = 1e-2;
  Index cg_iterations_ = 0;
  double stage_begin_ = 0, stage_end_ = 1;
};

}  // namespace nearlinear::ot
