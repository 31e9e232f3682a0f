// Any bytes make a batch of symmetric matrices of small integers, NaN and infinities: those that are diagonally
// dominant must be solved, others told apart, and none may feel its neighbours.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "nearlinear/linalg.hpp"

namespace {

using nearlinear::BatchView;
using nearlinear::Index;

void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

template <class T>
void run(const std::uint8_t* data, std::size_t size) {
  const Index count = data[0] % 20, k = data[1] % 24, r = data[2] % 6, gaps = data[3] % 3;
  const double diagonal = data[4];
  const bool has_special = data[5] % 4 == 0;
  const auto number = [&](Index i) {
    const std::uint8_t byte = data[at(i) % size];
    if (has_special && byte == 255) return std::numeric_limits<T>::quiet_NaN();
    if (has_special && byte == 254) return std::numeric_limits<T>::infinity();
    return static_cast<T>(byte % 17) - 8;
  };
  // Exactly as large as the views: AddressSanitizer sees a step beyond them.
  const Index stride = k + gaps, a_size = k * stride, b_size = k * (r + gaps);
  std::vector<T> a(at(count > 0 && k > 0 ? count * a_size - gaps : 0), T{1});
  std::vector<T> b(at(count > 0 && k > 0 && r > 0 ? count * b_size - gaps : 0), T{0.25});
  const BatchView<T> A(a.data(), count, k, k, stride, a_size), B(b.data(), count, k, r, r + gaps, b_size);
  for (Index s = 0; s < count; ++s)
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j <= i; ++j)
        A[s](i, j) = number(6 + (s * k + i) * k + j) + (i == j ? static_cast<T>(diagonal) : 0);
      for (Index c = 0; c < r; ++c) B[s](i, c) = static_cast<T>(data[at(s + i + c) % size] % 9) - 4;
    }
  const std::vector<T> a_before = a, b_before = b;
  std::vector<Index> status(at(count), -1);
  const Index failures = nearlinear::cholesky_solve_batch<T>(A, B, B, status, data[0] % 2);
  require(failures == count - std::count(status.begin(), status.end(), 0));
  for (std::size_t i = 0; i < a.size(); ++i) require(a[i] == a_before[i] || std::isnan(a_before[i]));
  const double ridge = data[0] % 2;

  for (Index s = 0; s < count; ++s) {
    bool is_finite = true, is_dominant = true;
    double largest = 0;
    for (Index i = 0; i < k; ++i) {
      double row = 0;
      for (Index j = 0; j < k; ++j) {
        const auto entry = static_cast<double>(i >= j ? A[s](i, j) : A[s](j, i));
        is_finite = is_finite && std::isfinite(entry);
        if (i != j) row += std::abs(entry);
        largest = std::max(largest, std::abs(entry) + ridge);
      }
      is_dominant = is_dominant && static_cast<double>(A[s](i, i)) + ridge > row;
    }
    const Index info = status[at(s)];
    require(info >= 0 && info <= k);
    if (!is_finite) require(info != 0);
    if (is_finite && is_dominant) require(info == 0);
    std::vector<T> alone(b_before.begin() + (b.empty() ? 0 : s * b_size),
                         b_before.begin() + (b.empty() ? 0 : s * b_size + (b_size - gaps)));
    std::vector<Index> one(1);
    const BatchView<T> X(alone.data(), 1, k, r, r + gaps, b_size);
    (void)nearlinear::cholesky_solve_batch<T>(
        BatchView<const T>(k > 0 ? &A[s](0, 0) : nullptr, 1, k, k, stride, a_size), X, X, one, ridge);
    require(one[0] == info);
    for (Index i = 0; i < k; ++i)
      for (Index c = 0; c < r; ++c) {
        const T x = B[s](i, c);
        require(info != 0 ? std::isnan(x) : x == X[0](i, c));
        if (info != 0 || !is_dominant) continue;
        // Dominant: |L| |L^T| is at most k times the largest entry.
        double residual = -static_cast<double>(b_before[at(s * b_size + i * (r + gaps) + c)]), size_of_x = 0;
        for (Index j = 0; j < k; ++j) {
          residual += (static_cast<double>(i >= j ? A[s](i, j) : A[s](j, i)) + (i == j ? ridge : 0)) *
                      static_cast<double>(B[s](j, c));
          size_of_x += std::abs(static_cast<double>(B[s](j, c)));
        }
        require(std::abs(residual) <= static_cast<double>(std::numeric_limits<T>::epsilon()) *
                                          static_cast<double>(3 * k + 7) * static_cast<double>(k) * largest *
                                          size_of_x);
      }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  if (data[size - 1] % 2 == 0)
    run<float>(data, size);
  else
    run<double>(data, size);
  return 0;
}
