/// The hot loops of QR factorisations: one Householder reflection, and the two products of a block of them, as their
/// matrices lie. These are stored by columns, and the blocks are narrow: to pack them, as general products do, would
/// take as long as to multiply.
#pragma once

#include <type_traits>

#include "linalg/kernels.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

template <class T>
struct QrKernelsFor {
  /// Finds H = I - tau (1; v) (1; v)^T with H (alpha; x) = (beta; 0), and applies it to `cols` columns (r_l; y_l) more.
  /// alpha and r_l lie at r[l * r_stride], l = 0, 1, ..., cols; x, of `rows` numbers, and y_l at x + l * x_stride. beta
  /// takes the place of alpha, and v that of x. Returns tau, which is 0 for alpha = 0, x = 0. Norms neither overflow
  /// nor underflow unless beta does.
  T (*reflect)(Index rows, Index cols, T* r, Index r_stride, T* x, Index x_stride);

  /// S <- S + V^T C for V of rows x w and C of rows x cols, by columns, and S of w x cols, by rows.
  void (*multiply_transposed)(Index rows, Index w, Index cols, const T* v, Index v_stride, const T* c, Index c_stride,
                              T* s, Index s_stride) noexcept;

  /// C <- C + V Y for V of rows x w and C of rows x cols, by columns, and Y of w x cols, by rows.
  void (*add_product)(Index rows, Index w, Index cols, const T* v, Index v_stride, const T* y, Index y_stride, T* c,
                      Index c_stride) noexcept;
};

struct QrKernels {
  QrKernelsFor<float> f32;
  QrKernelsFor<double> f64;
};

extern const QrKernels qr_kernels;  // one per instruction set: code reaches it through kernels() alone

template <class T>
const QrKernelsFor<T>& qr_kernels_for() {
  if constexpr (std::is_same_v<T, float>) return kernels().qr->f32;
  if constexpr (std::is_same_v<T, double>) return kernels().qr->f64;
}

}  // namespace nearlinear::linalg
