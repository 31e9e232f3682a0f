// Masses as integers.
#include "ot/mass_units.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nearlinear::ot {
namespace {

bool are_equal(const std::vector<double>& masses) {
  return std::all_of(masses.begin(), masses.end(), [&](double mass) { return mass == masses.front(); });
}

/// The given masses where there are any, if they are whole numbers with a sum that is exact; otherwise none.
std::vector<std::int64_t> whole_numbers(const Marginal& marginal, std::span<const double> given) {
  constexpr double largest = 0x1p53;
  if (given.empty() || marginal.total > largest) return {};
  std::vector<std::int64_t> numbers;
  for (std::size_t k = 0; k < marginal.mass.size(); ++k) {
    const double mass = given[marginal.place(k)];
    if (mass != std::floor(mass)) return {};
    numbers.push_back(static_cast<std::int64_t>(mass));
  }
  return numbers;
}

std::vector<std::int64_t> rounded(const std::vector<double>& masses) {
  std::vector<std::int64_t> units(masses.size());
  std::transform(masses.begin(), masses.end(), units.begin(),
                 [](double mass) { return std::max<std::int64_t>(1, std::llround(mass * 0x1p61)); });
  return units;
}

std::int64_t sum(const std::vector<std::int64_t>& units) {
  return std::accumulate(units.begin(), units.end(), std::int64_t{0});
}

}  // namespace

MassUnits mass_units(const Marginal& rows, const Marginal& cols, std::span<const double> a, std::span<const double> b) {
  MassUnits units;
  if (are_equal(rows.mass) && are_equal(cols.mass)) {
    const auto n = std::ssize(rows.mass), m = std::ssize(cols.mass), divisor = std::gcd(n, m);
    units.rows.assign(rows.mass.size(), m / divisor);
    units.cols.assign(cols.mass.size(), n / divisor);
  } else {
    units.rows = whole_numbers(rows, a);
    units.cols = whole_numbers(cols, b);
    if (units.rows.empty() || units.cols.empty() || sum(units.rows) != sum(units.cols)) {
      units.rows = rounded(rows.mass);
      units.cols = rounded(cols.mass);
      // What rounding has made of the sums is a part of 1e-15 of them: the largest mass takes it.
      const std::int64_t more = sum(units.rows) - sum(units.cols);
      std::vector<std::int64_t>& smaller = more > 0 ? units.cols : units.rows;
      *std::max_element(smaller.begin(), smaller.end()) += std::abs(more);
    }
  }
  units.unit = 1 / static_cast<double>(sum(units.rows));
  return units;
}

}  // namespace nearlinear::ot
