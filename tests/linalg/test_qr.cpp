#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "linalg/spectra.hpp"
#include "nearlinear/linalg/qr.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

namespace {

using Columns = std::vector<std::vector<long double>>;

constexpr std::array methods{QrMethod::automatic, QrMethod::cholesky, QrMethod::tall_skinny, QrMethod::householder};

template <class T>
Columns columns(const Matrix<T>& A) {
  Columns wide(static_cast<std::size_t>(A.cols()), std::vector<long double>(static_cast<std::size_t>(A.rows())));
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j)
      wide[static_cast<std::size_t>(j)][static_cast<std::size_t>(i)] = static_cast<long double>(A(i, j));
  return wide;
}

long double dot(const std::vector<long double>& x, const std::vector<long double>& y) {
  long double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

long double norm(const std::vector<long double>& x) {
  long double largest = 0, sum = 0;
  for (const long double entry : x) largest = std::max(largest, std::abs(entry));
  if (largest == 0) return 0;
  for (const long double entry : x) sum += entry / largest * (entry / largest);
  return largest * std::sqrt(sum);
}

/// Householder's method as in the textbook (Golub and Van Loan, algorithm 5.2.1), in long double: the first d entries
/// of every column of (A, B) become those of (R, Q^T B), with a diagonal >= 0.
Columns reference(Columns columns, std::size_t d) {
  for (std::size_t j = 0; j < d; ++j) {
    std::vector<long double> v(columns[j].begin() + static_cast<std::ptrdiff_t>(j), columns[j].end());
    const long double length = norm(v);
    if (length == 0) continue;
    for (long double& entry : v) entry /= length;
    v[0] += std::copysign(1.0L, v[0]);
    const long double square_norm = dot(v, v);
    for (std::size_t l = j; l < columns.size(); ++l) {
      long double sum = 0;
      for (std::size_t i = 0; i < v.size(); ++i) sum += v[i] * columns[l][i + j];
      for (std::size_t i = 0; i < v.size(); ++i) columns[l][i + j] -= 2 * sum / square_norm * v[i];
    }
    if (columns[j][j] < 0)
      for (std::size_t l = j; l < columns.size(); ++l) columns[l][j] = -columns[l][j];
  }
  return columns;
}

/// n x d with singular values from 1 down to 1 / condition in equal ratios.
template <class T>
Matrix<T> with_condition(Index n, Index d, long double condition, std::uint64_t seed) {
  std::vector<long double> values;
  for (Index j = 0; j < d; ++j)
    values.push_back(std::pow(condition, -static_cast<long double>(j) / static_cast<long double>(d - 1)));
  return test::with_singular_values<T>(n, d, values, seed);
}

/// c n d with a small constant c, the order of the bounds of Higham's theorem 19.4.
template <class T>
long double bound(const Matrix<T>& A) {
  return test::gamma<T>(8 * A.rows() * A.cols());
}

template <class T>
bool is_upper_with_positive_diagonal(const Matrix<T>& R) {
  bool right = R.gaps_are_untouched();
  for (Index i = 0; i < R.rows(); ++i)
    for (Index j = 0; j <= i; ++j) right = right && (i == j ? R(i, i) >= T{0} : R(i, j) == T{0});
  return right;
}

std::vector<long double> norms(const Columns& columns) {
  std::vector<long double> result;
  for (const auto& column : columns) result.push_back(norm(column));
  return result;
}

/// (R, C)^T R = (A, B)^T A, up to what backward errors of A and B do to the right side.
template <class T>
bool has_the_products(const Matrix<T>& A, const Matrix<T>& R) {
  const Columns a = columns(A), r = columns(R);
  const std::vector<long double> sizes = norms(a);
  bool right = true;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j <= i; ++j)
      right = right && std::abs(dot(a[i], a[j]) - dot(r[i], r[j])) <= 3 * bound(A) * sizes[i] * sizes[j];
  return right;
}

/// A = Q R and Q^T Q = I, for any A.
template <class T>
void check_thin(const Matrix<T>& A, QrMethod method) {
  const Index n = A.rows(), d = A.cols();
  Matrix<T> Q(n, d, 2), R(d, d, 1);
  const QrMethod used = qr_thin(A.view(), Q.view(), R.view(), method);
  CHECK(used != QrMethod::automatic);
  CHECK(Q.gaps_are_untouched());
  CHECK(is_upper_with_positive_diagonal(R));
  const Columns a = columns(A), q = columns(Q), r = columns(R);
  for (std::size_t j = 0; j < a.size(); ++j) {
    std::vector<long double> residual = a[j];
    for (std::size_t k = 0; k <= j; ++k)
      for (std::size_t i = 0; i < residual.size(); ++i) residual[i] -= q[k][i] * r[j][k];
    // Of a cholesky, the bound is one for the matrix; it is the column's where columns have one size, as here.
    CHECK(norm(residual) <= bound(A) * norm(a[j]) + std::numeric_limits<T>::denorm_min() * static_cast<T>(4 * n));
    for (std::size_t k = 0; k <= j; ++k) CHECK(std::abs(dot(q[j], q[k]) - (j == k ? 1 : 0)) <= bound(A));
  }
}

/// R and C of all functions against the definitions; and, as far as the condition of A lets it be, the reference.
template <class T>
void check_all(const Matrix<T>& A, QrMethod method, long double condition = INFINITY, Index rhs = 3) {
  const Index n = A.rows(), d = A.cols();
  const Matrix<T> B = random_matrix<T>(n, rhs, 99, 1);
  Matrix<T> R(d, d, 3), R2(d, d), C(d, rhs, 2);
  const QrMethod used = qr(A.view(), R.view(), method);
  CHECK(used != QrMethod::automatic);
  CHECK(is_upper_with_positive_diagonal(R));
  CHECK(has_the_products(A, R));
  CHECK(qr_multiply(A.view(), B.view(), R2.view(), C.view(), method) == used);
  CHECK(C.gaps_are_untouched());
  CHECK(is_upper_with_positive_diagonal(R2));
  const Columns a = columns(A), b = columns(B), r1 = columns(R), r = columns(R2), c = columns(C);
  const std::vector<long double> a_norms = norms(a), b_norms = norms(b);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b.size(); ++j)
      CHECK(std::abs(dot(a[i], b[j]) - dot(r[i], c[j])) <= 3 * bound(A) * a_norms[i] * b_norms[j]);

  Columns both = a;
  both.insert(both.end(), b.begin(), b.end());
  const Columns exact = reference(both, a.size());
  // |dR|_F <= sqrt(2) kappa |dA|_F to first order (Stewart 1977; Higham, theorem 19.11): small where the product is.
  const long double relative = 4 * condition * bound(A) * std::sqrt(static_cast<long double>(d));
  if (!(relative < 0.01L)) return;
  const long double size =
      a.empty() ? 0 : *std::ranges::max_element(a_norms) * std::sqrt(static_cast<long double>(d));  // at least |A|_F
  for (std::size_t j = 0; j < a.size(); ++j)
    for (std::size_t i = 0; i <= j; ++i) {
      CHECK(std::abs(r1[j][i] - exact[j][i]) <= relative * size);
      CHECK(std::abs(r[j][i] - exact[j][i]) <= relative * size);
    }
  for (std::size_t j = 0; j < b.size(); ++j)
    for (std::size_t i = 0; i < a.size(); ++i)
      CHECK(std::abs(c[j][i] - exact[a.size() + j][i]) <= relative * b_norms[j]);
}

}  // namespace

TEST("qr of random matrices of all shapes, by every method") {
  const RandomStream random(5, 0);
  for (std::uint64_t instance = 0; instance < 200; ++instance) {
    const auto d = static_cast<Index>(random.uniform(2 * instance) * random.uniform(2 * instance) * 90);
    const auto n = d + static_cast<Index>(random.uniform(2 * instance + 1) * 120);
    const QrMethod method = methods[instance % methods.size()];
    check_all(random_matrix<double>(n, d, instance, instance % 3), method);
    check_thin(random_matrix<double>(n, d, instance, instance % 3), method);
    if (instance % 4 == 0) check_all(random_matrix<float>(n, d, instance), methods[instance / 4 % methods.size()]);
    if (instance % 4 == 1) check_thin(random_matrix<float>(n, d, instance), methods[instance / 4 % methods.size()]);
  }
}

TEST("qr is as accurate as the condition allows, up to 1e14") {
  for (const long double condition : {1.0L, 1e2L, 1e4L, 1e6L, 1e7L, 1e8L, 1e10L, 1e12L, 1e14L})
    for (const QrMethod method : methods) {
      check_all(with_condition<double>(300, 20, condition, 3), method, condition);
      check_all(with_condition<double>(1100, 7, condition, 4), method, condition);
      check_thin(with_condition<double>(300, 20, condition, 3), method);
      check_all(with_condition<float>(300, 20, condition, 3), method, condition);
      check_thin(with_condition<float>(300, 20, condition, 3), method);
    }
}

TEST("CholeskyQR2 is used while it is safe, and no longer") {
  Matrix<double> Q(2000, 10), R(10, 10);
  const auto used = [&](long double condition) {
    return qr_thin<double>(with_condition<double>(2000, 10, condition, 1).view(), Q.view(), R.view(),
                           QrMethod::cholesky);
  };
  CHECK(used(1) == QrMethod::cholesky);
  CHECK(used(1e6L) == QrMethod::cholesky);
  CHECK(used(1e9L) == QrMethod::householder);
  CHECK(used(1e14L) == QrMethod::householder);
}

TEST("CholeskyQR2 is not used where a pivot has lost its digits, although the factorisation succeeds") {
  const auto used = [](double epsilon) {  // of Laeuchli's matrix: 1 + epsilon^2 has to keep epsilon
    Matrix<double> A(40, 2), Q(40, 2), R(2, 2);
    for (Index i = 0; i < 40; ++i)
      for (Index j = 0; j < 2; ++j) A(i, j) = i == 0 ? 1 : i == j + 1 ? epsilon : 0;
    check_thin(A, QrMethod::cholesky);
    return qr_thin<double>(std::as_const(A).view(), Q.view(), R.view(), QrMethod::cholesky);
  };
  CHECK(used(1e-6) == QrMethod::cholesky);
  CHECK(used(2e-8) == QrMethod::householder);
}

TEST("TSQR is used for matrices that are tall enough, and merges its groups") {
  const auto method_for = [](Index n, Index d) {
    Matrix<double> R(d, d);
    return qr<double>(random_matrix<double>(n, d, 8).view(), R.view(), QrMethod::tall_skinny);
  };
  CHECK(method_for(5000, 40) == QrMethod::tall_skinny);
  CHECK(method_for(3000, 40) == QrMethod::householder);
  for (const auto& [n, d] : {std::pair<Index, Index>{5000, 40}, {50000, 3}, {131072, 1}, {3000, 70}}) {
    CHECK(method_for(n, d) == QrMethod::tall_skinny);
    check_all(random_matrix<double>(n, d, 8), QrMethod::tall_skinny, 10, 2);
  }
}

TEST("qr of adversarial matrices") {
  const auto check_by_all = [](const Matrix<double>& A) {
    for (const QrMethod method : methods) {
      check_all(A, method);
      check_thin(A, method);
    }
  };
  const auto make = [](Index n, Index d, auto entry) {
    Matrix<double> A(n, d, 1);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < d; ++j) A(i, j) = entry(i, j);
    return A;
  };
  const auto noise = [](Index i, Index j) { return RandomStream(1, 1).normal(static_cast<std::uint64_t>(50 * i + j)); };
  check_by_all(Matrix<double>(0, 0));
  check_by_all(Matrix<double>(5, 0));
  check_by_all(make(1, 1, [](Index, Index) { return -3.0; }));
  check_by_all(make(1, 1, [](Index, Index) { return 0.0; }));
  check_by_all(make(30, 1, noise));
  check_by_all(make(40, 40, noise));
  check_by_all(make(130, 129, noise));                                                      // two panels and one column
  check_by_all(make(50, 6, [](Index, Index) { return 0.0; }));                              // zero
  check_by_all(make(50, 6, [&](Index i, Index j) { return j == 2 ? 0.0 : noise(i, j); }));  // a zero column
  check_by_all(make(50, 6, [&](Index i, Index j) { return noise(i, j / 2); }));             // columns twice
  check_by_all(make(50, 6, [&](Index i, Index j) { return noise(i, 0) * noise(0, j); }));   // of rank 1
  check_by_all(make(50, 20, [&](Index i, Index j) { return i < 5 ? noise(i, j) : 0.0; }));  // zero rows, of rank 5
  check_by_all(make(50, 6, [&](Index i, Index j) { return i < 44 ? 0.0 : noise(i, j); }));  // its top is zero
  check_by_all(make(50, 6, [](Index, Index) { return 1.0; }));
  check_by_all(make(50, 6, [](Index i, Index j) { return i > j ? 0.0 : -1.0 - 0.1 * static_cast<double>(i); }));
  check_by_all(make(50, 20, [](Index i, Index j) { return 1.0 / static_cast<double>(i + j + 1); }));      // Hilbert
  check_by_all(make(50, 6, [&](Index i, Index j) { return i == 0 ? 1.0 : i == j + 1 ? 1e-9 : 0.0; }));    // Lauchli
  check_by_all(make(60, 12, [](Index i, Index j) { return std::pow(static_cast<double>(i) / 60, j); }));  // Vandermonde
  check_by_all(
      make(50, 6, [&](Index i, Index j) { return i == 7 ? 1e12 * noise(i, j) : noise(i, j); }));  // one huge row
  check_by_all(make(50, 6, [&](Index i, Index j) { return 1e200 * noise(i, j); }));
  check_by_all(make(50, 6, [&](Index i, Index j) { return 1e-200 * noise(i, j); }));
  check_by_all(make(50, 6, [&](Index i, Index j) { return 1e305 * noise(i, j); }));
  check_by_all(make(50, 6, [&](Index i, Index j) { return i == 0 && j == 0 ? 1e-300 : 1e-280 * noise(i, j); }));
}

TEST("the columns of a matrix may have any sizes") {
  // Norms from 1e-150 to 1e150: the bounds are those of each column, for every method but a cholesky.
  for (const QrMethod method : {QrMethod::tall_skinny, QrMethod::householder}) {
    Matrix<double> A = random_matrix<double>(60, 7, 2);
    for (Index i = 0; i < 60; ++i)
      for (Index j = 0; j < 7; ++j) A(i, j) *= std::pow(10.0, 50 * static_cast<double>(j) - 150);
    check_all(A, method);
    check_thin(A, method);
  }
}

TEST("qr of denormal numbers") {
  Matrix<double> A = random_matrix<double>(40, 5, 6), R(5, 5);
  for (Index i = 0; i < 40; ++i)
    for (Index j = 0; j < 5; ++j) A(i, j) *= 1e-312;
  for (const QrMethod method : methods) {
    qr<double>(A.view(), R.view(), method);
    const Columns exact = reference(columns(A), 5);
    for (Index i = 0; i < 5; ++i)
      for (Index j = i; j < 5; ++j)
        CHECK(std::abs(static_cast<long double>(R(i, j)) -
                       exact[static_cast<std::size_t>(j)][static_cast<std::size_t>(i)]) <= 400 * 4.95e-324L);
  }
}

TEST("NaN and infinity in a matrix are NaN in R") {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (const QrMethod method : methods) {
      Matrix<double> A = random_matrix<double>(3000, 4, 6), R(4, 4);
      A(1234, 1) = bad;
      qr<double>(A.view(), R.view(), method);
      CHECK(std::isnan(R(1, 1)) && std::isnan(R(3, 3)));
    }
}

TEST("qr has the same bits on any number of threads") {
  for (const auto& [n, d] : {std::pair<Index, Index>{30000, 30}, {900, 400}})
    for (const QrMethod method : methods) {
      const Matrix<double> A = random_matrix<double>(n, d, 4), B = random_matrix<double>(n, 2, 5);
      const auto run = [&](int threads) {
        Matrix<double> R(d, d), R2(d, d), C(d, 2), Q(n, d);
        std::vector<double> all;
        qr_multiply(A.view(), B.view(), R.view(), C.view(), method, {.n_threads = threads});
        qr_thin(A.view(), Q.view(), R2.view(), method, {.n_threads = threads});
        for (const Matrix<double>* one : {&R, &C, &Q, &R2})
          all.insert(all.end(), one->storage().begin(), one->storage().end());
        return all;
      };
      const std::vector<double> expected = run(1);
      CHECK(run(2) == expected);
      CHECK(run(4) == expected);
    }
}

TEST("qr can be stopped, and survives every allocation that fails") {
  const Matrix<double> A = random_matrix<double>(20000, 120, 4), small = random_matrix<double>(300, 30, 4);
  Matrix<double> R(120, 120), r(30, 30), q(300, 30);
  for (const QrMethod method : methods) {
    int polls = 0;
    CHECK_THROWS(qr(A.view(), R.view(), method, {.n_threads = 2, .keep_going = [&](double) { return ++polls < 2; }}),
                 interrupted, "");
    CHECK(check::count_survived_allocation_failures([&] { qr(small.view(), r.view(), method); }) > 0);
    CHECK(check::count_survived_allocation_failures([&] { qr_thin(small.view(), q.view(), r.view(), method); }) > 0);
  }
}

TEST("qr says what does not fit") {
  const Matrix<double> A = random_matrix<double>(5, 3, 1), wide = random_matrix<double>(3, 5, 1);
  Matrix<double> R(3, 3), R5(5, 5), C(3, 2), Q(5, 3), wrong(4, 2);
  CHECK_THROWS(qr(wide.view(), R5.view()), std::invalid_argument, "qr: A is 3 x 5");
  CHECK_THROWS(qr(A.view(), wrong.view()), std::invalid_argument, "R is 4 x 2");
  CHECK_THROWS(qr_thin(A.view(), wrong.view(), R.view()), std::invalid_argument, "Q is 4 x 2");
  CHECK_THROWS(qr_multiply<double>(A.view(), wrong.view(), R.view(), C.view()), std::invalid_argument, "B is 4 x 2");
  CHECK_THROWS(qr_multiply<double>(A.view(), Q.view(), R.view(), C.view()), std::invalid_argument, "C is 3 x 2");
  CHECK_THROWS(qr<double>({nullptr, 5, 3}, R.view()), std::invalid_argument, "A");
}
