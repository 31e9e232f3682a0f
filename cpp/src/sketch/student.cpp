// Student's t distribution by the incomplete beta function, and what it says about rows of a sketch.
#include <cmath>
#include <limits>

#include "nearlinear/sketch/row_sketch.hpp"

namespace nearlinear {
namespace {

/// The continued fraction of the incomplete beta function, for x < (a + 1) / (a + b + 2), by Lentz' algorithm
/// (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.8).
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  constexpr int most_terms = 10000;
  const auto guarded = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double c = 1, d = 1 / guarded(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int k = 1; k <= most_terms; ++k) {
    const double even = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k));
    d = 1 / guarded(1 + even * d);
    c = guarded(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1));
    d = 1 / guarded(1 + odd * d);
    c = guarded(1 + odd / c);
    const double change = d * c;
    fraction *= change;
    if (std::abs(change - 1) < 4 * std::numeric_limits<double>::epsilon()) break;
  }
  return fraction;
}

/// log(Gamma(a + 1/2) / Gamma(a)), whose difference of logarithms loses digits for large a (Stirling's series).
double log_gamma_ratio(double a) {
  constexpr double large = 20;
  if (a < large) return std::lgamma(a + 0.5) - std::lgamma(a);
  const double square = a * a;
  return 0.5 * std::log(a) - (1.0 / 8 - (1.0 / 192 - 1.0 / (640 * square)) / square) / a;
}

/// I_x(a, 1/2), given 1 - x as well.
double incomplete_beta(double a, double x, double one_minus_x) {
  if (x <= 0) return 0;
  if (one_minus_x <= 0) return 1;
  constexpr double log_gamma_half = 0.5723649429247001;
  const double log_x = x < 0.5 ? std::log(x) : std::log1p(-one_minus_x);
  const double front = std::exp(log_gamma_ratio(a) - log_gamma_half + a * log_x + 0.5 * std::log(one_minus_x));
  if (x < (a + 1) / (a + 2.5)) return front * beta_fraction(a, 0.5, x) / a;
  return 1 - front * beta_fraction(0.5, a, one_minus_x) / 0.5;
}

/// P(|t| > value), for value > 0.
double two_sided_tail(double value, double nu) {
  const double square = value * value;
  return incomplete_beta(nu / 2, nu / (nu + square), square / (nu + square));
}

}  // namespace

double student_quantile(double probability, double degrees_of_freedom) {
  require(probability > 0 && probability < 1, "student_quantile: probability is ", probability,
          "; it must be between 0 and 1");
  require(degrees_of_freedom > 0, "student_quantile: degrees_of_freedom is ", degrees_of_freedom,
          "; it must be positive");
  const double tail = 2 * std::min(probability, 1 - probability);
  if (tail == 1) return 0;
  double low = 0, high = 1;
  while (two_sided_tail(high, degrees_of_freedom) > tail && high < 1e300) {
    low = high;
    high *= 2;
  }
  for (int halving = 0; halving < 200 && high - low > 1e-12 * high; ++halving) {
    const double middle = 0.5 * (low + high);
    (two_sided_tail(middle, degrees_of_freedom) > tail ? low : high) = middle;
  }
  const double value = 0.5 * (low + high);
  return probability < 0.5 ? -value : value;
}

Index sketch_rows(Index d, double eps, double delta) {
  require(d >= 1, "sketch_rows: d is ", d, "; it must be at least 1");
  require(eps > 0, "sketch_rows: eps is ", eps, "; it must be positive");
  require(delta > 0 && delta < 1, "sketch_rows: delta is ", delta, "; it must be between 0 and 1");
  const auto columns = static_cast<double>(d);
  const auto is_enough = [&](Index freedom) {
    const auto nu = static_cast<double>(freedom);
    return student_quantile(1 - delta / (2 * columns), nu) / std::sqrt(nu) <= eps / std::sqrt(columns);
  };
  constexpr Index most = Index{1} << 30;
  Index low = 0, high = 1;
  while (!is_enough(high)) {
    if (high > most) throw std::overflow_error("sketch_rows: eps and delta take more than 2^30 rows");
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    const Index middle = low + (high - low) / 2;
    (is_enough(middle) ? high : low) = middle;
  }
  return d + high - 1;
}

}  // namespace nearlinear
