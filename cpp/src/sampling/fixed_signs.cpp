// Linear programs of which a good guess leaves little to do.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sampling/row_program.hpp"
#include "sampling/vectors.hpp"

namespace nearlinear::sampling {

/// With a good guess, most signs of V^T x are known: only rows whose residual is small for their length stay, the
/// others become a linear term (Portnoy and Koenker, section 6). A dual solution of what is left, with these signs, is
/// one of the whole, be they right or not: the bound holds in any case, and where it does not meet the value, wrong
/// signs are given back.
ProgramResult RowProgram::solve_by_fixed_signs(std::span<const double> c, double t, std::span<double> x,
                                               const ProgramOptions& options, Scratch& scratch) const {
  const Index n = rows(), d = cols();
  const Array<double> no_term = Array<double>::zeros(d);
  constexpr Index least = 4000;  // rows, below which all of them are as fast
  if (!options.has_guess || n < least)
    return solve_least_absolute(V_, weights_, no_term.span(), c, t, x, options, scratch);

  const auto size_of = [](Index size) { return static_cast<std::size_t>(size); };
  const std::span<double> y(scratch.room(16, n), size_of(n)), distances(scratch.room(17, n), size_of(n)),
      signs(scratch.room(18, n), size_of(n)), g(scratch.room(19, d), size_of(d));
  ProgramResult result;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  result.bound = -infinity;
  std::vector<Index> kept;
  constexpr int most_rounds = 4;
  constexpr Index patience = 50;                      // iterations: with wrong signs, there may be no minimum
  const double enough = std::max(options.tol, 1e-7);  // which rounding may keep a part from, and all rows as well
  for (int round = 0; round < most_rounds; ++round) {
    // The rows nearest to a change of sign stay; g is the sum of the others with their signs.
    kernels().combine(n, columns(V_), x.data(), y.data());
    for (Index j = 0; j < n; ++j)
      distances[size_of(j)] = lengths_[j] > 0 ? std::abs(y[size_of(j)]) / lengths_[j] : infinity;
    const auto wanted = distances.begin() + n / (round == 0 ? 4 : 8);
    std::nth_element(distances.begin(), wanted, distances.end());
    const double threshold = *wanted;
    kept.clear();
    for (Index j = 0; j < n; ++j) {
      const double residual = y[size_of(j)];
      const bool stays = std::abs(residual) <= threshold * lengths_[j];
      if (stays) kept.push_back(j);
      signs[size_of(j)] = stays ? 0 : std::copysign(weights_[size_of(j)], residual);
    }
    const auto size = std::ssize(kept);
    if (2 * size > n) break;
    kernels().reduce(n, columns(V_), signs.data(), g.data());
    double* const part = scratch.room(20, d * size);
    const std::span<double> part_weights(scratch.room(21, size), size_of(size));
    for (Index k = 0; k < d; ++k)
      for (Index j = 0; j < size; ++j) part[k * size + j] = V_(k, kept[size_of(j)]);
    for (Index j = 0; j < size; ++j) part_weights[size_of(j)] = weights_[size_of(kept[size_of(j)])];
    ProgramOptions of_round = options;
    of_round.maxiter = std::min(options.maxiter, patience);
    of_round.is_rough = round == 0;  // its signs are not yet all right
    if (of_round.is_rough) of_round.tol = std::max(options.tol, 1e-2);
    const ProgramResult of_part = solve_least_absolute({part, d, size}, part_weights, g, c, t, x, of_round, scratch);
    result.iterations += of_part.iterations;
    result.bound = std::max(result.bound, of_part.bound);
    kernels().combine(n, columns(V_), x.data(), y.data());
    result.value = absolute_sum(weights_, y);
    if (result.gap() <= enough || (of_part.is_stuck && of_part.gap() > enough)) break;
  }
  if (result.gap() <= enough) return result;
  const ProgramResult whole = solve_least_absolute(V_, weights_, no_term.span(), c, t, x, options, scratch);
  result.iterations += whole.iterations;
  result.value = whole.value;
  result.bound = std::min(std::max(result.bound, whole.bound), whole.value);
  result.is_stuck = whole.is_stuck;
  return result;
}

}  // namespace nearlinear::sampling
