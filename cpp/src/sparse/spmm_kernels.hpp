/// The hot loops of products of a sparse and a dense matrix.
#pragma once

#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

/// A matrix in compressed rows, which need not be sorted. Its row pointers have been checked.
template <class T, class I>
struct CsrRows {
  Index cols;
  const I* indptr;
  const I* indices;
  const T* data;
};

/// How many rows of a dense matrix are multiplied by a sparse one in one go, at most.
constexpr Index most_lanes = 8;

/// Both answer false where A has a column out of range, which they do not follow.
template <class T, class I>
struct SpmmKernelsFor {
  /// Y <- A X for the rows [begin, end) of A and Y, X and Y of `cols` columns, at least one, stored by rows.
  bool (*multiply_rows)(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index cols, T* y,
                        Index y_stride) noexcept;

  /// Y <- Y + X A for the rows [begin, end) of A and these columns of X, of which there are `count` rows, at most
  /// most_lanes. Column j of Y lies at y[j * lanes], lanes being lanes_for(count), with as many entries.
  bool (*add_from_left)(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index count,
                        T* y) noexcept;
};

/// Entries of a column of so many rows: the next power of two.
[[nodiscard]] constexpr Index lanes_for(Index count) {
  return static_cast<Index>(std::bit_ceil(static_cast<std::make_unsigned_t<Index>>(count)));
}

extern const TypedKernels<SpmmKernelsFor>
    spmm_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::sparse
