// Plans with at most so many entries per row that meet the marginals.
#include "ot/sparse_rounding.hpp"

#include <algorithm>
#include <numeric>

#include "ot/tree_correction.hpp"

namespace nearlinear::ot {
namespace {

constexpr std::size_t most_single_swaps = 16, work_on_single_swaps = 20'000;  // in entries of plans

bool contains(const std::vector<std::int32_t>& cols, std::int32_t col) {
  return std::find(cols.begin(), cols.end(), col) != cols.end();
}

}  // namespace

SparseRounding::SparseRounding(const Problem& problem, RowPasses& passes, LimitedRows& rows, Monitor& monitor,
                               PlanMemory& memory, Pairs vertex, double reg, double goal, double most_value)
    : problem_(problem),
      passes_(passes),
      rows_(rows),
      monitor_(monitor),
      memory_(memory),
      vertex_(std::move(vertex)),
      reg_(reg),
      goal_(goal),
      most_value_(most_value) {}

Support SparseRounding::support_of(const Pairs& pairs) const {
  std::vector<double> tile(Costs::tile + 32);
  Support support;
  support.indptr.push_back(0);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    std::vector<std::int32_t> cols = pairs[i];
    std::sort(cols.begin(), cols.end());
    for (const std::int32_t col : cols) {
      support.cols.push_back(col);
      support.costs.push_back(problem_.costs.cost(static_cast<Index>(i), col, tile.data()));
    }
    support.indptr.push_back(support.nnz());
  }
  return support;
}

/// The plan with these entries on the support's pairs, when its marginals have been made right; none if they cannot be.
std::optional<SparseRounding::Plan> SparseRounding::complete(const Support& support, std::vector<double> entries,
                                                             const QuadraticPoint& at) const {
  if (!correct_marginals(problem_, support, entries)) return {};
  const std::size_t n = problem_.a.size();
  Plan plan{Pairs(n), std::vector<std::vector<double>>(n), at, 0};
  for (std::size_t i = 0; i < n; ++i)
    for (auto k = static_cast<std::size_t>(support.indptr[i]); k < static_cast<std::size_t>(support.indptr[i + 1]);
         ++k) {
      if (!(entries[k] > 0)) continue;
      plan.value += entries[k] * (support.costs[k] + 0.5 * reg_ * entries[k]);
      plan.pairs[i].push_back(support.cols[k]);
      plan.entries[i].push_back(entries[k]);
    }
  return plan;
}

/// The vertex itself, whose masses its pairs determine.
std::optional<SparseRounding::Plan> SparseRounding::vertex_plan(std::span<const double> g) const {
  const Support support = support_of(vertex_);
  SupportRows rows(problem_, support);
  QuadraticPoint at(problem_.rows(), problem_.cols());
  std::copy(g.begin(), g.end(), at.g.begin());
  rows.evaluate(reg_, at);
  return complete(support, std::vector<double>(support.cols.size(), 0.0), at);
}

/// The best plan on these pairs, or one near to it, or none.
std::optional<SparseRounding::Plan> SparseRounding::solve_on(const Pairs& pairs, std::span<const double> g,
                                                             bool is_thorough) {
  constexpr Index most_iterations = 100, most_from_above = 200;
  constexpr double far_above = 1024;      // where all pairs have entries, as a rule, and F is quadratic
  constexpr double may_be_mended = 1e-3;  // of the marginal error
  const Support support = support_of(pairs);
  SupportRows rows(problem_, support);
  Journal journal(no_callback_, most_iterations + most_from_above, monitor_);
  QuadraticNewton solver(problem_, passes_, rows, journal, memory_, most_value_);
  QuadraticPoint& at = solver.current();
  std::copy(g.begin(), g.end(), at.g.begin());
  solver.evaluate(reg_);
  solver.solve(reg_, goal_, most_iterations);
  if (at.error > may_be_mended && is_thorough) {
    std::copy(g.begin(), g.end(), at.g.begin());
    solver.solve_from_above(reg_, far_above * reg_, goal_);
  }
  if (at.error > may_be_mended) return {};
  std::vector<double> entries(support.cols.size());
  for (std::size_t i = 0; i < pairs.size(); ++i)
    for (auto k = static_cast<std::size_t>(support.indptr[i]); k < static_cast<std::size_t>(support.indptr[i + 1]); ++k)
      entries[k] = std::max(0.0, (at.g[static_cast<std::size_t>(support.cols[k])] - support.costs[k]) + at.f[i]) / reg_;
  return complete(support, std::move(entries), at);
}

bool SparseRounding::take_if_better(std::optional<Plan> plan) {
  constexpr double rounding = 1e-13;
  if (!plan || (found_ && !(plan->value < found_->value - rounding * std::abs(found_->value)))) return false;
  found_ = std::move(plan);
  return true;
}

bool SparseRounding::improve(std::span<const double> g, const std::function<bool(double)>& is_enough) {
  constexpr int most_rounds = 40;
  QuadraticPoint at(problem_.rows(), problem_.cols());
  std::copy(g.begin(), g.end(), at.g.begin());
  const auto most = static_cast<std::size_t>(rows_.most_entries());
  const std::vector<std::int32_t> best =
      rows_.best_columns(at, rows_.most_entries(), -std::numeric_limits<double>::infinity());
  // With the vertex there is a plan; without, there may be none, or a better one.
  bool is_better = !found_ && take_if_better(vertex_plan(g));
  for (const bool with_vertex : {true, false}) {
    if (is_enough(value())) return is_better;
    Pairs pairs = with_vertex ? vertex_ : Pairs(vertex_.size());
    for (std::size_t i = 0; i < pairs.size(); ++i)
      for (std::size_t k = 0; k < most && pairs[i].size() < most; ++k) {
        const std::int32_t col = best[i * most + k];
        if (col >= 0 && !contains(pairs[i], col)) pairs[i].push_back(col);
      }
    is_better = take_if_better(solve_on(pairs, g, with_vertex)) || is_better;
  }
  if (!is_better) return false;
  for (int round = 0; round < most_rounds && !is_enough(value()) && (fill_rows() || swap_pairs()); ++round) {
  }
  return true;
}

/// Gives rows that have room the pairs with the largest positive f_i + g_j - C_ij: they lower the value.
bool SparseRounding::fill_rows() {
  const auto most = static_cast<std::size_t>(rows_.most_entries());
  const std::vector<std::int32_t> best = rows_.best_columns(found_->at, 2 * rows_.most_entries(), 0.0);
  Pairs pairs = found_->pairs;
  bool has_more = false;
  for (std::size_t i = 0; i < pairs.size(); ++i)
    for (std::size_t k = 0; k < 2 * most && pairs[i].size() < most; ++k) {
      const std::int32_t col = best[i * 2 * most + k];
      if (col < 0) break;
      if (contains(pairs[i], col)) continue;
      pairs[i].push_back(col);
      has_more = true;
    }
  return has_more && take_if_better(solve_on(pairs, found_->at.g));
}

/// In full rows, puts pairs with a large positive f_i + g_j - C_ij in the place of those with the least mass: all that
/// promise something at first, then fewer, as together they may leave no plan or a worse one, and at last single ones.
bool SparseRounding::swap_pairs() {
  struct Swap {
    std::size_t row, place;
    std::int32_t col;
    double gain;
  };
  const auto most = static_cast<std::size_t>(rows_.most_entries());
  const std::vector<std::int32_t> best = rows_.best_columns(found_->at, 2 * rows_.most_entries(), 0.0);
  std::vector<double> tile(Costs::tile + 32);
  std::vector<Swap> swaps;
  for (std::size_t i = 0; i < found_->pairs.size(); ++i) {
    const auto& cols = found_->pairs[i];
    if (cols.size() < most) continue;
    const auto& entries = found_->entries[i];
    const auto least = std::min_element(entries.begin(), entries.end());
    for (std::size_t k = 0; k < 2 * most; ++k) {
      const std::int32_t col = best[i * 2 * most + k];
      if (col < 0) break;
      if (contains(cols, col)) continue;
      const double slack = found_->at.g[static_cast<std::size_t>(col)] + found_->at.f[i] -
                           problem_.costs.cost(static_cast<Index>(i), col, tile.data());
      const double lost = reg_ * *least;
      swaps.push_back({i, static_cast<std::size_t>(least - entries.begin()), col, slack * slack - lost * lost});
    }
  }
  std::stable_sort(swaps.begin(), swaps.end(), [](const Swap& x, const Swap& y) { return x.gain > y.gain; });
  const auto try_swaps = [&](std::size_t begin, std::size_t end) {
    Pairs pairs = found_->pairs;
    std::vector<char> is_done(pairs.size(), 0);
    for (std::size_t s = begin; s < end; ++s) {
      if (is_done[swaps[s].row]) continue;
      pairs[swaps[s].row][swaps[s].place] = swaps[s].col;
      is_done[swaps[s].row] = 1;
    }
    return take_if_better(solve_on(pairs, found_->at.g));
  };
  const auto promising = static_cast<std::size_t>(
      std::partition_point(swaps.begin(), swaps.end(), [](const Swap& swap) { return swap.gain > 0; }) - swaps.begin());
  for (std::size_t count = promising; count > 1; count /= 2)
    if (try_swaps(0, count)) return true;
  const std::size_t singles = std::min(most_single_swaps, work_on_single_swaps / (most * found_->pairs.size()));
  for (std::size_t s = 0; s < std::min(swaps.size(), singles); ++s)
    if (try_swaps(s, s + 1)) return true;
  return false;
}

}  // namespace nearlinear::ot
