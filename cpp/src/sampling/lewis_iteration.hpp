/// Lewis weights of a matrix whose form is known.
#pragma once

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

/// Exponents a of w <- w^{1 - a} tau^a: what is fast when it converges first, what always does last.
[[nodiscard]] std::vector<double> exponents_of(double p);

/// Throws std::invalid_argument, in the name of `function`, unless 1 <= p < inf.
void require_valid_p(double p, const char* function);

}  // namespace nearlinear::sampling
