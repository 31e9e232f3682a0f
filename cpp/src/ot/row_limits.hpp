/// Vertices of the transport polytope with few entries per row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ot/costs.hpp"
#include "ot/mass_units.hpp"
#include "ot/sparse_rounding.hpp"

namespace nearlinear::ot {

/// The vertex that the north-west corner rule makes of rows and columns by descending mass: where masses of rows and
/// columns are distributed alike, no row has many entries, whatever they cost.
Pairs north_west_plan(const MassUnits& units);

/// Searches for a vertex with at most `most` entries per row, beginning with the one that has these pairs, a forest.
/// Whether there is one is NP-hard to tell; if there is, a plan with cycles is not needed, as mass that goes round a
/// cycle until a pair is empty leaves a vertex with fewer entries.
///
/// Pivots by simulated annealing: what they lower is the mass of entries beyond the `most` largest of their row, and
/// their number, and costs by the way; then such as lower costs and keep the limits. f and g, dual variables of a cheap
/// plan, say what pairs cost. Tries at most so many pivots for each of both aims. Returns whether it has found one, to
/// which `pairs` is set. The same seed gives the same search.
bool limit_rows(const Costs& costs, const MassUnits& units, std::span<const double> f, std::span<const double> g,
                double typical_cost, Index most, Index most_pivots, std::uint64_t seed, Monitor& monitor, Pairs& pairs);

}  // namespace nearlinear::ot
