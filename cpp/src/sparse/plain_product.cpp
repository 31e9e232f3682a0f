// Ordinary products of complex numbers, integers and booleans, without masks: the rows of semiring products by the
// kernels of real ones.
#include <algorithm>
#include <complex>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/arithmetic.hpp"
#include "nearlinear/sparse/semiring_matmul.hpp"
#include "sparse/accumulators.hpp"
#include "sparse/plain_kernels.hpp"
#include "sparse/sample.hpp"

namespace nearlinear {
namespace {

template <class T, class I>
const sparse::PlainKernels<T, I>& plain_kernels() {
  const sparse::PlainKernelsOfTypes& table = sparse::nearlinear_plain_base;
  constexpr bool wide = sizeof(I) == 8;
  if constexpr (std::is_same_v<T, bool> && wide) return table.bool_i64;
  if constexpr (std::is_same_v<T, bool> && !wide) return table.bool_i32;
  if constexpr (std::is_same_v<T, std::uint64_t> && wide) return table.u64_i64;
  if constexpr (std::is_same_v<T, std::uint64_t> && !wide) return table.u64_i32;
  if constexpr (std::is_same_v<T, std::complex<float>> && wide) return table.c64_i64;
  if constexpr (std::is_same_v<T, std::complex<float>> && !wide) return table.c64_i32;
  if constexpr (std::is_same_v<T, std::complex<double>> && wide) return table.c128_i64;
  if constexpr (std::is_same_v<T, std::complex<double>> && !wide) return table.c128_i32;
}

template <class T, class I>
class PlainProduct final : public detail::RowComputation<I> {
 public:
  PlainProduct(const CsrView<T, I>& A, const CsrView<T, I>& B, Accumulator accumulator)
      : A_(A), B_(B), accumulator_(accumulator) {}

  [[nodiscard]] detail::RowBound bound(Index row) const override {
    const Index products = sparse::products_of_row(A_, B_, row), entries = std::min(products, B_.cols);
    return {products, entries, entries};
  }

  void prepare(int workers) override {
    if (accumulator_ == Accumulator::automatic)
      accumulator_ = sparse::dense_is_affordable(A_, B_, workers) ? Accumulator::dense : Accumulator::hash;
    workers_.clear();
    workers_.resize(static_cast<std::size_t>(workers));
  }

  Index compute(const detail::RowToken& rows, int worker, I* indices, void* data, Index* row_sizes) override {
    Worker& mine = workers_[static_cast<std::size_t>(worker)];
    const sparse::Token token{.row_begin = rows.row_begin,
                              .row_end = rows.row_end,
                              .col_begin = rows.col_begin,
                              .col_end = rows.col_end,
                              .all_columns = rows.all_columns};
    T* const values = static_cast<T*>(data);
    if (accumulator_ == Accumulator::dense)
      return plain_kernels<T, I>().multiply_dense(operands_, token, mine.dense.accumulator(B_.cols), indices, values,
                                                  row_sizes);
    Index largest_row = 0;
    for (Index i = rows.row_begin; i < rows.row_end; ++i) largest_row = std::max(largest_row, bound(i).entries);
    return plain_kernels<T, I>().multiply_hash(operands_, token, mine.hash.accumulator(largest_row), indices, values,
                                               row_sizes);
  }

 private:
  struct Worker {
    sparse::DenseMemory<T> dense;
    sparse::HashMemory<T, I> hash;
  };

  const CsrView<T, I>& A_;
  const CsrView<T, I>& B_;
  const sparse::Operands<T, I> operands_{A_.indptr.data(), A_.indices.data(), A_.data.data(),
                                         B_.indptr.data(), B_.indices.data(), B_.data.data()};
  Accumulator accumulator_;
  std::vector<Worker> workers_;
};

template <class T, class I>
CsrView<std::uint64_t, I> without_signs(const CsrView<T, I>& matrix) {
  return {matrix.rows,
          matrix.cols,
          matrix.indptr,
          matrix.indices,
          {reinterpret_cast<const std::uint64_t*>(matrix.data.data()), matrix.data.size()}};
}

}  // namespace

template <class T, class I>
detail::RawCsrMatrix<I> detail::plain_product(const CsrView<T, I>& A, const CsrView<T, I>& B,
                                              const MatmulOptions& options, const RunOptions& run) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    return plain_product(without_signs(A), without_signs(B), options, run);
  } else {
    PlainProduct<T, I> product(A, B, options.accumulator);
    return compute_rows<I>({A.rows, B.cols, Index{sizeof(T)}, true, options.max_bytes}, product, run);
  }
}

#define NEARLINEAR_INSTANTIATE(T)                                                                                 \
  template detail::RawCsrMatrix<std::int32_t> detail::plain_product(                                              \
      const CsrView<T, std::int32_t>&, const CsrView<T, std::int32_t>&, const MatmulOptions&, const RunOptions&); \
  template detail::RawCsrMatrix<std::int64_t> detail::plain_product(                                              \
      const CsrView<T, std::int64_t>&, const CsrView<T, std::int64_t>&, const MatmulOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(bool)
NEARLINEAR_INSTANTIATE(std::uint64_t)
NEARLINEAR_INSTANTIATE(std::int64_t)
NEARLINEAR_INSTANTIATE(std::complex<float>)
NEARLINEAR_INSTANTIATE(std::complex<double>)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear
