#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/linalg/cholesky.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

namespace {

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

/// |op(L) x - b| <= gamma_{n+1} |op(L)| |x| for every column of X, or every row of it (Higham, theorem 8.5).
template <class T>
bool solves(const Matrix<T>& L, Triangle triangle, Transpose op, bool from_right, const Matrix<T>& X,
            const Matrix<T>& B) {
  const Index n = L.rows(), width = from_right ? B.rows() : B.cols();
  bool right = true;
  for (Index w = 0; w < width; w += 1 + width / 20)
    for (Index i = 0; i < n; ++i) {
      // Row i of op(L) or, from the right, column i of it.
      const bool by_rows = (op == Transpose::no) != from_right;
      const bool ends_at_diagonal = (triangle == Triangle::lower) == by_rows;
      long double sum = 0, absolute = 0;
      for (Index k = ends_at_diagonal ? 0 : i; k < (ends_at_diagonal ? i + 1 : n); ++k) {
        const long double product = wide(by_rows ? L(i, k) : L(k, i)) * wide(from_right ? X(w, k) : X(k, w));
        sum += product;
        absolute += std::abs(product);
      }
      right = right && std::abs(sum - wide(from_right ? B(w, i) : B(i, w))) <= test::gamma<T>(n + 1) * absolute;
    }
  return right;
}

template <class T>
void check_triangular_solve(Index n, Index width) {
  for (const Triangle triangle : {Triangle::lower, Triangle::upper})
    for (const Transpose op : {Transpose::no, Transpose::yes}) {
      const Matrix<T> L = triangular<T>(n, triangle, 20);
      const Matrix<T> left = random_matrix<T>(n, width, 21, 2), right = random_matrix<T>(width, n, 22, 2);
      Matrix<T> X = left;
      triangular_solve(triangle, op, L.view(), X.view());
      CHECK(solves(L, triangle, op, false, X, left) && X.gaps_are_untouched());
      Matrix<T> Y = right;
      triangular_solve_right(triangle, op, L.view(), Y.view());
      CHECK(solves(L, triangle, op, true, Y, right) && Y.gaps_are_untouched());
    }
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

template <class T>
bool same_bits_on_any_threads() {
  const Matrix<T> A = with_condition<T>(700, 50, 60), big = triangular<T>(2700, Triangle::lower, 61);
  const Matrix<T> B = random_matrix<T>(700, 600, 62), x = random_matrix<T>(1, 2700, 63);
  const auto run_all = [&](int threads) {
    const RunOptions run{.n_threads = threads};
    Matrix<T> factor = A, U = big, S = big, X = B, Y = B, R(600, 700);
    std::vector<T> work = x.storage(), last_row = x.storage();
    last_row.back() = T{1e6};
    CHECK(cholesky(factor.view(), run) == 0);
    const Matrix<T>& L = factor;
    triangular_solve(Triangle::lower, Transpose::yes, L.view(), X.view(), run);
    for (Index i = 0; i < 600; ++i)
      for (Index j = 0; j < 700; ++j) R(i, j) = B(j, i);
    triangular_solve_right(Triangle::lower, Transpose::no, L.view(), R.view(), run);
    cholesky_solve(L.view(), Y.view(), run);
    Matrix<T> inverse = factor;
    cholesky_inverse(inverse.view(), run);
    CHECK(cholesky_update<T>(U.view(), work, run) == 0);
    CHECK(cholesky_slide<T>(S.view(), last_row, run) == 0);
    std::vector<T> all;
    for (const auto& part :
         {factor.storage(), X.storage(), Y.storage(), R.storage(), inverse.storage(), U.storage(), S.storage()})
      for (const T number : part) all.push_back(std::isnan(number) ? T{-1} : number);
    return all;
  };
  const auto serial = run_all(1);
  return run_all(2) == serial && run_all(4) == serial;
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

TEST("the examples of cholesky.hpp do what it says") {
  std::vector<double> a{4, 0, 2, 5}, b{8, 8};
  const MatrixView<double> A(a.data(), 2, 2);
  CHECK(cholesky(A) == 0);
  cholesky_solve<double>(A, MatrixView<double>(b.data(), 2, 1));
  CHECK(b == std::vector<double>({1.5, 1}));

  const std::vector<double> l{2, 0, 1, 4};
  b = {2, 9};
  triangular_solve<double>(Triangle::lower, Transpose::no, {l.data(), 2, 2}, {b.data(), 2, 1});
  CHECK(b == std::vector<double>({1, 2}));

  std::vector<double> x{4, 0};
  a = {3, 0, 0, 1};
  CHECK(cholesky_update<double>(A, x) == 0);
  CHECK(a == std::vector<double>({5, 0, 0, 1}));

  const std::vector<double> last_row{10, 13};
  a = {1, 0, 4, 3};
  CHECK(cholesky_slide<double>(A, last_row) == 0);
  CHECK(a == std::vector<double>({5, 0, 2, 3}));
}

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

TEST("triangular systems are solved from both sides within Higham's bound") {
  for (const Index n : {1, 2, 3, 127, 128, 129, 300})
    for (const Index width : {1, 2, 9, 150}) {
      check_triangular_solve<float>(n, width);
      check_triangular_solve<double>(n, width);
    }
  check_triangular_solve<double>(700, 30);
  check_triangular_solve<double>(1100, 5);  // above the depth of a step
  check_triangular_solve<float>(2100, 3);
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

TEST("the Cholesky family gives the same bits on any number of threads") {
  CHECK(same_bits_on_any_threads<float>());
  CHECK(same_bits_on_any_threads<double>());
}

TEST("the Cholesky family takes empty matrices") {
  const MatrixView<double> none(nullptr, 0, 0);
  std::vector<double> b(3, 5.0);
  CHECK(cholesky(none) == 0);
  triangular_solve<double>(Triangle::lower, Transpose::no, none, MatrixView<double>(nullptr, 0, 3));
  triangular_solve_right<double>(Triangle::upper, Transpose::no, none, MatrixView<double>(b.data(), 3, 0));
  const std::vector<double> l{2, 0, 1, 2};
  triangular_solve<double>(Triangle::lower, Transpose::no, {l.data(), 2, 2}, MatrixView<double>(b.data(), 2, 0));
  cholesky_solve<double>(none, MatrixView<double>(nullptr, 0, 3));
  cholesky_inverse(none);
  CHECK(cholesky_update<double>(none, {}) == 0);
  CHECK(cholesky_slide<double>(none, {}) == 0);
  CHECK(b == std::vector<double>(3, 5.0));
}

TEST("the Cholesky family refuses shapes that do not match, and what cannot be inverted") {
  std::vector<double> x(12, 1.0);
  const MatrixView<double> rectangle(x.data(), 3, 4), square(x.data(), 3, 3);
  const auto lower = Triangle::lower;
  const auto no = Transpose::no;
  CHECK_THROWS((void)cholesky(rectangle), std::invalid_argument, "cholesky: A is 3 x 4");
  CHECK_THROWS((void)cholesky(MatrixView<double>(nullptr, 3, 3)), std::invalid_argument, "A is 3 x 3 but its data");
  CHECK_THROWS((void)cholesky(MatrixView<double>(x.data(), 3, 3, 2)), std::invalid_argument, "row stride 2");
  CHECK_THROWS(triangular_solve<double>(lower, no, square, MatrixView<double>(x.data(), 4, 3)), std::invalid_argument,
               "triangular_solve: L is 3 x 3 and B is 4 x 3");
  CHECK_THROWS(triangular_solve<double>(lower, no, rectangle, square), std::invalid_argument, "L is 3 x 4");
  CHECK_THROWS(triangular_solve_right<double>(lower, no, square, rectangle), std::invalid_argument,
               "triangular_solve_right: L is 3 x 3 and B is 3 x 4");
  CHECK_THROWS(cholesky_solve<double>(square, MatrixView<double>(x.data(), 4, 3)), std::invalid_argument,
               "cholesky_solve: L is 3 x 3 and B is 4 x 3");
  CHECK_THROWS(cholesky_inverse(rectangle), std::invalid_argument, "cholesky_inverse: L is 3 x 4");
  CHECK_THROWS((void)cholesky_update<double>(square, x), std::invalid_argument, "L is 3 x 3 and x has 12 entries");
  CHECK_THROWS((void)cholesky_slide<double>(square, x), std::invalid_argument, "L is 3 x 3 and last_row has 12");
  x[4] = 0;
  CHECK_THROWS(triangular_solve<double>(lower, no, square, square), std::invalid_argument, "L(1, 1) is 0");
  CHECK_THROWS(cholesky_solve<double>(square, square), std::invalid_argument, "L(1, 1) is 0");
  CHECK_THROWS(cholesky_inverse(square), std::invalid_argument, "L(1, 1) is 0");
}

TEST("the Cholesky family stops when it is told to") {
  constexpr Index n = 4500;
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  const auto identity = [](Index size) {
    auto entries = Array<float>::zeros(size * size);
    for (Index i = 0; i < size; ++i) entries[i * size + i] = 1;
    return entries;
  };
  const Array<float> factor = identity(n), rhs = identity(n);
  const MatrixView<float> L(factor.data(), n, n), B(rhs.data(), n, n);
  // Of the updates, the one that takes three passes over memory: it runs the other.
  constexpr Index large = 16000;
  const std::vector<float> last_row(large, 1.0F);
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS((void)cholesky(L, run), interrupted, "stopped");
    CHECK_THROWS(triangular_solve<float>(Triangle::lower, Transpose::no, L, B, run), interrupted, "stopped");
    CHECK_THROWS(triangular_solve_right<float>(Triangle::lower, Transpose::no, L, B, run), interrupted, "stopped");
    CHECK_THROWS(cholesky_solve<float>(L, B, run), interrupted, "stopped");
    CHECK_THROWS(cholesky_inverse(MatrixView<float>(identity(n).data(), n, n), run), interrupted, "stopped");
    const Array<float> window = identity(large);
    CHECK_THROWS((void)cholesky_slide<float>(MatrixView<float>(window.data(), large, large), last_row, run),
                 interrupted, "stopped");
  }
}

TEST("every allocation of the Cholesky family may fail") {
  const Matrix<double> A = with_condition<double>(400, 10, 90), B = random_matrix<double>(400, 400, 91);
  const auto all = [&](int threads) {
    const RunOptions run{.n_threads = threads};
    Matrix<double> factor = A, X = B;
    std::vector<double> x(400, 0.5), last_row(400, 0.5);
    last_row.back() = 1e3;
    Index status = cholesky(factor.view(), run);
    const Matrix<double>& L = factor;
    cholesky_solve(L.view(), X.view(), run);
    Matrix<double> inverse = factor;
    cholesky_inverse(inverse.view(), run);
    status += cholesky_update<double>(factor.view(), x, run);
    status += cholesky_slide<double>(factor.view(), last_row, run);
    if (status != 0) throw std::logic_error("not positive definite");
    return std::array{factor(399, 399), X(399, 399), inverse(0, 399)};
  };
  const auto expected = all(1);
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            if (all(threads) != expected) throw std::logic_error("wrong result");
          }) > 0);
}
