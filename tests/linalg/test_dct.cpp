#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "check.hpp"
#include "matrices.hpp"
#include "nearlinear/linalg.hpp"

using namespace nearlinear;
using test::gamma;
using test::Matrix;
using test::random_matrix;

namespace {

template <class T>
Matrix<T> transform(const Matrix<T>& X, const DctOptions& options) {
  Matrix<T> Y(X.rows(), X.cols(), 2);
  dct<T>(X.view(), Y.view(), options);
  CHECK(Y.gaps_are_untouched());
  return Y;
}

/// The factors that the transform of complex length N multiplies its passes by, and whether N needs a convolution.
std::vector<Index> factors(Index N) {
  std::vector<Index> result;
  for (const Index factor : {4, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31})
    for (; N % factor == 0; N /= factor) result.push_back(factor);
  if (N > 1) result.clear();
  return result;
}

/// The bound of docs/theory/linalg/dct.md on the relative error of an orthonormal transform of length n.
template <class T>
long double error_bound(Index n) {
  const auto passes = [](const std::vector<Index>& radices) {
    long double sum = 0;
    for (const Index r : radices) {
      const Index depth = r == 2 ? 1 : r == 4 ? 2 : (r - 1) / 2 + 5;
      sum += gamma<T>(4) + std::sqrt(2.0L * static_cast<long double>(r)) * gamma<T>(depth);
    }
    return sum;
  };
  const Index N = n % 2 == 0 ? n / 2 : n;
  const std::vector<Index> radices = factors(N);
  const long double ends = 2 * gamma<T>(5) + 4 * gamma<T>(1);
  if (N == 1 || !radices.empty()) return ends + passes(radices);
  Index M = 2 * N - 1;
  const auto smooth = [](Index size) {
    for (const Index p : {2, 3, 5})
      while (size % p == 0) size /= p;
    return size == 1;
  };
  while (!smooth(M)) ++M;
  return ends + 6 * passes(factors(M)) + 2 * gamma<T>(4);
}

/// ||D (result - C_n x)|| / (bound ||D C_n x||) by the definition, D scaling to the orthonormal transform; the largest
/// of all columns. Theorem 24.2 knows no underflow: 4 n smallest numbers are allowed for it.
template <class T>
long double error_in_bounds(const Matrix<T>& X, const Matrix<T>& Y, const DctOptions& options) {
  const Index n = X.rows(), d = X.cols();
  const auto length = static_cast<long double>(n);
  std::vector<long double> cosines(static_cast<std::size_t>(4 * n));
  for (Index m = 0; m < 4 * n; ++m) {  // by symmetry from the first quarter, where the argument is small
    const Index quarter = m / n, rest = m % n;
    const long double angle = std::numbers::pi_v<long double> / 2 * static_cast<long double>(rest) / length;
    const long double values[] = {std::cos(angle), -std::sin(angle), -std::cos(angle), std::sin(angle)};
    cosines[static_cast<std::size_t>(m)] = values[quarter];
  }
  const auto orthonormal_factor = [&](Index k) { return std::sqrt((k == 0 ? 1.0L : 2.0L) / length); };
  const auto scale = [&](Index k) { return options.orthonormal ? 1.0L : 2 / orthonormal_factor(k); };
  long double worst = 0;
  for (Index j = 0; j < d; ++j) {
    long double error = 0, norm = 0;
    for (Index i = 0; i < n; ++i) {
      long double sum = 0;
      for (Index l = 0; l < n; ++l) {
        const Index k = options.inverse ? l : i, position = options.inverse ? i : l;
        const long double cosine =
            orthonormal_factor(k) * cosines[static_cast<std::size_t>(k * (2 * position + 1) % (4 * n))];
        sum += cosine * static_cast<long double>(X(l, j)) / (options.inverse ? scale(k) : 1.0L);
      }
      const long double result = static_cast<long double>(Y(i, j)) / (options.inverse ? 1.0L : scale(i));
      error += (result - sum) * (result - sum);
      norm += sum * sum;
    }
    const long double underflow = 4 * length * static_cast<long double>(std::numeric_limits<T>::denorm_min());
    const long double bound = error_bound<T>(n) / (1 - error_bound<T>(n)) * std::sqrt(norm) + underflow;
    worst = std::max(worst, std::sqrt(error) / bound);
    if (!(error >= 0)) return std::numeric_limits<long double>::infinity();
  }
  return worst;
}

template <class T>
void check_against_definition(const Matrix<T>& X) {
  for (const bool orthonormal : {false, true})
    for (const bool inverse : {false, true}) {
      const DctOptions options{.orthonormal = orthonormal, .inverse = inverse};
      CHECK(error_in_bounds(X, transform(X, options), options) <= 1);
    }
}

}  // namespace

TEST("dct agrees with its definition for every small number of rows") {
  for (Index n = 1; n <= 75; ++n) {
    const auto seed = static_cast<std::uint64_t>(n);
    check_against_definition(random_matrix<double>(n, 1 + n % 11, seed, n % 3));
    check_against_definition(random_matrix<float>(n, 1 + n % 19, seed, n % 2));
  }
}

TEST("dct agrees with its definition for many passes, large prime factors and powers of primes") {
  for (const Index n : {96, 121, 128, 243, 343, 509, 512, 625, 961, 1000, 1018, 1024, 1147})
    check_against_definition(random_matrix<double>(n, 2, 3));
  for (const Index n : {256, 360, 509, 1000}) check_against_definition(random_matrix<float>(n, 9, 3));
}

TEST("dct of adversarial columns") {
  using Entry = std::function<double(Index, Index)>;
  const std::vector<Entry> entries = {
      [](Index, Index) { return 0.0; },
      [](Index, Index) { return -0.0; },
      [](Index, Index) { return 1.0; },
      [](Index i, Index) { return i % 2 == 0 ? 1.0 : -1.0; },
      [](Index i, Index) { return i == 0 ? 1e300 : 0.0; },
      [](Index i, Index j) { return i == j ? 1.0 : 0.0; },
      [](Index, Index) { return 5e-324; },
      [](Index i, Index) { return static_cast<double>(i) * 5e-324; },
      [](Index i, Index j) { return std::ldexp(static_cast<double>(i + 1), 200 * static_cast<int>(j)); },
      [](Index i, Index) { return i % 2 == 0 ? 1e17 : -1e17; },
      [](Index i, Index) { return i == 3 ? 1e17 : 1.0; },
      [](Index i, Index) { return std::ldexp(1.0, -static_cast<int>(i % 1000)); },
  };
  for (const Index n : {1, 2, 37, 64, 90})
    for (const Entry& entry : entries) {
      Matrix<double> X(n, 5);
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < 5; ++j) X(i, j) = entry(i, j);
      check_against_definition(X);
    }
}

TEST("dct gives a column the same bits alone, in company, in place, with gaps, on any number of threads") {
  for (const Index n : {1, 2, 30, 37, 74, 1000, 4099})
    for (const bool inverse : {false, true}) {
      constexpr Index d = 75;
      const Matrix<double> X = random_matrix<double>(n, d, 5, 1);
      const Matrix<double> serial = transform(X, {.inverse = inverse, .run = {.n_threads = 1}});
      for (const int threads : {2, 4})
        CHECK(transform(X, {.inverse = inverse, .run = {.n_threads = threads}}).storage() == serial.storage());
      Matrix<double> in_place = X;
      dct<double>(in_place.view(), in_place.view(), {.inverse = inverse});
      CHECK(in_place.gaps_are_untouched());
      bool equal = true;
      for (Index j = 0; j < d; ++j) {
        Matrix<double> column(n, 1);
        for (Index i = 0; i < n; ++i) column(i, 0) = X(i, j);
        const Matrix<double> alone = transform(column, {.inverse = inverse});
        for (Index i = 0; i < n; ++i) equal = equal && alone(i, 0) == serial(i, j) && in_place(i, j) == serial(i, j);
      }
      CHECK(equal);
    }
}

TEST("dct keeps infinities and NaN in their column") {
  for (const Index n : {8, 9, 37}) {
    Matrix<float> X = random_matrix<float>(n, 20, 6);
    const Matrix<float> clean = transform(X, {});
    X(n / 2, 3) = std::numeric_limits<float>::quiet_NaN();
    X(1, 11) = std::numeric_limits<float>::infinity();
    const Matrix<float> Y = transform(X, {});
    for (Index i = 0; i < n; ++i) {
      CHECK(std::isnan(Y(i, 3)));
      CHECK(!std::isfinite(Y(i, 11)));
      for (Index j = 0; j < 20; ++j) CHECK(j == 3 || j == 11 || Y(i, j) == clean(i, j));
    }
  }
}

TEST("dct of long columns and its inverse give the columns back") {
  for (const Index n : {1 << 17, 99991, 2 * 65537, 3 * 5 * 7 * 11 * 13}) {
    const Matrix<double> X = random_matrix<double>(n, 2, 8);
    const Matrix<double> Y = transform(transform(X, {.orthonormal = true}), {.orthonormal = true, .inverse = true});
    for (Index j = 0; j < 2; ++j) {
      long double error = 0, norm = 0;
      for (Index i = 0; i < n; ++i) {
        const long double x = X(i, j), difference = Y(i, j) - x;
        error += difference * difference;
        norm += x * x;
      }
      CHECK(std::sqrt(error / norm) <= 2 * error_bound<double>(n) * (1 + error_bound<double>(n)));
    }
  }
}

TEST("dct refuses bad views and accepts empty ones") {
  std::vector<double> x(12), y(12);
  const MatrixView<double> X(x.data(), 3, 2), Y(y.data(), 2, 3);
  CHECK_THROWS(dct<double>(X, Y), std::invalid_argument, "dct: X is 3 x 2 but Y is 2 x 3");
  CHECK_THROWS(dct<double>(X, MatrixView<double>(nullptr, 3, 2)), std::invalid_argument, "Y is 3 x 2 but its data");
  CHECK_THROWS(dct<double>(MatrixView<double>(nullptr, 3, 2), X), std::invalid_argument, "X is 3 x 2 but its data");
  CHECK_THROWS(dct<double>(X, MatrixView<double>(x.data() + 1, 3, 2)), std::invalid_argument, "both 3 x 2, overlap");
  CHECK_THROWS(dct<double>(X, MatrixView<double>(x.data(), 3, 2, 3)), std::invalid_argument, "overlap");
  CHECK_THROWS(dct<double>(MatrixView<double>(x.data(), 3, 2, 1), X), std::invalid_argument, "rows overlap");
  dct<double>(MatrixView<double>(nullptr, 0, 4), MatrixView<double>(nullptr, 0, 4));
  dct<double>(MatrixView<double>(nullptr, 4, 0), MatrixView<double>(nullptr, 4, 0));
}

TEST("dct stops when it is told to") {
  Matrix<float> X = random_matrix<float>(600011, 16, 9);  // a prime: much work for little memory
  for (const int threads : {1, 2}) {
    const DctOptions options{.run = {.n_threads = threads, .keep_going = [](double fraction) {
                                       CHECK(fraction >= 0 && fraction <= 1);
                                       return false;
                                     }}};
    CHECK_THROWS(dct<float>(X.view(), X.view(), options), interrupted, "stopped");
  }
}

TEST("dct reports a lack of memory") {
  for (const Index n : {36, 41, 82}) {
    const Matrix<double> X = random_matrix<double>(n, 30, 10);
    Matrix<double> Y(n, 30);
    CHECK(check::count_survived_allocation_failures([&] { dct<double>(X.view(), Y.view()); }) > 0);
  }
}
