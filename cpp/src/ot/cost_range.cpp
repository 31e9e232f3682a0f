// Costs, looked at once.
#include "ot/cost_range.hpp"

#include <algorithm>
#include <limits>

#include "nearlinear/core/errors.hpp"

namespace nearlinear::ot {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Throws unless every column has a finite cost.
void require_open_columns(const Problem& problem, const Marginal& b, RowPasses& passes, const char* function,
                          const char* column) {
  std::vector<double> finite(problem.b.size());
  passes.sum_rows(1, finite.data(), [&](Index i, const RowScratch& scratch, double* sums) {
    problem.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
      for (Index j = 0; j < count; ++j) sums[first + j] += cost[j] < std::numeric_limits<T>::infinity() ? 1.0 : 0.0;
    });
  });
  for (std::size_t j = 0; j < finite.size(); ++j)
    require(finite[j] > 0, function, ": C forbids all pairs of ", column, " ", b.place(j),
            ", which has mass; no plan has these marginals");
}

/// Costs here and there, above the least of their row: constants of rows do not count.
class Samples {
 public:
  Samples(Index rows, Index cols)
      : cols_(cols),
        of_row_(std::clamp(most / rows, Index{1}, std::min(cols, most_of_row))),
        values_(static_cast<std::size_t>(rows * of_row_), infinity) {}

  template <class T>
  void take(Index i, const T* cost, Index first, Index count) {
    for (Index s = 0; s < of_row_; ++s) {
      const Index j = (s * cols_ + i % cols_) / of_row_ % cols_;
      if (j >= first && j < first + count)
        values_[static_cast<std::size_t>(i * of_row_ + s)] = static_cast<double>(cost[j - first]);
    }
  }
  void subtract(Index i, double smallest) {
    for (Index s = 0; s < of_row_; ++s) values_[static_cast<std::size_t>(i * of_row_ + s)] -= smallest;
  }

  /// Of those that are finite.
  double third_quartile() {
    const auto end = std::remove_if(values_.begin(), values_.end(), [](double x) { return !(x < infinity); });
    if (end == values_.begin()) return 0;
    const auto place = values_.begin() + (end - values_.begin() - 1) * 3 / 4;
    std::nth_element(values_.begin(), place, end);
    return *place;
  }

 private:
  static constexpr Index most = 1 << 14, most_of_row = 16;

  Index cols_;
  Index of_row_;
  std::vector<double> values_;
};

}  // namespace

CostRange checked_range(const Problem& problem, const Marginal& a, const Marginal& b, RowPasses& passes,
                        const char* function, bool is_transposed) {
  const char* const row = is_transposed ? "column" : "row";
  const char* const column = is_transposed ? "row" : "column";
  std::vector<Range> ranges(problem.a.size(), range_of_nothing);
  Samples samples(problem.rows(), problem.cols());
  passes.for_rows(0.3, [&](Index i, const RowScratch& scratch) {
    Range& range = ranges[static_cast<std::size_t>(i)];
    problem.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
      range = joined(range, row_kernels<T>().range(cost, count));
      samples.take(i, cost, first, count);
    });
    samples.subtract(i, range.smallest);
  });
  Range all = range_of_nothing;
  bool has_finite_row = false;  // then no column is forbidden altogether
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    require(ranges[i].valid, function, ": C has an entry in ", row, " ", a.place(i),
            " that is NaN or -Inf; entries must be finite, or +Inf for forbidden pairs");
    require(ranges[i].smallest < infinity, function, ": C forbids all pairs of ", row, " ", a.place(i),
            ", which has mass; no plan has these marginals");
    has_finite_row = has_finite_row || ranges[i].finite;
    all = joined(all, ranges[i]);
  }
  if (!has_finite_row) require_open_columns(problem, b, passes, function, column);
  require(all.largest - all.smallest < infinity, function, ": the range of C is not a double");
  const double typical = samples.third_quartile();
  return {all.largest, typical > 0 ? typical : all.largest - all.smallest, all.finite};
}

}  // namespace nearlinear::ot
