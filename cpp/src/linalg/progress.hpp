/// A call that is made of others.
#pragma once

#include <utility>

#include "nearlinear/core/monitor.hpp"

namespace nearlinear::linalg {

/// Runs the parts of a call one after the other, each with its share of the fraction that is done, and polls between
/// them: parts that are too short to ask would otherwise never be asked about, however many they are.
class Progress {
 public:
  explicit Progress(const RunOptions& run) : run_(run), monitor_(run.keep_going) {}

  /// Options of the part that takes the call from `begin` to `end`, fractions of it. Polls. They refer to this object.
  [[nodiscard]] RunOptions part(double begin, double end) {
    monitor_.enter_stage(begin, end);
    monitor_.poll(0);
    if (!run_.keep_going) return {.n_threads = run_.n_threads};
    return {.n_threads = run_.n_threads, .keep_going = [this, begin, end](double fraction) {
              return run_.keep_going(begin + fraction * (end - begin));
            }};
  }

 private:
  RunOptions run_;
  Monitor monitor_;
};

}  // namespace nearlinear::linalg
