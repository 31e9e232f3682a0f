/// Numbers of any storage as vectors of doubles, for files that are compiled once per instruction set alone
/// (core/dispatch.hpp).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "core/widen.hpp"
#include "fisher/kernels.hpp"

#if defined(__F16C__) && defined(__AVX2__)
#define NEARLINEAR_HALF_INTRINSICS
#include <immintrin.h>
#endif

namespace nearlinear::fisher {

// Vectors that the compiler lowers to the registers there are; handed on by reference, for which all sets agree.
constexpr Index width = 8;
using Doubles = double __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));

inline float to_float(Half half) {
  const std::uint32_t sign = std::uint32_t{half.bits & 0x8000U} << 16, magnitude = half.bits & 0x7FFFU;
  if (magnitude >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | (magnitude & 0x3FFU) << 13);
  // As if its exponent were a float's, then scaled by 2^112: exact for subnormal numbers, too.
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112F));
}

inline float to_float(BFloat16 number) { return std::bit_cast<float>(std::uint32_t{number.bits} << 16); }
inline float to_float(float number) { return number; }
inline double to_double(double number) { return number; }
template <class S>
double to_double(S number) {
  return static_cast<double>(to_float(number));
}

inline void load(const double* from, Doubles& to) { std::memcpy(&to, from, sizeof to); }
inline void load(const float* from, Doubles& to) {
  Floats floats;
  std::memcpy(&floats, from, sizeof floats);
  widen(floats, to);
}
inline void load(const BFloat16* from, Doubles& to) {
#if defined(NEARLINEAR_HALF_INTRINSICS)  // GCC 12 widens the vector one number at a time
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from));
  const __m256i words = _mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
  Floats floats;
  std::memcpy(&floats, &words, sizeof floats);
  widen(floats, to);
#else
  for (Index i = 0; i < width; ++i) to[i] = to_double(from[i]);
#endif
}
inline void load(const Half* from, Doubles& to) {
#if defined(NEARLINEAR_HALF_INTRINSICS)
  const __m256 converted = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from)));
  Floats floats;
  std::memcpy(&floats, &converted, sizeof floats);
  widen(floats, to);
#else
  for (Index i = 0; i < width; ++i) to[i] = to_double(from[i]);
#endif
}

}  // namespace nearlinear::fisher
