#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "check.hpp"
#include "nearlinear/ot.hpp"

using namespace nearlinear;

TEST("the example of the header") {
  const std::vector<double> scores{3, 1, 2, 0};
  const auto result = route<double>({scores.data(), 2, 2}, {.capacity = 1});
  CHECK(result.score == 3);
  CHECK(result.bound == 3);
  CHECK(result.plan.nnz() == 2);
}

TEST("each token has k experts, none of them too many tokens, and prices prove the score") {
  const RandomStream numbers(3, 0);
  for (const auto& [tokens, experts, k] : {std::array<Index, 3>{1, 1, 1}, {40, 5, 2}, {200, 16, 3}, {30, 4, 4}}) {
    std::vector<double> scores(static_cast<std::size_t>(tokens * experts));
    for (std::size_t at = 0; at < scores.size(); ++at)
      scores[at] = numbers.uniform(at) + static_cast<double>(static_cast<Index>(at) % experts);
    const Index capacity = (tokens * k + experts - 1) / experts;
    const MatrixView<const double> view(scores.data(), tokens, experts);
    const auto result = route<double>(view, {.capacity = capacity, .k = k});
    std::vector<Index> load(static_cast<std::size_t>(experts), 0);
    for (Index t = 0; t < tokens; ++t) {
      CHECK(result.plan.indptr[t + 1] - result.plan.indptr[t] == k);
      for (Index at = result.plan.indptr[t]; at < result.plan.indptr[t + 1]; ++at) {
        ++load[static_cast<std::size_t>(result.plan.indices[at])];
        CHECK(result.plan.data[at] == view(t, result.plan.indices[at]));
      }
    }
    for (const Index count : load) CHECK(count <= capacity);
    CHECK(std::abs(result.score - result.bound) < 1e-9);
    const std::vector<MatrixView<const double>> twice(5, view);
    for (const auto& again : route_batch(std::span<const MatrixView<const double>>(twice),
                                         {.capacity = capacity, .k = k}, {.n_threads = 2}))
      CHECK(again.score == result.score && again.prices == result.prices);
  }
}

TEST("bad arguments are named") {
  std::vector<double> scores{3, 1, 2, 0};
  const MatrixView<const double> view(scores.data(), 2, 2);
  CHECK_THROWS(route<double>(view, {.capacity = 0}), std::invalid_argument, "more than 2 experts");
  CHECK_THROWS(route<double>(view, {.capacity = -1}), std::invalid_argument, "capacity");
  CHECK_THROWS(route<double>(view, {.capacity = 2, .k = 3}), std::invalid_argument, "k is 3");
  CHECK_THROWS(route<double>({nullptr, 0, 2}, {.capacity = 2}), std::invalid_argument, "scores is 0 x 2");
  scores[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS(route<double>(view, {.capacity = 2}), std::invalid_argument, "index (1, 1)");
}

TEST("memory that is not there is bad_alloc") {
  const std::vector<double> scores(60, 1.0);
  const long allocations =
      check::count_survived_allocation_failures([&] { route<double>({scores.data(), 20, 3}, {.capacity = 7}); });
  CHECK(allocations > 5);
}
