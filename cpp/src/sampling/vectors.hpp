/// Short loops over vectors.
#pragma once

#include <cmath>
#include <span>

namespace nearlinear::sampling {

[[nodiscard]] inline double dot(std::span<const double> x, std::span<const double> y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

/// sum_j w_j |y_j|.
[[nodiscard]] inline double absolute_sum(std::span<const double> w, std::span<const double> y) {
  double sum = 0;
  for (std::size_t j = 0; j < y.size(); ++j) sum += w[j] * std::abs(y[j]);
  return sum;
}

}  // namespace nearlinear::sampling
