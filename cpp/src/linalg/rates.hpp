/// How fast one thread is, roughly, for the choice of how many threads a call should use.
#pragma once

#include <algorithm>

#include "core/threads.hpp"

namespace nearlinear::linalg {

// Floating-point operations per nanosecond.
constexpr double product_rate = 32;     // of products whose factors come from the cache
constexpr double reflection_rate = 16;  // of reflections, and of products with few columns
constexpr double memory_rate = 4;       // of a product with a vector, as fast as memory delivers the matrix

/// thread_count() for a job of the product of `factors` operations.
template <class... Factors>
[[nodiscard]] int threads_at(double rate, int n_threads, Factors... factors) {
  constexpr double most = 1e18;  // nanoseconds that an Index can count
  const double operations = (static_cast<double>(factors) * ...);
  return thread_count(n_threads, static_cast<Index>(std::min(most, operations / rate)));
}

}  // namespace nearlinear::linalg
