// Compiled once per instruction set; see core/dispatch.hpp for the rules. Several rows at a time: their products with
// x, each in a register of its own, then their share of z, while they are in the nearest cache.
#include "linalg/gemv_kernels.hpp"

#include "linalg/packets.hpp"

namespace {

namespace ei = Eigen::internal;
using nearlinear::Index;
using nearlinear::linalg::Packet;
using nearlinear::linalg::width;

/// The part of the rows after the next ones that is due at column j, in the order of memory: processors foresee one
/// stream of reads, but not as many as there are rows. Half of it in each of the two sweeps over a group of rows, so
/// that memory is busy all the time.
template <int rows, class T>
void prefetch(const T* next, Index j, Index offset) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));  // of the cache
  constexpr Index step = width<T> * rows / 2;
#pragma GCC unroll 8
  for (Index i = 0; i < step; i += line) ei::prefetch(next + offset + j * rows / 2 + i);
}

template <class T, int rows>
void multiply_rows(Index d, const T* a, Index stride, const T* x, T* y) {
  Packet<T> sum[rows];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) sum[r] = ei::pset1<Packet<T>>(T{0});
  Index j = 0;
  for (; j + width<T> <= d; j += width<T>) {
    prefetch<rows>(a + 2 * rows * stride, j, Index{0});
    const Packet<T> factor = ei::ploadu<Packet<T>>(x + j);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) sum[r] = ei::pmadd(ei::ploadu<Packet<T>>(a + r * stride + j), factor, sum[r]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    T rest = 0;
    for (Index i = j; i < d; ++i) rest += a[r * stride + i] * x[i];
    y[r] = ei::predux(sum[r]) + rest;
  }
}

/// z <- z + A^T w: the first half of the rows in one chain of additions, the second in another.
template <class T, int rows>
void add_rows(Index d, const T* a, Index stride, const T* w, T* z) {
  constexpr int half = rows / 2;
  Packet<T> weight[rows];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) weight[r] = ei::pset1<Packet<T>>(w[r]);
  Index j = 0;
  for (; j + width<T> <= d; j += width<T>) {
    prefetch<rows>(a + 2 * rows * stride, j, d * rows / 2);
    const auto entries = [a, stride, j](int r) { return ei::ploadu<Packet<T>>(a + r * stride + j); };
    Packet<T> first = ei::ploadu<Packet<T>>(z + j), second = ei::pmul(weight[rows - 1], entries(rows - 1));
#pragma GCC unroll 8
    for (int r = 0; r < half; ++r) first = ei::pmadd(weight[r], entries(r), first);
#pragma GCC unroll 8
    for (int r = half; r < rows - 1; ++r) second = ei::pmadd(weight[r], entries(r), second);
    ei::pstoreu(z + j, ei::padd(first, second));
  }
  for (; j < d; ++j)
    for (int r = 0; r < rows; ++r) z[j] += w[r] * a[r * stride + j];
}

/// Rows begin, begin + rows, ... while there are as many; returns the first one that is left.
template <class T, int rows>
Index pass(Index begin, Index n, Index d, const T* a, Index stride, const T* x, T* y, const T* w, T* z) {
  for (; begin + rows <= n; begin += rows) {
    const T* const first = a + begin * stride;
    if (x != nullptr) multiply_rows<T, rows>(d, first, stride, x, y + begin);
    if (w != nullptr) add_rows<T, rows>(d, first, stride, w + begin, z);
  }
  return begin;
}

template <class T>
void gemv_pair(Index n, Index d, const T* a, Index a_row_stride, const T* x, T* y, const T* w, T* z) noexcept {
  constexpr Index nearest_cache = Index{1} << 15;
  Index done = 0;
  if (8 * d * static_cast<Index>(sizeof(T)) <= nearest_cache)
    done = pass<T, 8>(done, n, d, a, a_row_stride, x, y, w, z);
  done = pass<T, 4>(done, n, d, a, a_row_stride, x, y, w, z);
  pass<T, 1>(done, n, d, a, a_row_stride, x, y, w, z);
}

}  // namespace

const nearlinear::linalg::GemvKernels nearlinear::linalg::gemv_kernels = {.pair_f32 = gemv_pair<float>,
                                                                          .pair_f64 = gemv_pair<double>};
