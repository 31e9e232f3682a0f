/// Computes the rows of a sparse matrix on several threads, whatever their values and what is done to make them.
#pragma once

#include "nearlinear/sparse/csr.hpp"

namespace nearlinear::detail {

/// What a row takes, at most.
struct RowBound {
  Index products = 0;  ///< Work: how many terms are put together.
  Index entries = 0;   ///< Entries before any is dropped.
  Index kept = 0;      ///< Entries that stay.
};

/// The unit of work: rows [row_begin, row_end), or, of one long row, the columns [col_begin, col_end).
struct RowToken {
  Index row_begin = 0;
  Index row_end = 0;
  Index col_begin = 0;
  Index col_end = 0;
  bool all_columns = true;
};

/// A matrix that is computed by rows. Calls of compute() with different workers run at the same time.
template <class I>
class RowComputation {
 public:
  RowComputation() = default;
  RowComputation(const RowComputation&) = delete;
  RowComputation& operator=(const RowComputation&) = delete;

  [[nodiscard]] virtual RowBound bound(Index row) const = 0;

  /// Called once, before compute(); workers are numbered from 0 to `workers` - 1.
  virtual void prepare(int workers) = 0;

  /// Writes the token's entries, row by row with increasing columns, and how many of them row i has to
  /// row_sizes[i - row_begin]; returns how many all have.
  virtual Index compute(const RowToken& token, int worker, I* indices, void* data, Index* row_sizes) = 0;

 protected:
  ~RowComputation() = default;
};

struct RowDriverOptions {
  Index rows = 0;
  Index cols = 0;
  Index value_size = 0;          ///< Bytes of a value: 1, 2, 4, 8, 16 or 32.
  bool rows_may_be_cut = false;  ///< Whether compute() takes parts of rows.
  Index max_bytes = 0;           ///< MatmulOptions::max_bytes.
};

/// A matrix whose rows are counted in 64 bits and whose values have no type yet.
template <class I>
struct RawCsrMatrix {
  Array<Index> indptr;
  Array<I> indices;
  Memory data;
};

/// Tokens of about equal numbers of products, handed out in order and assembled in order, as matmul() has it. I is
/// std::int32_t or std::int64_t. Throws out_of_memory, `interrupted`, and what `computation` throws.
template <class I>
RawCsrMatrix<I> compute_rows(const RowDriverOptions& options, RowComputation<I>& computation, const RunOptions& run);

}  // namespace nearlinear::detail
