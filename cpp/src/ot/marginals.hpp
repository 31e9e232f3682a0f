/// Masses as users give them, and as solvers take them: positive, with the sum 1 or a scale that all of them share.
#pragma once

#include <span>
#include <vector>

#include "ot/costs.hpp"

namespace nearlinear::ot {

/// A marginal: where there is mass, how much of it relative to `total`, and the sum.
struct Marginal {
  std::vector<double> mass;
  Indices places;  ///< of `mass`, when some of the entries are zero
  double total = 1;

  [[nodiscard]] const Indices* kept() const { return places.empty() ? nullptr : &places; }
  [[nodiscard]] std::size_t place(std::size_t k) const {
    return places.empty() ? k : static_cast<std::size_t>(places[k]);
  }

  /// From entries of the given ones to all of them, zero elsewhere, and back.
  void scatter(std::span<const double> kept, std::span<double> all) const;
  void gather(std::span<const double> all, std::span<double> kept) const;
};

/// Throws std::invalid_argument in the name of `function` unless masses are finite, not negative, and some positive.
/// Empty means 1 / size each.
Marginal marginal_of(std::span<const double> given, Index size, const char* function, const char* argument);

/// Throws std::invalid_argument in the name of `function` unless a and b have the same sum, up to 1e-6 of it.
void require_equal_sums(const Marginal& a, const Marginal& b, const char* function);

/// f_i <- min_j C_ij - g_j over the columns with mass, for the rows without, and the same for columns.
template <class T>
void refill(const TransportCost<T>& cost, const Marginal& a, const Marginal& b, std::vector<double>& f,
            std::vector<double>& g);

}  // namespace nearlinear::ot
