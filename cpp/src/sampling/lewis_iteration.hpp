/// Lewis weights of a matrix whose form is known.
#pragma once

#include "sampling/matrix.hpp"

namespace nearlinear::sampling {

[[nodiscard]] LewisResult find_lewis_weights(Matrix& A, double p, std::span<double> weights,
                                             const LewisOptions& options, const char* function, const RunOptions& run);

/// Throws std::invalid_argument, in the name of `function`, unless 1 <= p < inf.
void require_valid_p(double p, const char* function);

}  // namespace nearlinear::sampling
