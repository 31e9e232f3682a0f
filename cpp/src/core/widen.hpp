/// Vectors of floats as doubles, for files that are compiled once per instruction set alone (core/dispatch.hpp).
#pragma once

#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace nearlinear {

/// Both are vectors of GCC's, of as many numbers.
template <class Floats, class Doubles>
[[gnu::always_inline]] inline void widen(const Floats& from, Doubles& to) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Doubles) == 64) {  // GCC 12 would widen halves and join them
    __m256 floats;
    std::memcpy(&floats, &from, sizeof floats);
    const __m512d doubles = _mm512_cvtps_pd(floats);
    std::memcpy(&to, &doubles, sizeof to);
    return;
  }
#endif
  to = __builtin_convertvector(from, Doubles);
}

}  // namespace nearlinear
