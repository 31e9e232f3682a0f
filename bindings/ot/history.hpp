/// Iterations as Python sees them.
#pragma once

#include <functional>
#include <vector>

#include "arrays.hpp"
#include "nearlinear/ot/sinkhorn.hpp"

inline Tuple as_tuple(const nearlinear::SinkhornIteration& iteration) {
  return Tuple(nb::make_tuple(iteration.iteration, iteration.reg, iteration.marginal_error, iteration.newton,
                              iteration.cg_iterations, iteration.nnz));
}

inline List as_list(const std::vector<nearlinear::SinkhornIteration>& history) {
  List list;
  for (const auto& iteration : history) list.append(as_tuple(iteration));
  return list;
}

/// A callback of Python's, which stops by True; none for None.
inline std::function<bool(const nearlinear::SinkhornIteration&)> callback_of(const nb::object& callback) {
  if (callback.is_none()) return {};
  return [&callback](const nearlinear::SinkhornIteration& iteration) {
    const nb::gil_scoped_acquire gil;
    return !nb::cast<bool>(nb::bool_(callback(as_tuple(iteration))));
  };
}
