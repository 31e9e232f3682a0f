// Rows of plans with a quadratic regularisation.
#include "ot/quadratic_rows.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <mutex>
#include <numeric>

namespace nearlinear::ot {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double dot(std::span<const double> x, std::span<const double> y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

void finish(double reg, const Problem& problem, double squares, QuadraticPoint& at) {
  at.value = dot(at.f, problem.a) + dot(at.g, problem.b) - squares / (2 * reg);
  at.error = 0;
  for (std::size_t j = 0; j < at.c.size(); ++j) at.error += std::abs(problem.b[j] - at.c[j]);
}

}  // namespace

Index QuadraticPoint::most_entries() const { return *std::max_element(entries.begin(), entries.end()); }

double excess(std::span<const double> x, double total) {
  double taken = 0;
  for (;;) {
    double sum = 0;
    Index count = 0;
    for (const double entry : x)
      if (entry > taken) {
        sum += entry;
        ++count;
      }
    if (count == 0) return taken;
    const double next = (sum - total) / static_cast<double>(count);
    if (!(next > taken)) return taken;
    taken = next;
  }
}

/// Pairs of a row by ascending column, with x_j = g_j - C_ij.
struct LimitedRows::Found {
  explicit Found(Index m) : cols(m + 8), x(m + 8), by_size(m), tile(Costs::tile + 32) {}

  Array<std::int32_t> cols;
  Array<double> x;
  Array<double> by_size;
  Array<double> tile;
  Index size = 0;
  double last = 0;  // the least x after keep(), and the largest of those that had to go
  double first_out = -infinity;

  /// Leaves those that are above the largest one less `total`; others have no entries. Returns what all are above.
  double drop_below_largest(double total, double threshold) {
    const double largest = *std::max_element(x.begin(), x.begin() + size);
    if (!(largest - total > threshold)) return threshold;
    threshold = largest - total;
    Index kept = 0;
    for (Index k = 0; k < size; ++k) {
      if (!(x[k] > threshold || x[k] == largest)) continue;
      cols[kept] = cols[k];
      x[kept++] = x[k];
    }
    size = kept;
    return threshold;
  }

  /// Leaves the `most` largest ones.
  void keep(Index most) {
    first_out = -infinity;
    if (size > most) {
      std::copy_n(x.data(), size, by_size.data());
      std::nth_element(by_size.begin(), by_size.begin() + most, by_size.begin() + size, std::greater<>());
      first_out = by_size[most];
      last = *std::min_element(by_size.begin(), by_size.begin() + most);
      Index room = most - static_cast<Index>(std::count_if(by_size.begin(), by_size.begin() + most,
                                                           [this](double entry) { return entry > last; }));
      Index kept = 0;
      for (Index k = 0; k < size; ++k) {
        if (x[k] < last || (x[k] == last && room-- <= 0)) continue;
        cols[kept] = cols[k];
        x[kept++] = x[k];
      }
      size = kept;
    } else if (size > 0) {
      last = *std::min_element(x.begin(), x.begin() + size);
    }
  }
};

LimitedRows::LimitedRows(const Problem& problem, RowPasses& passes, Index most_entries)
    : problem_(problem),
      passes_(passes),
      most_(std::min(most_entries, problem.cols())),
      thresholds_(problem.a.size(), infinity),
      margins_(problem.a.size(), 1.0),
      squares_(problem.a.size()) {}

/// body(begin, end, found) for groups of rows, with memory of their own.
template <class Body>
void LimitedRows::for_found(const Body& body) {
  passes_.for_groups(nanoseconds(), [&](Index begin, Index end) {
    Found found(problem_.cols());
    for (Index i = begin; i < end; ++i) body(i, found);
  });
}

/// Of a pair; without exponentials, a matrix is read faster than Costs says.
double LimitedRows::nanoseconds() const {
  return problem_.costs.is_computed() ? problem_.costs.nanoseconds_per_pair() : 0.6;
}

void LimitedRows::find(Index i, const double* g, double threshold, Found& found) const {
  found.size = 0;
  problem_.costs.for_tiles(i, found.tile.data(), [&]<class T>(const T* cost, Index first, Index count) {
    found.size += row_kernels<T>().collect(cost, g + first, count, 0.0, threshold, static_cast<std::int32_t>(first),
                                           found.cols.data() + found.size, found.x.data() + found.size);
  });
}

/// The best row for g with the sum `total` / reg, f, and the pairs that may have entries in it.
void LimitedRows::solve(Index i, double total, const double* g, double& f, Found& found) {
  constexpr double many = 2, few = 8, narrower = 0.5, wider = 4;
  const auto place = static_cast<std::size_t>(i);
  double threshold = thresholds_[place];
  bool is_enough = false;
  if (threshold < infinity) {
    find(i, g, threshold, found);
    double sum = 0;
    for (Index k = 0; k < found.size; ++k) sum += found.x[k] - threshold;
    is_enough = sum >= total || (has_corners() && found.size >= most_);
    if (!is_enough) margins_[place] = std::min(1.0, wider * margins_[place]);
  }
  if (!is_enough) {
    const auto [best, largest] = problem_.costs.best(i, g, found.tile.data());
    threshold = largest - total;  // with this as -f, the largest entry alone would be enough
    find(i, g, threshold, found);
    if (found.size == 0) {  // the mass is lost in the rounding of costs
      found.cols[0] = static_cast<std::int32_t>(best);
      found.x[0] = largest;
      found.size = 1;
    }
  }
  const Index candidates = found.size;
  if (is_enough) threshold = found.drop_below_largest(total, threshold);
  found.keep(most_);
  double base = threshold, sum = 0;
  for (Index k = 0; k < found.size; ++k) sum += found.x[k] - base;
  if (sum < total) base = found.last - total;  // all that are kept have entries
  for (Index k = 0; k < found.size; ++k) found.by_size[k] = found.x[k] - base;
  f = -(base + excess({found.by_size.data(), static_cast<std::size_t>(found.size)}, total));
  // Pairs that are not among the candidates have no entries, also where f is rounded: collect() relies on it.
  if (found.size < most_) f = std::min(f, -threshold);
  const auto entries = static_cast<double>(
      std::count_if(found.x.data(), found.x.data() + found.size, [f](double x) { return x + f > 0; }));
  if (is_enough && static_cast<double>(candidates) > many * entries + few) margins_[place] *= narrower;
  const double cut = found.first_out > -f ? found.last : -f;
  thresholds_[place] = cut - margins_[place] * total;
}

void LimitedRows::evaluate(double reg, QuadraticPoint& at) {
  ++count_;
  const double* const g = at.g.data();
  passes_.sum_groups(nanoseconds(), at.c.data(), [&](Index begin, Index end, double* sums) {
    Found found(problem_.cols());
    for (Index row = begin; row < end; ++row) {
      const auto i = static_cast<std::size_t>(row);
      solve(row, reg * problem_.a[i], g, at.f[i], found);
      double squares = 0;
      Index positive = 0;
      for (Index k = 0; k < found.size; ++k) {
        const double slack = found.x[k] + at.f[i];
        if (!(slack > 0)) continue;
        sums[found.cols[k]] += slack / reg;
        squares += slack * slack;
        ++positive;
      }
      squares_[i] = squares;
      at.entries[i] = positive;
    }
  });
  finish(reg, problem_, std::accumulate(squares_.begin(), squares_.end(), 0.0), at);
}

double LimitedRows::evaluate(double reg, std::span<const double> f, std::span<const double> g, std::span<double> r,
                             std::span<double> c) {
  ++count_;
  passes_.sum_groups(nanoseconds(), c.data(), [&](Index begin, Index end, double* sums) {
    Found found(problem_.cols());
    for (Index row = begin; row < end; ++row) {
      const auto i = static_cast<std::size_t>(row);
      find(row, g.data(), -f[i], found);
      found.keep(most_);
      double squares = 0, sum = 0;
      for (Index k = 0; k < found.size; ++k) {
        const double slack = found.x[k] + f[i];
        sums[found.cols[k]] += slack / reg;
        sum += slack / reg;
        squares += slack * slack;
      }
      r[i] = sum;
      squares_[i] = squares;
    }
  });
  return dot(f, problem_.a) + dot(g, problem_.b) - std::accumulate(squares_.begin(), squares_.end(), 0.0) / (2 * reg);
}

void LimitedRows::collect(const QuadraticPoint& at, BipartiteLaplacian& active, std::vector<double>& slacks) {
  const auto indptr = active.indptr();
  indptr[0] = 0;
  std::partial_sum(at.entries.begin(), at.entries.end(), indptr.begin() + 1);
  active.make_room();
  slacks.resize(static_cast<std::size_t>(active.nnz()));
  for_found([&](Index row, Found& found) {
    const auto i = static_cast<std::size_t>(row);
    find(row, at.g.data(), -at.f[i], found);  // x > -f is x + f > 0, also for rounded numbers
    found.keep(most_);
    const Index place = indptr[i];
    std::copy_n(found.cols.data(), found.size, active.indices().data() + place);
    for (Index k = 0; k < found.size; ++k) slacks[static_cast<std::size_t>(place + k)] = found.x[k] + at.f[i];
  });
  std::fill_n(active.values().begin(), active.nnz(), 1.0);
}

std::vector<double> LimitedRows::onsets(const QuadraticPoint& at) const {
  std::vector<double> onsets(at.g.size(), infinity);
  std::mutex mutex;  // of a minimum, which does not depend on the order
  passes_.for_groups(nanoseconds(), [&](Index begin, Index end) {
    std::vector<double> of_group(onsets.size(), infinity), tile(Costs::tile + 32);
    for (Index i = begin; i < end; ++i)
      problem_.costs.for_tiles(i, tile.data(), [&]<class T>(const T* cost, Index first, Index count) {
        row_kernels<T>().lower(cost, count, at.f[static_cast<std::size_t>(i)], of_group.data() + first);
      });
    const std::lock_guard lock(mutex);
    for (std::size_t j = 0; j < onsets.size(); ++j) onsets[j] = std::min(onsets[j], of_group[j]);
  });
  return onsets;
}

Index LimitedRows::ties(const QuadraticPoint& at, double tolerance) {
  std::vector<char> is_tied(at.f.size(), 0);
  for_found([&](Index row, Found& found) {
    const auto i = static_cast<std::size_t>(row);
    find(row, at.g.data(), -at.f[i], found);
    found.keep(most_);
    is_tied[i] = found.first_out > -at.f[i] && found.last - found.first_out <= tolerance ? 1 : 0;
  });
  return std::count(is_tied.begin(), is_tied.end(), 1);
}

std::vector<std::int32_t> LimitedRows::best_columns(const QuadraticPoint& at, Index most, double threshold) {
  const auto width = static_cast<std::size_t>(most);
  std::vector<std::int32_t> columns(at.f.size() * width, -1);
  for_found([&](Index row, Found& found) {
    const auto i = static_cast<std::size_t>(row);
    find(row, at.g.data(), threshold - at.f[i], found);
    found.keep(most);
    std::vector<std::int32_t> order(static_cast<std::size_t>(found.size));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto k, auto l) { return found.x[k] > found.x[l]; });
    for (std::size_t k = 0; k < order.size(); ++k) columns[i * width + k] = found.cols[order[k]];
  });
  return columns;
}

SupportRows::SupportRows(const Problem& problem, const Support& support) : problem_(problem), support_(support) {
  for (std::size_t i = 0; i + 1 < support.indptr.size(); ++i)
    x_.resize(std::max(x_.size(), static_cast<std::size_t>(support.indptr[i + 1] - support.indptr[i])));
}

void SupportRows::evaluate(double reg, QuadraticPoint& at) {
  std::fill(at.c.begin(), at.c.end(), 0.0);
  double squares = 0;
  for (std::size_t i = 0; i < at.f.size(); ++i) {
    const auto begin = static_cast<std::size_t>(support_.indptr[i]);
    const auto size = static_cast<std::size_t>(support_.indptr[i + 1]) - begin;
    const double total = reg * problem_.a[i];
    const auto x_of = [&](std::size_t k) {
      return at.g[static_cast<std::size_t>(support_.cols[begin + k])] - support_.costs[begin + k];
    };
    double largest = -infinity;
    for (std::size_t k = 0; k < size; ++k) largest = std::max(largest, x_of(k));
    const double threshold = largest - total;
    for (std::size_t k = 0; k < size; ++k) x_[k] = std::max(0.0, x_of(k) - threshold);
    at.f[i] = -(threshold + excess({x_.data(), size}, total));
    Index positive = 0;
    for (std::size_t k = 0; k < size; ++k) {
      const double slack = x_of(k) + at.f[i];
      if (!(slack > 0)) continue;
      at.c[static_cast<std::size_t>(support_.cols[begin + k])] += slack / reg;
      squares += slack * slack;
      ++positive;
    }
    at.entries[i] = positive;
  }
  finish(reg, problem_, squares, at);
}

std::vector<double> SupportRows::onsets(const QuadraticPoint& at) const {
  std::vector<double> onsets(at.g.size(), infinity);
  for (std::size_t i = 0; i < at.f.size(); ++i)
    for (auto k = static_cast<std::size_t>(support_.indptr[i]); k < static_cast<std::size_t>(support_.indptr[i + 1]);
         ++k) {
      double& onset = onsets[static_cast<std::size_t>(support_.cols[k])];
      onset = std::min(onset, support_.costs[k] - at.f[i]);
    }
  return onsets;
}

void SupportRows::collect(const QuadraticPoint& at, BipartiteLaplacian& active, std::vector<double>& slacks) const {
  const auto indptr = active.indptr();
  indptr[0] = 0;
  std::partial_sum(at.entries.begin(), at.entries.end(), indptr.begin() + 1);
  active.make_room();
  slacks.resize(static_cast<std::size_t>(active.nnz()));
  std::size_t place = 0;
  for (std::size_t i = 0; i < at.f.size(); ++i)
    for (auto k = static_cast<std::size_t>(support_.indptr[i]); k < static_cast<std::size_t>(support_.indptr[i + 1]);
         ++k) {
      const double slack = (at.g[static_cast<std::size_t>(support_.cols[k])] - support_.costs[k]) + at.f[i];
      if (!(slack > 0)) continue;
      active.indices()[place] = support_.cols[k];
      slacks[place++] = slack;
    }
  std::fill_n(active.values().begin(), active.nnz(), 1.0);
}

}  // namespace nearlinear::ot
