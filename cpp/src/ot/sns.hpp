/// Sinkhorn-Newton-Sparse as its paper has it.
#pragma once

#include "ot/semi_dual.hpp"

namespace nearlinear::ot {

/// Of the whole problem.
struct Shape {
  Index rows;
  Index cols;
};

/// Maximises a f + b g - reg sum_ij exp((f_i + g_j - C_ij) / reg) over f and g, from the ones given: options.sns_sweeps
/// sweeps of Sinkhorn's algorithm, then Newton steps with the ceil(options.sns_density n m) largest entries of the
/// plan, where n and m count what has no mass, too.
Outcome solve_sns(const Problem& problem, RowPasses& passes, Journal& journal, const SinkhornOptions& options,
                  Shape shape, double goal, std::span<double> f, std::span<double> g);

}  // namespace nearlinear::ot
