// Compiled once per instruction set; see core/dispatch.hpp for the rules. Tiles are factored and inverted by Eigen;
// rotations are applied to as many rows at a time as a register has entries.
#include "linalg/cholesky_kernels.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cmath>
#include <limits>

#include "linalg/packets.hpp"

namespace {

using nearlinear::Index;
using nearlinear::linalg::CholeskyKernelsFor;
using nearlinear::linalg::Packet;
using nearlinear::linalg::width;

template <class T>
using ByColumns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
template <class T>
using ByRows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Matrix, class T>
auto map(T* data, Index rows, Index cols, Index stride) {
  return Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>(data, rows, cols, Eigen::OuterStride<>(stride));
}

template <class T>
bool is_pivot(T number) {
  return number > 0 && number <= std::numeric_limits<T>::max();  // false for NaN
}

template <class T>
void copy_lower(Index n, const Eigen::Map<ByColumns<T>>& from, T* to, Index row_stride) {
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j <= i; ++j) to[i * row_stride + j] = from(i, j);
}

/// In a copy that is stored by columns, as Eigen's algorithm likes it.
template <class T>
Index factor_tile(Index n, T* a, Index row_stride, T* scratch) {
  Eigen::Map<ByColumns<T>> tile(scratch, n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j <= i; ++j) tile(i, j) = a[i * row_stride + j];
  // LLT itself does not tell where it stopped, and takes NaN for positive.
  const Index stopped = Eigen::internal::llt_inplace<T, Eigen::Lower>::blocked(tile);
  for (Index i = 0; i < (stopped < 0 ? n : stopped); ++i)
    if (!is_pivot(tile(i, i))) return i + 1;
  if (stopped >= 0) return stopped + 1;
  copy_lower(n, tile, a, row_stride);
  return 0;
}

template <class T>
void invert_tile(Index n, T* l, Index row_stride, T* scratch) {
  Eigen::Map<ByColumns<T>> inverse(scratch, n, n);
  inverse.setIdentity();
  map<const ByRows<T>>(l, n, n, row_stride).template triangularView<Eigen::Lower>().solveInPlace(inverse);
  copy_lower(n, inverse, l, row_stride);
}

/// One row: a chain in which every rotation waits for the one before.
template <class T>
void rotate_row(Index k, T* l, T& x, const T* c, const T* s) {
  for (Index j = 0; j < k; ++j) {
    const T old = l[j];
    l[j] = c[j] * old + s[j] * x;
    x = c[j] * x - s[j] * old;
  }
}

/// Square blocks of rows and columns are transposed in registers, so that a register holds entries of one column, and
/// every entry of it has a chain of its own.
template <class T>
void rotate_rows(Index m, Index k, T* l, Index row_stride, T* x, const T* c, const T* s) noexcept {
  namespace ei = Eigen::internal;
  const Index whole_rows = m - m % width<T>, whole_cols = k - k % width<T>;
  for (Index i = 0; i < whole_rows; i += width<T>) {
    T* const rows = l + i * row_stride;
    Packet<T> carried = ei::ploadu<Packet<T>>(x + i);
    for (Index j = 0; j < whole_cols; j += width<T>) {
      ei::PacketBlock<Packet<T>, width<T>> columns;
      for (int p = 0; p < width<T>; ++p) columns.packet[p] = ei::ploadu<Packet<T>>(rows + p * row_stride + j);
      ei::ptranspose(columns);
      for (int p = 0; p < width<T>; ++p) {
        const Packet<T> cosine = ei::pset1<Packet<T>>(c[j + p]), sine = ei::pset1<Packet<T>>(s[j + p]);
        const Packet<T> old = columns.packet[p];
        columns.packet[p] = ei::padd(ei::pmul(cosine, old), ei::pmul(sine, carried));
        carried = ei::psub(ei::pmul(cosine, carried), ei::pmul(sine, old));
      }
      ei::ptranspose(columns);
      for (int p = 0; p < width<T>; ++p) ei::pstoreu(rows + p * row_stride + j, columns.packet[p]);
    }
    ei::pstoreu(x + i, carried);
    for (Index p = 0; p < width<T>; ++p)
      rotate_row(k - whole_cols, rows + p * row_stride + whole_cols, x[i + p], c + whole_cols, s + whole_cols);
  }
  for (Index i = whole_rows; i < m; ++i) rotate_row(k, l + i * row_stride, x[i], c, s);
}

template <class T>
Index rotate_triangle(Index n, T* l, Index row_stride, T* x, T* c, T* s) noexcept {
  constexpr Index group = 16;  // rows whose common rotations are applied together
  for (Index begin = 0; begin < n; begin += group) {
    const Index end = begin + group < n ? begin + group : n;
    rotate_rows(end - begin, begin, l + begin * row_stride, row_stride, x + begin, c, s);
    for (Index i = begin; i < end; ++i) {
      T* const row = l + i * row_stride;
      rotate_row(i - begin, row + begin, x[i], c + begin, s + begin);
      const T pivot = std::hypot(row[i], x[i]);
      if (!is_pivot(pivot)) return i + 1;
      c[i] = row[i] / pivot;
      s[i] = x[i] / pivot;
      row[i] = pivot;
    }
  }
  return 0;
}

template <class T>
void forward_substitute(Index begin, Index end, const T* l, Index row_stride, T* y) noexcept {
  using Vector = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>;
  for (Index i = begin; i < end; ++i) {
    const T* const row = l + i * row_stride;
    y[i] = (y[i] - Vector(row, i).dot(Vector(y, i))) / row[i];
  }
}

template <class T>
T square_sum(Index n, const T* y) noexcept {
  const Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>> vector(y, n);
  return vector.dot(vector);
}

template <class T>
constexpr CholeskyKernelsFor<T> table = {
    .factor_tile = factor_tile<T>,
    .invert_tile = invert_tile<T>,
    .solve_tile = nearlinear::linalg::solve_tile<T>,
    .rotate_rows = rotate_rows<T>,
    .rotate_triangle = rotate_triangle<T>,
    .forward_substitute = forward_substitute<T>,
    .square_sum = square_sum<T>,
};

}  // namespace

const nearlinear::linalg::CholeskyKernels nearlinear::linalg::cholesky_kernels = {.f32 = table<float>,
                                                                                  .f64 = table<double>};
