/// The hot loop of products with vectors.
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

/// One pass over the n x d matrix A, stored by rows: y <- A x when x is given, then z <- z + A^T w when w is given,
/// which may be y. Without gaps between vectors' entries.
template <class T>
using GemvPair = void (*)(Index n, Index d, const T* a, Index a_row_stride, const T* x, T* y, const T* w,
                          T* z) noexcept;

struct GemvKernels {
  GemvPair<float> pair_f32;
  GemvPair<double> pair_f64;
};

extern const GemvKernels gemv_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
