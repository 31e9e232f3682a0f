/// A tile of registers, the innermost loop of products and of triangular systems, and the panels that it reads. For
/// files that are compiled once per instruction set alone (core/dispatch.hpp).
#pragma once

#include <algorithm>

#include "core/arithmetic.hpp"
#include "linalg/packets.hpp"
#include "linalg/product_kernels.hpp"

namespace nearlinear::linalg {

// A tile of C, tile_rows x (tile_vectors * width), is held in registers, with a row of B: 12 + 2 of 16, 24 + 3 of 32.
#if defined(EIGEN_VECTORIZE_AVX512)
constexpr int tile_rows = 8;
constexpr int tile_vectors = 3;
#elif defined(EIGEN_VECTORIZE_AVX)
constexpr int tile_rows = 6;
constexpr int tile_vectors = 2;
#else
constexpr int tile_rows = 4;
constexpr int tile_vectors = 2;
#endif
template <class T>
constexpr int tile_cols = tile_vectors * width<T>;

template <class T>
using Buffer = Eigen::Matrix<T, Eigen::Dynamic, 1>;  // not set to anything, aligned

/// Which entries of C are wanted: all, or those at and below the diagonal.
enum class Part { all, lower };

template <class T>
struct Target {
  T* data;
  Index row_stride;
  Part part;
};

/// Panels of tile_rows rows of A, the entries of a column side by side; the last is filled up with zeros.
template <class T>
void pack_rows(Index rows, Index depth, const Operand<T>& a, T* to) {
  for (Index first = 0; first < rows; first += tile_rows, to += tile_rows * depth) {
    const T* const from = a.data + first * a.row_stride;
    if (first + tile_rows > rows) {
      for (Index p = 0; p < depth; ++p)
        for (Index r = 0; r < tile_rows; ++r)
          to[p * tile_rows + r] = first + r < rows ? from[r * a.row_stride + p * a.col_stride] : T{0};
    } else if (a.row_stride == 1) {
      for (Index p = 0; p < depth; ++p)
        for (Index r = 0; r < tile_rows; ++r) to[p * tile_rows + r] = from[r + p * a.col_stride];
    } else {
      for (Index p = 0; p < depth; ++p)
        for (Index r = 0; r < tile_rows; ++r) to[p * tile_rows + r] = from[r * a.row_stride + p];
    }
  }
}

/// to <- from^T for as many rows and columns as a register has entries.
template <class T>
void transpose_square(const T* from, Index from_stride, T* to, Index to_stride) {
  ei::PacketBlock<Packet<T>, width<T>> square;
  for (int i = 0; i < width<T>; ++i) square.packet[i] = ei::ploadu<Packet<T>>(from + i * from_stride);
  ei::ptranspose(square);
  for (int i = 0; i < width<T>; ++i) ei::pstoreu(to + i * to_stride, square.packet[i]);
}

/// The width of the panel of B from column `first` on: that of a tile or, for the last one, whole vectors.
template <class T>
Index panel_width(Index first, Index cols) {
  return std::min<Index>(tile_cols<T>, ceil_divide(cols - first, width<T>) * width<T>);
}

/// Panels of B, a row of it side by side; the last is filled up with zeros.
template <class T>
void pack_cols(Index depth, Index cols, const Operand<T>& b, T* to) {
  constexpr Index together = 16;  // rows: neighbours in memory on both sides
  constexpr Index wide = tile_cols<T>;
  for (Index begin = 0; begin < depth; begin += together) {
    const Index end = std::min(begin + together, depth);
    for (Index first = 0; first < cols; first += wide) {
      const T* const from = b.data + first * b.col_stride;
      T* const panel = to + first * depth;
      const Index count = std::min(wide, cols - first), padded = panel_width<T>(first, cols);
      if (count == wide && b.col_stride == 1) {
        for (Index p = begin; p < end; ++p)
          for (Index c = 0; c < wide; ++c) panel[p * wide + c] = from[p * b.row_stride + c];
      } else if (count == padded && b.row_stride == 1) {
        Index p = begin;
        for (; p + width<T> <= end; p += width<T>)
          for (Index c = 0; c < count; c += width<T>)
            transpose_square(from + c * b.col_stride + p, b.col_stride, panel + p * count + c, count);
        for (; p < end; ++p)
          for (Index c = 0; c < count; ++c) panel[p * count + c] = from[p + c * b.col_stride];
      } else {
        for (Index p = begin; p < end; ++p)
          for (Index c = 0; c < padded; ++c)
            panel[p * padded + c] = c < count ? from[p * b.row_stride + c * b.col_stride] : T{0};
      }
    }
  }
}

struct Nothing {
  void operator()(Index /*step*/) const {}
};

/// sum <- A B for as many rows of A and vectors of columns of B as there are sums. A's entry (r, p) lies at
/// a[r * a_row + p * a_col], the rows of B one behind another, aligned. also(p) is called on the way.
template <class T, int rows, int vectors, class Also = Nothing>
[[gnu::always_inline]] inline void multiply_in_registers(Index depth, const T* a, Index a_row, Index a_col, const T* b,
                                                         Packet<T> (&sum)[rows][vectors], Also&& also = {}) {
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sum[r][v] = ei::pset1<Packet<T>>(T{0});
  for (Index p = 0; p < depth; ++p, a += a_col, b += vectors * width<T>) {
    Packet<T> row_of_b[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) row_of_b[v] = ei::pload<Packet<T>>(b + v * width<T>);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Packet<T> entry = ei::pset1<Packet<T>>(a[r * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[r][v] = ei::pmadd(entry, row_of_b[v], sum[r][v]);
    }
    also(p);
  }
}

/// C <- C + alpha A B for a tile of C, all of it or what lies in its part of C; A and B as multiply_in_registers takes
/// them.
template <class T, int vectors>
void multiply_tile(Index depth, const T* a, Index a_row, Index a_col, const T* b, T alpha, const Target<T>& c,
                   Index row, Index col, Index rows, Index cols) {
  T* const target = c.data + row * c.row_stride + col;
  for (Index r = 0; r < rows; ++r) {  // needed when the sums are done, and by then here
    ei::prefetch(target + r * c.row_stride);
    ei::prefetch(target + r * c.row_stride + cols - 1);
  }
  Packet<T> sum[tile_rows][vectors];
  multiply_in_registers<T, tile_rows, vectors>(depth, a, a_row, a_col, b, sum);

  const Packet<T> factor = ei::pset1<Packet<T>>(alpha);
  if (rows == tile_rows && cols == vectors * width<T> && (c.part == Part::all || col + cols - 1 <= row)) {
#pragma GCC unroll 8
    for (int r = 0; r < tile_rows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        T* const to = target + r * c.row_stride + v * width<T>;
        ei::pstoreu(to, ei::pmadd(factor, sum[r][v], ei::ploadu<Packet<T>>(to)));
      }
    return;
  }
  alignas(64) T product[tile_rows][vectors * width<T>];
#pragma GCC unroll 8
  for (int r = 0; r < tile_rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) ei::pstore(&product[r][v * width<T>], ei::pmul(factor, sum[r][v]));
  for (Index r = 0; r < rows; ++r) {
    const Index end = c.part == Part::all ? cols : std::min(cols, row + r - col + 1);
    for (Index j = 0; j < end; ++j) target[r * c.row_stride + j] += product[r][j];
  }
}

template <class T, int vectors = tile_vectors>
void multiply_tile(Index panel_vectors, Index depth, const T* a, Index a_row, Index a_col, const T* b, T alpha,
                   const Target<T>& c, Index row, Index col, Index rows, Index cols) {
  if constexpr (vectors > 1)
    if (panel_vectors < vectors)
      return multiply_tile<T, vectors - 1>(panel_vectors, depth, a, a_row, a_col, b, alpha, c, row, col, rows, cols);
  multiply_tile<T, vectors>(depth, a, a_row, a_col, b, alpha, c, row, col, rows, cols);
}

}  // namespace nearlinear::linalg
