// gemm() cuts its result into large tiles, of which A^T X has too few to share. Here A is cut: by rows or, where it is
// wide, by columns, by its shape alone.
#include "linalg/thin_transposed_product.hpp"

#include <algorithm>

#include "core/arithmetic.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"

namespace nearlinear::linalg {
namespace {

constexpr Index block_rows = 256;   // multiplied in one go; sums over more are taken in double
constexpr Index block_cols = 1024;  // of A: what is multiplied between two polls
constexpr Index part_cols = 256;    // of A, when its columns are shared among threads

/// sum <- sum + X^T A for the columns [first, first + width) of A, block by block of its rows [begin, end). The sum has
/// p rows of `width` numbers: formed as A^T X, by rows, a block of A would be packed across its rows, in half the
/// speed.
template <class T>
void add_transposed(MatrixView<const T> A, Index first, Index width, MatrixView<const T> X, Index begin, Index end,
                    double* sum, const Poll& poll) {
  const Index p = X.cols();
  const auto kernel = gemm_kernel<T>();
  const Array<T> product(p * std::min(width, block_cols));
  for (Index row = begin; row < end; row += block_rows) {
    const Index rows = std::min(block_rows, end - row);
    for (Index col = 0; col < width; col += block_cols) {
      const Index cols = std::min(block_cols, width - col);
      poll(static_cast<double>(row - begin) / static_cast<double>(end - begin));
      std::fill_n(product.data(), p * cols, T{0});
      kernel(p, cols, rows, T{1}, {&X(row, 0), 1, X.row_stride()}, {&A(row, first + col), A.row_stride(), 1},
             product.data(), cols);
      for (Index j = 0; j < p; ++j)
        for (Index i = 0; i < cols; ++i) sum[j * width + col + i] += static_cast<double>(product[j * cols + i]);
    }
  }
}

}  // namespace

template <class T>
void thin_transposed_product(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) {
  const Index m = A.rows(), n = A.cols(), p = X.cols();
  const int threads = threads_at(reflection_rate, run.n_threads, 2, m, n, p);
  Monitor monitor(run.keep_going);
  const auto store = [&](const double* sum, Index first, Index width) {
    for (Index i = 0; i < width; ++i)
      for (Index j = 0; j < p; ++j) Y(first + i, j) = static_cast<T>(sum[j * width + i]);
  };
  if (n >= 8 * part_cols) {
    const Index parts = ceil_divide(n, part_cols);
    parallel_for_workers(parts, threads, monitor, [&](Index part, int worker) {
      const Index first = part * part_cols, width = std::min(part_cols, n - first);
      const Array<double> sum = Array<double>::zeros(width * p);
      add_transposed(A, first, width, X, 0, m, sum.data(), [&](double fraction) {
        if (worker == 0) monitor.poll((static_cast<double>(part) + fraction) / static_cast<double>(parts));
      });
      store(sum.data(), first, width);
    });
    return;
  }
  const Index groups = group_count(m, block_rows, n * p * Index{sizeof(double)});
  const Array<double> sum(n * p);
  sum_over_groups<double>(groups, n * p, threads, monitor, sum.data(),
                          [&](Index group, double* partial, const Poll& poll) {
                            const RowGroup rows(m, block_rows, groups, group);
                            add_transposed(A, 0, n, X, rows.begin, rows.end, partial, poll);
                          });
  store(sum.data(), 0, n);
}

#define NEARLINEAR_INSTANTIATE(T) \
  template void thin_transposed_product(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::linalg
