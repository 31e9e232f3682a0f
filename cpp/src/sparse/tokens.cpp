#include "sparse/tokens.hpp"

#include <algorithm>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/core/errors.hpp"

namespace nearlinear::sparse {
namespace {

constexpr Index products_per_token = Index{1} << 14;  // some 50 us of work, and a result that fits a second-level cache
constexpr Index rows_per_token = Index{1} << 12;
constexpr Index rows_per_chunk = Index{1} << 14;  // rows that are counted in one go

template <class T, class I>
Index products_of_row(const CsrView<T, I>& A, const CsrView<T, I>& B, Index row) {
  const I* const indptr = A.indptr.data();
  const I* const indices = A.indices.data();
  const I* const b_indptr = B.indptr.data();
  Index products = 0;
  for (Index j = indptr[row]; j < indptr[row + 1]; ++j) {
    const I k = indices[j];
    products = checked_sum(products, b_indptr[k + 1] - b_indptr[k]);
  }
  return products;
}

/// Tokens of the rows [row_begin, row_end), all columns.
template <class T, class I>
std::vector<Token> tokens_of_rows(const CsrView<T, I>& A, const CsrView<T, I>& B, Index most_per_row, Index row_begin,
                                  Index row_end) {
  std::vector<Token> tokens;
  Token token{.row_begin = row_begin, .col_end = B.cols};
  const auto close = [&](Index row) {
    token.row_end = row;
    if (row > token.row_begin) tokens.push_back(token);
    token = {.row_begin = row, .col_end = B.cols};
  };
  for (Index row = row_begin; row < row_end; ++row) {
    const Index products = products_of_row(A, B, row);
    const bool full = checked_sum(token.products, products) > products_per_token && token.products > 0;
    if (full || row - token.row_begin == rows_per_token) close(row);
    const Index largest = std::min(products, B.cols);
    token.products += products;
    token.largest_row = std::max(token.largest_row, largest);
    token.capacity += largest;
    token.kept += std::min(largest, most_per_row);
  }
  close(row_end);
  return tokens;
}

/// Appends the parts of a token of one row.
void cut_columns(const Token& token, Index parts, std::vector<Token>& list) {
  const Index width = (token.col_end + parts - 1) / parts;
  for (Index begin = 0; begin < token.col_end; begin += width) {
    Token part = token;
    part.all_columns = false;
    part.col_begin = begin;
    part.col_end = std::min(begin + width, token.col_end);
    part.products = token.products / parts;
    part.largest_row = part.capacity = part.kept = std::min(token.products, part.col_end - part.col_begin);
    list.push_back(part);
  }
}

}  // namespace

template <class T, class I>
Tokens cut_tokens(const CsrView<T, I>& A, const CsrView<T, I>& B, Index top_k, int n_threads, Monitor& monitor) {
  const Index most_per_row = top_k == 0 ? B.cols : top_k;
  const Index chunks = ceil_divide(A.rows, rows_per_chunk);
  std::vector<std::vector<Token>> tokens_of_chunk(static_cast<std::size_t>(chunks));
  parallel_for(chunks, thread_count(n_threads, 2 * (A.nnz() + A.rows)), monitor, [&](Index chunk) {
    const Index begin = chunk * rows_per_chunk;
    tokens_of_chunk[static_cast<std::size_t>(chunk)] =
        tokens_of_rows(A, B, most_per_row, begin, std::min(begin + rows_per_chunk, A.rows));
  });

  Tokens tokens;
  for (const auto& chunk : tokens_of_chunk)
    for (const Token& token : chunk) {
      tokens.products = checked_sum(tokens.products, token.products);
      tokens.nnz_bound = checked_sum(tokens.nnz_bound, token.kept);
    }
  tokens.threads = thread_count(n_threads, checked_sum(checked_product(4, tokens.products), 10 * A.rows));

  // A row is worth cutting when it is long in itself and a good part of what each thread has to do.
  const Index long_row = std::max(8 * products_per_token, tokens.products / (Index{8} * tokens.threads));
  for (const auto& chunk : tokens_of_chunk)
    for (const Token& token : chunk) {
      if (top_k == 0 && tokens.threads > 1 && token.products > long_row && token.row_end - token.row_begin == 1)
        cut_columns(token, Index{4} * tokens.threads, tokens.list);
      else
        tokens.list.push_back(token);
    }
  Index before = 0;
  for (const Token& token : tokens.list) {
    tokens.capacity = std::max(tokens.capacity, checked_sum(before, token.capacity));
    before = checked_sum(before, token.kept);
  }
  return tokens;
}

#define NEARLINEAR_INSTANTIATE(T, I) \
  template Tokens cut_tokens(const CsrView<T, I>&, const CsrView<T, I>&, Index, int, Monitor&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sparse
