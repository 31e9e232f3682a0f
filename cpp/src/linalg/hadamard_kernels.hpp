/// The hot loop of the Hadamard transform.
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

/// Bytes of a tile: it fits the first-level cache, and a copy of it any thread's stack.
constexpr Index tile_bytes = Index{1} << 15;

/// X <- H_rows X for the tile X of `rows` rows and `cols` columns at `first`, its rows `row_stride` elements apart.
/// `rows` is a power of two, and rows * cols * sizeof(T) is at most tile_bytes.
template <class T>
using TransformTile = void (*)(T* first, Index rows, Index cols, Index row_stride) noexcept;

struct HadamardKernels {
  TransformTile<float> transform_tile_f32;
  TransformTile<double> transform_tile_f64;
};

extern const HadamardKernels hadamard_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
