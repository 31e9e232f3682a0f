// Selection of the largest entries: candidates above a threshold gather in a buffer, and when it is full, the k best of
// them stay and raise the threshold.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/threads.hpp"
#include "linalg/elementwise_kernels.hpp"
#include "linalg/kernels.hpp"
#include "nearlinear/linalg/elementwise.hpp"

namespace nearlinear {
namespace {

template <class T>
linalg::CollectAbove<T> collect_above() {
  if constexpr (std::is_same_v<T, float>) return linalg::kernels().elementwise->f32.collect_above;
  if constexpr (std::is_same_v<T, double>) return linalg::kernels().elementwise->f64.collect_above;
}

constexpr Index stretch = Index{1} << 20;  // entries between two polls

/// The candidates of one pass over x: never a NaN, never -Inf.
template <class T>
class Candidates {
 public:
  Candidates(std::span<const T> x, Index k) : x_(x), k_(k), found_(k + std::max<Index>(k, 512)) {}

  /// Afterwards the k largest of the entries above `threshold`, or all of them when there are fewer, come first, in
  /// order.
  void collect(T threshold, Monitor& monitor) {
    const Index n = std::ssize(x_);
    count_ = 0;
    for (Index at = 0; at < n;) {
      monitor.poll(static_cast<double>(at) / static_cast<double>(n));
      at = collect_above<T>()(x_.data(), at, std::min(n, at + stretch), threshold, found_.data(), &count_,
                              found_.size());
      if (found_.size() - count_ >= linalg::lanes) continue;
      // An entry that equals the k-th largest of those before it has the higher index: it may be passed over from now
      // on.
      std::nth_element(found_.begin(), found_.begin() + (k_ - 1), found_.begin() + count_, in_order());
      threshold = value(found_[k_ - 1]);
      count_ = k_;
    }
    const Index kept = std::min(k_, count_);
    if (kept < count_) std::nth_element(found_.begin(), found_.begin() + kept, found_.begin() + count_, in_order());
    std::sort(found_.begin(), found_.begin() + kept, in_order());
    count_ = kept;
  }

  [[nodiscard]] Index count() const { return count_; }
  [[nodiscard]] const Array<Index>& indices() const { return found_; }

 private:
  [[nodiscard]] T value(Index i) const { return x_[static_cast<std::size_t>(i)]; }

  /// A strict order, since no candidate is NaN.
  [[nodiscard]] auto in_order() const {
    return [this](Index i, Index j) { return value(i) > value(j) || (value(i) == value(j) && i < j); };
  }

  std::span<const T> x_;
  Index k_;
  Array<Index> found_;
  Index count_ = 0;
};

/// Appends the indices of entries that are `wanted`, in order, while there is room.
template <class T, class Wanted>
Index append(std::span<const T> x, std::span<Index> indices, Index count, const Wanted& wanted) {
  const Index k = std::ssize(indices);
  for (std::size_t i = 0; i < x.size() && count < k; ++i)
    if (wanted(x[i])) indices[static_cast<std::size_t>(count++)] = static_cast<Index>(i);
  return count;
}

}  // namespace

template <class T>
void top_k(std::span<const T> x, Index k, std::span<Index> indices, std::type_identity_t<T> warm_threshold,
           const RunOptions& run) {
  require(k >= 0 && k <= std::ssize(x), "top_k: k is ", k, " and x has ", x.size(),
          " entries; k must be at least 0 and at most their number");
  require(std::ssize(indices) == k, "top_k: k is ", k, " and indices has ", indices.size(), " entries; it must have k");
  if (k == 0) return;
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  Monitor monitor(run.keep_going);
  Candidates<T> candidates(x, k);
  // Entries equal to the threshold count: the greatest number below it is what they must lie above.
  const bool warm = warm_threshold > lowest;  // false for NaN
  if (warm) candidates.collect(std::nextafter(warm_threshold, lowest), monitor);
  if (candidates.count() < k) candidates.collect(lowest, monitor);
  std::copy_n(candidates.indices().data(), candidates.count(), indices.data());

  Index count = candidates.count();
  if (count < k) count = append(x, indices, count, [](T value) { return value == lowest; });
  if (count < k) append(x, indices, count, [](T value) { return std::isnan(value); });
}

template void top_k(std::span<const float>, Index, std::span<Index>, float, const RunOptions&);
template void top_k(std::span<const double>, Index, std::span<Index>, double, const RunOptions&);

}  // namespace nearlinear
