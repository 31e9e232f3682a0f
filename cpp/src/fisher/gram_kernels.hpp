/// Scalar products of long rows with each other, one table per instruction set.
#pragma once

#include <type_traits>

#include "fisher/kernels.hpp"

namespace nearlinear::fisher {

/// Rows of `cols` numbers, `stride` apart.
template <class T>
struct Rows {
  const T* data;
  Index count;
  Index stride;
};

template <class T>
struct GramKernelsFor {
  /// sums(i, j) <- sums(i, j) + a_i . b_j, where `lower` is set at least for j <= i. Each product is summed in T by
  /// registers, and these in double. `sums` has a row per row of a, sums_stride apart. The rows `next` will be needed
  /// next.
  void (*multiply)(Rows<T> a, Rows<T> b, Index cols, bool lower, Rows<T> next, double* sums,
                   Index sums_stride) noexcept;
};

struct GramKernels {
  GramKernelsFor<float> f32;
  GramKernelsFor<double> f64;
};

template <class T>
const GramKernelsFor<T>& gram_kernels_for() {
  if constexpr (std::is_same_v<T, float>) return kernels().gram->f32;
  if constexpr (std::is_same_v<T, double>) return kernels().gram->f64;
}

extern const GramKernels gram_kernels;  // of the instruction set that a file is compiled for

}  // namespace nearlinear::fisher
