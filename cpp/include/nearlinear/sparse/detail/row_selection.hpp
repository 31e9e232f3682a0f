/// Entries of a row that are dropped as soon as the row is there, for values of any type.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <concepts>
#include <cstdint>
#include <vector>

#include "nearlinear/sparse/matmul.hpp"

namespace nearlinear::detail {

template <class T>
concept Ordered = requires(T a, T b) {
  { a < b } -> std::convertible_to<bool>;
};

template <class T>
concept HasMagnitude = std::is_arithmetic_v<T> || requires(T a) {
  { std::abs(a) } -> std::floating_point;
};

template <HasMagnitude T>
auto magnitude_type() {
  if constexpr (std::is_integral_v<T>)
    return std::uint64_t{};
  else
    return std::abs(T{});
}

/// Tells |value| < threshold, with the threshold rounded to T where T is not a type of integers.
template <HasMagnitude T>
class BelowThreshold {
 public:
  explicit BelowThreshold(double threshold) {
    if constexpr (std::is_integral_v<T>) {  // |value| < threshold if and only if |value| < ceil(threshold)
      const double ceiling = std::ceil(threshold);
      beyond_all_ = ceiling >= 0x1p64;
      limit_ = beyond_all_ ? 0 : static_cast<std::uint64_t>(ceiling);
    } else {
      limit_ = static_cast<Limit>(threshold);
    }
  }

  bool operator()(T value) const {
    if constexpr (std::is_integral_v<T>) {
      auto magnitude = static_cast<std::uint64_t>(value);
      if constexpr (std::is_signed_v<T>)
        if (value < 0) magnitude = 0 - magnitude;
      return beyond_all_ || magnitude < limit_;
    } else {
      return std::abs(value) < limit_;
    }
  }

 private:
  using Limit = decltype(magnitude_type<T>());
  Limit limit_{};
  bool beyond_all_ = false;
};

/// Moves the entries of a row that stay to its front, in their order; returns how many.
template <class T, class I>
class RowSelection {
 public:
  RowSelection(const MatmulOptions& options, T zero) : options_(options), zero_(zero) {}

  [[nodiscard]] bool keeps_all() const {
    return !options_.prune_zeros && options_.threshold == 0 && options_.top_k == 0;
  }

  Index operator()(Index size, I* indices, T* data, std::vector<Index>& places) const {
    if constexpr (HasMagnitude<T>)
      if (options_.threshold > 0) {
        const BelowThreshold<T> below(options_.threshold);
        size = filter(size, indices, data, [&](const T& value) { return !below(value); });
      }
    if constexpr (std::equality_comparable<T>)
      if (options_.prune_zeros) size = filter(size, indices, data, [&](const T& value) { return !(value == zero_); });
    if constexpr (Ordered<T>)
      if (options_.top_k > 0 && size > options_.top_k) size = largest(size, indices, data, places);
    return size;
  }

 private:
  template <class Keep>
  static Index filter(Index size, I* indices, T* data, const Keep& keep) {
    Index kept = 0;
    for (Index e = 0; e < size; ++e) {
      if (!keep(data[e])) continue;
      indices[kept] = indices[e];
      data[kept++] = data[e];
    }
    return kept;
  }

  /// NaN, which is not equal to itself, comes after all others; of equals the first one comes first.
  static bool comes_before(const T& a, const T& b) {
    if constexpr (std::is_floating_point_v<T>)
      if (a != a || b != b) return a == a && b != b;
    return b < a;
  }

  Index largest(Index size, I* indices, T* data, std::vector<Index>& places) const {
    places.resize(static_cast<std::size_t>(size));
    for (Index e = 0; e < size; ++e) places[static_cast<std::size_t>(e)] = e;
    const auto end = places.begin() + options_.top_k;
    std::nth_element(places.begin(), end, places.end(), [&](Index a, Index b) {
      if (comes_before(data[a], data[b])) return true;
      return !comes_before(data[b], data[a]) && a < b;
    });
    std::sort(places.begin(), end);
    for (Index e = 0; e < options_.top_k; ++e) {
      indices[e] = indices[places[static_cast<std::size_t>(e)]];
      data[e] = data[places[static_cast<std::size_t>(e)]];
    }
    return options_.top_k;
  }

  MatmulOptions options_;
  T zero_;
};

}  // namespace nearlinear::detail
