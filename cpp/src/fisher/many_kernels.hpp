/// Passes with several vectors at once, one table per instruction set.
#pragma once

#include <type_traits>

#include "fisher/kernels.hpp"

namespace nearlinear::fisher {

constexpr Index many_cols =
    256;  // of a part of the vectors that is multiplied in one go, and stays in the nearest cache
constexpr Index many_rows = 64;  // that are combined in one go
constexpr Index many_unit = 24;  // a multiple of the vectors that registers hold at a time, on every instruction set
constexpr Index many_scratch = 8192;  // doubles

template <class S>
struct ManyKernelsFor {
  /// sums <- sums + G X for `rows` rows of `cols` <= many_cols entries and p columns of X, packed as the products of
  /// linalg have them. `scratch` has many_scratch doubles and is aligned to 64 bytes.
  void (*multiply)(const S* g, Index row_stride, Index rows, Index cols, const double* packed_x, Index p,
                   double* scratch, double* sums) noexcept;

  /// Y <- Y + C^T G for p rows of Y, which lie y_stride apart. C has a row for every one of G, c_stride apart, a
  /// multiple of many_unit, and zeros behind its p columns.
  void (*combine)(const S* g, Index row_stride, Index rows, Index cols, const double* c, Index c_stride, Index p,
                  double* scratch, double* y, Index y_stride) noexcept;
};

struct ManyKernels {
  ManyKernelsFor<double> f64;
  ManyKernelsFor<float> f32;
  ManyKernelsFor<Half> f16;
  ManyKernelsFor<BFloat16> bf16;
};

template <class S>
const ManyKernelsFor<S>& many_kernels_for() {
  if constexpr (std::is_same_v<S, double>) return kernels().many->f64;
  if constexpr (std::is_same_v<S, float>) return kernels().many->f32;
  if constexpr (std::is_same_v<S, Half>) return kernels().many->f16;
  if constexpr (std::is_same_v<S, BFloat16>) return kernels().many->bf16;
}

extern const ManyKernels many_kernels;  // of the instruction set that a file is compiled for

}  // namespace nearlinear::fisher
