/// What a product will be like, told from some of its rows.
#pragma once

#include <algorithm>

#include "nearlinear/core/errors.hpp"
#include "nearlinear/sparse.hpp"

namespace nearlinear::sparse {

template <class Element>
Index at(std::span<const Element> values, Index i) {
  return static_cast<Index>(values[static_cast<std::size_t>(i)]);
}

/// Scalar products of row i of A B, f_i = sum over A_ik of nnz(B_k). Throws std::overflow_error when an Index does not
/// hold them.
template <class T, class I>
Index products_of_row(const CsrView<T, I>& A, const CsrView<T, I>& B, Index i) {
  const I* const b_indptr = B.indptr.data();
  const I* const end = A.indices.data() + at(A.indptr, i + 1);
  Index products = 0;
  for (const I* k = A.indices.data() + at(A.indptr, i); k < end; ++k)
    products = checked_sum(products, b_indptr[*k + 1] - b_indptr[*k]);
  return products;
}

/// `count` rows of A, evenly spread; all, if there are no more.
template <class T, class I>
CsrMatrix<T, I> sample_of(const CsrView<T, I>& A, Index count) {
  count = std::min(A.rows, count);
  const auto row = [&](Index s) { return count == A.rows ? s : (2 * s + 1) * (A.rows / count) / 2; };
  CsrMatrix<T, I> sample{count, A.cols, Array<I>(count + 1), {}, {}};
  sample.indptr[0] = 0;
  for (Index s = 0; s < count; ++s)
    sample.indptr[s + 1] = static_cast<I>(sample.indptr[s] + at(A.indptr, row(s) + 1) - at(A.indptr, row(s)));
  sample.indices = Array<I>(sample.indptr[count]);
  sample.data = Array<T>(sample.indptr[count]);
  for (Index s = 0; s < count; ++s) {
    const Index begin = at(A.indptr, row(s)), size = at(A.indptr, row(s) + 1) - begin;
    std::copy_n(A.indices.data() + begin, size, sample.indices.data() + sample.indptr[s]);
    std::copy_n(A.data.data() + begin, size, sample.data.data() + sample.indptr[s]);
  }
  return sample;
}

}  // namespace nearlinear::sparse
