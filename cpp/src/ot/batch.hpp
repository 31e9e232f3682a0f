/// Many problems at once: each on one thread, several at a time.
#pragma once

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "core/threads.hpp"

namespace nearlinear::ot {

/// Calls solve(k, run, worker) for k in [0, count): on one thread each, where there are at least as many problems as
/// threads, and else on all threads one after another. An argument that is wrong is said to be that of problem k.
/// Workers are numbered as by parallel_for_workers, below `threads`.
template <class Solve>
void solve_each(Index count, int threads, const RunOptions& run, const Solve& solve) {
  const auto solve_named = [&solve](Index k, const RunOptions& run_of_problem, int worker) {
    try {
      solve(k, run_of_problem, worker);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("problem " + std::to_string(k) + ": " + error.what());
    }
  };
  const auto all = static_cast<double>(count);
  if (count < threads) {
    for (Index k = 0; k < count; ++k) {
      RunOptions part = run;
      if (run.keep_going)
        part.keep_going = [&run, k, all](double done) { return run.keep_going((static_cast<double>(k) + done) / all); };
      solve_named(k, part, 0);
    }
    return;
  }
  // Only the calling thread may ask whether to go on; what it is told, the others read.
  std::atomic<bool> goes_on = true;
  std::atomic<Index> done = 0;
  const auto ask = [&](double fraction) {
    try {
      if (run.keep_going && !run.keep_going(std::min(1.0, (static_cast<double>(done.load()) + fraction) / all)))
        goes_on = false;
    } catch (...) {
      goes_on = false;  // or the others would finish their problems first
      throw;
    }
    return goes_on.load();
  };
  Monitor monitor([&ask](double) { return ask(0); });
  parallel_for_workers(count, threads, monitor, [&](Index k, int worker) {
    RunOptions alone{.n_threads = 1};
    if (worker == 0)
      alone.keep_going = ask;
    else
      alone.keep_going = [&goes_on](double) { return goes_on.load(); };
    solve_named(k, alone, worker);
    ++done;
  });
}

}  // namespace nearlinear::ot
