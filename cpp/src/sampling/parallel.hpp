/// Loops over blocks of rows on several threads, with memory that outlives a block.
#pragma once

#include <algorithm>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::sampling {

/// Memory of one thread, in pieces that grow to what is asked for.
class Scratch {
 public:
  double* room(std::size_t piece, Index size) {
    if (pieces_.size() <= piece) pieces_.resize(piece + 1);
    if (pieces_[piece].size() < size) pieces_[piece] = Array<double>(size);
    return pieces_[piece].data();
  }

 private:
  std::vector<Array<double>> pieces_;
};

/// body(begin, end, scratch) for blocks of `block` rows, of which each takes some `operations`.
template <class Body>
void for_blocks(Index rows, Index block, double rate, Index operations, const RunOptions& run, const Body& body) {
  const int threads = linalg::threads_at(rate, run.n_threads, rows, std::max<Index>(1, operations));
  std::vector<Scratch> scratch(static_cast<std::size_t>(threads));
  Monitor monitor(run.keep_going);
  parallel_for_workers(ceil_divide(rows, block), threads, monitor, [&](Index b, int worker) {
    body(b * block, std::min(rows, (b + 1) * block), scratch[static_cast<std::size_t>(worker)]);
  });
}

}  // namespace nearlinear::sampling
