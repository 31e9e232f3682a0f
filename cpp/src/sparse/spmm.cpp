// Products of a sparse and a dense matrix: rows of the sparse one for threads where it is on the left, rows of the
// dense one where that is.
#include <algorithm>
#include <type_traits>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/checks.hpp"
#include "sparse/kernels.hpp"
#include "sparse/spmm_kernels.hpp"

namespace nearlinear {
namespace {

template <class T, class I>
const sparse::SpmmKernelsFor<T, I>& spmm_kernels() {
  return sparse::of_types<T, I>(*sparse::kernels().spmm);
}

template <class T, class I>
sparse::CsrRows<T, I> rows_of(const CsrView<T, I>& A) {
  return {A.cols, A.indptr.data(), A.indices.data(), A.data.data()};
}

/// Rows of a sparse matrix in parts of about equal work: entries, and one for every row.
template <class T, class I>
class Parts {
 public:
  Parts(const CsrView<T, I>& A, Index work_per_part)
      : indptr_(A.indptr.data()),
        rows_(A.rows),
        work_(A.nnz() + A.rows),
        count_(std::clamp(ceil_divide(work_, std::max<Index>(1, work_per_part)), Index{1}, most)) {}

  [[nodiscard]] Index count() const { return count_; }

  /// The first row before which there is as much work as in `part` parts.
  [[nodiscard]] Index begin(Index part) const {
    if (part == count_) return rows_;
    const Index wanted = work_ / count_ * part + work_ % count_ * part / count_;
    Index low = 0, high = rows_;
    while (low < high) {
      const Index middle = low + (high - low) / 2;
      if (indptr_[middle] + middle < wanted)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

 private:
  static constexpr Index most = Index{1} << 20;
  const I* indptr_;
  Index rows_;
  Index work_;
  Index count_;
};

// Nanoseconds that an entry of A takes with so many columns of X, and nanoseconds of a part: much less than what may
// lie between two polls, much more than what it takes to hand it out.
constexpr double nanoseconds_per_entry = 1;
constexpr double nanoseconds_per_number = 0.15;
constexpr double nanoseconds_per_part = 200'000;

double nanoseconds_of_entry(Index cols) {
  return nanoseconds_per_entry + nanoseconds_per_number * static_cast<double>(cols);
}

int threads_for(const RunOptions& run, Index work, Index cols) {
  constexpr double most = 1e18;
  const double nanoseconds = nanoseconds_of_entry(cols) * static_cast<double>(work);
  return thread_count(run.n_threads, static_cast<Index>(std::min(most, nanoseconds)));
}

Index work_per_part(Index cols) { return static_cast<Index>(nanoseconds_per_part / nanoseconds_of_entry(cols)) + 1; }

constexpr Index most_scratch_bytes = Index{1} << 26;  // of a thread: beyond, rows are multiplied one by one

}  // namespace

template <class T, class I>
void matmul(const CsrView<T, I>& A, MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) {
  sparse::require_valid_rows(A, "matmul", "A", run);
  require_valid_view(X, "matmul", "B");
  require_valid_view(Y, "matmul", "C");
  require(A.cols == X.rows(), "matmul: A is ", Shape{A.rows, A.cols}, " but B is ", shape(X),
          "; A must have as many columns as B has rows");
  require(Y.rows() == A.rows && Y.cols() == X.cols(), "matmul: A B is ", Shape{A.rows, X.cols()}, " but C is ",
          shape(Y));
  if (A.rows == 0 || X.cols() == 0) return static_cast<void>(require_valid_csr(A, "matmul", "A", run));
  Monitor monitor(run.keep_going);
  const Parts<T, I> parts(A, work_per_part(X.cols()));
  parallel_for(parts.count(), threads_for(run, A.nnz() + A.rows, X.cols()), monitor, [&](Index part) {
    const Index begin = parts.begin(part), end = parts.begin(part + 1);
    if (!spmm_kernels<T, I>().multiply_rows(rows_of(A), begin, end, X.data(), X.row_stride(), X.cols(), Y.data(),
                                            Y.row_stride()))
      require_valid_csr(A, "matmul", "A", RunOptions{.n_threads = 1});
  });
}

template <class T, class I>
void matmul(MatrixView<const T> X, const CsrView<T, I>& A, MatrixView<T> Y, const RunOptions& run) {
  require_valid_view(X, "matmul", "A");
  sparse::require_valid_rows(A, "matmul", "B", run);
  require_valid_view(Y, "matmul", "C");
  require(X.cols() == A.rows, "matmul: A is ", shape(X), " but B is ", Shape{A.rows, A.cols},
          "; A must have as many columns as B has rows");
  require(Y.rows() == X.rows() && Y.cols() == A.cols, "matmul: A B is ", Shape{X.rows(), A.cols}, " but C is ",
          shape(Y));
  if (X.rows() == 0 || A.cols == 0) return static_cast<void>(require_valid_csr(A, "matmul", "B", run));
  Monitor monitor(run.keep_going);
  const int threads = threads_for(run, checked_product(A.nnz() + A.rows, ceil_divide(X.rows(), sparse::most_lanes)),
                                  sparse::most_lanes);
  const bool one_by_one = A.cols > most_scratch_bytes / (sparse::most_lanes * Index{sizeof(T)});
  const Index rows_together = one_by_one ? 1 : std::clamp<Index>(X.rows() / threads, 1, sparse::most_lanes);
  const Index blocks = ceil_divide(X.rows(), rows_together);
  const Index scratch_size = rows_together == 1 ? 0 : A.cols * sparse::lanes_for(rows_together);
  const Array<T> scratch(checked_product(threads, scratch_size));
  const Parts<T, I> parts(A, work_per_part(rows_together));
  parallel_for_workers(blocks, threads, monitor, [&](Index block, int worker) {
    const Index first = block * rows_together, count = std::min(rows_together, X.rows() - first);
    const Index lanes = sparse::lanes_for(count);
    T* const y = Y.data() + first * Y.row_stride();
    T* const sums = count == 1 ? y : scratch.data() + worker * scratch_size;
    std::fill_n(sums, A.cols * lanes, T{0});
    for (Index part = 0; part < parts.count(); ++part) {
      if (worker == 0)
        monitor.poll((static_cast<double>(block) + static_cast<double>(part) / static_cast<double>(parts.count())) /
                     static_cast<double>(blocks));
      const Index begin = parts.begin(part), end = parts.begin(part + 1);
      if (!spmm_kernels<T, I>().add_from_left(rows_of(A), begin, end, X.data() + first * X.row_stride(), X.row_stride(),
                                              count, sums))
        require_valid_csr(A, "matmul", "B", RunOptions{.n_threads = 1});
    }
    if (count == 1) return;
    constexpr Index cached = 256;  // columns, which are read for one row after the other
    for (Index begin = 0; begin < A.cols; begin += cached)
      for (Index r = 0; r < count; ++r)
        for (Index j = begin; j < std::min(A.cols, begin + cached); ++j)
          y[r * Y.row_stride() + j] = sums[j * lanes + r];
  });
}

#define NEARLINEAR_INSTANTIATE(T, I)                                                                 \
  template void matmul(const CsrView<T, I>&, MatrixView<const T>, MatrixView<T>, const RunOptions&); \
  template void matmul(MatrixView<const T>, const CsrView<T, I>&, MatrixView<T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear
