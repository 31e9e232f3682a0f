#include <array>
#include <chrono>
#include <stdexcept>

#include "check.hpp"
#include "linalg/spectra.hpp"
#include "nearlinear/linalg/spectral.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;
using nearlinear::test::widened;

namespace {

/// What the decompositions promise: double is accurate to 32 n eps of the norm (the factor that the library itself
/// checks), and a result that is rounded to float has an error of u of its size.
template <class T>
long double relative_bound(Index n) {
  constexpr auto wide = static_cast<long double>(std::numeric_limits<double>::epsilon());
  constexpr auto narrow = static_cast<long double>(std::numeric_limits<T>::epsilon());
  // Orthogonality of n rounded columns: each inner product is off by 2 u, n^2 of them by 2 u n in norm.
  return 64 * static_cast<long double>(n + 1) * wide + 2 * static_cast<long double>(n + 1) * narrow;
}

/// What an entry loses that is rounded below the smallest normal number.
template <class T>
long double underflow(Index entries) {
  return static_cast<long double>(entries) * static_cast<long double>(std::numeric_limits<T>::denorm_min());
}

template <class T>
struct Decomposition {
  bool converged;
  Matrix<T> U;
  std::vector<T> s;
  Matrix<T> V;
};

template <class T>
Decomposition<T> decompose(const Matrix<T>& A, SvdMethod method = SvdMethod::divide_and_conquer,
                           const RunOptions& run = {}) {
  const Index k = std::min(A.rows(), A.cols());
  Decomposition<T> result{false, Matrix<T>(A.rows(), k, 2), std::vector<T>(static_cast<std::size_t>(k)),
                          Matrix<T>(A.cols(), k, 1)};
  result.converged = svd<T>(A.view(), result.U.view(), result.s, result.V.view(), method, run);
  return result;
}

template <class T>
bool values_agree(const std::vector<T>& values, const std::vector<long double>& expected, Index n, long double norm) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const long double bound = relative_bound<T>(n) * norm + underflow<T>(n * n);
    if (!(std::abs(static_cast<long double>(values[i]) - expected[i]) <= bound)) return false;
  }
  return values.size() == expected.size();
}

template <class T>
void check_svd(const Matrix<T>& A, SvdMethod method) {
  const Index n = std::max(A.rows(), A.cols()), k = std::min(A.rows(), A.cols());
  const long double norm = test::frobenius(A);
  const Decomposition<T> result = decompose(A, method);
  CHECK(result.converged);
  CHECK(std::is_sorted(result.s.rbegin(), result.s.rend()) && (k == 0 || result.s.back() >= 0));
  CHECK(test::orthogonality(result.U) <= relative_bound<T>(n));
  CHECK(test::orthogonality(result.V) <= relative_bound<T>(n));
  CHECK(test::residual(A, result.U, result.s, result.V) <= relative_bound<T>(n) * norm + underflow<T>(n * n));
  CHECK(test::signs_are_fixed(result.U));
  CHECK(result.U.gaps_are_untouched() && result.V.gaps_are_untouched());
  CHECK(values_agree(result.s, test::reference_singular_values(widened(A)), n, norm));
}

template <class T>
void check_svd(const Matrix<T>& A) {
  check_svd(A, SvdMethod::divide_and_conquer);
  check_svd(A, SvdMethod::jacobi);
  const Index n = std::max(A.rows(), A.cols());
  std::vector<T> s(static_cast<std::size_t>(std::min(A.rows(), A.cols())));
  const MatrixView<T> unwanted(nullptr, 0, 0);
  CHECK(svd<T>(A.view(), unwanted, s, unwanted));
  CHECK(values_agree(s, test::reference_singular_values(widened(A)), n, test::frobenius(A)));
}

template <class T>
void check_eigen(Matrix<T> A) {
  const Index n = A.rows();
  test::Wide wide(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) wide(i, j) = static_cast<long double>(A(std::max(i, j), std::min(i, j)));
  for (Index i = 0; i < n; ++i)
    for (Index j = i + 1; j < n; ++j) A(i, j) = std::numeric_limits<T>::quiet_NaN();  // which nothing may read
  const long double norm = test::frobenius(wide);
  std::vector<T> values(static_cast<std::size_t>(n)), alone(values);
  Matrix<T> V(n, n, 3);
  CHECK(symmetric_eigen<T>(std::as_const(A).view(), values, V.view()));
  CHECK(symmetric_eigen<T>(std::as_const(A).view(), alone, MatrixView<T>(nullptr, 0, 0)));
  const auto expected = test::reference_eigenvalues(wide);
  CHECK(values_agree(values, expected, n, norm) && values_agree(alone, expected, n, norm));
  CHECK(std::is_sorted(values.begin(), values.end()));
  CHECK(test::orthogonality(V) <= relative_bound<T>(n));
  CHECK(test::signs_are_fixed(V) && V.gaps_are_untouched());
  Matrix<T> symmetric(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) symmetric(i, j) = static_cast<T>(wide(i, j));
  CHECK(test::residual(symmetric, V, values, V) <= relative_bound<T>(n) * norm + underflow<T>(n * n));
}

template <class T>
void check_random_instances(std::uint64_t seeds) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const RandomStream random(seed, 9);
    const auto size = [&](std::uint64_t i) { return 1 + static_cast<Index>(random.uniform(i) * 24); };
    Matrix<T> A = random_matrix<T>(size(0), size(1), seed, static_cast<Index>(seed % 3));
    // Rows of very different size in every other instance.
    if (seed % 2 == 1)
      for (Index i = 0; i < A.rows(); ++i)
        for (Index j = 0; j < A.cols(); ++j)
          A(i, j) *= std::exp2(static_cast<T>(10 * random.normal(static_cast<std::uint64_t>(100 + i))));
    check_svd(A);
    check_eigen(random_matrix<T>(size(2), size(2), seed + 1000, static_cast<Index>(seed % 2)));
  }
}

template <class T>
std::vector<Matrix<T>> adversarial() {
  constexpr Index n = 24;
  const auto spectrum = [](auto&& value) {
    std::vector<long double> s;
    for (Index i = 0; i < n; ++i) s.push_back(value(i));
    return s;
  };
  std::vector<Matrix<T>> all;
  const auto add = [&](Index rows, Index cols, auto&& entry) {
    Matrix<T> A(rows, cols);
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) A(i, j) = static_cast<T>(entry(i, j));
    all.push_back(A);
  };
  // Half of the largest number: a singular value that is the largest itself may be rounded to infinity.
  const auto max = std::numeric_limits<T>::max() / 2, tiny = std::numeric_limits<T>::denorm_min();
  add(n, n, [](Index, Index) { return 0; });
  add(n, n, [](Index i, Index j) { return i == j; });
  add(n, n, [](Index, Index) { return 1; });
  add(n, n, [](Index i, Index j) { return i + j == n - 1; });
  add(n, n, [&](Index i, Index j) { return i == 3 && j == 5 ? max : 0; });
  add(n, n, [&](Index i, Index j) { return i == 3 && j == 5 ? max : 1; });
  add(n, n, [&](Index i, Index j) { return tiny * static_cast<T>((i * j) % 7); });
  add(n, n, [&](Index, Index) { return tiny; });
  add(n, n, [&](Index i, Index j) { return max / n * static_cast<T>(std::cos(static_cast<double>(i * j))); });
  add(n, n, [](Index i, Index j) { return 1.0 / static_cast<double>(i + j + 1); });  // Hilbert
  add(n, n, [](Index i, Index j) { return j < i ? 0 : (j == i ? 1 : -1); });         // Kahan's, unscaled
  add(n, n, [](Index i, Index j) { return j == i + 1; });                            // nilpotent
  add(n, n, [](Index i, Index j) { return std::exp2(-static_cast<double>(i + j)); });
  add(n, n, [](Index i, Index j) { return j % 3 == 0 ? 0.0 : std::sin(static_cast<double>(i * n + j)); });
  add(1, n, [](Index, Index j) { return j - 5; });
  add(n, 1, [](Index i, Index) { return i - 5; });
  add(n, 1, [](Index, Index) { return 0; });
  add(1, 1, [](Index, Index) { return -3; });
  add(3 * n, n, [](Index i, Index j) { return i % n == j; });
  add(n, 2 * n, [](Index i, Index j) { return (i == 0 ? 1e10 : 1e-10) * std::cos(static_cast<double>(i + 3 * j)); });
  const auto with = [&](auto&& value) { all.push_back(test::with_singular_values<T>(n + 6, n, spectrum(value), 5)); };
  with([](Index i) { return std::pow(10.0L, -static_cast<long double>(i)); });
  with([](Index i) { return i < 12 ? 1.0L : 1e-12L; });
  with([](Index i) { return 1 + 1e-14L * static_cast<long double>(n - i); });
  with([](Index i) { return i == 0 ? 1e15L : 1.0L; });
  with([](Index i) { return i < 5 ? 1.0L : 0.0L; });
  return all;
}

template <class T>
std::vector<T> all_numbers(const Matrix<T>& A, int threads) {
  const RunOptions run{.n_threads = threads};
  std::vector<T> numbers;
  for (const SvdMethod method : {SvdMethod::divide_and_conquer, SvdMethod::jacobi}) {
    const Decomposition<T> result = decompose(A, method, run);
    for (const auto* part : {&result.U.storage(), &result.s, &result.V.storage()})
      numbers.insert(numbers.end(), part->begin(), part->end());
  }
  return numbers;
}

}  // namespace

TEST("the examples of spectral.hpp") {
  const std::vector<double> a{2, 0, 1, 2};
  std::vector<double> values(2), v(4);
  CHECK(symmetric_eigen<double>({a.data(), 2, 2}, values, {v.data(), 2, 2}));
  CHECK(std::abs(values[0] - 1) < 1e-15 && std::abs(values[1] - 3) < 1e-15);
  const std::vector<double> b{3, 0, 0, -4, 0, 0};
  std::vector<double> u(6), s(2);
  CHECK(svd<double>({b.data(), 3, 2}, {u.data(), 3, 2}, s, {v.data(), 2, 2}));
  CHECK(std::abs(s[0] - 4) < 1e-14 && std::abs(s[1] - 3) < 1e-14);
  CHECK(std::abs(u[2] - 1) < 1e-15 && std::abs(v[2] + 1) < 1e-15);
}

TEST("svd and symmetric_eigen agree with Jacobi's methods in long double on random matrices") {
  check_random_instances<float>(100);
  check_random_instances<double>(100);
}

TEST("svd and symmetric_eigen agree with Jacobi's methods in long double on difficult matrices") {
  for (const auto& A : adversarial<float>()) check_svd(A);
  for (const auto& A : adversarial<double>()) check_svd(A);
  for (const auto& A : adversarial<float>())
    if (A.rows() == A.cols()) check_eigen(A);
  for (const auto& A : adversarial<double>())
    if (A.rows() == A.cols()) check_eigen(A);
}

TEST("svd is accurate on matrices that divide and conquer splits, of every condition") {
  for (const Index n : {40, 90})
    for (const long double condition : {1.0L, 1e5L, 1e10L, 1e15L, 1e25L}) {
      std::vector<long double> s;
      for (Index i = 0; i < n; ++i)
        s.push_back(std::pow(condition, -static_cast<long double>(i / 3 * 3) / static_cast<long double>(n)));
      check_svd(test::with_singular_values<double>(n + 20, n, s, 3, 1), SvdMethod::divide_and_conquer);
    }
}

TEST("svd of an ill conditioned matrix of many rows") {
  // Two blocks of Householder's algorithm and more; columns that differ in the last bits.
  for (const Index rows : {5000, 9000}) {
    Matrix<double> A = random_matrix<double>(rows, 12, 4);
    for (Index i = 0; i < rows; ++i)
      for (Index j = 6; j < 12; ++j) A(i, j) = A(i, j - 6) * (1 + 1e-13 * static_cast<double>((i * j) % 5));
    const Decomposition<double> result = decompose(A);
    CHECK(result.converged);
    // Sums of so many rows have errors of their own, of sqrt(rows) u by chance.
    const long double bound = relative_bound<double>(120);
    CHECK(test::orthogonality(result.U) <= bound && test::orthogonality(result.V) <= bound);
    CHECK(test::residual(A, result.U, result.s, result.V) <= bound * test::frobenius(A));
  }
}

TEST("svd tells a singular value beyond the range by infinity") {
  Matrix<float> A(3, 3);
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 3; ++j) A(i, j) = std::numeric_limits<float>::max();
  const Decomposition<float> result = decompose(A);
  CHECK(result.converged && std::isinf(result.s[0]) && std::isfinite(result.s[1]));
  CHECK(test::orthogonality(result.U) <= relative_bound<float>(3));
}

TEST("svd gives the same bits on any number of threads") {
  for (const Index rows : {300, 6000}) {
    Matrix<double> A = random_matrix<double>(rows, 30, 11);
    CHECK(all_numbers(A, 1) == all_numbers(A, 2) && all_numbers(A, 1) == all_numbers(A, 4));
    for (Index i = 0; i < rows; ++i) A(i, 7) = A(i, 3);  // which CholeskyQR2 cannot
    CHECK(all_numbers(A, 1) == all_numbers(A, 2) && all_numbers(A, 1) == all_numbers(A, 4));
  }
}

TEST("svd and symmetric_eigen take empty matrices") {
  const MatrixView<double> none(nullptr, 0, 0), wide(nullptr, 0, 5), tall(nullptr, 5, 0);
  CHECK(svd<double>(none, none, {}, none) && svd<double>(wide, none, {}, tall) && svd<double>(tall, tall, {}, none));
  CHECK(symmetric_eigen<double>(none, {}, none));
}

TEST("svd and symmetric_eigen refuse shapes that do not match, and what is not finite") {
  std::vector<double> x(16, 1.0), y(16), s(4);
  const MatrixView<double> A(x.data(), 3, 4), square(x.data(), 4, 4), U(y.data(), 3, 3), none(nullptr, 0, 0);
  const std::span<double> three(s.data(), 3);
  CHECK_THROWS((void)svd<double>(A, none, s, none), std::invalid_argument, "svd: A is 3 x 4 and s has 4 entries");
  CHECK_THROWS((void)svd<double>(A, U, three, none), std::invalid_argument, "U is 3 x 3 and V is 0 x 0");
  CHECK_THROWS((void)svd<double>(A, none, three, square), std::invalid_argument, "they must be 3 x 3 and 4 x 3");
  CHECK_THROWS((void)svd<double>(MatrixView<double>(nullptr, 3, 4), none, three, none), std::invalid_argument,
               "A is 3 x 4 but its data");
  CHECK_THROWS((void)symmetric_eigen<double>(A, three, none), std::invalid_argument, "A is 3 x 4; it must be square");
  CHECK_THROWS((void)symmetric_eigen<double>(square, three, none), std::invalid_argument, "values has 3 entries");
  CHECK_THROWS((void)symmetric_eigen<double>(square, s, U), std::invalid_argument, "V is 3 x 3");
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    x[6] = bad;
    CHECK_THROWS((void)svd<double>(A, none, three, none), std::invalid_argument, "at index (1, 2)");
    CHECK(symmetric_eigen<double>(square, s, none));  // it lies above the diagonal
    x[6] = 1;
    x[9] = bad;
    CHECK_THROWS((void)symmetric_eigen<double>(square, s, none), std::invalid_argument, "at index (");
    x[9] = 1;
  }
}

TEST("svd and symmetric_eigen stop when they are told to") {
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  // Long enough for the first poll, 50 ms after the beginning, with vectors or without.
  const Matrix<float> A = random_matrix<float>(150000, 60, 1);
  const Matrix<double> S = random_matrix<double>(700, 700, 2);
  Matrix<double> V(700, 700);
  std::vector<double> values(700);
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS((void)decompose(A, SvdMethod::jacobi, run), interrupted, "stopped");
    CHECK_THROWS((void)symmetric_eigen<double>(S.view(), values, V.view(), run), interrupted, "stopped");
  }
}

TEST("every allocation of svd and symmetric_eigen may fail") {
  const Matrix<double> A = random_matrix<double>(300, 20, 3);
  Matrix<double> B = A;
  for (Index i = 0; i < 300; ++i) B(i, 1) = B(i, 0);
  const auto all = [&](int threads) {
    const RunOptions run{.n_threads = threads};
    std::vector<double> values(20);
    Matrix<double> V(20, 20);
    bool converged = symmetric_eigen<double>(MatrixView<const double>(A.view().data(), 20, 20), values, V.view(), run);
    const auto first = decompose(A, SvdMethod::divide_and_conquer, run), second = decompose(B, SvdMethod::jacobi, run);
    if (!(converged && first.converged && second.converged)) throw std::logic_error("not converged");
    return std::array{values[3], V(3, 3), first.s[2], first.U(7, 2), second.V(3, 3)};
  };
  const auto expected = all(1);
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            if (all(threads) != expected) throw std::logic_error("wrong result");
          }) > 0);
}
