/// Plans whose marginals are right up to a small error, made right.
#pragma once

#include <vector>

#include "ot/quadratic_rows.hpp"

namespace nearlinear::ot {

/// Sends what the rows and columns of a plan on a support lack along a spanning forest of its pairs, that of the
/// largest entries; `entries` are those of the support's pairs. Returns false, and leaves them in an unspecified state,
/// if an entry would become negative, or parts of the support that hang together do not have equal masses in rows and
/// columns.
bool correct_marginals(const Problem& problem, const Support& support, std::vector<double>& entries);

}  // namespace nearlinear::ot
