/// What all costs are like.
#pragma once

#include "ot/marginals.hpp"
#include "ot/row_passes.hpp"

namespace nearlinear::ot {

struct CostRange {
  double largest;  ///< of finite ones
  double typical;  ///< how far three in four are above the least of their row, at most: what has to be decided on
  bool finite;     ///< no pair is forbidden
};

/// Throws std::invalid_argument in the name of `function` where a cost is NaN or -Inf, or a row or column with mass
/// forbidden. What are rows here are columns for the user if costs are transposed.
CostRange checked_range(const Problem& problem, const Marginal& a, const Marginal& b, RowPasses& passes,
                        const char* function, bool is_transposed = false);

}  // namespace nearlinear::ot
