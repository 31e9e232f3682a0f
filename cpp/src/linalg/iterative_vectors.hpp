/// Loops over the vectors of iterative methods: several columns at once, on several threads, summed in double.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// Loops over rows, in blocks that depend on their number alone. What a column is summed to does not depend on how many
/// columns there are.
class RowLoops {
 public:
  /// With `threads` = 1 nothing is asked of `monitor`, which may then belong to another thread.
  RowLoops(Index rows, Index most_cols, int threads, Monitor& monitor)
      : rows_(rows), threads_(threads), monitor_(monitor), partial_(checked_product(blocks() * lanes, most_cols)) {}

  /// sums[c] <- the sum over rows i of term(i * cols + c, c), which may write to entry i * cols + c of any matrix.
  template <class Term>
  void sum(Index cols, double* sums, const Term& term) const {
    for_blocks([&](Index block) {
      double* const parts = partial_.data() + block * lanes * cols;
      std::fill_n(parts, lanes * cols, 0.0);
      const Index begin = block * block_rows, end = std::min(rows_, begin + block_rows);
      if (cols == 1)
        sum_vector(begin, end, parts, term);
      else
        for (Index i = begin; i < end; ++i) {
          double* const part = parts + (i - begin) % lanes * cols;
          for (Index c = 0; c < cols; ++c) part[c] += term(i * cols + c, c);
        }
    });
    for (Index c = 0; c < cols; ++c) {
      double total = 0;
      for (Index block = 0; block < blocks(); ++block) {
        const double* const parts = partial_.data() + block * lanes * cols + c;
        const auto part = [parts, cols](Index lane) { return parts[lane * cols]; };
        total += ((part(0) + part(1)) + (part(2) + part(3))) + ((part(4) + part(5)) + (part(6) + part(7)));
      }
      sums[c] = total;
    }
  }

  /// body(i * cols + c, c) for all entries.
  template <class Body>
  void for_each(Index cols, const Body& body) const {
    for_blocks([&](Index block) {
      for (Index i = block * block_rows; i < std::min(rows_, (block + 1) * block_rows); ++i)
        for (Index c = 0; c < cols; ++c) body(i * cols + c, c);
    });
  }

 private:
  static constexpr Index lanes = 8;
  static constexpr Index block_rows = 2048;

  [[nodiscard]] Index blocks() const { return ceil_divide(rows_, block_rows); }

  template <class Term>
  static void sum_vector(Index begin, Index end, double* parts, const Term& term) {
    std::array<double, lanes> part{};
    Index i = begin;
    for (; i + lanes <= end; i += lanes)
      for (Index lane = 0; lane < lanes; ++lane) part[static_cast<std::size_t>(lane)] += term(i + lane, Index{0});
    for (Index lane = 0; i < end; ++i, ++lane) part[static_cast<std::size_t>(lane)] += term(i, Index{0});
    std::copy(part.begin(), part.end(), parts);
  }

  template <class Body>
  void for_blocks(const Body& body) const {
    if (threads_ > 1)
      parallel_for(blocks(), threads_, monitor_, body);
    else
      for (Index block = 0; block < blocks(); ++block) body(block);
  }

  Index rows_;
  int threads_;
  Monitor& monitor_;
  Array<double> partial_;
};

/// A number as fraction * 2^exponent, for what must not overflow.
struct Scaled {
  double fraction = 0;
  int exponent = 0;

  [[nodiscard]] double value() const { return std::ldexp(fraction, exponent); }
};

/// The exponent by which vectors are scaled whose largest entry this is.
[[nodiscard]] inline int exponent_of(double largest) {
  constexpr int most = 1000;  // 2^-most and 2^most are normal numbers
  return largest > 0 && std::isfinite(largest) ? std::clamp(std::ilogb(largest), -most, most) : 0;
}

/// The largest absolute value of entry(i), i < rows; NaN if there is one.
template <class Entry>
[[nodiscard]] double largest_absolute(Index rows, const Entry& entry) {
  double largest = 0;
  for (Index i = 0; i < rows; ++i) {
    const double absolute = std::abs(entry(i));
    if (!(absolute <= largest)) largest = absolute;
    if (std::isnan(largest)) break;
  }
  return largest;
}

/// The Euclidean norm of entry(i), i < rows.
template <class Entry>
[[nodiscard]] Scaled scaled_norm(Index rows, const Entry& entry) {
  const double largest = largest_absolute(rows, entry);
  if (largest == 0 || !std::isfinite(largest)) return {largest, 0};
  const int exponent = exponent_of(largest);
  const double scale = std::ldexp(1.0, -exponent);
  std::array<double, 4> sums{};
  for (Index i = 0; i < rows; ++i) {
    const double scaled = entry(i) * scale;
    sums[static_cast<std::size_t>(i % 4)] += scaled * scaled;
  }
  return {std::sqrt((sums[0] + sums[1]) + (sums[2] + sums[3])), exponent};
}

}  // namespace nearlinear::linalg
