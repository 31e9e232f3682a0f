/// Sparse matrices in compressed rows.
#pragma once

#include <cstdint>

#include "nearlinear/core.hpp"

namespace nearlinear {

/// Sparse matrix in compressed rows that somebody else owns: row i has the entries k in [indptr[i], indptr[i + 1]),
/// each at column indices[k] with the value data[k]. I is std::int32_t or std::int64_t. T is float or double; products
/// over a semiring and checks take any type.
///
/// Rows need not be sorted and may hold a column twice, which means the sum. Explicit zeros are entries like others.
template <class T, class I>
struct CsrView {
  Index rows = 0;
  Index cols = 0;
  std::span<const I> indptr;  ///< rows + 1
  std::span<const I> indices;
  std::span<const T> data;

  [[nodiscard]] Index nnz() const { return indptr.empty() ? 0 : static_cast<Index>(indptr.back()); }
};

/// Sparse matrix in compressed rows that owns its memory; move it, or look at it through view().
template <class T, class I>
struct CsrMatrix {
  Index rows = 0;
  Index cols = 0;
  Array<I> indptr;
  Array<I> indices;
  Array<T> data;

  [[nodiscard]] Index nnz() const { return indices.size(); }
  [[nodiscard]] CsrView<T, I> view() const { return {rows, cols, indptr.span(), indices.span(), data.span()}; }
};

namespace detail {

/// A matrix without its values.
template <class I>
struct CsrPlaces {
  Index rows = 0;
  Index cols = 0;
  std::span<const I> indptr;
  std::span<const I> indices;
  std::size_t data_size = 0;  ///< how many values there are

  template <class T>
  explicit CsrPlaces(const CsrView<T, I>& matrix)
      : rows(matrix.rows),
        cols(matrix.cols),
        indptr(matrix.indptr),
        indices(matrix.indices),
        data_size(matrix.data.size()) {}
};

template <class I>
bool require_valid_places(const CsrPlaces<I>& places, const char* function, const char* argument,
                          const RunOptions& run);

}  // namespace detail

/// Throws std::invalid_argument, in the name of `function` and `argument`, unless the matrix can be used: indptr has
/// rows + 1 entries, begins with 0 and never decreases; indices and data hold at least indptr[rows] entries; every
/// column index is in [0, cols). Returns whether the columns of every row increase strictly.
template <class T, class I>
bool require_valid_csr(const CsrView<T, I>& matrix, const char* function, const char* argument,
                       const RunOptions& run = {}) {
  return detail::require_valid_places(detail::CsrPlaces<I>(matrix), function, argument, run);
}

/// The matrix with sorted rows and one entry per column: entries of the same place are summed in the order in which
/// they are stored. T is float or double.
template <class T, class I>
CsrMatrix<T, I> sum_duplicates(const CsrView<T, I>& matrix, const RunOptions& run = {});

}  // namespace nearlinear
