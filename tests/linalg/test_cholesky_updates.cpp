#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "linalg/factors.hpp"
#include "nearlinear/linalg/cholesky.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

/// Whether L L^T is `expected` up to `steps` times the error of n rotations on each row, whose norm is the square root
/// of the matrix's diagonal: gamma_{8n} sqrt(a_ii a_jj).
template <class T, class Expected>
bool is_updated_factor(const Matrix<T>& L, Index steps, const Expected& expected) {
  const Index n = L.rows();
  bool right = true;
  for (Index i = 0; i < n; i += 1 + n / 200)
    for (Index j = 0; j <= i; j += 1 + n / 150) {
      long double sum = 0;
      for (Index k = 0; k <= j; ++k) sum += wide(L(i, k)) * wide(L(j, k));
      const long double scale = std::sqrt(expected(i, i) * expected(j, j));
      right = right && std::abs(sum - expected(i, j)) <= wide(steps) * test::gamma<T>(8 * n + 8) * scale;
    }
  return right;
}

/// The largest difference of two lower triangles.
template <class T>
long double distance(const Matrix<T>& L, const Matrix<T>& M) {
  long double largest = 0;
  for (Index i = 0; i < L.rows(); ++i)
    for (Index j = 0; j <= i; ++j) largest = std::max(largest, std::abs(wide(L(i, j)) - wide(M(i, j))));
  return largest;
}

template <class T>
void check_update(Index n, long double condition) {
  const Matrix<T> A = with_condition<T>(n, condition, 50, 2), x = random_matrix<T>(1, n, 51);
  Matrix<T> L = A;
  CHECK(cholesky(L.view()) == 0);
  std::vector<T> work = x.storage();
  CHECK(cholesky_update<T>(L.view(), work) == 0);
  CHECK(upper_is_untouched(L));
  CHECK(is_updated_factor(L, 2, [&](Index i, Index j) { return wide(A(i, j)) + wide(x(0, i)) * wide(x(0, j)); }));

  // A factor is as sensitive as its matrix is ill conditioned: |dL| / |L| <= condition |dA| / |A| to first order.
  Matrix<T> fresh = A;
  long double norm = 1;
  for (Index i = 0; i < n; ++i) {
    norm += wide(x(0, i)) * wide(x(0, i));
    for (Index j = 0; j <= i; ++j) fresh(i, j) += x(0, i) * x(0, j);
  }
  CHECK(cholesky(fresh.view()) == 0);
  CHECK(distance(L, fresh) <= test::gamma<T>(8 * n + 8) * norm * condition * std::sqrt(norm));
}

/// Slides a window of n rows and columns along the diagonal of M, `steps` times.
template <class T>
void check_slides(const Matrix<T>& M, Index steps) {
  const Index n = M.rows() - steps;
  Matrix<T> L(n, n, 2);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) L(i, j) = M(i, j);
  CHECK(cholesky(L.view()) == 0);
  for (Index step = 1; step <= steps; ++step) {
    std::vector<T> last_row;
    for (Index j = 0; j < n; ++j) last_row.push_back(M(n + step - 1, step + j));
    CHECK(cholesky_slide<T>(L.view(), last_row) == 0);
  }
  CHECK(upper_is_untouched(L));
  CHECK(is_updated_factor(L, 1 + steps, [&](Index i, Index j) { return wide(M(steps + i, steps + j)); }));
}

}  // namespace

TEST("cholesky_update gives the factor of the changed matrix") {
  for (const Index n : {1, 2, 3, 7, 8, 15, 16, 17, 127, 300, 511, 512, 513, 700}) {
    check_update<float>(n, 10);
    check_update<double>(n, 10);
    check_update<double>(n, 1e10L);
  }
}

TEST("cholesky_update by zero changes nothing but roundings, and of a zero column finds the pivot") {
  Matrix<double> L = triangular<double>(20, Triangle::lower, 52);
  const Matrix<double> before = L;
  std::vector<double> x(20);
  CHECK(cholesky_update<double>(L.view(), x) == 0);
  CHECK(distance(L, before) == 0);
  L(13, 13) = 0;
  CHECK(cholesky_update<double>(L.view(), x) == 14);
  x.assign(20, 0.0);
  x[4] = not_a_number<double>;
  L = before;
  CHECK(cholesky_update<double>(L.view(), x) == 5);
}

TEST("cholesky_slide gives the factor of the window that slid") {
  for (const Index n : {1, 2, 3, 8, 17, 64, 65, 127, 300, 513, 514, 700}) {
    check_slides(with_condition<float>(n + 1, 10, 80), 1);
    check_slides(with_condition<double>(n + 1, 10, 81), 1);
    check_slides(with_condition<double>(n + 1, 1e10L, 82), 1);
  }
  check_slides(with_condition<double>(840, 1e6L, 83), 800);
  check_slides(with_condition<float>(340, 1e2L, 84), 300);
}

TEST("cholesky_slide onto an indefinite matrix keeps the factor of what stays") {
  const Index n = 40;
  const Matrix<double> M = with_condition<double>(n + 1, 100, 85);
  for (const double diagonal : {-1.0, 0.0, not_a_number<double>}) {
    Matrix<double> L(n, n, 1);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) L(i, j) = M(i, j);
    CHECK(cholesky(L.view()) == 0);
    std::vector<double> last_row(n, 0.25);
    last_row.back() = diagonal;
    CHECK(cholesky_slide<double>(L.view(), last_row) == n);
    Matrix<double> kept(n - 1, n - 1), expected(n - 1, n - 1);
    for (Index i = 0; i < n - 1; ++i)
      for (Index j = 0; j < n - 1; ++j) {
        kept(i, j) = L(i, j);
        expected(i, j) = M(i + 1, j + 1);
      }
    CHECK(is_updated_factor(kept, 2, [&](Index i, Index j) { return wide(expected(i, j)); }));
  }
}

TEST("cholesky_slide of one row and column takes the new number alone") {
  double l = 3;
  CHECK(cholesky_slide<double>(MatrixView<double>(&l, 1, 1), std::vector<double>{16}) == 0);
  CHECK(l == 4);
  CHECK(cholesky_slide<double>(MatrixView<double>(&l, 1, 1), std::vector<double>{-1}) == 1);
}

TEST("cholesky_update neither overflows nor underflows where the factor does not") {
  for (const int exponent : {-1070, -600, 600, 1020})
    for (const Index n : {1, 4, 20}) {
      const double unit = std::ldexp(1.0, exponent);
      Matrix<double> L(n, n);
      std::fill_n(L.view().data(), n * n, 0.0);
      for (Index i = 0; i < n; ++i) L(i, i) = 3 * unit;
      std::vector<double> x(static_cast<std::size_t>(n));
      x[0] = 4 * unit;
      CHECK(cholesky_update<double>(L.view(), x) == 0);
      CHECK(L(0, 0) == 5 * unit && (n == 1 || L(n - 1, n - 1) == 3 * unit));
    }
}

TEST("cholesky_update by infinity finds the pivot") {
  Matrix<float> L = triangular<float>(9, Triangle::lower, 53);
  std::vector<float> x(9);
  x[6] = std::numeric_limits<float>::infinity();
  CHECK(cholesky_update<float>(L.view(), x) == 7);
}
