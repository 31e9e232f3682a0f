#include "sketch/mode_products.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "linalg/progress.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear::sketch {
namespace {

Index product(std::vector<Index>::const_iterator begin, std::vector<Index>::const_iterator end) {
  return std::accumulate(begin, end, Index{1}, [](Index a, Index b) { return checked_product(a, b); });
}

/// In several sums, so that additions need not wait for each other.
template <class T>
double squared_distance(const T* x, const T* y, Index count) {
  constexpr Index lanes = 8;
  double sums[lanes] = {};
  for (Index begin = 0; begin < count; begin += lanes)
    for (Index lane = 0; lane < std::min(lanes, count - begin); ++lane) {
      const double r = static_cast<double>(x[begin + lane]) - static_cast<double>(y[begin + lane]);
      sums[lane] += r * r;
    }
  return std::accumulate(std::begin(sums), std::end(sums), 0.0);
}

}  // namespace

template <class T>
Index Tensor<T>::entries() const {
  return product(sizes.begin(), sizes.end());
}

template <class T>
Index Tensor<T>::outer(std::size_t mode) const {
  return product(sizes.begin(), sizes.begin() + static_cast<Index>(mode));
}

template <class T>
Index Tensor<T>::inner(std::size_t mode) const {
  return product(sizes.begin() + static_cast<Index>(mode) + 1, sizes.end());
}

std::vector<std::size_t> cheapest_order(std::span<const Index> from, std::span<const Index> to) {
  std::vector<std::size_t> order(from.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto gain = [&](std::size_t t) { return 1 / static_cast<double>(to[t]) - 1 / static_cast<double>(from[t]); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t s, std::size_t t) { return gain(s) > gain(t); });
  return order;
}

template <class T>
Tensor<T> multiply_mode(const Tensor<T>& X, std::size_t mode, MatrixView<const T> M, Transpose op,
                        const RunOptions& run) {
  const Index outer = X.outer(mode), inner = X.inner(mode), from = X.sizes[mode];
  const Index to = op == Transpose::no ? M.rows() : M.cols();
  Tensor<T> Y{X.sizes};
  Y.sizes[mode] = to;
  Y.memory = Array<T>(Y.entries());
  Y.data = Y.memory.data();
  if (inner == 1) {  // vectors are rows
    const Transpose flipped = op == Transpose::no ? Transpose::yes : Transpose::no;
    gemm<T>(1, {X.data, outer, from}, Transpose::no, M, flipped, 0, {Y.memory.data(), outer, to}, run);
    return Y;
  }
  const auto multiply = [&](Index l, const RunOptions& part) {
    gemm<T>(1, M, op, {X.data + l * from * inner, from, inner}, Transpose::no, 0,
            {Y.memory.data() + l * to * inner, to, inner}, part);
  };
  // Threads share either the many small matrices or the rows of a large one.
  constexpr double large = 1 << 24;  // operations, a millisecond or less
  if (2.0 * static_cast<double>(from) * static_cast<double>(to) * static_cast<double>(inner) < large) {
    Monitor monitor(run.keep_going);
    parallel_for(outer, linalg::threads_at(linalg::reflection_rate, run.n_threads, 2, outer, from, to, inner), monitor,
                 [&](Index l) { multiply(l, {.n_threads = 1}); });
    return Y;
  }
  linalg::Progress progress(run);
  const auto fraction = [outer](Index l) { return static_cast<double>(l) / static_cast<double>(outer); };
  for (Index l = 0; l < outer; ++l) multiply(l, progress.part(fraction(l), fraction(l + 1)));
  return Y;
}

template <class T>
double squared_distance(const Tensor<T>& X, std::size_t mode, MatrixView<const T> M, const Tensor<T>& B,
                        const RunOptions& run) {
  constexpr Index block_entries = Index{1} << 18;  // some of the second-level cache, and rows enough to repay packing
  const Index outer = X.outer(mode), inner = X.inner(mode), from = X.sizes[mode], to = M.rows();
  // Blocks of rows of the matrices that B consists of or, where these are columns, of B as one outer x to matrix.
  const bool is_last = inner == 1;
  const Index width = is_last ? to : inner, all_rows = is_last ? outer : to, matrices = is_last ? 1 : outer;
  const Index rows = std::clamp<Index>(block_entries / width, 1, all_rows), blocks = ceil_divide(all_rows, rows);
  const int threads = linalg::threads_at(linalg::reflection_rate, run.n_threads, 2, outer, from, to, inner);
  std::vector<Array<T>> buffers(static_cast<std::size_t>(threads));
  const Array<double> sums(checked_product(matrices, blocks));
  Monitor monitor(run.keep_going);
  parallel_for_workers(sums.size(), threads, monitor, [&](Index task, int worker) {
    Array<T>& buffer = buffers[static_cast<std::size_t>(worker)];
    if (buffer.size() == 0) buffer = Array<T>(checked_product(rows, width));
    const Index l = task / blocks, begin = task % blocks * rows, count = std::min(rows, all_rows - begin);
    const MatrixView<T> product(buffer.data(), count, width);
    const RunOptions alone{.n_threads = 1};
    if (is_last)
      gemm<T>(1, {X.data + begin * from, count, from}, Transpose::no, M, Transpose::yes, 0, product, alone);
    else
      gemm<T>(1, {&M(begin, 0), count, from, M.row_stride()}, Transpose::no, {X.data + l * from * inner, from, inner},
              Transpose::no, 0, product, alone);
    const T* const b = B.data + (l * all_rows + begin) * width;
    sums[task] = squared_distance(buffer.data(), b, count * width);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

template <class T>
void solve_mode(Tensor<T>& X, std::size_t mode, MatrixView<const T> R, const RunOptions& run) {
  const Index outer = X.outer(mode), inner = X.inner(mode), size = X.sizes[mode];
  if (inner == 1)
    return triangular_solve_right<T>(Triangle::upper, Transpose::yes, R, {X.memory.data(), outer, size}, run);
  linalg::Progress progress(run);
  for (Index l = 0; l < outer; ++l) {
    const auto done = static_cast<double>(l), all = static_cast<double>(outer);
    triangular_solve<T>(Triangle::upper, Transpose::no, R, {X.memory.data() + l * size * inner, size, inner},
                        progress.part(done / all, (done + 1) / all));
  }
}

template struct Tensor<float>;
template struct Tensor<double>;
template Tensor<float> multiply_mode(const Tensor<float>&, std::size_t, MatrixView<const float>, Transpose,
                                     const RunOptions&);
template Tensor<double> multiply_mode(const Tensor<double>&, std::size_t, MatrixView<const double>, Transpose,
                                      const RunOptions&);
template double squared_distance(const Tensor<float>&, std::size_t, MatrixView<const float>, const Tensor<float>&,
                                 const RunOptions&);
template double squared_distance(const Tensor<double>&, std::size_t, MatrixView<const double>, const Tensor<double>&,
                                 const RunOptions&);
template void solve_mode(Tensor<float>&, std::size_t, MatrixView<const float>, const RunOptions&);
template void solve_mode(Tensor<double>&, std::size_t, MatrixView<const double>, const RunOptions&);

}  // namespace nearlinear::sketch
