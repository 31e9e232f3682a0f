/// Kernels by type, for code that is compiled once.
#pragma once

#include <type_traits>

#include "linalg/kernels.hpp"
#include "linalg/product_kernels.hpp"

namespace nearlinear::linalg {

template <class T>
Gemm<T> gemm_kernel() {
  const ProductKernels& table = *kernels().products;
  if constexpr (std::is_same_v<T, float>) return table.gemm_f32;
  if constexpr (std::is_same_v<T, double>) return table.gemm_f64;
}

}  // namespace nearlinear::linalg
