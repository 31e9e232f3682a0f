/// Registers of doubles and their exponentials, for files that are compiled once per instruction set alone
/// (core/dispatch.hpp). Vectors are as wide as a register: GCC 12 takes wider ones apart in memory where they are
/// compared.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "core/widen.hpp"
#include "linalg/exponential_constants.hpp"
#include "nearlinear/core/views.hpp"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace nearlinear::ot {

#if defined(__AVX512F__)
constexpr Index width = 8;
#elif defined(__AVX__)
constexpr Index width = 4;
#else
constexpr Index width = 2;
#endif
using Doubles = double __attribute__((vector_size(8 * width)));
using Floats = float __attribute__((vector_size(4 * width)));
using Words = std::int64_t __attribute__((vector_size(8 * width)));

[[gnu::always_inline]] inline void load(const double* from, Doubles& to) { std::memcpy(&to, from, sizeof to); }
[[gnu::always_inline]] inline void load(const float* from, Doubles& to) {
  Floats floats;
  std::memcpy(&floats, from, sizeof floats);
  widen(floats, to);
}
[[gnu::always_inline]] inline void store(const Doubles& from, double* to) { std::memcpy(to, &from, sizeof from); }

[[gnu::always_inline]] inline double sum_of(Doubles v) {
  for (Index half = width / 2; half > 0; half /= 2)
    for (Index i = 0; i < half; ++i) v[i] += v[i + half];
  return v[0];
}

constexpr double smallest_argument = -708;  // exp of less is 0 here: nothing is subnormal, which takes 100 times longer

/// x <- exp(x) = 2^n exp(r), n = round(x / log 2), r = x - n log 2 in two parts (Cody and Waite, Software Manual for
/// the Elementary Functions, 1980, chapter 6). NaN stays; -Inf gives 0.
[[gnu::always_inline]] inline void exponential(Doubles& x) {
  using Constants = linalg::ExponentialConstants<double>;
  constexpr double largest_argument = Constants::exp_is_infinite;
  constexpr double shift = 0x1.8p52;  // what is added to it leaves the nearest integer in the lowest bits
  const Doubles capped = x > largest_argument ? largest_argument + Doubles{} : x;
  const Doubles shifted = capped * Constants::log2_e + shift;
  const Doubles n = shifted - shift;
  const Doubles r = (capped - n * Constants::ln2_high) - n * Constants::ln2_low;
  constexpr auto& terms = Constants::exp_terms;
  Doubles p = terms.back() + Doubles{};
#pragma GCC unroll 16
  for (std::size_t k = terms.size() - 1; k-- > 0;) p = p * r + terms[k];
  p = (p * (r * r) + r) + 1;
  // Below smallest_argument the power is nonsense, and so may r be: the choice that follows does not care.
  const Words power = (reinterpret_cast<Words>(shifted) + (1023 - std::bit_cast<std::int64_t>(shift))) << 52;
  const Doubles result = p * reinterpret_cast<Doubles>(power);
  x = x < smallest_argument ? Doubles{} : result;
}

using Pair = float __attribute__((vector_size(8 * width)));  // two registers of doubles as floats
using PairBits = std::int32_t __attribute__((vector_size(8 * width)));

[[gnu::always_inline]] inline void narrow(const Doubles& low, const Doubles& high, Pair& to) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  __m512d parts[2];
  std::memcpy(&parts[0], &low, sizeof low);
  std::memcpy(&parts[1], &high, sizeof high);
  const __m512 joined =
      _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(parts[0])), _mm512_cvtpd_ps(parts[1]), 1);
  std::memcpy(&to, &joined, sizeof to);
#else
  const Floats halves[2] = {__builtin_convertvector(low, Floats), __builtin_convertvector(high, Floats)};
  std::memcpy(&to, halves, sizeof to);
#endif
}

/// The same exponential in float, with an argument that is rounded to float: 2^-24 |x| relative to the result.
[[gnu::always_inline]] inline void exponential(Pair& x) {
  using Single = linalg::ExponentialConstants<float>;
  constexpr float shift = 0x1.8p23F, smallest = -87;
  const Pair capped = x > Single::exp_is_infinite ? Single::exp_is_infinite + Pair{} : x;
  const Pair shifted = capped * Single::log2_e + shift;
  const Pair n = shifted - shift;
  const Pair r = (capped - n * Single::ln2_high) - n * Single::ln2_low;
  constexpr auto& terms = Single::exp_terms;
  Pair p = terms.back() + Pair{};
#pragma GCC unroll 8
  for (std::size_t k = terms.size() - 1; k-- > 0;) p = p * r + terms[k];
  p = (p * (r * r) + r) + 1;
  const PairBits power = (reinterpret_cast<PairBits>(shifted) + (127 - std::bit_cast<std::int32_t>(shift))) << 23;
  const Pair result = p * reinterpret_cast<Pair>(power);
  x = x < smallest ? Pair{} : result;
}

}  // namespace nearlinear::ot
