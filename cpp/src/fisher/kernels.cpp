// Compiled once per instruction set; see core/dispatch.hpp for the rules. Four rows at a time, so that x and y come
// from the nearest cache once for all of them; the next four are fetched meanwhile: processors foresee one stream of
// reads, but not several that end after a tile.
#include "fisher/kernels.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "fisher/gram_kernels.hpp"
#include "fisher/many_kernels.hpp"
#include "fisher/norm_kernels.hpp"
#include "fisher/widen.hpp"

namespace {

using namespace nearlinear::fisher;
using nearlinear::Index;

double sum_of(const Doubles& v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

constexpr int rows_at_once = 4;

/// Calls body(j) for every `width` columns, returns where it stopped, and fetches meanwhile the same columns of the
/// rows behind these.
template <int rows, class S, class Body>
Index by_vectors(const S* g, Index row_stride, Index cols, const Body& body) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(S)), step = std::max(line, width);
  const S* const next = g + rows * row_stride;
  Index j = 0;
  for (; j + step <= cols; j += step) {
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r)
      for (Index i = 0; i < step; i += line) __builtin_prefetch(next + r * row_stride + j + i);
    for (Index i = 0; i < step; i += width) body(j + i);
  }
  for (; j + width <= cols; j += width) body(j);
  return j;
}

template <int rows, class S>
void multiply_rows(const S* g, Index row_stride, Index cols, const double* x, double* sums) {
  Doubles sum[rows] = {};
  const Index end = by_vectors<rows>(g, row_stride, cols, [&](Index j) {
    Doubles factor;
    load(x + j, factor);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      Doubles entries;
      load(g + r * row_stride + j, entries);
      sum[r] += entries * factor;
    }
  });
  for (int r = 0; r < rows; ++r) {
    double rest = 0;
    for (Index j = end; j < cols; ++j) rest += to_double(g[r * row_stride + j]) * x[j];
    sums[r] += sum_of(sum[r]) + rest;
  }
}

template <int rows, class S>
void combine_rows(const S* g, Index row_stride, Index cols, const double* c, double* y) {
  const Index end = by_vectors<rows>(g, row_stride, cols, [&](Index j) {
    Doubles sum;
    load(y + j, sum);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      Doubles entries;
      load(g + r * row_stride + j, entries);
      sum += entries * c[r];
    }
    std::memcpy(y + j, &sum, sizeof sum);
  });
  for (Index j = end; j < cols; ++j)
    for (int r = 0; r < rows; ++r) y[j] += to_double(g[r * row_stride + j]) * c[r];
}

template <class S>
void multiply(const S* g, Index row_stride, Index rows, Index cols, const double* x, double* sums) noexcept {
  Index i = 0;
  for (; i + rows_at_once <= rows; i += rows_at_once)
    multiply_rows<rows_at_once>(g + i * row_stride, row_stride, cols, x, sums + i);
  for (; i < rows; ++i) multiply_rows<1>(g + i * row_stride, row_stride, cols, x, sums + i);
}

template <class S>
void combine(const S* g, Index row_stride, Index rows, Index cols, const double* c, double* y) noexcept {
  Index i = 0;
  for (; i + rows_at_once <= rows; i += rows_at_once)
    combine_rows<rows_at_once>(g + i * row_stride, row_stride, cols, c + i, y);
  for (; i < rows; ++i) combine_rows<1>(g + i * row_stride, row_stride, cols, c + i, y);
}

template <class S>
void measure(const S* g, Index count, double& largest, double& square) noexcept {
  Doubles most = {}, squares[2] = {};
  const auto look_at = [&](Index j, Doubles& sum) {
    Doubles entries;
    load(g + j, entries);
    sum += entries * entries;
    const Doubles absolute = entries < 0 ? -entries : entries;
    most = absolute > most ? absolute : most;
  };
  Index j = 0;
  for (; j + 2 * width <= count; j += 2 * width) {
    look_at(j, squares[0]);
    look_at(j + width, squares[1]);
  }
  square = sum_of(squares[0] + squares[1]);
  largest = 0;
  for (Index lane = 0; lane < width; ++lane) largest = std::max(largest, most[lane]);
  for (; j < count; ++j) {
    const double entry = to_double(g[j]);
    square += entry * entry;
    largest = std::abs(entry) > largest ? std::abs(entry) : largest;
  }
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
                                      .measure = measure<S>,
                                      .from_double = from_doubles<S>};

}  // namespace

NEARLINEAR_DEFINE_KERNELS(fisher) = {
    .f64 = kernels_of<double>,
    .f32 = kernels_of<float>,
    .f16 = kernels_of<Half>,
    .bf16 = kernels_of<BFloat16>,
    .gram = &nearlinear::fisher::gram_kernels,
    .many = &nearlinear::fisher::many_kernels,
    .norms = &nearlinear::fisher::norm_kernels,
};
