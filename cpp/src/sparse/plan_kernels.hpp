/// The hot loops of products whose pattern is known.
#pragma once

#include <cstdint>

#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

/// The operands and the result; B has sorted rows without duplicates. Columns of B and C may be numbered anew, in the
/// same order.
template <class T, class I>
struct PlanOperands : Operands<T, I> {
  const I* c_indptr;
  const I* c_indices;
  T* c_data;
};

/// A place in a row of C. Longer rows are summed in a dense accumulator.
using Position = std::uint16_t;
constexpr Index most_positions = Index{1} << 16;

template <class T, class I>
struct PlanKernels {
  /// Rows [begin, end) of C, where `positions` has the place of every scalar product in its row of C.
  void (*sum_at_positions)(const PlanOperands<T, I>& operands, Index begin, Index end,
                           const Position* positions) noexcept;

  /// The same rows in a dense accumulator of a sum per column, zero before and after.
  void (*sum_dense)(const PlanOperands<T, I>& operands, Index begin, Index end, T* sums) noexcept;

  /// A row's entries in columns [col_begin, col_end), likewise.
  void (*sum_part)(const PlanOperands<T, I>& operands, Index row, Index col_begin, Index col_end, T* sums) noexcept;
};

extern const TypedKernels<PlanKernels>
    plan_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::sparse
