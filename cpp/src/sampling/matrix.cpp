#include "sampling/matrix.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/cholesky_kernels.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/scaling.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "sampling/kernels.hpp"
#include "sampling/parallel.hpp"

namespace nearlinear::sampling {
namespace {

constexpr Index tile_bytes = Index{1} << 18;  // of rows that are solved with and read again while they are in the cache

Index rows_of_tile(Index cols) {
  return std::clamp<Index>(tile_bytes / (Index{sizeof(double)} * std::max<Index>(1, cols)) / 8 * 8, 64, 4096);
}

double squared_norm(const double* row, Index size) {
  double value = 0;
  kernels().squared_norms(1, size, row, &value);
  return value;
}

void multiply(Index rows, Index cols, const double* tile, MatrixView<const double> M, double* product) {
  std::fill_n(product, rows * M.cols(), 0.0);
  linalg::gemm_kernel<double>()(rows, M.cols(), cols, 1.0, {tile, cols, 1}, {M.data(), M.row_stride(), 1}, product,
                                M.cols());
}

/// R^{-1} for an upper triangular R, by panels of columns: products with it do without what is zero below the diagonal.
template <class T>
class TriangularInverse {
 public:
  explicit TriangularInverse(const sketch::Square& R) : size_(R.size), entries_(R.size * R.size) {
    const sketch::Square inverse(size_);
    for (Index j = 0; j < size_; ++j) inverse(j, j) = 1;
    triangular_solve<double>(Triangle::upper, Transpose::no, R.view(), inverse.view(), {.n_threads = 1});
    std::transform(inverse.entries.begin(), inverse.entries.end(), entries_.begin(),
                   [](double entry) { return static_cast<T>(entry); });
  }

  /// product <- A R^{-1} for rows that lie `stride` apart.
  void multiply(Index rows, const T* a, Index stride, T* product) const {
    const auto gemm = linalg::gemm_kernel<T>();
    std::fill_n(product, rows * size_, T{0});
    for (Index begin = 0; begin < size_; begin += panel) {
      const Index end = std::min(size_, begin + panel);
      gemm(rows, end - begin, end, T{1}, {a, stride, 1}, {entries_.data() + begin, size_, 1}, product + begin, size_);
    }
  }

 private:
  static constexpr Index panel = 32;  // columns

  Index size_;
  Array<T> entries_;
};

/// Whether products with the inverse of R are as good as solving with R: up to some 1e-11.
bool has_good_inverse(const sketch::Square& R) {
  constexpr double most = 1e4;
  const Array<double> lengths(R.size);
  return sketch::estimate_condition(sketch::scale_columns(R, lengths.span()), {.n_threads = 1}).number() <= most;
}

/// What both kinds of matrices do by dense tiles.
class TiledMatrix : public Matrix {
 public:
  void squared_norms(const sketch::Preconditioner& P, std::span<double> values, const RunOptions& run) override {
    const Index d = cols(), k = P.rank();
    if (P.is_triangular() && has_good_inverse(P.R())) {
      const TriangularInverse<double> inverse(P.R());
      return for_rows(d * d, run, [&](Index begin, Index end, const double* rows, Index stride, Scratch& scratch) {
        double* const white = scratch.room(2, rows_of_tile(d) * d);
        inverse.multiply(end - begin, rows, stride, white);
        kernels().squared_norms(end - begin, d, white, &values[static_cast<std::size_t>(begin)]);
      });
    }
    for_tiles(d * k, std::max(d, k), run, [&](Index begin, Index end, double* tile, double* scratch) {
      const double* const white = whiten_tile(P, end - begin, tile, scratch);
      kernels().squared_norms(end - begin, k, white, &values[static_cast<std::size_t>(begin)]);
    });
  }

  void reweighted_gram(const sketch::Square* R, const Reweigh& reweigh, MatrixView<double> G,
                       const RunOptions& run) override {
    const Index n = rows(), d = cols(), block = rows_of_tile(d);
    const Index groups = linalg::group_count(n, block, d * d * Index{sizeof(double)});
    const int threads = linalg::threads_at(linalg::product_rate, run.n_threads, n, d, d);
    const Array<double> total(d * d);
    const auto syrk = linalg::syrk_kernel<float>();
    const std::optional<TriangularInverse<float>> inverse =
        R == nullptr ? std::nullopt : std::make_optional<TriangularInverse<float>>(*R);
    Monitor monitor(run.keep_going);
    linalg::sum_over_groups<double>(
        groups, d * d, threads, monitor, total.data(), [&](Index group, double* sum, const linalg::Poll& poll) {
          const linalg::RowGroup part(n, block, groups, group);
          const Array<float> rough(block * d), white(inverse ? block * d : 0), products(d * d);
          const Array<double> values(block);
          Scratch scratch;
          for (Index begin = part.begin; begin < part.end; begin += block) {
            poll(part.fraction(begin));
            const Index end = std::min(part.end, begin + block), count = end - begin;
            const auto [data, stride] = rows_at(begin, end, scratch);
            kernels().narrow_rows(count, d, data, stride, rough.data());
            std::fill_n(values.data(), count, 1.0);
            if (inverse) {
              inverse->multiply(count, rough.data(), d, white.data());
              kernels().rough_squared_norms(count, d, white.data(), values.data());
            }
            reweigh(begin, end, values.data());
            kernels().scale_rows(count, d, values.data(), rough.data());
            std::fill(products.begin(), products.end(), 0.0F);
            syrk(d, count, 1.0F, {rough.data(), 1, d}, products.data(), d);
            for (Index k = 0; k < d * d; ++k) sum[k] += static_cast<double>(products[k]);
          }
        });
    for (Index i = 0; i < d; ++i)
      for (Index j = 0; j <= i; ++j) G(i, j) = G(j, i) = total[i * d + j];
  }

  void projected_norms(MatrixView<const double> M, std::span<double> values, const RunOptions& run) override {
    for_tiles(2 * cols() * M.cols(), M.cols(), run, [&](Index begin, Index end, double* tile, double* scratch) {
      multiply(end - begin, cols(), tile, M, scratch);
      for (Index i = begin; i < end; ++i)
        values[static_cast<std::size_t>(i)] = squared_norm(scratch + (i - begin) * M.cols(), M.cols());
    });
  }

  void copy_row(Index i, double* to) const override {
    const double one = 1;
    copy_rows(i, i + 1, &one, to);
  }

 protected:
  using Matrix::Matrix;

  /// The matrix where its rows lie in memory as they are; else null.
  [[nodiscard]] virtual const MatrixView<const double>* plain() const { return nullptr; }

  struct RowsInMemory {
    const double* data;
    Index stride;
  };
  /// Rows as they lie, or a copy.
  [[nodiscard]] RowsInMemory rows_at(Index begin, Index end, Scratch& scratch) const {
    if (plain() != nullptr) return {plain()->data() + begin * plain()->row_stride(), plain()->row_stride()};
    const Index d = cols(), size = rows_of_tile(d);
    double* const tile = scratch.room(0, size * d);
    double* const ones = scratch.room(1, size);
    std::fill_n(ones, end - begin, 1.0);
    copy_rows(begin, end, ones, tile);
    return {tile, d};
  }

  /// body(begin, end, rows, stride, scratch), where rows are only read.
  template <class Body>
  void for_rows(Index operations, const RunOptions& run, const Body& body) const {
    for_blocks(rows(), rows_of_tile(cols()), linalg::product_rate, operations, run,
               [&](Index begin, Index end, Scratch& scratch) {
                 const RowsInMemory at = rows_at(begin, end, scratch);
                 body(begin, end, at.data, at.stride, scratch);
               });
  }

  template <class Body>
  void for_tiles(Index operations, Index scratch_cols, const RunOptions& run, const Body& body) const {
    const Index d = cols(), size = rows_of_tile(std::max(d, scratch_cols));
    for_blocks(rows(), size, linalg::product_rate, operations, run, [&](Index begin, Index end, Scratch& scratch) {
      double* const tile = scratch.room(0, size * d);
      double* const ones = scratch.room(1, size);
      std::fill_n(ones, end - begin, 1.0);
      copy_rows(begin, end, ones, tile);
      body(begin, end, tile, scratch.room(2, size * scratch_cols));
    });
  }
};

class DenseMatrix final : public TiledMatrix {
 public:
  DenseMatrix(MatrixView<const double> A, bool by_columns)
      : TiledMatrix(by_columns ? A.cols() : A.rows(), by_columns ? A.rows() : A.cols()),
        stored_(A),
        by_columns_(by_columns),
        source_(source({})),
        passes_(sketch::passes_of<double>(source_)) {}

  void weighted_gram(std::span<const double> roots, MatrixView<double> G, const RunOptions& run) override {
    sketch::DenseRows<double> weighted = source(roots);
    weighted.rescale(-exponent(), 0);
    sketch::passes_of<double>(weighted)->gram(G, {nullptr, cols(), 0}, {}, run);
  }

  [[nodiscard]] sketch::Passes<double>& passes() override { return *passes_; }

  void copy_rows(Index begin, Index end, const double* factors, double* to) const override {
    source_.copy(begin, end, 0, cols(), factors, to);
  }

 protected:
  [[nodiscard]] double magnitude(const char* function, const RunOptions& run) override {
    const linalg::Scale scale = linalg::scale_of(stored_, run);
    if (!scale.is_finite) refuse(function);
    return std::ldexp(1.0, std::min(scale.exponent, 1023));
  }

  void rescale(int exponent) override { source_.rescale(-exponent, 0); }
  [[nodiscard]] const MatrixView<const double>* plain() const override { return source_.plain(); }

 private:
  [[nodiscard]] sketch::DenseRows<double> source(std::span<const double> roots) const {
    const MatrixView<const double> nothing(nullptr, rows(), 0);
    return by_columns_ ? sketch::DenseRows<double>::transposed(stored_, nothing, roots)
                       : sketch::DenseRows<double>(stored_, nothing, roots);
  }

  [[noreturn]] void refuse(const char* function) const {
    for (Index i = 0; i < rows(); ++i)
      for (Index j = 0; j < cols(); ++j) {
        const double entry = by_columns_ ? stored_(j, i) : stored_(i, j);
        require(std::isfinite(entry), function, ": A has the entry ", entry, " at index (", i, ", ", j,
                "); all entries must be finite");
      }
    throw std::invalid_argument(std::string(function) + ": A changed while it was read");
  }

  MatrixView<const double> stored_;
  bool by_columns_;
  sketch::DenseRows<double> source_;
  std::unique_ptr<sketch::Passes<double>> passes_;
};

template <class I>
class SparseMatrix final : public TiledMatrix {
 public:
  explicit SparseMatrix(const CsrView<double, I>& A)
      : TiledMatrix(A.rows, A.cols), matrix_(A), nothing_(nullptr, A.rows, 0) {
    restart(A);
  }

  void weighted_gram(std::span<const double> roots, MatrixView<double> G, const RunOptions& run) override {
    if (roots.empty()) return passes_->gram(G, {nullptr, cols(), 0}, {}, run);
    const Array<double> data(std::max<Index>(1, matrix_.nnz()));
    for (Index i = 0; i < rows(); ++i)
      for (I k = begin(i); k < begin(i + 1); ++k) data[k] = value(k) * roots[static_cast<std::size_t>(i)];
    const sketch::CsrRows<double, I> weighted(
        {matrix_.rows, matrix_.cols, matrix_.indptr, matrix_.indices, data.span()}, nothing_);
    sketch::passes_of<double, I>(weighted)->gram(G, {nullptr, cols(), 0}, {}, run);
  }

  [[nodiscard]] sketch::Passes<double>& passes() override { return *passes_; }

  /// Rows with few entries by rows of P, which take no time for zeros.
  void squared_norms(const sketch::Preconditioner& P, std::span<double> values, const RunOptions& run) override {
    if (8 * matrix_.nnz() > rows() * cols()) return TiledMatrix::squared_norms(P, values, run);
    const Index d = cols(), k = P.rank();
    const Array<double> inverse(checked_product(d, k));
    const sketch::Square unit(k);
    for (Index j = 0; j < k; ++j) unit(j, j) = 1;
    P.apply(unit.view(), {inverse.data(), d, k}, run);
    projected_norms({inverse.data(), d, k}, values, run);
  }

  void projected_norms(MatrixView<const double> M, std::span<double> values, const RunOptions& run) override {
    if (8 * matrix_.nnz() > rows() * cols()) return TiledMatrix::projected_norms(M, values, run);
    constexpr Index block = 1024;
    const Index k = M.cols(), per_row = 1 + matrix_.nnz() / std::max<Index>(1, rows());
    for_blocks(rows(), block, linalg::memory_rate, per_row * k, run, [&](Index first, Index last, Scratch& scratch) {
      double* const sum = scratch.room(0, k);
      for (Index i = first; i < last; ++i) {
        std::fill_n(sum, k, 0.0);
        for (I e = begin(i); e < begin(i + 1); ++e) {
          const double* const row = &M(column(e), 0);
          const double factor = value(e);
          for (Index j = 0; j < k; ++j) sum[j] += factor * row[j];
        }
        values[static_cast<std::size_t>(i)] = squared_norm(sum, k);
      }
    });
  }

  void copy_rows(Index begin, Index end, const double* factors, double* to) const override {
    source_->copy(begin, end, 0, cols(), factors, to);
  }

 protected:
  [[nodiscard]] double magnitude(const char* function, const RunOptions&) override {
    double largest = 0;
    for (Index i = 0; i < rows(); ++i)
      for (I k = begin(i); k < begin(i + 1); ++k) {
        require(std::isfinite(value(k)), function, ": A has the entry ", value(k), " at index (", i, ", ", column(k),
                "); all entries must be finite");
        largest = std::max(largest, std::abs(value(k)));
      }
    return largest;
  }

  void rescale(int exponent) override {
    scaled_ = Array<double>(std::max<Index>(1, matrix_.nnz()));
    for (Index k = 0; k < matrix_.nnz(); ++k)
      scaled_[k] = std::ldexp(matrix_.data[static_cast<std::size_t>(k)], -exponent);
    restart({matrix_.rows, matrix_.cols, matrix_.indptr, matrix_.indices, scaled_.span()});
  }

 private:
  void restart(const CsrView<double, I>& matrix) {
    matrix_ = matrix;
    source_ = std::make_unique<sketch::CsrRows<double, I>>(matrix_, nothing_);
    passes_ = sketch::passes_of<double, I>(*source_);
  }

  [[nodiscard]] I begin(Index i) const { return matrix_.indptr[static_cast<std::size_t>(i)]; }
  [[nodiscard]] Index column(I k) const { return static_cast<Index>(matrix_.indices[static_cast<std::size_t>(k)]); }
  [[nodiscard]] double value(I k) const { return matrix_.data[static_cast<std::size_t>(k)]; }

  CsrView<double, I> matrix_;
  MatrixView<const double> nothing_;
  Array<double> scaled_;
  std::unique_ptr<sketch::CsrRows<double, I>> source_;
  std::unique_ptr<sketch::Passes<double>> passes_;
};

void require_size(Index rows, Index cols, const char* function) {
  require(rows > 0 && cols > 0, function, ": A is ", Shape{rows, cols}, "; it must have rows and columns");
}

struct MatrixOf {
  const char* function;

  std::unique_ptr<Matrix> operator()(const MatrixView<const double>& A) const {
    require_valid_view(A, function, "A");
    require_size(A.rows(), A.cols(), function);
    return std::make_unique<DenseMatrix>(A, false);
  }
  std::unique_ptr<Matrix> operator()(const TransposedView& A) const {
    require_valid_view(A.matrix, function, "A");
    require_size(A.matrix.cols(), A.matrix.rows(), function);
    return std::make_unique<DenseMatrix>(A.matrix, true);
  }
  template <class I>
  std::unique_ptr<Matrix> operator()(const CsrView<double, I>& A) const {
    (void)require_valid_csr(A, function, "A");
    require_size(A.rows, A.cols, function);
    return std::make_unique<SparseMatrix<I>>(A);
  }
};

}  // namespace

std::unique_ptr<Matrix> matrix_of(const StoredMatrix& A, const char* function) {
  return std::visit(MatrixOf{function}, A);
}

bool Matrix::fit_scale(double trace, const char* function, const RunOptions& run) {
  constexpr double least = 1e-200, most = 1e200;
  if (exponent_ != 0 || (trace > least && trace < most)) return false;
  const double largest = magnitude(function, run);
  if (largest == 0 || (largest > 1e-90 && largest < 1e90)) return false;
  std::frexp(largest, &exponent_);
  rescale(exponent_);
  return true;
}

double* whiten_tile(const sketch::Preconditioner& P, Index rows, double* tile, double* scratch) {
  const Index d = P.cols();
  if (!P.is_triangular()) {
    multiply(rows, d, tile, {P.P().data(), d, P.rank()}, scratch);
    return scratch;
  }
  const linalg::Triangular<double> R{{P.R().entries.data(), d, 1}, d, false};
  linalg::solve_on_this_thread(R, true, MatrixView<double>(tile, rows, d));
  return tile;
}

void Matrix::whiten(const sketch::Preconditioner& P, MatrixView<double> T, const RunOptions& run) const {
  const Index d = cols(), k = P.rank(), size = rows_of_tile(d);
  for_blocks(rows(), size, linalg::product_rate, d * k, run, [&](Index begin, Index end, Scratch& scratch) {
    double* const tile = scratch.room(0, size * d);
    double* const ones = scratch.room(1, size);
    std::fill_n(ones, end - begin, 1.0);
    copy_rows(begin, end, ones, tile);
    const double* const white = whiten_tile(P, end - begin, tile, scratch.room(2, size * k));
    for (Index j = 0; j < k; ++j)
      for (Index i = begin; i < end; ++i) T(j, i) = white[(i - begin) * k + j];
  });
}

}  // namespace nearlinear::sampling
