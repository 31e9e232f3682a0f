/// The hot loops of every dense product: a GEMM and a SYRK on one thread, and the two steps of a GEMM on several.
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

constexpr Index largest_depth = 320;            // of a block of factors that is packed and multiplied with in one go
constexpr Index row_unit = 24;                  // a multiple of the height of panels of A on every instruction set
constexpr Index largest_height = 5 * row_unit;  // of such a block of A

template <class T>
struct ProductKernelsFor {
  /// C <- C + alpha A B on the calling thread, for C of m x n stored by rows, A of m x k, B of k x n. Allocates its
  /// packed blocks.
  void (*gemm)(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T* c, Index c_row_stride);

  /// C <- C + alpha A A^T on the calling thread in the lower triangle of the n x n matrix C, which is stored by rows;
  /// the rest of C stays as it is. A is n x k. Allocates its packed blocks.
  void (*syrk)(Index n, Index k, T alpha, Operand<T> a, T* c, Index c_row_stride);

  /// B of depth x n as panels of panel_cols columns, the last filled up with zeros: what begins with column j, a
  /// multiple of panel_cols, goes to packed + j * depth, which is aligned to 64 bytes. No deeper than largest_depth.
  void (*pack)(Index depth, Index n, Operand<T> b, T* packed) noexcept;
  Index panel_cols;

  /// The same as gemm with such a B. `scratch` holds largest_height * depth numbers.
  void (*multiply_packed)(Index m, Index n, Index depth, T alpha, Operand<T> a, const T* packed_b, T* c,
                          Index c_row_stride, T* scratch) noexcept;
};

struct ProductKernels {
  ProductKernelsFor<float> f32;
  ProductKernelsFor<double> f64;
};

extern const ProductKernels product_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
