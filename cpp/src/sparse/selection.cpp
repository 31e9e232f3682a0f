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

/// The places of the k largest values, in rising order. NaN counts as infinite, so that it is not lost; of equal values
/// the first ones stay.
///
/// Candidates are gathered until there are 2 k, then halved. Only what exceeds the smallest of the k best so far is
/// one: of n values in random order some k log(n / k).
template <class T>
void find_largest(Index size, const T* data, Index k, std::vector<Index>& places) {
  constexpr Index together = 16;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const auto key = [data](Index place) { return std::isnan(data[place]) ? infinity : data[place]; };
  const auto is_better = [&](Index a, Index b) { return key(a) != key(b) ? key(a) > key(b) : a < b; };
  const auto count = static_cast<std::size_t>(k);
  places.clear();
  T floor = -infinity;
  bool is_full = false;
  const auto keep_best = [&] {
    std::nth_element(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(k - 1), places.end(), is_better);
    places.resize(count);
    floor = key(places.back());
    is_full = true;
  };
  for (Index begin = 0; begin < size; begin += together) {
    const Index end = std::min(begin + together, size);
    bool any = !is_full;
    if (end - begin == together)  // a fixed number, for vectors
      for (Index e = begin; e < begin + together; ++e) any |= !(data[e] <= floor);
    else
      any = true;
    if (!any) continue;
    for (Index e = begin; e < end; ++e)
      if (!is_full || !(data[e] <= floor)) places.push_back(e);
    if (places.size() >= 2 * count + static_cast<std::size_t>(together)) keep_best();
  }
  if (places.size() > count) keep_best();
  std::sort(places.begin(), places.end());
}

template <class T, class I>
Index select_row(const Selection& selection, Index size, I* indices, T* data, std::vector<Index>& places) {
  if (selection.threshold > 0) {
    const T threshold = static_cast<T>(selection.threshold);
    size = filter(size, indices, data, [threshold](T value) { return !(std::abs(value) < threshold); });
  } else if (selection.prune_zeros) {
    size = filter(size, indices, data, [](T value) { return value != T{0}; });
  }
  if (selection.top_k == 0 || size <= selection.top_k) return size;
  find_largest(size, data, selection.top_k, places);
  for (Index e = 0; e < selection.top_k; ++e) {
    indices[e] = indices[places[static_cast<std::size_t>(e)]];
    data[e] = data[places[static_cast<std::size_t>(e)]];
  }
  return selection.top_k;
}

}  // namespace

template <class T, class I>
Index select_entries(const Selection& selection, Index rows, I* indices, T* data, Index* row_sizes,
                     std::vector<Index>& places) {
  Index from = 0, to = 0;
  for (Index row = 0; row < rows; ++row) {
    const Index size = row_sizes[row];
    const Index kept = select_row(selection, size, indices + from, data + from, places);
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
  template Index select_entries(const Selection&, Index, I*, T*, Index*, std::vector<Index>&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sparse
