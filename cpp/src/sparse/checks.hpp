/// Checks of matrices in compressed rows, in parts.
#pragma once

#include <type_traits>

#include "nearlinear/sparse.hpp"

namespace nearlinear::sparse {

/// What require_valid_csr does, but for the columns.
template <class I>
void require_valid_rows(const detail::CsrPlaces<I>& places, const char* function, const char* argument,
                        const RunOptions& run);
template <class T, class I>
void require_valid_rows(const CsrView<T, I>& matrix, const char* function, const char* argument,
                        const RunOptions& run) {
  require_valid_rows(detail::CsrPlaces<I>(matrix), function, argument, run);
}

/// Whether the columns of the entries of rows [begin, end) are in range: for those who are about to read them anyway,
/// so that memory delivers them once.
template <class T, class I>
[[nodiscard]] bool has_valid_columns(const CsrView<T, I>& matrix, Index begin, Index end) {
  using Unsigned = std::make_unsigned_t<I>;
  const I* const indices = matrix.indices.data();
  const auto cols = static_cast<Unsigned>(matrix.cols);
  const Index last = matrix.indptr[static_cast<std::size_t>(end)];
  bool bad = false;
  for (Index k = matrix.indptr[static_cast<std::size_t>(begin)]; k < last; ++k)
    bad |= static_cast<Unsigned>(indices[k]) >= cols;
  return !bad;
}

}  // namespace nearlinear::sparse
