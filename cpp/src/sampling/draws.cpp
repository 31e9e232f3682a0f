#include "sampling/draws.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nearlinear/core/random.hpp"
#include "nearlinear/sampling/sample.hpp"

namespace nearlinear {
namespace sampling {

std::vector<Index> draw_independently(std::span<const double> probabilities, std::uint64_t seed, std::uint64_t stream) {
  const RandomStream random(seed, stream);
  std::vector<Index> rows;
  for (std::size_t i = 0; i < probabilities.size(); ++i)
    if (probabilities[i] > 0 && random.uniform(i) < probabilities[i]) rows.push_back(static_cast<Index>(i));
  return rows;
}

std::vector<Index> draw_systematically(std::span<const double> probabilities, std::uint64_t seed) {
  std::vector<Index> rows, rest;
  double sum = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (probabilities[i] >= 1)
      rows.push_back(static_cast<Index>(i));
    else if (probabilities[i] > 0)
      rest.push_back(static_cast<Index>(i)), sum += probabilities[i];
  }
  const RandomStream random(seed, 1);
  for (std::size_t i = rest.size(); i-- > 1;)
    std::swap(rest[i], rest[static_cast<std::size_t>(random.uniform(i) * static_cast<double>(i + 1))]);
  const auto count = static_cast<Index>(std::llround(sum));
  const double factor = sum > 0 ? static_cast<double>(count) / sum : 0, start = random.uniform(0);
  double before = 0;
  Index taken = 0;
  for (const Index i : rest) {
    const double after = before + factor * probabilities[static_cast<std::size_t>(i)];
    if (taken < count && start + static_cast<double>(taken) < after) rows.push_back(i), ++taken;
    before = after;
  }
  if (taken < count) rows.push_back(rest.back());  // which rounding has kept from its turn
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::vector<Index> draw_with_replacement(std::span<const double> scores, Index m, std::uint64_t seed) {
  std::vector<double> cumulative(scores.size());
  std::partial_sum(scores.begin(), scores.end(), cumulative.begin());
  const RandomStream random(seed, 2);
  std::vector<Index> rows(static_cast<std::size_t>(m));
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const double target = random.uniform(k) * cumulative.back();
    const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), target);
    rows[k] = std::min(std::ssize(scores) - 1, at - cumulative.begin());
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace sampling

void sampling_probabilities(std::span<const double> scores, double m, std::span<double> probabilities) {
  constexpr const char* name = "sampling_probabilities";
  require(scores.size() == probabilities.size(), name, ": probabilities has ", probabilities.size(),
          " entries and scores has ", scores.size());
  require(m > 0, name, ": m is ", m, "; it must be positive");
  double largest = 0;
  Index positive = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    require(scores[i] >= 0 && std::isfinite(scores[i]), name, ": scores has the entry ", scores[i], " at index ", i,
            "; scores must be finite and not negative");
    largest = std::max(largest, scores[i]);
    positive += scores[i] > 0 ? 1 : 0;
  }
  require(positive > 0, name, ": all scores are 0");
  if (m >= static_cast<double>(positive)) {
    std::transform(scores.begin(), scores.end(), probabilities.begin(), [](double s) { return s > 0 ? 1.0 : 0.0; });
    return;
  }
  // Rows that c s_i >= 1 makes certain are counted, and c is that of the others: it grows, but for rounding, until none
  // joins them.
  double c = 0;
  for (Index certain = -1;;) {
    Index now = 0;
    double sum = 0;
    for (const double score : scores) {
      const double share = score / largest;
      if (c * share >= 1)
        ++now;
      else
        sum += share;
    }
    if (now <= certain || !(sum > 0)) break;
    certain = now;
    c = std::max(c, (m - static_cast<double>(now)) / sum);
  }
  for (std::size_t i = 0; i < scores.size(); ++i) probabilities[i] = std::min(1.0, c * (scores[i] / largest));
}

}  // namespace nearlinear
