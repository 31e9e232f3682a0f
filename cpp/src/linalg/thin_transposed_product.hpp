/// The product of a large matrix' transpose with few columns, shared by threads along the large matrix.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// Y <- A^T X for A of m x n, X of m x p and Y of n x p. Sums of more than a block of rows are taken in double.
template <class T>
void thin_transposed_product(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run);

}  // namespace nearlinear::linalg
