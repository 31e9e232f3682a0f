// Masses.
#include "ot/marginals.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nearlinear/core/errors.hpp"

namespace nearlinear::ot {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

void Marginal::scatter(std::span<const double> kept, std::span<double> all) const {
  std::fill(all.begin(), all.end(), 0.0);
  for (std::size_t k = 0; k < kept.size(); ++k) all[place(k)] = kept[k];
}

void Marginal::gather(std::span<const double> all, std::span<double> kept) const {
  for (std::size_t k = 0; k < kept.size(); ++k) kept[k] = all[place(k)];
}

Marginal marginal_of(std::span<const double> given, Index size, const char* function, const char* argument) {
  Marginal marginal;
  if (given.empty()) {
    marginal.mass.assign(static_cast<std::size_t>(size), 1 / static_cast<double>(size));
    return marginal;
  }
  require(std::ssize(given) == size, function, ": ", argument, " has ", std::ssize(given), " entries; there must be ",
          size);
  double largest = 0;
  for (Index i = 0; i < size; ++i) {
    const double mass = given[static_cast<std::size_t>(i)];
    require(mass >= 0 && mass < infinity, function, ": ", argument, " has the entry ", mass, " at index ", i,
            "; masses must be finite and not negative");
    largest = std::max(largest, mass);
  }
  require(largest > 0, function, ": ", argument, " has no mass; at least one entry must be positive");
  double scaled_total = 0;  // which cannot overflow
  for (const double mass : given) scaled_total += mass / largest;
  marginal.total = scaled_total * largest;
  require(marginal.total < infinity, function, ": the sum of ", argument, " is not a double");
  const bool has_zeros = std::any_of(given.begin(), given.end(), [&](double mass) {
    return !(mass / largest / scaled_total > 0);  // or too small beside the others for a number
  });
  for (Index i = 0; i < size; ++i) {
    const double mass = given[static_cast<std::size_t>(i)] / largest / scaled_total;
    if (!(mass > 0)) continue;
    marginal.mass.push_back(mass);
    if (has_zeros) marginal.places.push_back(i);
  }
  return marginal;
}

void require_equal_sums(const Marginal& a, const Marginal& b, const char* function) {
  constexpr double same = 1e-6;
  require(std::abs(a.total - b.total) <= same * std::max(a.total, b.total), function, ": a sums to ", a.total,
          " and b to ", b.total, "; the sums must be equal");
}

template <class T>
void refill(const TransportCost<T>& cost, const Marginal& a, const Marginal& b, std::vector<double>& f,
            std::vector<double>& g) {
  const Costs costs(cost, nullptr, nullptr);
  std::vector<double> t(static_cast<std::size_t>(Costs::tile + 32)), g_with_mass(g.size(), -infinity);
  std::vector<double> least(g.size(), infinity);
  std::vector<bool> row_has_mass(f.size(), a.places.empty());
  for (const Index i : a.places) row_has_mass[static_cast<std::size_t>(i)] = true;
  for (std::size_t k = 0; k < b.mass.size(); ++k) g_with_mass[b.place(k)] = g[b.place(k)];
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (row_has_mass[i] && b.places.empty()) continue;
    double largest = -infinity;
    costs.for_tiles(static_cast<Index>(i), t.data(), [&](const auto* row, Index first, Index count) {
      for (Index j = 0; j < count; ++j) {
        const auto column = static_cast<std::size_t>(first + j);
        const auto here = static_cast<double>(row[j]);
        if (row_has_mass[i])
          least[column] = std::min(least[column], here - f[i]);
        else if (here < infinity)
          largest = std::max(largest, g_with_mass[column] - here);
      }
    });
    if (!row_has_mass[i]) f[i] = largest > -infinity ? -largest : 0;
  }
  if (b.places.empty()) return;
  for (std::size_t j = 0; j < g.size(); ++j)
    if (g_with_mass[j] == -infinity) g[j] = least[j] < infinity ? least[j] : 0;
}

template void refill(const TransportCost<float>&, const Marginal&, const Marginal&, std::vector<double>&,
                     std::vector<double>&);
template void refill(const TransportCost<double>&, const Marginal&, const Marginal&, std::vector<double>&,
                     std::vector<double>&);

}  // namespace nearlinear::ot
