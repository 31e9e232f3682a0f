/// Cuts a product into tokens: pieces of about equal work, in the order of the result.
#pragma once

#include <vector>

#include "nearlinear/core/monitor.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

struct Tokens {
  std::vector<Token> list;
  Index products = 0;  ///< scalar products of all tokens
  int threads = 1;     ///< on which they are worth being computed
  Index capacity = 0;  ///< bound on the number of entries of the result
};

/// Counts the scalar products, f_i = sum over A_ik of nnz(B_k), and cuts wherever about 16384 of them are together. A
/// row so long that other threads would wait for it is cut by columns if that is allowed, which leaves every sum as it
/// is. `n_threads` is RunOptions'. Throws std::overflow_error when the number of products does not fit an Index.
template <class T, class I>
Tokens cut_tokens(const CsrView<T, I>& A, const CsrView<T, I>& B, int n_threads, bool may_cut_rows, Monitor& monitor);

struct ProductCount {
  Index products = 0;
  Index nnz_bound = 0;  ///< the sum of min(f_i, columns of B, most_per_row)
};

/// Counts alone; most_per_row is 0 for no bound of its own.
template <class T, class I>
ProductCount count_products(const CsrView<T, I>& A, const CsrView<T, I>& B, Index most_per_row, int n_threads,
                            Monitor& monitor);

}  // namespace nearlinear::sparse
