#include "sparse/selection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nearlinear::sparse {
namespace {

/// Moves the entries for which keep(value) holds to the front; without a branch, since which stay cannot be guessed.
template <class T, class I, class Keep>
Index filter(Index size, I* indices, T* data, const Keep& keep) {
  Index kept = 0;
  for (Index e = 0; e < size; ++e) {
    const T value = data[e];
    indices[kept] = indices[e];
    data[kept] = value;
    kept += static_cast<Index>(keep(value));
  }
  return kept;
}

template <class T, class I>
Index select_row(const Selection& selection, Index size, I* indices, T* data, LargestEntries<T>& largest) {
  if (selection.threshold > 0) {
    const T threshold = static_cast<T>(selection.threshold);
    size = filter(size, indices, data, [threshold](T value) { return !(std::abs(value) < threshold); });
  } else if (selection.prune_zeros) {
    size = filter(size, indices, data, [](T value) { return value != T{0}; });
  }
  if (selection.top_k == 0 || size <= selection.top_k) return size;
  constexpr T none = std::numeric_limits<T>::quiet_NaN();
  const std::span<Index> places =
      largest.find({data, static_cast<std::size_t>(size)}, selection.top_k, none, [](Index) {});
  std::sort(places.begin(), places.end());
  for (std::size_t e = 0; e < places.size(); ++e) {
    indices[e] = indices[places[e]];
    data[e] = data[places[e]];
  }
  return selection.top_k;
}

}  // namespace

template <class T, class I>
Index select_entries(const Selection& selection, Index rows, I* indices, T* data, Index* row_sizes,
                     LargestEntries<T>& largest) {
  Index from = 0, to = 0;
  for (Index row = 0; row < rows; ++row) {
    const Index size = row_sizes[row];
    const Index kept = select_row(selection, size, indices + from, data + from, largest);
    if (from != to) {
      std::copy_n(indices + from, kept, indices + to);
      std::copy_n(data + from, kept, data + to);
    }
    row_sizes[row] = kept;
    from += size;
    to += kept;
  }
  return to;
}

#define NEARLINEAR_INSTANTIATE(T, I) \
  template Index select_entries(const Selection&, Index, I*, T*, Index*, LargestEntries<T>&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sparse
