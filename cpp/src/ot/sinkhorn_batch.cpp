// Many problems at once: one thread takes one of them at a time.
#include <atomic>
#include <stdexcept>
#include <string>

#include "core/threads.hpp"
#include "nearlinear/core/errors.hpp"
#include "nearlinear/ot/sinkhorn.hpp"
#include "ot/costs.hpp"

namespace nearlinear {

template <class T>
std::vector<SinkhornResult> sinkhorn_batch(std::span<const TransportProblem<T>> problems,
                                           const SinkhornOptions& options, const RunOptions& run) {
  require(options.f.empty() && options.g.empty(), "sinkhorn_batch: f and g to start from are for single problems");
  require(!options.callback, "sinkhorn_batch: a callback is for single problems");
  const Index count = std::ssize(problems);
  std::vector<SinkhornResult> results(problems.size());
  if (count == 0) return results;
  constexpr double passes = 30, nanoseconds_per_pair = 1, most = 1e18;
  double pairs = 0;
  for (const TransportProblem<T>& problem : problems)
    pairs += static_cast<double>(ot::cost_rows(problem.cost)) * static_cast<double>(ot::cost_cols(problem.cost));
  const int threads =
      thread_count(run.n_threads, static_cast<Index>(std::min(most, pairs * passes * nanoseconds_per_pair)));
  const auto solve = [&](Index k, const RunOptions& options_of_run, SinkhornWorkspace& workspace) {
    try {
      results[static_cast<std::size_t>(k)] =
          sinkhorn(problems[static_cast<std::size_t>(k)], options, options_of_run, &workspace);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("problem " + std::to_string(k) + ": " + error.what());
    }
  };

  std::vector<SinkhornWorkspace> workspaces(static_cast<std::size_t>(threads));
  if (count < threads) {  // fewer problems than threads: they share each of them
    for (Index k = 0; k < count; ++k) {
      RunOptions part = run;
      if (run.keep_going)
        part.keep_going = [&run, k, count](double done) {
          return run.keep_going((static_cast<double>(k) + done) / static_cast<double>(count));
        };
      solve(k, part, workspaces[0]);
    }
    return results;
  }
  // Only the calling thread may ask whether to go on; what it is told, the others read.
  std::atomic<bool> goes_on = true;
  std::atomic<Index> done = 0;
  const auto ask = [&](double fraction) {
    const double so_far = static_cast<double>(done.load()) + fraction;
    if (run.keep_going && !run.keep_going(std::min(1.0, so_far / static_cast<double>(count)))) goes_on = false;
    return goes_on.load();
  };
  Monitor monitor([&ask](double) { return ask(0); });
  parallel_for_workers(count, threads, monitor, [&](Index k, int worker) {
    RunOptions alone{.n_threads = 1};
    if (worker == 0)
      alone.keep_going = ask;
    else
      alone.keep_going = [&goes_on](double) { return goes_on.load(); };
    solve(k, alone, workspaces[static_cast<std::size_t>(worker)]);
    ++done;
  });
  return results;
}

template std::vector<SinkhornResult> sinkhorn_batch(std::span<const TransportProblem<float>>, const SinkhornOptions&,
                                                    const RunOptions&);
template std::vector<SinkhornResult> sinkhorn_batch(std::span<const TransportProblem<double>>, const SinkhornOptions&,
                                                    const RunOptions&);

}  // namespace nearlinear
