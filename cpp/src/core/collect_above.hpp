/// The hot loop of selection. For kernels only: it follows the instruction set that it is compiled for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/largest_entries.hpp"

namespace nearlinear {
namespace {

/// See CollectAbove.
template <class T>
Index collect_above(const T* x, Index begin, Index size, T threshold, Index* found, Index* count,
                    Index capacity) noexcept {
  constexpr Index together = collected_together;
  using Flag = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;  // as wide as T, for GCC to vectorise
  Index collected = *count;
  for (; begin < size && collected + together <= capacity; begin += together) {
    const Index end = std::min(begin + together, size);
    if (end - begin == together) {
      const T* const block = x + begin;
      Flag any = 0;
      for (Index l = 0; l < together; ++l) any |= block[l] > threshold ? 1 : 0;
      if (any == 0) continue;
    }
    for (Index i = begin; i < end; ++i) {
      found[collected] = i;
      collected += x[i] > threshold ? 1 : 0;
    }
  }
  *count = collected;
  return std::min(begin, size);
}

}  // namespace
}  // namespace nearlinear
