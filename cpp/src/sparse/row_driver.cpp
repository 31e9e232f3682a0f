// Tokens and assembly of products over any semiring: matmul.cpp's plan, with values that are bytes.
#include "nearlinear/sparse/detail/row_driver.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "sparse/assembly.hpp"
#include "sparse/tokens.hpp"

namespace nearlinear::detail {
namespace {

using sparse::Token;
using sparse::Tokens;

/// Unlike in matmul, which rows are cut does not depend on threads: it also lets the caller be asked.
template <class I>
Tokens cut_tokens(const RowDriverOptions& options, const RowComputation<I>& computation, int n_threads,
                  Monitor& monitor) {
  constexpr Index most_parts = 64;
  Tokens tokens = sparse::cut_rows(options.rows, options.cols, thread_count(n_threads, 20 * options.rows), monitor,
                                   [&](Index row) { return computation.bound(row); });
  sparse::cut_long_rows(tokens, options.rows_may_be_cut, sparse::least_long_row, [&](Index products) {
    return std::min(ceil_divide(products, sparse::least_long_row / 2), most_parts);
  });
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
