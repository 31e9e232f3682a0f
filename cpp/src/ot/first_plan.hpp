/// A plan to begin with.
#pragma once

#include <span>
#include <vector>

#include "ot/costs.hpp"
#include "ot/spanning_tree.hpp"

namespace nearlinear::ot {

/// What the greedy rule made.
struct FirstPlan {
  std::vector<Shipment> shipments;  // a forest; forbidden pairs come last, with the cost +Inf
  std::vector<double> f;            // min_j C_ij - g_j
  bool has_forbidden = false;
};

/// The matrix minimum rule on reduced costs: of all pairs of a row and a column with mass left, the one with the least
/// C_ij - f_i - g_j moves what it can. All units of mass are positive and have the same sum for rows and columns; g is
/// finite. Forbidden pairs are taken when no others are left. poll() is called now and then.
FirstPlan make_first_plan(const Costs& costs, std::span<const std::int64_t> rows, std::span<const std::int64_t> cols,
                          const double* g, Monitor& monitor);

}  // namespace nearlinear::ot
