// Gram matrices: groups of rows where the result is small, tiles of the result where it is large.
#include <algorithm>
#include <type_traits>

#include "core/arithmetic.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear {
namespace {

constexpr Index block_rows = 4096;  // rows that are multiplied in one go; in float, before they are summed in double
constexpr Index largest_grouped = 1024;  // columns up to which every group of rows affords a result of its own
constexpr Index tile_side = 512;

/// sum <- sum + what multiply(block begin, rows, product) adds to the `size` zeros of `product`, for every block of
/// rows; without the detour over `product` where the types are the same.
template <class T, class Sum, class Multiply>
void add_blocks(Index begin, Index end, Index size, Sum* sum, const Multiply& multiply) {
  const Array<T> product(std::is_same_v<T, Sum> ? 0 : size);
  for (; begin < end; begin += block_rows) {
    const Index count = std::min(block_rows, end - begin);
    if constexpr (std::is_same_v<T, Sum>) {
      multiply(begin, count, sum);
    } else {
      std::fill(product.begin(), product.end(), T{0});
      multiply(begin, count, product.data());
      for (Index i = 0; i < size; ++i) sum[i] += static_cast<Sum>(product[i]);
    }
  }
}

template <class T, class Sum>
void gram_by_groups(MatrixView<const T> A, MatrixView<Sum> C, int threads, Monitor& monitor) {
  const Index d = A.cols();
  const Index groups = linalg::group_count(A.rows(), block_rows, d * d * Index{sizeof(Sum)});
  const auto kernel = linalg::syrk_kernel<T>();
  const Array<Sum> sum(d * d);  // the lower triangle
  linalg::sum_over_groups<Sum>(
      groups, d * d, threads, monitor, sum.data(), [&](Index group, Sum* partial, const linalg::Poll& poll) {
        const linalg::RowGroup rows(A.rows(), block_rows, groups, group);
        add_blocks<T>(rows.begin, rows.end, d * d, partial, [&](Index begin, Index count, T* product) {
          poll(rows.fraction(begin));
          kernel(d, count, T{1}, {A.data() + begin * A.row_stride(), 1, A.row_stride()}, product, d);
        });
      });
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j <= i; ++j) C(i, j) = C(j, i) = sum[i * d + j];
}

template <class T, class Sum>
void gram_by_tiles(MatrixView<const T> A, MatrixView<Sum> C, int threads, Monitor& monitor) {
  const Index d = A.cols();
  const Index side = ceil_divide(d, tile_side);
  const auto gemm = linalg::gemm_kernel<T>();
  const auto syrk = linalg::syrk_kernel<T>();
  const Index tiles = side * (side + 1) / 2;
  parallel_for_workers(tiles, threads, monitor, [&](Index tile, int worker) {
    Index r = 0;  // of the lower triangle, row by row
    while ((r + 1) * (r + 2) / 2 <= tile) ++r;
    const Index c = tile - r * (r + 1) / 2;
    const Index row = r * tile_side, rows = std::min(tile_side, d - row);
    const Index col = c * tile_side, cols = std::min(tile_side, d - col);
    const Array<Sum> sum = Array<Sum>::zeros(rows * cols);
    add_blocks<T>(Index{0}, A.rows(), rows * cols, sum.data(), [&](Index begin, Index count, T* product) {
      if (worker == 0) monitor.poll(static_cast<double>(tile) / static_cast<double>(tiles));
      const T* const first = A.data() + begin * A.row_stride();
      const linalg::Operand<T> left{first + row, 1, A.row_stride()};
      if (r == c) return syrk(rows, count, T{1}, left, product, cols);
      gemm(rows, cols, count, T{1}, left, {first + col, A.row_stride(), 1}, product, cols);
    });
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < (r == c ? i + 1 : cols); ++j) C(row + i, col + j) = C(col + j, row + i) = sum[i * cols + j];
  });
}

}  // namespace

template <class T, class Sum>
void gram(MatrixView<const T> A, MatrixView<Sum> C, const RunOptions& run) {
  require_valid_view(A, "gram", "A");
  require_valid_view(C, "gram", "C");
  require(C.rows() == A.cols() && C.cols() == A.cols(), "gram: A is ", shape(A), " and C is ", shape(C),
          "; C must be square, with a row for every column of A");
  const int threads = linalg::threads_at(linalg::product_rate, run.n_threads, A.rows(), A.cols(), A.cols());
  Monitor monitor(run.keep_going);
  if (A.cols() == 0) return;
  if (A.cols() <= largest_grouped)
    gram_by_groups(A, C, threads, monitor);
  else
    gram_by_tiles(A, C, threads, monitor);
}

template void gram(MatrixView<const float>, MatrixView<float>, const RunOptions&);
template void gram(MatrixView<const float>, MatrixView<double>, const RunOptions&);
template void gram(MatrixView<const double>, MatrixView<double>, const RunOptions&);

}  // namespace nearlinear
