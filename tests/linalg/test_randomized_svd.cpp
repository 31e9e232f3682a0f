#include <array>
#include <stdexcept>
#include <string>

#include "check.hpp"
#include "linalg/spectra.hpp"
#include "nearlinear/linalg/randomized_svd.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;
using nearlinear::test::widened;

namespace {

using Spectrum = std::vector<long double>;

template <class Value>
Spectrum spectrum(Index n, const Value& value) {
  Spectrum s;
  for (Index i = 1; i <= n; ++i) s.push_back(value(static_cast<long double>(i)));
  return s;
}

/// (sum of s_j^2, j > k)^(1/2)
long double tail(const Spectrum& s, Index k) {
  long double sum = 0;
  for (Index j = k; j < std::ssize(s); ++j) sum += s[static_cast<std::size_t>(j)] * s[static_cast<std::size_t>(j)];
  return std::sqrt(sum);
}

long double at(const Spectrum& s, Index j) { return j < std::ssize(s) ? s[static_cast<std::size_t>(j)] : 0; }

template <class T>
std::vector<T> values(const RandomizedSvd<T>& result) {
  return {result.singular_values.begin(), result.singular_values.end()};
}

template <class T>
LinearOperator<T> as_callbacks(const Matrix<T>& A) {
  const auto multiply = [&A](bool transposed) {
    return [&A, transposed](MatrixView<const T> X, MatrixView<T> Y) {
      for (Index i = 0; i < Y.rows(); ++i)
        for (Index j = 0; j < Y.cols(); ++j) {
          double sum = 0;
          for (Index k = 0; k < X.rows(); ++k)
            sum += static_cast<double>(transposed ? A(k, i) : A(i, k)) * static_cast<double>(X(k, j));
          Y(i, j) = static_cast<T>(sum);
        }
    };
  };
  return {A.rows(), A.cols(), multiply(false), multiply(true)};
}

/// Roundings of products of n terms, of the bases and of their products, relative to |A|_F: each entry of a product has
/// an error of gamma_n |A| |z|, two of them in all and one for what the bases lack in orthogonality.
template <class T>
long double roundings(const Matrix<T>& A) {
  return 3 * test::gamma<T>(std::max(A.rows(), A.cols()) + 20);
}

/// Everything that holds whatever the random numbers are.
template <class T>
void check_decomposition(const Matrix<T>& A, const RandomizedSvd<T>& result, const Spectrum& s) {
  const long double norm = test::frobenius(A), noise = roundings(A);
  const Matrix<T> U = test::copied(result.U()), V = test::copied(result.V());
  const std::vector<T> found = values(result);
  const Index k = result.rank;
  CHECK(result.rows == A.rows() && result.cols == A.cols() && std::ssize(found) == k);
  CHECK(std::is_sorted(found.rbegin(), found.rend()) && (k == 0 || found.back() >= 0));
  CHECK(test::orthogonality(U) <= noise * static_cast<long double>(k) &&
        test::orthogonality(V) <= noise * static_cast<long double>(k));
  CHECK(test::signs_are_fixed(U));
  // No subspace holds more than the dominant one (Horn and Johnson, corollary 4.3.37).
  for (Index i = 0; i < k; ++i)
    CHECK(static_cast<long double>(found[static_cast<std::size_t>(i)]) <= at(s, i) + noise * norm);
  const long double residual = test::residual(A, U, found, V);
  CHECK(residual >= tail(s, k) - noise * norm);
  // |A - U diag(s) V^T|_F^2 = |A|_F^2 - sum s_i^2
  long double captured = 0;
  for (const T value : found) captured += static_cast<long double>(value) * static_cast<long double>(value);
  CHECK(std::abs(residual * residual - (norm * norm - captured)) <= 4 * noise * norm * norm);
  // The estimate; by probes it is within a factor of 4 but with probability 1e-4.
  CHECK(result.error <= 4 * residual + noise * norm && residual <= 4 * result.error + noise * norm);
  CHECK(std::abs(result.frobenius_norm - norm) <= 1e-5L * norm || result.frobenius_norm <= 4 * norm);
}

template <class T>
void check_spectrum(Index m, Index n, const Spectrum& s, Index rank, const RandomizedSvdOptions& options = {}) {
  const Matrix<T> A = test::with_singular_values<T>(m, n, s, options.seed + 1, 2);
  const Spectrum exact = test::reference_singular_values(widened(A));
  const auto dense = randomized_svd<T>(A.view(), rank, options);
  CHECK(dense.rank == std::min({rank, m, n}) && dense.converged);
  check_decomposition(A, dense, exact);
  const auto matrix_free = randomized_svd<T>(as_callbacks(A), rank, options);
  CHECK(matrix_free.rank == dense.rank);
  check_decomposition(A, matrix_free, exact);
}

struct Named {
  const char* name;
  Spectrum s;
};

std::vector<Named> spectra(Index n) {
  return {
      {"flat", spectrum(n, [](long double) { return 1.0L; })},
      {"one huge", spectrum(n, [](long double i) { return i == 1 ? 1e12L : 1.0L; })},
      {"exact rank 5", spectrum(n, [](long double i) { return i <= 5 ? 6 - i : 0.0L; })},
      {"exact rank 1", spectrum(n, [](long double i) { return i <= 1 ? 1.0L : 0.0L; })},
      {"zero", spectrum(n, [](long double) { return 0.0L; })},
      {"fast", spectrum(n, [](long double i) { return std::pow(10.0L, -i); })},
      {"slow", spectrum(n, [](long double i) { return 1 / std::sqrt(i); })},
      {"polynomial", spectrum(n, [](long double i) { return 1 / (i * i); })},
      {"step", spectrum(n, [](long double i) { return i <= 8 ? 1.0L : 1e-3L; })},
      {"pairs", spectrum(n, [](long double i) { return std::pow(0.5L, std::floor(i / 2)); })},
      {"tiny", spectrum(n, [](long double i) { return 1e-30L / i; })},
      {"large", spectrum(n, [](long double i) { return 1e30L / i; })},
  };
}

/// Theorem 10.6 of Halko, Martinsson and Tropp with the power scheme (their corollary 10.10) for |A - Q Q^T A|_2.
long double expected_error(const Spectrum& s, Index k, Index p, Index q) {
  const long double r = static_cast<long double>(2 * q + 1);
  const auto K = static_cast<long double>(k), P = static_cast<long double>(p);
  long double sum = 0;
  for (Index j = k; j < std::ssize(s); ++j) sum += std::pow(at(s, j), 2 * r);
  const long double factor = 1 + std::sqrt(K / (P - 1));
  return std::pow(factor * std::pow(at(s, k), r) + std::exp(1.0L) * std::sqrt(K + P) / P * std::sqrt(sum), 1 / r);
}

/// |A - U diag(s) V^T|_2
long double spectral_residual(const Matrix<double>& A, const RandomizedSvd<double>& result) {
  test::Wide rest = widened(A);
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j)
      for (Index k = 0; k < result.rank; ++k)
        rest(i, j) -= static_cast<long double>(result.U()(i, k)) * static_cast<long double>(result.singular_values[k]) *
                      static_cast<long double>(result.V()(j, k));
  return test::reference_singular_values(rest).front();
}

template <class T>
std::vector<T> all_numbers(const Matrix<T>& A, Index rank, int threads, double tol) {
  const RandomizedSvdOptions options{.tol = tol, .seed = 3};
  const auto result = randomized_svd<T>(A.view(), rank, options, {.n_threads = threads});
  std::vector<T> numbers(values(result));
  numbers.insert(numbers.end(), result.left.begin(), result.left.end());
  numbers.insert(numbers.end(), result.right.begin(), result.right.end());
  numbers.push_back(static_cast<T>(result.error));
  return numbers;
}

}  // namespace

TEST("randomized_svd is a truncated decomposition, for every spectrum") {
  for (const auto& [name, s] : spectra(30))
    for (const Index rank : {1, 6, 25}) {
      const int before = check::failures;
      check_spectrum<double>(40, 30, s, rank);
      check_spectrum<float>(30, 45, s, rank, {.power_iterations = 1});
      if (check::failures != before) std::printf("  in the spectrum \"%s\", rank %td\n", name, rank);
    }
}

TEST("randomized_svd is a truncated decomposition, for random shapes, spectra and options") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const RandomStream random(seed, 5);
    const auto draw = [&](std::uint64_t i, Index most) {
      return static_cast<Index>(random.uniform(i) * static_cast<double>(most));
    };
    const Index m = 1 + draw(0, 40), n = 1 + draw(1, 40);
    const long double decay = 4 * random.uniform(2);
    const Spectrum s = spectrum(std::min(m, n), [&](long double i) { return std::pow(i, -decay); });
    const RandomizedSvdOptions options{.oversampling = draw(3, 6), .power_iterations = draw(4, 5) - 1, .seed = seed};
    if (seed % 2 == 0)
      check_spectrum<double>(m, n, s, 1 + draw(5, 45), options);
    else
      check_spectrum<float>(m, n, s, 1 + draw(5, 45), options);
  }
}

TEST("randomized_svd keeps the bound of Halko, Martinsson and Tropp, theorem 10.6, in the mean") {
  constexpr Index n = 25, k = 5, p = 5;
  constexpr std::uint64_t seeds = 40;
  const std::vector<Spectrum> decays = {spectrum(n, [](long double i) { return 1 / std::sqrt(i); }),
                                        spectrum(n, [](long double) { return 1.0L; }),
                                        spectrum(n, [](long double i) { return std::pow(0.8L, i); })};
  for (const Spectrum& s : decays)
    for (const Index q : {0, 1, 2}) {
      const Matrix<double> A = test::with_singular_values<double>(30, n, s, 7);
      long double sum = 0, squares = 0;
      for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        // All l = k + p columns, as in the theorem.
        const auto result =
            randomized_svd<double>(A.view(), k + p, {.oversampling = 0, .power_iterations = q, .seed = seed});
        const long double error = spectral_residual(A, result);
        sum += error;
        squares += error * error;
      }
      const auto count = static_cast<long double>(seeds);
      const long double mean = sum / count, deviation = std::sqrt(std::max(0.0L, squares / count - mean * mean));
      // Five standard deviations of a mean above the expectation: one chance in 3 million.
      CHECK(mean <= expected_error(s, k, p, q) + 5 * deviation / std::sqrt(count));
    }
}

TEST("randomized_svd fails HMT's probability bound as seldom as it should") {
  // Theorem 10.8 with t = e, u = sqrt(2 ln(10)) fails with probability at most 2 e^-p + 1/10 =: f at q = 0, p = 5.
  constexpr Index n = 25, k = 5, p = 5, seeds = 200;
  const Spectrum s = spectrum(n, [](long double i) { return 1 / i; });
  const Matrix<double> A = test::with_singular_values<double>(30, n, s, 8);
  const long double t = std::exp(1.0L), u = std::sqrt(2 * std::log(10.0L));
  const long double bound =
      (1 + t * std::sqrt(3.0L * k / (p + 1)) + u * t * std::exp(1.0L) * std::sqrt(1.0L * (k + p)) / (p + 1)) *
          at(s, k) +
      t * std::exp(1.0L) * std::sqrt(1.0L * (k + p)) / (p + 1) * tail(s, k);
  Index failures = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    failures +=
        spectral_residual(A, randomized_svd<double>(A.view(), k + p,
                                                    {.oversampling = 0, .power_iterations = 0, .seed = seed})) > bound
            ? 1
            : 0;
  const long double f = 2 * std::exp(-5.0L) + 0.1L;
  CHECK(static_cast<long double>(failures) <= seeds * f + 5 * std::sqrt(seeds * f * (1 - f)));
}

TEST("automatic power iterations end early where they may, and leave values as good as Musco and Musco's") {
  for (const auto& [name, s] : spectra(60)) {
    const Matrix<double> A = test::with_singular_values<double>(80, 60, s, 9);
    const auto result = randomized_svd<double>(A.view(), 8);
    const long double noise = roundings(A) * test::frobenius(A);
    // |sigma_i^2 - s_i^2| <= epsilon sigma_{k+1}^2; what the last pass still changed is 1e-3, and the rest 0.1 at most.
    // Or nothing was left outside the subspace but 1e-3 of s_k^2.
    const long double allowed = std::max(0.1L * at(s, 8) * at(s, 8), 1e-3L * at(s, 7) * at(s, 7));
    bool good = true;
    for (Index i = 0; i < result.rank; ++i) {
      const auto found = static_cast<long double>(result.singular_values[i]);
      good = good && (at(s, i) - found) * (at(s, i) + found) <= allowed + noise * (at(s, i) + found);
    }
    CHECK(good);
    if (!good) std::printf("  in the spectrum \"%s\", %td passes\n", name, result.passes);
    CHECK(result.passes <= 17);
    if (std::string(name) == "fast" || std::string(name).starts_with("exact") || std::string(name) == "zero")
      CHECK(result.settled && result.passes <= 4);
  }
}

TEST("randomized_svd finds the smallest rank that reaches a tolerance") {
  const Index n = 120;
  const Spectrum s = spectrum(n, [](long double i) { return std::pow(0.9L, i); });
  const Matrix<double> A = test::with_singular_values<double>(150, n, s, 10);
  for (const bool matrix_free : {false, true})
    for (const double tol : {0.5, 0.1, 1e-2, 1e-4}) {
      const RandomizedSvdOptions options{.tol = tol};
      const auto result = matrix_free ? randomized_svd<double>(as_callbacks(A), n, options)
                                      : randomized_svd<double>(A.view(), n, options);
      CHECK(result.converged && result.error <= tol * result.frobenius_norm);
      check_decomposition(A, result, s);
      Index least = 0;
      while (tail(s, least) > tol * tail(s, 0)) ++least;
      // A rank more for singular values that have not settled; where the error is estimated, as many as make up for it.
      CHECK(result.rank >= least - (matrix_free ? 8 : 0) && result.rank <= least + (matrix_free ? 8 : 2));
    }
  const auto refused = randomized_svd<double>(A.view(), 20, {.tol = 1e-4});
  CHECK(!refused.converged && refused.rank == 20 && refused.error > 1e-4 * refused.frobenius_norm);
  const Matrix<double> zero = test::with_singular_values<double>(30, 20, {}, 1);
  const auto nothing = randomized_svd<double>(zero.view(), 5, {.tol = 0.1});
  CHECK(nothing.converged && nothing.rank == 0 && nothing.error == 0);
}

TEST("randomized_svd knows errors far below what the difference of squares can show") {
  const Spectrum s = spectrum(50, [](long double i) { return std::pow(10.0L, -i); });
  const Matrix<double> A = test::with_singular_values<double>(60, 50, s, 11);
  for (const Index rank : {3, 8, 11}) {
    const auto result = randomized_svd<double>(A.view(), rank);
    CHECK(result.error <= 4 * tail(s, rank) && result.error >= tail(s, rank) / 4);
  }
}

TEST("an operator's norm saves a pass, and one that is too small does no harm") {
  const Spectrum s = spectrum(50, [](long double i) { return 1 / i; });
  const Matrix<double> A = test::with_singular_values<double>(60, 50, s, 19);
  const auto with = [&](double norm) {
    return randomized_svd<double>(as_callbacks(A), 5, {.power_iterations = 2, .frobenius_norm = norm});
  };
  const auto norm = static_cast<double>(test::frobenius(A));
  const auto unknown = with(automatic), known = with(norm), wrong = with(norm / 2);
  CHECK(unknown.passes == 7 && known.passes == 6 && wrong.passes == 7);
  for (const auto* result : {&unknown, &known, &wrong}) CHECK(values(*result) == values(known));
  check_decomposition(A, known, s);
  check_decomposition(A, unknown, s);
}

TEST("randomized_svd does not mind the scale of a dense matrix") {
  const Matrix<double> A =
      test::with_singular_values<double>(40, 30, spectrum(30, [](long double i) { return 1 / i; }), 12);
  const auto expected = randomized_svd<double>(A.view(), 5);
  for (const int exponent : {1015, 600, -600, -1015}) {
    Matrix<double> scaled = A;
    for (Index i = 0; i < 40; ++i)
      for (Index j = 0; j < 30; ++j) scaled(i, j) = std::ldexp(A(i, j), exponent);
    const auto result = randomized_svd<double>(std::as_const(scaled).view(), 5);
    for (Index i = 0; i < 5; ++i)
      CHECK(std::abs(std::ldexp(result.singular_values[i], -exponent) - expected.singular_values[i]) <= 1e-10);
    CHECK(std::abs(std::ldexp(result.error, -exponent) - expected.error) <= 1e-10);
  }
  Matrix<float> B(30, 20);
  for (const float entry : {std::numeric_limits<float>::denorm_min(), 1e-30F, 1e30F, 1e37F}) {
    for (Index i = 0; i < 30; ++i)
      for (Index j = 0; j < 20; ++j) B(i, j) = (i + j) % 2 == 0 ? entry : 0;
    const auto result = randomized_svd<float>(std::as_const(B).view(), 3);
    // Two blocks of ones, 15 x 10.
    const float expected_value = std::sqrt(150.0F) * entry;
    CHECK(std::abs(result.singular_values[0] - expected_value) <=
          1e-5F * expected_value + std::numeric_limits<float>::denorm_min());
    CHECK(result.singular_values[2] <= 1e-5F * expected_value);
  }
}

TEST("randomized_svd gives the same bits on any number of threads") {
  for (const auto [m, n] : {std::array<Index, 2>{3000, 40}, {700, 2300}, {2300, 700}}) {
    const Matrix<double> A = random_matrix<double>(m, n, 13);
    const Matrix<float> B = random_matrix<float>(m, n, 14, 1);
    for (const double tol : {0.0, 0.3}) {
      CHECK(all_numbers(A, 12, 1, tol) == all_numbers(A, 12, 2, tol));
      CHECK(all_numbers(B, 12, 1, tol) == all_numbers(B, 12, 4, tol));
    }
  }
}

TEST("randomized_svd takes empty matrices, and ranks beyond the shape") {
  for (const auto [m, n] : {std::array<Index, 2>{0, 0}, {0, 5}, {5, 0}}) {
    const auto result = randomized_svd<double>(MatrixView<const double>(nullptr, m, n), 3);
    CHECK(result.rank == 0 && result.rows == m && result.cols == n && result.error == 0 && result.converged);
  }
  const Matrix<double> A = random_matrix<double>(7, 4, 15);
  const auto full = randomized_svd<double>(A.view(), 100);
  CHECK(full.rank == 4 && full.passes == 1 && full.settled && full.error == 0);
  check_decomposition(A, full, test::reference_singular_values(widened(A)));
}

TEST("randomized_svd refuses bad arguments") {
  Matrix<double> A = random_matrix<double>(6, 5, 16);
  const MatrixView<const double> view = std::as_const(A).view();
  CHECK_THROWS((void)randomized_svd<double>(view, 0), std::invalid_argument, "randomized_svd: rank is 0");
  CHECK_THROWS((void)randomized_svd<double>(view, 1, {.oversampling = -1}), std::invalid_argument,
               "oversampling is -1");
  CHECK_THROWS((void)randomized_svd<double>(view, 1, {.power_iterations = -2}), std::invalid_argument,
               "power_iterations is -2");
  for (const double tol : {-1.0, 1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS((void)randomized_svd<double>(view, 1, {.tol = tol}), std::invalid_argument, "tol is");
  CHECK_THROWS((void)randomized_svd<double>(MatrixView<const double>(nullptr, 3, 3), 1), std::invalid_argument,
               "A is 3 x 3 but");
  LinearOperator<double> half = as_callbacks(A);
  half.apply_transposed = {};
  CHECK_THROWS((void)randomized_svd<double>(half, 1), std::invalid_argument, "no apply_transposed");
  CHECK_THROWS(
      (void)randomized_svd<double>(as_callbacks(A), 1, {.frobenius_norm = std::numeric_limits<double>::infinity()}),
      std::invalid_argument, "frobenius_norm is inf");
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    A(2, 3) = bad;
    CHECK_THROWS((void)randomized_svd<double>(view, 1), std::invalid_argument, "randomized_svd: A has the entry");
    CHECK_THROWS((void)randomized_svd<double>(view, 1), std::invalid_argument, "at index (2, 3)");
    CHECK_THROWS((void)randomized_svd<double>(as_callbacks(A), 1), std::invalid_argument, "A.apply(X) has the entry");
  }
}

TEST("randomized_svd stops when it is told to, and lets pass what an operator throws") {
  const auto identity = [](MatrixView<const float> X, MatrixView<float> Y) {
    for (Index i = 0; i < X.rows(); ++i) std::copy_n(&X(i, 0), X.cols(), &Y(i, 0));
  };
  const LinearOperator<float> A{400000, 400000, identity, identity};
  const Matrix<float> B = random_matrix<float>(4000, 1500, 17);
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = [](double fraction) {
                           CHECK(fraction >= 0 && fraction <= 1);
                           return false;
                         }};
    CHECK_THROWS((void)randomized_svd<float>(A, 10, {}, run), interrupted, "stopped");
    CHECK_THROWS((void)randomized_svd<float>(B.view(), 100, {}, run), interrupted, "stopped");
  }
  const auto throwing = [](MatrixView<const float>, MatrixView<float>) { throw std::logic_error("from the operator"); };
  CHECK_THROWS((void)randomized_svd<float>(LinearOperator<float>{5, 5, throwing, throwing}, 2), std::logic_error,
               "from the operator");
}

TEST("every allocation of randomized_svd may fail") {
  const Matrix<double> A =
      test::with_singular_values<double>(60, 50, spectrum(50, [](long double i) { return 1 / (i * i); }), 18);
  const auto expected = all_numbers(A, 30, 1, 1e-3);
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            if (all_numbers(A, 30, threads, 1e-3) != expected) throw std::logic_error("wrong result");
          }) > 0);
}
