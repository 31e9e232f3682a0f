#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "linalg/factors.hpp"
#include "nearlinear/linalg/cholesky.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

template <class T>
void check_cholesky(const Matrix<T>& A) {
  Matrix<T> L = A;
  CHECK(cholesky(L.view()) == 0);
  CHECK(upper_is_untouched(L));
  CHECK(is_factor_of(L, A));
}

template <class T>
void check_cholesky_of_all_sizes() {
  for (const Index n : {0, 1, 2, 3, 17, 64, 127, 128, 129, 255, 257, 300, 700})
    check_cholesky(with_condition<T>(n, 100, static_cast<std::uint64_t>(n), n % 3));
}

/// |A x - b| <= gamma_{3n+3} |L| |L^T| |x|  (Higham, theorem 10.4).
template <class T>
void check_cholesky_solve(Index n, Index width, long double condition) {
  const Matrix<T> A = with_condition<T>(n, condition, 30, 1), B = random_matrix<T>(n, width, 31, 1);
  Matrix<T> factor = A;
  CHECK(cholesky(factor.view()) == 0);
  const Matrix<T>& L = factor;
  Matrix<T> X = B;
  cholesky_solve(L.view(), X.view());
  CHECK(X.gaps_are_untouched());
  bool right = true;
  for (Index w = 0; w < width; ++w) {
    std::vector<long double> inner(static_cast<std::size_t>(n));  // |L^T| |x|
    for (Index i = 0; i < n; ++i)
      for (Index k = i; k < n; ++k) inner[static_cast<std::size_t>(i)] += std::abs(wide(L(k, i)) * wide(X(k, w)));
    for (Index i = 0; i < n; ++i) {
      long double sum = 0, bound = 0;
      for (Index k = 0; k < n; ++k) sum += wide(i >= k ? A(i, k) : A(k, i)) * wide(X(k, w));
      for (Index k = 0; k <= i; ++k) bound += std::abs(wide(L(i, k))) * inner[static_cast<std::size_t>(k)];
      right = right && std::abs(sum - wide(B(i, w))) <= test::gamma<T>(3 * n + 3) * bound;
    }
  }
  CHECK(right);
}

/// |A X - I| <= c n u condition, c a small constant.
template <class T>
void check_cholesky_inverse(Index n, long double condition) {
  const Matrix<T> A = with_condition<T>(n, condition, 40, 2);
  Matrix<T> X = A;
  CHECK(cholesky(X.view()) == 0);
  cholesky_inverse(X.view());
  bool symmetric = X.gaps_are_untouched(), right = true;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) symmetric = symmetric && X(i, j) == X(j, i);
  for (Index i = 0; i < n; i += 1 + n / 50)
    for (Index j = 0; j < n; j += 1 + n / 40) {
      long double sum = i == j ? -1 : 0;
      for (Index k = 0; k < n; ++k) sum += wide(i >= k ? A(i, k) : A(k, i)) * wide(X(k, j));
      right = right && std::abs(sum) <= 8 * test::gamma<T>(n + 8) * condition;
    }
  CHECK(symmetric);
  CHECK(right);
}

/// A matrix that fails at the leading minor of order k, and not before.
template <class T>
void check_status(Index n, Index k) {
  for (const T bad : {T{-3}, T{0}, not_a_number<T>, std::numeric_limits<T>::infinity()}) {
    Matrix<T> A = with_condition<T>(n, 10, 70, 1);
    A(k - 1, k - 1) = bad;
    CHECK(cholesky(A.view()) == k);
    CHECK(upper_is_untouched(A));
  }
  if (k == 1) return;
  Matrix<T> A = with_condition<T>(n, 10, 71);
  A(k - 1, k / 2) = not_a_number<T>;
  CHECK(k / 2 == k - 1 || cholesky(A.view()) == k);
}

}  // namespace

TEST("cholesky gives a factor within Higham's bound, of every size") {
  check_cholesky_of_all_sizes<float>();
  check_cholesky_of_all_sizes<double>();
}

TEST("cholesky gives a factor within Higham's bound, of every condition that it can have") {
  for (const long double condition : {1.0L, 1e3L, 1e6L, 1e9L, 1e12L})
    check_cholesky(with_condition<double>(300, condition, 1));
  for (const long double condition : {1.0L, 1e2L, 1e4L}) check_cholesky(with_condition<float>(300, condition, 2));
  // Beyond: it may fail, but not be wrong.
  for (const std::uint64_t seed : {3, 4, 5, 6}) {
    const Matrix<double> A = with_condition<double>(300, 1e17L, seed);
    Matrix<double> L = A;
    CHECK(cholesky(L.view()) != 0 || is_factor_of(L, A));
  }
}

TEST("cholesky does not mind a matrix that is badly scaled") {
  Matrix<double> A = with_condition<double>(300, 10, 7);
  for (Index i = 0; i < 300; ++i)
    for (Index j = 0; j <= i; ++j) A(i, j) *= std::exp2(static_cast<double>(-(i * 7 % 300) - (j * 7 % 300)) / 4);
  check_cholesky(A);
}

TEST("cholesky tells the first leading minor that is not positive definite") {
  for (const Index n : {1, 2, 5, 130, 300, 700})
    for (const Index k : {Index{1}, n / 2 + 1, n}) {
      check_status<float>(n, k);
      check_status<double>(n, k);
    }
}

TEST("cholesky of NaN everywhere ends") {
  for (const Index n : {1, 100, 300}) {
    Matrix<double> A(n, n);
    std::fill_n(A.view().data(), n * n, not_a_number<double>);
    CHECK(cholesky(A.view()) == 1);
  }
}

TEST("cholesky_solve is within Higham's bound, whatever the condition") {
  for (const Index n : {1, 3, 129, 300})
    for (const Index width : {1, 5}) {
      check_cholesky_solve<float>(n, width, 1e3L);
      check_cholesky_solve<double>(n, width, 10);
      check_cholesky_solve<double>(n, width, 1e12L);
    }
}

TEST("cholesky_inverse gives a symmetric inverse") {
  for (const Index n : {1, 2, 3, 127, 128, 129, 300, 700}) {
    check_cholesky_inverse<float>(n, 100);
    check_cholesky_inverse<double>(n, 100);
    check_cholesky_inverse<double>(n, 1e8L);
  }
  check_cholesky_inverse<double>(1100, 10);  // above the depth of a step
}

TEST("cholesky of a condition up to 1e14 succeeds or says that it does not") {
  for (const Index n : {5, 60, 300})
    for (const long double condition : {1.0L, 1e4L, 1e8L, 1e12L, 1e14L}) {
      const Matrix<double> A = with_condition<double>(n, condition, 8);
      Matrix<double> L = A;
      const Index status = cholesky(L.view());
      CHECK(status == 0 || condition > 1e12L);  // theorem 10.7: it succeeds while n gamma_{n+1} condition < 1
      CHECK(status != 0 || is_factor_of(L, A));
      if (status == 0) check_cholesky_solve<double>(n, 3, condition);
    }
}

TEST("cholesky of rank one stops at the second row") {
  for (const Index n : {2, 3, 128, 129, 300}) {
    Matrix<double> A(n, n);
    std::fill_n(A.view().data(), n * n, 1.0);
    CHECK(cholesky(A.view()) == 2);
    std::fill_n(A.view().data(), n * n, 0.0);
    CHECK(cholesky(A.view()) == 1);
  }
}

TEST("cholesky of a diagonal of subnormal and of the largest numbers is exact") {
  for (const int exponent : {-1074, -1060, -1022, 0, 1022})
    for (const Index n : {1, 3, 130, 300}) {
      Matrix<double> A(n, n);
      std::fill_n(A.view().data(), n * n, 0.0);
      for (Index i = 0; i < n; ++i) A(i, i) = std::ldexp(1.0, exponent);
      CHECK(cholesky(A.view()) == 0);
      bool exact = true;
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j <= i; ++j) exact = exact && A(i, j) == (i == j ? std::ldexp(1.0, exponent / 2) : 0.0);
      CHECK(exact);
    }
}
