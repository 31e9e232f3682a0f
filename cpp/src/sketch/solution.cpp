#include "sketch/solution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/qr.hpp"

namespace nearlinear::sketch {
namespace {

constexpr double dropped =
    15;  // units eps of the largest singular value, at and below which there is nothing but noise

/// X <- X - Q Q^T X, Q an orthonormal basis of the columns of N.
void remove_components(const Array<double>& N, Index d, Index count, MatrixView<double> X, const RunOptions& run) {
  if (count == 0) return;
  const Array<double> q(d * count), r(count * count), products(count * X.cols());
  const MatrixView<double> Q(q.data(), d, count), R(r.data(), count, count),
      products_view(products.data(), count, X.cols());
  (void)qr_thin<double>({N.data(), d, count}, Q, R, QrMethod::householder, run);
  gemm<double>(1, Q, Transpose::yes, X, Transpose::no, 0, products_view, run);
  gemm<double>(-1, Q, Transpose::no, products_view, Transpose::no, 1, X, run);
}

}  // namespace

bool is_deficient(const Square& R, double eps, const RunOptions& run) {
  const Array<double> lengths(R.size);
  return !(estimate_condition(scale_columns(R, lengths.span()), run).number() < 1 / (dropped * eps));
}

RankedSolution solve_by_rank(const Square& R, MatrixView<const double> C, std::optional<double> rcond, double eps,
                             const RunOptions& run) {
  const Index d = R.size, p = C.cols();
  const Array<double> lengths(d), rhs(d * p);
  for (Index i = 0; i < d && p > 0; ++i) std::copy_n(&C(i, 0), p, rhs.data() + i * p);
  const Square scaled = scale_columns(R, lengths.span());
  if (rcond) std::fill(lengths.begin(), lengths.end(), 1.0);
  const Decomposition parts = decompose(rcond ? R : scaled, {rhs.data(), d, p}, run);
  const double threshold = (rcond ? *rcond : dropped * eps) * parts.s[0];
  Index rank = 0;
  while (rank < d && parts.s[rank] > threshold && parts.s[rank] > 0) ++rank;

  Array<double> P(d * rank);
  for (Index i = 0; i < d; ++i)
    for (Index k = 0; k < rank; ++k) P[i * rank + k] = parts.V(i, k) / parts.s[k] / lengths[i];
  RankedSolution result{Array<double>::zeros(d * p), rank, 1, {}};
  const MatrixView<double> X(result.X.data(), d, p);
  gemm<double>(1, {P.data(), d, rank}, Transpose::no, {rhs.data(), rank, p}, Transpose::no, 0, X, run);
  if (!rcond) {
    const Array<double> N(d * (d - rank));
    for (Index i = 0; i < d; ++i)
      for (Index k = rank; k < d; ++k) N[i * (d - rank) + k - rank] = parts.V(i, k) / lengths[i];
    remove_components(N, d, d - rank, X, run);
  }
  if (rank > 0) result.condition = rank < d ? std::numeric_limits<double>::infinity() : parts.s[0] / parts.s[rank - 1];
  result.P = Preconditioner(std::move(P), d, rank);
  return result;
}

template <class T>
SketchSolution<T> solve_sketch(MatrixView<const T> SA, MatrixView<const T> SB, double ridge, double delta,
                               const RunOptions& run) {
  const Index m = SA.rows(), d = SA.cols(), p = SB.cols();
  constexpr double eps = std::numeric_limits<T>::epsilon();
  const Array<double> c(d * p), inverse = Array<double>::zeros(d * d);
  const MatrixView<double> C(c.data(), d, p), inverse_view(inverse.data(), d, d);
  const Square R = qr_factor<T>(SA, SB, ridge, C, run);
  SketchSolution<T> result{.cols = d, .rhs = p};
  result.x = Array<T>(d * p);
  result.coefficient_error = Array<double>(d * p);
  result.residual_norm = Array<double>(p);
  result.linf_bound = Array<double>(p);
  result.rank = d;
  result.condition = estimate_condition(R, run).number();
  const bool is_full = !is_deficient(R, eps, run);
  const Array<double> X(d * p);
  if (is_full) {
    std::copy(c.begin(), c.end(), X.begin());
    triangular_solve<double>(Triangle::upper, Transpose::no, R.view(), {X.data(), d, p}, run);
    for (Index i = 0; i < d; ++i) inverse[i * d + i] = 1;
    triangular_solve<double>(Triangle::upper, Transpose::no, R.view(), inverse_view, run);
  } else {
    const RankedSolution ranked = solve_by_rank(R, C, std::nullopt, eps, run);
    std::copy(ranked.X.begin(), ranked.X.end(), X.begin());
    result.rank = ranked.rank;
    result.condition = ranked.condition;
  }
  std::copy(X.begin(), X.end(), result.x.begin());
  const auto freedom = static_cast<double>(m - d);
  const double quantile = m > d ? student_quantile(1 - delta / (2 * static_cast<double>(d)), freedom) : 0;
  for (Index k = 0; k < p; ++k) {
    double square = 0;
    for (Index i = 0; i < m; ++i) {
      double r = static_cast<double>(SB(i, k));
      for (Index j = 0; j < d; ++j) r -= static_cast<double>(SA(i, j)) * X[j * p + k];
      square += r * r;
    }
    result.residual_norm[k] = std::sqrt(square);
    const double per_freedom = m > d ? std::sqrt(square / freedom) : std::numeric_limits<double>::infinity();
    double largest = 0;
    for (Index i = 0; i < d; ++i) {
      double row = 0;
      for (Index j = i; j < d; ++j) row = std::hypot(row, inverse[i * d + j]);
      const double error = is_full ? per_freedom * row : std::numeric_limits<double>::infinity();
      result.coefficient_error[i * p + k] = error;
      largest = std::max(largest, error);
    }
    result.linf_bound[k] = quantile * largest;
  }
  return result;
}

template SketchSolution<float> solve_sketch(MatrixView<const float>, MatrixView<const float>, double, double,
                                            const RunOptions&);
template SketchSolution<double> solve_sketch(MatrixView<const double>, MatrixView<const double>, double, double,
                                             const RunOptions&);

}  // namespace nearlinear::sketch
