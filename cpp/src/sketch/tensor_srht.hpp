/// Checks of the factors of a Kronecker product, which sketches and least squares share.
#pragma once

#include <span>

#include "nearlinear/sketch/kron.hpp"

namespace nearlinear::sketch {

/// Throws std::invalid_argument unless there are factors and each has a row and a column.
template <class T>
void require_factors(std::span<const MatrixView<const T>> factors, const char* function);

/// The product of the numbers of columns.
template <class T>
[[nodiscard]] Index kron_cols(std::span<const MatrixView<const T>> factors) {
  Index cols = 1;
  for (const auto& factor : factors) cols = checked_product(cols, factor.cols());
  return cols;
}

/// out <- the Kronecker product of two rows, times `scale`.
template <class T>
void multiply_rows(std::span<const T> x, std::span<const T> y, T scale, T* out) {
  for (const T first : x) {
    const T factor = scale * first;
    for (const T second : y) *out++ = factor * second;
  }
}

}  // namespace nearlinear::sketch
