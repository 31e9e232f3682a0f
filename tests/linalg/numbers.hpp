/// How results of elementwise functions are compared: by bits, and in units of the last place.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::test {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

template <class T>
constexpr T quiet_nan = std::numeric_limits<T>::quiet_NaN();

template <class T>
using Bits = std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint64_t>;

/// Equal bits, or both NaN.
template <class T>
bool same(T a, T b) {
  return std::bit_cast<Bits<T>>(a) == std::bit_cast<Bits<T>>(b) || (std::isnan(a) && std::isnan(b));
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](T x, T y) { return same(x, y); });
}

/// |result - exact| in units of the last place of T at `exact`; what is no finite number must be the same on both
/// sides.
template <class T>
long double ulps(T result, long double exact) {
  using Limits = std::numeric_limits<T>;
  const T rounded = static_cast<T>(exact);
  if (!std::isfinite(rounded) || !std::isfinite(result)) {
    if (same(result, rounded)) return 0;
    // One of them is the largest number, the other infinite, and the truth lies between.
    const bool at_the_end = std::abs(result) >= Limits::max() && std::abs(rounded) >= Limits::max();
    return at_the_end && !std::isnan(result) ? std::abs(std::min(std::abs(static_cast<long double>(result)),
                                                                 2 * static_cast<long double>(Limits::max())) -
                                                        std::abs(exact)) /
                                                   std::ldexp(1.0L, Limits::max_exponent - Limits::digits)
                                             : std::numeric_limits<long double>::infinity();
  }
  const int exponent = exact == 0 ? Limits::min_exponent : std::max(std::ilogb(exact) + 1, Limits::min_exponent);
  return std::abs(static_cast<long double>(result) - exact) / std::ldexp(1.0L, exponent - Limits::digits);
}

/// Zeros from the system, which take no memory while they are only read: work of any length for a test.
inline Array<float> many_zeros() {
#ifdef NEARLINEAR_SANITIZED
  return Array<float>::zeros(Index{1} << 28);  // instrumented code takes longer, and memory for every read
#else
  return Array<float>::zeros(Index{1} << 32);
#endif
}

/// The callback of a caller who has had enough.
inline bool stop(double fraction_done) {
  CHECK(fraction_done >= 0 && fraction_done <= 1);
  return false;
}

}  // namespace nearlinear::test
