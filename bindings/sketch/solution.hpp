/// What Python takes of the solution of a sketch.
#pragma once

#include <utility>

#include "arrays.hpp"
#include "nearlinear/sketch/row_sketch.hpp"

template <class T>
Tuple solution_tuple(nearlinear::SketchSolution<T>&& solution) {
  return nb::make_tuple(as_numpy(std::move(solution.x)), as_numpy(std::move(solution.coefficient_error)),
                        as_numpy(std::move(solution.residual_norm)), as_numpy(std::move(solution.linf_bound)),
                        solution.rank, solution.condition);
}
