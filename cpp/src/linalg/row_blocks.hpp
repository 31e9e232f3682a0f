/// Loops over the rows of a matrix that do little with each entry.
#pragma once

#include <algorithm>
#include <functional>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"

namespace nearlinear::linalg {

/// Blocks of rows of some 64 Ki entries, by the shape alone.
struct RowBlocks {
  Index rows;
  Index cols;
  Index size = std::max<Index>(1, (Index{1} << 16) / std::max<Index>(1, cols));
  Index count = ceil_divide(rows, size);

  /// Calls body(block, begin, end) for the rows [begin, end) of every block; an entry takes `nanoseconds`.
  void run(const RunOptions& options, Index nanoseconds, const std::function<void(Index, Index, Index)>& body) const {
    Monitor monitor(options.keep_going);
    parallel_for(count, thread_count(options.n_threads, rows * cols * nanoseconds), monitor,
                 [&](Index block) { body(block, block * size, std::min(rows, (block + 1) * size)); });
  }
};

}  // namespace nearlinear::linalg
