/// Calls that are made of other calls.
#pragma once

#include "nearlinear/core/monitor.hpp"

namespace nearlinear::sparse {

/// The run of a call that is the part [begin, end) of another one: what its caller hears of is the whole.
inline RunOptions stage(const RunOptions& run, double begin, double end) {
  if (!run.keep_going) return run;
  return {.n_threads = run.n_threads, .keep_going = [&run, begin, end](double fraction_done) {
            return run.keep_going(begin + fraction_done * (end - begin));
          }};
}

}  // namespace nearlinear::sparse
