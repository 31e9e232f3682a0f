/// The hot loops of products of a sparse and a dense matrix.
#pragma once

#include <cstdint>

#include "nearlinear/core/views.hpp"

namespace nearlinear::sparse {

/// A matrix in compressed rows that has been checked; its rows need not be sorted.
template <class T, class I>
struct CsrRows {
  const I* indptr;
  const I* indices;
  const T* data;
};

/// How many rows of a dense matrix are multiplied by a sparse one in one go.
constexpr Index spmm_lanes = 8;

template <class T, class I>
struct SpmmKernelsFor {
  /// Y <- A X for the rows [begin, end) of A and Y, X and Y of `cols` columns, at least one, stored by rows.
  void (*multiply_rows)(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index cols, T* y,
                        Index y_stride) noexcept;

  /// Y <- Y + X A for the rows [begin, end) of A and these columns of X, of which there are `count` rows, at most
  /// spmm_lanes. Column j of Y lies at y[j * lanes], lanes being 1 for one row, else spmm_lanes, with as many entries.
  void (*add_from_left)(const CsrRows<T, I>& a, Index begin, Index end, const T* x, Index x_stride, Index count,
                        T* y) noexcept;
};

struct SpmmKernels {
  SpmmKernelsFor<float, std::int32_t> f32_i32;
  SpmmKernelsFor<float, std::int64_t> f32_i64;
  SpmmKernelsFor<double, std::int32_t> f64_i32;
  SpmmKernelsFor<double, std::int64_t> f64_i64;
};

extern const SpmmKernels spmm_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::sparse
