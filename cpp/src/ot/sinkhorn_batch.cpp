// Many problems of entropic transport at once.
#include <algorithm>

#include "nearlinear/core/errors.hpp"
#include "nearlinear/ot/sinkhorn.hpp"
#include "ot/batch.hpp"
#include "ot/costs.hpp"

namespace nearlinear {

template <class T>
std::vector<SinkhornResult> sinkhorn_batch(std::span<const TransportProblem<T>> problems,
                                           const SinkhornOptions& options, const RunOptions& run) {
  require(options.f.empty() && options.g.empty(), "sinkhorn_batch: f and g to start from are for single problems");
  require(!options.callback, "sinkhorn_batch: a callback is for single problems");
  std::vector<SinkhornResult> results(problems.size());
  constexpr double passes = 30, nanoseconds_per_pair = 1, most = 1e18;
  double pairs = 0;
  for (const TransportProblem<T>& problem : problems)
    pairs += static_cast<double>(ot::cost_rows(problem.cost)) * static_cast<double>(ot::cost_cols(problem.cost));
  const int threads =
      thread_count(run.n_threads, static_cast<Index>(std::min(most, pairs * passes * nanoseconds_per_pair)));
  std::vector<SinkhornWorkspace> workspaces(static_cast<std::size_t>(threads));
  ot::solve_each(std::ssize(problems), threads, run, [&](Index k, const RunOptions& run_of_problem, int worker) {
    const auto at = static_cast<std::size_t>(k);
    results[at] = sinkhorn(problems[at], options, run_of_problem, &workspaces[static_cast<std::size_t>(worker)]);
  });
  return results;
}

template std::vector<SinkhornResult> sinkhorn_batch(std::span<const TransportProblem<float>>, const SinkhornOptions&,
                                                    const RunOptions&);
template std::vector<SinkhornResult> sinkhorn_batch(std::span<const TransportProblem<double>>, const SinkhornOptions&,
                                                    const RunOptions&);

}  // namespace nearlinear
