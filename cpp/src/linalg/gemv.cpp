// Products of a matrix and of its transpose with vectors, in one pass.
#include <algorithm>
#include <iterator>
#include <type_traits>

#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear {
namespace {

// Rows between two sums in double: few enough that float sums stay accurate, many enough that these cost nothing.
constexpr Index block_rows = 64;

}  // namespace

template <class T>
void gemv_pair(MatrixView<const T> A, std::span<const T> x, std::span<T> y, std::span<const T> w, std::span<T> z,
               const RunOptions& run) {
  require_valid_view(A, "gemv_pair", "A");
  const Index n = A.rows(), d = A.cols();
  const bool first = !y.empty(), second = !z.empty();
  require(!first || (std::ssize(x) == d && std::ssize(y) == n), "gemv_pair: A is ", shape(A), ", x has ", std::ssize(x),
          " entries and y has ", std::ssize(y), "; they must have as many as A has columns and rows");
  require(!second || (std::ssize(w) == n && std::ssize(z) == d), "gemv_pair: A is ", shape(A), ", w has ",
          std::ssize(w), " entries and z has ", std::ssize(z), "; they must have as many as A has rows and columns");
  const Index groups = linalg::group_count(n, block_rows, d * Index{sizeof(double)});
  const int threads = linalg::threads_at(linalg::memory_rate, run.n_threads, 4, n, d);
  Monitor monitor(run.keep_going);
  const auto kernel = linalg::gemv_pair_kernel<T>();

  const auto multiply = [&](Index group, double* partial, const linalg::Poll& poll) {
    const linalg::RowGroup rows(n, block_rows, groups, group);
    Array<T> block_sum(second ? d : 0);
    for (Index begin = rows.begin; begin < rows.end; begin += block_rows) {
      const Index count = std::min(block_rows, rows.end - begin);
      poll(rows.fraction(begin));
      std::fill(block_sum.begin(), block_sum.end(), T{0});
      kernel(count, d, A.data() + begin * A.row_stride(), A.row_stride(), first ? x.data() : nullptr,
             first ? y.data() + begin : nullptr, second ? w.data() + begin : nullptr, block_sum.data());
      for (Index j = 0; j < block_sum.size(); ++j) partial[j] += static_cast<double>(block_sum[j]);
    }
  };
  const Array<double> sums(second ? d : 0);
  linalg::sum_over_groups<double>(groups, sums.size(), threads, monitor, sums.data(), multiply);
  std::transform(sums.begin(), sums.end(), z.begin(), [](double sum) { return static_cast<T>(sum); });
}

template void gemv_pair(MatrixView<const float>, std::span<const float>, std::span<float>, std::span<const float>,
                        std::span<float>, const RunOptions&);
template void gemv_pair(MatrixView<const double>, std::span<const double>, std::span<double>, std::span<const double>,
                        std::span<double>, const RunOptions&);

}  // namespace nearlinear
