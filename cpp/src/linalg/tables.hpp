/// Kernels by type, for code that is compiled once.
#pragma once

#include <type_traits>

#include "linalg/gemv_kernels.hpp"
#include "linalg/hadamard_kernels.hpp"
#include "linalg/kernels.hpp"
#include "linalg/product_kernels.hpp"

namespace nearlinear::linalg {

template <class T>
const ProductKernelsFor<T>& product_kernels_for() {
  if constexpr (std::is_same_v<T, float>) return kernels().products->f32;
  if constexpr (std::is_same_v<T, double>) return kernels().products->f64;
}

template <class T>
auto gemm_kernel() {
  return product_kernels_for<T>().gemm;
}

template <class T>
auto syrk_kernel() {
  return product_kernels_for<T>().syrk;
}

template <class T>
GemvPair<T> gemv_pair_kernel() {
  const GemvKernels& table = *kernels().gemv;
  if constexpr (std::is_same_v<T, float>) return table.pair_f32;
  if constexpr (std::is_same_v<T, double>) return table.pair_f64;
}

template <class T>
TransformTile<T> transform_tile_kernel() {
  const HadamardKernels& table = *kernels().hadamard;
  if constexpr (std::is_same_v<T, float>) return table.transform_tile_f32;
  if constexpr (std::is_same_v<T, double>) return table.transform_tile_f64;
}

}  // namespace nearlinear::linalg
