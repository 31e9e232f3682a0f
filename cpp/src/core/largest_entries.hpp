/// Selection of the largest entries: candidates above a threshold gather in a buffer, and when it is full, the k best
/// of them stay and raise the threshold. Of n entries in random order, some k log(n / k) become candidates.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "nearlinear/core/array.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear {

/// Appends to found[count...] the indices from `begin` on of entries above the threshold, in order, until all `size`
/// entries are seen or fewer than collected_together places are left of `capacity`; returns the first index that was
/// not seen. A kernel: core/collect_above.hpp has it for the tables of rooms.
template <class T>
using CollectAbove = Index (*)(const T* x, Index begin, Index size, T threshold, Index* found, Index* count,
                               Index capacity) noexcept;

constexpr Index collected_together = 64;

/// The order of indices in which larger values come first, and of equals the first; none may be NaN.
template <class T>
struct LargestFirst {
  const T* values;

  bool operator()(Index i, Index j) const { return values[i] > values[j] || (values[i] == values[j] && i < j); }
};

/// Finds the largest entries of one vector after the other, and keeps its memory between them.
template <class T>
class LargestEntries {
 public:
  explicit LargestEntries(CollectAbove<T> collect_above) : collect_above_(collect_above) {}

  /// The indices of the k largest entries of x, k of at least 1 and at most the size of x, of equals those that come
  /// first: in no order, but for NaN, which is taken and stands behind all others. Entries below `warm_threshold` are
  /// looked at only when there are fewer than k others; NaN and -Inf stand for none. poll(i) is called now and then,
  /// when i entries have been seen.
  ///
  /// The span is valid until the next call, and may be written to.
  template <class Poll>
  std::span<Index> find(std::span<const T> x, Index k, T warm_threshold, const Poll& poll) {
    reserve(k);
    // Entries equal to the threshold count: the greatest number below it is what they must lie above.
    Index count = 0;
    if (warm_threshold > lowest) count = collect(x, k, std::nextafter(warm_threshold, lowest), poll);
    if (count < k) count = collect(x, k, lowest, poll);
    if (count < k) count = append(x, k, count, [](T value) { return value == lowest; });
    if (count < k) append(x, k, count, [](T value) { return std::isnan(value); });
    return {found_.data(), static_cast<std::size_t>(k)};
  }

  /// The same of the entries above `threshold` alone, or all of these when there are fewer than k; none is NaN.
  template <class Poll>
  std::span<Index> find_above(std::span<const T> x, Index k, T threshold, const Poll& poll) {
    reserve(k);
    return {found_.data(), static_cast<std::size_t>(collect(x, k, threshold, poll))};
  }

 private:
  static constexpr T lowest = -std::numeric_limits<T>::infinity();
  static constexpr Index stretch = Index{1} << 20;  // entries between two polls

  static Index capacity(Index k) { return 2 * k + collected_together; }

  void reserve(Index k) {
    if (found_.size() < capacity(k)) found_ = Array<Index>(capacity(k));
  }

  /// The k largest of the entries above `threshold`, or all of them when there are fewer; returns their number. No
  /// candidate is NaN, so that their order is strict.
  template <class Poll>
  Index collect(std::span<const T> x, Index k, T threshold, const Poll& poll) {
    const T* const values = x.data();
    const LargestFirst<T> in_order{values};
    const Index n = std::ssize(x);
    Index count = 0;
    for (Index at = 0; at < n;) {
      poll(at);
      at = collect_above_(values, at, std::min(n, at + stretch), threshold, found_.data(), &count, capacity(k));
      if (capacity(k) - count >= collected_together) continue;
      // An entry that equals the k-th largest of those before it has the higher index: it may be passed over from now
      // on.
      std::nth_element(found_.begin(), found_.begin() + (k - 1), found_.begin() + count, in_order);
      threshold = values[found_[k - 1]];
      count = k;
    }
    const Index kept = std::min(k, count);
    if (kept < count) std::nth_element(found_.begin(), found_.begin() + kept, found_.begin() + count, in_order);
    return kept;
  }

  /// Appends the indices of entries that are `wanted`, in order, while there are fewer than k.
  template <class Wanted>
  Index append(std::span<const T> x, Index k, Index count, const Wanted& wanted) {
    for (std::size_t i = 0; i < x.size() && count < k; ++i)
      if (wanted(x[i])) found_[count++] = static_cast<Index>(i);
    return count;
  }

  CollectAbove<T> collect_above_;
  Array<Index> found_;
};

}  // namespace nearlinear
