/// The largest entries of long rows, read off the sums of a dense accumulator: which of the other columns are used,
/// nobody asks, and so no flag is written and no entry collected only to be dropped.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "core/arithmetic.hpp"
#include "sparse/kernels.hpp"
#include "sparse/selection.hpp"

namespace nearlinear::sparse {

/// Columns that nothing meets have the sum 0, as entries may have that are stored. Sums above 0 are entries, however,
/// and where there are top_k of them, no other can be among the largest.
template <class T, class I>
class LargestSums {
 public:
  /// Whether looking at all sums costs less than to keep account of those that are used.
  [[nodiscard]] static bool are_worth_a_look(const Selection& selection, const Token& token, bool dense) {
    constexpr Index columns_per_product = 8;
    return selection.top_k > 0 && dense && token.all_columns &&
           token.products >= ceil_divide(token.col_end, columns_per_product) * (token.row_end - token.row_begin);
  }

  /// Row `row` of C, if it has so many entries above 0 that nothing else is kept; otherwise nothing, and `sums` is zero
  /// again in both cases. After rows that had not, the next ones are not tried: where entries are negative, or fewer
  /// than top_k, that would be in vain again and again.
  std::optional<Index> compute(const ProductKernels<T, I>& kernels, const Operands<T, I>& operands,
                               const Selection& selection, Index row, std::span<T> sums, LargestEntries<T>& largest,
                               I* indices, T* data) {
    if (selection.top_k > std::ssize(sums)) return std::nullopt;
    if (untried_ > 0) {
      --untried_;
      return std::nullopt;
    }
    kernels.add_row(operands, row, sums.data());
    const T below = std::nextafter(static_cast<T>(selection.threshold), T{0});  // entries equal to the threshold stay
    const std::span<Index> found = largest.find_above({sums}, selection.top_k, below, [](Index) {});
    const bool complete = std::ssize(found) == selection.top_k;
    if (complete) {
      std::sort(found.begin(), found.end());
      for (std::size_t e = 0; e < found.size(); ++e) {
        indices[e] = static_cast<I>(found[e]);
        data[e] = sums[static_cast<std::size_t>(found[e])];
      }
    }
    std::fill(sums.begin(), sums.end(), T{0});
    if (!complete) {
      untried_ = pause_;
      pause_ = std::min<Index>(2 * pause_, 64);
      return std::nullopt;
    }
    pause_ = 1;
    return selection.top_k;
  }

 private:
  Index untried_ = 0;  // rows that are still to be passed over
  Index pause_ = 1;    // rows that will be when the next one fails
};

}  // namespace nearlinear::sparse
