/// The matrix whose rows are sampled, as Python passes it (python/nearlinear/sampling/_checks.py).
#pragma once

#include <nanobind/stl/optional.h>
#include <nanobind/stl/variant.h>

#include <optional>
#include <variant>

#include "nearlinear/sampling/scores.hpp"
#include "sparse/csr.hpp"

/// An array, and whether it is the transpose of the matrix.
using DenseTuple = std::tuple<MatrixInput<double>, bool>;

using StoredTuple = std::variant<DenseTuple, CsrTuple<double, std::int32_t>, CsrTuple<double, std::int64_t>>;

inline nearlinear::StoredMatrix stored_matrix(const StoredTuple& matrix) {
  if (const auto* const dense = std::get_if<DenseTuple>(&matrix)) {
    const auto& [array, is_transposed] = *dense;
    if (is_transposed) return nearlinear::TransposedView{view(array)};
    return view(array);
  }
  if (const auto* const csr = std::get_if<CsrTuple<double, std::int32_t>>(&matrix))
    return csr_view<double, std::int32_t>(*csr);
  return csr_view<double, std::int64_t>(std::get<CsrTuple<double, std::int64_t>>(matrix));
}

/// Numbers that may be left out.
using OptionalVector = std::optional<VectorArray<double>>;

inline std::span<const double> view_or_nothing(const OptionalVector& vector) {
  return vector ? view(*vector) : std::span<const double>();
}
