/// Sets of up to some dozen columns, collected and sorted in AVX-512 registers. For kernels only.
///
/// A row's columns are never stored before they are sorted. A list of them in memory, sorted from there by vectors, was
/// slower; presumably because a vector load behind stores of single entries has to wait for them.
#pragma once

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define NEARLINEAR_SORT_NETWORK
#include <immintrin.h>

#include <bit>
#include <cstdint>

#include "nearlinear/core/views.hpp"

namespace nearlinear::sparse {
namespace {

// Calls would put the set into memory.
#define NEARLINEAR_INLINE [[gnu::always_inline]] inline
#define NEARLINEAR_INLINE_LAMBDA __attribute__((always_inline))

/// Up to 16 * vectors places, each below 2^31 - 1, in any order and repeatedly; then in increasing order and once.
template <int vectors>
class PlaceSet {
 public:
  static constexpr Index capacity = Index{16} * vectors;

  NEARLINEAR_INLINE PlaceSet() {
    for (__m512i& x : x_) x = _mm512_set1_epi32(nowhere);
  }

  /// Adds the columns first[0], ..., first[length - 1], less `base`, which is 0 where columns have 32 bits.
  template <class I>
  NEARLINEAR_INLINE void add(const I* first, Index length, I base) {
    const auto end = size_ + static_cast<std::uint64_t>(length);
    const std::uintptr_t origin = reinterpret_cast<std::uintptr_t>(first) - sizeof(I) * size_;  // where lane 0 would be
    for (int word = 0; word < words; ++word) {
      const std::uint64_t filled = lanes_below(end, word);
      const std::uint64_t lanes = filled & ~filled_[word];
      filled_[word] = filled;
      for (int v = 4 * word; v < 4 * word + 4 && v < vectors; ++v)
        load<I>(x_[v], static_cast<__mmask16>(lanes >> (16 * (v % 4))), origin + sizeof(I) * 16 * v, base);
    }
    size_ = end;
  }

  NEARLINEAR_INLINE void sort() { sort_part<vectors>(x_); }

  /// Writes the places' columns, with `base` added, in increasing order to `columns`, moves what stands at them in
  /// `sums` to `data`, leaves zeros there, and returns their number. Columns and data have room for two vectors more.
  template <class T, class I>
  NEARLINEAR_INLINE Index take(T* sums, I base, I* columns, T* data) const {
    Index count = 0;
    __m512i before = _mm512_set1_epi32(-1);
    for (const __m512i& x : x_) {
      const __m512i left = _mm512_alignr_epi32(x, before, 15);  // every place's neighbour
      const __mmask16 is_new =
          _mm512_cmpneq_epi32_mask(x, left) & _mm512_cmpneq_epi32_mask(x, _mm512_set1_epi32(nowhere));
      const __m512i taken = _mm512_maskz_compress_epi32(is_new, x);
      const int size = std::popcount(static_cast<unsigned>(is_new));
      store(taken, base, columns + count);
      move(taken, static_cast<__mmask16>((1U << size) - 1), sums, data + count);
      count += size;
      before = x;
    }
    return count;
  }

 private:
  static constexpr int nowhere = 0x7FFFFFFF;  // behind every place

  static constexpr int words = (vectors + 3) / 4;  // of 64 lanes

  /// The lanes 64 word, ... that are below `end`, which is at most 128.
  NEARLINEAR_INLINE static std::uint64_t lanes_below(std::uint64_t end, int word) {
    if (word > 0) end = end < 64 ? 0 : end - 64;
    return _bzhi_u64(~std::uint64_t{0}, end);  // all of them from 64 on
  }

  /// Loads the lanes of `lanes`, less `base`, as if lane 0 were at `address`; of other lanes nothing is read.
  template <class I>
  NEARLINEAR_INLINE static void load(__m512i& x, __mmask16 lanes, std::uintptr_t address, I base) {
    if constexpr (sizeof(I) == 4) {
      x = _mm512_mask_loadu_epi32(x, lanes, reinterpret_cast<const void*>(address));
    } else {
      const __m512i bases = _mm512_set1_epi64(base);
      const auto half = [&](unsigned begin) NEARLINEAR_INLINE_LAMBDA {
        const __m512i columns = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(static_cast<unsigned>(lanes) >> begin),
                                                         reinterpret_cast<const void*>(address + 8 * begin));
        return _mm512_cvtepi64_epi32(_mm512_sub_epi64(columns, bases));
      };
      x = _mm512_mask_mov_epi32(x, lanes, _mm512_inserti32x8(_mm512_castsi256_si512(half(0)), half(8), 1));
    }
  }

  NEARLINEAR_INLINE static void store(__m512i places, std::int32_t base, std::int32_t* columns) {
    _mm512_storeu_si512(columns, _mm512_add_epi32(places, _mm512_set1_epi32(base)));
  }

  NEARLINEAR_INLINE static void store(__m512i places, std::int64_t base, std::int64_t* columns) {
    const __m512i bases = _mm512_set1_epi64(base);
    const auto wide = [&](__m256i half) { return _mm512_add_epi64(_mm512_cvtepi32_epi64(half), bases); };
    _mm512_storeu_si512(columns, wide(_mm512_castsi512_si256(places)));
    _mm512_storeu_si512(columns + 8, wide(_mm512_extracti32x8_epi32(places, 1)));
  }

  /// Moves the sums at the places of `lanes`, which are the first ones.
  NEARLINEAR_INLINE static void move(__m512i places, __mmask16 lanes, double* sums, double* data) {
    const auto half = [&](__m256i at, unsigned which, double* to) NEARLINEAR_INLINE_LAMBDA {
      const auto mask = static_cast<__mmask8>(which);
      _mm512_storeu_pd(to, _mm512_mask_i32gather_pd(_mm512_setzero_pd(), mask, at, sums, 8));
      _mm512_mask_i32scatter_pd(sums, mask, at, _mm512_setzero_pd(), 8);
    };
    half(_mm512_castsi512_si256(places), lanes, data);
    if (lanes >> 8 != 0) half(_mm512_extracti32x8_epi32(places, 1), lanes >> 8, data + 8);
  }

  NEARLINEAR_INLINE static void move(__m512i places, __mmask16 lanes, float* sums, float* data) {
    _mm512_storeu_ps(data, _mm512_mask_i32gather_ps(_mm512_setzero_ps(), lanes, places, sums, 4));
    _mm512_mask_i32scatter_ps(sums, lanes, places, _mm512_setzero_ps(), 4);
  }

  /// Lanes that take the larger of themselves and their partner i ^ distance, where runs of `run` rise and fall in
  /// turn.
  static constexpr __mmask16 larger(int distance, int run) {
    unsigned lanes = 0;
    for (int i = 0; i < 16; ++i)
      if (((i & distance) != 0) == ((i & run) == 0)) lanes |= 1U << i;
    return static_cast<__mmask16>(lanes);
  }

  /// Compares every lane with its partner i ^ distance.
  template <int distance, int run>
  NEARLINEAR_INLINE static __m512i exchange(__m512i x) {
    __m512i partner;
    if constexpr (distance == 1) partner = _mm512_shuffle_epi32(x, _MM_PERM_CDAB);
    if constexpr (distance == 2) partner = _mm512_shuffle_epi32(x, _MM_PERM_BADC);
    if constexpr (distance == 4) partner = _mm512_shuffle_i32x4(x, x, 0xB1);
    if constexpr (distance == 8) partner = _mm512_shuffle_i32x4(x, x, 0x4E);
    return _mm512_mask_max_epi32(_mm512_min_epi32(x, partner), larger(distance, run), x, partner);
  }

  /// Sorts runs of `run` lanes that rise and then fall.
  template <int run>
  NEARLINEAR_INLINE static __m512i merge_runs(__m512i x) {
    if constexpr (run >= 16) x = exchange<8, run>(x);
    if constexpr (run >= 8) x = exchange<4, run>(x);
    if constexpr (run >= 4) x = exchange<2, run>(x);
    return exchange<1, run>(x);
  }

  /// Batcher's bitonic network: K. E. Batcher, "Sorting networks and their applications", AFIPS 1968.
  NEARLINEAR_INLINE static __m512i sort_vector(__m512i x) {
    return merge_runs<16>(merge_runs<8>(merge_runs<4>(merge_runs<2>(x))));
  }

  NEARLINEAR_INLINE static __m512i reversed(__m512i x) {
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), x);
  }

  template <int count>
  NEARLINEAR_INLINE static void sort_part(__m512i* x) {
    if constexpr (count == 1) {
      x[0] = sort_vector(x[0]);
    } else {
      constexpr int half = count / 2;
      sort_part<half>(x);
      sort_part<half>(x + half);
      __m512i low[half];
      __m512i high[half];
      for (int i = 0; i < half; ++i) {
        const __m512i other = reversed(x[count - 1 - i]);
        low[i] = _mm512_min_epi32(x[i], other);
        high[i] = _mm512_max_epi32(x[i], other);
      }
      merge_part<half>(low);
      merge_part<half>(high);
      for (int i = 0; i < half; ++i) {
        x[i] = low[i];
        x[half + i] = high[i];
      }
    }
  }

  /// Sorts what rises and then falls.
  template <int count>
  NEARLINEAR_INLINE static void merge_part(__m512i* x) {
    if constexpr (count == 1) {
      x[0] = merge_runs<16>(x[0]);
    } else {
      constexpr int half = count / 2;
      for (int i = 0; i < half; ++i) {
        const __m512i smaller = _mm512_min_epi32(x[i], x[half + i]);
        x[half + i] = _mm512_max_epi32(x[i], x[half + i]);
        x[i] = smaller;
      }
      merge_part<half>(x);
      merge_part<half>(x + half);
    }
  }

  __m512i x_[vectors];
  std::uint64_t filled_[words] = {};
  std::uint64_t size_ = 0;
};

#undef NEARLINEAR_INLINE
#undef NEARLINEAR_INLINE_LAMBDA

}  // namespace
}  // namespace nearlinear::sparse
#endif
