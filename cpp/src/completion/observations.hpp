/// The observed entries, seen from both sides.
#pragma once

#include <cmath>
#include <cstdint>

#include "nearlinear/completion.hpp"

namespace nearlinear::completion {

/// The entries as one side has them, whose lines are the rows, or the columns.
struct Side {
  Index lines = 0;
  Index others = 0;             ///< lines of the other side
  Array<Index> begin = {};      ///< of a line's entries; lines + 1
  Array<std::int32_t> at = {};  ///< the line of the other side, increasing
  Array<double> value = {};
  Array<double> root_weight = {};  ///< w^{1/2}; empty where all are 1
  Array<Index> block = {};         ///< lines at which blocks of similar cost begin; the last one is `lines`
  Index longest = 0;               ///< the most entries of a line

  [[nodiscard]] Index blocks() const { return block.size() - 1; }
  [[nodiscard]] Index count(Index line) const { return begin[line + 1] - begin[line]; }
};

struct Observations {
  Side rows;
  Side cols;
  double total_weight = 0;

  [[nodiscard]] Index nnz() const { return rows.value.size(); }
};

/// Sorts, checks and combines; throws in the name of `function`. Entries whose weight is 0 are left out.
template <class I>
Observations observe(const CsrView<double, I>& X, std::span<const double> weights, DuplicateEntries duplicates,
                     const char* function, const RunOptions& run);

/// Those entries, in the order of the rows' side, for which `keeps` is true.
Observations select(const Observations& observed, const std::vector<bool>& keeps, const RunOptions& run);

/// Two parts of the observations: what stays, and a random `share` of those entries whose rows and columns have others.
struct Split {
  Observations kept;
  Observations left_out;
};
Split split(const Observations& observed, double share, std::uint64_t seed, const RunOptions& run);

/// sum w x / sum w, and x <- x - shift on both sides.
double mean(const Observations& observed);
void subtract(Observations& observed, double shift);

/// sum w x^2.
double square_sum(const Observations& observed);

/// Powers of two that bring the observations near 1, so that squares and products stay in range. A model of X times
/// 2^-exponent has factors times 2^-(exponent / 2), and lambda 2^-exponent times that of X, but for biases.
struct Scale {
  int exponent = 0;  ///< even

  [[nodiscard]] double value(double x) const { return std::ldexp(x, -exponent); }
  [[nodiscard]] double value_back(double x) const { return std::ldexp(x, exponent); }
  [[nodiscard]] double factor(double x) const { return std::ldexp(x, -exponent / 2); }
  [[nodiscard]] double factor_back(double x) const { return std::ldexp(x, exponent / 2); }
  [[nodiscard]] double ridge(double lam) const { return std::ldexp(lam, -exponent); }
  [[nodiscard]] double ridge_back(double lam) const { return std::ldexp(lam, exponent); }
  [[nodiscard]] double objective_back(double f) const { return std::ldexp(f, 2 * exponent); }
};

/// Scales the observations.
Scale rescale(Observations& observed);

/// The observations x > 0 of implicit feedback as weighted ones. With c = 1 + x and p = 1 where something is stored,
/// c = 1 and p = 0 elsewhere,
///
///     sum c (p - e)^2 = sum over stored x (1 + 1 / x - e)^2 + sum over all e^2 - sum over stored (1 + 1 / x).
///
/// Zeros are like what is not stored, and are left out. Throws where x < 0. Returns the last sum.
double make_implicit(Observations& observed, const char* function, const RunOptions& run);

}  // namespace nearlinear::completion
