#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/linalg/elementwise.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

namespace {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T quiet_nan = std::numeric_limits<T>::quiet_NaN();

template <class T>
using Bits = std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint64_t>;

/// Equal bits, or both NaN.
template <class T>
bool same(T a, T b) {
  return std::bit_cast<Bits<T>>(a) == std::bit_cast<Bits<T>>(b) || (std::isnan(a) && std::isnan(b));
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](T x, T y) { return same(x, y); });
}

/// |result - exact| in units of the last place of T at `exact`; what is no finite number must be the same on both
/// sides.
template <class T>
long double ulps(T result, long double exact) {
  using Limits = std::numeric_limits<T>;
  const T rounded = static_cast<T>(exact);
  if (!std::isfinite(rounded) || !std::isfinite(result)) {
    if (same(result, rounded)) return 0;
    // One of them is the largest number, the other infinite, and the truth lies between.
    const bool at_the_end = std::abs(result) >= Limits::max() && std::abs(rounded) >= Limits::max();
    return at_the_end && !std::isnan(result) ? std::abs(std::min(std::abs(static_cast<long double>(result)),
                                                                 2 * static_cast<long double>(Limits::max())) -
                                                        std::abs(exact)) /
                                                   std::ldexp(1.0L, Limits::max_exponent - Limits::digits)
                                             : std::numeric_limits<long double>::infinity();
  }
  const int exponent = exact == 0 ? Limits::min_exponent : std::max(std::ilogb(exact) + 1, Limits::min_exponent);
  return std::abs(static_cast<long double>(result) - exact) / std::ldexp(1.0L, exponent - Limits::digits);
}

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

long double exact_log_sum_exp(const auto& x) {
  long double maximum = -infinity<long double>, sum = 0;
  for (const auto value : x) {
    if (std::isnan(value)) return quiet_nan<long double>;
    maximum = std::max(maximum, static_cast<long double>(value));
  }
  if (std::isinf(maximum)) return maximum;
  bool first = true;
  for (const auto value : x)
    if (static_cast<long double>(value) == maximum && first)
      first = false;
    else
      sum += std::exp(static_cast<long double>(value) - maximum);
  return maximum + std::log1p(sum);
}

/// The bound of the header.
template <class T>
bool log_sum_exp_is_right(T result, const std::vector<T>& x, Index additions) {
  const long double exact = exact_log_sum_exp(x);
  if (!std::isfinite(exact)) return same(result, static_cast<T>(exact));
  const auto n = static_cast<long double>(x.size());
  const long double u = std::numeric_limits<T>::epsilon() / 2;
  const long double d = std::is_same_v<T, float> ? 0 : static_cast<long double>(additions);
  return std::abs(static_cast<long double>(result) - exact) <= u * (std::abs(exact) + 2 * std::log(n) + 4 + d);
}

template <class T>
std::vector<std::vector<T>> adversarial_rows(std::size_t n) {
  const T huge = std::numeric_limits<T>::max(), tiny = std::numeric_limits<T>::denorm_min();
  std::vector<std::vector<T>> rows;
  for (const T value :
       {T{0}, T{1}, T{-1}, huge, -huge, tiny, infinity<T>, -infinity<T>, quiet_nan<T>, T{1000}, T{-1000}}) {
    rows.emplace_back(n, value);
    for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
      rows.emplace_back(n, T{0.5});
      rows.back()[at] = value;
      rows.emplace_back(n, -infinity<T>);
      rows.back()[at] = value;
      rows.emplace_back(n, -huge);
      rows.back()[at] = value;
    }
  }
  for (const T other : {T{0}, huge, -infinity<T>, quiet_nan<T>}) {
    rows.emplace_back(n, T{1});
    rows.back()[0] = infinity<T>;
    rows.back()[n - 1] = other;
    rows.emplace_back(n, -infinity<T>);
    rows.back()[n / 3] = other;
    rows.emplace_back(n, quiet_nan<T>);
    rows.back()[n / 3] = other;
  }
  rows.emplace_back(n);
  for (std::size_t i = 0; i < n; ++i) rows.back()[i] = static_cast<T>(i);
  rows.emplace_back(rows.back().rbegin(), rows.back().rend());
  return rows;
}

/// Row by row and column by column, with gaps, on several numbers of threads.
template <class T>
void check_log_sum_exp(const Matrix<T>& A) {
  Matrix<T> transposed(A.cols(), A.rows(), 2);
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) transposed(j, i) = A(i, j);
  const auto rows = static_cast<std::size_t>(A.rows());
  std::vector<T> of_rows(rows), of_columns(rows);
  row_log_sum_exp<T>(A.view(), of_rows, {.n_threads = 1});
  column_log_sum_exp<T>(std::as_const(transposed).view(), of_columns, {.n_threads = 1});
  bool right = true, alone = true;
  for (Index i = 0; i < A.rows(); ++i) {
    const auto row = A.view().row(i);
    const std::vector<T> x(row.begin(), row.end());
    const auto at = static_cast<std::size_t>(i);
    right = right && log_sum_exp_is_right(of_rows[at], x, 70 + 5 * A.cols() / 4096);
    right = right && log_sum_exp_is_right(of_columns[at], x, 521 + 5 * A.cols() / 512);
    alone = alone && same(log_sum_exp<T>(x), of_rows[at]);
  }
  CHECK(right);
  CHECK(alone);
  for (const int threads : {2, 4}) {
    std::vector<T> again(rows);
    row_log_sum_exp<T>(A.view(), again, {.n_threads = threads});
    CHECK(same(again, of_rows));
    column_log_sum_exp<T>(std::as_const(transposed).view(), again, {.n_threads = threads});
    CHECK(same(again, of_columns));
  }
}

template <class T>
void check_log_sum_exp_of_all_kinds() {
  for (const std::size_t n : {1, 2, 63, 64, 65, 700, 4096, 9000}) {
    const auto rows = adversarial_rows<T>(n);
    Matrix<T> A(static_cast<Index>(rows.size()), static_cast<Index>(n), 3);
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < n; ++j) A(static_cast<Index>(i), static_cast<Index>(j)) = rows[i][j];
    check_log_sum_exp(A);
  }
  for (const double scale : {1e-3, 1.0, 30.0, 1e4}) {
    Matrix<T> A = random_matrix<T>(90, 1500, 23, 1);
    for (Index i = 0; i < A.rows(); ++i)
      for (Index j = 0; j < A.cols(); ++j) A(i, j) *= static_cast<T>(scale);
    check_log_sum_exp(A);
  }
  check_log_sum_exp(random_matrix<T>(3, 140000, 24, 1));  // rows that are shared among threads
}

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

/// By a sort of all entries.
template <class T>
std::vector<Index> exact_top_k(const std::vector<T>& x, Index k) {
  std::vector<Index> order(x.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index i, Index j) {
    const T a = x[static_cast<std::size_t>(i)], b = x[static_cast<std::size_t>(j)];
    if (a == b || (std::isnan(a) && std::isnan(b))) return i < j;
    return std::isnan(b) || a > b;
  });
  order.resize(static_cast<std::size_t>(k));
  return order;
}

template <class T>
bool top_k_is_right(const std::vector<T>& x, Index k) {
  const std::vector<Index> expected = exact_top_k(x, k);
  std::vector<T> thresholds{-infinity<T>, infinity<T>, quiet_nan<T>, 0, std::numeric_limits<T>::lowest()};
  if (k > 0) {
    const T last = x[static_cast<std::size_t>(expected.back())], first = x[static_cast<std::size_t>(expected.front())];
    for (const T value : {last, first, std::nextafter(last, infinity<T>), std::nextafter(last, -infinity<T>)})
      thresholds.push_back(value);
  }
  return std::all_of(thresholds.begin(), thresholds.end(), [&](T threshold) {
    std::vector<Index> indices(static_cast<std::size_t>(k), -1);
    top_k<T>(x, k, indices, threshold);
    return indices == expected;
  });
}

template <class T>
void check_top_k() {
  const RandomStream random(27, 0);
  bool right = true;
  std::uint64_t draw = 0;
  for (Index instance = 0; instance < 250; ++instance) {
    const auto n = static_cast<Index>(1 + 3000 * random.uniform(draw++));
    const auto values = instance % 2 == 0 ? 1e9 : 1 + 50 * random.uniform(draw++);  // few: many ties
    std::vector<T> x(static_cast<std::size_t>(n));
    for (T& value : x) value = static_cast<T>(std::floor(values * random.uniform(draw++)));
    for (Index special = 0; special < instance % 5; ++special) {
      const auto at = static_cast<std::size_t>(static_cast<double>(n) * random.uniform(draw++));
      x[at] = special == 0 ? quiet_nan<T> : special == 1 ? infinity<T> : special == 2 ? -infinity<T> : T{-0.0};
    }
    for (const Index k : {Index{0}, Index{1}, n / 100, n / 2, n - 1, n}) right = right && top_k_is_right(x, k);
  }
  CHECK(right);
}

template <class T>
void check_adversarial_top_k() {
  for (const std::size_t n : {1, 64, 65, 1000, 20000}) {
    std::vector<std::vector<T>> inputs;
    for (const T value : {T{0}, T{-1}, infinity<T>, -infinity<T>, quiet_nan<T>}) {
      inputs.emplace_back(n, value);
      inputs.emplace_back(n, value);
      for (std::size_t i = 0; i < n; i += 3) inputs.back()[i] = T{7};
      inputs.emplace_back(n, value);
      inputs.back()[n - 1] = -infinity<T>;
      inputs.back()[n / 2] = quiet_nan<T>;
    }
    for (const std::size_t period : {n + 1, std::size_t{2}, std::size_t{7}, std::size_t{100}}) {
      inputs.emplace_back(n);
      for (std::size_t i = 0; i < n; ++i) inputs.back()[i] = static_cast<T>(i % period);
      inputs.emplace_back(inputs.back().rbegin(), inputs.back().rend());
    }
    const auto size = static_cast<Index>(n);
    for (const auto& x : inputs)
      for (const Index k : {Index{0}, Index{1}, size / 2, size - 1, size}) CHECK(top_k_is_right(x, k));
  }
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

TEST("log_sum_exp of rows and of columns agrees with its definition") {
  check_log_sum_exp_of_all_kinds<float>();
  check_log_sum_exp_of_all_kinds<double>();
}

TEST("log_sum_exp keeps the digits of a result near 0") {
  const std::vector<double> x{-50, 0, -60};
  CHECK(ulps(log_sum_exp<double>(x), std::log1p(std::exp(-50.0L) + std::exp(-60.0L))) < 4);
}

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

TEST("top_k agrees with a sort") {
  check_top_k<float>();
  check_top_k<double>();
}

TEST("top_k of ties, of sorted and of special entries") {
  check_adversarial_top_k<float>();
  check_adversarial_top_k<double>();
}

TEST("elementwise functions of nothing are defined") {
  exp<double>({}, {});
  log<float>({}, {});
  CHECK(same(sum<double>({}), 0.0) && same(dot<float>({}, {}), 0.0F) && same(norm<double>({}), 0.0));
  CHECK(log_sum_exp<double>({}) == -infinity<double>);
  std::vector<float> result(3, 1.0F);
  row_log_sum_exp<float>(MatrixView<const float>(nullptr, 3, 0), result);
  CHECK(result == std::vector<float>(3, -infinity<float>));
  result.assign(3, 1.0F);
  column_log_sum_exp<float>(MatrixView<const float>(nullptr, 0, 3), result);
  CHECK(result == std::vector<float>(3, -infinity<float>));
  row_log_sum_exp<float>(MatrixView<const float>(nullptr, 0, 3), {});
  column_log_sum_exp<float>(MatrixView<const float>(nullptr, 3, 0), {});
  top_k<double>({}, 0, {});
}

TEST("elementwise functions refuse sizes that do not match") {
  std::vector<double> x(6), y(5);
  std::vector<Index> indices(3);
  const MatrixView<const double> A(x.data(), 2, 3);
  CHECK_THROWS(exp<double>(x, y), std::invalid_argument, "exp: x has 6 entries and y has 5");
  CHECK_THROWS(log<double>(x, y), std::invalid_argument, "log: x has 6 entries and y has 5");
  CHECK_THROWS(exp<double>(std::span<const double>(x).first(5), std::span<double>(x).last(5)), std::invalid_argument,
               "overlap in part");
  CHECK_THROWS((void)dot<double>(x, y), std::invalid_argument, "dot: x has 6 entries and y has 5");
  CHECK_THROWS(row_log_sum_exp<double>(A, y), std::invalid_argument, "A is 2 x 3 and result has 5 entries");
  CHECK_THROWS(column_log_sum_exp<double>(A, y), std::invalid_argument, "A is 2 x 3 and result has 5 entries");
  CHECK_THROWS(row_log_sum_exp<double>(MatrixView<const double>(nullptr, 5, 3), y), std::invalid_argument, "null");
  CHECK_THROWS(top_k<double>(x, 7, indices), std::invalid_argument, "k is 7 and x has 6 entries");
  CHECK_THROWS(top_k<double>(x, -1, indices), std::invalid_argument, "k is -1");
  CHECK_THROWS(top_k<double>(x, 2, indices), std::invalid_argument, "k is 2 and indices has 3 entries");
  CHECK_THROWS((void)sum<double>(x, {.n_threads = -1}), std::invalid_argument, "n_threads is -1");
}

TEST("log_sum_exp stops when it is told to") {
  // Read alone, zeros from the system take no memory; instrumented code takes longer, and memory for every read.
#ifdef NEARLINEAR_SANITIZED
  constexpr Index n = 1 << 12, d = 1 << 11;
#else
  constexpr Index n = 1 << 14, d = 1 << 14;
#endif
  const auto zeros = Array<double>::zeros(n * d);
  const MatrixView<const double> A(zeros.data(), n, d);
  std::vector<double> of_rows(n), of_columns(d);
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS(row_log_sum_exp<double>(A, of_rows, run), interrupted, "stopped");
    CHECK_THROWS(column_log_sum_exp<double>(A, of_columns, run), interrupted, "stopped");
    CHECK_THROWS((void)log_sum_exp<double>(zeros.span(), run), interrupted, "stopped");
  }
}

TEST("every allocation of a sum or a selection may fail") {
  const Matrix<double> X = random_matrix<double>(1, 200000, 29);
  const std::vector<double>& x = X.storage();
  const double expected = sum<double>(x);
  std::vector<Index> indices(10);
  std::vector<double> result(2);
  const Matrix<double> A = random_matrix<double>(2, 140000, 30);
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            const RunOptions run{.n_threads = threads};
            if (!same(sum<double>(x, run), expected)) throw std::logic_error("wrong sum");
            row_log_sum_exp<double>(A.view(), result, run);
            top_k<double>(x, 10, indices);
          }) > 0);
}
