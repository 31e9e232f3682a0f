// Compiled once per instruction set; see core/dispatch.hpp for the rules. Products after Goto and van de Geijn,
// "Anatomy of high-performance matrix multiplication", ACM Transactions on Mathematical Software 34 (2008), article 12:
// B is packed into panels as wide as a tile of registers, of which one stays in the first-level cache, A into panels as
// tall as a tile, of which a block stays in the second-level cache. Threads come from those who call (products.cpp).
#include "linalg/product_kernels.hpp"

#include <Eigen/Core>
#include <algorithm>

#include "linalg/register_tile.hpp"

namespace {

using namespace nearlinear::linalg;
using nearlinear::ceil_divide;
using nearlinear::Index;

constexpr Index block_bytes = Index{2} << 20;  // of B
constexpr Index most_panels_in_place = 6;      // of B, with which A is multiplied as it lies
static_assert(row_unit % tile_rows == 0);

/// C <- C + alpha A B for C of m x n and packed panels of B; those of A lie panel_stride apart.
template <class T>
void multiply_panels(Index m, Index n, Index depth, const T* a, Index panel_stride, Index a_row, Index a_col,
                     const T* b, T alpha, const Target<T>& c, Index row, Index col) {
  for (Index j = 0; j < n; j += tile_cols<T>) {
    const Index vectors = panel_width<T>(j, n) / width<T>, cols = std::min<Index>(tile_cols<T>, n - j);
    for (Index i = 0; i < m; i += tile_rows) {
      const Index rows = std::min<Index>(tile_rows, m - i);
      if (c.part == Part::lower && col + j > row + i + rows - 1) continue;
      multiply_tile<T>(vectors, depth, a + i / tile_rows * panel_stride, a_row, a_col, b + j * depth, alpha, c, row + i,
                       col + j, rows, cols);
    }
  }
}

/// The same for A as it lies, at most largest_height rows of it at a time, which are packed into `scratch`.
template <class T>
void multiply_with_packed(Index m, Index n, Index depth, T alpha, const Operand<T>& a, const T* packed_b,
                          const Target<T>& c, Index first_row, Index col, T* scratch) {
  for (Index row = first_row; row < m; row += largest_height) {
    const Index rows = std::min(largest_height, m - row);
    pack_rows(rows, depth, a.at(row, 0), scratch);
    multiply_panels(rows, n, depth, scratch, tile_rows * depth, Index{1}, Index{tile_rows}, packed_b, alpha, c, row,
                    col);
  }
}

/// The same for A as it lies, by rows or by columns: where there are few columns, to pack it would take as long as to
/// multiply. Rows at the end, which are not enough for a tile, are packed into `scratch`.
template <class T>
void multiply_in_place(Index m, Index n, Index depth, T alpha, const Operand<T>& a, const T* packed_b,
                       const Target<T>& c, Index first_row, Index col, T* scratch) {
  const Index whole = m - m % tile_rows;
  const T* const first = a.at(first_row, 0).data;
  if (a.col_stride == 1)
    multiply_panels(whole - first_row, n, depth, first, tile_rows * a.row_stride, a.row_stride, Index{1}, packed_b,
                    alpha, c, first_row, col);
  else
    multiply_panels(whole - first_row, n, depth, first, Index{tile_rows}, Index{1}, a.col_stride, packed_b, alpha, c,
                    first_row, col);
  if (whole == m) return;
  pack_rows(m - whole, depth, a.at(whole, 0), scratch);
  multiply_panels(m - whole, n, depth, scratch, Index{0}, Index{1}, Index{tile_rows}, packed_b, alpha, c, whole, col);
}

/// C <- C + alpha A B in a part of C.
template <class T>
void multiply(Index m, Index n, Index k, T alpha, const Operand<T>& a, const Operand<T>& b, const Target<T>& c) {
  if (m == 0 || n == 0 || k == 0) return;
  const Index depth = ceil_divide(k, ceil_divide(k, largest_depth));
  const Index most_cols = block_bytes / static_cast<Index>(sizeof(T)) / depth / tile_cols<T> * tile_cols<T>;
  const Index wide = std::min(most_cols, ceil_divide(n, width<T>) * width<T>);
  const Index tall = std::min(largest_height, ceil_divide(m, tile_rows) * tile_rows);
  const bool in_place = n <= most_panels_in_place * tile_cols<T> && (a.col_stride == 1 || a.row_stride == 1);
  Buffer<T> packed_b(depth * wide), packed_a(depth * tall);
  for (Index col = 0; col < n; col += wide) {
    const Index cols = std::min(wide, n - col), row = c.part == Part::all ? 0 : col / largest_height * largest_height;
    for (Index begin = 0; begin < k; begin += depth) {
      const Index count = std::min(depth, k - begin);
      pack_cols(count, cols, b.at(begin, col), packed_b.data());
      const auto product = in_place ? multiply_in_place<T> : multiply_with_packed<T>;
      product(m, cols, count, alpha, a.at(0, begin), packed_b.data(), c, row, col, packed_a.data());
    }
  }
}

template <class T, int order>
auto map(const Operand<T>& matrix, Index rows, Index cols) {
  using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, order>;
  const Index stride = order == Eigen::RowMajor ? matrix.row_stride : matrix.col_stride;
  return Eigen::Map<const Plain, Eigen::Unaligned, Eigen::OuterStride<>>(matrix.data, rows, cols,
                                                                         Eigen::OuterStride<>(stride));
}

/// y <- y + alpha A x; the entries of x lie x_stride apart, those of y y_stride.
template <class T>
void multiply_vector(Index m, Index k, T alpha, const Operand<T>& a, const T* x, Index x_stride, T* y, Index y_stride) {
  using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;
  const Eigen::Map<const Vector, Eigen::Unaligned, Eigen::InnerStride<>> factor(x, k, Eigen::InnerStride<>(x_stride));
  Eigen::Map<Vector, Eigen::Unaligned, Eigen::InnerStride<>> sum(y, m, Eigen::InnerStride<>(y_stride));
  if (a.col_stride == 1)
    sum.noalias() += alpha * (map<T, Eigen::RowMajor>(a, m, k) * factor);
  else
    sum.noalias() += alpha * (map<T, Eigen::ColMajor>(a, m, k) * factor);
}

template <class T>
void gemm(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T* c, Index c_row_stride) {
  if (n == 1) return multiply_vector(m, k, alpha, a, b.data, b.row_stride, c, c_row_stride);
  if (m == 1) return multiply_vector(n, k, alpha, b.transposed(), a.data, a.col_stride, c, Index{1});
  const Target<T> target{c, c_row_stride, Part::all};
  multiply(m, n, k, alpha, a, b, target);
}

template <class T>
void syrk(Index n, Index k, T alpha, Operand<T> a, T* c, Index c_row_stride) {
  multiply(n, n, k, alpha, a, a.transposed(), Target<T>{c, c_row_stride, Part::lower});
}

template <class T>
void pack(Index depth, Index n, Operand<T> b, T* packed) noexcept {
  pack_cols(depth, n, b, packed);
}

template <class T>
void multiply_packed(Index m, Index n, Index depth, T alpha, Operand<T> a, const T* packed_b, T* c, Index c_row_stride,
                     T* scratch) noexcept {
  multiply_with_packed(m, n, depth, alpha, a, packed_b, Target<T>{c, c_row_stride, Part::all}, 0, 0, scratch);
}

template <class T>
constexpr ProductKernelsFor<T> kernels_for = {
    .gemm = gemm<T>,
    .syrk = syrk<T>,
    .pack = pack<T>,
    .panel_cols = tile_cols<T>,
    .multiply_packed = multiply_packed<T>,
};

}  // namespace

const nearlinear::linalg::ProductKernels nearlinear::linalg::product_kernels = {.f32 = kernels_for<float>,
                                                                                .f64 = kernels_for<double>};
