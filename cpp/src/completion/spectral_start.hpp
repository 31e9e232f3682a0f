/// Where alternating minimisation begins.
#pragma once

#include "completion/half_sweeps.hpp"

namespace nearlinear::completion {

/// U and V of the best approximation of rank k to the observed residuals, zeros in all other places and scaled by
/// mn / |Omega|, without changing biases. Returns sigma_1 of that matrix without the scale.
double spectral_start(HalfSweeps& sweeps, PaddedFactor& U, PaddedFactor& V, std::uint64_t seed, const RunOptions& run);

/// U and V <- those of the same product with U^T U = V^T V = diag(s), s descending, which makes |U|^2 + |V|^2 least.
/// Returns s.
Array<double> balance(PaddedFactor& U, PaddedFactor& V, const RunOptions& run);

/// Columns of balanced factors that have died, as sweeps leave zeros at zero, become the dominant singular vectors of
/// the residuals w r, as far as their singular values are above lambda: there the objective falls along them. s: as
/// balance() returns it.
void revive(HalfSweeps& sweeps, PaddedFactor& U, PaddedFactor& V, std::span<const double> s, double lambda,
            std::uint64_t seed, const RunOptions& run);

/// s alone.
Array<double> singular_values(const PaddedFactor& U, const PaddedFactor& V, const RunOptions& run);

/// U <- an orthonormal basis of its columns, once entries larger than 2 mu (k / m)^{1/2} in an orthonormal basis are 0,
/// with the incoherence mu = 2.5: what the paper's algorithm begins with (line 5 there).
void clip(PaddedFactor& U, const RunOptions& run);

}  // namespace nearlinear::completion
