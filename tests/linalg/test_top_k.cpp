#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "linalg/numbers.hpp"
#include "nearlinear/linalg/elementwise.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

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

TEST("top_k agrees with a sort") {
  check_top_k<float>();
  check_top_k<double>();
}

TEST("top_k of ties, of sorted and of special entries") {
  check_adversarial_top_k<float>();
  check_adversarial_top_k<double>();
}

TEST("top_k stops when it is told to") {
  const Array<float> zeros = many_zeros();
  std::vector<Index> indices(3);
  CHECK_THROWS(top_k<float>(zeros.span(), 3, indices, 1, {.keep_going = stop}), interrupted, "stopped");
}
