/// The hot loops of `sparse`, one table per instruction set.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "core/dispatch.hpp"
#include "core/largest_entries.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::sparse {

/// Entries that kernels may write, as rubbish, behind those that they count: vectors are stored whole.
constexpr Index slack = 64;

/// The operands A and B of a product. The columns of every row of B increase strictly.
template <class T, class I>
struct Operands {
  const I* a_indptr;
  const I* a_indices;
  const T* a_data;
  const I* b_indptr;
  const I* b_indices;
  const T* b_data;
};

/// The unit of work: the entries of C in rows [row_begin, row_end) and columns [col_begin, col_end).
struct Token {
  Index row_begin = 0;
  Index row_end = 0;
  Index col_begin = 0;
  Index col_end = 0;
  Index products = 0;       ///< scalar products in these rows
  Index largest_row = 0;    ///< bound on the number of entries of a row
  Index capacity = 0;       ///< bound on the number of entries of all rows
  Index kept = 0;           ///< bound on how many of them stay when the smallest of every row are dropped
  bool all_columns = true;  ///< otherwise it is a part of one long row
};

/// Dense accumulator: between rows, all zero.
template <class T>
struct DenseAccumulator {
  T* sums;                    ///< one per column
  std::uint8_t* flags;        ///< used (255) or not (0): one per column, rounded up to whole blocks
  std::uint8_t* block_flags;  ///< the same per block of 64 columns, rounded up to whole blocks of 64 blocks
};

/// Hash accumulator: open addressing with linear probing. Between rows, every key is -1.
template <class T, class I>
struct HashAccumulator {
  struct Entry {
    I column;
    std::make_unsigned_t<I> slot;
  };
  I* keys;         ///< 2^log2_size
  T* sums;         ///< 2^log2_size
  Entry* entries;  ///< half as many: a table is never more than half full
  int log2_size;
};

/// Smallest table for a row of at most `entries` entries: at most half full.
[[nodiscard]] constexpr int hash_log2_size(Index entries) {
  return static_cast<int>(std::bit_width(static_cast<std::make_unsigned_t<Index>>(entries))) + 1;
}

/// Computes a token's part of C: writes its entries, row by row with increasing columns, to `indices` and `data`
/// (`capacity` + slack entries each) and the number of entries of row i to row_sizes[i - row_begin]. Returns the number
/// of all entries.
template <class T, class I>
using MultiplyDense = Index (*)(const Operands<T, I>& operands, const Token& token,
                                const DenseAccumulator<T>& accumulator, I* indices, T* data, Index* row_sizes) noexcept;
template <class T, class I>
using MultiplyHash = Index (*)(const Operands<T, I>& operands, const Token& token,
                               const HashAccumulator<T, I>& accumulator, I* indices, T* data,
                               Index* row_sizes) noexcept;

/// Adds row `row` of A B to `sums`, one for every column of B.
template <class T, class I>
using AddRow = void (*)(const Operands<T, I>& operands, Index row, T* sums) noexcept;

/// Kernels of one pair of types.
template <class T, class I>
struct ProductKernels {
  MultiplyDense<T, I> multiply_dense;
  MultiplyHash<T, I> multiply_hash;
  AddRow<T, I> add_row;
  CollectAbove<T> collect_above;
};

/// Kernels of all pairs of types; of_types<T, I>() picks one.
template <template <class, class> class Of>
struct TypedKernels {
  Of<float, std::int32_t> f32_i32;
  Of<float, std::int64_t> f32_i64;
  Of<double, std::int32_t> f64_i32;
  Of<double, std::int64_t> f64_i64;
};

template <class T, class I, template <class, class> class Of>
const Of<T, I>& of_types(const TypedKernels<Of>& table) {
  if constexpr (std::is_same_v<T, float> && sizeof(I) == 4) return table.f32_i32;
  if constexpr (std::is_same_v<T, float> && sizeof(I) == 8) return table.f32_i64;
  if constexpr (std::is_same_v<T, double> && sizeof(I) == 4) return table.f64_i32;
  if constexpr (std::is_same_v<T, double> && sizeof(I) == 8) return table.f64_i64;
}

/// How many of some columns are out of range, and how many are not less than the one behind them.
struct ColumnFaults {
  Index outside;
  Index steps_back;
};

/// Looks at columns[0], ..., columns[count - 1], and at columns[count] as the last one's successor; count < 2^31.
template <class I>
using CountColumnFaults = ColumnFaults (*)(const I* columns, Index count, Index cols) noexcept;

template <class T, class I>
struct SpmmKernelsFor;  // sparse/spmm_kernels.hpp
template <class T, class I>
struct PlanKernels;  // sparse/plan_kernels.hpp

struct Kernels {
  CountColumnFaults<std::int32_t> count_column_faults_i32;
  CountColumnFaults<std::int64_t> count_column_faults_i64;
  TypedKernels<ProductKernels> product;
  const TypedKernels<SpmmKernelsFor>* spmm;
  const TypedKernels<PlanKernels>* plan;
};

NEARLINEAR_DECLARE_KERNELS(sparse)

template <class I>
ColumnFaults count_column_faults(const I* columns, Index count, Index cols) {
  if constexpr (sizeof(I) == 4) return kernels().count_column_faults_i32(columns, count, cols);
  if constexpr (sizeof(I) == 8) return kernels().count_column_faults_i64(columns, count, cols);
}

}  // namespace nearlinear::sparse
