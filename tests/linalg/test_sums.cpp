#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "linalg/numbers.hpp"
#include "nearlinear/linalg/elementwise.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

/// sum, dot and norm against long double, with the bounds of the header.
template <class T>
void check_sums(Index n) {
  const Matrix<T> X = random_matrix<T>(1, n, 25), Y = random_matrix<T>(1, n, 26);
  const std::vector<T>&x = X.storage(), &y = Y.storage();
  long double plain = 0, absolute = 0, product = 0, absolute_product = 0, squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double a = x[i], b = y[i];
    plain += a;
    absolute += std::abs(a);
    product += a * b;
    absolute_product += std::abs(a * b);
    squares += a * a;
  }
  const long double u = std::is_same_v<T, float> ? std::numeric_limits<T>::epsilon() / 2 : 0;
  const Index k = 71 + (n > 4096 ? static_cast<Index>(std::ceil(std::log2(static_cast<double>(n) / 4096))) : 0);
  const long double relative = test::gamma<double>(k);
  const auto close = [&](T result, long double exact, long double scale) {
    return std::abs(static_cast<long double>(result) - exact) <=
           relative * scale + u * std::abs(exact) * (1 + relative);
  };
  CHECK(close(sum<T>(x), plain, absolute));
  CHECK(close(dot<T>(x, y), product, absolute_product));
  CHECK(close(norm<T>(x), std::sqrt(squares), std::sqrt(squares)));
  for (const int threads : {1, 2, 4}) {
    const RunOptions run{.n_threads = threads};
    CHECK(same(sum<T>(x, run), sum<T>(x)) && same(dot<T>(x, y, run), dot<T>(x, y)) &&
          same(norm<T>(x, run), norm<T>(x)));
  }
}

template <class T>
void check_norm_at_the_ends() {
  using Limits = std::numeric_limits<T>;
  const auto close = [](T result, long double exact) { return ulps(result, exact) < 70; };
  for (const Index n : {1, 3, 100, 5000})
    for (int exponent = Limits::min_exponent - Limits::digits; exponent < Limits::max_exponent - 7; ++exponent) {
      const std::vector<T> x(static_cast<std::size_t>(n), std::ldexp(T{1}, exponent));
      CHECK(close(norm<T>(x), std::sqrt(static_cast<long double>(n)) * static_cast<long double>(x[0])));
      if (n == 5000 && exponent % 20 != 0) exponent += 17;
    }
  const T huge = Limits::max(), tiny = Limits::denorm_min();
  CHECK(norm<T>(std::vector<T>{huge, tiny}) == huge);
  CHECK(norm<T>(std::vector<T>{huge, huge}) == infinity<T>);
  CHECK(norm<T>(std::vector<T>{tiny, 0, 0}) == tiny);
  CHECK(norm<T>(std::vector<T>{3 * tiny, -4 * tiny}) == 5 * tiny);
  CHECK(norm<T>(std::vector<T>{1, -infinity<T>}) == infinity<T>);
  CHECK(std::isnan(norm<T>(std::vector<T>{quiet_nan<T>, infinity<T>})));
  CHECK(same(norm<T>(std::vector<T>(9)), T{0}));
}

}  // namespace

TEST("sum, dot and norm agree with their definitions") {
  for (const Index n : {1, 2, 63, 64, 65, 4096, 4097, 100000, 1000003}) {
    check_sums<float>(n);
    check_sums<double>(n);
  }
}

TEST("sums in float neither lose digits nor overflow on the way") {
  const std::vector<float> x(5000000, 1.1F);
  CHECK(sum<float>(x) == static_cast<float>(5e6 * static_cast<double>(1.1F)));
  const float huge = std::numeric_limits<float>::max();
  CHECK(sum<float>(std::vector<float>{huge, huge, -huge}) == huge);
  CHECK(dot<float>(std::vector<float>{huge, huge}, std::vector<float>{huge, -huge}) == 0);
}

TEST("sums of infinities and NaN follow IEEE arithmetic") {
  CHECK(sum<double>(std::vector<double>{1, infinity<double>}) == infinity<double>);
  CHECK(std::isnan(sum<double>(std::vector<double>{-infinity<double>, infinity<double>})));
  CHECK(std::isnan(dot<float>(std::vector<float>{0, 1}, std::vector<float>{infinity<float>, 1})));
  CHECK(std::isnan(sum<float>(std::vector<float>{quiet_nan<float>, 1})));
}

TEST("norm neither overflows nor underflows where the result does not") {
  check_norm_at_the_ends<float>();
  check_norm_at_the_ends<double>();
}

TEST("sum, dot and norm stop when they are told to") {
  const Array<float> zeros = many_zeros();
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS((void)sum<float>(zeros.span(), run), interrupted, "stopped");
    CHECK_THROWS((void)dot<float>(zeros.span(), zeros.span(), run), interrupted, "stopped");
    CHECK_THROWS((void)norm<float>(zeros.span(), run), interrupted, "stopped");
  }
}

TEST("sums of subnormal numbers are exact") {
  const double tiny = std::numeric_limits<double>::denorm_min();
  for (const std::size_t n : {1, 65, 5000}) {
    const std::vector<double> x(n, tiny), ones(n, 1.0);
    CHECK(sum<double>(x) == static_cast<double>(n) * tiny);
    CHECK(dot<double>(x, ones) == static_cast<double>(n) * tiny);
  }
}
