/// Products of a large matrix with few columns, shared by threads along the large matrix.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// Y <- A X for A of m x n, X of n x p and Y of m x p. Errors as gemm's.
template <class T>
void thin_product(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run);

/// Y <- A^T X for A of m x n, X of m x p and Y of n x p. Sums of more than a block of rows are taken in double.
template <class T>
void thin_transposed_product(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run);

}  // namespace nearlinear::linalg
