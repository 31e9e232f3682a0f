// Vertices of the transport polytope with few entries per row.
#include "ot/row_limits.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "nearlinear/core/monitor.hpp"

namespace nearlinear::ot {
namespace {

/// A spanning tree of rows and columns, of which some arcs may carry nothing, and what is wrong with it.
class LimitedTree {
 public:
  LimitedTree(const MassUnits& units, Index most, const Pairs& pairs)
      : n_(units.rows.size()),
        most_(static_cast<std::size_t>(most)),
        unit_(units.unit),
        small_(0.1 / static_cast<double>(n_ + units.cols.size())),
        arcs_of_(n_ + units.cols.size()),
        by_(arcs_of_.size()),
        excess_(n_) {
    for (std::size_t i = 0; i < pairs.size(); ++i)
      for (const std::int32_t col : pairs[i]) add_arc(i, static_cast<std::size_t>(col));
    ship(units);
    connect();
    for (std::size_t i = 0; i < n_; ++i) total_ += excess_[i] = excess_of(i);
  }

  [[nodiscard]] double total_excess() const { return total_; }
  [[nodiscard]] bool is_bad(std::size_t row) const { return excess_[row] > 0; }

  /// The column of a pair in the row: the first one for 0, the last one for just below 1.
  [[nodiscard]] std::size_t col_of(std::size_t row, double which) const {
    const auto& arcs = arcs_of_[row];
    return arcs_[arcs[static_cast<std::size_t>(which * static_cast<double>(arcs.size()))]].col;
  }

  struct Pivot {
    std::size_t leaving = 0;
    std::int64_t units = 0;
    double excess = 0;        // the total after it
    double reduced_cost = 0;  // of the cycle, for one unit of mass
  };

  /// What entering (row, col) does; false if the tree has the pair. `reduced(i, j)` is C_ij - f_i - g_j.
  template <class Reduced>
  bool try_pivot(std::size_t row, std::size_t col, const Reduced& reduced, Pivot& pivot) {
    find_path(row, n_ + col);
    if (path_.size() < 2) return false;
    // Arcs of the path lose and win mass in turn, beginning at the row.
    pivot.units = std::numeric_limits<std::int64_t>::max();
    for (std::size_t k = 0; k < path_.size(); k += 2)
      if (arcs_[path_[k]].units < pivot.units) {
        pivot.units = arcs_[path_[k]].units;
        pivot.leaving = path_[k];
      }
    pivot.reduced_cost = reduced(row, col);
    for (std::size_t k = 0; k < path_.size(); ++k) {
      const Arc& arc = arcs_[path_[k]];
      pivot.reduced_cost += (k % 2 == 0 ? -1 : 1) * reduced(arc.row, arc.col);
    }
    pivot.excess = total_;
    if (pivot.units == 0) return true;
    move(pivot.units);
    after_.clear();
    for (std::size_t k = 0; k < path_.size(); k += 2) {
      const std::size_t i = arcs_[path_[k]].row;
      const double here = excess_of(i, i == row ? pivot.units : 0);
      after_.emplace_back(i, here);
      pivot.excess += here - excess_[i];
    }
    move(-pivot.units);
    return true;
  }

  /// The one that was tried last.
  void make(const Pivot& pivot, std::size_t row, std::size_t col) {
    if (pivot.units > 0) {
      move(pivot.units);
      for (const auto& [i, here] : after_) excess_[i] = here;
      total_ = std::accumulate(excess_.begin(), excess_.end(), 0.0);
    }
    const Arc old = arcs_[pivot.leaving];
    for (const std::size_t node : {old.row, n_ + old.col}) {
      auto& arcs = arcs_of_[node];
      arcs.erase(std::find(arcs.begin(), arcs.end(), pivot.leaving));
    }
    arcs_[pivot.leaving] = {row, col, pivot.units};
    arcs_of_[row].push_back(pivot.leaving);
    arcs_of_[n_ + col].push_back(pivot.leaving);
  }

  [[nodiscard]] Pairs pairs() const {
    Pairs pairs(n_);
    for (const Arc& arc : arcs_)
      if (arc.units > 0) pairs[arc.row].push_back(static_cast<std::int32_t>(arc.col));
    return pairs;
  }

 private:
  struct Arc {
    std::size_t row, col;
    std::int64_t units;
  };

  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  std::size_t other_end(std::size_t arc, std::size_t node) const {
    return node < n_ ? n_ + arcs_[arc].col : arcs_[arc].row;
  }

  void add_arc(std::size_t row, std::size_t col) {
    arcs_of_[row].push_back(arcs_.size());
    arcs_of_[n_ + col].push_back(arcs_.size());
    arcs_.push_back({row, col, 0});
  }

  /// The masses that a forest must have, from its leaves on. What rounding has left over stays where it is.
  void ship(const MassUnits& units) {
    std::vector<std::int64_t> left(units.rows.begin(), units.rows.end());
    left.insert(left.end(), units.cols.begin(), units.cols.end());
    std::vector<std::size_t> degree(arcs_of_.size()), leaves;
    std::vector<char> is_done(arcs_.size(), 0);
    for (std::size_t v = 0; v < degree.size(); ++v)
      if ((degree[v] = arcs_of_[v].size()) == 1) leaves.push_back(v);
    while (!leaves.empty()) {
      const std::size_t leaf = leaves.back();
      leaves.pop_back();
      for (const std::size_t arc : arcs_of_[leaf]) {
        if (is_done[arc]) continue;
        const std::size_t next = other_end(arc, leaf);
        arcs_[arc].units = std::min(left[leaf], left[next]);
        left[leaf] -= arcs_[arc].units;
        left[next] -= arcs_[arc].units;
        is_done[arc] = 1;
        if (--degree[next] == 1) leaves.push_back(next);
      }
    }
  }

  /// Joins the forest's trees by arcs on which nothing moves.
  void connect() {
    std::vector<std::size_t> tree(arcs_of_.size(), none), first_row, first_col, stack;
    for (std::size_t v = 0; v < tree.size(); ++v) {
      if (tree[v] != none) continue;
      const std::size_t number = first_row.size();
      first_row.push_back(none);
      first_col.push_back(none);
      stack.push_back(v);
      tree[v] = number;
      while (!stack.empty()) {
        const std::size_t u = stack.back();
        stack.pop_back();
        auto& first = u < n_ ? first_row[number] : first_col[number];
        if (first == none) first = u;
        for (const std::size_t arc : arcs_of_[u]) {
          const std::size_t next = other_end(arc, u);
          if (tree[next] != none) continue;
          tree[next] = number;
          stack.push_back(next);
        }
      }
    }
    // Every node has mass, and so every tree has a row and a column.
    for (std::size_t t = 1; t < first_row.size(); ++t)
      if (first_row[t - 1] != none && first_col[t] != none) add_arc(first_row[t - 1], first_col[t] - n_);
  }

  /// Mass and number of the entries of a row beyond the largest ones, with one more of so many units.
  double excess_of(std::size_t row, std::int64_t one_more = 0) {
    sizes_.clear();
    for (const std::size_t arc : arcs_of_[row])
      if (arcs_[arc].units > 0) sizes_.push_back(arcs_[arc].units);
    if (one_more > 0) sizes_.push_back(one_more);
    if (sizes_.size() <= most_) return 0;
    const auto end = sizes_.begin() + static_cast<std::ptrdiff_t>(most_);
    std::nth_element(sizes_.begin(), end, sizes_.end(), std::greater<>());
    double sum = 0;
    for (auto size = end; size != sizes_.end(); ++size) sum += static_cast<double>(*size) * unit_ + small_;
    return sum;
  }

  void move(std::int64_t units) {
    for (std::size_t k = 0; k < path_.size(); ++k) arcs_[path_[k]].units += k % 2 == 0 ? -units : units;
  }

  /// The arcs from `from` to `to`, a row and a column.
  void find_path(std::size_t from, std::size_t to) {
    path_.clear();
    stack_.assign(1, to);
    by_[to] = none;
    while (!stack_.empty()) {
      const std::size_t u = stack_.back();
      if (u == from) break;
      stack_.pop_back();
      for (const std::size_t arc : arcs_of_[u]) {
        if (arc == by_[u]) continue;
        const std::size_t next = other_end(arc, u);
        by_[next] = arc;
        stack_.push_back(next);
      }
    }
    if (stack_.empty()) return;
    for (std::size_t u = from; u != to; u = other_end(by_[u], u)) path_.push_back(by_[u]);
  }

  std::size_t n_, most_;
  double unit_, small_;
  std::vector<Arc> arcs_;
  std::vector<std::vector<std::size_t>> arcs_of_;
  std::vector<std::size_t> by_, stack_, path_;
  std::vector<double> excess_;
  std::vector<std::pair<std::size_t, double>> after_;
  std::vector<std::int64_t> sizes_;
  double total_ = 0;
};

}  // namespace

Pairs north_west_plan(const MassUnits& units) {
  const auto by_mass = [](const std::vector<std::int64_t>& masses) {
    std::vector<std::size_t> order(masses.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) { return masses[x] > masses[y]; });
    return order;
  };
  const std::vector<std::size_t> rows = by_mass(units.rows), cols = by_mass(units.cols);
  Pairs pairs(rows.size());
  std::int64_t row_left = units.rows[rows[0]], col_left = units.cols[cols[0]];
  for (std::size_t i = 0, j = 0;;) {
    pairs[rows[i]].push_back(static_cast<std::int32_t>(cols[j]));
    const std::int64_t moved = std::min(row_left, col_left);
    row_left -= moved;
    col_left -= moved;
    const bool next_row = row_left == 0, next_col = col_left == 0;
    if (next_row && ++i < rows.size()) row_left = units.rows[rows[i]];
    if (next_col && ++j < cols.size()) col_left = units.cols[cols[j]];
    if (i == rows.size() || j == cols.size()) return pairs;
  }
}

bool limit_rows(const Costs& costs, const MassUnits& units, std::span<const double> f, std::span<const double> g,
                double typical_cost, Index most, Index most_pivots, std::uint64_t seed, Monitor& monitor,
                Pairs& pairs) {
  constexpr double most_work = 1e8;  // nodes that are visited
  constexpr Index choices = 3, more_choices = 12;
  constexpr double hot = 1, cold = 1e-3;  // in units of a mean mass
  constexpr double weight_of_costs = 0.2, guided = 0.7;
  const std::size_t n = units.rows.size(), m = units.cols.size();
  const double mean = 1 / static_cast<double>(m);
  const auto steps = std::min(most_pivots, static_cast<Index>(most_work / static_cast<double>(n + m)));
  std::vector<double> tile(Costs::tile + 32);
  const auto reduced = [&](std::size_t i, std::size_t j) {
    const double cost = costs.cost(static_cast<Index>(i), static_cast<Index>(j), tile.data());
    return cost - f[i] - g[j];
  };
  std::mt19937_64 random(seed);
  const auto uniform = [&random] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  const auto any = [&](std::size_t size) {
    return std::min(size - 1, static_cast<std::size_t>(uniform() * static_cast<double>(size)));
  };
  const auto cheap_row = [&](std::size_t col, Index count) {
    std::size_t row = any(n);
    for (Index choice = 1; choice < count; ++choice) {
      const std::size_t other = any(n);
      if (reduced(other, col) < reduced(row, col)) row = other;
    }
    return row;
  };
  LimitedTree tree(units, most, pairs);
  LimitedTree::Pivot pivot;
  std::vector<std::size_t> bad;
  for (Index step = 0; step < steps; ++step) {
    if (step % 64 == 0) monitor.poll(0);
    bad.clear();
    for (std::size_t i = 0; i < n; ++i)
      if (tree.is_bad(i)) bad.push_back(i);
    if (bad.empty()) break;
    const std::size_t col = uniform() < guided ? tree.col_of(bad[any(bad.size())], uniform()) : any(m);
    const std::size_t row = cheap_row(col, choices);
    if (!tree.try_pivot(row, col, reduced, pivot) || !(pivot.reduced_cost < std::numeric_limits<double>::infinity()))
      continue;
    const double cost = pivot.units == 0 ? 0
                                         : static_cast<double>(pivot.units) * units.unit * pivot.reduced_cost /
                                               std::max(typical_cost, std::numeric_limits<double>::min());
    const double rise = pivot.excess - tree.total_excess() + weight_of_costs * cost;
    const double done = static_cast<double>(step) / static_cast<double>(steps);
    const double temperature = mean * hot * std::pow(cold / hot, done);
    if (rise <= 0 || uniform() < std::exp(-rise / temperature)) tree.make(pivot, row, col);
  }
  if (!bad.empty()) return false;
  // Down with the costs, as far as the limits let them.
  const auto patience = static_cast<Index>(4 * (n + m));
  Index last_success = 0;
  for (Index step = 0; step < steps && step - last_success < patience; ++step) {
    if (step % 64 == 0) monitor.poll(0);
    const std::size_t col = any(m), row = cheap_row(col, more_choices);
    if (!tree.try_pivot(row, col, reduced, pivot) || pivot.excess > 0) continue;
    if (pivot.units == 0) {
      tree.make(pivot, row, col);
    } else if (pivot.reduced_cost < -1e-12 * typical_cost) {
      tree.make(pivot, row, col);
      last_success = step;
    }
  }
  pairs = tree.pairs();
  return std::all_of(pairs.begin(), pairs.end(), [most](const auto& cols) { return std::ssize(cols) <= most; });
}

}  // namespace nearlinear::ot
