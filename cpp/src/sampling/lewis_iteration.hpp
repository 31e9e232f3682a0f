/// Lewis weights of a matrix whose form is known.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "sampling/matrix.hpp"

namespace nearlinear::sampling {

[[nodiscard]] LewisResult find_lewis_weights(Matrix& A, double p, std::span<double> weights,
                                             const LewisOptions& options, const char* function, const RunOptions& run);

/// The same in single precision, for tol >= 1e-3: nothing where A is not well conditioned or scaled for that, has rows
/// of zeros, or the fastest exponent does not do.
[[nodiscard]] std::optional<LewisResult> find_rough_lewis_weights(Matrix& A, double p, std::span<double> weights,
                                                                  const LewisOptions& options, const RunOptions& run);

/// Exponents a of w <- w^{1 - a} tau^a, which are taken in turn.
class ExponentCycle {
 public:
  ExponentCycle(std::initializer_list<double> exponents) : exponents_(exponents) {}

  [[nodiscard]] double at(std::size_t step) const { return exponents_[step % exponents_.size()]; }
  [[nodiscard]] bool begins(std::size_t step) const { return step % exponents_.size() == 0; }

 private:
  std::vector<double> exponents_;
};

/// What is fast when it converges first, what always does last. Near the solution a step multiplies errors of log w by
/// 1 - a (2 / p + (1 - 2 / p) theta) for the eigenvalues theta in [0, 1] of P o P diag(tau)^{-1}, P the projection
/// whose diagonal is tau. They are near 0 where many rows share what there is, and near 1 of rows that have a direction
/// for themselves: a = p / 2 ends the first kind, a = 1 the second, and what lies between is multiplied by at most (p -
/// 2)^2 / (8 p) by both of them together.
[[nodiscard]] std::vector<ExponentCycle> exponents_of(double p);

/// Throws std::invalid_argument, in the name of `function`, unless 1 <= p < inf.
void require_valid_p(double p, const char* function);

}  // namespace nearlinear::sampling
