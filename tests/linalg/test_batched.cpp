#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/linalg/batched.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

namespace {

template <class T>
constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

/// Small matrices with gaps between rows and between matrices, all filled with `gap`.
template <class T>
struct Batch {
  static constexpr T gap = T{-77};

  Batch(Index count, Index rows, Index cols, Index row_gaps = 0, Index matrix_gaps = 0)
      : count_(count),
        rows_(rows),
        cols_(cols),
        row_stride_(cols + row_gaps),
        matrix_stride_(rows * row_stride_ + matrix_gaps),
        storage(static_cast<std::size_t>(count * matrix_stride_), gap) {}

  [[nodiscard]] BatchView<T> view() { return {storage.data(), count_, rows_, cols_, row_stride_, matrix_stride_}; }
  [[nodiscard]] BatchView<const T> view() const {
    return {storage.data(), count_, rows_, cols_, row_stride_, matrix_stride_};
  }
  [[nodiscard]] bool gaps_are_untouched() const {
    std::vector<bool> is_entry(storage.size(), false);
    for (Index s = 0; s < count_; ++s)
      for (Index i = 0; i < rows_; ++i)
        for (Index j = 0; j < cols_; ++j)
          is_entry[static_cast<std::size_t>(s * matrix_stride_ + i * row_stride_ + j)] = true;
    for (std::size_t i = 0; i < storage.size(); ++i)
      if (!is_entry[i] && storage[i] != gap) return false;
    return true;
  }

  Index count_, rows_, cols_, row_stride_, matrix_stride_;
  std::vector<T> storage;
};

/// G D G^T with a random G of k + 2 columns and D from 1 down to 1 / condition, scaled; NaN above the diagonal.
template <class T>
void fill_positive_definite(MatrixView<T> A, double condition, double scale, std::uint64_t seed) {
  const Index k = A.rows(), m = k + 2;
  Matrix<double> G = random_matrix<double>(k, m, seed);
  for (Index p = 0; p < m; ++p) {
    const double root = std::pow(condition, -0.5 * static_cast<double>(p) / static_cast<double>(m));
    for (Index i = 0; i < k; ++i) G(i, p) *= root;
  }
  for (Index i = 0; i < k; ++i)
    for (Index j = 0; j < k; ++j) {
      double sum = 0;
      for (Index p = 0; p < m; ++p) sum += G(i, p) * G(j, p);
      A(i, j) = j > i ? not_a_number<T> : static_cast<T>(sum * scale);
    }
}

template <class T>
struct Problem {
  Batch<T> A;
  Batch<T> B;

  Problem(Index count, Index k, Index r, double condition, double scale, std::uint64_t seed, Index gaps = 0)
      : A(count, k, k, gaps, gaps), B(count, k, r, gaps, gaps) {
    const RandomStream random(seed, 1);
    for (Index s = 0; s < count; ++s) {
      fill_positive_definite(A.view()[s], condition, scale, seed + static_cast<std::uint64_t>(s) + 1);
      for (Index i = 0; i < k; ++i)
        for (Index j = 0; j < r; ++j)
          B.view()[s](i, j) = static_cast<T>(random.normal(static_cast<std::uint64_t>((s * k + i) * r + j)));
    }
  }
};

template <class T>
using LowerTriangle = std::vector<std::vector<long double>>;

/// The textbook's Cholesky factorisation, in long double; its status as the library counts.
template <class T>
Index reference_factor(const MatrixView<const T>& A, double ridge, LowerTriangle<T>& L) {
  const Index k = A.rows();
  L.assign(static_cast<std::size_t>(k), std::vector<long double>(static_cast<std::size_t>(k)));
  for (std::size_t j = 0; j < L.size(); ++j)
    for (std::size_t i = j; i < L.size(); ++i) {
      long double sum = static_cast<long double>(A(static_cast<Index>(i), static_cast<Index>(j))) +
                        (i == j ? static_cast<long double>(ridge) : 0);
      for (std::size_t p = 0; p < j; ++p) sum -= L[i][p] * L[j][p];
      if (i == j && !(sum > 0 && std::isfinite(sum))) return static_cast<Index>(j) + 1;
      L[i][j] = i == j ? std::sqrt(sum) : sum / L[j][j];
    }
  return 0;
}

/// |A x - b| <= gamma_{3k+7} |L| |L^T| |x|: a solution of a system that is as near as Higham's theorem 10.4 promises.
/// The factor's entries change by its own backward error, which the factor 2 takes in while k u condition is small.
template <class T>
bool is_solution(const MatrixView<const T>& A, const MatrixView<const T>& B, const MatrixView<const T>& X,
                 double ridge) {
  const Index k = A.rows();
  LowerTriangle<T> L;
  if (reference_factor(A, ridge, L) != 0) return false;
  bool right = true;
  for (Index c = 0; c < B.cols(); ++c) {
    std::vector<long double> product(static_cast<std::size_t>(k));  // |L^T| |x|
    for (std::size_t p = 0; p < L.size(); ++p)
      for (std::size_t j = p; j < L.size(); ++j)
        product[p] += std::abs(L[j][p] * static_cast<long double>(X(static_cast<Index>(j), c)));
    for (Index i = 0; i < k; ++i) {
      long double residual = -static_cast<long double>(B(i, c)), bound = 0;
      for (Index j = 0; j < k; ++j)
        residual +=
            (static_cast<long double>(i >= j ? A(i, j) : A(j, i)) + (i == j ? static_cast<long double>(ridge) : 0)) *
            static_cast<long double>(X(j, c));
      for (Index p = 0; p <= i; ++p)
        bound += std::abs(L[static_cast<std::size_t>(i)][static_cast<std::size_t>(p)]) *
                 product[static_cast<std::size_t>(p)];
      right = right && std::abs(residual) <= 2 * test::gamma<T>(3 * k + 7) * bound;
    }
  }
  return right;
}

template <class T>
void check_batch(Index count, Index k, Index r, double condition, double scale, double ridge, Index gaps,
                 std::uint64_t seed) {
  const Problem<T> problem(count, k, r, condition, scale, seed, gaps);
  const Problem<T> before = problem;
  Batch<T> X(count, k, r, 2 * gaps, gaps);
  std::vector<Index> status(static_cast<std::size_t>(count), -1);
  CHECK(cholesky_solve_batch<T>(problem.A.view(), problem.B.view(), X.view(), status, ridge) == 0);
  CHECK(std::count(status.begin(), status.end(), 0) == count);
  CHECK(X.gaps_are_untouched());
  CHECK(problem.B.storage == before.B.storage);
  bool right = true;
  for (Index s = 0; s < count; ++s)
    right = right && is_solution<T>(problem.A.view()[s], problem.B.view()[s], std::as_const(X).view()[s], ridge);
  CHECK(right);

  Batch<T> in_place = problem.B;
  CHECK(cholesky_solve_batch<T>(problem.A.view(), in_place.view(), in_place.view(), status, ridge) == 0);
  bool same = in_place.gaps_are_untouched();
  for (Index s = 0; s < count; ++s)
    for (Index i = 0; i < k; ++i)
      for (Index c = 0; c < r; ++c) same = same && in_place.view()[s](i, c) == X.view()[s](i, c);
  CHECK(same);
}

/// Every system alone gives the bits that it has in the batch.
template <class T>
void check_independence(Index count, Index k, Index r) {
  const Problem<T> problem(count, k, r, 100, 1, 7);
  Batch<T> together(count, k, r), alone(1, k, r);
  std::vector<Index> status(static_cast<std::size_t>(count));
  CHECK(cholesky_solve_batch<T>(problem.A.view(), problem.B.view(), together.view(), status) == 0);
  bool same = true;
  for (Index s = 0; s < count; ++s) {
    const auto a = problem.A.view()[s], b = problem.B.view()[s];
    std::vector<Index> one(1);
    (void)cholesky_solve_batch<T>({a.data(), 1, k, k}, {b.data(), 1, k, r}, alone.view(), one);
    for (Index i = 0; i < k; ++i)
      for (Index c = 0; c < r; ++c) same = same && alone.view()[0](i, c) == together.view()[s](i, c);
  }
  CHECK(same);
}

template <class T>
void check_bad_systems(Index count, Index k, Index r) {
  Problem<T> problem(count, k, r, 100, 1, 11);
  Batch<T> expected(count, k, r), X(count, k, r);
  std::vector<Index> status(static_cast<std::size_t>(count)), wanted(status.size());
  CHECK(cholesky_solve_batch<T>(problem.A.view(), problem.B.view(), expected.view(), status) == 0);
  const RandomStream random(13, 0);
  Index failures = 0;
  for (Index s = 0; s < count; ++s) {
    const PhiloxCounter bits = random.bits(static_cast<std::uint64_t>(s));
    const Index minor = static_cast<Index>(bits[1]) % k;
    const std::array<T, 5> pivots = {T{0}, T{-1}, not_a_number<T>, std::numeric_limits<T>::infinity(),
                                     -std::numeric_limits<T>::infinity()};
    if (bits[0] % 3 == 0) continue;
    const MatrixView<T> A = problem.A.view()[s];
    if (bits[0] % 3 == 1 && minor > 0)
      A(minor, static_cast<Index>(bits[2]) % minor) = pivots[2 + bits[3] % 3];
    else
      A(minor, minor) = pivots[bits[3] % 5];
    wanted[static_cast<std::size_t>(s)] = minor + 1;
    ++failures;
  }
  CHECK(cholesky_solve_batch<T>(problem.A.view(), problem.B.view(), X.view(), status) == failures);
  CHECK(status == wanted);
  bool right = true;
  for (Index s = 0; s < count; ++s)
    for (Index i = 0; i < k; ++i)
      for (Index c = 0; c < r; ++c)
        right = right && (wanted[static_cast<std::size_t>(s)] == 0 ? X.view()[s](i, c) == expected.view()[s](i, c)
                                                                   : std::isnan(X.view()[s](i, c)));
  CHECK(right);
}

template <class T>
bool same_bits_on_any_threads(Index count, Index k, Index r) {
  const Problem<T> problem(1, k, r, 100, 1, 17);
  // One system many times over, each with a diagonal of its own: building them all would take longer than solving them.
  Batch<T> A(count, k, k), B(count, k, r);
  for (Index s = 0; s < count; ++s) {
    std::copy_n(problem.A.storage.begin(), k * k, A.view()[s].data());
    std::copy_n(problem.B.storage.begin(), k * r, B.view()[s].data());
    A.view()[s](0, 0) += static_cast<T>(s % 100) / 100;
  }
  std::vector<Index> status(static_cast<std::size_t>(count));
  Batch<T> expected(count, k, r), X(count, k, r);
  (void)cholesky_solve_batch<T>(A.view(), B.view(), expected.view(), status, 0, {.n_threads = 1});
  bool same = true;
  for (const int threads : {2, 4}) {
    (void)cholesky_solve_batch<T>(A.view(), B.view(), X.view(), status, 0, {.n_threads = threads});
    same = same && X.storage == expected.storage;
  }
  return same;
}

}  // namespace

TEST("a batch of systems is solved within Higham's bound") {
  std::uint64_t seed = 1000;
  for (const Index k : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 20, 24, 31, 32, 33, 50, 64, 67})
    for (const Index r : {1, 2, 3, 4, 7, 20}) {
      const Index count = 1 + static_cast<Index>(seed % 21);
      check_batch<double>(count, k, r, 1e3, 1, 0, 0, seed);
      check_batch<float>(count, k, r, 1e2, 1, 0, static_cast<Index>(seed % 3), seed + 1);
      seed += 2;
    }
}

TEST("larger systems of a batch, and more right-hand sides than unknowns, are solved too") {
  for (const Index k : {127, 128, 129, 150}) {
    check_batch<double>(5, k, 1, 1e3, 1, 0, 1, 31);
    check_batch<float>(9, k, 3, 10, 1, 0, 0, 32);
  }
  check_batch<double>(3, 40, 100, 1e3, 1, 0, 0, 33);
  check_batch<double>(9, 1, 50, 1, 1, 0, 1, 34);
  check_batch<double>(10, 3, 600, 10, 1, 0, 1, 36);  // above the panel that is one task
  check_batch<float>(17, 3, 49, 1e2, 1, 0, 0, 35);
}

TEST("batches of any scale and condition are solved within Higham's bound") {
  for (const Index k : {1, 2, 5, 8, 17, 32}) {
    for (const double scale : {1e-300, 1e-200, 1e-20, 1e20, 1e200, 1e300})
      check_batch<double>(6, k, 2, 1e4, scale, 0, 0, 41);
    for (const double scale : {1e-30, 1e30}) check_batch<float>(6, k, 2, 1e2, scale, 0, 0, 42);
    for (const double condition : {1.0, 1e6, 1e10, 1e12}) check_batch<double>(6, k, 2, condition, 1, 0, 0, 43);
  }
}

TEST("the ridge of a batch is added to every diagonal") {
  for (const Index k : {1, 4, 7, 32, 130}) {
    check_batch<double>(6, k, 2, 1e3, 1, 0.25, 0, 51);
    check_batch<float>(11, k, 1, 1e2, 1, 8, 1, 52);
  }
  // Zero matrices become multiples of the identity.
  const std::vector<double> a(3 * 16);
  const std::vector<double> b{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  std::vector<double> x(12);
  std::vector<Index> status(3);
  CHECK(cholesky_solve_batch<double>({a.data(), 3, 4, 4}, {b.data(), 3, 4, 1}, BatchView<double>(x.data(), 3, 4, 1),
                                     status, 4) == 0);
  bool right = true;
  for (std::size_t i = 0; i < 12; ++i) right = right && x[i] == b[i] / 4;
  CHECK(right);
}

// Eigen's square root of a denormal number is 0 with AVX-512: the systems were said not to be positive definite.
TEST("denormal systems of a batch are solved or said to be none") {
  for (const double tiny : {5e-324, 1e-310, 1e-308}) {
    std::vector<double> a{tiny}, b{tiny};
    std::vector<Index> status(1);
    const BatchView<double> B(b.data(), 1, 1, 1);
    CHECK(cholesky_solve_batch<double>({a.data(), 1, 1, 1}, B, B, status) == 0);
    CHECK(std::abs(b[0] - 1) <= 1e-15);
  }
  std::vector<float> a{1e-40F}, b{1e-40F};
  std::vector<Index> status(1);
  const BatchView<float> B(b.data(), 1, 1, 1);
  CHECK(cholesky_solve_batch<float>({a.data(), 1, 1, 1}, B, B, status) == 0);
  CHECK(std::abs(b[0] - 1) <= 1e-6F);
}

TEST("a system of a batch does not depend on its neighbours") {
  for (const Index k : {1, 3, 4, 5, 16, 33, 64, 130})
    for (const Index r : {1, 2, 5}) {
      check_independence<double>(11, k, r);
      check_independence<float>(19, k, r);
    }
}

TEST("systems of a batch that are not positive definite are named, and leave the others alone") {
  check_bad_systems<double>(23, 3, 700);
  for (const Index k : {1, 2, 4, 5, 8, 13, 32, 61, 128, 131})
    for (const Index r : {1, 3}) {
      check_bad_systems<double>(23, k, r);
      check_bad_systems<float>(23, k, r);
    }
}

TEST("a batch has the same bits on any number of threads") {
  CHECK(same_bits_on_any_threads<double>(20000, 5, 1));
  CHECK(same_bits_on_any_threads<float>(20000, 5, 2));
  CHECK(same_bits_on_any_threads<double>(1000, 32, 3));
  CHECK(same_bits_on_any_threads<float>(1001, 60, 1));
  CHECK(same_bits_on_any_threads<double>(3, 300, 2));
}

TEST("empty batches are solved") {
  std::vector<Index> status(3, -1);
  std::vector<double> a{4, 9, -1};
  using View = BatchView<const double>;
  using Result = BatchView<double>;
  CHECK(cholesky_solve_batch<double>(View(nullptr, 0, 3, 3), View(nullptr, 0, 3, 1), Result(nullptr, 0, 3, 1), {}) ==
        0);
  CHECK(cholesky_solve_batch<double>(View(nullptr, 3, 0, 0), View(nullptr, 3, 0, 2), Result(nullptr, 3, 0, 2),
                                     status) == 0);
  CHECK(status == std::vector<Index>(3, 0));
  // Without right-hand sides, whether the matrices are positive definite.
  CHECK(cholesky_solve_batch<double>(View(a.data(), 3, 1, 1), View(nullptr, 3, 1, 0), Result(nullptr, 3, 1, 0),
                                     status) == 1);
  CHECK(status == (std::vector<Index>{0, 0, 1}));
  std::vector<double> large(130 * 130);
  CHECK(cholesky_solve_batch<double>(View(large.data(), 1, 130, 130), View(nullptr, 1, 130, 0),
                                     Result(nullptr, 1, 130, 0), std::span(status).first(1)) == 1);
}

TEST("cholesky_solve_batch refuses shapes that do not match") {
  std::vector<double> x(100, 1.0);
  std::vector<Index> status(2);
  const BatchView<const double> A(x.data(), 2, 3, 3), B(x.data(), 2, 3, 1);
  const BatchView<double> X(x.data(), 2, 3, 1);
  const auto solve = [&](BatchView<const double> a, BatchView<const double> b, BatchView<double> result,
                         double ridge = 0) { (void)cholesky_solve_batch<double>(a, b, result, status, ridge); };
  CHECK_THROWS(solve({x.data(), 2, 3, 4}, B, X), std::invalid_argument, "A is 2 x 3 x 4; its matrices must be square");
  CHECK_THROWS(solve(A, {x.data(), 3, 3, 1}, X), std::invalid_argument, "A is 2 x 3 x 3 and B is 3 x 3 x 1");
  CHECK_THROWS(solve(A, {x.data(), 2, 4, 1}, X), std::invalid_argument, "A is 2 x 3 x 3 and B is 2 x 4 x 1");
  CHECK_THROWS(solve(A, B, {x.data(), 2, 3, 2}), std::invalid_argument, "B is 2 x 3 x 1 and X is 2 x 3 x 2");
  CHECK_THROWS(solve({nullptr, 2, 3, 3}, B, X), std::invalid_argument, "A is 2 x 3 x 3 but its data pointer is null");
  CHECK_THROWS(solve({x.data(), 2, -3, -3}, B, X), std::invalid_argument, "A has the negative shape 2 x -3 x -3");
  CHECK_THROWS(solve({x.data(), 2, 3, 3, 2, 9}, B, X), std::invalid_argument, "row stride 2; its rows overlap");
  CHECK_THROWS(solve(A, B, {x.data(), 2, 3, 1, 1, 2}), std::invalid_argument, "X is 2 x 3 x 1 with matrix stride 2");
  for (const double ridge : {-1.0, std::numeric_limits<double>::infinity(), not_a_number<double>})
    CHECK_THROWS(solve(A, B, X, ridge), std::invalid_argument, "; it must be finite and not negative");
  status.resize(3);
  CHECK_THROWS(solve(A, B, X), std::invalid_argument, "A has 2 matrices and status has 3 entries");
  CHECK_THROWS(solve({x.data(), std::numeric_limits<Index>::max() / 2, 3, 3}, B, X), std::invalid_argument, "A is");
}

TEST("cholesky_solve_batch stops when it is told to") {
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  constexpr Index count = 100000, k = 50;
  std::vector<float> x(static_cast<std::size_t>(count * k));
  std::vector<Index> status(static_cast<std::size_t>(count));
  // Zero matrices take as long as others.
  const auto zeros = Array<float>::zeros(count * k * k);
  for (const int threads : {1, 2})
    CHECK_THROWS((void)cholesky_solve_batch<float>({zeros.data(), count, k, k}, {x.data(), count, k, 1},
                                                   BatchView<float>(x.data(), count, k, 1), status, 1,
                                                   {.n_threads = threads, .keep_going = stop}),
                 interrupted, "stopped");
}

TEST("every allocation of cholesky_solve_batch may fail") {
  const Problem<double> small(40, 20, 2, 100, 1, 61), large(2, 140, 1, 100, 1, 62);
  const auto solve = [](const Problem<double>& problem, int threads) {
    Batch<double> X = problem.B;
    std::vector<Index> status(static_cast<std::size_t>(X.count_));
    if (cholesky_solve_batch<double>(problem.A.view(), problem.B.view(), X.view(), status, 0, {.n_threads = threads}) !=
        0)
      throw std::logic_error("not positive definite");
    return X.storage;
  };
  for (const Problem<double>* problem : {&small, &large}) {
    const auto expected = solve(*problem, 1);
    CHECK(check::count_survived_allocation_failures([&] {
            if (solve(*problem, 2) != expected) throw std::logic_error("wrong result");
          }) > 0);
  }
}
