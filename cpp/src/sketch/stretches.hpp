/// Which rows of a long matrix were taken in, as stretches of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/bytes.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::sketch {

using Stretches = std::vector<std::pair<Index, Index>>;  // [begin, end), ascending, with gaps between them

constexpr Index most_rows = Index{1} << 56;  // of the whole matrix, so that counters of random numbers do not overflow

/// Throws std::invalid_argument, in the name of `function`, if one of the rows was taken in before.
inline void require_new_rows(const Stretches& stretches, Index first_row, Index rows, const char* function) {
  require(first_row >= 0 && first_row <= most_rows - rows, function, ": first_row is ", first_row,
          "; it must not be negative or beyond 2^56");
  for (const auto& [begin, end] : stretches)
    require(rows == 0 || first_row >= end || first_row + rows <= begin, function, ": rows ", std::max(begin, first_row),
            " to ", std::min(end, first_row + rows) - 1, " were taken in before");
}

/// Adds rows that are new, and joins what touches.
inline void add_stretch(Stretches& stretches, std::pair<Index, Index> stretch) {
  if (stretch.first == stretch.second) return;
  const auto placed = stretches.insert(std::lower_bound(stretches.begin(), stretches.end(), stretch), stretch);
  const auto index = static_cast<std::size_t>(placed - stretches.begin());
  if (index + 1 < stretches.size() && stretches[index + 1].first == stretches[index].second) {
    stretches[index].second = stretches[index + 1].second;
    stretches.erase(stretches.begin() + static_cast<std::ptrdiff_t>(index) + 1);
  }
  if (index > 0 && stretches[index - 1].second == stretches[index].first) {
    stretches[index - 1].second = stretches[index].second;
    stretches.erase(stretches.begin() + static_cast<std::ptrdiff_t>(index));
  }
}

[[nodiscard]] inline Index row_count(const Stretches& stretches) {
  Index rows = 0;
  for (const auto& [begin, end] : stretches) rows += end - begin;
  return rows;
}

inline void put_stretches(const Stretches& stretches, ByteWriter& bytes) {
  for (const auto& [begin, end] : stretches) {
    bytes.put(static_cast<std::int64_t>(begin));
    bytes.put(static_cast<std::int64_t>(end));
  }
}

[[nodiscard]] inline Stretches get_stretches(std::uint64_t count, ByteReader& bytes) {
  Stretches stretches;
  bytes.check(count <= bytes.left() / 16);
  std::int64_t last = -1;
  for (std::uint64_t k = 0; k < count; ++k) {
    const auto begin = bytes.get<std::int64_t>(), end = bytes.get<std::int64_t>();
    bytes.check(begin > last && end > begin && end <= most_rows);
    stretches.emplace_back(begin, end);
    last = end;
  }
  return stretches;
}

}  // namespace nearlinear::sketch
