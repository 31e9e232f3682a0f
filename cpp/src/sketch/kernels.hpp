/// The hot loops of `sketch`, one table per instruction set: random words, and sums of signed rows.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::sketch {

/// Where the rows of a tile go, sorted by the row of the sketch: row j of it takes those of begin[j], ...,
/// begin[j + 1] - 1. An entry is 2 * (row of the tile) + (1 if its sign is negative).
struct Schedule {
  const std::int32_t* begin;
  const std::uint32_t* entries;
};

/// `cols` columns of a matrix that is stored by rows.
template <class T>
struct RowMajor {
  const T* data;
  Index cols;
  Index stride;
};

template <class T>
struct KernelsFor {
  /// tile_i <- factors_i a_i for the rows of a matrix that is stored by rows.
  void (*copy_rows)(Index rows, Index cols, const T* a, Index row_stride, const T* factors, T* tile,
                    Index tile_stride) noexcept;

  /// The same for two matrices side by side, followed by H_64 of every 64 rows, of which there are whole sets: the
  /// first six stages of a Hadamard transform, while the rows are in the nearest cache. What lies between the rows of
  /// the tile is transformed along; tile_stride is a multiple of a line of the cache.
  void (*copy_transformed)(Index rows, RowMajor<T> a, RowMajor<T> b, const T* factors, T* tile,
                           Index tile_stride) noexcept;

  /// x <- (H_16 (x) I_run) x: four stages in one pass. `run` is a multiple of a line of the cache.
  void (*transform_16)(T* x, Index run) noexcept;

  /// The same as copy_rows of a matrix that is stored by columns, col_stride elements apart.
  void (*copy_columns)(Index rows, Index cols, const T* a, Index col_stride, const T* factors, T* tile,
                       Index tile_stride) noexcept;

  /// sum_j <- sum_j + the rows of the tile that the schedule gives to j, with their signs, for j < count.
  void (*add_rows)(Index count, Schedule schedule, const T* tile, Index tile_stride, Index cols, T* sum,
                   Index sum_stride) noexcept;

  /// tile_l <- tile_l + the rows y_j to which the schedule sends row l of the tile, with their signs: the transpose.
  void (*spread_rows)(Index count, Schedule schedule, const T* y, Index y_stride, Index cols, T* tile,
                      Index tile_stride) noexcept;

  /// Pairs of normal numbers: out[2 i] <- r cos(2 pi v), out[2 i + 1] <- r sin(2 pi v) with r = sqrt(-2 log(1 - u)),
  /// where log_u[i] is log(1 - u) and v the uniform number of the last two of the four words i (Box and Muller).
  void (*box_muller)(Index pairs, const double* log_u, const std::uint32_t* words, T* out) noexcept;
};

struct Kernels {
  KernelsFor<float> f32;
  KernelsFor<double> f64;

  /// The four words of RandomStream(seed, stream).bits(first + i), i < count, one after the other.
  void (*random_words)(std::uint64_t seed, std::uint64_t stream, std::uint64_t first, Index count,
                       std::uint32_t* words) noexcept;
};

NEARLINEAR_DECLARE_KERNELS(sketch)

template <class T>
const KernelsFor<T>& kernels_for() {
  if constexpr (sizeof(T) == sizeof(float))
    return kernels().f32;
  else
    return kernels().f64;
}

}  // namespace nearlinear::sketch
