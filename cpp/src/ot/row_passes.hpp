/// Passes over all pairs, row by row, on any number of threads with the same bits: rows are cut into groups by their
/// number alone, every group sums into an array of its own, and these are added in order.
#pragma once

#include <functional>
#include <span>

#include "core/threads.hpp"
#include "nearlinear/core/array.hpp"
#include "ot/costs.hpp"

namespace nearlinear::ot {

/// What a plan sums to.
struct PlanTotals {
  double mass = 0;
  double cost = 0;
};

/// A problem: costs and positive masses, each of which sum to 1.
struct Problem {
  const Costs& costs;
  std::span<const double> a;
  std::span<const double> b;

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
  RowPasses(const Problem& problem, int n_threads, Monitor& monitor);

  /// f_i <- reg log(a_i) - reg log sum_j exp((g_j - C_ij) / reg), from an f that is close to it or not, and
  /// c <- P^T 1 for the plan of f and g, whose rows are exact. Returns a f + b g, the semi-dual's value.
  /// Stores the plan's rows divided by a as floats, where it is told to.
  double make_rows_exact(double reg, const double* g, double* f, double* c, float* stored = nullptr);

  /// r <- P 1 and c <- P^T 1. Costs are summed when they are asked for.
  PlanTotals totals(double reg, const double* f, const double* g, double* r, double* c, bool with_cost);

  /// q <- P^T (w * (P x)), entry by entry of w.
  void normal_product(double reg, const double* f, const double* g, const double* x, const double* w, double* q);

  /// body(i, scratch, sums) for all rows i, where `sums` are m numbers of the group's, and total <- their sum over
  /// groups. `nanoseconds` is the time of one pair.
  void sum_rows(double nanoseconds, double* total,
                const std::function<void(Index i, const RowScratch& scratch, double* sums)>& body);

  /// The same without sums.
  void for_rows(double nanoseconds, const std::function<void(Index i, const RowScratch& scratch)>& body);

  /// Calls it with the rows [begin, end) of a group, and adds `sums` as above: for bodies that take several rows.
  void sum_groups(double nanoseconds, double* total,
                  const std::function<void(Index begin, Index end, double* sums)>& body);

  /// t <- row i of the plan; returns its sum.
  double plan_row(Index i, double reg, double f, const double* g, const RowScratch& scratch) const;

  [[nodiscard]] Index passes() const { return passes_; }
  [[nodiscard]] int threads(double nanoseconds) const;
  [[nodiscard]] int n_threads() const { return n_threads_; }
  [[nodiscard]] Monitor& monitor() { return monitor_; }

 private:
  void add_partials(double* total);

  Problem problem_;
  int n_threads_;
  Monitor& monitor_;
  Index groups_;
  Array<double> partials_;  // of the groups
  Index row_scratch_;
  Array<double> scratch_;  // of the workers
  Array<double> row_values_;
  Index passes_ = 0;
};

}  // namespace nearlinear::ot
