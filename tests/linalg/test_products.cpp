#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/linalg/products.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

namespace {

template <class T>
T entry(const Matrix<T>& matrix, Transpose op, Index i, Index j) {
  return op == Transpose::no ? matrix(i, j) : matrix(j, i);
}

template <class T>
Matrix<T> stored(Index rows, Index cols, Transpose op, std::uint64_t seed) {
  return op == Transpose::no ? random_matrix<T>(rows, cols, seed, 3) : random_matrix<T>(cols, rows, seed, 3);
}

template <class T>
bool gemm_is_right(Index m, Index n, Index k, Transpose op_a, Transpose op_b, T alpha, T beta) {
  const Matrix<T> A = stored<T>(m, k, op_a, 1), B = stored<T>(k, n, op_b, 2), before = random_matrix<T>(m, n, 3, 2);
  Matrix<T> C = before;
  gemm(alpha, A.view(), op_a, B.view(), op_b, beta, C.view());
  bool right = C.gaps_are_untouched();
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      test::Sum<T> sum;
      for (Index p = 0; p < k; ++p) sum.add(alpha * entry(A, op_a, i, p), entry(B, op_b, p, j));
      sum.add(beta, before(i, j));
      right = right && sum.is(C(i, j), 3);
    }
  return right;
}

template <class T>
void check_gemm() {
  for (const Transpose op_a : {Transpose::no, Transpose::yes})
    for (const Transpose op_b : {Transpose::no, Transpose::yes})
      for (const Index m : {1, 5, 33})
        for (const Index n : {1, 7, 40})
          for (const Index k : {0, 1, 9, 100}) {
            CHECK(gemm_is_right<T>(m, n, k, op_a, op_b, T{1}, T{0}));
            CHECK(gemm_is_right<T>(m, n, k, op_a, op_b, T{-2}, T{0.5}));
          }
  CHECK(gemm_is_right<T>(1030, 3, 1030, Transpose::no, Transpose::no, T{1}, T{1}));
  CHECK(gemm_is_right<T>(3, 1100, 2100, Transpose::yes, Transpose::no, T{1}, T{0}));
}

/// gram, held against its definition with the bound of sums in `Sum`, plus that of blocks in T.
template <class T, class Sum>
void check_gram(Index n, Index d) {
  const Matrix<T> A = random_matrix<T>(n, d, 4, 1);
  Matrix<Sum> C(d, d, 2);
  gram(A.view(), C.view());
  CHECK(C.gaps_are_untouched());
  bool right = true, symmetric = true;
  for (Index i = 0; i < d; i += 1 + d / 40)
    for (Index j = 0; j < d; j += 1 + d / 30) {
      test::Sum<T> sum;
      for (Index p = 0; p < n; ++p) sum.add(A(p, i), A(p, j));
      right = right && sum.is(static_cast<T>(C(i, j)));
      symmetric = symmetric && C(i, j) == C(j, i);
    }
  CHECK(right);
  CHECK(symmetric);
}

template <class T>
void check_gemv_pair(Index n, Index d) {
  const Matrix<T> A = random_matrix<T>(n, d, 5, 1), x = random_matrix<T>(1, d, 6), w = random_matrix<T>(1, n, 7);
  std::vector<T> y(static_cast<std::size_t>(n)), z(static_cast<std::size_t>(d));
  gemv_pair<T>(A.view(), x.storage(), y, w.storage(), z);
  bool right = true;
  for (Index i = 0; i < n; ++i) {
    test::Sum<T> sum;
    for (Index j = 0; j < d; ++j) sum.add(A(i, j), x(0, j));
    right = right && sum.is(y[static_cast<std::size_t>(i)]);
  }
  for (Index j = 0; j < d; ++j) {
    test::Sum<T> sum;
    for (Index i = 0; i < n; ++i) sum.add(A(i, j), w(0, i));
    right = right && sum.is(z[static_cast<std::size_t>(j)], 1);
  }
  CHECK(right);

  std::vector<T> y_alone(y.size()), z_alone(z.size());
  gemv_pair<T>(A.view(), x.storage(), y_alone, {}, {});
  gemv_pair<T>(A.view(), {}, {}, w.storage(), z_alone);
  CHECK(y_alone == y && z_alone == z);
}

template <class T>
void check_normal_product(Index n, Index d, Index p) {
  const Matrix<T> A = random_matrix<T>(n, d, 8, 1), Z = random_matrix<T>(d, p, 9, 1);
  Matrix<T> Y(d, p, 2);
  normal_product(A.view(), Z.view(), Y.view());
  CHECK(Y.gaps_are_untouched());
  // To first order: the error of A z enters the second sum.
  std::vector<long double> az(static_cast<std::size_t>(n)), absolute(static_cast<std::size_t>(n));
  bool right = true;
  for (Index c = 0; c < p; ++c) {
    for (Index i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      az[at] = absolute[at] = 0;
      for (Index j = 0; j < d; ++j) {
        az[at] += static_cast<long double>(A(i, j)) * static_cast<long double>(Z(j, c));
        absolute[at] += std::abs(static_cast<long double>(A(i, j)) * static_cast<long double>(Z(j, c)));
      }
    }
    for (Index j = 0; j < d; ++j) {
      long double sum = 0, bound = 0;
      for (Index i = 0; i < n; ++i) {
        sum += static_cast<long double>(A(i, j)) * az[static_cast<std::size_t>(i)];
        bound += std::abs(static_cast<long double>(A(i, j))) * absolute[static_cast<std::size_t>(i)];
      }
      right = right && std::abs(static_cast<long double>(Y(j, c)) - sum) <= test::gamma<T>(n + d + 2) * bound;
    }
  }
  CHECK(right);
}

template <class T>
bool same_bits_on_any_threads() {
  const Matrix<T> A = random_matrix<T>(9000, 130, 10), B = random_matrix<T>(1100, 1050, 11);
  const auto run_all = [&](int threads) {
    const RunOptions run{.n_threads = threads};
    Matrix<T> G(130, 130), C(1100, 1100), D(67, 1050), Y(130, 3), W(1050, 1050);
    std::vector<T> y(9000), z(130);
    gram(A.view(), G.view(), run);
    gram(B.view(), W.view(), run);
    gemm(T{1}, B.view(), Transpose::no, B.view(), Transpose::yes, T{0}, C.view(), run);
    const MatrixView<const T> few_rows(B.storage().data(), 67, 1100);
    gemm(T(1.3), few_rows, Transpose::no, B.view(), Transpose::no, T{0}, D.view(), run);
    normal_product(A.view(), MatrixView<const T>(B.view().data(), 130, 3, 1050), Y.view(), run);
    gemv_pair<T>(A.view(), std::span<const T>(B.storage()).first(130), y, std::span<const T>(B.storage()).first(9000),
                 z, run);
    std::vector<T> all;
    for (const auto& part : {G.storage(), C.storage(), D.storage(), Y.storage(), W.storage(), y, z})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  const auto serial = run_all(1);
  return run_all(3) == serial;
}

}  // namespace

TEST("gemm agrees with its definition") {
  check_gemm<float>();
  check_gemm<double>();
}

TEST("gemm does not read the old C when beta is 0, nor A and B when alpha is") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> ones(4, 1.0), bad(4, nan);
  const MatrixView<const double> A(ones.data(), 2, 2), bad_A(bad.data(), 2, 2);
  std::vector<double> c(4, nan);
  const MatrixView<double> C(c.data(), 2, 2);
  gemm(1.0, A, Transpose::no, A, Transpose::no, 0.0, C);
  CHECK(c == std::vector<double>(4, 2.0));
  gemm(0.0, bad_A, Transpose::no, A, Transpose::no, 3.0, C);
  CHECK(c == std::vector<double>(4, 6.0));
}

TEST("gram agrees with its definition, by groups of rows and by tiles") {
  for (const Index n : {0, 1, 3, 100, 5000}) {
    check_gram<float, float>(n, 17);
    check_gram<float, double>(n, 17);
    check_gram<double, double>(n, 17);
  }
  check_gram<double, double>(50, 1);
  check_gram<double, double>(200, 1100);
  check_gram<float, double>(200, 1100);
}

TEST("gram in double keeps the digits that a sum in float loses") {
  constexpr Index n = 1 << 21;
  const Matrix<float> A = [] {
    Matrix<float> ones(n, 1);
    for (Index i = 0; i < n; ++i) ones(i, 0) = 1.1F;
    return ones;
  }();
  double sum = 0;
  gram(A.view(), MatrixView<double>(&sum, 1, 1));
  const double exact = static_cast<double>(n) * static_cast<double>(1.1F) * static_cast<double>(1.1F);
  CHECK(std::abs(sum - exact) <= static_cast<double>(test::gamma<float>(4096)) * exact);
}

TEST("gemv_pair agrees with its definition") {
  for (const Index n : {1, 4, 7, 300})
    for (const Index d : {1, 3, 64, 101}) {
      check_gemv_pair<float>(n, d);
      check_gemv_pair<double>(n, d);
    }
}

TEST("normal_product agrees with its definition") {
  for (const Index n : {1, 9, 500})
    for (const Index p : {1, 2, 9}) {
      check_normal_product<float>(n, 40, p);
      check_normal_product<double>(n, 40, p);
    }
  check_normal_product<double>(20, 3000, 1);
}

TEST("products give the same bits on any number of threads") {
  CHECK(same_bits_on_any_threads<float>());
  CHECK(same_bits_on_any_threads<double>());
}

TEST("products of empty matrices are defined") {
  std::vector<double> c(6, 5.0);
  const MatrixView<const double> no_inner(nullptr, 2, 0), no_rows(nullptr, 0, 3);
  gemm(1.0, no_inner, Transpose::no, no_rows, Transpose::no, 0.0, MatrixView<double>(c.data(), 2, 3));
  CHECK(c == std::vector<double>(6, 0.0));
  std::vector<double> g(9, 5.0), z(3, 5.0);
  gram(no_rows, MatrixView<double>(g.data(), 3, 3));
  CHECK(g == std::vector<double>(9, 0.0));
  gram(no_inner, MatrixView<double>(nullptr, 0, 0));
  gemv_pair<double>(no_rows, {}, {}, {}, z);
  CHECK(z == std::vector<double>(3, 0.0));
}

TEST("products refuse shapes that do not match") {
  std::vector<double> x(12);
  const MatrixView<const double> A(x.data(), 3, 4);
  const MatrixView<double> C(x.data(), 3, 3);
  CHECK_THROWS(gemm(1.0, A, Transpose::no, A, Transpose::no, 0.0, C), std::invalid_argument,
               "op(A) is 3 x 4, op(B) is 3 x 4");
  CHECK_THROWS(gram(A, C), std::invalid_argument, "A is 3 x 4 and C is 3 x 3");
  CHECK_THROWS(normal_product(A, A, C), std::invalid_argument, "they must be n x d");
  CHECK_THROWS(gemv_pair<double>(A, x, x, {}, {}), std::invalid_argument, "x has 12 entries");
  CHECK_THROWS(gemv_pair<double>(A, {}, {}, {}, x), std::invalid_argument, "w has 0 entries");
  CHECK_THROWS(gram(MatrixView<const double>(nullptr, 3, 3), C), std::invalid_argument, "null");
}

TEST("products stop when they are told to") {
  const Matrix<double> A = random_matrix<double>(4000, 2000, 12);
  Matrix<double> C(2000, 2000);
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS(gram(A.view(), C.view(), run), interrupted, "stopped");
    CHECK_THROWS(gemm(1.0, A.view(), Transpose::yes, A.view(), Transpose::no, 0.0, C.view(), run), interrupted,
                 "stopped");
  }
}

TEST("every allocation of a product may fail") {
  const Matrix<double> A = random_matrix<double>(9000, 60, 13);
  Matrix<double> C(60, 60), expected(60, 60);
  gram(A.view(), expected.view());
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            gram(A.view(), C.view(), {.n_threads = threads});
            if (C.storage() != expected.storage()) throw std::logic_error("wrong product");
          }) > 0);
}
