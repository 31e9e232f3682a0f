// General products. A block of B is packed once, by all threads, who then share the rows of A: how many there are
// changes which rows are multiplied together, but no sum.
#include "nearlinear/linalg/products.hpp"

#include <algorithm>
#include <type_traits>

#include "core/arithmetic.hpp"
#include "linalg/rates.hpp"
#include "linalg/tables.hpp"

namespace nearlinear {
namespace {

using linalg::Operand;
using linalg::row_unit;

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

/// The largest part when `size` is cut into as few as can be of at most `most`, as equal as multiples of `unit` can be.
Index even_part(Index size, Index most, Index unit) {
  const Index units = ceil_divide(size, unit);
  return ceil_divide(units, ceil_divide(units, std::max<Index>(1, most / unit))) * unit;
}

constexpr Index block_bytes = Index{4} << 20;  // of B: it stays in the cache that threads share
constexpr Index panels_together = 8;           // that a thread packs, or at least multiplies with, in one go
constexpr Index parts_per_thread = 4;          // of C, at least: so that no thread waits for another for long
constexpr double pack_rate = 1;                // numbers per nanosecond

/// C <- C + alpha A B, C scaled by beta first, for one block of B after the other.
template <class T>
class BlockedProduct {
 public:
  BlockedProduct(T alpha, const Operand<T>& a, const Operand<T>& b, T beta, MatrixView<T> C, Index k, int n_threads)
      : alpha_(alpha),
        a_(a),
        b_(b),
        beta_(beta),
        C_(C),
        k_(k),
        n_threads_(n_threads),
        threads_(linalg::threads_at(linalg::product_rate, n_threads, 2, C.rows(), C.cols(), k)),
        depth_(even_part(k, linalg::largest_depth, 1)),
        cols_(even_part(C.cols(), block_bytes / (depth_ * Index{sizeof(T)}), kernels_.panel_cols)),
        packed_b_(depth_ * cols_),
        packed_a_(threads_ * packed_rows()) {}

  void run(Monitor& monitor) const {
    const Index steps = ceil_divide(k_, depth_), blocks = steps * ceil_divide(C_.cols(), cols_);
    for (Index block = 0; block < blocks; ++block) {
      const Index col = block / steps * cols_, begin = block % steps * depth_;
      monitor.enter_stage(static_cast<double>(block) / static_cast<double>(blocks),
                          static_cast<double>(block + 1) / static_cast<double>(blocks));
      run(col, std::min(cols_, C_.cols() - col), begin, std::min(depth_, k_ - begin), monitor);
    }
  }

 private:
  [[nodiscard]] Index packed_rows() const { return linalg::largest_height * depth_; }  // whole lines of the cache

  void run(Index col, Index cols, Index begin, Index depth, Monitor& monitor) const {
    const Index panel = kernels_.panel_cols, panels = ceil_divide(cols, panel);
    const Index packs = ceil_divide(panels, panels_together);
    parallel_for(packs, linalg::threads_at(pack_rate, n_threads_, depth, cols), monitor, [&](Index p) {
      const Index first = p * panels / packs * panel, end = std::min(cols, (p + 1) * panels / packs * panel);
      kernels_.pack(depth, end - first, b_.at(begin, col + first), packed_b_.data() + first * depth);
    });

    // Parts of some rows, which begin where panels of A do, and of some columns where rows alone are not enough.
    const Index m = C_.rows(), units = ceil_divide(m, row_unit), most = linalg::largest_height / row_unit;
    const Index wanted = threads_ == 1 ? 1 : ceil_divide(ceil_divide(units, most), threads_) * threads_;
    const Index down = std::clamp(wanted, ceil_divide(units, most), units);
    const Index across = std::clamp<Index>(threads_ == 1 ? 1 : parts_per_thread * threads_ / down, 1, packs);
    parallel_for_workers(down * across, threads_, monitor, [&](Index part, int worker) {
      const Index r = part / across, c = part % across;
      const Index row = r * units / down * row_unit, last_row = std::min(m, (r + 1) * units / down * row_unit);
      const Index first = c * panels / across * panel, end = std::min(cols, (c + 1) * panels / across * panel);
      const MatrixView<T> target(C_.data() + row * C_.row_stride() + col + first, last_row - row, end - first,
                                 C_.row_stride());
      if (begin == 0 && beta_ != T{1}) scale(target, beta_);
      kernels_.multiply_packed(target.rows(), target.cols(), depth, alpha_, a_.at(row, begin),
                               packed_b_.data() + first * depth, target.data(), target.row_stride(),
                               packed_a_.data() + worker * packed_rows());
    });
  }

  const linalg::ProductKernelsFor<T>& kernels_ = linalg::product_kernels_for<T>();
  T alpha_;
  Operand<T> a_;
  Operand<T> b_;
  T beta_;
  MatrixView<T> C_;
  Index k_;
  int n_threads_;
  int threads_;
  Index depth_;  // of a block of B
  Index cols_;
  Array<T> packed_b_;
  Array<T> packed_a_;  // largest_height rows for every thread
};

/// The same where A or B is a vector, or hardly more: by rows of A or columns of B.
template <class T>
void multiply_thin(T alpha, const Operand<T>& a, const Operand<T>& b, T beta, MatrixView<T> C, Index k, int n_threads,
                   Monitor& monitor) {
  constexpr Index largest_part = 512;
  constexpr Index largest_step = 1024;  // of the depth, between two polls
  const int threads = linalg::threads_at(linalg::product_rate, n_threads, 2, C.rows(), C.cols(), k);
  const Index down = ceil_divide(C.rows(), largest_part), across = ceil_divide(C.cols(), largest_part);
  parallel_for_workers(down * across, threads, monitor, [&](Index part, int worker) {
    const Index r = part / across, c = part % across;
    const Index row = r * C.rows() / down, rows = (r + 1) * C.rows() / down - row;
    const Index col = c * C.cols() / across, cols = (c + 1) * C.cols() / across - col;
    const MatrixView<T> target(C.data() + row * C.row_stride() + col, rows, cols, C.row_stride());
    if (beta != T{1}) scale(target, beta);
    for (Index begin = 0; begin < k; begin += largest_step) {
      if (worker == 0) monitor.poll(static_cast<double>(part) / static_cast<double>(down * across));
      linalg::gemm_kernel<T>()(rows, cols, std::min(largest_step, k - begin), alpha, a.at(row, begin), b.at(begin, col),
                               target.data(), target.row_stride());
    }
  });
}

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
  const Index k = alpha == T{0} ? 0 : a.cols;
  if (k == 0 || a.rows == 1 || b.cols <= linalg::product_kernels_for<T>().panel_cols)
    return multiply_thin<T>(alpha, operand(A, op_A), operand(B, op_B), beta, C, k, run.n_threads, monitor);
  if (a.rows > 0) BlockedProduct<T>(alpha, operand(A, op_A), operand(B, op_B), beta, C, k, run.n_threads).run(monitor);
}

template void gemm<float>(float, MatrixView<const float>, Transpose, MatrixView<const float>, Transpose, float,
                          MatrixView<float>, const RunOptions&);
template void gemm<double>(double, MatrixView<const double>, Transpose, MatrixView<const double>, Transpose, double,
                           MatrixView<double>, const RunOptions&);

}  // namespace nearlinear
