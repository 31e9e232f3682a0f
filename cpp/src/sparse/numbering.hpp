/// Few columns among very many, numbered: what takes memory per column then takes it per entry.
#pragma once

#include <algorithm>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"

namespace nearlinear::sparse {

/// Calls body(begin, end) for stretches that cover [0, count), about a nanosecond for each of its elements.
template <class Body>
void for_each_chunk(Index count, const RunOptions& run, const Body& body) {
  constexpr Index chunk = Index{1} << 16;  // between two polls
  Monitor monitor(run.keep_going);
  parallel_for(ceil_divide(count, chunk), thread_count(run.n_threads, count), monitor,
               [&](Index c) { body(c * chunk, std::min((c + 1) * chunk, count)); });
}

/// Whether so many columns are out of all proportion to the entries.
inline bool has_idle_columns(Index cols, Index nnz) { return cols > nnz + (Index{1} << 16); }

/// The columns that occur, in order.
template <class I>
std::vector<I> columns_in_use(std::span<const I> indices, const RunOptions& run) {
  constexpr Index piece = Index{1} << 16;
  std::vector<I> columns(indices.begin(), indices.end());
  const auto size = std::ssize(columns);
  const auto at = [&](Index place) { return columns.begin() + std::min(place, size); };
  const int threads = thread_count(run.n_threads, 10 * size);
  Monitor monitor(run.keep_going);
  parallel_for(ceil_divide(size, piece), threads, monitor,
               [&](Index p) { std::sort(at(p * piece), at((p + 1) * piece)); });
  for (Index sorted = piece; sorted < size; sorted *= 2)
    parallel_for(ceil_divide(size, 2 * sorted), threads, monitor, [&](Index pair) {
      std::inplace_merge(at(2 * pair * sorted), at((2 * pair + 1) * sorted), at((2 * pair + 2) * sorted));
    });
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  return columns;
}

/// Puts numbers, which are places in columns_in_use(), for columns; `columns` and `numbers` may be the same memory.
template <class I>
void number_columns(const std::vector<I>& used, std::span<const I> columns, I* numbers, const RunOptions& run) {
  for_each_chunk(std::ssize(columns), run, [&](Index begin, Index end) {
    for (Index e = begin; e < end; ++e)
      numbers[e] = static_cast<I>(std::lower_bound(used.begin(), used.end(), columns[static_cast<std::size_t>(e)]) -
                                  used.begin());
  });
}

}  // namespace nearlinear::sparse
