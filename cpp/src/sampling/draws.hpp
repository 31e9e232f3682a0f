/// Which rows a sample has.
#pragma once

#include <vector>

#include "nearlinear/core.hpp"

namespace nearlinear::sampling {

/// Each row by itself with its probability; row i looks at the i-th random number alone.
[[nodiscard]] std::vector<Index> draw_independently(std::span<const double> probabilities, std::uint64_t seed,
                                                    std::uint64_t stream);

/// Systematic sampling in random order: exactly sum q rows, which is to be a whole number up to rounding.
[[nodiscard]] std::vector<Index> draw_systematically(std::span<const double> probabilities, std::uint64_t seed);

/// m independent draws with probabilities in proportion to the scores, ascending.
[[nodiscard]] std::vector<Index> draw_with_replacement(std::span<const double> scores, Index m, std::uint64_t seed);

}  // namespace nearlinear::sampling
