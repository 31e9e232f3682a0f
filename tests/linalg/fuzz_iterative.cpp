// Any bytes make a matrix of small integers, NaN and infinities, a right-hand side and a guess: whatever they are, the
// iterations must end, with a finite solution and a status that is true of it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "nearlinear/linalg.hpp"

namespace {

using nearlinear::Index;
using nearlinear::MatrixView;

void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

double norm_of_residual(const MatrixView<const double>& A, const std::vector<double>& b, const std::vector<double>& x) {
  double squares = 0;
  for (Index i = 0; i < A.rows(); ++i) {
    double r = b[at(i)];
    for (Index j = 0; j < A.cols(); ++j) r -= A(i, j) * x[at(j)];
    squares += r * r;
  }
  return std::sqrt(squares);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const Index m = data[0] % 12, n = data[1] % 12;
  const double diagonal = data[2];
  const bool has_special = data[3] % 4 == 0;
  const auto number = [&](Index i) {
    const std::uint8_t byte = data[at(i) % size];
    if (has_special && byte == 255) return std::numeric_limits<double>::quiet_NaN();
    if (has_special && byte == 254) return std::numeric_limits<double>::infinity();
    return static_cast<double>(byte % 17) - 8;
  };
  const double scale = std::pow(2.0, static_cast<double>(data[4]) - 128);
  const auto is_finite = [](const std::vector<double>& x) {
    return std::all_of(x.begin(), x.end(), [](double entry) { return std::isfinite(entry); });
  };

  // Conjugate gradients on a symmetric matrix, which may be anything.
  std::vector<double> a(at(n * n)), b(at(n)), x(at(n)), guess(at(n));
  double dominance = std::numeric_limits<double>::infinity();
  for (Index i = 0; i < n; ++i) {
    double row = 0;
    for (Index j = 0; j < n; ++j) {
      a[at(i * n + j)] = number(6 + std::max(i, j) * n + std::min(i, j)) + (i == j ? diagonal : 0);
      if (i != j) row += std::abs(a[at(i * n + j)]);
    }
    dominance = std::min(dominance, a[at(i * n + i)] - row);
    b[at(i)] = number(7 + i) * scale;
    x[at(i)] = guess[at(i)] = data[5] % 2 == 0 ? 0 : static_cast<double>(data[at(i) % size]) * scale;
  }
  const MatrixView<const double> A(a.data(), n, n);
  const nearlinear::ConjugateGradientOptions options{.tol = data[5] % 3 == 0 ? 0.0 : 1e-9, .maxiter = 500};
  using Status = nearlinear::ConjugateGradientStatus;
  const auto result = nearlinear::conjugate_gradient<double>(nearlinear::as_operator(A), b, x, {}, options);
  require(is_finite(x));
  require(result.iterations >= 0 && result.iterations <= 500);
  require(result.status != Status::stopped);
  if (is_finite(a) && is_finite(b)) {
    const double residual = norm_of_residual(A, b, x),
                 of_b = norm_of_residual(MatrixView<const double>(a.data(), n, 0), b, {});
    double of_x = 0;
    for (const double entry : x) of_x = std::max(of_x, std::abs(entry));
    require(std::abs(residual - result.residual_norm) <= 1e-12 * (of_b + 264.0 * 12 * 12 * of_x));
    if (dominance > 0) require(result.status == Status::converged || result.status == Status::stagnated);
    if (result.status == Status::converged) require(result.residual_norm <= 1e-9 * of_b);
  } else if (n > 0) {
    // What is not finite is met by the first product or is multiplied by zeros alone.
    require(result.status == Status::breakdown || is_finite(b));
  }

  // LSQR on any matrix.
  std::vector<double> c(at(m * n)), d(at(m)), y(at(n));
  for (Index i = 0; i < m * n; ++i) c[at(i)] = number(11 + 3 * i);
  for (Index i = 0; i < m; ++i) d[at(i)] = number(13 + i) * scale;
  if (data[5] % 2 == 1) y = guess;
  const MatrixView<const double> C(c.data(), m, n);
  const nearlinear::LsqrOptions lsqr_options{.damp = data[5] % 5 == 0 ? 0.5 : 0.0, .maxiter = 500};
  const auto fit = nearlinear::lsqr<double>(nearlinear::as_operator(C), d, y, lsqr_options);
  require(is_finite(y));
  require(fit.iterations >= 0 && fit.iterations <= 500);
  if (!is_finite(c) || !is_finite(d) || lsqr_options.damp != 0) return 0;
  const double residual = norm_of_residual(C, d, y);
  double of_y = 0;
  for (const double entry : y) of_y = std::max(of_y, std::abs(entry));
  for (const double entry : guess) of_y = std::max(of_y, std::abs(entry));
  require(std::abs(residual - fit.residual_norm) <= 1e-6 * residual + 1e-9 * (fit.norm * of_y + 8 * 12 * scale));
  return 0;
}
