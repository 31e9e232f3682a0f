/// The definitions, in long double.
#pragma once

#include <cmath>
#include <vector>

#include "nearlinear/core/random.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::test {

using Vector = std::vector<long double>;

/// A matrix whose entries are easy to reach.
template <class T>
struct Rows {
  Index rows, cols;
  std::vector<T> storage;

  Rows(Index row_count, Index col_count) : rows(row_count), cols(col_count) {
    storage.resize(static_cast<std::size_t>(rows * cols));
  }
  T& operator()(Index i, Index j) { return storage[static_cast<std::size_t>(i * cols + j)]; }
  const T& operator()(Index i, Index j) const { return storage[static_cast<std::size_t>(i * cols + j)]; }
  [[nodiscard]] MatrixView<const T> view() const { return {storage.data(), rows, cols}; }
  [[nodiscard]] MatrixView<T> view() { return {storage.data(), rows, cols}; }
  [[nodiscard]] std::span<const T> row(Index i) const { return view().row(i); }
};

template <class T>
Rows<T> random_rows(Index rows, Index cols, std::uint64_t seed, double scale = 1) {
  Rows<T> matrix(rows, cols);
  const RandomStream random(seed, 0);
  for (std::size_t k = 0; k < matrix.storage.size(); ++k)
    matrix.storage[k] = static_cast<T>(scale * random.normal(static_cast<std::uint64_t>(k)));
  return matrix;
}

/// lambda I + (1/s) G^T G in its diagonal blocks.
template <class T>
Rows<long double> dense_fisher(const Rows<T>& G, long double lambda, long double s, Index block_size) {
  const Index d = G.cols;
  Rows<long double> F(d, d);
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) {
      long double sum = 0;
      for (Index k = 0; k < G.rows; ++k) sum += static_cast<long double>(G(k, i)) * static_cast<long double>(G(k, j));
      F(i, j) = i / block_size == j / block_size ? sum / s + (i == j ? lambda : 0) : 0;
    }
  return F;
}

/// The inverse of a positive definite matrix, by the method of Gauss and Jordan, and its log determinant.
inline Rows<long double> inverse_of(Rows<long double> A, long double& log_determinant) {
  const Index n = A.rows;
  Rows<long double> inverse(n, n);
  for (Index i = 0; i < n; ++i) inverse(i, i) = 1;
  log_determinant = 0;
  for (Index k = 0; k < n; ++k) {
    const long double pivot = A(k, k);
    log_determinant += std::log(pivot);
    for (Index j = 0; j < n; ++j) {
      A(k, j) /= pivot;
      inverse(k, j) /= pivot;
    }
    for (Index i = 0; i < n; ++i) {
      if (i == k) continue;
      const long double factor = A(i, k);
      for (Index j = 0; j < n; ++j) {
        A(i, j) -= factor * A(k, j);
        inverse(i, j) -= factor * inverse(k, j);
      }
    }
  }
  return inverse;
}

template <class T>
Vector times(const Rows<long double>& A, std::span<const T> x) {
  Vector y(static_cast<std::size_t>(A.rows), 0.0L);
  for (Index i = 0; i < A.rows; ++i)
    for (Index j = 0; j < A.cols; ++j)
      y[static_cast<std::size_t>(i)] += A(i, j) * static_cast<long double>(x[static_cast<std::size_t>(j)]);
  return y;
}

template <class Numbers>
long double norm(const Numbers& x) {
  long double sum = 0;
  for (const auto entry : x) sum += static_cast<long double>(entry) * static_cast<long double>(entry);
  return std::sqrt(sum);
}

template <class Numbers>
long double distance(const Numbers& x, const Vector& y) {
  long double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    sum += (static_cast<long double>(x[i]) - y[i]) * (static_cast<long double>(x[i]) - y[i]);
  return std::sqrt(sum);
}

}  // namespace nearlinear::test
