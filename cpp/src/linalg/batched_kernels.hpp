/// The hot loops of batched solves: as many small systems at a time as a vector register has entries.
#pragma once

#include <type_traits>

#include "linalg/kernels.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

/// Equally spaced matrices, stored by rows: entry (i, j) of matrix s lies at
/// data[s * matrix_stride + i * row_stride + j].
template <class T>
struct Stack {
  T* data;
  Index row_stride;
  Index matrix_stride;
};

template <class T>
struct BatchedKernelsFor {
  Index lanes;  // systems that are solved together

  /// X <- (A + ridge I)^{-1} B for `count` systems of k unknowns and r right-hand sides, by the lower triangles of A. X
  /// may be B. status[s] becomes 0 or the first leading minor that is not positive definite, counted from 1; X is then
  /// NaN. `scratch` holds batched_scratch(lanes, k, r) numbers. What a system's result is depends on it alone.
  void (*cholesky_solve)(Index count, Index k, Index r, Stack<const T> a, T ridge, Stack<const T> b, Stack<T> x,
                         Index* status, T* scratch) noexcept;
};

struct BatchedKernels {
  BatchedKernelsFor<float> f32;
  BatchedKernelsFor<double> f64;
};

extern const BatchedKernels batched_kernels;  // one per instruction set: code reaches it through kernels() alone

template <class T>
const BatchedKernelsFor<T>& batched_kernels_for() {
  if constexpr (std::is_same_v<T, float>) return kernels().batched->f32;
  if constexpr (std::is_same_v<T, double>) return kernels().batched->f64;
}

/// Right-hand sides that are solved for in one go: what is added to a factor of k rows.
[[nodiscard]] constexpr Index batched_width(Index k, Index r) {
  const Index most = k < 16 ? 16 : k;
  return r < most ? r : most;
}

/// Numbers from one row of a tile to the next. Not a multiple of 8, so that a column of the tile does not press into a
/// few places of the cache.
[[nodiscard]] constexpr Index batched_stride(Index k) { return k % 8 == 0 && k > 8 ? k + 1 : k; }

/// How many numbers of scratch a group of `lanes` systems takes: k rows of factors, rows of right-hand sides, inverse
/// diagonals, and what aligning takes.
[[nodiscard]] constexpr Index batched_scratch(Index lanes, Index k, Index r) {
  return ((k + batched_width(k, r)) * batched_stride(k) + k + 1) * lanes + lanes * lanes;
}

}  // namespace nearlinear::linalg
