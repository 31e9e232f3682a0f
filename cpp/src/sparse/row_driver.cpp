// Tokens and assembly of products over any semiring: matmul.cpp's plan, with values that are bytes.
#include "nearlinear/sparse/detail/row_driver.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "sparse/assembly.hpp"

namespace nearlinear::detail {
namespace {

using sparse::Token;

constexpr Index products_per_token = Index{1} << 14;
constexpr Index rows_per_token = Index{1} << 12;
constexpr Index rows_per_chunk = Index{1} << 14;  // rows that are counted in one go
constexpr Index long_row = 8 * products_per_token;
constexpr Index most_parts = 64;

struct Tokens {
  std::vector<Token> list;
  Index products = 0;
  Index nnz_bound = 0;
  Index capacity = 0;  // room for every token's entries behind those that stay of the tokens before it
};

/// Appends a row in parts. Unlike in matmul, that does not depend on threads: it also lets the caller be asked.
void cut_columns(const Token& row, std::vector<Token>& list) {
  const Index parts = std::min(ceil_divide(row.products, long_row / 2), most_parts);
  const Index width = ceil_divide(row.col_end, parts);
  for (Index begin = 0; begin < row.col_end; begin += width) {
    Token part = row;
    part.all_columns = false;
    part.col_begin = begin;
    part.col_end = std::min(begin + width, row.col_end);
    part.capacity = part.kept = std::min(row.capacity, part.col_end - begin);
    part.largest_row = row.capacity;
    list.push_back(part);
  }
}

template <class I>
std::vector<Token> tokens_of_rows(const RowDriverOptions& options, const RowComputation<I>& computation, Index begin,
                                  Index end) {
  std::vector<Token> tokens;
  Token token{.row_begin = begin, .col_end = options.cols};
  const auto close = [&](Index row) {
    token.row_end = row;
    const bool cut = options.rows_may_be_cut && token.products > long_row && row - token.row_begin == 1;
    if (cut)
      cut_columns(token, tokens);
    else if (row > token.row_begin)
      tokens.push_back(token);
    token = {.row_begin = row, .col_end = options.cols};
  };
  for (Index row = begin; row < end; ++row) {
    const RowBound bound = computation.bound(row);
    const bool full = checked_sum(token.products, bound.products) > products_per_token && token.products > 0;
    if (full || row - token.row_begin == rows_per_token) close(row);
    token.products += bound.products;
    token.capacity += bound.entries;
    token.kept += bound.kept;
    if (bound.products > long_row) close(row + 1);
  }
  close(end);
  return tokens;
}

template <class I>
Tokens cut_tokens(const RowDriverOptions& options, const RowComputation<I>& computation, int n_threads,
                  Monitor& monitor) {
  const Index chunks = ceil_divide(options.rows, rows_per_chunk);
  std::vector<std::vector<Token>> tokens_of_chunk(static_cast<std::size_t>(chunks));
  parallel_for(chunks, thread_count(n_threads, 20 * options.rows), monitor, [&](Index chunk) {
    const Index begin = chunk * rows_per_chunk;
    tokens_of_chunk[static_cast<std::size_t>(chunk)] =
        tokens_of_rows(options, computation, begin, std::min(begin + rows_per_chunk, options.rows));
  });
  Tokens tokens;
  Index before = 0;
  for (const auto& chunk : tokens_of_chunk)
    for (const Token& token : chunk) {
      if (token.all_columns || token.col_begin == 0) {
        tokens.products = checked_sum(tokens.products, token.products);
        tokens.nnz_bound = checked_sum(tokens.nnz_bound, token.all_columns ? token.kept : token.largest_row);
      }
      tokens.capacity = std::max(tokens.capacity, checked_sum(before, token.capacity));
      before = checked_sum(before, token.kept);
      tokens.list.push_back(token);
    }
  return tokens;
}

template <std::size_t size>
struct alignas(size < 8 ? size : 8) Bytes {
  std::array<std::byte, size> bytes;
};

template <class Value, class I>
RawCsrMatrix<I> compute_all(const RowDriverOptions& options, const Tokens& tokens, int threads,
                            RowComputation<I>& computation, Monitor& monitor) {
  sparse::Assembly<Value, I> assembly(tokens.list, options.rows, threads);
  sparse::assemble(
      assembly, tokens.list, tokens.capacity, threads, monitor, [&](const Token& token, int worker, const auto& place) {
        const RowToken rows{token.row_begin, token.row_end, token.col_begin, token.col_end, token.all_columns};
        return computation.compute(rows, worker, place.indices, place.data, place.row_sizes);
      });
  return {assembly.take_row_ends(), assembly.take_indices(), assembly.take_data().release()};
}

}  // namespace

template <class I>
RawCsrMatrix<I> compute_rows(const RowDriverOptions& options, RowComputation<I>& computation, const RunOptions& run) {
  Monitor monitor(run.keep_going);
  monitor.enter_stage(0.05, 0.1);
  const Tokens tokens = cut_tokens(options, computation, run.n_threads, monitor);
  const Index bytes = checked_sum(checked_product(options.rows + 1, Index{sizeof(I)}),
                                  checked_product(tokens.nnz_bound, options.value_size + Index{sizeof(I)}));
  if (options.max_bytes > 0 && bytes > options.max_bytes)
    throw out_of_memory(static_cast<std::size_t>(bytes), static_cast<std::size_t>(options.max_bytes));
  const int wanted = thread_count(run.n_threads, checked_sum(checked_product(8, tokens.products), 10 * options.rows));
  const int threads = static_cast<int>(std::clamp<Index>(std::ssize(tokens.list), 1, wanted));
  computation.prepare(threads);
  switch (options.value_size) {
    case 1:
      return compute_all<Bytes<1>>(options, tokens, threads, computation, monitor);
    case 2:
      return compute_all<Bytes<2>>(options, tokens, threads, computation, monitor);
    case 4:
      return compute_all<Bytes<4>>(options, tokens, threads, computation, monitor);
    case 8:
      return compute_all<Bytes<8>>(options, tokens, threads, computation, monitor);
    case 16:
      return compute_all<Bytes<16>>(options, tokens, threads, computation, monitor);
    default:
      return compute_all<Bytes<32>>(options, tokens, threads, computation, monitor);
  }
}

template RawCsrMatrix<std::int32_t> compute_rows(const RowDriverOptions&, RowComputation<std::int32_t>&,
                                                 const RunOptions&);
template RawCsrMatrix<std::int64_t> compute_rows(const RowDriverOptions&, RowComputation<std::int64_t>&,
                                                 const RunOptions&);

}  // namespace nearlinear::detail
