// General products, cut into tiles of the result that depend on its size alone.
#include "nearlinear/linalg/products.hpp"

#include <algorithm>
#include <type_traits>

#include "core/arithmetic.hpp"
#include "linalg/rates.hpp"
#include "linalg/tables.hpp"

namespace nearlinear {
namespace {

using linalg::Operand;

template <class T>
Operand<T> operand(MatrixView<const T> matrix, Transpose op = Transpose::no) {
  const Operand<T> stored{matrix.data(), matrix.row_stride(), 1};
  return op == Transpose::no ? stored : stored.transposed();
}

Shape shape_of(Shape stored, Transpose op) { return op == Transpose::no ? stored : Shape{stored.cols, stored.rows}; }

template <class T>
void scale(MatrixView<T> matrix, T factor) {
  for (Index i = 0; i < matrix.rows(); ++i) {
    T* const row = matrix.data() + i * matrix.row_stride();
    if (factor == T{0})
      std::fill_n(row, matrix.cols(), T{0});
    else
      std::transform(row, row + matrix.cols(), row, [factor](T entry) { return factor * entry; });
  }
}

// Tiles of the result: large, because every tile packs its rows of A and columns of B anew, but several for the
// threads.
constexpr Index tile_side = 512;
constexpr Index fewest_rows = 128;
constexpr Index tile_depth = 1024;  // what is multiplied between two polls: some 15 ms of work

}  // namespace

template <class T>
void gemm(std::type_identity_t<T> alpha, MatrixView<const T> A, Transpose op_A, MatrixView<const T> B, Transpose op_B,
          std::type_identity_t<T> beta, MatrixView<T> C, const RunOptions& run) {
  require_valid_view(A, "gemm", "A");
  require_valid_view(B, "gemm", "B");
  require_valid_view(C, "gemm", "C");
  const Shape a = shape_of(shape(A), op_A);
  const Shape b = shape_of(shape(B), op_B);
  require(a.cols == b.rows && C.rows() == a.rows && C.cols() == b.cols, "gemm: op(A) is ", a, ", op(B) is ", b,
          " and C is ", shape(C), "; they must be m x k, k x n and m x n");

  Monitor monitor(run.keep_going);
  const auto kernel = linalg::gemm_kernel<T>();
  const Index tiles_down =
      std::max(ceil_divide(a.rows, tile_side), std::min(Index{2}, ceil_divide(a.rows, fewest_rows)));
  const Index tiles_across = ceil_divide(b.cols, tile_side);
  const int threads = linalg::threads_at(linalg::product_rate, run.n_threads, 2, a.rows, a.cols, b.cols);
  const Index tiles = tiles_down * tiles_across;
  parallel_for_workers(tiles, threads, monitor, [&](Index tile, int worker) {
    // Of equal size: rows [r m / R, (r + 1) m / R).
    const Index r = tile / tiles_across, c = tile % tiles_across;
    const Index row = r * a.rows / tiles_down, rows = (r + 1) * a.rows / tiles_down - row;
    const Index col = c * b.cols / tiles_across, cols = (c + 1) * b.cols / tiles_across - col;
    const MatrixView<T> part(C.data() + row * C.row_stride() + col, rows, cols, C.row_stride());
    if (beta != T{1}) scale(part, T{beta});
    if (alpha == T{0}) return;
    for (Index begin = 0; begin < a.cols; begin += tile_depth) {
      if (worker == 0) monitor.poll(static_cast<double>(tile) / static_cast<double>(tiles));
      kernel(rows, cols, std::min(tile_depth, a.cols - begin), alpha, operand(A, op_A).at(row, begin),
             operand(B, op_B).at(begin, col), part.data(), part.row_stride());
    }
  });
}

template void gemm<float>(float, MatrixView<const float>, Transpose, MatrixView<const float>, Transpose, float,
                          MatrixView<float>, const RunOptions&);
template void gemm<double>(double, MatrixView<const double>, Transpose, MatrixView<const double>, Transpose, double,
                           MatrixView<double>, const RunOptions&);

}  // namespace nearlinear
