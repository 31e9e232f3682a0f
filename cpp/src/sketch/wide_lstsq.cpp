// Matrices that are wider than tall. With M = A^T = Q R, the solution of least norm is x = M y with
//
//     (A A^T + lambda I) y = b,    that is    R^T R y = b,
//
// and refinement by b - A x - lambda y; this is stable also for R from M^T M as long as that is positive definite by
// some digits (Demmel and Higham, Improved error bounds for underdetermined system solvers, SIAM J. Matrix Anal. Appl.
// 14, 1993, for R from QR).
#include <algorithm>
#include <cmath>

#include "linalg/progress.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/products.hpp"
#include "sketch/refinement.hpp"
#include "sketch/solution.hpp"
#include "sketch/tall_lstsq.hpp"

namespace nearlinear::sketch {
namespace {

/// R, or V_k diag(1 / s_k), of M over sqrt(lambda) I.
template <class T>
Preconditioner factor(Passes<T>& passes, bool is_scaled, std::span<const double> squares_of_b,
                      const LstsqOptions& options, LstsqResult<T>& result, double& frobenius_norm,
                      linalg::Progress& progress) {
  const Index n = passes.cols();
  constexpr double eps = std::numeric_limits<T>::epsilon(), unit = unit_roundoff<T>;
  const MatrixView<double> nothing(nullptr, n, 0);
  if (options.method != LstsqMethod::tsqr && !options.rcond) {
    const Square G(n);
    passes.gram(G.view(), nothing, {}, progress.part(0, 0.5));
    ++result.passes;
    double trace = 0;
    for (Index i = 0; i < n; ++i) trace += G(i, i);
    if (!is_scaled) require_scale(passes, trace, squares_of_b, progress.part(0.5, 0.5));
    for (Index i = 0; i < n; ++i) G(i, i) += options.ridge;
    trace += options.ridge * static_cast<double>(n);
    if (std::optional<Square> R = cholesky_factor(G, unit, progress.part(0.5, 0.6))) {
      const Array<double> lengths(n);
      const double condition = estimate_condition(scale_columns(*R, lengths.span()), progress.part(0.6, 0.6)).number();
      if (10 * unit * condition * condition < 0.1) {
        frobenius_norm = std::sqrt(trace);
        result.method = LstsqMethod::cholesky;
        result.condition = estimate_condition(*R, progress.part(0.6, 0.6)).number();
        return Preconditioner(std::move(*R));
      }
    }
  }
  Square R(n);
  passes.qr(R.view(), nothing, {}, progress.part(0, 0.6));
  ++result.passes;
  result.method = LstsqMethod::tsqr;
  double square = 0;
  for (const double entry : R.entries) square += entry * entry;
  if (!is_scaled) require_scale(passes, square, squares_of_b, progress.part(0.6, 0.6));
  if (options.ridge > 0) R = qr_factor<double>(R.view(), nothing, options.ridge, nothing, progress.part(0.6, 0.65));
  square = 0;
  for (const double entry : R.entries) square += entry * entry;
  frobenius_norm = std::sqrt(square);
  result.condition = estimate_condition(R, progress.part(0.65, 0.65)).number();
  if (!options.rcond && !is_deficient(R, eps, progress.part(0.65, 0.66))) return Preconditioner(std::move(R));
  // Rows that are scaled would weigh equations differently where these contradict each other.
  RankedSolution ranked = solve_by_rank(R, nothing, options.rcond.value_or(15 * eps), eps, progress.part(0.66, 0.7));
  result.condition = ranked.condition;
  return std::move(ranked.P);
}

}  // namespace

template <class T>
LstsqResult<T> wide_lstsq(Passes<T>& passes, bool is_scaled, const TransposedProducts<T>& products,
                          MatrixView<const T> B, MatrixView<T> X, const LstsqOptions& options, const RunOptions& run) {
  const Index n = passes.cols(), d = passes.rows(), p = B.cols();
  linalg::Progress progress(run);
  LstsqResult<T> result;
  double frobenius_norm = 0;
  const Array<double> squares_of_b = Array<double>::zeros(p);
  for (Index i = 0; i < n; ++i)
    for (Index c = 0; c < p; ++c) {
      require(std::isfinite(B(i, c)), "lstsq: b has the entry ", B(i, c), " at index (", i, ", ", c,
              "); all entries must be finite");
      squares_of_b[c] += static_cast<double>(B(i, c)) * static_cast<double>(B(i, c));
    }
  const Preconditioner P = factor(passes, is_scaled, squares_of_b.span(), options, result, frobenius_norm, progress);
  result.rank = P.rank();
  result.residual_norm = Array<double>(p);

  const Array<double> y = Array<double>::zeros(n * p), s(n * p), v(P.rank() * p), z(n * p);
  const Array<T> z_in_t(n * p), ax(n * p), correction(checked_product(d, p));
  std::vector<double> before(static_cast<std::size_t>(p), std::numeric_limits<double>::infinity());
  constexpr int most_rounds = 6;
  for (Index i = 0; i < d; ++i) std::fill_n(&X(i, 0), p, T{0});
  for (int round = 0;; ++round) {
    const RunOptions part = progress.part(0.7 + 0.05 * round, 0.75 + 0.05 * round);
    if (round > 0) {
      products.multiply_transposed(X, {ax.data(), n, p});
      ++result.passes;
    } else {
      std::fill(ax.begin(), ax.end(), T{0});
    }
    result.backward_error = 0;
    bool is_finished = true;
    for (Index c = 0; c < p; ++c) {
      double square = 0, b = 0, x = 0;
      for (Index i = 0; i < n; ++i) {
        const double residual = static_cast<double>(B(i, c)) - static_cast<double>(ax[i * p + c]);
        s[i * p + c] = residual - options.ridge * y[i * p + c];
        square += residual * residual;
        b = std::hypot(b, static_cast<double>(B(i, c)));
      }
      for (Index i = 0; i < d; ++i) x = std::hypot(x, static_cast<double>(X(i, c)));
      result.residual_norm[c] = std::sqrt(square);
      // What is left of b in the range of A, by P^T: all of it where A has full rank.
      double left = 0;
      if (P.is_triangular()) {
        for (Index i = 0; i < n; ++i) left = std::hypot(left, s[i * p + c]);
      } else {
        for (Index k = 0; k < P.rank(); ++k) {
          double component = 0, length = 0;
          for (Index i = 0; i < n; ++i) {
            component += P.P()[i * P.rank() + k] * s[i * p + c];
            length = std::hypot(length, P.P()[i * P.rank() + k]);
          }
          left = std::hypot(left, component / length);
        }
      }
      const double error = b == 0 ? 0 : left / (frobenius_norm * x + b);
      const bool is_accurate = round > 0 && error <= options.tol.value_or(unit_roundoff<T>);
      is_finished = is_finished && (is_accurate || b == 0 || !(error < 0.5 * before[static_cast<std::size_t>(c)]));
      before[static_cast<std::size_t>(c)] = error;
      result.backward_error = std::max(result.backward_error, error);
    }
    if ((round > 0 && is_finished) || round == most_rounds) break;
    P.apply_transposed({s.data(), n, p}, {v.data(), P.rank(), p}, part);
    P.apply({v.data(), P.rank(), p}, {z.data(), n, p}, part);
    // y is by far larger than x where A is ill-conditioned: M y would be rounded to the precision of that.
    for (Index i = 0; i < n * p; ++i) {
      y[i] += z[i];
      z_in_t[i] = static_cast<T>(z[i]);
    }
    products.multiply({z_in_t.data(), n, p}, {correction.data(), d, p});
    for (Index i = 0; i < d; ++i)
      for (Index c = 0; c < p; ++c) X(i, c) += correction[i * p + c];
    ++result.passes;
    ++result.iterations;
  }
  constexpr double roundings =
      1000;  // more than are left where A is ill-conditioned, and far less than without refinement
  result.status =
      result.backward_error <= roundings * unit_roundoff<T> ? LstsqStatus::converged : LstsqStatus::stagnated;
  return result;
}

#define NEARLINEAR_INSTANTIATE(T)                                                                         \
  template LstsqResult<T> wide_lstsq(Passes<T>&, bool, const TransposedProducts<T>&, MatrixView<const T>, \
                                     MatrixView<T>, const LstsqOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sketch
