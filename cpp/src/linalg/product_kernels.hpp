/// The hot loops of every dense product: a GEMM and a SYRK on one thread.
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

/// A matrix that is stored by rows or by columns: entry (i, j) lies at data[i * row_stride + j * col_stride], and one
/// of the strides is 1.
template <class T>
struct Operand {
  const T* data;
  Index row_stride;
  Index col_stride;

  [[nodiscard]] Operand transposed() const { return {data, col_stride, row_stride}; }
  [[nodiscard]] Operand at(Index row, Index col) const {
    return {data + row * row_stride + col * col_stride, row_stride, col_stride};
  }
};

/// C <- C + alpha A B on the calling thread, for C of m x n stored by rows, A of m x k, B of k x n. Allocates its
/// packed blocks.
template <class T>
using Gemm = void (*)(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T* c, Index c_row_stride);

/// C <- C + alpha A A^T on the calling thread in the lower triangle of the n x n matrix C, which is stored by rows; the
/// rest of C stays as it is. A is n x k. Allocates its packed blocks.
template <class T>
using Syrk = void (*)(Index n, Index k, T alpha, Operand<T> a, T* c, Index c_row_stride);

struct ProductKernels {
  Gemm<float> gemm_f32;
  Gemm<double> gemm_f64;
  Syrk<float> syrk_f32;
  Syrk<double> syrk_f64;
};

extern const ProductKernels product_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
