// Any bytes make a symmetric matrix of small integers, NaN and infinities: its factorisation must tell what it is, and
// factors, updated, must be those of the changed matrices.
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
using Expected = std::vector<std::vector<double>>;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_finite(const Expected& matrix, Index begin, Index end) {
  for (Index i = begin; i < end; ++i)
    for (Index j = begin; j <= i; ++j)
      if (!std::isfinite(matrix[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)])) return false;
  return true;
}

/// |L L^T - A| <= 1e-12 sqrt(a_ii a_jj) in the window that begins at `begin`, far above the error of 24 rows.
void require_factor(const MatrixView<double>& L, const Expected& expected, Index begin) {
  const auto entry = [&](Index i, Index j) {
    return expected[static_cast<std::size_t>(begin + i)][static_cast<std::size_t>(begin + j)];
  };
  for (Index i = 0; i < L.rows(); ++i)
    for (Index j = 0; j <= i; ++j) {
      double sum = 0;
      for (Index k = 0; k <= j; ++k) sum += L(i, k) * L(j, k);
      require(std::abs(sum - entry(i, j)) <= 1e-12 * std::sqrt(entry(i, i) * entry(j, j)));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const Index n = data[0] % 24, row_stride = n + data[1] % 3;
  const double diagonal = data[2];  // large ones make the matrix positive definite
  const bool has_special = data[3] % 4 == 0;
  const auto number = [&](Index i) {
    const std::uint8_t byte = data[static_cast<std::size_t>(i) % size];
    if (has_special && byte == 255) return std::numeric_limits<double>::quiet_NaN();
    if (has_special && byte == 254) return std::numeric_limits<double>::infinity();
    return static_cast<double>(byte % 17) - 8;
  };
  // One row more than the window.
  Expected expected(static_cast<std::size_t>(n + 1), std::vector<double>(static_cast<std::size_t>(n + 1)));
  for (Index i = 0; i <= n; ++i)
    for (Index j = 0; j <= i; ++j)
      expected[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] =
          number(4 + i * (n + 1) + j) + (i == j ? diagonal : 0);

  // Exactly as large as the view: AddressSanitizer sees a step beyond it.
  std::vector<double> storage(static_cast<std::size_t>(std::max<Index>(0, (n - 1) * row_stride + n)), 0.25);
  const MatrixView<double> L(storage.data(), n, n, row_stride);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j <= i; ++j) L(i, j) = expected[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
  const Index status = nearlinear::cholesky(L);
  require(status >= 0 && status <= n);
  for (Index i = 0; i < n; ++i)
    for (Index j = i + 1; j < n; ++j) require(L(i, j) == 0.25);
  require(is_finite(expected, 0, n) || status != 0);
  // Gershgorin: a row of 23 entries up to 8.
  require(status == 0 || !is_finite(expected, 0, n) || diagonal <= 8 * 24);
  if (status != 0) return 0;
  require_factor(L, expected, 0);

  if (n == 0) return 0;
  std::vector<double> last_row(static_cast<std::size_t>(n));
  std::copy_n(expected.back().begin() + 1, n, last_row.begin());
  const Index slid = nearlinear::cholesky_slide<double>(L, last_row);
  require(slid == 0 || slid == n);
  require(is_finite(expected, 1, n + 1) || slid != 0);
  if (slid != 0) return 0;
  require_factor(L, expected, 1);

  std::vector<double> x(last_row);
  require(nearlinear::cholesky_update<double>(L, x) == 0);
  for (Index i = 1; i <= n; ++i)
    for (Index j = 1; j <= i; ++j)
      expected[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] +=
          last_row[static_cast<std::size_t>(i - 1)] * last_row[static_cast<std::size_t>(j - 1)];
  require_factor(L, expected, 1);
  return 0;
}
