/// Matrices for the tests of functions of several products.
#pragma once

#include <algorithm>
#include <vector>

#include "nearlinear/sparse.hpp"

/// A matrix whose parts are vectors, easy to fill and to break.
template <class T, class I>
struct TestMatrix {
  nearlinear::Index rows = 0;
  nearlinear::Index cols = 0;
  std::vector<I> indptr;
  std::vector<I> indices;
  std::vector<T> data;

  [[nodiscard]] nearlinear::CsrView<T, I> view() const { return {rows, cols, indptr, indices, data}; }
};

/// `per_row` entries a row, anywhere: unsorted, and some of them twice.
template <class T, class I>
TestMatrix<T, I> random_matrix(nearlinear::Index rows, nearlinear::Index cols, nearlinear::Index per_row,
                               std::uint64_t seed) {
  const nearlinear::RandomStream columns(seed, 0), values(seed, 1);
  TestMatrix<T, I> matrix{rows, cols, {0}, {}, {}};
  for (nearlinear::Index e = 0; e < rows * per_row; ++e) {
    const auto i = static_cast<std::uint64_t>(e);
    matrix.indices.push_back(static_cast<I>(columns.uniform(i) * static_cast<double>(cols)));
    matrix.data.push_back(static_cast<T>(values.normal(i)));
    if ((e + 1) % per_row == 0) matrix.indptr.push_back(static_cast<I>(e + 1));
  }
  return matrix;
}

template <class T, class I>
TestMatrix<T, I> transpose_of(const nearlinear::CsrView<T, I>& A) {
  TestMatrix<T, I> result{A.cols, A.rows, {0}, {}, {}};
  std::vector<std::vector<std::pair<I, T>>> rows(static_cast<std::size_t>(A.cols));
  for (std::size_t i = 0; i < static_cast<std::size_t>(A.rows); ++i)
    for (auto e = static_cast<std::size_t>(A.indptr[i]); e < static_cast<std::size_t>(A.indptr[i + 1]); ++e)
      rows[static_cast<std::size_t>(A.indices[e])].emplace_back(static_cast<I>(i), A.data[e]);
  for (const auto& row : rows) {
    for (const auto& [column, value] : row) {
      result.indices.push_back(column);
      result.data.push_back(value);
    }
    result.indptr.push_back(static_cast<I>(result.indices.size()));
  }
  return result;
}

/// Same shape, pattern and values; zeros of either sign are the same.
template <class T, class I>
bool same_matrix(const nearlinear::CsrView<T, I>& A, const nearlinear::CsrView<T, I>& B) {
  return A.rows == B.rows && A.cols == B.cols && std::ranges::equal(A.indptr, B.indptr) &&
         std::ranges::equal(A.indices, B.indices) && std::ranges::equal(A.data, B.data);
}
