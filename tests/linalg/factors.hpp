/// Positive definite and triangular matrices for the tests of the Cholesky family, and the bounds that they are held
/// to.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "linalg/matrices.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear::test {

template <class T>
constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

template <class T>
long double wide(T number) {
  return static_cast<long double>(number);
}

/// Positive definite, with eigenvalues from 1 down to 1 / condition in equal ratios, H D H with a reflection H; rounded
/// to T. Above the diagonal stands NaN, which nothing may read.
template <class T>
Matrix<T> with_condition(Index n, long double condition, std::uint64_t seed, Index gaps = 0) {
  const Matrix<double> v = random_matrix<double>(1, n, seed);
  long double norm = 0, middle = 0;
  std::vector<long double> d(static_cast<std::size_t>(n)), h(d.size());
  for (Index i = 0; i < n; ++i) norm += wide(v(0, i)) * wide(v(0, i));
  for (std::size_t i = 0; i < d.size(); ++i) {
    d[i] = n == 1 ? 1 : std::pow(condition, -static_cast<long double>(i) / static_cast<long double>(n - 1));
    h[i] = wide(v(0, static_cast<Index>(i))) / std::sqrt(norm);
    middle += d[i] * h[i] * h[i];
  }
  // (I - 2 h h^T) D (I - 2 h h^T)
  Matrix<T> A(n, n, gaps);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(j);
      A(i, j) =
          j > i ? not_a_number<T> : static_cast<T>((i == j ? d[a] : 0) - 2 * h[a] * h[b] * (d[a] + d[b] - 2 * middle));
    }
  return A;
}

template <class T>
bool upper_is_untouched(const Matrix<T>& A) {
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = i + 1; j < A.cols(); ++j)
      if (!std::isnan(A(i, j))) return false;
  return A.gaps_are_untouched();
}

/// |A - L L^T| <= gamma_{n+1} |L| |L^T|  (Higham, theorem 10.3).
template <class T>
bool is_factor_of(const Matrix<T>& L, const Matrix<T>& A) {
  const Index n = A.rows();
  bool right = true;
  for (Index i = 0; i < n; i += 1 + n / 400)
    for (Index j = 0; j <= i; j += 1 + n / 300) {
      long double sum = 0, absolute = 0;
      for (Index k = 0; k <= j; ++k) {
        sum += wide(L(i, k)) * wide(L(j, k));
        absolute += std::abs(wide(L(i, k)) * wide(L(j, k)));
      }
      right = right && std::abs(wide(A(i, j)) - sum) <= test::gamma<T>(n + 1) * absolute;
    }
  return right;
}

/// Lower or upper triangular with a condition that does not explode with n; NaN in the other triangle.
template <class T>
Matrix<T> triangular(Index n, Triangle triangle, std::uint64_t seed) {
  Matrix<T> L = random_matrix<T>(n, n, seed, 3);
  const T scale = T{1} / std::sqrt(static_cast<T>(n));
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      if (i == j)
        L(i, j) = 1 + std::abs(L(i, j));
      else
        L(i, j) = (triangle == Triangle::lower) == (j < i) ? L(i, j) * scale : not_a_number<T>;
    }
  return L;
}

}  // namespace nearlinear::test
