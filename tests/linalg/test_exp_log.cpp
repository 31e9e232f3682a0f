#include <algorithm>
#include <bit>
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

/// Every exponent with random mantissas and both signs, special values, and what is next to them.
template <class T>
std::vector<T> all_exponents(Index per_exponent) {
  using Limits = std::numeric_limits<T>;
  constexpr int mantissa_bits = Limits::digits - 1;
  constexpr Bits<T> exponents = (Bits<T>{1} << (8 * sizeof(T) - static_cast<std::size_t>(Limits::digits))) - 1;
  std::vector<T> x{0, 1, 2, Limits::min(), Limits::denorm_min(), Limits::max(), infinity<T>, quiet_nan<T>};
  for (const double value :
       {0.5, std::sqrt(0.5), std::sqrt(2.0), std::log(2.0) / 2, 87.3366, 88.72, 103.97, 709.78, 745.13})
    x.push_back(static_cast<T>(value));
  for (std::size_t i = x.size(); i-- > 0;) {
    x.push_back(std::nextafter(x[i], infinity<T>));
    x.push_back(std::nextafter(x[i], -infinity<T>));
  }
  const RandomStream random(21, 0);
  std::uint64_t draw = 0;
  for (Bits<T> exponent = 0; exponent < exponents; ++exponent)
    for (Index i = 0; i < per_exponent; ++i) {
      const PhiloxCounter words = random.bits(draw++);
      const auto mantissa = static_cast<Bits<T>>((static_cast<std::uint64_t>(words[0]) << 32) | words[1]) &
                            ((Bits<T>{1} << mantissa_bits) - 1);
      x.push_back(std::bit_cast<T>((exponent << mantissa_bits) | mantissa));
    }
  const std::size_t half = x.size();
  for (std::size_t i = 0; i < half; ++i) x.push_back(-x[i]);
  return x;
}

/// `count` numbers, equally far apart but for some noise.
template <class T>
void append_range(std::vector<T>& x, double begin, double end, Index count) {
  const RandomStream random(22, 0);
  for (Index i = 0; i < count; ++i)
    x.push_back(static_cast<T>(begin + (end - begin) *
                                           (static_cast<double>(i) + random.uniform(static_cast<std::uint64_t>(i))) /
                                           static_cast<double>(count)));
}

template <class T>
std::vector<T> apply(void (*function)(std::span<const T>, std::span<T>, const RunOptions&), const std::vector<T>& x,
                     int threads = 1) {
  std::vector<T> y(x.size());
  function(x, y, {.n_threads = threads});
  return y;
}

template <class T, class Exact>
void check_function(const char* name, void (*function)(std::span<const T>, std::span<T>, const RunOptions&),
                    const std::vector<T>& x, const Exact& exact) {
  CHECK(x.size() >= 200000);
  const std::vector<T> y = apply(function, x);
  long double worst = 0;
  T at = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (const long double error = ulps(y[i], exact(static_cast<long double>(x[i]))); error > worst) {
      worst = error;
      at = x[i];
    }
  std::printf("  %s of %zu-byte numbers: %zu of them, error at most %.3Lf ulp, at %a\n", name, sizeof(T), x.size(),
              worst, static_cast<double>(at));
  CHECK(worst < 2);

  for (const int threads : {2, 4}) CHECK(same(apply(function, x, threads), y));
  std::vector<T> in_place = x;
  function(in_place, in_place, {});
  CHECK(same(in_place, y));
  bool same_alone = true;  // whatever its place in the array
  for (std::size_t i = 0; i < x.size(); i += 997) same_alone = same_alone && same(apply(function, {x[i]})[0], y[i]);
  CHECK(same_alone);
}

template <class T>
void check_exp_and_log() {
  std::vector<T> x = all_exponents<T>(std::is_same_v<T, float> ? 300 : 50);
  const std::size_t general = x.size();
  const double end = std::is_same_v<T, float> ? 104 : 746;
  append_range(x, -end, end, 150000);
  append_range(x, -1, 1, 50000);
  check_function<T>("exp", exp<T>, x, [](long double v) { return std::exp(v); });
  x.resize(general);
  append_range(x, 0, 4, 150000);
  append_range(x, 0.99, 1.01, 50000);
  check_function<T>("log", log<T>, x, [](long double v) { return std::log(v); });
}

template <class T>
void check_special_values() {
  using Limits = std::numeric_limits<T>;
  const std::vector<T> x{0, T{-0.0}, infinity<T>, -infinity<T>, quiet_nan<T>, Limits::max(), Limits::lowest()};
  CHECK(same(apply(exp<T>, x), {1, 1, infinity<T>, 0, quiet_nan<T>, infinity<T>, 0}));
  const std::vector<T> y{0, T{-0.0}, infinity<T>, -infinity<T>, quiet_nan<T>, 1, -1, -Limits::denorm_min()};
  CHECK(same(apply(log<T>, y),
             {-infinity<T>, -infinity<T>, infinity<T>, quiet_nan<T>, quiet_nan<T>, 0, quiet_nan<T>, quiet_nan<T>}));
}

}  // namespace

TEST("exp and log are right within 2 units in the last place") {
  check_exp_and_log<float>();
  check_exp_and_log<double>();
}

TEST("exp and log of special values") {
  check_special_values<float>();
  check_special_values<double>();
}

TEST("exp and log write the entries of y alone") {
  for (const std::size_t n : {0, 1, 63, 64, 511, 512, 513, 1000}) {
    std::vector<double> x(n + 2, 1.0), y(n + 2, -5.0);
    log<double>(std::span<const double>(x).subspan(1, n), std::span<double>(y).subspan(1, n));
    CHECK(y.front() == -5 && y.back() == -5);
    CHECK(std::all_of(y.begin() + 1, y.end() - 1, [](double value) { return value == 0; }));
  }
}

TEST("exp and log stop when they are told to") {
  const Array<float> zeros = many_zeros(), results = many_zeros();
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS(exp<float>(zeros.span(), results.span(), run), interrupted, "stopped");
    CHECK_THROWS(log<float>(zeros.span(), results.span(), run), interrupted, "stopped");
  }
}
