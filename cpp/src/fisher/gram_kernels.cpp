// Compiled once per instruction set; see core/dispatch.hpp for the rules. Gradients lie by rows, and the products run
// along them: registers hold parts of the sums of some rows with some others and are added up at the end, so that
// nothing is packed or transposed, as it would be for a product of general matrices.
#include "fisher/gram_kernels.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "linalg/packets.hpp"

namespace {

using namespace nearlinear::fisher;
using nearlinear::Index;
using nearlinear::linalg::Packet;
using nearlinear::linalg::width;
namespace ei = Eigen::internal;

// Sums of rows_a x rows_b, the rows of a, and one of b at a time, in 16 registers or in 32.
#if defined(EIGEN_VECTORIZE_AVX512)
constexpr int rows_a = 4;
constexpr int rows_b = 6;
#else
constexpr int rows_a = 3;
constexpr int rows_b = 4;
#endif

/// Entries with `half` in their index are those of b, the others of a, each with its neighbour at that distance added.
template <std::size_t half, class P, std::size_t... i>
P add_neighbours(const P& a, const P& b, std::index_sequence<i...>) {
  constexpr std::size_t size = sizeof...(i);
  return __builtin_shufflevector(a, b, ((i & half) != 0 ? size + i - half : i)...) +
         __builtin_shufflevector(a, b, ((i & half) != 0 ? size + i : i + half)...);
}

/// The sums of as many registers as a register has entries: entry i <- that of all entries of registers[i].
template <std::size_t half, class P>
P sums_of(P* registers) {
  if constexpr (half > 0) {
    constexpr std::make_index_sequence<ei::unpacket_traits<P>::size> all;
#pragma GCC unroll 8
    for (std::size_t k = 0; k < half; ++k) registers[k] = add_neighbours<half>(registers[k], registers[k + half], all);
    return sums_of<half / 2>(registers);
  }
  return registers[0];
}

/// sums(r, s) <- sums(r, s) + a[r] . b[s], for the first `used_a` and `used_b` of them. All pointers can be read.
/// A row from `next` on is brought nearer meanwhile.
template <class T>
void multiply_tile(const T* const (&a)[rows_a], const T* const (&b)[rows_b], const T* next, Index cols, Index used_a,
                   Index used_b, double* sums, Index sums_stride) {
  constexpr int size = rows_a * rows_b, padded = (size + width<T> - 1) / width<T> * width<T>;
  Packet<T> sum[padded];
#pragma GCC unroll 64
  for (int k = 0; k < padded; ++k) sum[k] = ei::pset1<Packet<T>>(T{0});
  Index j = 0;
  for (; j + width<T> <= cols; j += width<T>) {
    Packet<T> left[rows_a];
#pragma GCC unroll 8
    for (int r = 0; r < rows_a; ++r) left[r] = ei::ploadu<Packet<T>>(a[r] + j);
    __builtin_prefetch(next + j, 0, 2);
#pragma GCC unroll 8
    for (int s = 0; s < rows_b; ++s) {
      const Packet<T> right = ei::ploadu<Packet<T>>(b[s] + j);
#pragma GCC unroll 8
      for (int r = 0; r < rows_a; ++r) sum[r * rows_b + s] = ei::pmadd(left[r], right, sum[r * rows_b + s]);
    }
  }
  alignas(64) T total[padded];
#pragma GCC unroll 8
  for (int k = 0; k < padded; k += width<T>) ei::pstore(total + k, sums_of<width<T> / 2>(sum + k));
  if (j == cols && used_a == rows_a && used_b == rows_b) {
#pragma GCC unroll 8
    for (Index r = 0; r < rows_a; ++r)
#pragma GCC unroll 8
      for (Index s = 0; s < rows_b; ++s) sums[r * sums_stride + s] += static_cast<double>(total[r * rows_b + s]);
    return;
  }
  for (Index r = 0; r < used_a; ++r)
    for (Index s = 0; s < used_b; ++s) {
      double rest = 0;
      for (Index k = j; k < cols; ++k) rest += static_cast<double>(a[r][k]) * static_cast<double>(b[s][k]);
      sums[r * sums_stride + s] += static_cast<double>(total[r * rows_b + s]) + rest;
    }
}

template <class T>
void multiply(Rows<T> a, Rows<T> b, Index cols, bool lower, Rows<T> next, double* sums, Index sums_stride) noexcept {
  Index fetched = 0;
  // Rows behind the last are the last one again: its products are not stored.
  const auto row = [](const Rows<T>& rows, Index i) { return rows.data + std::min(i, rows.count - 1) * rows.stride; };
  for (Index j = 0; j < b.count; j += rows_b) {
    const T* right[rows_b];
    for (Index s = 0; s < rows_b; ++s) right[s] = row(b, j + s);
    for (Index i = lower ? j / rows_a * rows_a : 0; i < a.count; i += rows_a) {
      const T* left[rows_a];
      for (Index r = 0; r < rows_a; ++r) left[r] = row(a, i + r);
      const T* const to_fetch = fetched < next.count ? row(next, fetched++) : left[0];
      multiply_tile<T>(left, right, to_fetch, cols, std::min<Index>(rows_a, a.count - i),
                       std::min<Index>(rows_b, b.count - j), sums + i * sums_stride + j, sums_stride);
    }
  }
}

}  // namespace

const nearlinear::fisher::GramKernels nearlinear::fisher::gram_kernels = {.f32 = {.multiply = multiply<float>},
                                                                          .f64 = {.multiply = multiply<double>}};
