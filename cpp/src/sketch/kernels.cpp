// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "sketch/kernels.hpp"

#include <algorithm>
#include <cstddef>

#include "linalg/butterflies.hpp"

namespace {

namespace ei = Eigen::internal;
using nearlinear::Index;
using nearlinear::linalg::Packet;
using nearlinear::linalg::transform_registers;
using nearlinear::linalg::width;
using nearlinear::sketch::RowMajor;
using nearlinear::sketch::Schedule;

template <class T>
void copy_rows(Index rows, Index cols, const T* a, Index row_stride, const T* factors, T* tile,
               Index tile_stride) noexcept {
  for (Index i = 0; i < rows; ++i) {
    const T factor = factors[i];
    const T* const from = a + i * row_stride;
    T* const to = tile + i * tile_stride;
    for (Index j = 0; j < cols; ++j) to[j] = factor * from[j];
  }
}

template <class Number, class T>
[[gnu::always_inline]] inline void copy_transformed_at(const T* a, Index row_stride, const T* factors, T* tile,
                                                       Index tile_stride) {
  Number x[8];
  // The next eight rows: processors foresee one stream of reads, but not eight.
#pragma GCC unroll 8
  for (int r = 8; r < 16; ++r) ei::prefetch(a + r * row_stride);
#pragma GCC unroll 8
  for (int r = 0; r < 8; ++r) x[r] = ei::pmul(ei::pset1<Number>(factors[r]), ei::ploadu<Number>(a + r * row_stride));
  transform_registers<8>(x);
#pragma GCC unroll 8
  for (int r = 0; r < 8; ++r) ei::pstoreu(tile + r * tile_stride, x[r]);
}

/// x <- (H_radix (x) I_run) x.
template <int radix, class T>
void transform_runs(T* x, Index run) {
  for (Index j = 0; j < run; j += width<T>) {
    Packet<T> registers[radix];
#pragma GCC unroll 16
    for (int r = 0; r < radix; ++r) registers[r] = ei::ploadu<Packet<T>>(x + r * run + j);
    transform_registers<radix>(registers);
#pragma GCC unroll 16
    for (int r = 0; r < radix; ++r) ei::pstoreu(x + r * run + j, registers[r]);
  }
}

/// Eight rows of a matrix.
template <class T>
void copy_transformed_rows(const RowMajor<T>& a, Index row, const T* factors, T* tile, Index tile_stride) {
  if (a.cols == 0) return;
  const T* const from = a.data + row * a.stride;
  Index j = 0;
  for (; j + width<T> <= a.cols; j += width<T>)
    copy_transformed_at<Packet<T>>(from + j, a.stride, factors, tile + j, tile_stride);
  for (; j < a.cols; ++j) copy_transformed_at<T>(from + j, a.stride, factors, tile + j, tile_stride);
}

template <class T>
void copy_transformed(Index rows, RowMajor<T> a, RowMajor<T> b, const T* factors, T* tile, Index tile_stride) noexcept {
  for (Index set = 0; set < rows; set += 64) {
    for (Index i = set; i < set + 64; i += 8) {
      copy_transformed_rows(a, i, factors + i, tile + i * tile_stride, tile_stride);
      copy_transformed_rows(b, i, factors + i, tile + i * tile_stride + a.cols, tile_stride);
    }
    transform_runs<8>(tile + set * tile_stride, 8 * tile_stride);
  }
}

template <class T>
void transform_16(T* x, Index run) noexcept {
  transform_runs<16>(x, run);
}

/// Eight columns at a time, so that a line of the tile is written as a whole.
template <class T>
void copy_columns(Index rows, Index cols, const T* a, Index col_stride, const T* factors, T* tile,
                  Index tile_stride) noexcept {
  constexpr Index together = 8;
  Index j = 0;
  for (; j + together <= cols; j += together)
    for (Index i = 0; i < rows; ++i)
      for (Index k = 0; k < together; ++k) tile[i * tile_stride + j + k] = factors[i] * a[(j + k) * col_stride + i];
  for (; j < cols; ++j)
    for (Index i = 0; i < rows; ++i) tile[i * tile_stride + j] = factors[i] * a[j * col_stride + i];
}

template <class T>
T sign_of(std::uint32_t entry) {
  return (entry & 1U) != 0 ? T{-1} : T{1};
}

/// `registers` of them hold a stretch of row j while rows of the tile are added to it.
template <class T, int registers>
void add_stretch(const std::uint32_t* entry, const std::uint32_t* end, const T* tile, Index stride, T* sum) {
  Packet<T> total[registers];
#pragma GCC unroll 8
  for (int k = 0; k < registers; ++k) total[k] = ei::ploadu<Packet<T>>(sum + k * width<T>);
  for (; entry != end; ++entry) {
    const T* const row = tile + static_cast<Index>(*entry >> 1) * stride;
    const auto sign = ei::pset1<Packet<T>>(sign_of<T>(*entry));
#pragma GCC unroll 8
    for (int k = 0; k < registers; ++k) total[k] = ei::pmadd(sign, ei::ploadu<Packet<T>>(row + k * width<T>), total[k]);
  }
#pragma GCC unroll 8
  for (int k = 0; k < registers; ++k) ei::pstoreu(sum + k * width<T>, total[k]);
}

template <class T>
void add_rows(Index count, Schedule schedule, const T* tile, Index tile_stride, Index cols, T* sum,
              Index sum_stride) noexcept {
  for (Index j = 0; j < count; ++j) {
    const std::uint32_t* const begin = schedule.entries + schedule.begin[j];
    const std::uint32_t* const end = schedule.entries + schedule.begin[j + 1];
    if (begin == end) continue;
    T* const row = sum + j * sum_stride;
    Index c = 0;
    for (; c + 8 * width<T> <= cols; c += 8 * width<T>) add_stretch<T, 8>(begin, end, tile + c, tile_stride, row + c);
    for (; c + 2 * width<T> <= cols; c += 2 * width<T>) add_stretch<T, 2>(begin, end, tile + c, tile_stride, row + c);
    for (; c < cols; ++c) {
      T total = row[c];
      for (const std::uint32_t* entry = begin; entry != end; ++entry)
        total += sign_of<T>(*entry) * tile[static_cast<Index>(*entry >> 1) * tile_stride + c];
      row[c] = total;
    }
  }
}

template <class T>
void spread_rows(Index count, Schedule schedule, const T* y, Index y_stride, Index cols, T* tile,
                 Index tile_stride) noexcept {
  for (Index j = 0; j < count; ++j)
    for (Index k = schedule.begin[j]; k < schedule.begin[j + 1]; ++k) {
      const std::uint32_t entry = schedule.entries[k];
      T* const row = tile + static_cast<Index>(entry >> 1) * tile_stride;
      const T sign = sign_of<T>(entry);
      for (Index c = 0; c < cols; ++c) row[c] += sign * y[j * y_stride + c];
    }
}

/// Eight numbers of 64 bits, of which compilers make registers as wide as there are.
using Lanes [[gnu::vector_size(64)]] = std::uint64_t;
constexpr Index lane_count = 8;

/// As core/random.hpp has it, but for eight counters at a time.
void random_words(std::uint64_t seed, std::uint64_t stream, std::uint64_t first, Index count,
                  std::uint32_t* words) noexcept {
  constexpr std::uint64_t low = 0xFFFFFFFF;
  for (Index begin = 0; begin < count; begin += lane_count) {
    const Lanes index = (first + static_cast<std::uint64_t>(begin)) + Lanes{0, 1, 2, 3, 4, 5, 6, 7};
    Lanes c0 = index & low, c1 = index >> 32, c2 = Lanes{} + (stream & low), c3 = Lanes{} + (stream >> 32);
    std::uint64_t key0 = seed & low, key1 = seed >> 32;
    for (int round = 0; round < 10; ++round) {
      const Lanes product0 = c0 * 0xD2511F53U, product1 = c2 * 0xCD9E8D57U;
      c0 = (product1 >> 32) ^ c1 ^ key0;
      c1 = product1 & low;
      c2 = (product0 >> 32) ^ c3 ^ key1;
      c3 = product0 & low;
      key0 = (key0 + 0x9E3779B9U) & low;
      key1 = (key1 + 0xBB67AE85U) & low;
    }
    for (Index i = 0; i < std::min(lane_count, count - begin); ++i) {
      std::uint32_t* const out = words + 4 * (begin + i);
      out[0] = static_cast<std::uint32_t>(c0[i]);
      out[1] = static_cast<std::uint32_t>(c1[i]);
      out[2] = static_cast<std::uint32_t>(c2[i]);
      out[3] = static_cast<std::uint32_t>(c3[i]);
    }
  }
}

/// The value at z of a polynomial, its coefficients from the highest on.
template <class P, std::size_t size>
P polynomial(const double (&coefficients)[size], const P& z) {
  P value = ei::pset1<P>(coefficients[0]);
  for (std::size_t k = 1; k < size; ++k) value = ei::pmadd(value, z, ei::pset1<P>(coefficients[k]));
  return value;
}

/// Of (sin x - x) / x^3 and of (cos x - 1) / x^2 as functions of x^2, by Taylor: for |x| <= pi / 4 they leave out less
/// than 2^-54.
constexpr double sine_terms[] = {-1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880,
                                 -1.0 / 5040,          1.0 / 120,        -1.0 / 6};
constexpr double cosine_terms[] = {
    -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -0.5};

template <class T>
void box_muller(Index pairs, const double* log_u, const std::uint32_t* words, T* out) noexcept {
  using P = Packet<double>;
  constexpr Index chunk = 64;
  alignas(64) double quarters[chunk]{}, logarithms[chunk]{}, cosines[chunk], sines[chunk];
  for (Index begin = 0; begin < pairs; begin += chunk) {
    const Index count = std::min(chunk, pairs - begin);
    for (Index i = 0; i < count; ++i) {  // 4 v, from its upper 53 bits
      const std::uint32_t* const word = words + 4 * (begin + i);
      quarters[i] = static_cast<double>(word[3]) * 0x1p-30 + static_cast<double>(word[2] >> 11) * 0x1p-51;
      logarithms[i] = log_u[begin + i];
    }
    for (Index i = 0; i < count; i += width<double>) {
      const P value = ei::pload<P>(quarters + i);
      const P nearest = ei::pfloor(ei::padd(value, ei::pset1<P>(0.5)));  // 0, ..., 4
      const P x = ei::pmul(ei::psub(value, nearest), ei::pset1<P>(1.5707963267948966)), z = ei::pmul(x, x);
      const P sine = ei::pmadd(ei::pmul(x, z), polynomial(sine_terms, z), x);
      const P cosine = ei::pmadd(z, polynomial(cosine_terms, z), ei::pset1<P>(1.0));
      const P radius = nearlinear::linalg::square_root(ei::pmul(ei::pload<P>(logarithms + i), ei::pset1<P>(-2.0)));
      const P is_1 = ei::pcmp_eq(nearest, ei::pset1<P>(1.0)), is_2 = ei::pcmp_eq(nearest, ei::pset1<P>(2.0)),
              is_3 = ei::pcmp_eq(nearest, ei::pset1<P>(3.0)), is_odd = ei::por(is_1, is_3);
      const P c = ei::pmul(radius, ei::pselect(is_odd, sine, cosine));
      const P s = ei::pmul(radius, ei::pselect(is_odd, cosine, sine));
      ei::pstore(cosines + i, ei::pselect(ei::por(is_1, is_2), ei::pnegate(c), c));
      ei::pstore(sines + i, ei::pselect(ei::por(is_2, is_3), ei::pnegate(s), s));
    }
    for (Index i = 0; i < count; ++i) {
      out[2 * (begin + i)] = static_cast<T>(cosines[i]);
      out[2 * (begin + i) + 1] = static_cast<T>(sines[i]);
    }
  }
}

template <class T>
constexpr nearlinear::sketch::KernelsFor<T> loops_for = {
    .copy_rows = copy_rows<T>,
    .copy_transformed = copy_transformed<T>,
    .transform_16 = transform_16<T>,
    .copy_columns = copy_columns<T>,
    .add_rows = add_rows<T>,
    .spread_rows = spread_rows<T>,
    .box_muller = box_muller<T>,
};

}  // namespace

NEARLINEAR_DEFINE_KERNELS(sketch) = {
    .f32 = loops_for<float>,
    .f64 = loops_for<double>,
    .random_words = random_words,
};
