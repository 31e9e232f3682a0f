/// Scaling by powers of two, which is exact but where it underflows.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "linalg/row_blocks.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// The scale of a matrix: 2^-exponent A has no entry above 1 in absolute value; 0 for a zero matrix.
struct Scale {
  int exponent;
  bool is_finite;  // without NaN and infinities; otherwise the exponent means nothing
};

template <class T>
Scale scale_of(MatrixView<T> A, const RunOptions& run) {
  using Number = std::remove_const_t<T>;
  const RowBlocks blocks{A.rows(), A.cols()};
  const Array<Number> largest(blocks.count), poison(blocks.count);
  blocks.run(run, 1, [&](Index block, Index begin, Index end) {
    Number in_block = 0, zero = 0;
    for (Index i = begin; i < end; ++i)
      for (const Number entry : A.row(i)) {
        in_block = std::max(in_block, std::abs(entry));
        zero += entry * 0;  // NaN of NaN and of infinity
      }
    largest[block] = in_block;
    poison[block] = zero;
  });
  Scale scale{0, std::all_of(poison.begin(), poison.end(), [](Number zero) { return zero == 0; })};
  if (scale.is_finite && blocks.count > 0)
    std::frexp(static_cast<double>(*std::max_element(largest.begin(), largest.end())), &scale.exponent);
  return scale;
}

/// to <- 2^exponent from, in two steps: a single factor might be out of range.
template <class From, class To>
void copy_scaled(MatrixView<From> from, int exponent, MatrixView<To> to, const RunOptions& run) {
  const double half = std::ldexp(1.0, exponent / 2), rest = std::ldexp(1.0, exponent - exponent / 2);
  RowBlocks{from.rows(), from.cols()}.run(run, 1, [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      for (Index j = 0; j < from.cols(); ++j) to(i, j) = static_cast<To>(static_cast<double>(from(i, j)) * half * rest);
  });
}

/// Throws std::invalid_argument, which names the first entry that is NaN or infinite: there must be one.
template <class T>
[[noreturn]] void refuse_non_finite(MatrixView<T> A, const char* function, const char* argument) {
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j)
      require(std::isfinite(A(i, j)), function, ": ", argument, " has the entry ", A(i, j), " at index (", i, ", ", j,
              "); all entries must be finite");
  throw std::invalid_argument(std::string(function) + ": " + argument + " changed while it was read");
}

}  // namespace nearlinear::linalg
