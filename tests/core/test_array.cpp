#include <algorithm>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "check.hpp"
#include "nearlinear/core.hpp"

using namespace nearlinear;

namespace {

constexpr Index sizes[] = {0,       1,       1000,
                           1 << 17, 1 << 19, (1 << 20) + 1};  // in doubles: on the heap, and from 1 MiB on in pages

bool holds_sequence(const Array<double>& array) {
  double expected = 0;
  return std::all_of(array.begin(), array.end(), [&](double value) { return value == expected++; });
}

}  // namespace

TEST("an array keeps its first elements when it shrinks") {
  for (const Index size : sizes)
    for (const Index kept : {Index{0}, size / 3, size}) {
      Array<double> array(size);
      std::iota(array.begin(), array.end(), 0.0);
      array.shrink(kept);
      CHECK(array.size() == kept);
      CHECK(holds_sequence(array));
    }
}

TEST("zeros are zeros, also in memory that was used before") {
  for (int round = 0; round < 3; ++round)
    for (const Index size : sizes) {
      const Array<double> array = Array<double>::zeros(size);
      CHECK(std::count(array.begin(), array.end(), 0.0) == size);
      std::fill(array.begin(), array.end(), 7.0);  // for the next round
    }
}

TEST("a moved array leaves an empty one behind") {
  Array<double> array(10);
  double* const data = array.data();
  const Array<double> moved = std::move(array);
  CHECK(moved.data() == data);
  CHECK(array.data() == nullptr);  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the test
}

TEST("too large an array is out_of_memory, which states the size") {
  CHECK_THROWS(Array<double>(Index{1} << 59), std::bad_alloc, "4.61e+09 GB");
  CHECK_THROWS(static_cast<void>(Array<double>::zeros(Index{1} << 59)), std::bad_alloc, "4.61e+09 GB");
  CHECK_THROWS(Array<double>(Index{1} << 62), std::bad_alloc, "out of memory");  // whose bytes no integer counts
  CHECK(Memory::try_allocate(SIZE_MAX).empty());
}

TEST("a reservation may be far larger than the machine, and what is not used is given back") {
  constexpr Index size = Index{1} << 37;  // 1 TiB of doubles
  Memory memory = Memory::try_allocate(static_cast<std::size_t>(size) * sizeof(double));
  if (memory.empty()) return;  // where the system counts reservations
  Array<double> array(std::move(memory), size);
  std::iota(array.begin(), array.begin() + 1000, 0.0);
  array.shrink(1000);
  CHECK(holds_sequence(array));
}

TEST("many threads may allocate and free at once") {
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::vector<int> wrong(8);
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&mistakes = wrong[static_cast<std::size_t>(t)]] {
      for (Index round = 0; round < 20; ++round) {
        Array<double> array((1 << 17) + 10'000 * round);
        std::iota(array.begin(), array.end(), 0.0);
        array.shrink(array.size() / 2);
        if (!holds_sequence(array)) ++mistakes;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(std::accumulate(wrong.begin(), wrong.end(), 0) == 0);
}
