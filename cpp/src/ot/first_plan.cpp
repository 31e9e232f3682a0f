// The matrix minimum rule.
#include "ot/first_plan.hpp"

#include <algorithm>
#include <limits>

namespace nearlinear::ot {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A row and the column it would take next.
struct Wish {
  double loss;  // above the cheapest pair of the row, in reduced costs
  double slack;
  std::int32_t row;
  std::int32_t col;

  /// Of the standard heap, which has the largest in front.
  bool operator<(const Wish& other) const { return loss > other.loss || (loss == other.loss && row > other.row); }
};

}  // namespace

FirstPlan make_first_plan(const Costs& costs, std::span<const std::int64_t> rows, std::span<const std::int64_t> cols,
                          const double* g, Monitor& monitor) {
  const Index n = costs.rows(), m = costs.cols();
  FirstPlan plan;
  plan.shipments.reserve(static_cast<std::size_t>(n + m));
  plan.f.resize(rows.size());
  std::vector<std::int64_t> row_left(rows.begin(), rows.end()), col_left(cols.begin(), cols.end());
  std::vector<double> open(g, g + m);  // -Inf where the column is full
  std::vector<double> tile(static_cast<std::size_t>(Costs::tile + 32));
  const auto best = [&](Index i) {
    const auto [col, slack] = costs.best(i, open.data(), tile.data());
    return Wish{0, slack, static_cast<std::int32_t>(i), static_cast<std::int32_t>(col)};
  };

  std::vector<Wish> wishes;
  wishes.reserve(rows.size());
  for (Index i = 0; i < n; ++i) {
    monitor.poll(0);
    Wish wish = best(i);
    plan.f[static_cast<std::size_t>(i)] = -wish.slack;
    wishes.push_back(wish);
  }
  std::make_heap(wishes.begin(), wishes.end());
  std::vector<std::int32_t> stuck;  // rows whose open columns are all forbidden
  while (!wishes.empty()) {
    std::pop_heap(wishes.begin(), wishes.end());
    Wish& wish = wishes.back();
    const auto i = static_cast<std::size_t>(wish.row), j = static_cast<std::size_t>(wish.col);
    if (col_left[j] > 0 && wish.slack > -infinity) {
      const std::int64_t units = std::min(row_left[i], col_left[j]);
      // The cost, as it was read: g_j - (g_j - C_ij) would round it.
      plan.shipments.push_back({wish.row, wish.col, units, costs.cost(wish.row, wish.col, tile.data())});
      row_left[i] -= units;
      col_left[j] -= units;
      if (col_left[j] == 0) open[j] = -infinity;
    }
    if (row_left[i] == 0) {
      wishes.pop_back();
      continue;
    }
    monitor.poll(0);
    wish = best(wish.row);
    wish.loss = -wish.slack - plan.f[i];
    if (wish.slack == -infinity) {
      stuck.push_back(wish.row);
      wishes.pop_back();
      continue;
    }
    std::push_heap(wishes.begin(), wishes.end());
  }

  std::sort(stuck.begin(), stuck.end());
  plan.has_forbidden = !stuck.empty();
  std::size_t j = 0;
  for (const std::int32_t row : stuck) {
    std::int64_t& left = row_left[static_cast<std::size_t>(row)];
    while (left > 0) {
      while (col_left[j] == 0) ++j;
      const std::int64_t units = std::min(left, col_left[j]);
      plan.shipments.push_back({row, static_cast<std::int32_t>(j), units, infinity});
      left -= units;
      col_left[j] -= units;
    }
  }
  return plan;
}

}  // namespace nearlinear::ot
