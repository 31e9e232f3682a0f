// Along the path, singular values of U V^T come up one by one as lambda falls below them. Those of the matrix are there
// before those of noise, or of what is not determined: a rank that stays while lambda falls is likely the matrix's own.
#include "completion/rank_search.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "linalg/progress.hpp"

namespace nearlinear::completion {
namespace {

/// The largest rank for which there are 1.2 times as many entries as degrees of freedom, at most 50 and at least 1.
Index largest_rank(const Observations& observed, Index limit) {
  const Index most = std::min<Index>(50, limit);
  constexpr double ratio = 1.2;
  const Index m = observed.rows.lines, n = observed.cols.lines;
  Index rank = 1;
  while (rank < std::min({m, n, most}) &&
         ratio * static_cast<double>((rank + 1) * (m + n - rank - 1)) <= static_cast<double>(observed.nnz()))
    ++rank;
  return rank;
}

Fit fit_of(HalfSweeps& sweeps, Index rank, bool has_biases, const Goal& goal, const RunOptions& run) {
  const Observations& observed = sweeps.observed();
  return {sweeps, PaddedFactor(observed.rows.lines, rank, has_biases),
          PaddedFactor(observed.cols.lines, rank, has_biases), goal, run};
}

/// Ranks that stay, and the largest one.
std::vector<Index> candidates(HalfSweeps& sweeps, Index most, bool has_biases, const Goal& goal,
                              const RunOptions& run) {
  constexpr double clear = 10;      // what the last singular value is above the next one
  constexpr double visible = 1e-6;  // of the largest one
  constexpr Index least_stay = 3;
  constexpr std::size_t most_candidates = 3;
  std::map<Index, Index> stays;  // of a rank: for how many values of lambda
  Goal path = goal;
  path.show_spectrum = [&](std::span<const double> s) {
    Index rank = 0;
    double largest = clear;
    for (Index r = 1; r < most; ++r) {
      const double here = s[static_cast<std::size_t>(r - 1)], floor = visible * s[0];
      if (here < floor) break;
      const double drop = here / std::max(floor, s[static_cast<std::size_t>(r)]);
      if (drop < largest) continue;
      largest = drop;
      rank = r;
    }
    if (rank > 0) ++stays[rank];
  };
  fit_of(sweeps, most, has_biases, path, run).run_path_alone();
  std::vector<std::pair<Index, Index>> order;
  for (const auto& [rank, stay] : stays)
    if (stay >= least_stay) order.emplace_back(stay, rank);
  std::sort(order.rbegin(), order.rend());
  std::vector<Index> ranks;
  for (const auto& [stay, rank] : order)
    if (ranks.size() < most_candidates) ranks.push_back(rank);
  ranks.push_back(most);
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

double error_at(const Observations& left_out, const PaddedFactor& U, const PaddedFactor& V) {
  const Side& rows = left_out.rows;
  double sum = 0;
  for (Index i = 0; i < rows.lines; ++i)
    for (Index e = rows.begin[i]; e < rows.begin[i + 1]; ++e) {
      const double* const u = U.row(i);
      const double* const v = V.row(rows.at[e]);
      double value = U.has_bias ? u[U.rank] + v[V.rank] : 0;
      for (Index k = 0; k < U.rank; ++k) value += u[k] * v[k];
      sum += (value - rows.value[e]) * (value - rows.value[e]);
    }
  return std::sqrt(sum / static_cast<double>(std::max<Index>(1, left_out.nnz())));
}

}  // namespace

Index find_rank(const Observations& observed, Index limit, bool has_biases, const Goal& goal, const RunOptions& run) {
  constexpr double share = 0.1;                          // of the entries, to be left out
  const double nothing = std::max(1e-6, 10 * goal.tol);  // of the entries' root mean square: an error that is none
  linalg::Progress progress(run);
  Goal quiet = goal;
  quiet.report = [](const CompletionStep&, const PaddedFactor&, const PaddedFactor&) { return true; };
  const auto [kept, left_out] = split(observed, share, goal.seed, progress.part(0, 0.05));
  const Index most = largest_rank(kept, limit);
  if (most == 1) return 1;
  HalfSweeps sweeps(kept, false, progress.part(0.05, 1));
  const std::vector<Index> ranks = candidates(sweeps, most, has_biases, quiet, {.n_threads = run.n_threads});
  std::vector<double> errors;
  for (const Index rank : ranks) {
    Fit fit = fit_of(sweeps, rank, has_biases, quiet, {.n_threads = run.n_threads});
    fit.run_from_spectral_start();
    errors.push_back(error_at(left_out, fit.U(), fit.V()));
  }
  const double size = std::sqrt(square_sum(observed) / observed.total_weight);
  // A root mean square of n errors is known to 1 / (2 n)^{1/2} of itself.
  const double as_good =
      1 + std::max(0.02, 1 / std::sqrt(2.0 * static_cast<double>(std::max<Index>(1, left_out.nnz()))));
  const double most_error = std::max(nothing * size, as_good * *std::min_element(errors.begin(), errors.end()));
  for (std::size_t c = 0; c < ranks.size(); ++c)
    if (errors[c] <= most_error) return ranks[c];
  return ranks.back();
}

}  // namespace nearlinear::completion
