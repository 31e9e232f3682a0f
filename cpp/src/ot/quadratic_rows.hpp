/// Rows of plans with a quadratic regularisation: for given g, the best row with at most so many entries.
#pragma once

#include <span>
#include <vector>

#include "ot/bipartite_laplacian.hpp"
#include "ot/row_passes.hpp"

namespace nearlinear::ot {

/// What is known at a g.
struct QuadraticPoint {
  QuadraticPoint(Index n, Index m)
      : f(static_cast<std::size_t>(n)),
        g(static_cast<std::size_t>(m)),
        c(static_cast<std::size_t>(m)),
        entries(static_cast<std::size_t>(n)) {}

  std::vector<double> f;       ///< makes the rows' sums right
  std::vector<double> g;       ///< the point
  std::vector<double> c;       ///< column sums of the plan
  std::vector<Index> entries;  ///< of each row of the plan
  double value = 0;            ///< of the semi-dual, F(g)
  double error = 0;            ///< |b - c|_1, the magnitude of its gradient

  [[nodiscard]] Index most_entries() const;
};

/// What is to be taken off the entries x, so that what is left of their positive parts sums to `total`; their sum must
/// not be below it. Newton's method from below on a convex function, linear in pieces: it ends after finitely many
/// steps.
double excess(std::span<const double> x, double total);

/// Rows over all pairs. With at most k entries, and t >= 0, sum_j t_j = a_i, the one with the least
///
///     sum_j (C_ij - g_j) t_j + reg/2 t_j^2
///
/// is zero but where g_j - C_ij are the k largest, and there the projection onto the simplex (A. Kyrillidis, S. Becker,
/// V. Cevher and C. Koch, "Sparse projections onto the simplex", ICML 2013). Of equal ones, the first columns count.
///
/// Costs are read once, as a rule: what may be among a row's entries is above a threshold, which the row before this
/// one, at another g, has left.
class LimitedRows {
 public:
  LimitedRows(const Problem& problem, RowPasses& passes, Index most_entries);

  /// Everything at at.g.
  void evaluate(double reg, QuadraticPoint& at);

  /// The value at f and g where f is not the best one for g: a f + b g - 1/(2 reg) sum of squares; r and c are the sums
  /// of rows and columns.
  double evaluate(double reg, std::span<const double> f, std::span<const double> g, std::span<double> r,
                  std::span<double> c);

  /// The pairs with entries at a point, and reg times what they are.
  void collect(const QuadraticPoint& at, BipartiteLaplacian& active, std::vector<double>& slacks);

  /// For every column the g_j from which on it has entries, if f stays: min_i C_ij - f_i.
  [[nodiscard]] std::vector<double> onsets(const QuadraticPoint& at) const;

  /// How many rows have pairs that are as good as the last one chosen, but not chosen: there F has a corner. Good means
  /// up to `tolerance`.
  Index ties(const QuadraticPoint& at, double tolerance);

  /// For every row the `most` columns with the largest f_i + g_j - C_ij above `threshold`, best first, as n rows of
  /// `most`; -1 where there are fewer.
  std::vector<std::int32_t> best_columns(const QuadraticPoint& at, Index most, double threshold);

  [[nodiscard]] Index most_entries() const { return most_; }
  [[nodiscard]] bool has_corners() const { return most_ < problem_.cols(); }
  [[nodiscard]] Index passes() const { return count_; }

 private:
  struct Found;
  [[nodiscard]] double nanoseconds() const;
  void find(Index i, const double* g, double threshold, Found& found) const;
  void solve(Index i, double total, const double* g, double& f, Found& found);
  template <class Body>
  void for_found(const Body& body);

  Problem problem_;
  RowPasses& passes_;
  Index most_;
  std::vector<double> thresholds_, margins_, squares_;
  Index count_ = 0;
};

/// Pairs that plans may use, by rows.
struct Support {
  std::vector<Index> indptr;
  std::vector<std::int32_t> cols;
  std::vector<double> costs;

  [[nodiscard]] Index nnz() const { return std::ssize(cols); }
};

/// Rows over the pairs of a support alone.
class SupportRows {
 public:
  SupportRows(const Problem& problem, const Support& support);

  void evaluate(double reg, QuadraticPoint& at);
  void collect(const QuadraticPoint& at, BipartiteLaplacian& active, std::vector<double>& slacks) const;

  [[nodiscard]] std::vector<double> onsets(const QuadraticPoint& at) const;
  [[nodiscard]] static bool has_corners() { return false; }

 private:
  Problem problem_;
  const Support& support_;
  std::vector<double> x_;
};

}  // namespace nearlinear::ot
