/// The rows of a product over a semiring, of any values and operations.
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "nearlinear/sparse/detail/row_accumulators.hpp"
#include "nearlinear/sparse/detail/row_driver.hpp"
#include "nearlinear/sparse/detail/row_selection.hpp"
#include "nearlinear/sparse/semirings.hpp"

namespace nearlinear::detail {

/// Columns of the row within the token's; where the token has all of them the row need not be sorted.
template <class T, class I>
std::span<const I> columns_of_row(const CsrView<T, I>& matrix, Index row, const RowToken& token) {
  const I* const indptr = matrix.indptr.data() + row;
  const I* begin = matrix.indices.data() + indptr[0];
  const I* end = matrix.indices.data() + indptr[1];
  if (!token.all_columns) {
    begin = std::lower_bound(begin, end, token.col_begin, [](I a, Index b) { return Index{a} < b; });
    end = std::lower_bound(begin, end, token.col_end, [](I a, Index b) { return Index{a} < b; });
  }
  return {begin, end};
}

/// The entries of a row, or of a part of it.
template <class T, class I>
struct RowEntries {
  const I* columns = nullptr;
  const T* values = nullptr;
  Index size = 0;

  RowEntries(const CsrView<T, I>& matrix, Index row, const RowToken& token) {
    const std::span<const I> found = columns_of_row(matrix, row, token);
    columns = found.data();
    values = matrix.data.data() + (columns - matrix.indices.data());
    size = std::ssize(found);
  }
};

template <class T, class I>
Index size_of_row(const CsrView<T, I>& matrix, Index row) {
  return Index{matrix.indptr[static_cast<std::size_t>(row) + 1]} - Index{matrix.indptr[static_cast<std::size_t>(row)]};
}

/// What is put together. Rows of B, accum and mask increase strictly; if there are no factors, there is no mask and
/// rows of accum may be anything.
template <class T, class I>
struct SemiringOperands {
  Index rows = 0;
  Index cols = 0;
  const CsrView<T, I>* A = nullptr;
  const CsrView<T, I>* B = nullptr;
  const CsrView<T, I>* accum = nullptr;
  const CsrView<bool, I>* mask = nullptr;  ///< its values are not looked at
  bool mask_complement = false;
};

/// C_i = accum_i + sum over k of A_ik B_k, in this order, where the mask allows it.
template <Semiring S, class I>
class SemiringProduct final : public RowComputation<I> {
  using T = typename S::Value;

 public:
  SemiringProduct(const S& semiring, const SemiringOperands<T, I>& operands, const MatmulOptions& options)
      : semiring_(semiring),
        operands_(operands),
        options_(options),
        selection_(options, semiring.zero()),
        masked_(operands.mask != nullptr && !operands.mask_complement) {}

  [[nodiscard]] RowBound bound(Index row) const override {
    const Index allowed = masked_ ? size_of_row(*operands_.mask, row) : operands_.cols;
    if (allowed == 0) return {};
    RowBound bound;
    if (operands_.accum != nullptr) bound.products = size_of_row(*operands_.accum, row);
    if (operands_.A != nullptr) {
      for (const I k : columns_of_row(*operands_.A, row, RowToken{}))
        bound.products = checked_sum(bound.products, size_of_row(*operands_.B, k));
    }
    bound.entries = std::min(bound.products, allowed);
    bound.kept = options_.top_k == 0 ? bound.entries : std::min(bound.entries, options_.top_k);
    return bound;
  }

  void prepare(int workers) override {
    if (options_.accumulator == Accumulator::automatic)
      options_.accumulator = dense_is_affordable(workers) ? Accumulator::dense : Accumulator::hash;
    workers_.clear();
    workers_.reserve(static_cast<std::size_t>(workers));
    for (int w = 0; w < workers; ++w) workers_.emplace_back(semiring_, operands_.cols);
  }

  Index compute(const RowToken& token, int worker, I* indices, void* data, Index* row_sizes) override {
    Worker& mine = workers_[static_cast<std::size_t>(worker)];
    T* const values = static_cast<T*>(data);
    switch (options_.accumulator) {
      case Accumulator::sort:
        return sum_rows(token, mine.sorted, mine, indices, values, row_sizes);
      case Accumulator::hash:
        return sum_rows(token, mine.hash, mine, indices, values, row_sizes);
      default:
        return sum_rows(token, mine.dense, mine, indices, values, row_sizes);
    }
  }

 private:
  struct Worker {
    Worker(const S& semiring, Index cols) : dense(semiring, cols), hash(semiring, cols), sorted(semiring, cols) {}
    DenseRow<S, I> dense;
    HashRow<S, I> hash;
    SortedRow<S, I> sorted;
    std::vector<Index> places = {};
  };

  /// As matmul has it: little in itself, or beside the operands.
  [[nodiscard]] bool dense_is_affordable(int workers) const {
    constexpr Index always = Index{16} << 20;
    Index entries = 0;
    if (operands_.A != nullptr) entries = operands_.A->nnz() + operands_.B->nnz();
    const Index affordable = std::max(always, entries * static_cast<Index>(sizeof(T) + sizeof(I)) / 4);
    return operands_.cols <= affordable / static_cast<Index>(sizeof(T) + 1) / workers;
  }

  template <class Accumulating>
  Index sum_rows(const RowToken& token, Accumulating& row_sum, Worker& mine, I* indices, T* data, Index* row_sizes) {
    using Kind = typename RowMask<I>::Kind;
    Index total = 0;
    for (Index row = token.row_begin; row < token.row_end; ++row) {
      Index size = 0;
      RowMask<I> mask;
      if (operands_.mask != nullptr)
        mask = {masked_ ? Kind::only : Kind::except, columns_of_row(*operands_.mask, row, token)};
      if (!masked_ || !mask.columns.empty()) {
        const Index entries = options_.accumulator == Accumulator::hash ? bound(row).entries : 0;
        row_sum.open(mask, entries, indices + total);
        sum_row(row, token, row_sum);
        size = row_sum.close(data + total);
        if (!selection_.keeps_all()) size = selection_(size, indices + total, data + total, mine.places);
      }
      row_sizes[row - token.row_begin] = size;
      total += size;
    }
    return total;
  }

  template <class Accumulating>
  void sum_row(Index row, const RowToken& token, Accumulating& row_sum) const {
    if (operands_.accum != nullptr) {
      const RowEntries<T, I> c(*operands_.accum, row, token);
      for (Index q = 0; q < c.size; ++q) row_sum.add(c.columns[q], c.values[q]);
    }
    if (operands_.A == nullptr) return;
    const RowEntries<T, I> a(*operands_.A, row, RowToken{});
    for (Index j = 0; j < a.size; ++j) {
      const T factor = a.values[j];
      const RowEntries<T, I> b(*operands_.B, a.columns[j], token);
      for (Index q = 0; q < b.size; ++q) row_sum.add(b.columns[q], semiring_.multiply(factor, b.values[q]));
    }
  }

  S semiring_;
  SemiringOperands<T, I> operands_;
  MatmulOptions options_;
  RowSelection<T, I> selection_;
  bool masked_;
  std::vector<Worker> workers_;
};

template <class I>
bool can_count(Index entries) {
  return entries <= static_cast<Index>(std::numeric_limits<I>::max());
}

template <class I>
void require_can_count(Index entries) {
  if (!can_count<I>(entries))
    throw std::overflow_error("matmul: the product has " + std::to_string(entries) +
                              " entries, more than 32-bit indices can count; pass 64-bit ones, or call "
                              "matmul_any_size");
}

/// The matrix with typed values and row pointers of another width.
template <class T, class J, class I>
CsrMatrix<T, J> typed(Index rows, Index cols, RawCsrMatrix<I>&& raw) {
  const auto converted = [](auto&& array) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(*array.data())>, J>) {
      return std::move(array);
    } else {
      Array<J> result(array.size());
      std::transform(array.begin(), array.end(), result.begin(), [](auto value) { return static_cast<J>(value); });
      return result;
    }
  };
  const Index nnz = raw.indices.size();
  return {rows, cols, converted(std::move(raw.indptr)), converted(std::move(raw.indices)),
          Array<T>(std::move(raw.data), nnz)};
}

/// Whether the library has kernels for products of such numbers, and whether these are what a semiring stands for.
template <class T>
constexpr bool has_plain_kernels =
    std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::uint64_t> ||
    std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;
template <class S>
constexpr bool is_plus_times = std::is_same_v<S, PlusTimes<typename S::Value>>;

/// A B in the ordinary sense, all entries of it, by these kernels; integers modulo 2^64, and of booleans OrAnd.
template <class T, class I>
RawCsrMatrix<I> plain_product(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options,
                              const RunOptions& run);

template <Semiring S, class I>
RawCsrMatrix<I> compute_product(const S& semiring, const SemiringOperands<typename S::Value, I>& operands,
                                const MatmulOptions& options, const RunOptions& run) {
  if constexpr (is_plus_times<S> && has_plain_kernels<typename S::Value>) {
    const bool is_plain = operands.A != nullptr && operands.accum == nullptr && operands.mask == nullptr;
    const bool keeps_all = RowSelection<typename S::Value, I>(options, semiring.zero()).keeps_all();
    if (is_plain && keeps_all && options.accumulator != Accumulator::sort)
      return plain_product(*operands.A, *operands.B, options, run);
  }
  SemiringProduct<S, I> product(semiring, operands, options);
  const bool rows_may_be_cut = options.top_k == 0 && operands.A != nullptr;
  return detail::compute_rows<I>(
      {operands.rows, operands.cols, Index{sizeof(typename S::Value)}, rows_may_be_cut, options.max_bytes}, product,
      run);
}

/// The matrix with sorted rows and one entry per place: those of the same one are added in the order in which they are
/// stored.
template <Semiring S, class I>
CsrMatrix<typename S::Value, I> combine_duplicates(const S& semiring, const CsrView<typename S::Value, I>& matrix,
                                                   bool prune_zeros, const RunOptions& run) {
  SemiringOperands<typename S::Value, I> operands{.rows = matrix.rows, .cols = matrix.cols};
  operands.accum = &matrix;
  const MatmulOptions options{.accumulator = Accumulator::sort, .prune_zeros = prune_zeros};
  return typed<typename S::Value, I>(matrix.rows, matrix.cols, compute_product(semiring, operands, options, run));
}

}  // namespace nearlinear::detail
