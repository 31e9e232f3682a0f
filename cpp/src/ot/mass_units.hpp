/// Masses as integers, for which sums and comparisons are exact.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ot/marginals.hpp"

namespace nearlinear::ot {

/// The masses that are not zero, each at least one unit, with the same sum for rows and columns.
struct MassUnits {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> cols;
  double unit;  ///< relative to the sum of all masses
};

/// Equal masses, and such as are whole numbers, are exact; others are rounded to 2^-61 of the sum. So ties of masses
/// stay ties wherever that can be known. `a` and `b` are the masses as they were given, or none.
MassUnits mass_units(const Marginal& rows, const Marginal& cols, std::span<const double> a, std::span<const double> b);

}  // namespace nearlinear::ot
