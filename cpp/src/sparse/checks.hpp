/// Checks of matrices in compressed rows, in parts.
#pragma once

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

}  // namespace nearlinear::sparse
