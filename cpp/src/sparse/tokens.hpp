/// Cuts a product into tokens: pieces of about equal work, in the order of the result.
#pragma once

#include <vector>

#include "nearlinear/core/monitor.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

struct Tokens {
  std::vector<Token> list;
  Index products = 0;   ///< scalar products of all tokens
  int threads = 1;      ///< on which they are worth being computed
  Index nnz_bound = 0;  ///< bound on the number of entries of the result: the sum of min(f_i, columns of B, top_k)
  Index capacity = 0;   ///< room for every token's entries behind those that stay of the tokens before it
};

/// Counts the scalar products, f_i = sum over A_ik of nnz(B_k), and cuts wherever about 16384 of them are together. A
/// row so long that other threads would wait for it is cut by columns, which leaves every sum as it is, unless only
/// its `top_k` largest entries stay (0: all of them). `n_threads` is RunOptions'. Throws std::overflow_error when the
/// number of products does not fit an Index.
template <class T, class I>
Tokens cut_tokens(const CsrView<T, I>& A, const CsrView<T, I>& B, Index top_k, int n_threads, Monitor& monitor);

}  // namespace nearlinear::sparse
