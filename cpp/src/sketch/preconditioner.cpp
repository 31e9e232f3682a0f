#include "sketch/preconditioner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/iterative_vectors.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/qr.hpp"
#include "nearlinear/linalg/spectral.hpp"

namespace nearlinear::sketch {

Square::Square(Index d) : size(d), entries(Array<double>::zeros(checked_product(d, d))) {}

Preconditioner::Preconditioner(Square R) : cols_(R.size), rank_(R.size), R_(std::move(R)) {}
Preconditioner::Preconditioner(Array<double> P, Index cols, Index rank) : cols_(cols), rank_(rank), P_(std::move(P)) {}

void Preconditioner::apply(MatrixView<const double> Y, MatrixView<double> X, const RunOptions& run) const {
  if (!is_triangular()) return gemm<double>(1, {P_.data(), cols_, rank_}, Transpose::no, Y, Transpose::no, 0, X, run);
  for (Index i = 0; i < rank_; ++i) std::copy_n(&Y(i, 0), Y.cols(), &X(i, 0));
  triangular_solve<double>(Triangle::upper, Transpose::no, R_.view(), X, run);
}

void Preconditioner::apply_transposed(MatrixView<const double> X, MatrixView<double> Y, const RunOptions& run) const {
  if (!is_triangular()) return gemm<double>(1, {P_.data(), cols_, rank_}, Transpose::yes, X, Transpose::no, 0, Y, run);
  for (Index i = 0; i < rank_; ++i) std::copy_n(&X(i, 0), X.cols(), &Y(i, 0));
  triangular_solve<double>(Triangle::upper, Transpose::yes, R_.view(), Y, run);
}

std::optional<Square> cholesky_factor(const Square& G, double unit, const RunOptions& run) {
  const Index d = G.size;
  const Array<double> lengths(d);
  for (Index j = 0; j < d; ++j) {
    lengths[j] = std::sqrt(G(j, j));
    if (!(lengths[j] > 0 && std::isfinite(lengths[j]))) return std::nullopt;
  }
  Square L(d);
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j <= i; ++j) L(i, j) = G(i, j) / lengths[i] / lengths[j];
  if (cholesky(L.view(), run) != 0) return std::nullopt;
  // A pivot is the square of the sine between a column and those before it, with an error of some d units.
  for (Index j = 0; j < d; ++j)
    if (!(L(j, j) * L(j, j) > 100 * unit)) return std::nullopt;
  Square R(d);
  for (Index i = 0; i < d; ++i)
    for (Index j = i; j < d; ++j) R(i, j) = L(j, i) * lengths[j];
  return R;
}

template <class T>
Square qr_factor(MatrixView<const T> A, MatrixView<const T> B, double ridge, MatrixView<double> C,
                 const RunOptions& run) {
  const Index d = A.cols(), p = B.cols(), extra = std::max(ridge > 0 ? d : 0, d - A.rows()), m = A.rows() + extra;
  const Array<double> stack = Array<double>::zeros(checked_product(m, d)),
                      rhs = Array<double>::zeros(checked_product(m, p));
  for (Index i = 0; i < A.rows(); ++i) {
    std::transform(&A(i, 0), &A(i, 0) + d, stack.data() + i * d, [](T entry) { return static_cast<double>(entry); });
    if (p > 0)
      std::transform(&B(i, 0), &B(i, 0) + p, rhs.data() + i * p, [](T entry) { return static_cast<double>(entry); });
  }
  if (ridge > 0)
    for (Index j = 0; j < d; ++j) stack[(A.rows() + j) * d + j] = std::sqrt(ridge);
  Square R(d);
  if (p > 0)
    qr_multiply<double>({stack.data(), m, d}, {rhs.data(), m, p}, R.view(), C, QrMethod::automatic, run);
  else
    qr<double>({stack.data(), m, d}, R.view(), QrMethod::automatic, run);
  return R;
}

double Condition::number() const { return smallest > 0 ? largest / smallest : std::numeric_limits<double>::infinity(); }

namespace {

double norm(const Array<double>& x) {
  return linalg::scaled_norm(x.size(), [&x](Index i) { return x[i]; }).value();
}

void divide(const Array<double>& x, double by) {
  for (double& entry : x) entry /= by;
}

}  // namespace

Condition estimate_condition(const Square& R, const RunOptions& run) {
  const Index d = R.size;
  Condition condition;
  if (d == 0) return {1, 1};
  constexpr int steps = 5;
  const Array<double> x(d), y(d);
  const RandomStream start(1, 0);
  const MatrixView<double> X(x.data(), d, 1), Y(y.data(), d, 1);
  const auto begin = [&] {
    for (Index i = 0; i < d; ++i) x[i] = start.normal(static_cast<std::uint64_t>(i));
    divide(x, norm(x));
  };
  begin();
  for (int step = 0; step < steps; ++step) {
    gemm<double>(1, R.view(), Transpose::no, X, Transpose::no, 0, Y, run);
    const double length = norm(y);
    condition.largest = std::max(condition.largest, length);
    if (!(length > 0) || !std::isfinite(length)) return {length, 0};
    divide(y, length);
    gemm<double>(1, R.view(), Transpose::yes, Y, Transpose::no, 0, X, run);
    divide(x, norm(x));
  }
  for (Index j = 0; j < d; ++j)
    if (R(j, j) == 0) return condition;
  begin();
  condition.smallest = std::numeric_limits<double>::infinity();
  for (int step = 0; step < steps; ++step) {
    triangular_solve<double>(Triangle::upper, Transpose::yes, R.view(), X, run);
    double length = norm(x);
    if (!std::isfinite(length)) return {condition.largest, 0};
    condition.smallest = std::min(condition.smallest, 1 / length);
    divide(x, length);
    triangular_solve<double>(Triangle::upper, Transpose::no, R.view(), X, run);
    length = norm(x);
    if (!std::isfinite(length)) return {condition.largest, 0};
    condition.smallest = std::min(condition.smallest, 1 / length);
    divide(x, length);
  }
  return condition;
}

void column_lengths(const Square& R, std::span<double> lengths) {
  const Index d = R.size;
  const Array<double> largest = Array<double>::zeros(d), squares = Array<double>::zeros(d);
  for (Index i = 0; i < d; ++i)
    for (Index j = i; j < d; ++j) largest[j] = std::max(largest[j], std::abs(R(i, j)));
  for (double& entry : largest)
    if (!(entry > 0)) entry = 1;
  for (Index i = 0; i < d; ++i)
    for (Index j = i; j < d; ++j) {
      const double entry = R(i, j) / largest[j];
      squares[j] += entry * entry;
    }
  for (Index j = 0; j < d; ++j)
    lengths[static_cast<std::size_t>(j)] = squares[j] > 0 ? largest[j] * std::sqrt(squares[j]) : 1;
}

Square scale_columns(const Square& R, std::span<double> lengths) {
  const Index d = R.size;
  column_lengths(R, lengths);
  Square scaled(d);
  for (Index i = 0; i < d; ++i)
    for (Index j = i; j < d; ++j) scaled(i, j) = R(i, j) / lengths[static_cast<std::size_t>(j)];
  return scaled;
}

Decomposition decompose(const Square& R, MatrixView<double> C, const RunOptions& run) {
  const Index d = R.size;
  Decomposition result{Array<double>(d), Square(d)};
  const Square U(d);
  const bool converged =
      svd<double>(R.view(), U.view(), result.s.span(), result.V.view(), SvdMethod::divide_and_conquer, run);
  require(converged, "lstsq: the singular values of A could not be found; is it scaled strangely?");
  const Array<double> rotated(checked_product(d, C.cols()));
  gemm<double>(1, U.view(), Transpose::yes, C, Transpose::no, 0, {rotated.data(), d, C.cols()}, run);
  for (Index i = 0; i < d && C.cols() > 0; ++i) std::copy_n(rotated.data() + i * C.cols(), C.cols(), &C(i, 0));
  return result;
}

bool is_finite(std::span<const double> entries) {
  double poison = 0;
  for (const double entry : entries) poison += entry * 0;
  return poison == 0;
}

template Square qr_factor(MatrixView<const float>, MatrixView<const float>, double, MatrixView<double>,
                          const RunOptions&);
template Square qr_factor(MatrixView<const double>, MatrixView<const double>, double, MatrixView<double>,
                          const RunOptions&);

}  // namespace nearlinear::sketch
