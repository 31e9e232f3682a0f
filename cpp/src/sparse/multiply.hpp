/// The product, for those who have checked its operands.
#pragma once

#include "nearlinear/sparse.hpp"

namespace nearlinear::sparse {

/// A B, with matmul()'s bits. Rows of B increase strictly. Nothing but B.indptr[k] and B.indptr[k + 1] is read of
/// B.indptr, for every column k of A: rows of B may overlap.
template <class T, class I>
CsrMatrix<T, I> multiply(const CsrView<T, I>& A, const CsrView<T, I>& B, const RunOptions& run);

}  // namespace nearlinear::sparse
