/// Kernels by type, for code that is compiled once.
#pragma once

#include <type_traits>

#include "linalg/gemv_kernels.hpp"
#include "linalg/kernels.hpp"
#include "linalg/product_kernels.hpp"

namespace nearlinear::linalg {

template <class T>
Gemm<T> gemm_kernel() {
  const ProductKernels& table = *kernels().products;
  if constexpr (std::is_same_v<T, float>) return table.gemm_f32;
  if constexpr (std::is_same_v<T, double>) return table.gemm_f64;
}

template <class T>
Syrk<T> syrk_kernel() {
  const ProductKernels& table = *kernels().products;
  if constexpr (std::is_same_v<T, float>) return table.syrk_f32;
  if constexpr (std::is_same_v<T, double>) return table.syrk_f64;
}

template <class T>
GemvPair<T> gemv_pair_kernel() {
  const GemvKernels& table = *kernels().gemv;
  if constexpr (std::is_same_v<T, float>) return table.pair_f32;
  if constexpr (std::is_same_v<T, double>) return table.pair_f64;
}

}  // namespace nearlinear::linalg
