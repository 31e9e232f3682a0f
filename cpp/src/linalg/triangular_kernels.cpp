// Compiled once per instruction set; see core/dispatch.hpp for the rules. Right-hand sides are copied together, a panel
// as wide as a tile of registers at a time, and the rows of a tile solved for one after the other:
//
//     X_i = M_ii^{-1} (B_i - sum over j < i of M_ij X_j).
//
// Upper triangles are lower ones read backwards, and X M = B is M^T X^T = B^T.
#include <Eigen/Core>
#include <algorithm>

#include "linalg/cholesky_kernels.hpp"
#include "linalg/register_tile.hpp"

namespace {

using namespace nearlinear::linalg;
using nearlinear::Index;

/// The n x n matrix that is solved with, read so that it is lower triangular: its rows as multiply_in_registers takes
/// them.
template <class T>
class Panels {
 public:
  Panels(const Operand<T>& m, bool backwards, Index n)
      : n_(n), rows_(nearlinear::ceil_divide(n, tile_rows) * tile_rows * n), diagonal_(tile_rows * n) {
    const Operand<T> matrix{backwards ? m.data + (n - 1) * (m.row_stride + m.col_stride) : m.data,
                            backwards ? -m.row_stride : m.row_stride, backwards ? -m.col_stride : m.col_stride};
    for (Index i = 0; i < n; i += tile_rows) {
      const Index count = std::min<Index>(tile_rows, n - i);
      T* const panel = rows_.data() + i * n;
      for (Index j = 0; j < i; ++j)
        for (Index r = 0; r < tile_rows; ++r)
          panel[j * tile_rows + r] =
              r < count ? matrix.data[(i + r) * matrix.row_stride + j * matrix.col_stride] : T{0};
      for (Index q = 0; q < count; ++q)
        for (Index r = q; r < count; ++r) {
          const T entry = matrix.data[(i + r) * matrix.row_stride + (i + q) * matrix.col_stride];
          diagonal_[(i + q) * tile_rows + r] = r == q ? entry : -entry;
        }
    }
  }

  [[nodiscard]] Index size() const { return n_; }
  [[nodiscard]] const T* rows(Index i) const { return rows_.data() + i * n_; }
  [[nodiscard]] const T* diagonal(Index i) const { return diagonal_.data() + i * tile_rows; }

 private:
  Index n_;
  Buffer<T> rows_;      // left of the tiles on the diagonal
  Buffer<T> diagonal_;  // the tiles on the diagonal, column by column, negative below the pivots
};

/// Rows i, i + 1, ..., i + rows - 1 of X: their part of B less what rows before them make of it, and then, in registers
/// still, the solution with the tile on the diagonal. Every row is subtracted from all below it as soon as it is known:
/// to gather for one row at a time would be a single chain of additions.
template <class T, int rows, int vectors>
void solve_rows(const Panels<T>& m, Index i, T* x) {
  constexpr Index wide = vectors * width<T>;
  Packet<T> sum[rows][vectors];
  multiply_in_registers<T, rows, vectors>(i, m.rows(i), Index{1}, Index{tile_rows}, x, sum);
  T* const solved = x + i * wide;
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v)
      sum[r][v] = ei::psub(ei::pload<Packet<T>>(solved + r * wide + v * width<T>), sum[r][v]);
#pragma GCC unroll 8
  for (int q = 0; q < rows; ++q) {
    const T* const column = m.diagonal(i) + q * tile_rows;
    const Packet<T> pivot = ei::pset1<Packet<T>>(column[q]);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      sum[q][v] = ei::pdiv(sum[q][v], pivot);
      ei::pstore(solved + q * wide + v * width<T>, sum[q][v]);
    }
#pragma GCC unroll 8
    for (int r = q + 1; r < rows; ++r) {
      const Packet<T> entry = ei::pset1<Packet<T>>(column[r]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[r][v] = ei::pmadd(entry, sum[q][v], sum[r][v]);
    }
  }
}

/// The last rows, which are not enough for a tile.
template <class T, int vectors, int rows = tile_rows - 1>
void solve_last_rows(const Panels<T>& m, Index count, T* x) {
  if constexpr (rows > 0) {
    if (count < rows) return solve_last_rows<T, vectors, rows - 1>(m, count, x);
    solve_rows<T, rows, vectors>(m, m.size() - rows, x);
  }
}

/// X <- M^{-1} X for a panel of whole vectors.
template <class T, int vectors>
void solve_panel(const Panels<T>& m, T* x) {
  Index i = 0;
  for (; i + tile_rows <= m.size(); i += tile_rows) solve_rows<T, tile_rows, vectors>(m, i, x);
  solve_last_rows<T, vectors>(m, m.size() - i, x);
}

template <class T, int vectors = tile_vectors>
void solve_panel(Index panel_vectors, const Panels<T>& m, T* x) {
  if constexpr (vectors > 1)
    if (panel_vectors < vectors) return solve_panel<T, vectors - 1>(panel_vectors, m, x);
  solve_panel<T, vectors>(m, x);
}

/// Columns first, first + 1, ... of B as a panel, `wide` side by side, its rows in the order they are solved for; and
/// back. B's entry (i, j) lies at b[i * row + j * col].
template <class T>
struct Columns {
  T* b;
  Index row;
  Index col;
  Index size;
  Index count;
  Index wide;

  void load(T* panel) const {
    if (row == 1 && count == wide) return transpose<true>(panel);
    if (col == 1 && count == wide) return copy(b, row, panel, wide);
    for (Index i = 0; i < size; ++i)
      for (Index c = 0; c < wide; ++c) panel[i * wide + c] = c < count ? b[i * row + c * col] : T{0};
  }

  void store(T* panel) const {
    if (row == 1 && count == wide) return transpose<false>(panel);
    if (col == 1 && count == wide) return copy(panel, wide, b, row);
    for (Index i = 0; i < size; ++i)
      for (Index c = 0; c < count; ++c) b[i * row + c * col] = panel[i * wide + c];
  }

 private:
  void copy(const T* from, Index from_row, T* to, Index to_row) const {
    for (Index i = 0; i < size; ++i)
      for (Index c = 0; c < wide; c += width<T>)
        ei::pstoreu(to + i * to_row + c, ei::ploadu<Packet<T>>(from + i * from_row + c));
  }

  template <bool to_panel>
  void transpose(T* panel) const {
    Index i = 0;
    for (; i + width<T> <= size; i += width<T>)
      for (Index c = 0; c < wide; c += width<T>) {
        T* const inside = panel + i * wide + c;
        T* const outside = b + i + c * col;
        if constexpr (to_panel)
          transpose_square<T>(outside, col, inside, wide);
        else
          transpose_square<T>(inside, wide, outside, col);
      }
    for (; i < size; ++i)
      for (Index c = 0; c < wide; ++c)
        if constexpr (to_panel)
          panel[i * wide + c] = b[i + c * col];
        else
          b[i + c * col] = panel[i * wide + c];
  }
};

/// Puts the rows of a panel in the reverse order.
template <class T>
void reverse(Index size, Index wide, T* panel) {
  for (Index i = 0; i < size / 2; ++i)
    std::swap_ranges(panel + i * wide, panel + (i + 1) * wide, panel + (size - 1 - i) * wide);
}

template <class T>
void solve(bool from_right, Operand<T> m, bool is_lower, Index rows, Index cols, T* b, Index row_stride) {
  const Index n = from_right ? cols : rows, count = from_right ? rows : cols;
  const bool backwards = is_lower == from_right;
  const Panels<T> panels(from_right ? m.transposed() : m, backwards, n);
  Buffer<T> panel(n * tile_cols<T>);
  for (Index first = 0; first < count; first += tile_cols<T>) {
    const Index wide = panel_width<T>(first, count);
    const Index row = from_right ? 1 : row_stride, col = from_right ? row_stride : 1;
    const Columns<T> columns{b + first * col, row, col, n, std::min<Index>(tile_cols<T>, count - first), wide};
    columns.load(panel.data());
    if (backwards) reverse(n, wide, panel.data());
    solve_panel<T>(wide / width<T>, panels, panel.data());
    if (backwards) reverse(n, wide, panel.data());
    columns.store(panel.data());
  }
}

}  // namespace

template <class T>
void nearlinear::linalg::solve_tile(bool from_right, Operand<T> triangular, bool is_lower, Index m, Index n, T* b,
                                    Index row_stride) {
  ::solve(from_right, triangular, is_lower, m, n, b, row_stride);
}
template void nearlinear::linalg::solve_tile(bool, Operand<float>, bool, Index, Index, float*, Index);
template void nearlinear::linalg::solve_tile(bool, Operand<double>, bool, Index, Index, double*, Index);
