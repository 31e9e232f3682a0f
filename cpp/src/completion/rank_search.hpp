/// The rank of a matrix that nobody knows.
#pragma once

#include "completion/fit.hpp"

namespace nearlinear::completion {

/// The rank of the model that fits the observations: of those that U V^T keeps while lambda falls along the path, the
/// least that predicts entries which were left out as well as any, within the accuracy to which that is known. It is at
/// most `most`, and at least 1.
[[nodiscard]] Index find_rank(const Observations& observed, Index most, bool has_biases, const Goal& goal,
                              const RunOptions& run);

}  // namespace nearlinear::completion
