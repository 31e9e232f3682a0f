// Any bytes make a matrix of small integers, NaN, infinities, denormals and huge numbers: its decompositions must be
// decompositions, or its bad entries refused.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <vector>

#include "nearlinear/linalg.hpp"

namespace {

using nearlinear::Index;
using nearlinear::MatrixView;

constexpr double tolerance = 1e-12;  // far above the error of 24 rows in double

void require(bool condition) {
  if (!condition) std::abort();
}

double norm(MatrixView<const double> A) {
  double sum = 0;
  for (Index i = 0; i < A.rows(); ++i)
    for (const double entry : A.row(i)) sum += entry * entry;
  return std::sqrt(sum);
}

void require_orthonormal(MatrixView<const double> U) {
  for (Index i = 0; i < U.cols(); ++i)
    for (Index j = 0; j <= i; ++j) {
      double sum = 0;
      for (Index k = 0; k < U.rows(); ++k) sum += U(k, i) * U(k, j);
      require(std::abs(sum - (i == j ? 1 : 0)) <= tolerance);
    }
}

/// |A - U diag(s) V^T|_F of a matrix that is scaled to a norm near 1.
double residual(MatrixView<const double> A, MatrixView<const double> U, const double* s, MatrixView<const double> V) {
  double squares = 0;
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) {
      double sum = A(i, j);
      for (Index k = 0; k < U.cols(); ++k) sum -= U(i, k) * s[k] * V(j, k);
      squares += sum * sum;
    }
  return std::sqrt(squares);
}

template <class Call>
bool is_refused(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  const Index m = data[0] % 14, n = data[1] % 14, k = std::min(m, n), gaps = data[2] % 3;
  const bool has_special = data[3] % 4 == 0, with_jacobi = data[4] % 2 == 0;
  const int exponent = data[5] % 8 == 0 ? 1000 : data[5] % 8 == 1 ? -1060 : 0;
  const auto number = [&](Index i) {
    const std::uint8_t byte = data[static_cast<std::size_t>(i) % size];
    if (has_special && byte == 255) return std::numeric_limits<double>::quiet_NaN();
    if (has_special && byte == 254) return std::numeric_limits<double>::infinity();
    return byte % 3 == 0 ? 0.0 : static_cast<double>(byte % 17) - 8;
  };
  // Exactly as large as the view: AddressSanitizer sees a step beyond it.
  std::vector<double> storage(static_cast<std::size_t>(std::max<Index>(0, (m - 1) * (n + gaps) + n)));
  std::vector<double> unscaled(storage.size());
  const MatrixView<double> A(storage.data(), m, n, n + gaps), original(unscaled.data(), m, n, n + gaps);
  bool finite = true;
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      original(i, j) = number(6 + i * n + j);
      A(i, j) = std::ldexp(original(i, j), exponent);
      finite = finite && std::isfinite(A(i, j));
    }
  std::vector<double> u(static_cast<std::size_t>(m * k)), s(static_cast<std::size_t>(k)),
      v(static_cast<std::size_t>(n * k));
  const MatrixView<double> U(u.data(), m, k), V(v.data(), n, k);
  const auto method = with_jacobi ? nearlinear::SvdMethod::jacobi : nearlinear::SvdMethod::divide_and_conquer;
  bool converged = false;
  require(is_refused([&] { converged = nearlinear::svd<double>(A, U, s, V, method); }) == !finite);
  const Index rank = 1 + data[6] % 8;
  const nearlinear::RandomizedSvdOptions options{
      .oversampling = data[7] % 5, .power_iterations = data[7] % 4 - 1, .tol = data[2] % 5 == 0 ? 0.25 : 0.0};
  nearlinear::RandomizedSvd<double> low_rank;
  require(is_refused([&] { low_rank = nearlinear::randomized_svd<double>(A, rank, options); }) == !finite);
  if (!finite) return 0;

  const double scale = norm(original);
  const auto unscale = [exponent](double& value) { value = std::ldexp(value, -exponent); };
  require(converged && std::is_sorted(s.rbegin(), s.rend()));
  std::for_each(s.begin(), s.end(), unscale);
  require_orthonormal(U);
  require_orthonormal(V);
  // A matrix of denormal numbers has a singular value rounded to one, too.
  const double rounding = exponent < 0 ? 64 * std::ldexp(std::numeric_limits<double>::denorm_min(), -exponent) : 0;
  require(residual(original, U, s.data(), V) <= tolerance * scale + rounding);

  require(low_rank.rank <= std::min(rank, k) && low_rank.error >= 0);
  std::for_each(low_rank.singular_values.begin(), low_rank.singular_values.end(), unscale);
  require_orthonormal(low_rank.U());
  require_orthonormal(low_rank.V());
  double tail = 0;
  for (Index i = low_rank.rank; i < k; ++i) tail += std::pow(s[static_cast<std::size_t>(i)], 2);
  const double error = residual(original, low_rank.U(), low_rank.singular_values.data(), low_rank.V());
  require(error >= std::sqrt(tail) - 1e-6 * scale - rounding && error <= scale * (1 + tolerance) + rounding);
  for (Index i = 0; i < low_rank.rank; ++i)
    require(low_rank.singular_values[i] <= s[static_cast<std::size_t>(i)] + tolerance * scale + rounding);

  if (m != n) return 0;
  const MatrixView<double> vectors(u.data(), n, n);
  require(nearlinear::symmetric_eigen<double>(A, s, vectors));
  std::for_each(s.begin(), s.end(), unscale);
  require_orthonormal(vectors);
  for (Index i = 0; i < n; ++i)
    for (Index j = i + 1; j < n; ++j) original(i, j) = original(j, i);
  require(residual(original, vectors, s.data(), vectors) <= tolerance * norm(original) + rounding);
  return 0;
}
