// Batched solves: groups of systems side by side where they are small, one after another where they are not.
#include "nearlinear/linalg/batched.hpp"

#include <algorithm>
#include <limits>
#include <ostream>

#include "core/arithmetic.hpp"
#include "linalg/batched_kernels.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear {
namespace {

constexpr Index largest_interleaved = 128;

struct BatchShape {
  Index count;
  Index rows;
  Index cols;

  friend std::ostream& operator<<(std::ostream& out, const BatchShape& shape) {
    return out << shape.count << " x " << shape.rows << " x " << shape.cols;
  }
};

template <class T>
BatchShape batch_shape(const BatchView<T>& batch) {
  return {batch.count(), batch.rows(), batch.cols()};
}

template <class T>
void require_valid_batch(const BatchView<T>& batch, const char* argument) {
  const BatchShape shape = batch_shape(batch);
  require(shape.count >= 0 && shape.rows >= 0 && shape.cols >= 0, "cholesky_solve_batch: ", argument,
          " has the negative shape ", shape);
  if (shape.count == 0 || shape.rows == 0 || shape.cols == 0) return;
  require(batch.data() != nullptr, "cholesky_solve_batch: ", argument, " is ", shape, " but its data pointer is null");
  require(batch.row_stride() >= shape.cols, "cholesky_solve_batch: ", argument, " is ", shape, " with row stride ",
          batch.row_stride(), "; its rows overlap");
  const Index size = checked_sum(checked_product(shape.rows - 1, batch.row_stride()), shape.cols);
  require(shape.count == 1 || batch.matrix_stride() >= size, "cholesky_solve_batch: ", argument, " is ", shape,
          " with matrix stride ", batch.matrix_stride(), "; its matrices overlap");
}

/// Of matrices that have entries; others may have any strides, and no memory.
template <class T>
linalg::Stack<T> stack(const BatchView<T>& batch) {
  if (batch.rows() == 0 || batch.cols() == 0) return {nullptr, 0, 0};
  return {batch.data(), batch.row_stride(), batch.matrix_stride()};
}

template <class T>
linalg::Stack<T> from(linalg::Stack<T> stack, Index system, Index col = 0) {
  stack.data += system * stack.matrix_stride + col;
  return stack;
}

template <class T>
void solve_interleaved(BatchView<const T> A, BatchView<const T> B, BatchView<T> X, std::span<Index> status, T ridge,
                       const RunOptions& run) {
  const Index count = A.count(), k = A.rows(), r = B.cols();
  const auto& kernels = linalg::batched_kernels_for<T>();
  // Registers make operations cheap; reading, writing and the chain of roots and divisions come on top.
  const auto unknowns = static_cast<double>(k), width = static_cast<double>(r);
  const double nanoseconds_each =
      10 + (unknowns * unknowns * (unknowns / 3 + 2 * width + 8) + 40 * unknowns) / linalg::reflection_rate;
  constexpr double nanoseconds_per_block = 1e5;
  const Index block = kernels.lanes * std::max<Index>(1, static_cast<Index>(nanoseconds_per_block / nanoseconds_each /
                                                                            static_cast<double>(kernels.lanes)));
  const Index blocks = ceil_divide(count, block);
  // More right-hand sides than this are for another task, which factors anew: in vain, but not for long.
  const Index panel = 16 * std::max(k, Index{16}), panels = std::max<Index>(1, ceil_divide(r, panel));
  const Index tasks = checked_product(blocks, panels);
  const int threads =
      static_cast<int>(std::min<Index>(tasks, linalg::threads_at(1.0, run.n_threads, nanoseconds_each, count)));
  const Index scratch_size = linalg::batched_scratch(kernels.lanes, k, std::min(r, panel));
  const Array<T> scratch(checked_product(threads, scratch_size));
  const Array<Index> known_status(panels > 1 ? threads * block : 0);  // what a task finds that is not the first
  const auto a = stack(A), b = stack(B);
  const auto x = stack(X);
  Monitor monitor(run.keep_going);
  parallel_for_workers(tasks, threads, monitor, [&](Index task, int worker) {
    const Index begin = task / panels * block, first = task % panels * panel;
    kernels.cholesky_solve(std::min(block, count - begin), k, std::min(panel, r - first), from(a, begin), ridge,
                           from(b, begin, first), from(x, begin, first),
                           first == 0 ? &status[static_cast<std::size_t>(begin)] : &known_status[worker * block],
                           scratch.data() + worker * scratch_size);
  });
}

template <class T>
void copy(MatrixView<const T> from, MatrixView<T> to) {
  for (Index i = 0; i < from.rows(); ++i) std::copy_n(&from(i, 0), from.cols(), &to(i, 0));
}

template <class T>
Index solve_alone(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> X, T ridge, MatrixView<T> L,
                  const RunOptions& run) {
  const Index k = A.rows();
  for (Index i = 0; i < k; ++i) {
    std::copy_n(&A(i, 0), i + 1, &L(i, 0));
    L(i, i) += ridge;
  }
  const Index status = cholesky(L, run);
  if (X.cols() == 0) return status;
  if (status == 0) {
    if (X.data() != B.data()) copy(B, X);
    cholesky_solve<T>(L, X, run);
  } else {
    for (Index i = 0; i < k; ++i) std::fill_n(&X(i, 0), X.cols(), std::numeric_limits<T>::quiet_NaN());
  }
  return status;
}

template <class T>
void solve_one_by_one(BatchView<const T> A, BatchView<const T> B, BatchView<T> X, std::span<Index> status, T ridge,
                      const RunOptions& run) {
  const Index count = A.count(), k = A.rows();
  const Array<T> factor(checked_product(k, k));
  Monitor monitor(run.keep_going);
  for (Index s = 0; s < count; ++s) {
    const auto done = [&](double fraction) { return (static_cast<double>(s) + fraction) / static_cast<double>(count); };
    RunOptions inner{.n_threads = run.n_threads};
    if (run.keep_going) inner.keep_going = [&](double fraction) { return run.keep_going(done(fraction)); };
    monitor.poll(done(0));
    status[static_cast<std::size_t>(s)] = solve_alone<T>(A[s], B[s], X[s], ridge, {factor.data(), k, k}, inner);
  }
}

}  // namespace

template <class T>
Index cholesky_solve_batch(BatchView<const T> A, BatchView<const T> B, BatchView<T> X, std::span<Index> status,
                           double ridge, const RunOptions& run) {
  require_valid_batch(A, "A");
  require_valid_batch(B, "B");
  require_valid_batch(X, "X");
  require(A.rows() == A.cols(), "cholesky_solve_batch: A is ", batch_shape(A), "; its matrices must be square");
  require(B.count() == A.count() && B.rows() == A.rows(), "cholesky_solve_batch: A is ", batch_shape(A), " and B is ",
          batch_shape(B), "; B must have a matrix for each of A, with as many rows");
  require(X.count() == B.count() && X.rows() == B.rows() && X.cols() == B.cols(), "cholesky_solve_batch: B is ",
          batch_shape(B), " and X is ", batch_shape(X), "; they must be alike");
  require(std::ssize(status) == A.count(), "cholesky_solve_batch: A has ", A.count(), " matrices and status has ",
          std::ssize(status), " entries; there must be one for each");
  require(ridge >= 0 && ridge <= std::numeric_limits<T>::max(), "cholesky_solve_batch: ridge is ", ridge,
          "; it must be finite and not negative");
  if (A.rows() == 0)
    std::fill(status.begin(), status.end(), 0);
  else if (A.rows() <= largest_interleaved)
    solve_interleaved<T>(A, B, X, status, static_cast<T>(ridge), run);
  else
    solve_one_by_one<T>(A, B, X, status, static_cast<T>(ridge), run);
  return std::count_if(status.begin(), status.end(), [](Index info) { return info != 0; });
}

template Index cholesky_solve_batch(BatchView<const float>, BatchView<const float>, BatchView<float>, std::span<Index>,
                                    double, const RunOptions&);
template Index cholesky_solve_batch(BatchView<const double>, BatchView<const double>, BatchView<double>,
                                    std::span<Index>, double, const RunOptions&);

}  // namespace nearlinear
