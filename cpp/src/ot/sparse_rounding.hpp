/// Plans with at most so many entries per row that meet the marginals.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "ot/journal.hpp"
#include "ot/quadratic_newton.hpp"

namespace nearlinear::ot {

/// Columns of each row.
using Pairs = std::vector<std::vector<std::int32_t>>;

/// Solves the quadratic problem on few pairs, and exchanges pairs without mass for better ones: every plan is feasible,
/// and none is worse than the one before.
class SparseRounding {
 public:
  /// `vertex` has the pairs of a plan, at most as many per row as `rows` allows.
  SparseRounding(const Problem& problem, RowPasses& passes, LimitedRows& rows, Monitor& monitor, PlanMemory& memory,
                 Pairs vertex, double reg, double goal, double most_value);

  /// Solves on the vertex and the pairs beside that are best for g, and goes on from there until is_enough(value).
  /// Returns whether there is a plan now that is better than any before.
  bool improve(std::span<const double> g, const std::function<bool(double)>& is_enough);

  [[nodiscard]] bool has_plan() const { return found_.has_value(); }
  [[nodiscard]] double value() const { return found_ ? found_->value : std::numeric_limits<double>::infinity(); }
  [[nodiscard]] const std::vector<double>& g() const { return found_->at.g; }
  [[nodiscard]] const Pairs& pairs() const { return found_->pairs; }
  [[nodiscard]] const std::vector<std::vector<double>>& entries() const { return found_->entries; }

 private:
  struct Plan {
    Pairs pairs;  // with mass
    std::vector<std::vector<double>> entries;
    QuadraticPoint at;
    double value;
  };

  [[nodiscard]] Support support_of(const Pairs& pairs) const;
  std::optional<Plan> complete(const Support& support, std::vector<double> entries, const QuadraticPoint& at) const;
  std::optional<Plan> vertex_plan(std::span<const double> g) const;
  std::optional<Plan> solve_on(const Pairs& pairs, std::span<const double> g, bool is_thorough = false);
  bool take_if_better(std::optional<Plan> plan);
  bool fill_rows();
  bool swap_pairs();

  Problem problem_;
  RowPasses& passes_;
  LimitedRows& rows_;
  Monitor& monitor_;
  PlanMemory& memory_;
  Pairs vertex_;
  double reg_, goal_, most_value_;
  Journal::Callback no_callback_;
  std::optional<Plan> found_;
};

}  // namespace nearlinear::ot
