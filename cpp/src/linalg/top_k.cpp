// Selection of the largest entries of a vector.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/largest_entries.hpp"
#include "linalg/elementwise_kernels.hpp"
#include "linalg/kernels.hpp"
#include "nearlinear/core/monitor.hpp"
#include "nearlinear/linalg/elementwise.hpp"

namespace nearlinear {
namespace {

template <class T>
CollectAbove<T> collect_above() {
  if constexpr (std::is_same_v<T, float>) return linalg::kernels().elementwise->f32.collect_above;
  if constexpr (std::is_same_v<T, double>) return linalg::kernels().elementwise->f64.collect_above;
}

}  // namespace

template <class T>
void top_k(std::span<const T> x, Index k, std::span<Index> indices, std::type_identity_t<T> warm_threshold,
           const RunOptions& run) {
  require(k >= 0 && k <= std::ssize(x), "top_k: k is ", k, " and x has ", x.size(),
          " entries; k must be at least 0 and at most their number");
  require(std::ssize(indices) == k, "top_k: k is ", k, " and indices has ", indices.size(), " entries; it must have k");
  if (k == 0) return;
  Monitor monitor(run.keep_going);
  LargestEntries<T> largest(collect_above<T>());
  const std::span<Index> found = largest.find(x, k, warm_threshold, [&](Index seen) {
    monitor.poll(static_cast<double>(seen) / static_cast<double>(x.size()));
  });
  const auto numbers_end =
      std::find_if(found.begin(), found.end(), [x](Index i) { return std::isnan(x[static_cast<std::size_t>(i)]); });
  std::sort(found.begin(), numbers_end, LargestFirst<T>{x.data()});
  std::copy(found.begin(), found.end(), indices.begin());
}

template void top_k(std::span<const float>, Index, std::span<Index>, float, const RunOptions&);
template void top_k(std::span<const double>, Index, std::span<Index>, double, const RunOptions&);

}  // namespace nearlinear
