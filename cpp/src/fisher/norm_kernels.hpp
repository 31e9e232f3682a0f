/// Norms of the columns of a triangular matrix times gradients, one table per instruction set.
#pragma once

#include <type_traits>

#include "fisher/kernels.hpp"

namespace nearlinear::fisher {

template <class T>
struct NormKernelsFor {
  /// Numbers of a packed triangle of m rows, and what is between them and 64 bytes' alignment.
  Index (*packed_size)(Index m) noexcept;

  /// A lower triangular matrix by rows, `stride` apart, as add_squares() reads it.
  void (*pack)(Index m, const double* triangle, Index stride, T* packed) noexcept;

  /// whitened_j <- |W g_j|^2 and plain_j <- |g_j|^2 for the `cols` columns g_j of m rows. `scratch` has room for
  /// m * scratch_cols numbers; it and `packed` are aligned to 64 bytes.
  void (*squares)(Index m, const T* packed, const T* g, Index row_stride, Index cols, T* scratch, T* whitened,
                  T* plain) noexcept;

  Index scratch_cols;
};

struct NormKernels {
  NormKernelsFor<float> f32;
  NormKernelsFor<double> f64;
};

template <class T>
const NormKernelsFor<T>& norm_kernels_for() {
  if constexpr (std::is_same_v<T, float>) return kernels().norms->f32;
  if constexpr (std::is_same_v<T, double>) return kernels().norms->f64;
}

extern const NormKernels norm_kernels;  // of the instruction set that a file is compiled for

}  // namespace nearlinear::fisher
