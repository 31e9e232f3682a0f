/// Matrices with a given spectrum, and textbook decompositions in long double to hold results against.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "linalg/matrices.hpp"

namespace nearlinear::test {

using Wide = Matrix<long double>;

template <class T>
Wide widened(const Matrix<T>& A) {
  Wide wide(A.rows(), A.cols());
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) wide(i, j) = static_cast<long double>(A(i, j));
  return wide;
}

inline Wide transposed(const Wide& A) {
  Wide result(A.cols(), A.rows());
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) result(j, i) = A(i, j);
  return result;
}

template <class T>
long double frobenius(const Matrix<T>& A) {
  long double sum = 0;
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) sum += static_cast<long double>(A(i, j)) * static_cast<long double>(A(i, j));
  return std::sqrt(sum);
}

/// Singular values, descending, by one-sided Jacobi rotations (Golub and Van Loan, section 8.6.3), in long double.
inline std::vector<long double> reference_singular_values(Wide A) {
  if (A.cols() > A.rows()) A = transposed(A);
  const Index m = A.rows(), n = A.cols();
  // A column may be wrong by as much as the roundings of the largest are.
  const long double roundings = 4 * std::numeric_limits<long double>::epsilon() * frobenius(A);
  for (bool changed = true; changed;) {
    changed = false;
    for (Index p = 0; p < n; ++p)
      for (Index q = p + 1; q < n; ++q) {
        long double alpha = 0, beta = 0, gamma = 0;
        for (Index i = 0; i < m; ++i) {
          alpha += A(i, p) * A(i, p);
          beta += A(i, q) * A(i, q);
          gamma += A(i, p) * A(i, q);
        }
        if (std::abs(gamma) <= roundings * std::sqrt(std::max(alpha, beta))) continue;
        changed = true;
        const long double zeta = (beta - alpha) / (2 * gamma);
        const long double t = (zeta >= 0 ? 1 : -1) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const long double c = 1 / std::sqrt(1 + t * t), s = c * t;
        for (Index i = 0; i < m; ++i) {
          const long double x = A(i, p), y = A(i, q);
          A(i, p) = c * x - s * y;
          A(i, q) = s * x + c * y;
        }
      }
  }
  std::vector<long double> values;
  for (Index j = 0; j < n; ++j) {
    long double sum = 0;
    for (Index i = 0; i < m; ++i) sum += A(i, j) * A(i, j);
    values.push_back(std::sqrt(sum));
  }
  std::sort(values.rbegin(), values.rend());
  return values;
}

/// Eigenvalues, ascending, of the symmetric matrix A by Jacobi's method (Golub and Van Loan, section 8.5).
inline std::vector<long double> reference_eigenvalues(Wide A) {
  const Index n = A.rows();
  const long double smallest = 4 * std::numeric_limits<long double>::epsilon() * frobenius(A);
  for (bool changed = true; changed;) {
    changed = false;
    for (Index p = 0; p < n; ++p)
      for (Index q = p + 1; q < n; ++q) {
        if (std::abs(A(p, q)) <= smallest) continue;
        changed = true;
        const long double tau = (A(q, q) - A(p, p)) / (2 * A(p, q));
        const long double t = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::sqrt(1 + tau * tau));
        const long double c = 1 / std::sqrt(1 + t * t), s = c * t;
        for (Index k = 0; k < n; ++k) {
          const long double x = A(k, p), y = A(k, q);
          A(k, p) = c * x - s * y;
          A(k, q) = s * x + c * y;
        }
        for (Index k = 0; k < n; ++k) {
          const long double x = A(p, k), y = A(q, k);
          A(p, k) = c * x - s * y;
          A(q, k) = s * x + c * y;
        }
      }
  }
  std::vector<long double> values;
  for (Index i = 0; i < n; ++i) values.push_back(A(i, i));
  std::sort(values.begin(), values.end());
  return values;
}

/// A <- H A with a reflection H drawn at random.
inline void reflect_rows(Wide& A, std::uint64_t seed) {
  const Matrix<double> v = random_matrix<double>(1, A.rows(), seed);
  long double norm = 0;
  for (Index i = 0; i < A.rows(); ++i) norm += static_cast<long double>(v(0, i)) * static_cast<long double>(v(0, i));
  for (Index j = 0; j < A.cols(); ++j) {
    long double sum = 0;
    for (Index i = 0; i < A.rows(); ++i) sum += static_cast<long double>(v(0, i)) * A(i, j);
    for (Index i = 0; i < A.rows(); ++i) A(i, j) -= 2 * static_cast<long double>(v(0, i)) * sum / norm;
  }
}

/// The m x n matrix H_2 H_1 diag(s) H_3 H_4 with random reflections, rounded to T.
template <class T>
Matrix<T> with_singular_values(Index m, Index n, const std::vector<long double>& s, std::uint64_t seed,
                               Index gaps = 0) {
  Wide A(m, n);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) A(i, j) = i == j && i < std::ssize(s) ? s[static_cast<std::size_t>(i)] : 0;
  for (const std::uint64_t k : {1, 2})
    if (m > 1) reflect_rows(A, 10 * seed + k);
  A = transposed(A);
  for (const std::uint64_t k : {3, 4})
    if (n > 1) reflect_rows(A, 10 * seed + k);
  Matrix<T> rounded(m, n, gaps);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) rounded(i, j) = static_cast<T>(A(j, i));
  return rounded;
}

/// |U^T U - I|_F
template <class T>
long double orthogonality(const Matrix<T>& U) {
  long double squares = 0;
  for (Index i = 0; i < U.cols(); ++i)
    for (Index j = 0; j < U.cols(); ++j) {
      long double sum = i == j ? -1 : 0;
      for (Index k = 0; k < U.rows(); ++k) sum += static_cast<long double>(U(k, i)) * static_cast<long double>(U(k, j));
      squares += sum * sum;
    }
  return std::sqrt(squares);
}

/// |A - U diag(s) V^T|_F
template <class T>
long double residual(const Matrix<T>& A, const Matrix<T>& U, const std::vector<T>& s, const Matrix<T>& V) {
  long double squares = 0;
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) {
      long double sum = static_cast<long double>(A(i, j));
      for (Index k = 0; k < std::ssize(s); ++k)
        sum -= static_cast<long double>(U(i, k)) * static_cast<long double>(s[static_cast<std::size_t>(k)]) *
               static_cast<long double>(V(j, k));
      squares += sum * sum;
    }
  return std::sqrt(squares);
}

template <class T>
bool signs_are_fixed(const Matrix<T>& U) {
  for (Index j = 0; j < U.cols(); ++j) {
    T largest = 0;
    for (Index i = 0; i < U.rows(); ++i)
      if (std::abs(U(i, j)) > std::abs(largest)) largest = U(i, j);
    if (!(largest > 0)) return false;
  }
  return true;
}

template <class T>
Matrix<T> copied(MatrixView<T> view) {
  Matrix<T> matrix(view.rows(), view.cols());
  for (Index i = 0; i < view.rows(); ++i)
    for (Index j = 0; j < view.cols(); ++j) matrix(i, j) = view(i, j);
  return matrix;
}

}  // namespace nearlinear::test
