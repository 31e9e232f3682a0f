/// The hot loops of `fisher`, one table per instruction set: what reads gradients, of any type, and sums in double.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/dispatch.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::fisher {

/// Numbers of 16 bits, in memory alone.
struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

template <class S>
struct KernelsFor {
  /// sums <- sums + G x for `rows` rows of `cols` gradients' entries.
  void (*multiply)(const S* g, Index row_stride, Index rows, Index cols, const double* x, double* sums) noexcept;

  /// y <- y + G^T c.
  void (*combine)(const S* g, Index row_stride, Index rows, Index cols, const double* c, double* y) noexcept;

  void (*to_float)(const S* g, Index count, float* out) noexcept;
  void (*to_double)(const S* g, Index count, double* out) noexcept;

  /// The largest absolute value, NaN apart, and the sum of squares.
  void (*measure)(const S* g, Index count, double& largest, double& square) noexcept;

  /// out <- x * factor, rounded to the nearest.
  void (*from_double)(const double* x, Index count, double factor, S* out) noexcept;
};

struct GramKernels;
struct ManyKernels;
struct NormKernels;

struct Kernels {
  KernelsFor<double> f64;
  KernelsFor<float> f32;
  KernelsFor<Half> f16;
  KernelsFor<BFloat16> bf16;
  const GramKernels* gram;
  const ManyKernels* many;
  const NormKernels* norms;
};

NEARLINEAR_DECLARE_KERNELS(fisher)

template <class S>
const KernelsFor<S>& kernels_for() {
  if constexpr (std::is_same_v<S, double>) return kernels().f64;
  if constexpr (std::is_same_v<S, float>) return kernels().f32;
  if constexpr (std::is_same_v<S, Half>) return kernels().f16;
  if constexpr (std::is_same_v<S, BFloat16>) return kernels().bf16;
}

}  // namespace nearlinear::fisher
