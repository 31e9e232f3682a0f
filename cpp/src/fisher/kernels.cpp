// Compiled once per instruction set; see core/dispatch.hpp for the rules. Eight rows at a time, so that x and y come
// from the nearest cache once for all of them; the next eight are fetched meanwhile: processors foresee one stream of
// reads, but not eight.
#include "fisher/kernels.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__F16C__) && defined(__AVX2__)
#define NEARLINEAR_HALF_INTRINSICS
#include <immintrin.h>
#endif

namespace {

using namespace nearlinear::fisher;
using nearlinear::Index;

// Vectors that the compiler lowers to the registers there are; handed on by reference, for which all sets agree.
constexpr Index width = 8;
using Doubles = double __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));

float to_float(Half half) {
  const std::uint32_t sign = std::uint32_t{half.bits & 0x8000U} << 16, magnitude = half.bits & 0x7FFFU;
  if (magnitude >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | (magnitude & 0x3FFU) << 13);
  // As if its exponent were a float's, then scaled by 2^112: exact for subnormal numbers, too.
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112F));
}

float to_float(BFloat16 number) { return std::bit_cast<float>(std::uint32_t{number.bits} << 16); }
float to_float(float number) { return number; }
double to_double(double number) { return number; }
template <class S>
double to_double(S number) {
  return static_cast<double>(to_float(number));
}

void load(const double* from, Doubles& to) { std::memcpy(&to, from, sizeof to); }
void load(const float* from, Doubles& to) {
  Floats floats;
  std::memcpy(&floats, from, sizeof floats);
  to = __builtin_convertvector(floats, Doubles);
}
void load(const BFloat16* from, Doubles& to) {
#if defined(NEARLINEAR_HALF_INTRINSICS)  // GCC 12 widens the vector one number at a time
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from));
  const __m256i words = _mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
  Floats floats;
  std::memcpy(&floats, &words, sizeof floats);
  to = __builtin_convertvector(floats, Doubles);
#else
  for (Index i = 0; i < width; ++i) to[i] = to_double(from[i]);
#endif
}
void load(const Half* from, Doubles& to) {
#if defined(NEARLINEAR_HALF_INTRINSICS)
  const __m256 floats = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from)));
  Floats copy;
  std::memcpy(&copy, &floats, sizeof copy);
  to = __builtin_convertvector(copy, Doubles);
#else
  for (Index i = 0; i < width; ++i) to[i] = to_double(from[i]);
#endif
}

double sum_of(const Doubles& v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

/// Fetches the lines of `rows` rows that begin within the columns [j, j + 2 width).
template <int rows, class S>
void prefetch(const S* g, Index row_stride, Index j) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(S));
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
    for (Index i = 0; i < 2 * width; i += line) __builtin_prefetch(g + r * row_stride + j + i);
}

template <int rows, class S>
void multiply_rows(const S* g, Index row_stride, Index cols, const double* x, double* sums) {
  Doubles sum[rows] = {};
  const auto add = [&](Index j) {
    Doubles factor;
    load(x + j, factor);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      Doubles entries;
      load(g + r * row_stride + j, entries);
      sum[r] += entries * factor;
    }
  };
  Index j = 0;
  for (; j + 2 * width <= cols; j += 2 * width) {
    if (rows > 1) prefetch<rows>(g + rows * row_stride, row_stride, j);
    add(j);
    add(j + width);
  }
  for (; j + width <= cols; j += width) add(j);
  for (int r = 0; r < rows; ++r) {
    double rest = 0;
    for (Index i = j; i < cols; ++i) rest += to_double(g[r * row_stride + i]) * x[i];
    sums[r] += sum_of(sum[r]) + rest;
  }
}

template <int rows, class S>
void combine_rows(const S* g, Index row_stride, Index cols, const double* c, double* y) {
  const auto add = [&](Index j) {
    Doubles sum;
    load(y + j, sum);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      Doubles entries;
      load(g + r * row_stride + j, entries);
      sum += entries * c[r];
    }
    std::memcpy(y + j, &sum, sizeof sum);
  };
  Index j = 0;
  for (; j + 2 * width <= cols; j += 2 * width) {
    if (rows > 1) prefetch<rows>(g + rows * row_stride, row_stride, j);
    add(j);
    add(j + width);
  }
  for (; j + width <= cols; j += width) add(j);
  for (; j < cols; ++j) {
    double sum = y[j];
    for (int r = 0; r < rows; ++r) sum += to_double(g[r * row_stride + j]) * c[r];
    y[j] = sum;
  }
}

template <class S>
void multiply(const S* g, Index row_stride, Index rows, Index cols, const double* x, double* sums) noexcept {
  Index i = 0;
  for (; i + 8 <= rows; i += 8) multiply_rows<8>(g + i * row_stride, row_stride, cols, x, sums + i);
  for (; i < rows; ++i) multiply_rows<1>(g + i * row_stride, row_stride, cols, x, sums + i);
}

template <class S>
void combine(const S* g, Index row_stride, Index rows, Index cols, const double* c, double* y) noexcept {
  Index i = 0;
  for (; i + 8 <= rows; i += 8) combine_rows<8>(g + i * row_stride, row_stride, cols, c + i, y);
  for (; i < rows; ++i) combine_rows<1>(g + i * row_stride, row_stride, cols, c + i, y);
}

template <class S>
void to_doubles(const S* g, Index count, double* out) noexcept {
  Index i = 0;
  for (; i + width <= count; i += width) {
    Doubles entries;
    load(g + i, entries);
    std::memcpy(out + i, &entries, sizeof entries);
  }
  for (; i < count; ++i) out[i] = to_double(g[i]);
}

template <class S>
void to_floats(const S* g, Index count, float* out) noexcept {
  Index i = 0;
  for (; i + width <= count; i += width) {
    Doubles entries;
    load(g + i, entries);
    const Floats floats = __builtin_convertvector(entries, Floats);
    std::memcpy(out + i, &floats, sizeof floats);
  }
  for (; i < count; ++i) out[i] = static_cast<float>(to_double(g[i]));
}

void store(float number, float& out) { out = number; }
void store(float number, Half& out) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  const std::uint32_t sign = bits >> 16 & 0x8000U, magnitude = bits & 0x7FFFFFFFU;
  if (magnitude >= 0x47800000U) {  // 65536 and more, infinite, NaN
    out.bits = static_cast<std::uint16_t>(sign | (magnitude > 0x7F800000U ? 0x7E00U : 0x7C00U));
  } else if (magnitude < 0x38800000U) {
    // Below 2^-14 the last bit is worth 2^-24, as that of a float from 1/2 on: the addition rounds.
    out.bits = static_cast<std::uint16_t>(
        sign | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3F000000U));
  } else {
    out.bits = static_cast<std::uint16_t>(sign | (magnitude + 0xFFFU + (magnitude >> 13 & 1U) - 0x38000000U) >> 13);
  }
}
void store(float number, BFloat16& out) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  out.bits = static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

#if defined(NEARLINEAR_HALF_INTRINSICS)
void store_vector(const Floats& floats, Half* out) {
  __m256 copy;
  std::memcpy(&copy, &floats, sizeof copy);
  _mm_storeu_si128(reinterpret_cast<__m128i_u*>(out), _mm256_cvtps_ph(copy, _MM_FROUND_TO_NEAREST_INT));
}
void store_vector(const Floats& floats, BFloat16* out) {
  __m256i bits;
  std::memcpy(&bits, &floats, sizeof bits);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  const __m256i words = _mm256_srli_epi32(rounded, 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0xD8);
  _mm_storeu_si128(reinterpret_cast<__m128i_u*>(out), _mm256_castsi256_si128(packed));
}
#else
template <class S>
void store_vector(const Floats& floats, S* out) {
  for (Index i = 0; i < width; ++i) store(floats[i], out[i]);
}
#endif
[[maybe_unused]] void store_vector(const Floats& floats, float* out) { std::memcpy(out, &floats, sizeof floats); }

template <class S>
void from_doubles(const double* x, Index count, double factor, S* out) noexcept {
  Index i = 0;
  if constexpr (!std::is_same_v<S, double>) {
    for (; i + width <= count; i += width) {
      Doubles numbers;
      load(x + i, numbers);
      numbers *= factor;
      store_vector(__builtin_convertvector(numbers, Floats), out + i);
    }
    for (; i < count; ++i) store(static_cast<float>(x[i] * factor), out[i]);
  } else {
    for (; i < count; ++i) out[i] = x[i] * factor;
  }
}

template <class S>
constexpr KernelsFor<S> kernels_of = {.multiply = multiply<S>,
                                      .combine = combine<S>,
                                      .to_float = to_floats<S>,
                                      .to_double = to_doubles<S>,
                                      .from_double = from_doubles<S>};

}  // namespace

NEARLINEAR_DEFINE_KERNELS(fisher) = {
    .f64 = kernels_of<double>, .f32 = kernels_of<float>, .f16 = kernels_of<Half>, .bf16 = kernels_of<BFloat16>};
