/// Problems for the tests of iterative methods, and the residuals that their solutions are judged by.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "linalg/matrices.hpp"

namespace nearlinear::test {

template <class T>
long double wide(T number) {
  return static_cast<long double>(number);
}

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// H D H with a reflection H and D from 1 down to 1 / condition, of `distinct` different values, times `scale`.
template <class T>
Matrix<T> with_condition(Index n, double condition, Index distinct, double scale, std::uint64_t seed) {
  const Matrix<double> v = random_matrix<double>(1, n, seed);
  std::vector<double> d(at(n)), h(at(n));
  double norm = 0, middle = 0;
  for (Index i = 0; i < n; ++i) norm += v(0, i) * v(0, i);
  for (Index i = 0; i < n; ++i) {
    const double step = distinct > 1 ? static_cast<double>(i % distinct) / static_cast<double>(distinct - 1) : 0;
    d[at(i)] = std::pow(condition, -step);
    h[at(i)] = v(0, i) / std::sqrt(norm);
    middle += d[at(i)] * h[at(i)] * h[at(i)];
  }
  Matrix<T> A(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      A(i, j) = static_cast<T>(
          scale * ((i == j ? d[at(i)] : 0) - 2 * h[at(i)] * h[at(j)] * (d[at(i)] + d[at(j)] - 2 * middle)));
  return A;
}

template <class T>
std::vector<T> random_vector(Index n, std::uint64_t seed, double scale = 1) {
  const RandomStream random(seed, 5);
  std::vector<T> x(at(n));
  for (Index i = 0; i < n; ++i) x[at(i)] = static_cast<T>(scale * random.normal(static_cast<std::uint64_t>(i)));
  return x;
}

template <class T>
long double norm_of(const std::vector<T>& x) {
  long double sum = 0;
  for (const T entry : x) sum += wide(entry) * wide(entry);
  return std::sqrt(sum);
}

/// ||b - A x||, and (n + 2) u || |A| |x| + |b| ||, by which a residual that is computed in T may differ.
template <class T>
std::pair<long double, long double> residual(const Matrix<T>& A, const std::vector<T>& b, const std::vector<T>& x) {
  const Index n = A.rows();
  long double squares = 0, slack = 0;
  for (Index i = 0; i < n; ++i) {
    long double difference = wide(b[at(i)]), absolute = std::abs(difference);
    for (Index j = 0; j < n; ++j) {
      difference -= wide(A(i, j)) * wide(x[at(j)]);
      absolute += std::abs(wide(A(i, j)) * wide(x[at(j)]));
    }
    squares += difference * difference;
    slack += absolute * absolute;
  }
  return {std::sqrt(squares), gamma<T>(n + 2) * std::sqrt(slack)};
}

}  // namespace nearlinear::test
