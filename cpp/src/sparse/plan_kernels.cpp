// Compiled once per instruction set; see core/dispatch.hpp for the rules.
//
// Products of which it is known where they go. Every way adds the products of an entry in the order of the row of A, as
// sparse/kernels.cpp does: to a sum that begins with zero, and a row of A with one entry scales a row of B.
#include "sparse/plan_kernels.hpp"

#include <algorithm>

namespace {

using nearlinear::Index;
using namespace nearlinear::sparse;

// A row of B of this length is worth the question whether its columns follow one another: then it is added by vectors.
constexpr Index shortest_run = 8;

template <class I>
bool is_run(const I* columns, Index size) {
  return static_cast<Index>(columns[size - 1]) - static_cast<Index>(columns[0]) == size - 1;
}

template <class T>
void add_run(T* __restrict sums, T a, const T* __restrict b, Index size) {
  for (Index q = 0; q < size; ++q) sums[q] += a * b[q];
}

template <class T, class Place>
void add_scattered(T* sums, T a, const T* b, const Place* places, Index size) {
  Index q = 0;
  for (; q + 4 <= size; q += 4) {  // in this order: places differ within a row of B, but the compiler does not know
    const T p0 = a * b[q], p1 = a * b[q + 1], p2 = a * b[q + 2], p3 = a * b[q + 3];
    sums[places[q]] += p0;
    sums[places[q + 1]] += p1;
    sums[places[q + 2]] += p2;
    sums[places[q + 3]] += p3;
  }
  for (; q < size; ++q) sums[places[q]] += a * b[q];
}

template <class T, class Place>
void add_row(T* sums, T a, const T* b, const Place* places, Index size) {
  if (size >= shortest_run && is_run(places, size))
    add_run(sums + places[0], a, b, size);
  else
    add_scattered(sums, a, b, places, size);
}

template <class T>
void scale(T* __restrict c, T a, const T* __restrict b, Index size) {
  for (Index q = 0; q < size; ++q) c[q] = a * b[q];
}

/// c <- the sums at these columns, which become zero.
template <class T, class I>
void take(T* __restrict c, T* __restrict sums, const I* __restrict columns, Index size) {
  for (Index e = 0; e < size; ++e) {
    c[e] = sums[columns[e]];
    sums[columns[e]] = 0;
  }
}

template <class T, class I>
void sum_at_positions(const PlanOperands<T, I>& operands, Index begin, Index end, const Position* positions) noexcept {
  const PlanOperands<T, I> at = operands;
  for (Index i = begin; i < end; ++i) {
    const Index first = at.a_indptr[i], last = at.a_indptr[i + 1];
    T* const c = at.c_data + at.c_indptr[i];
    if (last - first == 1) {
      const I k = at.a_indices[first];
      const Index size = at.b_indptr[k + 1] - at.b_indptr[k];
      scale(c, at.a_data[first], at.b_data + at.b_indptr[k], size);
      positions += size;
      continue;
    }
    std::fill(c, at.c_data + at.c_indptr[i + 1], T{0});
    for (Index j = first; j < last; ++j) {
      const I k = at.a_indices[j];
      const Index b = at.b_indptr[k], size = at.b_indptr[k + 1] - b;
      add_row(c, at.a_data[j], at.b_data + b, positions, size);
      positions += size;
    }
  }
}

template <class T, class I>
void sum_dense(const PlanOperands<T, I>& operands, Index begin, Index end, T* sums) noexcept {
  const PlanOperands<T, I> at = operands;
  for (Index i = begin; i < end; ++i) {
    const Index first = at.a_indptr[i], last = at.a_indptr[i + 1];
    const Index c = at.c_indptr[i];
    if (last - first == 1) {
      const I k = at.a_indices[first];
      scale(at.c_data + c, at.a_data[first], at.b_data + at.b_indptr[k], at.b_indptr[k + 1] - at.b_indptr[k]);
      continue;
    }
    for (Index j = first; j < last; ++j) {
      const I k = at.a_indices[j];
      const Index b = at.b_indptr[k];
      add_row(sums, at.a_data[j], at.b_data + b, at.b_indices + b, at.b_indptr[k + 1] - b);
    }
    take(at.c_data + c, sums, at.c_indices + c, at.c_indptr[i + 1] - c);
  }
}

template <class T, class I>
void sum_part(const PlanOperands<T, I>& operands, Index row, Index col_begin, Index col_end, T* sums) noexcept {
  const PlanOperands<T, I> at = operands;
  const auto part = [&](const I* columns, Index begin, Index end) {
    const I* const first = std::lower_bound(columns + begin, columns + end, col_begin);
    return std::pair<Index, Index>{first - columns, std::lower_bound(first, columns + end, col_end) - columns};
  };
  for (Index j = at.a_indptr[row]; j < at.a_indptr[row + 1]; ++j) {
    const I k = at.a_indices[j];
    const auto [begin, end] = part(at.b_indices, at.b_indptr[k], at.b_indptr[k + 1]);
    add_row(sums, at.a_data[j], at.b_data + begin, at.b_indices + begin, end - begin);
  }
  const auto [begin, end] = part(at.c_indices, at.c_indptr[row], at.c_indptr[row + 1]);
  take(at.c_data + begin, sums, at.c_indices + begin, end - begin);
}

template <class T, class I>
constexpr PlanKernels<T, I> kernels_for = {
    .sum_at_positions = sum_at_positions<T, I>, .sum_dense = sum_dense<T, I>, .sum_part = sum_part<T, I>};

}  // namespace

const nearlinear::sparse::TypedKernels<nearlinear::sparse::PlanKernels> nearlinear::sparse::plan_kernels = {
    .f32_i32 = kernels_for<float, std::int32_t>,
    .f32_i64 = kernels_for<float, std::int64_t>,
    .f64_i32 = kernels_for<double, std::int32_t>,
    .f64_i64 = kernels_for<double, std::int64_t>,
};
