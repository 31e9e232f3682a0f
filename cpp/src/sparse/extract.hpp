/// Takes used sums out of a dense accumulator in the order of their columns. For kernels only: it follows the
/// instruction set that it is compiled for.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "nearlinear/core/views.hpp"

namespace nearlinear::sparse {
namespace {

constexpr unsigned block_size = 64;  // columns, one bit each of a word

/// Bit j tells whether flags[j], 0 or 255, is set.
inline std::uint64_t set_flags(const std::uint8_t* flags) {
#if defined(__AVX512BW__)
  return _mm512_movepi8_mask(_mm512_loadu_si512(flags));
#elif defined(__AVX2__)
  const auto word = [flags](int i) {
    const __m256i lanes = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(flags) + i);
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm256_movemask_epi8(lanes))) << (32 * i);
  };
  return word(0) | word(1);
#elif defined(__SSE2__)
  const auto word = [flags](int i) {
    const __m128i lanes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(flags) + i);
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_movemask_epi8(lanes))) << (16 * i);
  };
  return word(0) | word(1) | word(2) | word(3);
#else
  std::uint64_t set = 0;
  for (Index j = 0; j < block_size; ++j) set |= static_cast<std::uint64_t>(flags[j] & 1U) << j;
  return set;
#endif
}

/// One bit per set bit, lowest first.
template <class Body>
void for_each_bit(std::uint64_t set, const Body& body) {
  for (; set != 0; set &= set - 1) body(std::countr_zero(set));
}

/// out <- sums[j] for the bits j of `set`, and these sums <- 0. May write rubbish behind what it counts.
template <class T>
void take_sums(std::uint64_t set, T* sums, T* out) {
  for_each_bit(set, [&](int j) {
    *out++ = sums[j];
    sums[j] = 0;
  });
}

/// out <- first + j for the bits j of `set`. May write rubbish behind what it counts.
template <class I>
void put_columns(std::uint64_t set, I first, I* out) {
  for_each_bit(set, [&](int j) { *out++ = first + static_cast<I>(j); });
}

#if defined(__AVX512F__) && defined(__AVX512VL__)
// Compressed in a register and stored whole: the instruction that compresses into memory is slow on some processors.
template <>
inline void take_sums(std::uint64_t set, double* sums, double* out) {
  for (; set != 0; set >>= 8, sums += 8) {
    const auto lanes = static_cast<__mmask8>(set);
    _mm512_storeu_pd(out, _mm512_maskz_compress_pd(lanes, _mm512_loadu_pd(sums)));
    _mm512_mask_storeu_pd(sums, lanes, _mm512_setzero_pd());
    out += std::popcount(set & 0xFFU);
  }
}

template <>
inline void take_sums(std::uint64_t set, float* sums, float* out) {
  for (; set != 0; set >>= 16, sums += 16) {
    const auto lanes = static_cast<__mmask16>(set);
    _mm512_storeu_ps(out, _mm512_maskz_compress_ps(lanes, _mm512_loadu_ps(sums)));
    _mm512_mask_storeu_ps(sums, lanes, _mm512_setzero_ps());
    out += std::popcount(set & 0xFFFFU);
  }
}

template <>
inline void put_columns(std::uint64_t set, std::int32_t first, std::int32_t* out) {
  const __m512i step = _mm512_set1_epi32(16);
  __m512i columns = _mm512_add_epi32(_mm512_set1_epi32(first),
                                     _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  for (; set != 0; set >>= 16, columns = _mm512_add_epi32(columns, step)) {
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(static_cast<__mmask16>(set), columns));
    out += std::popcount(set & 0xFFFFU);
  }
}

template <>
inline void put_columns(std::uint64_t set, std::int64_t first, std::int64_t* out) {
  const __m512i step = _mm512_set1_epi64(8);
  __m512i columns = _mm512_add_epi64(_mm512_set1_epi64(first), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
  for (; set != 0; set >>= 8, columns = _mm512_add_epi64(columns, step)) {
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi64(static_cast<__mmask8>(set), columns));
    out += std::popcount(set & 0xFFU);
  }
}
#endif

/// Moves the used columns of a block to `indices` and `data`, clears them, and returns their number.
template <class T, class I>
Index take_block(I first_column, T* sums, std::uint8_t* flags, I* indices, T* data) {
  const std::uint64_t set = set_flags(flags);
  if (set == 0) return 0;
  std::memset(flags, 0, block_size);
  const int count = std::popcount(set);
  constexpr int few =
      12;  // up to here the loops over set bits are faster than vectors that are mostly empty (measured)
  if (count < few) {
    for_each_bit(set, [&](int j) {
      *indices++ = first_column + static_cast<I>(j);
      *data++ = sums[j];
      sums[j] = 0;
    });
  } else {
    put_columns(set, first_column, indices);
    take_sums(set, sums, data);
  }
  return count;
}

/// How many of the columns in `vectors` times 64 bytes are less than `column`. To compare a column with all others
/// needs no branch that depends on their order, which would be guessed wrong as often as not; for few columns that
/// beats every sort.
template <class I>
Index count_less(const I* columns, Index vectors, I column) {
#if defined(__AVX512F__)
  int count = 0;
  for (Index v = 0; v < vectors; ++v) {
    const __m512i others = _mm512_load_si512(columns + v * static_cast<Index>(64 / sizeof(I)));
    if constexpr (sizeof(I) == 4)
      count += std::popcount(static_cast<unsigned>(_mm512_cmplt_epi32_mask(others, _mm512_set1_epi32(column))));
    else
      count += std::popcount(static_cast<unsigned>(_mm512_cmplt_epi64_mask(others, _mm512_set1_epi64(column))));
  }
  return count;
#else
  Index count = 0;
  for (Index other = 0; other < vectors * static_cast<Index>(64 / sizeof(I)); ++other)
    count += static_cast<Index>(columns[other] < column);
  return count;
#endif
}

}  // namespace
}  // namespace nearlinear::sparse
