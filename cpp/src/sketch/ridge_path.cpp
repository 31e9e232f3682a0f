// With A = U diag(s) V^T by way of R, and Z = A V:
//
//     x = V y,  y_k = s_k (U^T b)_k / (s_k^2 + lambda),    h_i = sum_k Z_ik^2 / (s_k^2 + lambda),    a_i^T x = (Z y)_i.
#include "nearlinear/sketch/ridge_path.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/progress.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"
#include "sketch/passes.hpp"

namespace nearlinear {
namespace sketch {
namespace {

/// Factors that turn Z and Z^2 into predictions and leverages.
class Path {
 public:
  template <class T>
  Path(Passes<T>& passes, std::span<const double> ridges, linalg::Progress& progress)
      : d(passes.cols()),
        p(passes.rhs()),
        count(std::ssize(ridges)),
        V(d),
        predictors(d * count * p),
        leverages(d * count),
        freedom(Array<double>::zeros(count)) {
    for (Index l = 0; l < count; ++l)
      require(ridges[static_cast<std::size_t>(l)] >= 0 && std::isfinite(ridges[static_cast<std::size_t>(l)]),
              "ridge_path: ridges has the entry ", ridges[static_cast<std::size_t>(l)], " at index ", l,
              "; it must be finite and not negative");
    const Square R(d);
    const Array<double> c(d * p), squares(p);
    passes.qr(R.view(), {c.data(), d, p}, squares.span(), progress.part(0, 0.5));
    if (!is_finite(R.entries.span()) || !is_finite(c.span())) {
      (void)passes.magnitude(progress.part(0.5, 0.5));
      require(false, "ridge_path: A or b has entries so large that norms of its columns overflow");
    }
    Decomposition parts = decompose(R, {c.data(), d, p}, progress.part(0.5, 0.6));
    V = std::move(parts.V);
    constexpr double dropped = 15 * static_cast<double>(std::numeric_limits<T>::epsilon());
    for (Index k = 0; k < d; ++k) {
      const double s = parts.s[k] > dropped * parts.s[0] ? parts.s[k] : 0;
      for (Index l = 0; l < count; ++l) {
        const double square = s * s + ridges[static_cast<std::size_t>(l)];
        const double inverse = s > 0 ? 1 / square : 0;
        leverages[k * count + l] = inverse;
        freedom[l] += s * s * inverse;
        for (Index e = 0; e < p; ++e) predictors[(k * count + l) * p + e] = s * inverse * c[k * p + e];
      }
    }
  }

  /// Calls body(row, predictions, leverages, b) for every row, predictions being count x p; `worker` sums are added in
  /// the order of groups of rows.
  template <class T, class Body>
  void for_rows(const RowSource<T>& source, Index sums, double* total, linalg::Progress& progress,
                const RunOptions& run, const Body& body) const {
    const Index n = source.rows(), width = source.width(), outputs = count * (p + 1);
    constexpr Index block_entries = Index{1} << 16;
    const Index block = std::clamp<Index>(block_entries / std::max<Index>(1, d), 32, 1024);
    const Index groups = linalg::group_count(n, block, sums * Index{sizeof(double)});
    const int threads = linalg::threads_at(linalg::product_rate, run.n_threads, 2 * n, d, d + outputs);
    const RunOptions part = progress.part(0.6, 1);
    Monitor monitor(part.keep_going);
    const auto gemm = linalg::gemm_kernel<double>();
    linalg::sum_over_groups<double>(
        groups, sums, threads, monitor, total, [&](Index group, double* sum, const linalg::Poll& poll) {
          const linalg::RowGroup rows(n, block, groups, group);
          const Array<T> tile(block * width), factors(block);
          const Array<double> a(block * d), z(block * d), predicted(block * count * p), leverage(block * count);
          for (Index begin = rows.begin; begin < rows.end; begin += block) {
            poll(rows.fraction(begin));
            const Index end = std::min(rows.end, begin + block), size = end - begin;
            std::fill_n(factors.data(), size, T{1});
            source.weigh(begin, end, factors.data());
            source.copy(begin, end, 0, width, factors.data(), tile.data());
            for (Index i = 0; i < size; ++i)
              for (Index j = 0; j < d; ++j) a[i * d + j] = static_cast<double>(tile[i * width + j]);
            std::fill_n(z.data(), size * d, 0.0);
            std::fill_n(predicted.data(), size * count * p, 0.0);
            std::fill_n(leverage.data(), size * count, 0.0);
            gemm(size, d, d, 1, {a.data(), d, 1}, {V.entries.data(), d, 1}, z.data(), d);
            gemm(size, count * p, d, 1, {z.data(), d, 1}, {predictors.data(), count * p, 1}, predicted.data(),
                 count * p);
            for (Index i = 0; i < size * d; ++i) z[i] *= z[i];
            gemm(size, count, d, 1, {z.data(), d, 1}, {leverages.data(), count, 1}, leverage.data(), count);
            for (Index i = 0; i < size; ++i)
              body(begin + i, predicted.data() + i * count * p, leverage.data() + i * count,
                   tile.data() + i * width + d, sum);
          }
        });
  }

  /// (b - a^T x) / (1 - h), of one row.
  static double left_out(double residual, double leverage) {
    constexpr double alone = 1e-12;  // what is left of 1 - h when the row alone decides a coefficient
    return 1 - leverage > alone ? residual / (1 - leverage) : std::numeric_limits<double>::infinity();
  }

  Index d, p, count;
  Square V;
  Array<double> predictors, leverages;
  Array<double> freedom;
};

template <class T>
RidgePath path_of(const RowSource<T>& source, Passes<T>& passes, std::span<const double> ridges,
                  const RunOptions& run) {
  linalg::Progress progress(run);
  const Index d = passes.cols(), p = passes.rhs(), count = std::ssize(ridges);
  Path path(passes, ridges, progress);
  RidgePath result{.ridges = count, .cols = d, .rhs = p};
  result.x = Array<double>(checked_product(count, checked_product(d, p)));
  for (Index l = 0; l < count; ++l)
    for (Index i = 0; i < d; ++i)
      for (Index c = 0; c < p; ++c) {
        double sum = 0;
        for (Index k = 0; k < d; ++k) sum += path.V(i, k) * path.predictors[(k * count + l) * p + c];
        result.x[(l * d + i) * p + c] = sum;
      }
  const Array<double> sums(2 * count * p);
  path.for_rows<T>(source, 2 * count * p, sums.data(), progress, run,
                   [&](Index, const double* predicted, const double* leverage, const T* b, double* sum) {
                     for (Index l = 0; l < count; ++l)
                       for (Index c = 0; c < p; ++c) {
                         const double residual = static_cast<double>(b[c]) - predicted[l * p + c];
                         const double left_out = Path::left_out(residual, leverage[l]);
                         sum[2 * (l * p + c)] += residual * residual;
                         sum[2 * (l * p + c) + 1] += left_out * left_out;
                       }
                   });
  result.residual_norm = Array<double>(count * p);
  result.loo_error = Array<double>(count * p);
  for (Index i = 0; i < count * p; ++i) {
    result.residual_norm[i] = std::sqrt(sums[2 * i]);
    result.loo_error[i] = sums[2 * i + 1] / static_cast<double>(passes.rows());
  }
  result.degrees_of_freedom = std::move(path.freedom);
  return result;
}

template <class T>
void left_out_rows(const RowSource<T>& source, Passes<T>& passes, double ridge, MatrixView<double> residuals,
                   const RunOptions& run) {
  require(residuals.rows() == passes.rows() && residuals.cols() == passes.rhs(), "leave_one_out: A is ",
          Shape{passes.rows(), passes.cols()}, " and residuals is ", shape(residuals),
          "; they must have as many rows, and residuals as many columns as B");
  linalg::Progress progress(run);
  const Path path(passes, {&ridge, 1}, progress);
  const Index p = passes.rhs();
  double nothing = 0;
  path.for_rows<T>(source, 1, &nothing, progress, run,
                   [&](Index i, const double* predicted, const double* leverage, const T* b, double*) {
                     for (Index c = 0; c < p; ++c)
                       residuals(i, c) = Path::left_out(static_cast<double>(b[c]) - predicted[c], leverage[0]);
                   });
}

template <class T>
DenseRows<T> checked_rows(MatrixView<const T> A, Transpose op_A, MatrixView<const T> B,
                          std::span<const T> root_weights) {
  require_valid_view(A, "ridge_path", "A");
  require_valid_view(B, "ridge_path", "B");
  const bool is_transposed = op_A == Transpose::yes;
  const Index n = is_transposed ? A.cols() : A.rows(), d = is_transposed ? A.rows() : A.cols();
  require(n >= 1 && d >= 1 && B.rows() == n && B.cols() >= 1, "ridge_path: A is ", Shape{n, d}, " and B is ", shape(B),
          "; they must have as many rows and columns, at least one");
  require(root_weights.empty() || std::ssize(root_weights) == n, "ridge_path: A has ", n, " rows and there are ",
          std::ssize(root_weights), " weights");
  return is_transposed ? DenseRows<T>::transposed(A, B, root_weights) : DenseRows<T>(A, B, root_weights);
}

template <class T, class I>
CsrRows<T, I> checked_rows(const CsrView<T, I>& A, MatrixView<const T> B, const RunOptions& run) {
  (void)require_valid_csr(A, "ridge_path", "A", run);
  require_valid_view(B, "ridge_path", "B");
  require(A.rows >= 1 && A.cols >= 1 && B.rows() == A.rows && B.cols() >= 1, "ridge_path: A is ", Shape{A.rows, A.cols},
          " and B is ", shape(B), "; they must have as many rows and columns, at least one");
  return CsrRows<T, I>(A, B);
}

}  // namespace
}  // namespace sketch

template <class T>
RidgePath ridge_path(MatrixView<const T> A, Transpose op_A, MatrixView<const T> B, std::span<const T> root_weights,
                     std::span<const double> ridges, const RunOptions& run) {
  const auto rows = sketch::checked_rows(A, op_A, B, root_weights);
  const sketch::RowSource<T>& source = rows;
  return sketch::path_of<T>(source, *sketch::passes_of<T>(source), ridges, run);
}

template <class T, class I>
RidgePath ridge_path(const CsrView<T, I>& A, MatrixView<const T> B, std::span<const double> ridges,
                     const RunOptions& run) {
  const auto rows = sketch::checked_rows(A, B, run);
  return sketch::path_of<T>(rows, *sketch::passes_of<T, I>(rows), ridges, run);
}

template <class T>
void leave_one_out(MatrixView<const T> A, Transpose op_A, MatrixView<const T> B, std::span<const T> root_weights,
                   double ridge, MatrixView<double> residuals, const RunOptions& run) {
  const auto rows = sketch::checked_rows(A, op_A, B, root_weights);
  const sketch::RowSource<T>& source = rows;
  sketch::left_out_rows<T>(source, *sketch::passes_of<T>(source), ridge, residuals, run);
}

template <class T, class I>
void leave_one_out(const CsrView<T, I>& A, MatrixView<const T> B, double ridge, MatrixView<double> residuals,
                   const RunOptions& run) {
  const auto rows = sketch::checked_rows(A, B, run);
  sketch::left_out_rows<T>(rows, *sketch::passes_of<T, I>(rows), ridge, residuals, run);
}

#define NEARLINEAR_INSTANTIATE_SPARSE(T, I)                                                         \
  template RidgePath ridge_path(const CsrView<T, I>&, MatrixView<const T>, std::span<const double>, \
                                const RunOptions&);                                                 \
  template void leave_one_out(const CsrView<T, I>&, MatrixView<const T>, double, MatrixView<double>, const RunOptions&);
#define NEARLINEAR_INSTANTIATE(T)                                                                              \
  NEARLINEAR_INSTANTIATE_SPARSE(T, std::int32_t)                                                               \
  NEARLINEAR_INSTANTIATE_SPARSE(T, std::int64_t)                                                               \
  template RidgePath ridge_path(MatrixView<const T>, Transpose, MatrixView<const T>, std::span<const T>,       \
                                std::span<const double>, const RunOptions&);                                   \
  template void leave_one_out(MatrixView<const T>, Transpose, MatrixView<const T>, std::span<const T>, double, \
                              MatrixView<double>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE
#undef NEARLINEAR_INSTANTIATE_SPARSE

}  // namespace nearlinear
