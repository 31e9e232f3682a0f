// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "linalg/qr_kernels.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/packets.hpp"

namespace {

using nearlinear::Index;
using nearlinear::linalg::Packet;
using nearlinear::linalg::width;
namespace ei = Eigen::internal;

template <class T>
using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// Between these, alpha^2 + |x|^2 has lost nothing that matters to underflow, and nothing to overflow.
template <class T>
bool is_safe(T square_sum) {
  constexpr int smallest = std::numeric_limits<T>::min_exponent / 2;
  constexpr int largest = std::numeric_limits<T>::max_exponent - 4;
  return square_sum >= std::ldexp(T{1}, smallest) && square_sum <= std::ldexp(T{1}, largest);
}

template <class T>
T reflect(Index rows, Index cols, T* r, Index r_stride, T* x_data, Index x_stride) {
  Eigen::Map<Vector<T>> x(x_data, rows);
  T alpha = r[0];
  T square_sum = alpha * alpha + x.squaredNorm();
  int exponent = 0;
  if (!is_safe(square_sum)) {
    const T largest = std::max(std::abs(alpha), rows == 0 ? T{0} : x.template lpNorm<Eigen::Infinity>());
    if (largest == T{0}) return T{0};
    if (std::isfinite(largest)) {  // by a power of two, in which nothing is rounded
      exponent = std::ilogb(largest);
      const T half = std::ldexp(T{1}, -(exponent / 2)), other_half = std::ldexp(T{1}, -(exponent - exponent / 2));
      alpha = alpha * half * other_half;
      x = (x * half) * other_half;
    }
    square_sum = alpha * alpha + x.squaredNorm();
  }
  const T beta = -std::copysign(std::sqrt(square_sum), alpha);
  const T tau = (beta - alpha) / beta;
  const T to_v = T{1} / (alpha - beta);  // alpha and beta have opposite signs: nothing cancels
  r[0] = std::ldexp(beta, exponent);
  if (cols > 0) {
    Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>, 0, Eigen::OuterStride<>> y(
        x_data + x_stride, rows, cols, Eigen::OuterStride<>(x_stride));
    Eigen::Map<Vector<T>, 0, Eigen::InnerStride<>> r_row(r + r_stride, cols, Eigen::InnerStride<>(r_stride));
    Vector<T> w(cols);
    w.noalias() = y.transpose() * x;
    w = tau * (r_row + to_v * w);
    r_row -= w;
    y.noalias() -= x * (to_v * w).transpose();
  }
  x *= to_v;
  return tau;
}

// Both products go through chunks of rows, of which V's stay in the second-level cache, and in these through groups of
// columns of C, which stay in the first.
constexpr Index chunk_rows = 512;
constexpr int v_cols = 3;  // in registers with 4 columns of C: 12 sums, 3 + 1 vectors
constexpr int c_cols = 4;

/// S <- S + V^T C for m columns of V and n of C, both few enough that all sums are in registers. The columns at `next`,
/// which come after those at c, are fetched meanwhile, unless it is null: hardware does not see that far.
template <class T, int m, int n>
void multiply_few(Index rows, const T* v, Index v_stride, const T* c, const T* next, Index c_stride, T* s,
                  Index s_stride) {
  Packet<T> sum[m][n];
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < n; ++j) sum[i][j] = ei::pset1<Packet<T>>(T{0});
  const Index whole = rows - rows % width<T>;
  for (Index r = 0; r < whole; r += width<T>) {
    if (next != nullptr)
      for (int j = 0; j < c_cols; ++j) ei::prefetch(next + j * c_stride + r);
    Packet<T> part_of_v[m];
#pragma GCC unroll 4
    for (int i = 0; i < m; ++i) part_of_v[i] = ei::ploadu<Packet<T>>(v + i * v_stride + r);
#pragma GCC unroll 4
    for (int j = 0; j < n; ++j) {
      const Packet<T> part_of_c = ei::ploadu<Packet<T>>(c + j * c_stride + r);
#pragma GCC unroll 4
      for (int i = 0; i < m; ++i) sum[i][j] = ei::pmadd(part_of_v[i], part_of_c, sum[i][j]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < n; ++j) {
      T total = ei::predux(sum[i][j]);
      for (Index r = whole; r < rows; ++r) total += v[i * v_stride + r] * c[j * c_stride + r];
      s[i * s_stride + j] += total;
    }
}

/// body(std::integral_constant<int, count>) for a count from 1 to `most`.
template <int most, class Body>
void with_constant(Index count, const Body& body) {
  if constexpr (most > 1)
    if (count < most) return with_constant<most - 1>(count, body);
  body(std::integral_constant<int, most>{});
}

template <class T>
void multiply_transposed(Index rows, Index w, Index cols, const T* v, Index v_stride, const T* c, Index c_stride, T* s,
                         Index s_stride) noexcept {
  for (Index begin = 0; begin < rows; begin += chunk_rows) {
    const Index count = std::min(chunk_rows, rows - begin);
    for (Index j = 0; j < cols; j += c_cols)
      with_constant<c_cols>(cols - j, [&](auto n) {
        const T* const here = c + j * c_stride + begin;
        for (Index i = 0; i < w; i += v_cols) {
          const T* const next = i == 0 && j + 2 * c_cols <= cols ? here + c_cols * c_stride : nullptr;
          with_constant<v_cols>(w - i, [&](auto m) {
            multiply_few<T, m, n>(count, v + i * v_stride + begin, v_stride, here, next, c_stride, s + i * s_stride + j,
                                  s_stride);
          });
        }
      });
  }
}

/// C <- C + V Y for `vectors` vectors of rows and n columns of C.
template <class T, int vectors, int n>
void add_few(Index w, const T* v, Index v_stride, const T* y, Index y_stride, T* c, const T* next, Index c_stride) {
  if (next != nullptr)
    for (int j = 0; j < c_cols; ++j) {
      ei::prefetch(next + j * c_stride);
      ei::prefetch(next + j * c_stride + vectors * width<T> - 1);
    }
  Packet<T> sum[vectors][n];
#pragma GCC unroll 4
  for (int r = 0; r < vectors; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < n; ++j) sum[r][j] = ei::ploadu<Packet<T>>(c + j * c_stride + r * width<T>);
  for (Index i = 0; i < w; ++i) {
    Packet<T> part_of_v[vectors];
#pragma GCC unroll 4
    for (int r = 0; r < vectors; ++r) part_of_v[r] = ei::ploadu<Packet<T>>(v + i * v_stride + r * width<T>);
#pragma GCC unroll 4
    for (int j = 0; j < n; ++j) {
      const Packet<T> factor = ei::pset1<Packet<T>>(y[i * y_stride + j]);
#pragma GCC unroll 4
      for (int r = 0; r < vectors; ++r) sum[r][j] = ei::pmadd(part_of_v[r], factor, sum[r][j]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < vectors; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < n; ++j) ei::pstoreu(c + j * c_stride + r * width<T>, sum[r][j]);
}

template <class T>
void add_product(Index rows, Index w, Index cols, const T* v, Index v_stride, const T* y, Index y_stride, T* c,
                 Index c_stride) noexcept {
  constexpr int vectors = 3;
  for (Index begin = 0; begin < rows; begin += chunk_rows) {
    const Index end = std::min(begin + chunk_rows, rows);
    for (Index j = 0; j < cols; j += c_cols)
      with_constant<c_cols>(cols - j, [&](auto n) {
        const Index further = j + 2 * c_cols <= cols ? c_cols * c_stride : 0;
        const auto next = [&](T* here) { return further > 0 ? here + further : nullptr; };
        Index r = begin;
        for (; r + vectors * width<T> <= end; r += vectors * width<T>)
          add_few<T, vectors, n>(w, v + r, v_stride, y + j, y_stride, c + j * c_stride + r, next(c + j * c_stride + r),
                                 c_stride);
        for (; r + width<T> <= end; r += width<T>)
          add_few<T, 1, n>(w, v + r, v_stride, y + j, y_stride, c + j * c_stride + r, nullptr, c_stride);
        for (; r < end; ++r)
          for (int l = 0; l < n; ++l) {
            T sum = c[(j + l) * c_stride + r];
            for (Index i = 0; i < w; ++i) sum += v[i * v_stride + r] * y[i * y_stride + j + l];
            c[(j + l) * c_stride + r] = sum;
          }
      });
  }
}

}  // namespace

const nearlinear::linalg::QrKernels nearlinear::linalg::qr_kernels = {
    .f32 = {.reflect = reflect<float>,
            .multiply_transposed = multiply_transposed<float>,
            .add_product = add_product<float>},
    .f64 = {.reflect = reflect<double>,
            .multiply_transposed = multiply_transposed<double>,
            .add_product = add_product<double>},
};
