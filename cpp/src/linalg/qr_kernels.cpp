// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "linalg/qr_kernels.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

namespace {

using nearlinear::Index;

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

}  // namespace

const nearlinear::linalg::QrKernels nearlinear::linalg::qr_kernels = {
    .f32 = {.reflect = reflect<float>},
    .f64 = {.reflect = reflect<double>},
};
