// Tokens that are finished in any order, and slow ones that others have to wait for.
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "sparse/assembly.hpp"

namespace {

using nearlinear::Index;
using nearlinear::sparse::Assembly;
using nearlinear::sparse::Token;

/// One row each, of at most `capacity` entries; token t has count(t).
struct Rows {
  Index count;
  Index capacity;
  [[nodiscard]] Index size(Index t) const { return (t * t * 7919 + t) % (capacity + 1); }

  [[nodiscard]] std::vector<Token> tokens() const {
    std::vector<Token> list;
    for (Index t = 0; t < count; ++t)
      list.push_back({.row_begin = t, .row_end = t + 1, .col_end = capacity, .capacity = capacity, .kept = capacity});
    return list;
  }

  template <class Place>
  [[nodiscard]] Index write(Index t, const Place& place) const {
    for (Index e = 0; e < size(t); ++e) {
      place.indices[e] = static_cast<std::int32_t>(e);
      place.data[e] = static_cast<double>(t * capacity + e);
    }
    for (Index e = size(t); e < size(t) + nearlinear::sparse::slack; ++e) {  // as vectors are stored
      place.indices[e] = -1;
      place.data[e] = -1;
    }
    *place.row_sizes = size(t);
    return size(t);
  }
};

/// Assembles the rows while one token in `stalled` sleeps.
void check_assembly(const Rows& rows, int threads, Index stalled, bool reserve) {
  const std::vector<Token> tokens = rows.tokens();
  Assembly<double, std::int32_t> assembly(tokens, rows.count, threads);
  nearlinear::Monitor monitor{nearlinear::KeepGoing{}};
  const Index capacity = reserve ? rows.count * rows.capacity : Index{1} << 60;  // which no system has
  nearlinear::sparse::assemble(assembly, tokens, capacity, threads, monitor,
                               [&](const Token& token, int, const auto& place) {
                                 const Index t = token.row_begin;
                                 if (t % stalled == stalled / 2)
                                   std::this_thread::sleep_for(std::chrono::milliseconds(10));
                                 return rows.write(t, place);
                               });
  const auto ends = assembly.take_row_ends();
  const auto indices = assembly.take_indices();
  const auto data = assembly.take_data();
  bool right = true;
  Index e = 0;
  for (Index t = 0; t < rows.count; ++t) {
    for (Index q = 0; q < rows.size(t); ++q, ++e)
      right = right && indices[e] == q && data[e] == static_cast<double>(t * rows.capacity + q);
    right = right && ends[t + 1] == e;
  }
  CHECK(right);
  CHECK(data.size() == e);
}

}  // namespace

TEST("tokens come together in their order, whichever threads are slow") {
  // What a worker holds is more than its ring has room for, many times over.
  const Rows rows{.count = 3000, .capacity = 3000};
  for (const int threads : {1, 2, 4}) check_assembly(rows, threads, 600, true);
  check_assembly(rows, 2, 600, false);
}

TEST("a token longer than a worker's ring, behind tokens that wait") {
  check_assembly({.count = 12, .capacity = 1'000'000}, 3, 4, true);
  check_assembly({.count = 5000, .capacity = 1}, 3, 1000, true);  // and many without entries
}

TEST("an exception of one token ends the loop for those who wait for it") {
  const Rows rows{.count = 3000, .capacity = 3000};
  const std::vector<Token> tokens = rows.tokens();
  Assembly<double, std::int32_t> assembly(tokens, rows.count, 3);
  nearlinear::Monitor monitor{nearlinear::KeepGoing{}};
  const auto compute = [&](const Token& token, int, const auto& place) {
    if (token.row_begin == 100) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      throw std::runtime_error("token 100");
    }
    return rows.write(token.row_begin, place);
  };
  CHECK_THROWS(nearlinear::sparse::assemble(assembly, tokens, rows.count * rows.capacity, 3, monitor, compute),
               std::runtime_error, "token 100");
}
