// Any bytes are numbers: functions of them must agree with the C library, sums of exponentials with their definition,
// and selections with a sort.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "nearlinear/linalg/elementwise.hpp"

namespace {

using nearlinear::Index;

void require_close(float result, double exact, double ulps) {
  const auto rounded = static_cast<float>(exact);
  if (result == rounded || (std::isnan(result) && std::isnan(exact))) return;
  const float ulp = std::nextafter(std::abs(rounded), std::numeric_limits<float>::infinity()) - std::abs(rounded);
  const bool close = std::abs(static_cast<double>(result) - exact) <= ulps * static_cast<double>(ulp);
  const bool at_the_end = std::isinf(result) != std::isinf(rounded) &&
                          std::abs(exact) >= static_cast<double>(std::numeric_limits<float>::max()) * (1 - 1e-6);
  if (!close && !at_the_end) std::abort();
}

void check_functions(const std::vector<float>& x) {
  std::vector<float> y(x.size());
  nearlinear::exp<float>(x, y);
  for (std::size_t i = 0; i < x.size(); ++i) require_close(y[i], std::exp(static_cast<double>(x[i])), 2);
  y = x;
  nearlinear::log<float>(y, y);
  for (std::size_t i = 0; i < x.size(); ++i) require_close(y[i], std::log(static_cast<double>(x[i])), 2);
}

void check_log_sum_exp(const std::vector<float>& x) {
  double maximum = -std::numeric_limits<double>::infinity(), sum = 0;
  bool nan = false;
  for (const float value : x) {
    nan = nan || std::isnan(value);
    maximum = std::max(maximum, static_cast<double>(value));
  }
  for (const float value : x) sum += std::exp(static_cast<double>(value) - maximum);
  const double finite = maximum + std::log(sum);
  const double exact = nan ? std::numeric_limits<double>::quiet_NaN() : std::isinf(maximum) ? maximum : finite;

  const float result = nearlinear::log_sum_exp<float>(x);
  std::vector<float> of_columns(1);
  nearlinear::column_log_sum_exp<float>({x.data(), static_cast<Index>(x.size()), 1}, of_columns);
  for (const float answer : {result, of_columns[0]}) {
    if (answer == static_cast<float>(exact) || (std::isnan(answer) && nan)) continue;
    const double bound = 0x1p-24 * (std::abs(exact) + 2 * std::log(static_cast<double>(x.size()) + 1) + 5);
    if (!(std::abs(static_cast<double>(answer) - exact) <= bound)) std::abort();
  }
}

void check_top_k(const std::vector<float>& x, Index k, float threshold) {
  std::vector<Index> order(x.size()), indices(static_cast<std::size_t>(k));
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index i, Index j) {
    const float a = x[static_cast<std::size_t>(i)], b = x[static_cast<std::size_t>(j)];
    if (a == b || (std::isnan(a) && std::isnan(b))) return i < j;
    return std::isnan(b) || a > b;
  });
  nearlinear::top_k<float>(x, k, indices, threshold);
  if (!std::equal(indices.begin(), indices.end(), order.begin())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  // Exactly as long as the input: AddressSanitizer sees a step beyond it.
  std::vector<float> x((size - 3) / sizeof(float));
  if (!x.empty()) std::memcpy(x.data(), data + 3, x.size() * sizeof(float));
  if (data[0] % 4 == 0)  // small integers: ties
    for (float& value : x) value = std::isfinite(value) ? std::fmod(value, 5.0F) : value;
  if (data[0] % 4 == 1)  // close to each other
    for (float& value : x) value = std::isfinite(value) ? std::fmod(value, 100.0F) : value;
  check_functions(x);
  check_log_sum_exp(x);
  const auto k = static_cast<Index>(data[1] * x.size() / 255);
  check_top_k(x, k, x.empty() ? 0.0F : x[data[2] % x.size()]);
  check_top_k(x, k, -std::numeric_limits<float>::infinity());
  return 0;
}
