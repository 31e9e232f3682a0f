/// Products of a tensor with matrices along its modes: what a Kronecker product of matrices does to a vector.
#pragma once

#include <vector>

#include "nearlinear/linalg/products.hpp"

namespace nearlinear::sketch {

/// A tensor stored by rows, the last index fastest.
template <class T>
struct Tensor {
  std::vector<Index> sizes;
  const T* data = nullptr;
  Array<T> memory = {};  ///< where it owns its entries

  [[nodiscard]] Index entries() const;
  /// Of the modes before and behind `mode`: the tensor is outer() matrices of sizes[mode] x inner().
  [[nodiscard]] Index outer(std::size_t mode) const;
  [[nodiscard]] Index inner(std::size_t mode) const;
};

/// The order in which multiplying every mode by a matrix costs least, where the matrix of mode t turns from[t] entries
/// into to[t]: a step costs the entries before it times to[t] and changes their number by to[t] / from[t]. Exchanging
/// two neighbours in the order shows that 1 / to[t] - 1 / from[t] must not increase.
[[nodiscard]] std::vector<std::size_t> cheapest_order(std::span<const Index> from, std::span<const Index> to);

/// The tensor with op(M) x for every vector x of entries along a mode.
template <class T>
[[nodiscard]] Tensor<T> multiply_mode(const Tensor<T>& X, std::size_t mode, MatrixView<const T> M, Transpose op,
                                      const RunOptions& run);

/// The sum of squares of the difference between the tensor with M x for every vector x along a mode of X, and B, which
/// has its shape. The former is never held as a whole.
template <class T>
[[nodiscard]] double squared_distance(const Tensor<T>& X, std::size_t mode, MatrixView<const T> M, const Tensor<T>& B,
                                      const RunOptions& run);

/// The tensor with R^{-1} x, R upper triangular, in place of X.
template <class T>
void solve_mode(Tensor<T>& X, std::size_t mode, MatrixView<const T> R, const RunOptions& run);

}  // namespace nearlinear::sketch
