/// A token's rows of C, one after another. For kernels only: it follows the instruction set that it is compiled for.
///
/// A row is copied or summed in an accumulator, and its columns sorted by comparison or read off the flags, whichever
/// is cheapest for its number of scalar products; every way adds the products of an entry in the same order.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>

#include "nearlinear/sparse/semirings.hpp"
#include "sparse/extract.hpp"
#include "sparse/kernels.hpp"
#include "sparse/sort_network.hpp"

namespace nearlinear::sparse {
namespace {

constexpr std::uint8_t used = 255;  // flags, which are otherwise 0

struct Range {
  Index begin;
  Index end;
  [[nodiscard]] Index size() const { return end - begin; }
};

/// The operands of a token. A copy per token: read through a reference, every pointer would be loaded again after each
/// store to a flag, which is a char and may alias anything.
template <class T, class I, bool all_columns>
class Rows {
 public:
  Rows(const Operands<T, I>& operands, const Token& token)
      : operands_(operands), col_begin_(static_cast<I>(token.col_begin)), col_end_(static_cast<I>(token.col_end)) {}

  [[nodiscard]] Range row_of_a(Index i) const { return {operands_.a_indptr[i], operands_.a_indptr[i + 1]}; }

  /// Row k of B where entry j of A is in column k; of a token that is a part of a row, the part in its columns.
  [[nodiscard]] Range row_of_b(Index j) const {
    const I k = operands_.a_indices[j];
    const Range row{operands_.b_indptr[k], operands_.b_indptr[k + 1]};
    if constexpr (all_columns) return row;
    const I* const indices = operands_.b_indices;
    const I* const begin = std::lower_bound(indices + row.begin, indices + row.end, col_begin_);
    const I* const end = std::lower_bound(begin, indices + row.end, col_end_);
    return {begin - indices, end - indices};
  }

  [[nodiscard]] T a_data(Index j) const { return operands_.a_data[j]; }
  [[nodiscard]] const I* b_indices() const { return operands_.b_indices; }
  [[nodiscard]] const T* b_data() const { return operands_.b_data; }

 private:
  const Operands<T, I> operands_;
  const I col_begin_;
  const I col_end_;
};

template <class T, class I, bool all>
Index products_of_row(const Rows<T, I, all>& rows, Range row) {
  Index products = 0;
  for (Index j = row.begin; j < row.end; ++j) products += rows.row_of_b(j).size();
  return products;
}

/// The columns that the row's products are in.
template <class T, class I, bool all>
Range columns_of_row(const Rows<T, I, all>& rows, Range row) {
  Range columns{std::numeric_limits<Index>::max(), 0};
  for (Index j = row.begin; j < row.end; ++j) {
    const Range b = rows.row_of_b(j);
    if (b.size() == 0) continue;
    columns.begin = std::min<Index>(columns.begin, rows.b_indices()[b.begin]);
    columns.end = std::max<Index>(columns.end, Index{rows.b_indices()[b.end - 1]} + 1);
  }
  return columns;
}

/// Calls body(column, product) for the products of an entry `a` of A with `b`, a part of B. By four: most rows of B are
/// short, and what a loop costs per turn is a good part of what it does.
template <class T, class I, bool all, class Body>
void for_each_product(const Rows<T, I, all>& rows, T a, Range b, const Body& body) {
  const I* const b_indices = rows.b_indices();
  const T* const b_data = rows.b_data();
  const auto multiply = [&](Index q) { body(b_indices[q], detail::times(a, b_data[q])); };
  for (Index q = b.begin; q < b.end; ++q) multiply(q);
}

/// The same for every scalar product of the row, in the order of the row of A.
template <class T, class I, bool all, class Body>
void for_each_product(const Rows<T, I, all> rows, Range row, const Body& body) {
  for (Index j = row.begin; j < row.end; ++j) for_each_product(rows, rows.a_data(j), rows.row_of_b(j), body);
}

/// A row of A with one entry: a scaled row of B.
template <class T, class I, bool all>
Index scale_row(const Rows<T, I, all>& rows, Index j, I* __restrict indices, T* __restrict data) {
  const Range b = rows.row_of_b(j);
  const I* const b_indices = rows.b_indices() + b.begin;
  const T* const b_data = rows.b_data() + b.begin;
  const T a = rows.a_data(j);
  for (Index q = 0; q < b.size(); ++q) indices[q] = b_indices[q];
  for (Index q = 0; q < b.size(); ++q) data[q] = detail::times(a, b_data[q]);
  return b.size();
}

/// A row of many products in the dense accumulator. The flags are bytes of their own, written without being read: bits
/// in shared words would make every product wait for the last one's store.
template <class T, class I, bool all>
Index sum_dense(const Rows<T, I, all>& rows, Range row, Index products, const DenseAccumulator<T>& accumulator,
                I* indices, T* data) {
  T* const sums = accumulator.sums;
  std::uint8_t* const flags = accumulator.flags;
  std::uint8_t* const block_flags = accumulator.block_flags;
  const Range columns = columns_of_row(rows, row);
  const Index first_block = columns.begin / block_size;
  const Index last_block = (columns.end - 1) / block_size;
  Index count = 0;
  const auto take = [&](Index block) {
    count += take_block(static_cast<I>(block * block_size), sums + block * block_size, flags + block * block_size,
                        indices + count, data + count);
  };

  // Where the row fills a good part of its span, looking at every block costs less than to note which are used.
  if (last_block - first_block < products / 4) {
    for_each_product(rows, row, [=](I column, T product) {
      sums[column] += product;
      flags[column] = used;
    });
    for (Index block = first_block; block <= last_block; ++block) take(block);
    return count;
  }
  for_each_product(rows, row, [=](I column, T product) {
    sums[column] += product;
    flags[column] = used;
    block_flags[static_cast<std::make_unsigned_t<I>>(column) / block_size] = used;
  });
  for (Index group = first_block / block_size * block_size; group <= last_block; group += block_size) {
    const std::uint64_t set = set_flags(block_flags + group);
    if (set == 0) continue;
    std::memset(block_flags + group, 0, block_size);
    for_each_bit(set, [&](int j) { take(group + j); });
  }
  return count;
}

#ifdef NEARLINEAR_SORT_NETWORK
constexpr Index few_products = 128;

/// A row of few products: summed in the dense accumulator, while its columns are sorted in registers.
template <int vectors, class T, class I, bool all>
[[gnu::noinline]] Index sum_sorted(const Rows<T, I, all>& operands, Range row, T* sums, I base, I* indices, T* data) {
  const Rows<T, I, all> rows = operands;
  PlaceSet<vectors> set;
  for (Index j = row.begin; j < row.end; ++j) {
    const Range b = rows.row_of_b(j);
    set.add(rows.b_indices() + b.begin, b.size(), base);
    for_each_product(rows, rows.a_data(j), b, [=](I column, T product) { sums[column] += product; });
  }
  set.sort();
  return set.take(sums + base, base, indices, data);
}

/// Sets hold differences of 31 bits. So do columns of 32 bits; wider ones are taken less the row's first.
template <class T, class I, bool all>
Index sum_few(const Rows<T, I, all>& rows, Range row, Index products, const DenseAccumulator<T>& accumulator,
              I* indices, T* data) {
  I base = 0;
  if constexpr (sizeof(I) > 4) {
    const Range columns = columns_of_row(rows, row);
    if (columns.size() > 0x7FFFFFFF) return sum_dense(rows, row, products, accumulator, indices, data);
    base = static_cast<I>(columns.begin);
  }
  if (products <= 16) return sum_sorted<1>(rows, row, accumulator.sums, base, indices, data);
  if (products <= 32) return sum_sorted<2>(rows, row, accumulator.sums, base, indices, data);
  if (products <= 64) return sum_sorted<4>(rows, row, accumulator.sums, base, indices, data);
  return sum_sorted<8>(rows, row, accumulator.sums, base, indices, data);
}
#else
constexpr Index few_products = 16;  // more are faster to read off the flags (measured)

/// A row of few products: summed in the dense accumulator, its columns noted in a list as they appear.
template <class T, class I, bool all>
Index sum_few(const Rows<T, I, all>& rows, Range row, Index /*products*/, const DenseAccumulator<T>& accumulator,
              I* indices, T* data) {
  T* const sums = accumulator.sums;
  std::uint8_t* const flags = accumulator.flags;
  alignas(64) I columns[few_products + 64 / sizeof(I)];
  Index count = 0;
  for_each_product(rows, row, [&, sums, flags](I column, T product) {
    columns[count] = column;
    count += flags[column] == 0 ? 1 : 0;  // no branch: whether a column is new cannot be guessed
    flags[column] = used;
    sums[column] += product;
  });
  std::fill_n(columns + count, 64 / sizeof(I), std::numeric_limits<I>::max());
  const Index vectors = (count * static_cast<Index>(sizeof(I)) + 63) / 64;
  for (Index e = 0; e < count; ++e) {
    const I column = columns[e];
    const Index rank = count_less(columns, vectors, column);
    indices[rank] = column;
    data[rank] = sums[column];
    sums[column] = 0;
    flags[column] = 0;
  }
  return count;
}
#endif

/// A row in the hash accumulator, whose used slots are then sorted by column.
template <class T, class I, bool all>
Index sum_hash(const Rows<T, I, all>& rows, Range row, Index products, const HashAccumulator<T, I>& accumulator,
               I* indices, T* data) {
  // As small a table as the row allows stays in the nearest cache.
  const int log2_size = std::min(accumulator.log2_size, hash_log2_size(products));
  const std::uint64_t mask = (std::uint64_t{1} << log2_size) - 1;
  I* const keys = accumulator.keys;
  T* const sums = accumulator.sums;
  auto* const entries = accumulator.entries;
  Index count = 0;
  for_each_product(rows, row, [&](I column, T product) {
    // Fibonacci hashing: the high bits of the product depend on all bits of the column.
    std::uint64_t slot = (static_cast<std::uint64_t>(column) * 0x9E3779B97F4A7C15U) >> (64 - log2_size);
    while (keys[slot] != column && keys[slot] >= 0) slot = (slot + 1) & mask;
    if (keys[slot] == column) {
      sums[slot] += product;
      return;
    }
    keys[slot] = column;
    sums[slot] = product;
    entries[count++] = {column, static_cast<std::make_unsigned_t<I>>(slot)};
  });
  std::sort(entries, entries + count, [](const auto& a, const auto& b) { return a.column < b.column; });
  for (Index e = 0; e < count; ++e) {
    indices[e] = entries[e].column;
    data[e] = sums[entries[e].slot];
    keys[entries[e].slot] = -1;
  }
  return count;
}

/// All rows of a token; sum_row(rows, row, products, indices, data) computes those of more than one term.
template <bool all, class T, class I, class SumRow>
Index multiply_rows(const Operands<T, I>& operands, const Token& token, I* indices, T* data, Index* row_sizes,
                    const SumRow& sum_row) {
  const Rows<T, I, all> rows(operands, token);
  Index count = 0;
  for (Index i = token.row_begin; i < token.row_end; ++i) {
    const Range row = rows.row_of_a(i);
    Index size = 0;
    if (row.size() == 1)
      size = scale_row(rows, row.begin, indices + count, data + count);
    else if (const Index products = products_of_row(rows, row); products > 0)
      size = sum_row(rows, row, products, indices + count, data + count);
    row_sizes[i - token.row_begin] = size;
    count += size;
  }
  return count;
}

template <class T, class I, class SumRow>
Index multiply(const Operands<T, I>& operands, const Token& token, I* indices, T* data, Index* row_sizes,
               const SumRow& sum_row) {
  return token.all_columns ? multiply_rows<true>(operands, token, indices, data, row_sizes, sum_row)
                           : multiply_rows<false>(operands, token, indices, data, row_sizes, sum_row);
}

template <class T, class I>
Index multiply_dense(const Operands<T, I>& operands, const Token& token, const DenseAccumulator<T>& accumulator,
                     I* indices, T* data, Index* row_sizes) noexcept {
  return multiply(operands, token, indices, data, row_sizes,
                  [&](const auto& rows, Range row, Index products, I* row_indices, T* row_data) {
                    return products <= few_products
                               ? sum_few(rows, row, products, accumulator, row_indices, row_data)
                               : sum_dense(rows, row, products, accumulator, row_indices, row_data);
                  });
}

template <class T, class I>
Index multiply_hash(const Operands<T, I>& operands, const Token& token, const HashAccumulator<T, I>& accumulator,
                    I* indices, T* data, Index* row_sizes) noexcept {
  return multiply(operands, token, indices, data, row_sizes,
                  [&](const auto& rows, Range row, Index products, I* row_indices, T* row_data) {
                    return sum_hash(rows, row, products, accumulator, row_indices, row_data);
                  });
}

template <class T, class I>
void add_row(const Operands<T, I>& operands, Index row, T* sums) noexcept {
  const Rows<T, I, true> rows(operands, Token{});
  for_each_product(rows, rows.row_of_a(row), [=](I column, T product) { sums[column] += product; });
}

}  // namespace
}  // namespace nearlinear::sparse
