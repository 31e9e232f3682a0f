// Any bytes make a tall matrix: its QR factorisation must exist, by every method, and keep to its memory.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "linalg/fuzz_inputs.hpp"
#include "nearlinear/linalg/qr.hpp"

namespace {

using nearlinear::Index;
using nearlinear::QrMethod;

using Matrix = nearlinear::test::FuzzMatrix;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  nearlinear::test::FuzzInput read{data, size};
  const Index d = read() % 80, n = d + read() % 120, p = read() % 4;
  const auto method = static_cast<QrMethod>(read() % 4);
  const double spread = read() % 4;
  Matrix A(n, d, read() % 3), B(n, p, read() % 3), Q(n, d, 1), R(d, d, 2), R2(d, d, 0), C(d, p, 1);
  for (double& entry : A.storage) entry = (read() % 32 - 15) * std::pow(10.0, spread * (read() % 8));
  for (double& entry : B.storage) entry = read() % 16 - 7;
  nearlinear::qr_thin<double>(A.view(), Q.view(), R.view(), method);
  nearlinear::qr_multiply<double>(A.view(), B.view(), R2.view(), C.view(), method);

  constexpr double u = 0x1p-53;
  const double bound = 8 * u * static_cast<double>(std::max<Index>(1, n * d));
  for (Index j = 0; j < d; ++j) {
    double norm = 0, residual = 0;
    for (Index i = 0; i < n; ++i) {
      double sum = A.view()(i, j);
      norm += sum * sum;
      for (Index k = 0; k <= j; ++k) sum -= Q.view()(i, k) * R.view()(k, j);
      residual += sum * sum;
    }
    // The residual is itself a sum of j + 1 rounded products.
    require(std::sqrt(residual) <= 2 * bound * std::sqrt(norm));
    for (Index k = 0; k <= j; ++k) {
      double sum = 0;
      for (Index i = 0; i < n; ++i) sum += Q.view()(i, j) * Q.view()(i, k);
      require(std::abs(sum - (j == k ? 1 : 0)) <= 2 * bound);
    }
    require(R.view()(j, j) >= 0 && R2.view()(j, j) >= 0);
    for (Index k = 0; k < p; ++k) require(std::isfinite(C.view()(j, k)));
  }
  return 0;
}
