/// Passes over all pairs, row by row, on any number of threads with the same bits: rows are cut into groups by their
/// number alone, every group sums into an array of its own, and these are added in order.
#pragma once

#include <functional>
#include <limits>
#include <span>

#include "core/threads.hpp"
#include "nearlinear/core/array.hpp"
#include "ot/costs.hpp"
#include "ot/workspace.hpp"

namespace nearlinear::ot {

/// What a plan sums to.
struct PlanTotals {
  double mass = 0;
  double cost = 0;
};

/// A problem: costs and positive masses, each of which sum to 1. Where marginals are soft, masses are those of the user
/// over `scale`, and what is minimised has rho_a KL(P 1 | a) + rho_b KL(P^T 1 | b) in addition.
struct Problem {
  const Costs& costs;
  std::span<const double> a;
  std::span<const double> b;
  double rho_a = std::numeric_limits<double>::infinity();  ///< infinite: the marginal holds exactly
  double rho_b = std::numeric_limits<double>::infinity();
  double log_scale = 0;

  [[nodiscard]] bool is_soft() const { return rho_a < std::numeric_limits<double>::infinity() || is_soft_in_columns(); }
  [[nodiscard]] bool is_soft_in_columns() const { return rho_b < std::numeric_limits<double>::infinity(); }

  /// By how much the dual variables of soft columns are above g: reg (1 + log(scale)), of the entropy's derivative.
  [[nodiscard]] double shift(double reg) const { return reg * (1 + log_scale); }

  /// What the plan's column sums must be: b, or b exp(-(g + shift) / rho_b).
  void col_targets(double reg, std::span<const double> g, std::span<double> targets) const;

  /// log sum_j of them, even where they are too small or too large for numbers.
  [[nodiscard]] double log_sum_of_targets(double reg, std::span<const double> g) const;

  /// The semi-dual at g, with the best f for it and the plan's row sums r.
  [[nodiscard]] double semi_dual_value(double reg, std::span<const double> f, std::span<const double> g,
                                       std::span<const double> r) const;

  [[nodiscard]] Index rows() const { return costs.rows(); }
  [[nodiscard]] Index cols() const { return costs.cols(); }
  [[nodiscard]] double pairs() const { return static_cast<double>(rows()) * static_cast<double>(cols()); }
};

/// Memory of a row pass for one worker.
struct RowScratch {
  double* t;     ///< m + 8
  double* tile;  ///< of costs
};

class RowPasses {
 public:
  RowPasses(const Problem& problem, int n_threads, Monitor& monitor, PassMemory& memory);

  /// f_i <- rho_a / (rho_a + reg) (reg log(a_i) - reg log sum_j exp((g_j - C_ij) / reg)), the best f for g, from an f
  /// that is close to it or not; r <- P 1, which is a unless rows are soft, and c <- P^T 1 for the plan of f and g.
  /// Stores the plan's rows divided by r as floats, where it is told to.
  void fit_rows(double reg, std::span<const double> g, std::span<double> f, std::span<double> r, std::span<double> c,
                float* stored = nullptr);

  /// r <- P 1 and c <- P^T 1. Costs are summed when they are asked for.
  PlanTotals totals(double reg, const double* f, const double* g, double* r, double* c, bool with_cost);

  /// q <- P^T (w * (P x)), entry by entry of w.
  void normal_product(double reg, const double* f, const double* g, const double* x, const double* w, double* q);

  /// Whether fit_rows() takes exponentials in float, for points that are only on the way.
  void set_coarse(bool is_coarse) { is_coarse_ = is_coarse; }

  /// body(i, scratch, sums) for all rows i, where `sums` are m numbers of the group's, and total <- their sum over
  /// groups. `nanoseconds` is the time of one pair.
  void sum_rows(double nanoseconds, double* total,
                const std::function<void(Index i, const RowScratch& scratch, double* sums)>& body);

  /// The same without sums.
  void for_rows(double nanoseconds, const std::function<void(Index i, const RowScratch& scratch)>& body);

  /// Calls it with the rows [begin, end) of a group, and adds `sums` as above: for bodies that take several rows.
  void sum_groups(double nanoseconds, double* total,
                  const std::function<void(Index begin, Index end, double* sums)>& body);

  /// The same without sums.
  void for_groups(double nanoseconds, const std::function<void(Index begin, Index end)>& body);

  /// t <- row i of the plan; returns its sum.
  double plan_row(Index i, double reg, double f, const double* g, const RowScratch& scratch,
                  bool is_coarse = false) const;

  [[nodiscard]] Index passes() const { return passes_; }
  [[nodiscard]] int threads(double nanoseconds) const;
  [[nodiscard]] int n_threads() const { return n_threads_; }
  [[nodiscard]] Monitor& monitor() { return monitor_; }

 private:
  void add_partials(double* total);

  Problem problem_;
  int n_threads_;
  Monitor& monitor_;
  PassMemory& memory_;
  Index groups_;
  Index row_scratch_;
  int workers_;  // that there is scratch memory for
  Array<double> row_values_;
  Index passes_ = 0;
  bool is_coarse_ = false;
};

}  // namespace nearlinear::ot
