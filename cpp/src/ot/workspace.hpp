/// Memory of solvers, which outlives them: it grows, and is used again.
#pragma once

#include <cstdint>

#include "nearlinear/core/array.hpp"
#include "nearlinear/ot/sinkhorn.hpp"

namespace nearlinear::ot {

/// Makes room for `size` elements, of unspecified content.
template <class T>
void reserve(Array<T>& array, Index size) {
  if (array.size() >= size) return;
  array = {};  // first, so that both are never held
  array = Array<T>(size);
}

/// Of passes over all pairs.
struct PassMemory {
  Array<double> partials;  // of the groups of rows
  Array<double> scratch;   // of the workers
};

/// Of a plan in a Hessian: by rows and by columns, or as a full matrix.
struct PlanMemory {
  Array<std::int32_t> indices, row_indices;
  Array<double> values, col_values;
  Array<float> stored;
};

struct Workspace {
  PassMemory passes;
  PlanMemory plan;
};

}  // namespace nearlinear::ot
