#include "sampling/matrix.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/cholesky_kernels.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/scaling.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "sampling/parallel.hpp"

namespace nearlinear::sampling {
namespace {

constexpr Index tile_bytes = Index{1} << 18;  // of rows that are solved with and read again while they are in the cache

Index rows_of_tile(Index cols) {
  return std::clamp<Index>(tile_bytes / (Index{sizeof(double)} * std::max<Index>(1, cols)) / 8 * 8, 64, 4096);
}

template <class T>
double squared_norm(const T* row, Index size) {
  constexpr Index lanes = 8;
  double sums[lanes] = {};
  const auto square = [row](Index j) { return static_cast<double>(row[j]) * static_cast<double>(row[j]); };
  Index j = 0;
  for (; j + lanes <= size; j += lanes)
    for (Index lane = 0; lane < lanes; ++lane) sums[lane] += square(j + lane);
  for (Index lane = 0; j < size; ++j, ++lane) sums[lane] += square(j);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

float as_float(double entry) { return static_cast<float>(entry); }

void multiply(Index rows, Index cols, const double* tile, MatrixView<const double> M, double* product) {
  std::fill_n(product, rows * M.cols(), 0.0);
  linalg::gemm_kernel<double>()(rows, M.cols(), cols, 1.0, {tile, cols, 1}, {M.data(), M.row_stride(), 1}, product,
                                M.cols());
}

/// What both kinds of matrices do by dense tiles.
class TiledMatrix : public Matrix {
 public:
  void squared_norms(const sketch::Preconditioner& P, std::span<double> values, const RunOptions& run) override {
    const Index k = P.rank();
    for_tiles(cols() * k, std::max(cols(), k), run, [&](Index begin, Index end, double* tile, double* scratch) {
      const double* const white = whiten_tile(P, end - begin, tile, scratch);
      for (Index i = begin; i < end; ++i)
        values[static_cast<std::size_t>(i)] = squared_norm(white + (i - begin) * k, k);
    });
  }

  void rough_weighted_gram(std::span<const double> roots, MatrixView<double> G, const RunOptions& run) override {
    const Index n = rows(), d = cols(), block = rows_of_tile(d);
    const Index groups = linalg::group_count(n, block, d * d * Index{sizeof(double)});
    const int threads = linalg::threads_at(linalg::product_rate, run.n_threads, n, d, d);
    const Array<double> total(d * d);
    const auto syrk = linalg::syrk_kernel<float>();
    Monitor monitor(run.keep_going);
    linalg::sum_over_groups<double>(groups, d * d, threads, monitor, total.data(),
                                    [&](Index group, double* sum, const linalg::Poll& poll) {
                                      const linalg::RowGroup part(n, block, groups, group);
                                      const Array<double> tile(block * d);
                                      const Array<float> rough(block * d), products(d * d);
                                      for (Index begin = part.begin; begin < part.end; begin += block) {
                                        poll(part.fraction(begin));
                                        const Index end = std::min(part.end, begin + block), size = (end - begin) * d;
                                        copy_rows(begin, end, roots.data() + begin, tile.data());
                                        std::transform(tile.data(), tile.data() + size, rough.data(), as_float);
                                        std::fill(products.begin(), products.end(), 0.0F);
                                        syrk(d, end - begin, 1.0F, {rough.data(), 1, d}, products.data(), d);
                                        for (Index k = 0; k < d * d; ++k) sum[k] += static_cast<double>(products[k]);
                                      }
                                    });
    for (Index i = 0; i < d; ++i)
      for (Index j = 0; j <= i; ++j) G(i, j) = G(j, i) = total[i * d + j];
  }

  void rough_squared_norms(const sketch::Preconditioner& P, std::span<double> values, const RunOptions& run) override {
    const Index d = cols();
    const Array<float> factor(d * d);
    std::transform(P.R().entries.begin(), P.R().entries.end(), factor.begin(), as_float);
    const linalg::Triangular<float> R{{factor.data(), d, 1}, d, false};
    for_tiles(d * d / 2, 0, run, [&](Index begin, Index end, const double* tile, double*) {
      const Index size = (end - begin) * d;
      const Array<float> rough(size);
      std::transform(tile, tile + size, rough.data(), as_float);
      linalg::solve_on_this_thread(R, true, MatrixView<float>(rough.data(), end - begin, d));
      for (Index i = 0; i < end - begin; ++i)
        values[static_cast<std::size_t>(begin + i)] = squared_norm(&rough[i * d], d);
    });
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
