// Compiled once per instruction set; see core/dispatch.hpp for the rules. A product of matrices of which only the norms
// of its columns are wanted: each tile is squared and added up in the registers it was computed in.
#include "fisher/norm_kernels.hpp"

#include <algorithm>

#include "linalg/register_tile.hpp"

namespace {

using namespace nearlinear::fisher;
using namespace nearlinear::linalg;
using nearlinear::ceil_divide;
using nearlinear::Index;

template <class T>
Index packed_size(Index m) noexcept {
  const Index panels = ceil_divide(m, Index{tile_rows});
  return tile_rows * tile_rows * panels * (panels + 1) / 2;
}

/// Panels of tile_rows rows, each as long as its last row.
template <class T>
void pack(Index m, const double* triangle, Index stride, T* packed) noexcept {
  for (Index i = 0; i < m; i += tile_rows)
    for (Index p = 0; p < i + tile_rows; ++p)
      for (Index r = i; r < i + tile_rows; ++r)
        *packed++ = r < m && p <= r ? static_cast<T>(triangle[r * stride + p]) : T{0};
}

template <class T>
void squares(Index m, const T* packed, const T* g, Index row_stride, Index cols, T* scratch, T* whitened,
             T* plain) noexcept {
  constexpr int wide = tile_cols<T>;
  for (Index begin = 0; begin < cols; begin += wide) {
    const Index count = std::min<Index>(wide, cols - begin);
    Packet<T> sum[tile_vectors], sum_plain[tile_vectors];
#pragma GCC unroll 4
    for (int v = 0; v < tile_vectors; ++v) sum[v] = sum_plain[v] = ei::pset1<Packet<T>>(T{0});
    for (Index i = 0; i < m; ++i) {
      const T* const from = g + i * row_stride + begin;
      T* const to = scratch + i * wide;
      if (count == wide) {
#pragma GCC unroll 4
        for (int v = 0; v < tile_vectors; ++v) {
          ei::prefetch(from + wide + v * width<T>);
          ei::pstore(to + v * width<T>, ei::ploadu<Packet<T>>(from + v * width<T>));
        }
      } else {
        std::copy_n(from, count, to);
        std::fill(to + count, to + wide, T{0});
      }
#pragma GCC unroll 4
      for (int v = 0; v < tile_vectors; ++v) {
        const Packet<T> entries = ei::pload<Packet<T>>(to + v * width<T>);
        sum_plain[v] = ei::pmadd(entries, entries, sum_plain[v]);
      }
    }
    const T* panel = packed;
    for (Index i = 0; i < m; i += tile_rows) {
      Packet<T> tile[tile_rows][tile_vectors];
      // Beyond the last row the panel holds zeros, and the scratch nothing that may be read.
      multiply_in_registers<T, tile_rows, tile_vectors>(std::min(i + tile_rows, m), panel, Index{1}, Index{tile_rows},
                                                        scratch, tile);
      panel += tile_rows * (i + tile_rows);
#pragma GCC unroll 8
      for (int r = 0; r < tile_rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < tile_vectors; ++v) sum[v] = ei::pmadd(tile[r][v], tile[r][v], sum[v]);
    }
    alignas(64) T out[2][wide];
    for (int v = 0; v < tile_vectors; ++v) {
      ei::pstore(&out[0][v * width<T>], sum[v]);
      ei::pstore(&out[1][v * width<T>], sum_plain[v]);
    }
    std::copy_n(out[0], count, whitened + begin);
    std::copy_n(out[1], count, plain + begin);
  }
}

template <class T>
constexpr NormKernelsFor<T> kernels_of = {
    .packed_size = packed_size<T>, .pack = pack<T>, .squares = squares<T>, .scratch_cols = tile_cols<T>};

}  // namespace

const nearlinear::fisher::NormKernels nearlinear::fisher::norm_kernels = {.f32 = kernels_of<float>,
                                                                          .f64 = kernels_of<double>};
