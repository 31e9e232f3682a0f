// Elementwise functions and sums: fixed chunks of entries, whose sums are joined in a fixed order.
#include "nearlinear/linalg/elementwise.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <type_traits>
#include <utility>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "linalg/elementwise_kernels.hpp"
#include "linalg/kernels.hpp"

namespace nearlinear {
namespace {

using linalg::Exponentials;
using linalg::sum_block;

template <class T>
const linalg::ElementwiseKernelsOf<T>& table() {
  if constexpr (std::is_same_v<T, float>) return linalg::kernels().elementwise->f32;
  if constexpr (std::is_same_v<T, double>) return linalg::kernels().elementwise->f64;
}

// What a thread takes at a time: whole blocks, some 10 to 50 us of work.
constexpr Index chunk = 16 * sum_block;

constexpr Index entries_per_nanosecond_summed = 4;

template <class T>
void map(const char* name, linalg::Map<T> function, std::span<const T> x, std::span<T> y, const RunOptions& run) {
  require(x.size() == y.size(), name, ": x has ", x.size(), " entries and y has ", y.size(),
          "; they must have the same number");
  const Index n = std::ssize(x);
  const std::less<const T*> before;
  require(n == 0 || x.data() == y.data() || !before(x.data(), y.data() + n) || !before(y.data(), x.data() + n), name,
          ": x and y, of ", n, " entries, overlap in part; they must be the same memory or apart");
  Monitor monitor(run.keep_going);
  parallel_for(ceil_divide(n, chunk), thread_count(run.n_threads, n), monitor, [&](Index c) {
    const Index first = c * chunk;
    function(x.data() + first, y.data() + first, std::min(chunk, n - first));
  });
}

/// Joins neighbours, then neighbours of the results, until one is left: no term goes through more than
/// ceil(log2(count)) additions.
double sum_pairwise(double* terms, Index count) {
  for (; count > 1; count = ceil_divide(count, 2)) {
    for (Index i = 0; i < count / 2; ++i) terms[i] = terms[2 * i] + terms[2 * i + 1];
    if (count % 2 != 0) terms[count / 2] = terms[count - 1];
  }
  return terms[0];
}

/// The sum of block(first, count) over all blocks of n entries.
template <class Block>
double sum_blocks(Index n, const RunOptions& run, const Block& block) {
  const int threads = thread_count(run.n_threads, n / entries_per_nanosecond_summed);
  Monitor monitor(run.keep_going);
  if (n == 0) return 0;
  if (n <= sum_block) {
    monitor.poll(0);
    return block(Index{0}, n);
  }
  const Array<double> sums(ceil_divide(n, sum_block));
  parallel_for(ceil_divide(n, chunk), threads, monitor, [&](Index c) {
    for (Index first = c * chunk; first < std::min((c + 1) * chunk, n); first += sum_block)
      sums[first / sum_block] = block(first, std::min(sum_block, n - first));
  });
  return sum_pairwise(sums.data(), sums.size());
}

template <class T>
double sum_of_squares(std::span<const T> x, double scale, const RunOptions& run) {
  const auto kernel = table<T>().sum_of_squares;
  return sum_blocks(std::ssize(x), run,
                    [=](Index first, Index count) { return kernel(x.data() + first, count, scale); });
}

constexpr Exponentials no_exponentials{-std::numeric_limits<double>::infinity(), 0};

/// exp(a.maximum) (1 + a.rest) + exp(b.maximum) (1 + b.rest), of which only positive numbers are added.
Exponentials operator+(Exponentials a, Exponentials b) {
  if (b.maximum > a.maximum) std::swap(a, b);
  if (a.maximum == b.maximum && std::isinf(a.maximum)) return {a.maximum, a.rest + b.rest};  // both 0, or NaN
  return {a.maximum, a.rest + (1 + b.rest) * std::exp(b.maximum - a.maximum)};
}

template <class T>
T log_of(Exponentials sum) {
  return static_cast<T>(sum.maximum + std::log1p(sum.rest));
}

// Rows of a matrix, cut into chunks: rows of one chunk are taken several at a time.
template <class T>
void row_log_sum_exp_of(MatrixView<const T> A, T* result, const RunOptions& run) {
  const Index n = A.rows(), d = A.cols();
  const Index chunks = std::max<Index>(1, ceil_divide(d, chunk));  // per row
  const Index rows = chunks > 1 ? 1 : std::max<Index>(1, chunk / std::max<Index>(1, d));
  const int threads = thread_count(run.n_threads, checked_product(n, d));
  Monitor monitor(run.keep_going);
  const auto kernel = table<T>().sum_exponentials;
  const auto sum_chunk = [&](Index i, Index c) {
    Exponentials sum = no_exponentials;
    for (Index first = c * chunk; first < std::min((c + 1) * chunk, d); first += sum_block)
      sum = sum + kernel(A.data() + i * A.row_stride() + first, std::min(sum_block, d - first));
    return sum;
  };
  if (chunks == 1) {
    parallel_for(ceil_divide(n, rows), threads, monitor, [&](Index group) {
      for (Index i = group * rows; i < std::min((group + 1) * rows, n); ++i) result[i] = log_of<T>(sum_chunk(i, 0));
    });
    return;
  }
  const Array<Exponentials> sums(checked_product(n, chunks));
  parallel_for(sums.size(), threads, monitor, [&](Index s) { sums[s] = sum_chunk(s / chunks, s % chunks); });
  for (Index i = 0; i < n; ++i) {
    Exponentials sum = no_exponentials;
    for (Index c = 0; c < chunks; ++c) sum = sum + sums[i * chunks + c];
    result[i] = log_of<T>(sum);
  }
}

}  // namespace

template <class T>
void exp(std::span<const T> x, std::span<T> y, const RunOptions& run) {
  map("exp", table<T>().exp, x, y, run);
}

template <class T>
void log(std::span<const T> x, std::span<T> y, const RunOptions& run) {
  map("log", table<T>().log, x, y, run);
}

template <class T>
T log_sum_exp(std::span<const T> x, const RunOptions& run) {
  T result{};
  row_log_sum_exp_of(MatrixView<const T>(x.data(), 1, std::ssize(x)), &result, run);
  return result;
}

template <class T>
void row_log_sum_exp(MatrixView<const T> A, std::span<T> result, const RunOptions& run) {
  require_valid_view(A, "row_log_sum_exp", "A");
  require(std::ssize(result) == A.rows(), "row_log_sum_exp: A is ", shape(A), " and result has ", result.size(),
          " entries; it must have one for every row of A");
  row_log_sum_exp_of(A, result.data(), run);
}

template <class T>
void column_log_sum_exp(MatrixView<const T> A, std::span<T> result, const RunOptions& run) {
  require_valid_view(A, "column_log_sum_exp", "A");
  require(std::ssize(result) == A.cols(), "column_log_sum_exp: A is ", shape(A), " and result has ", result.size(),
          " entries; it must have one for every column of A");
  const Index n = A.rows(), d = A.cols();
  const int threads = thread_count(run.n_threads, checked_product(n, d));

  // A tile of `block` rows and a strip of columns stays in the second-level cache between its two passes.
  constexpr Index block = 512;
  constexpr Index most_groups = 32;
  const Index strips = ceil_divide(d, linalg::lanes);
  const Index blocks = ceil_divide(n, block);
  const Index groups = std::clamp<Index>(blocks, 1, most_groups);
  Monitor monitor(run.keep_going);
  const auto kernel = table<T>().sum_column_exponentials;
  const Array<Exponentials> sums(checked_product(groups, d));
  const Index tasks = strips * groups;
  parallel_for_workers(tasks, threads, monitor, [&](Index task, int worker) {
    const Index group = task / strips;
    const Index col = task % strips * linalg::lanes, cols = std::min(linalg::lanes, d - col);
    Exponentials* const sum = sums.data() + group * d + col;
    std::fill_n(sum, cols, no_exponentials);
    for (Index b = group * blocks / groups; b < (group + 1) * blocks / groups; ++b) {
      if (worker == 0) monitor.poll(static_cast<double>(task) / static_cast<double>(tasks));
      Exponentials of_block[linalg::lanes];
      kernel(A.data() + b * block * A.row_stride() + col, std::min(block, n - b * block), cols, A.row_stride(),
             of_block);
      for (Index j = 0; j < cols; ++j) sum[j] = sum[j] + of_block[j];
    }
  });
  parallel_for(strips, thread_count(threads, groups * d * 16), monitor, [&](Index strip) {
    for (Index j = strip * linalg::lanes; j < std::min((strip + 1) * linalg::lanes, d); ++j) {
      Exponentials sum = sums[j];
      for (Index group = 1; group < groups; ++group) sum = sum + sums[group * d + j];
      result[static_cast<std::size_t>(j)] = log_of<T>(sum);
    }
  });
}

template <class T>
T sum(std::span<const T> x, const RunOptions& run) {
  const auto kernel = table<T>().sum;
  return static_cast<T>(
      sum_blocks(std::ssize(x), run, [=](Index first, Index count) { return kernel(x.data() + first, count); }));
}

template <class T>
T dot(std::span<const T> x, std::span<const T> y, const RunOptions& run) {
  require(x.size() == y.size(), "dot: x has ", x.size(), " entries and y has ", y.size(),
          "; they must have the same number");
  const auto kernel = table<T>().dot;
  return static_cast<T>(sum_blocks(
      std::ssize(x), run, [=](Index first, Index count) { return kernel(x.data() + first, y.data() + first, count); }));
}

template <class T>
T norm(std::span<const T> x, const RunOptions& run) {
  const double squares = sum_of_squares(x, 1.0, run);
  // Below 2^-900, squares that underflowed may matter; the squares of floats never get there.
  if (std::isnan(squares) || (squares >= 0x1p-900 && !std::isinf(squares))) return static_cast<T>(std::sqrt(squares));
  const double scale = std::isinf(squares) ? 0x1p-600 : 0x1p600;
  return static_cast<T>(std::sqrt(sum_of_squares(x, scale, run)) / scale);
}

#define NEARLINEAR_INSTANTIATE(T)                                                         \
  template void exp(std::span<const T>, std::span<T>, const RunOptions&);                 \
  template void log(std::span<const T>, std::span<T>, const RunOptions&);                 \
  template T log_sum_exp(std::span<const T>, const RunOptions&);                          \
  template void row_log_sum_exp(MatrixView<const T>, std::span<T>, const RunOptions&);    \
  template void column_log_sum_exp(MatrixView<const T>, std::span<T>, const RunOptions&); \
  template T sum(std::span<const T>, const RunOptions&);                                  \
  template T dot(std::span<const T>, std::span<const T>, const RunOptions&);              \
  template T norm(std::span<const T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear
