// Compiled once per instruction set; see core/dispatch.hpp for the rules. Sums of A X stay in registers for as many
// columns of X as these hold; X A adds to columns of Y in memory, whole lines of the cache at a time. Every entry is
// summed in the order of the rows of A and without fused operations, as in products of two sparse matrices.
#include "sparse/spmm_kernels.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace {

using nearlinear::Index;
using namespace nearlinear::sparse;

#if defined(__AVX512F__)
constexpr int register_bytes = 64;
#elif defined(__AVX__)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif

template <class T, int bytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(bytes)));  // NOLINT(modernize-use-using): an alias loses the attribute
};
template <class T>
using Vector = typename VectorOf<T, register_bytes>::Type;
template <class T>
constexpr Index width = register_bytes / static_cast<Index>(sizeof(T));

/// Calls multiply(first, last) for stretches of the rows [begin, end) whose columns are all less than a.cols; answers
/// false at the first that has others. The nearest cache still has the columns when they are multiplied.
template <class T, class I, class Multiply>
bool for_checked_rows(const CsrRows<T, I>& a, Index begin, Index end, const Multiply& multiply) {
  using Unsigned = std::make_unsigned_t<I>;
  constexpr Index rows_together = 64;
  const I* const indices = a.indices;
  for (Index first = begin; first < end; first += rows_together) {
    const Index last = std::min(first + rows_together, end);
    Unsigned largest = 0;  // a negative column is larger than any other
    for (Index j = a.indptr[first]; j < a.indptr[last]; ++j)
      largest = std::max(largest, static_cast<Unsigned>(indices[j]));
    if (largest >= static_cast<Unsigned>(a.cols) && a.indptr[first] < a.indptr[last]) return false;
    multiply(first, last);
  }
  return true;
}

/// A row of A X in `vectors` registers of columns.
template <int vectors, class T, class I>
[[gnu::always_inline]] inline void multiply_row(const I* indices, const T* data, Index size, const T* x, Index x_stride,
                                                T* y) {
  Vector<T> sum[vectors];
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) sum[v] = Vector<T>{};
  for (Index j = 0; j < size; ++j) {
    const T* const row = x + indices[j] * x_stride;
    const T a = data[j];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      Vector<T> entries;
      std::memcpy(&entries, row + v * width<T>, sizeof entries);
      sum[v] += a * entries;
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) std::memcpy(y + v * width<T>, &sum[v], sizeof sum[v]);
}

/// All columns of a row, panel by panel; at least as many as a register has entries.
template <class T, class I>
void multiply_row(const I* indices, const T* data, Index size, const T* x, Index x_stride, Index cols, T* y) {
  Index col = 0;
  for (; cols - col >= 8 * width<T>; col += 8 * width<T>)
    multiply_row<8>(indices, data, size, x + col, x_stride, y + col);
  if (cols - col >= 4 * width<T>) {
    multiply_row<4>(indices, data, size, x + col, x_stride, y + col);
    col += 4 * width<T>;
  }
  if (cols - col >= 2 * width<T>) {
    multiply_row<2>(indices, data, size, x + col, x_stride, y + col);
    col += 2 * width<T>;
  }
  if (cols - col >= width<T>) {
    multiply_row<1>(indices, data, size, x + col, x_stride, y + col);
    col += width<T>;
  }
  // The last columns, if they do not fill a register, are multiplied together with some before them once more.
  if (const Index last = cols - width<T>; col < cols)
    multiply_row<1>(indices, data, size, x + last, x_stride, y + last);
}

/// The rows of A X for fewer columns than a register has entries.
template <int cols, class T, class I>
void multiply_narrow(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, T* y, Index y_stride) {
  for (Index i = begin; i < end; ++i) {
    T sum[cols] = {};
    for (Index j = a.indptr[i]; j < a.indptr[i + 1]; ++j) {
      const T* const row = x + a.indices[j] * x_stride;
      for (int c = 0; c < cols; ++c) sum[c] += a.data[j] * row[c];
    }
    for (int c = 0; c < cols; ++c) y[i * y_stride + c] = sum[c];
  }
}

template <int most, class T, class I>
void multiply_narrow(Index cols, const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, T* y,
                     Index y_stride) {
  if constexpr (most > 1)
    if (cols < most) return multiply_narrow<most - 1>(cols, a, begin, end, x, x_stride, y, y_stride);
  multiply_narrow<most>(a, begin, end, x, x_stride, y, y_stride);
}

template <class T, class I>
bool multiply_rows(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index cols, T* y,
                   Index y_stride) noexcept {
  return for_checked_rows(a, begin, end, [&](Index first, Index last) {
    if (cols < width<T>)
      return multiply_narrow<static_cast<int>(width<T>) - 1>(cols, a, first, last, x, x_stride, y, y_stride);
    for (Index i = first; i < last; ++i) {
      const Index j = a.indptr[i];
      multiply_row(a.indices + j, a.data + j, a.indptr[i + 1] - j, x, x_stride, cols, y + i * y_stride);
    }
  });
}

template <Index lanes, class T, class I>
void add_lanes(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index count, T* y) {
  using Lanes = typename VectorOf<T, lanes * sizeof(T)>::Type;
  for (Index k = begin; k < end; ++k) {
    if (a.indptr[k] == a.indptr[k + 1]) continue;
    Lanes column = {};
    for (Index r = 0; r < count; ++r) column[r] = x[r * x_stride + k];
    for (Index j = a.indptr[k]; j < a.indptr[k + 1]; ++j) {
      T* const target = y + a.indices[j] * lanes;
      Lanes sum;
      std::memcpy(&sum, target, sizeof sum);
      sum += column * a.data[j];
      std::memcpy(target, &sum, sizeof sum);
    }
  }
}

template <class T, class I>
void add_rows_from_left(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index count, T* y) {
  switch (lanes_for(count)) {
    case 1:
      for (Index k = begin; k < end; ++k)
        for (Index j = a.indptr[k]; j < a.indptr[k + 1]; ++j) y[a.indices[j]] += x[k] * a.data[j];
      return;
    case 2:
      return add_lanes<2>(a, begin, end, x, x_stride, count, y);
    case 4:
      return add_lanes<4>(a, begin, end, x, x_stride, count, y);
    default:
      return add_lanes<most_lanes>(a, begin, end, x, x_stride, count, y);
  }
}

template <class T, class I>
bool add_from_left(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index count,
                   T* y) noexcept {
  return for_checked_rows(a, begin, end,
                          [&](Index first, Index last) { add_rows_from_left(a, first, last, x, x_stride, count, y); });
}

template <class T, class I>
constexpr SpmmKernelsFor<T, I> kernels_for = {.multiply_rows = multiply_rows<T, I>,
                                              .add_from_left = add_from_left<T, I>};

}  // namespace

const nearlinear::sparse::TypedKernels<nearlinear::sparse::SpmmKernelsFor> nearlinear::sparse::spmm_kernels = {
    .f32_i32 = kernels_for<float, std::int32_t>,
    .f32_i64 = kernels_for<float, std::int64_t>,
    .f64_i32 = kernels_for<double, std::int32_t>,
    .f64_i64 = kernels_for<double, std::int64_t>,
};
