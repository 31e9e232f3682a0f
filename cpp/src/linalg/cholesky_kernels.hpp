/// The hot loops of the Cholesky family, on tiles that fit the cache, and the parallel steps that its files share.
#pragma once

#include <algorithm>
#include <functional>
#include <type_traits>

#include "core/arithmetic.hpp"
#include "linalg/kernels.hpp"
#include "linalg/product_kernels.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// The largest tile that is factored, inverted or solved with in one go.
constexpr Index largest_tile = 128;

template <class T>
struct CholeskyKernelsFor {
  /// A = L L^T in the lower triangle of the n x n tile A, stored by rows. Returns the first leading minor that is not
  /// positive definite, counted from 1, and leaves A as it was; or 0. `scratch` holds n * n numbers.
  Index (*factor_tile)(Index n, T* a, Index row_stride, T* scratch);

  /// L <- L^{-1} in the lower triangle of the n x n tile L. `scratch` holds n * n numbers.
  void (*invert_tile)(Index n, T* l, Index row_stride, T* scratch);

  /// B <- M^{-1} B or, from the right, B <- B M^{-1}, for the m x n matrix B, stored by rows, and a triangular M.
  void (*solve_tile)(bool from_right, Operand<T> triangular, bool is_lower, Index m, Index n, T* b, Index row_stride);

  /// (L, x) <- (L, x) G_0 ... G_{k-1} for the m x k matrix L, stored by rows, and the column x, where G_j is the plane
  /// rotation of column j and x:  l_j <- c_j l_j + s_j x,  x <- c_j x - s_j l_j.
  void (*rotate_rows)(Index m, Index k, T* l, Index row_stride, T* x, const T* c, const T* s) noexcept;

  /// Finds the n rotations that take (L, x), L lower triangular of n x n, to (L', 0), and applies them. Returns the
  /// first row, counted from 1, whose pivot is not a positive number, or 0.
  Index (*rotate_triangle)(Index n, T* l, Index row_stride, T* x, T* c, T* s) noexcept;

  /// y_i <- (y_i - sum over j < i of l_ij y_j) / l_ii for i = begin, ..., end - 1.
  void (*forward_substitute)(Index begin, Index end, const T* l, Index row_stride, T* y) noexcept;

  /// The sum of the squares of n numbers.
  T (*square_sum)(Index n, const T* y) noexcept;
};

/// CholeskyKernelsFor::solve_tile, which has a file of its own. One per instruction set: code reaches it through
/// kernels() alone.
template <class T>
void solve_tile(bool from_right, Operand<T> triangular, bool is_lower, Index m, Index n, T* b, Index row_stride);

struct CholeskyKernels {
  CholeskyKernelsFor<float> f32;
  CholeskyKernelsFor<double> f64;
};

extern const CholeskyKernels cholesky_kernels;  // one per instruction set: code reaches it through kernels() alone

template <class T>
const CholeskyKernelsFor<T>& cholesky_kernels_for() {
  if constexpr (std::is_same_v<T, float>) return kernels().cholesky->f32;
  if constexpr (std::is_same_v<T, double>) return kernels().cholesky->f64;
}

/// A call that runs as a sequence of parallel loops, each long enough for threads of its own or not.
class Steps {
 public:
  Steps(const RunOptions& run, double operations)
      : monitor_(run.keep_going), n_threads_(run.n_threads), operations_(operations) {}

  /// Calls body(0), ..., body(count - 1), which take `operations` floating-point operations together. No body should
  /// take more than a few milliseconds.
  void run(Index count, double operations, const std::function<void(Index)>& body);

  /// On which the whole of the call is worth being computed.
  [[nodiscard]] int threads() const { return threads_at(product_rate, n_threads_, operations_); }

 private:
  Monitor monitor_;
  int n_threads_;
  double operations_;
  double done_ = 0;
};

/// Where a matrix of n rows is halved: at a multiple of 16, so that the halves end where vectors of registers do.
[[nodiscard]] constexpr Index half(Index n) { return (n / 2 + 15) / 16 * 16; }

template <class T>
[[nodiscard]] MatrixView<T> block(MatrixView<T> matrix, Index row, Index col, Index rows, Index cols) {
  return {matrix.data() + row * matrix.row_stride() + col, rows, cols, matrix.row_stride()};
}

/// Equal parts of `size` rows or columns.
struct Cut {
  Index size;
  Index count;

  [[nodiscard]] Index begin(Index part) const { return part * size / count; }
  [[nodiscard]] Index length(Index part) const { return begin(part + 1) - begin(part); }
};

/// As many parts as there are threads or more, but no more than need be: every part is packed anew. Their number leaves
/// all bits as they are, because products sum an entry alike whatever part it is in, as long as no part is as narrow as
/// a tile of registers: one of several has 64 or more.
[[nodiscard]] inline Cut cut_for_threads(Index size, int threads) {
  const Index most = threads == 1 ? 1024 : 512;
  return {size, std::max(ceil_divide(size, most), std::min<Index>(threads, ceil_divide(size, 128)))};
}

constexpr Index step_depth = 1024;  // of products in one step: with parts of 512, a body takes some 10 ms

/// A triangular matrix, or the transpose of one.
template <class T>
struct Triangular {
  Operand<T> entries;
  Index size;
  bool is_lower;

  [[nodiscard]] Triangular transposed() const { return {entries.transposed(), size, !is_lower}; }
};

/// B <- M^{-1} B or, from the right, B <- B M^{-1}.
template <class T>
void solve(Triangular<T> M, bool from_right, MatrixView<T> B, Steps& steps);

/// The same without threads of its own, for a part of B that a thread has.
template <class T>
void solve_on_this_thread(const Triangular<T>& M, bool from_right, MatrixView<T> B);

}  // namespace nearlinear::linalg
