#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "linalg/progress.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/linalg/qr.hpp"
#include "nearlinear/linalg/spectral.hpp"
#include "nearlinear/sampling/scores.hpp"
#include "nearlinear/sketch/sketch.hpp"
#include "sampling/whitening.hpp"

namespace nearlinear {
namespace {

using sampling::Matrix;
using sampling::Whitening;

constexpr const char* caller = "leverage_scores";
constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr Index rows_per_column = 12, further_rows = 128;  // of the sketch
constexpr Index projected_columns = 96;                    // of a_i R^{-1}

/// Rounding may take a score out of its range.
void clip(std::span<double> scores) {
  for (double& score : scores) score = std::clamp(score, 0.0, 1.0);
}

LeverageResult exact_scores(Matrix& A, std::span<double> scores, const LeverageOptions& options,
                            const RunOptions& run) {
  linalg::Progress progress(run);
  const Whitening white = whiten(A, {.ridge = options.ridge, .rcond = options.rcond}, caller, progress.part(0, 0.6));
  A.squared_norms(white.P, scores, progress.part(0.6, 1));
  clip(scores);
  return {white.rank, white.condition};
}

/// The wide matrix A is R^T Q^T, and R^T = U diag(s) V^T: scores are those of the rows of U. Rows are brought to one
/// length first, so that the rank does not depend on their scales; their lengths are put back into U.
LeverageResult wide_scores(Matrix& A, std::span<double> scores, const LeverageOptions& options, const RunOptions& run) {
  const Index n = A.rows(), d = A.cols();
  linalg::Progress progress(run);
  double trace = 0;
  std::vector<Index> zeros;  // rows, whose scores rounding would not leave at 0
  const Array<double> columns(checked_product(d, n)), row(d), lengths(n), r(n * n), transposed(n * n), u(n * n), s(n),
      v(n * n);
  const auto read = [&] {
    trace = 0;
    for (Index i = 0; i < n; ++i) {
      A.copy_row(i, row.data());
      for (Index j = 0; j < d; ++j) columns[j * n + i] = row[j];
      for (const double entry : row) trace += entry * entry;
    }
  };
  read();
  if (A.fit_scale(trace, caller, progress.part(0, 0))) read();
  const double ridge = std::ldexp(options.ridge, -2 * A.exponent());
  const bool keeps_scale = ridge > 0 || options.rcond;
  for (Index i = 0; i < n; ++i) {
    double squares = 0;
    for (Index j = 0; j < d; ++j) squares += columns[j * n + i] * columns[j * n + i];
    if (squares == 0) zeros.push_back(i);
    lengths[i] = keeps_scale || squares == 0 ? 1 : std::sqrt(squares);
    for (Index j = 0; j < d; ++j) columns[j * n + i] /= lengths[i];
  }
  qr<double>({columns.data(), d, n}, {r.data(), n, n}, QrMethod::automatic, progress.part(0, 0.5));
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) transposed[i * n + j] = r[j * n + i];
  const bool converged = svd<double>({transposed.data(), n, n}, {u.data(), n, n}, s.span(), {v.data(), n, n},
                                     SvdMethod::divide_and_conquer, progress.part(0.5, 0.9));
  require(converged, caller, ": the singular values of A could not be found; is it scaled strangely?");
  const double least = options.rcond.value_or(15 * eps) * s[0];
  Index rank = 0;
  while (rank < n && s[rank] > least && s[rank] > 0) ++rank;
  const double condition = rank > 0 ? s[0] / s[rank - 1] : 1;
  if (rank == n && ridge == 0) {
    std::fill(scores.begin(), scores.end(), 1.0);
    return {rank, condition};
  }
  if (rank == 0) {
    std::fill(scores.begin(), scores.end(), 0.0);
    return {0, 1};
  }
  if (!keeps_scale) {
    const Array<double> basis(n * rank);
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < rank; ++k) basis[i * rank + k] = lengths[i] * u[i * n + k];
    const auto tall = sampling::matrix_of(MatrixView<const double>(basis.data(), n, rank), caller);
    (void)exact_scores(*tall, scores, {}, progress.part(0.9, 1));
    for (const Index i : zeros) scores[static_cast<std::size_t>(i)] = 0;
    return {rank, condition};
  }
  for (Index i = 0; i < n; ++i) {
    double sum = 0;
    for (Index k = 0; k < rank; ++k) sum += u[i * n + k] * u[i * n + k] * (s[k] * s[k] / (s[k] * s[k] + ridge));
    scores[static_cast<std::size_t>(i)] = sum;
  }
  for (const Index i : zeros) scores[static_cast<std::size_t>(i)] = 0;
  clip(scores);
  return {rank, condition};
}

/// R of a sketch, and a_i R^{-1} or random projections of it.
LeverageResult sketched_scores(Matrix& A, std::span<double> scores, const LeverageOptions& options,
                               const RunOptions& run) {
  const Index d = A.cols(), m = rows_per_column * d + further_rows;
  linalg::Progress progress(run);
  const SketchKind kind = A.passes().is_sparse() ? SketchKind::sjlt : SketchKind::block_hadamard;
  const SketchSpec spec = sketch_for(A.rows(), d, kind, m, options.seed);
  const Array<double> sa(checked_product(m, d));
  const MatrixView<double> SA(sa.data(), m, d);
  const auto pass = [&](double begin, double end) {
    A.passes().sketch(spec, SA, progress.part(begin, end));
    double trace = 0;
    for (const double entry : sa) trace += entry * entry;
    return trace;
  };
  if (A.fit_scale(pass(0, 0.3), caller, progress.part(0.3, 0.3))) (void)pass(0.3, 0.5);
  const double ridge = std::ldexp(options.ridge, -2 * A.exponent());
  const auto shortened = sampling::matrix_of(MatrixView<const double>(SA), caller);
  const Whitening white =
      whiten(*shortened, {.ridge = ridge, .rcond = options.rcond, .accuracy = 1e-3}, caller, progress.part(0.5, 0.6));
  const Index k = white.rank;
  if (k <= 2 * projected_columns) {
    A.squared_norms(white.P, scores, progress.part(0.6, 1));
  } else {
    const RandomStream normal(options.seed, std::uint64_t{0x6a6c} << 32);
    const Array<double> gaussian(k * projected_columns), projection(d * projected_columns);
    const double scale = 1 / std::sqrt(static_cast<double>(projected_columns));
    for (Index i = 0; i < gaussian.size(); ++i) gaussian[i] = scale * normal.normal(static_cast<std::uint64_t>(i));
    white.P.apply({gaussian.data(), k, projected_columns}, {projection.data(), d, projected_columns},
                  progress.part(0.6, 0.7));
    A.projected_norms({projection.data(), d, projected_columns}, scores, progress.part(0.7, 1));
  }
  clip(scores);
  return {white.rank, white.condition};
}

}  // namespace

LeverageResult leverage_scores(const StoredMatrix& A, std::span<double> scores, const LeverageOptions& options,
                               const RunOptions& run) {
  const auto matrix = sampling::matrix_of(A, caller);
  const Index n = matrix->rows(), d = matrix->cols();
  require(std::ssize(scores) == n, caller, ": scores has ", scores.size(), " entries and A has ", n, " rows");
  require(options.ridge >= 0 && std::isfinite(options.ridge), caller, ": ridge is ", options.ridge,
          "; it must be finite and not negative");
  require(!options.rcond || (*options.rcond >= 0 && *options.rcond < 1), caller, ": rcond is ",
          options.rcond.value_or(0), "; it must be at least 0 and below 1");
  if (n < d) return wide_scores(*matrix, scores, options, run);
  constexpr Index shortened = 4;  // by less, a sketch does not pay
  if (options.method == LeverageMethod::sketch && n / shortened >= rows_per_column * d + further_rows)
    return sketched_scores(*matrix, scores, options, run);
  return exact_scores(*matrix, scores, options, run);
}

}  // namespace nearlinear
