/// The reference of the tests of products: a matrix as a table of its entries, multiplied by the definition.
#pragma once

#include <map>
#include <utility>

#include "nearlinear/sparse.hpp"

template <class T>
using Table = std::map<std::pair<nearlinear::Index, nearlinear::Index>, T>;

/// Places that are stored twice are added.
template <class S, class I>
Table<typename S::Value> table_of(const S& semiring, const nearlinear::CsrView<typename S::Value, I>& matrix) {
  Table<typename S::Value> table;
  for (nearlinear::Index row = 0; row < matrix.rows; ++row)
    for (auto e = static_cast<std::size_t>(matrix.indptr[static_cast<std::size_t>(row)]);
         e < static_cast<std::size_t>(matrix.indptr[static_cast<std::size_t>(row) + 1]); ++e) {
      const auto [place, is_new] = table.try_emplace({row, matrix.indices[e]}, matrix.data[e]);
      if (!is_new) place->second = semiring.add(place->second, matrix.data[e]);
    }
  return table;
}

/// C_0 + A B: C_0 and then the products, in the order of the rows of A.
template <class S>
Table<typename S::Value> defined(const S& semiring, const Table<typename S::Value>& a,
                                 const Table<typename S::Value>& b, Table<typename S::Value> c = {}) {
  for (const auto& [left, x] : a)
    for (auto right = b.lower_bound({left.second, 0}); right != b.end() && right->first.first == left.second; ++right) {
      const auto product = semiring.multiply(x, right->second);
      const auto [place, is_new] = c.try_emplace({left.first, right->first.second}, product);
      if (!is_new) place->second = semiring.add(place->second, product);
    }
  return c;
}

/// Whether C is canonical and has these entries.
template <class S, class I>
bool agrees(const S& semiring, const nearlinear::CsrMatrix<typename S::Value, I>& C,
            const Table<typename S::Value>& expected) {
  return require_valid_csr(C.view(), "test", "C") && table_of(semiring, C.view()) == expected;
}
