// Plans whose marginals are right up to a small error, made right.
#include "ot/tree_correction.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nearlinear::ot {
namespace {

/// Trees of a forest that grows.
class Components {
 public:
  explicit Components(std::size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }

  bool join(std::size_t u, std::size_t v) {
    u = root(u);
    v = root(v);
    parent_[u] = v;
    return u != v;
  }

 private:
  std::size_t root(std::size_t v) {
    while (parent_[v] != v) v = parent_[v] = parent_[parent_[v]];
    return v;
  }

  std::vector<std::size_t> parent_;
};

}  // namespace

bool correct_marginals(const Problem& problem, const Support& support, std::vector<double>& entries) {
  constexpr double rounding = 1e-14;
  const std::size_t n = problem.a.size(), m = problem.b.size();
  std::vector<double> lacks(problem.a.begin(), problem.a.end());
  lacks.insert(lacks.end(), problem.b.begin(), problem.b.end());
  std::vector<std::size_t> row_of(entries.size()), order(entries.size());
  for (std::size_t i = 0; i < n; ++i)
    for (auto k = static_cast<std::size_t>(support.indptr[i]); k < static_cast<std::size_t>(support.indptr[i + 1]);
         ++k) {
      row_of[k] = i;
      lacks[i] -= entries[k];
      lacks[n + static_cast<std::size_t>(support.cols[k])] -= entries[k];
    }

  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t k, std::size_t l) { return entries[k] > entries[l]; });
  Components components(n + m);
  std::vector<std::vector<std::size_t>> arcs(n + m);
  for (const std::size_t k : order) {
    const std::size_t col = n + static_cast<std::size_t>(support.cols[k]);
    if (!components.join(row_of[k], col)) continue;
    arcs[row_of[k]].push_back(k);
    arcs[col].push_back(k);
  }

  std::vector<std::size_t> degree(n + m), leaves;
  std::vector<char> is_done(entries.size(), 0);
  for (std::size_t v = 0; v < n + m; ++v)
    if ((degree[v] = arcs[v].size()) == 1) leaves.push_back(v);
  while (!leaves.empty()) {
    const std::size_t leaf = leaves.back();
    leaves.pop_back();
    for (const std::size_t k : arcs[leaf]) {
      if (is_done[k]) continue;
      const std::size_t next = leaf < n ? n + static_cast<std::size_t>(support.cols[k]) : row_of[k];
      entries[k] += lacks[leaf];
      lacks[next] -= lacks[leaf];
      lacks[leaf] = 0;
      if (entries[k] < 0) {
        if (entries[k] < -rounding) return false;
        entries[k] = 0;
      }
      is_done[k] = 1;
      if (--degree[next] == 1) leaves.push_back(next);
    }
  }
  return std::all_of(lacks.begin(), lacks.end(),
                     [n](double lack) { return std::abs(lack) <= rounding * std::sqrt(static_cast<double>(n)); });
}

}  // namespace nearlinear::ot
