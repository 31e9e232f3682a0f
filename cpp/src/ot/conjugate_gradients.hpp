/// Conjugate gradients on systems that may be singular, for right-hand sides in their range.
#pragma once

#include <cmath>
#include <numeric>
#include <span>

#include "nearlinear/core/array.hpp"

namespace nearlinear::ot {

/// Vectors that conjugate gradients work on.
struct ConjugateGradientsMemory {
  explicit ConjugateGradientsMemory(Index size) : residual(size), z(size), p(size), q(size) {}

  Array<double> residual, z, p, q;
};

/// Solves S d = r from d = 0 until the residual's sum of magnitudes is `tol` times that of r; multiply(x, y) does
/// y <- S x, and `jacobi` is the inverse diagonal. Returns the number of iterations.
template <class Multiply>
Index conjugate_gradients(const Multiply& multiply, std::span<const double> jacobi, std::span<const double> r,
                          double tol, Index most_iterations, ConjugateGradientsMemory& memory, std::span<double> d) {
  const std::size_t m = r.size();
  const auto residual = memory.residual.span(), z = memory.z.span(), p = memory.p.span(), q = memory.q.span();
  double norm = 0, rho = 0;
  for (std::size_t j = 0; j < m; ++j) {
    d[j] = 0;
    residual[j] = r[j];
    norm += std::abs(r[j]);
    p[j] = jacobi[j] * r[j];
    rho += p[j] * r[j];
  }
  const double goal = tol * norm;
  for (Index iteration = 1; iteration <= most_iterations; ++iteration) {
    multiply(std::span<const double>(p), q);
    const double curvature = std::inner_product(p.begin(), p.end(), q.begin(), 0.0);
    if (!(curvature > 0)) return iteration;  // the null space is all that is left
    const double alpha = rho / curvature, before = rho;
    norm = rho = 0;
    for (std::size_t j = 0; j < m; ++j) {
      d[j] += alpha * p[j];
      residual[j] -= alpha * q[j];
      norm += std::abs(residual[j]);
      z[j] = jacobi[j] * residual[j];
      rho += z[j] * residual[j];
    }
    if (norm <= goal) return iteration;
    const double beta = rho / before;
    for (std::size_t j = 0; j < m; ++j) p[j] = z[j] + beta * p[j];
  }
  return most_iterations;
}

}  // namespace nearlinear::ot
