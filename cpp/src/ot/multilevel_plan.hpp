/// A plan to begin with, which smaller problems tell much of.
#pragma once

#include <vector>

#include "ot/first_plan.hpp"
#include "ot/marginals.hpp"
#include "ot/mass_units.hpp"

namespace nearlinear::ot {

/// The first plan for finite costs between masses of `units`, of rows and columns.
///
/// Where costs are a function of what rows and columns are samples of, such as points, so are the dual variables, and
/// samples of the samples know much of them: problems with a 4^k-th of the rows and columns, drawn at random, are
/// solved for k = ..., 2, 1, each from the one before it. The inequalities f_i + g_j <= C_ij carry dual variables of
/// some columns to all rows, and from there to all columns, and the matrix minimum rule makes a plan of these.
///
/// Where they are not, as for independent costs, the first plans that are found in this way cost more than those of
/// dual variables that are zero, and no more problems are solved.
template <class T>
FirstPlan multilevel_plan(const TransportCost<T>& cost, const Costs& costs, const Marginal& rows, const Marginal& cols,
                          const MassUnits& units, Monitor& monitor);

}  // namespace nearlinear::ot
