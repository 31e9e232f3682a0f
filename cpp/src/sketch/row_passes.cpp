// Passes over rows that can be had as dense tiles: those of dense matrices, and of sparse ones where there is no other
// way. A block of rows is used for everything while it lies in the cache.
#include <cmath>
#include <limits>

#include "linalg/cholesky_kernels.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/scaling.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/linalg/qr.hpp"
#include "sketch/apply.hpp"
#include "sketch/passes.hpp"

namespace nearlinear::sketch {
namespace {

constexpr Index product_bytes = Index{1} << 19;  // of a block that is multiplied with itself
constexpr Index vector_bytes = Index{1} << 16;   // of one that is multiplied with vectors

/// Some rows of A and B as they lie or as a copy.
template <class T>
struct Block {
  Index rows;
  Index cols;
  const T* a;
  Index stride;
  const T* b;
  Index b_stride;
};

/// Memory of a thread, and sums of products in T that become double.
template <class T>
class Scratch {
 public:
  T* room(Index size) { return resized(room_, size); }
  T* copy(Index size) { return resized(copy_, size); }
  T* factors(Index size) { return resized(factors_, size); }

  /// Where products are to be added: the sum itself, or zeros in T, which add() adds to it.
  T* products(double* sum, Index size) {
    if constexpr (std::is_same_v<T, double>) {
      return sum;
    } else {
      T* const zeros = resized(products_, size);
      std::fill_n(zeros, size, T{0});
      return zeros;
    }
  }
  void add(double* sum, Index size) const {
    if constexpr (!std::is_same_v<T, double>)
      for (Index i = 0; i < size; ++i) sum[i] += static_cast<double>(products_[i]);
  }

 private:
  static T* resized(Array<T>& array, Index size) {
    if (array.size() < size) array = Array<T>(size);
    return array.data();
  }

  Array<T> room_, products_, copy_, factors_;
};

template <class T>
void add_squares(Index rows, Index p, const T* b, Index stride, double* sums) {
  for (Index i = 0; i < rows; ++i)
    for (Index c = 0; c < p; ++c) {
      const auto entry = static_cast<double>(b[i * stride + c]);
      sums[c] += entry * entry;
    }
}

/// y <- A x, or y + A x for several vectors.
template <class T>
void multiply(const Block<T>& block, const T* x, Index p, T* y) {
  if (p == 1)
    return linalg::gemv_pair_kernel<T>()(block.rows, block.cols, block.a, block.stride, x, y, nullptr, nullptr);
  linalg::gemm_kernel<T>()(block.rows, p, block.cols, T{1}, {block.a, block.stride, 1}, {x, p, 1}, y, p);
}

/// x <- x + A^T y.
template <class T>
void add_transposed(const Block<T>& block, const T* y, Index p, T* x) {
  if (p == 1)
    return linalg::gemv_pair_kernel<T>()(block.rows, block.cols, block.a, block.stride, nullptr, nullptr, y, x);
  linalg::gemm_kernel<T>()(block.cols, p, block.rows, T{1}, {block.a, 1, block.stride}, {y, p, 1}, x, p);
}

/// The lower triangle of a sum as a symmetric matrix.
void unpack_symmetric(const double* sum, MatrixView<double> G) {
  for (Index i = 0; i < G.rows(); ++i)
    for (Index j = 0; j <= i; ++j) G(i, j) = G(j, i) = sum[i * G.rows() + j];
}

template <class T>
Array<T> converted(std::span<const double> from) {
  Array<T> result(std::ssize(from));
  std::transform(from.begin(), from.end(), result.begin(), [](double entry) { return static_cast<T>(entry); });
  return result;
}

template <class T>
Array<T> packed(MatrixView<const T> X) {
  Array<T> result(checked_product(X.rows(), X.cols()));
  for (Index i = 0; i < X.rows(); ++i) std::copy_n(&X(i, 0), X.cols(), result.data() + i * X.cols());
  return result;
}

template <class T>
class RowPasses final : public Passes<T> {
 public:
  explicit RowPasses(const RowSource<T>& source)
      : Passes<T>(source.rows(), source.cols(), source.rhs()), source_(source) {}

  void gram(MatrixView<double> G, MatrixView<double> C, std::span<double> squares, const RunOptions& run) override {
    const Index d = this->cols(), p = this->rhs(), size = d * (d + p) + p;
    const Array<double> total(size);
    const auto syrk = linalg::syrk_kernel<T>();
    const auto gemm = linalg::gemm_kernel<T>();
    sum_blocks(product_bytes, d * (d + p), size, linalg::product_rate, total.data(), run,
               [&](const Block<T>& block, double* sum, Scratch<T>& scratch) {
                 T* const products = scratch.products(sum, d * (d + p));
                 syrk(d, block.rows, T{1}, {block.a, 1, block.stride}, products, d);
                 if (p > 0)
                   gemm(d, p, block.rows, T{1}, {block.a, 1, block.stride}, {block.b, block.b_stride, 1},
                        products + d * d, p);
                 scratch.add(sum, d * (d + p));
                 add_squares(block.rows, p, block.b, block.b_stride, sum + d * (d + p));
               });
    unpack_symmetric(total.data(), G);
    for (Index i = 0; i < d && p > 0; ++i) std::copy_n(total.data() + d * d + i * p, p, &C(i, 0));
    std::copy_n(total.data() + d * (d + p), p, squares.begin());
  }

  void sketch(const SketchSpec& spec, MatrixView<T> SAB, const RunOptions& run) override {
    sketch_all(spec, source_, SAB, run);
  }

  void whitened_gram(const Preconditioner& P, MatrixView<double> G, MatrixView<double> C,
                     const RunOptions& run) override {
    const Index d = this->cols(), k = P.rank(), p = this->rhs(), size = k * (k + p);
    const Array<T> factor = converted<T>(P.is_triangular() ? P.R().entries.span() : P.P().span());
    const linalg::Triangular<T> R{{factor.data(), d, 1}, d, false};
    const Array<double> total(size);
    const auto syrk = linalg::syrk_kernel<T>();
    const auto gemm = linalg::gemm_kernel<T>();
    sum_blocks(product_bytes, 2 * d * (k + p), size, linalg::product_rate, total.data(), run,
               [&](const Block<T>& block, double* sum, Scratch<T>& scratch) {
                 T* const white = scratch.room(block.rows * k);
                 if (P.is_triangular()) {
                   for (Index i = 0; i < block.rows; ++i) std::copy_n(block.a + i * block.stride, d, white + i * d);
                   linalg::solve_on_this_thread(R, true, MatrixView<T>(white, block.rows, d));
                 } else {
                   std::fill_n(white, block.rows * k, T{0});
                   gemm(block.rows, k, d, T{1}, {block.a, block.stride, 1}, {factor.data(), k, 1}, white, k);
                 }
                 T* const products = scratch.products(sum, size);
                 syrk(k, block.rows, T{1}, {white, 1, k}, products, k);
                 if (p > 0)
                   gemm(k, p, block.rows, T{1}, {white, 1, k}, {block.b, block.b_stride, 1}, products + k * k, p);
                 scratch.add(sum, size);
               });
    unpack_symmetric(total.data(), G);
    for (Index i = 0; i < k && p > 0; ++i) std::copy_n(total.data() + k * k + i * p, p, &C(i, 0));
  }

  void residual(MatrixView<const T> X, MatrixView<double> G, std::span<double> squares,
                const RunOptions& run) override {
    const Index d = this->cols(), p = this->rhs(), size = d * p + p;
    const Array<T> x = packed(X);
    const Array<double> total(size);
    sum_blocks(vector_bytes, 2 * d * p, size, rate(p), total.data(), run,
               [&](const Block<T>& block, double* sum, Scratch<T>& scratch) {
                 T* const r = scratch.room(block.rows * p + d * p);
                 T* const product = r + block.rows * p;
                 std::fill_n(r, block.rows * p, T{0});
                 multiply(block, x.data(), p, r);
                 for (Index i = 0; i < block.rows; ++i)
                   for (Index c = 0; c < p; ++c) r[i * p + c] = block.b[i * block.b_stride + c] - r[i * p + c];
                 add_squares(block.rows, p, r, p, sum + d * p);
                 std::fill_n(product, d * p, T{0});
                 add_transposed(block, r, p, product);
                 for (Index i = 0; i < d * p; ++i) sum[i] += static_cast<double>(product[i]);
               });
    std::copy_n(total.data(), d * p, G.data());
    std::copy_n(total.data() + d * p, p, squares.begin());
  }

  void normal_product(MatrixView<const T> Z, MatrixView<double> Y, const RunOptions& run) override {
    const Index d = this->cols(), p = Z.cols();
    const Array<T> z = packed(Z);
    sum_blocks(vector_bytes, 2 * d * p, d * p, rate(p), Y.data(), run,
               [&](const Block<T>& block, double* sum, Scratch<T>& scratch) {
                 T* const az = scratch.room(block.rows * p + d * p);
                 T* const product = az + block.rows * p;
                 std::fill_n(az, block.rows * p + d * p, T{0});
                 if (p == 1) {
                   linalg::gemv_pair_kernel<T>()(block.rows, d, block.a, block.stride, z.data(), az, az, product);
                 } else {
                   multiply(block, z.data(), p, az);
                   add_transposed(block, az, p, product);
                 }
                 for (Index i = 0; i < d * p; ++i) sum[i] += static_cast<double>(product[i]);
               });
  }

  void qr(MatrixView<double> R, MatrixView<double> C, std::span<double> squares, const RunOptions& run) override {
    const Index n = this->rows(), d = this->cols(), width = source_.width();
    const MatrixView<const T>* const plain = source_.plain();
    if (n >= d && (plain != nullptr || source_.is_dense())) {
      std::fill(squares.begin(), squares.end(), std::numeric_limits<double>::quiet_NaN());
      if (plain != nullptr) return factor(*plain, source_.B(), R, C, run);
      const Array<T> copy(checked_product(n, width));
      copy_rows(0, n, copy.data(), run);
      return factor({copy.data(), n, d, width}, {copy.data() + d, n, this->rhs(), width}, R, C, run);
    }
    StackedQr<T> stack(width);
    for (Index begin = 0; begin < n; begin += stack.most_rows()) {
      const Index end = std::min(n, begin + stack.most_rows());
      copy_rows(begin, end, stack.next_rows(end - begin, run), run);
    }
    split_triangle<T>(stack.finish(run), R, C, squares);
  }

  [[nodiscard]] bool sample_gram(Index count, MatrixView<double> G, const RunOptions& run) override {
    const Index n = this->rows(), d = this->cols();
    const Array<T> sample(checked_product(count, d));
    for (Index k = 0; k < count; ++k) {
      const Index row = k * (n / count) + k * (n % count) / count;
      T factor = 1;
      source_.weigh(row, row + 1, &factor);
      source_.copy(row, row + 1, 0, d, &factor, sample.data() + k * d);
    }
    nearlinear::gram<T, double>({sample.data(), count, d}, G, run);
    return true;
  }

  [[nodiscard]] Magnitude magnitude(const RunOptions& run) override {
    const Index width = this->cols() + this->rhs();
    constexpr Index rows_at_once = 1024;
    const Array<T> tile(rows_at_once * width), factors(rows_at_once);
    std::fill(factors.begin(), factors.end(), T{1});
    Monitor monitor(run.keep_going);
    Magnitude largest;
    for (Index begin = 0; begin < this->rows(); begin += rows_at_once) {
      monitor.poll(0);
      const Index end = std::min(this->rows(), begin + rows_at_once);
      source_.copy(begin, end, 0, width, factors.data(), tile.data());
      for (Index i = begin; i < end; ++i)
        for (Index j = 0; j < width; ++j) {
          const T entry = tile[(i - begin) * width + j];
          const bool is_of_a = j < this->cols();
          require(std::isfinite(entry), "lstsq: ", is_of_a ? "A" : "b", " has the entry ", entry, " at index (", i,
                  ", ", is_of_a ? j : j - this->cols(), "); all entries must be finite");
          double& so_far = is_of_a ? largest.a : largest.b;
          so_far = std::max(so_far, std::abs(static_cast<double>(entry)));
        }
    }
    return largest;
  }

 private:
  static void factor(MatrixView<const T> A, MatrixView<const T> B, MatrixView<double> R, MatrixView<double> C,
                     const RunOptions& run) {
    if constexpr (std::is_same_v<T, double>) {
      qr_multiply<double>(A, B, R, C, QrMethod::automatic, run);
    } else {
      const Index d = A.cols(), p = B.cols();
      const Array<T> r(d * d), c(d * p);
      qr_multiply<T>(A, B, {r.data(), d, d}, {c.data(), d, p}, QrMethod::automatic, run);
      std::copy(r.begin(), r.end(), R.data());
      std::copy(c.begin(), c.end(), C.data());
    }
  }

  /// Rows of [A B], with their weights, without gaps.
  void copy_rows(Index begin, Index end, T* to, const RunOptions& run) const {
    const Index width = source_.width();
    constexpr Index block = 1024;
    const Index blocks = ceil_divide(end - begin, block);
    Monitor monitor(run.keep_going);
    parallel_for(blocks, thread_count(run.n_threads, (end - begin) * width), monitor, [&](Index b) {
      const Index first = begin + b * block, last = std::min(end, first + block);
      const Array<T> factors(block);
      std::fill(factors.begin(), factors.end(), T{1});
      source_.weigh(first, last, factors.data());
      source_.copy(first, last, 0, width, factors.data(), to + (first - begin) * width);
    });
  }

  [[nodiscard]] double rate(Index vectors) const {
    return vectors <= 1 ? linalg::memory_rate : linalg::reflection_rate;
  }

  /// total <- the sum of what body(block, sum, scratch) adds to `size` numbers for blocks of some `bytes`; a row takes
  /// `operations`.
  template <class Body>
  void sum_blocks(Index bytes, Index operations, Index size, double rate, double* total, const RunOptions& run,
                  const Body& body) const {
    const Index n = this->rows(), d = this->cols(), width = source_.width();
    const Index wanted = bytes / std::max<Index>(1, d * Index{sizeof(T)}) / 8 * 8;
    const Index block = std::clamp<Index>(wanted, bytes == product_bytes ? 256 : 32, 4096);
    const Index groups = linalg::group_count(n, block, size * Index{sizeof(double)});
    const int threads = linalg::threads_at(rate, run.n_threads, n, operations);
    Monitor monitor(run.keep_going);
    if (size == 0) return;
    const MatrixView<const T>* const plain = source_.plain();
    const MatrixView<const T> B = source_.B();
    linalg::sum_over_groups<double>(
        groups, size, threads, monitor, total, [&](Index group, double* sum, const linalg::Poll& poll) {
          const linalg::RowGroup rows(n, block, groups, group);
          Scratch<T> scratch;
          for (Index begin = rows.begin; begin < rows.end; begin += block) {
            poll(rows.fraction(begin));
            const Index end = std::min(rows.end, begin + block);
            if (plain != nullptr) {
              body(Block<T>{end - begin, d, plain->data() + begin * plain->row_stride(), plain->row_stride(),
                            B.data() + begin * B.row_stride(), B.row_stride()},
                   sum, scratch);
              continue;
            }
            T* const factors = scratch.factors(block);
            T* const tile = scratch.copy(block * width);
            std::fill_n(factors, end - begin, T{1});
            source_.weigh(begin, end, factors);
            source_.copy(begin, end, 0, width, factors, tile);
            body(Block<T>{end - begin, d, tile, width, tile + d, width}, sum, scratch);
          }
        });
  }

  const RowSource<T>& source_;
};

}  // namespace

template <class T>
std::unique_ptr<Passes<T>> passes_of(const RowSource<T>& rows) {
  return std::make_unique<RowPasses<T>>(rows);
}

template std::unique_ptr<Passes<float>> passes_of(const RowSource<float>&);
template std::unique_ptr<Passes<double>> passes_of(const RowSource<double>&);

}  // namespace nearlinear::sketch
