/// What the ways to solve a least-squares problem cost, for the choice between them: nanoseconds on one thread,
/// roughly.
#pragma once

#include <algorithm>
#include <cmath>

#include "nearlinear/core.hpp"

namespace nearlinear::sketch {

struct MethodCosts {
  double n;       // rows
  double d;       // columns
  double p;       // right-hand sides
  double pass;    // to read A once, and multiply it by a vector
  double sketch;  // to sketch A

  // Operations per nanosecond: of blocks of rows with themselves, and of QR.
  [[nodiscard]] double product_rate() const { return d < 256 ? 30 : 50; }
  [[nodiscard]] double reflection_rate() const { return d < 256 ? 17 : 30; }

  [[nodiscard]] double cholesky() const { return (n * d * d + d * d * d / 3) / product_rate() + 3 * pass; }
  [[nodiscard]] double tsqr() const { return 2 * n * d * d / reflection_rate() + 2 * pass; }

  /// R from a sketch of m rows, by its Gram matrix or, as that does not do always, by QR.
  [[nodiscard]] double factor(double m) const { return sketch + 1.5 * m * d * d / reflection_rate(); }
  [[nodiscard]] double gram(double m) const {
    return factor(m) + (2 * n * d * d + d * d * d) / product_rate() + 3 * pass;
  }
  [[nodiscard]] double sketch_cg(double m) const {
    const double product = p > 1 ? std::max(pass, 4 * n * d * p / reflection_rate()) : pass;
    return factor(m) + (iterations(m) + 3) * product;
  }

  /// Conjugate gradients on a matrix of condition ((1 + e) / (1 - e))^2, e = sqrt(d / m), gain a factor of e each; what
  /// the sketch's own solution lacks is some 1e8.
  [[nodiscard]] double iterations(double m) const { return std::log(1e8) / -std::log(std::sqrt(d / m)); }

  /// The number of rows of a sketch, a multiple of d, for which `cost` is least; at most half as many as A has.
  template <class Cost>
  [[nodiscard]] Index best_rows(const Cost& cost) const {
    double best = 2, least = cost(2 * d);
    for (const double multiple : {3.0, 4.0, 6.0, 8.0, 12.0})
      if (multiple * d <= n / 2 && cost(multiple * d) < least) {
        best = multiple;
        least = cost(multiple * d);
      }
    return static_cast<Index>(best * d);
  }
};

}  // namespace nearlinear::sketch
