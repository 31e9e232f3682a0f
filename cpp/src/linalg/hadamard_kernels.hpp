/// The hot loop of the Hadamard transform.
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

/// Bytes of a small tile: it fits the first-level cache, and a copy of it any thread's stack.
constexpr Index tile_bytes = Index{1} << 15;

/// X <- H_rows X for the tile X of `rows` rows and `cols` columns at `first`, its rows `row_stride` elements apart.
/// `rows` is a power of two, and rows * cols * sizeof(T) is at most tile_bytes.
template <class T>
using TransformTile = void (*)(T* first, Index rows, Index cols, Index row_stride) noexcept;

/// The eighths of a tall tile's copy lie this many bytes further apart than they are long: at distances that are powers
/// of two they would compete for the same places of the cache.
constexpr Index tall_tile_gap_bytes = 64;

/// Elements of the scratch memory for a tall tile.
template <class T>
constexpr Index tall_tile_scratch(Index rows, Index cols) {
  return rows * cols + 8 * tall_tile_gap_bytes / Index{sizeof(T)};
}

/// The same for a tile that fits the second-level cache; rows >= 64, and `scratch` holds tall_tile_scratch(rows, cols).
template <class T>
using TransformTallTile = void (*)(T* first, Index rows, Index cols, Index row_stride, T* scratch) noexcept;

struct HadamardKernels {
  TransformTile<float> transform_tile_f32;
  TransformTile<double> transform_tile_f64;
  TransformTallTile<float> transform_tall_tile_f32;
  TransformTallTile<double> transform_tall_tile_f64;
};

extern const HadamardKernels hadamard_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
