/// The hot loops of `ot`, one table per instruction set: rows of costs and of exponentials.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/dispatch.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::ot {

/// The smallest and the largest finite entry, whether no entry is NaN or -Inf, and whether none is +Inf either.
struct Range {
  double smallest;
  double largest;
  bool valid;
  bool finite;
};

/// Of a row of costs, or a part of it. Costs may be +Inf, of which the exponential is 0; g is finite.
template <class T>
struct RowKernelsFor {
  /// t_j <- exp((f + g_j - cost_j) / reg), of some 1 ulp, 0 where it is below 1e-307; returns their sum.
  double (*exponentials)(const T* cost, const double* g, Index size, double f, double inverse_reg, double* t) noexcept;

  /// The same in float: of some 1e-7 (1 + |argument|), 0 below 1e-37, infinite above 1e38.
  double (*coarse_exponentials)(const T* cost, const double* g, Index size, double f, double inverse_reg,
                                double* t) noexcept;

  /// The largest g_j - cost_j.
  double (*largest_slack)(const T* cost, const double* g, Index size) noexcept;

  /// The first j with the largest g_j - cost_j, which it writes to `slack`. Here g may be -Inf, too. The same on every
  /// instruction set.
  Index (*best)(const T* cost, const double* g, Index size, double* slack) noexcept;

  /// g_j <- min(g_j, cost_j - f).
  void (*lower)(const T* cost, Index size, double f, double* g) noexcept;

  /// The sum of t_j cost_j where t_j > 0.
  double (*total_cost)(const T* cost, const double* t, Index size) noexcept;

  /// How many j have f + g_j - cost_j > threshold.
  Index (*count)(const T* cost, const double* g, Index size, double f, double threshold) noexcept;

  /// Writes them: first + j to `columns` and f + g_j - cost_j to `slacks`, which have room for `size` + 8 entries each;
  /// returns how many there are.
  Index (*collect)(const T* cost, const double* g, Index size, double f, double threshold, std::int32_t first,
                   std::int32_t* columns, double* slacks) noexcept;

  /// sums_j <- sums_j + scale v_j with v_j the positive part of f + g_j - cost_j; returns the sum of v_j^2.
  double (*add_positive)(const T* cost, const double* g, Index size, double f, double scale, double* sums) noexcept;

  Range (*range)(const T* cost, Index size) noexcept;
};

/// out_j <- the distance between x and y_j for `size` points, of which coordinate k lies at y[k * stride + j], and at
/// as many more as make `size` a multiple of 32.
using Distances = void (*)(const double* x, const double* y, Index dim, Index stride, Index size, double* out) noexcept;

struct Kernels {
  RowKernelsFor<float> f32;
  RowKernelsFor<double> f64;
  Distances squared_euclidean;
  Distances euclidean;
  Distances cityblock;

  /// t_j <- exp(t_j * factor), in place.
  void (*exponentials_of)(double* t, Index size, double factor) noexcept;

  /// sums_j <- sums_j + scale t_j.
  void (*add_scaled)(const double* t, Index size, double scale, double* sums) noexcept;

  double (*dot)(const double* x, const double* y, Index size) noexcept;

  /// out_j <- scale t_j as a float, 0 instead of a subnormal one.
  void (*store_scaled)(const double* t, Index size, double scale, float* out) noexcept;

  /// For `rows` rows of `cols` floats, side by side: w_i <- weight_i / (K x)_i, or weight_i (K x)_i, and then
  /// sums <- sums + K^T w. K is read once.
  void (*divide_pass)(const float* k, Index rows, Index cols, const double* x, const double* weight, double* w,
                      double* sums) noexcept;
  void (*multiply_pass)(const float* k, Index rows, Index cols, const double* x, const double* weight, double* w,
                        double* sums) noexcept;

  /// The sum of value_k x[column_k].
  double (*sparse_dot)(const double* values, const std::int32_t* columns, Index count, const double* x) noexcept;
};

NEARLINEAR_DECLARE_KERNELS(ot)

template <class T>
const RowKernelsFor<T>& row_kernels() {
  if constexpr (std::is_same_v<T, float>) return kernels().f32;
  if constexpr (std::is_same_v<T, double>) return kernels().f64;
}

}  // namespace nearlinear::ot
