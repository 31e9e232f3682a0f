/// How the rows of a product are cut into tokens.
#pragma once

#include <algorithm>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/core/errors.hpp"
#include "nearlinear/core/monitor.hpp"
#include "nearlinear/sparse.hpp"
#include "nearlinear/sparse/detail/row_driver.hpp"
#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

constexpr Index products_per_token = Index{1} << 14;  // some 50 us of work, and a result that fits a second-level cache
constexpr Index least_long_row = 8 * products_per_token;  // shorter rows are never cut

struct Tokens {
  std::vector<Token> list;
  Index products = 0;   ///< scalar products of all tokens
  int threads = 1;      ///< on which they are worth being computed
  Index nnz_bound = 0;  ///< bound on the number of entries of the result: the sum of min(f_i, columns of B, top_k)
  Index capacity = 0;   ///< room for every token's entries behind those that stay of the tokens before it
};

/// Tokens of whole rows, cut wherever about products_per_token are together; bound(row) is a detail::RowBound. Throws
/// std::overflow_error when the number of products does not fit an Index.
template <class Bound>
Tokens cut_rows(Index rows, Index cols, int threads, Monitor& monitor, const Bound& bound) {
  constexpr Index rows_per_token = Index{1} << 12;
  constexpr Index rows_per_chunk = Index{1} << 14;  // rows that are counted in one go
  std::vector<std::vector<Token>> tokens_of_chunk(static_cast<std::size_t>(ceil_divide(rows, rows_per_chunk)));
  parallel_for(std::ssize(tokens_of_chunk), threads, monitor, [&](Index chunk) {
    const Index begin = chunk * rows_per_chunk, end = std::min(begin + rows_per_chunk, rows);
    std::vector<Token>& list = tokens_of_chunk[static_cast<std::size_t>(chunk)];
    Token token{.row_begin = begin, .col_end = cols};
    const auto close = [&](Index row) {
      token.row_end = row;
      if (row > token.row_begin) list.push_back(token);
      token = {.row_begin = row, .col_end = cols};
    };
    for (Index row = begin; row < end; ++row) {
      const detail::RowBound of_row = bound(row);
      const bool full = checked_sum(token.products, of_row.products) > products_per_token && token.products > 0;
      if (full || row - token.row_begin == rows_per_token) close(row);
      token.products += of_row.products;
      token.largest_row = std::max(token.largest_row, of_row.entries);
      token.capacity += of_row.entries;
      token.kept += of_row.kept;
    }
    close(end);
  });

  Tokens tokens;
  for (const auto& chunk : tokens_of_chunk)
    for (const Token& token : chunk) {
      tokens.products = checked_sum(tokens.products, token.products);
      tokens.nnz_bound = checked_sum(tokens.nnz_bound, token.kept);
      tokens.list.push_back(token);
    }
  return tokens;
}

/// Cuts by columns what is one row of more than `long_row` products, into parts_of(products) parts, which leaves every
/// sum as it is; and finds the capacity.
template <class Parts>
void cut_long_rows(Tokens& tokens, bool may_be_cut, Index long_row, const Parts& parts_of) {
  std::vector<Token> list;
  for (const Token& token : tokens.list) {
    if (!may_be_cut || token.products <= long_row || token.row_end - token.row_begin > 1) {
      list.push_back(token);
      continue;
    }
    const Index parts = parts_of(token.products), width = ceil_divide(token.col_end, parts);
    for (Index begin = 0; begin < token.col_end; begin += width) {
      Token part = token;
      part.all_columns = false;
      part.col_begin = begin;
      part.col_end = std::min(begin + width, token.col_end);
      part.products = token.products / parts;
      part.largest_row = part.capacity = part.kept = std::min(token.capacity, part.col_end - part.col_begin);
      list.push_back(part);
    }
  }
  tokens.list = std::move(list);
  Index before = 0;
  for (const Token& token : tokens.list) {
    tokens.capacity = std::max(tokens.capacity, checked_sum(before, token.capacity));
    before = checked_sum(before, token.kept);
  }
}

/// The tokens of A B: counts the scalar products, f_i = sum over A_ik of nnz(B_k). A row so long that other threads
/// would wait for it is cut by columns, unless only its `top_k` largest entries stay (0: all of them). `n_threads` is
/// RunOptions'. Throws what cut_rows() throws.
template <class T, class I>
Tokens cut_tokens(const CsrView<T, I>& A, const CsrView<T, I>& B, Index top_k, int n_threads, Monitor& monitor);

}  // namespace nearlinear::sparse
