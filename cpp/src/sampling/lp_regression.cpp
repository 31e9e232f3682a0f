#include <algorithm>
#include <cmath>
#include <vector>

#include "linalg/progress.hpp"
#include "nearlinear/linalg/elementwise.hpp"
#include "nearlinear/sampling/regression.hpp"
#include "sampling/lewis_iteration.hpp"
#include "sampling/rows_in_white.hpp"

namespace nearlinear {
namespace {

constexpr const char* caller = "lp_regression";

/// Rows of A and entries of b with positive weights, each times weight^{1/p}, so that no weights are left.
struct WeightedRows {
  Array<double> A;
  Array<double> b;
  Index rows = 0;
};

WeightedRows weighted(const sampling::Matrix& A, std::span<const double> b, double p, std::span<const double> weights) {
  const Index n = A.rows(), d = A.cols();
  WeightedRows result{Array<double>(checked_product(n, d)), Array<double>(n), 0};
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double weight = weights.empty() ? 1 : weights[at];
    require(std::isfinite(b[at]), caller, ": b has the entry ", b[at], " at index ", i, "; all entries must be finite");
    require(weight >= 0 && std::isfinite(weight), caller, ": weights has the entry ", weight, " at index ", i,
            "; weights must be finite and not negative");
    if (weight == 0) continue;
    const double root = weight == 1 ? 1 : std::pow(weight, 1 / p);
    A.copy_rows(i, i + 1, &root, result.A.data() + result.rows * d);
    result.b[result.rows] = root * b[at];
    ++result.rows;
  }
  return result;
}

}  // namespace

LpRegressionResult lp_regression(const StoredMatrix& A, std::span<const double> b, double p,
                                 std::span<const double> weights, std::span<double> x,
                                 const LpRegressionOptions& options, const RunOptions& run) {
  const auto matrix = sampling::matrix_of(A, caller);
  sampling::require_valid_p(p, caller);
  const Index n = matrix->rows(), d = matrix->cols();
  require(std::ssize(b) == n, caller, ": b has ", b.size(), " entries and A has ", n, " rows");
  require(weights.empty() || std::ssize(weights) == n, caller, ": weights has ", weights.size(), " entries and A has ",
          n, " rows");
  require(std::ssize(x) == d, caller, ": x has ", x.size(), " entries and A has ", d, " columns");
  require(options.tol >= 0, caller, ": tol is ", options.tol, "; it must not be negative");
  require(options.maxiter >= 1, caller, ": maxiter is ", options.maxiter, "; it must be at least 1");
  linalg::Progress progress(run);
  LpRegressionResult result;
  std::fill(x.begin(), x.end(), 0.0);
  const WeightedRows rows = weighted(*matrix, b, p, weights);
  require(rows.rows > 0, caller, ": all weights are 0");
  const Index m = rows.rows;
  double scale = 0;
  for (Index i = 0; i < m; ++i) scale = std::max(scale, std::abs(rows.b[i]));
  const auto small = sampling::matrix_of(MatrixView<const double>(rows.A.data(), m, d), caller);
  const sampling::Whitening white = sampling::whiten(*small, {}, caller, progress.part(0, 0.2));
  const Index r = white.rank;
  result.rank = r;
  if (scale == 0) return result;

  // In the coordinates of V = P^T A^T the least-squares solution is V b, and what it leaves of b is one more row of V,
  // whose coefficient is fixed: A x - b = V^T u + t z, t z = -(b - V^T V b).
  const Array<double> entries(checked_product(r + 1, m)), u(r + 1), correction(r + 1), product(m);
  const MatrixView<double> V(entries.data(), r, m), all(entries.data(), r + 1, m);
  small->whiten(white.P, V, progress.part(0.2, 0.3));
  double* const z = entries.data() + r * m;
  for (Index i = 0; i < m; ++i) z[i] = rows.b[i] / scale;
  std::fill(u.begin(), u.end(), 0.0);
  const auto& kernel = sampling::kernels();
  const double length_of_b = norm<double>({z, static_cast<std::size_t>(m)});
  constexpr int passes = 2;  // the second one for what rounding has left in the first
  for (int pass = 0; pass < passes && r > 0; ++pass) {
    kernel.reduce(m, sampling::columns(V), z, correction.data());
    kernel.combine(m, sampling::columns(V), correction.data(), product.data());
    for (Index k = 0; k < r; ++k) u[k] += correction[k];
    for (Index i = 0; i < m; ++i) z[i] -= product[i];
  }
  const double length = norm<double>({z, static_cast<std::size_t>(m)});
  constexpr double rounding = 1e-14;
  const Array<double> ones(m);
  std::fill(ones.begin(), ones.end(), 1.0);
  if (length > rounding * length_of_b) {
    for (Index i = 0; i < m; ++i) z[i] /= length;
    const sampling::LossFunction loss(RowLoss::lp, p);
    if (p == 2) {
      result.norm = length;
    } else {
      const sampling::RowProgram program(all, ones.span(), loss);
      const Array<double> c = Array<double>::zeros(r + 1);
      c[r] = 1;
      sampling::Scratch scratch;
      const sampling::ProgramResult found = program.solve(c.span(), -length, correction.span(),
                                                          {.tol = options.tol, .maxiter = options.maxiter}, scratch);
      for (Index k = 0; k < r; ++k) u[k] += correction[k];
      result.iterations = found.iterations;
      result.norm = std::pow(p * found.value, 1 / p);
      result.gap = std::max(0.0, 1 - std::pow(std::max(0.0, found.bound / found.value), 1 / p));
      // The gap that the program knows is that of |.|^p.
      if (found.gap() > options.tol)
        result.status = found.is_stuck ? LpRegressionStatus::stagnated : LpRegressionStatus::maxiter;
    }
  } else {
    result.norm = 0;
    for (Index i = 0; i < m; ++i) result.norm += std::pow(std::abs(z[i]), p);
    result.norm = std::pow(result.norm, 1 / p);
  }
  result.norm *= scale;
  if (r == 0) return result;
  const Array<double> solution(d);
  white.P.apply({u.data(), r, 1}, {solution.data(), d, 1}, progress.part(0.95, 1));
  for (Index j = 0; j < d; ++j) x[static_cast<std::size_t>(j)] = scale * std::ldexp(solution[j], -small->exponent());
  return result;
}

}  // namespace nearlinear
