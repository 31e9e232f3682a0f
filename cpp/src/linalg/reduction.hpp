/// Sums over many rows, on any number of threads with the same bits: rows are cut into groups by their number alone,
/// every group sums into an array of its own, and these are added in order.
#pragma once

#include <algorithm>
#include <functional>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/core/array.hpp"

namespace nearlinear::linalg {

/// The rows [begin, end) of group `group` of `groups`, whole blocks of `block` rows but for the last.
struct RowGroup {
  Index begin;
  Index end;

  [[nodiscard]] double fraction(Index row) const {
    return static_cast<double>(row - begin) / static_cast<double>(end - begin);
  }

  RowGroup(Index rows, Index block, Index groups, Index group) {
    const Index blocks = ceil_divide(rows, block);
    begin = std::min(rows, group * blocks / groups * block);
    end = std::min(rows, (group + 1) * blocks / groups * block);
  }
};

/// How many groups `rows` rows make: one per block, up to 32 and to 256 MiB for the groups' sums.
[[nodiscard]] inline Index group_count(Index rows, Index block, Index bytes_per_group) {
  constexpr Index most_groups = 32;
  constexpr Index most_bytes = Index{256} << 20;
  const Index affordable = std::max<Index>(1, most_bytes / std::max<Index>(1, bytes_per_group));
  return std::clamp<Index>(ceil_divide(rows, block), 1, std::min(most_groups, affordable));
}

/// Asked by a body of many milliseconds, with the fraction of it that is done, every few of them.
using Poll = std::function<void(double fraction_of_body)>;

/// total <- the sum of what body(group, partial, poll) adds to `partial`, `size` zeros at first, over all groups.
template <class Sum>
void sum_over_groups(Index groups, Index size, int threads, Monitor& monitor, Sum* total,
                     const std::function<void(Index group, Sum* partial, const Poll& poll)>& body) {
  const auto partials = Array<Sum>::zeros(groups * size);
  parallel_for_workers(groups, threads, monitor, [&](Index group, int worker) {
    body(group, partials.data() + group * size, [&monitor, worker, group, groups](double fraction) {
      if (worker == 0) monitor.poll((static_cast<double>(group) + fraction) / static_cast<double>(groups));
    });
  });
  constexpr Index chunk = 4096;
  const int adders = thread_count(threads, groups * size / 4);
  parallel_for(ceil_divide(size, chunk), adders, monitor, [&](Index c) {
    for (Index i = c * chunk; i < std::min((c + 1) * chunk, size); ++i) {
      Sum sum = partials[i];
      for (Index group = 1; group < groups; ++group) sum += partials[group * size + i];
      total[i] = sum;
    }
  });
}

}  // namespace nearlinear::linalg
