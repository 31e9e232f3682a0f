// Sparse product in one phase: cut into tokens, sum each row in its accumulator, assemble in order.
#include <algorithm>
#include <limits>
#include <vector>

#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/accumulators.hpp"
#include "sparse/assembly.hpp"
#include "sparse/kernels.hpp"
#include "sparse/tokens.hpp"

namespace nearlinear {
namespace {

using sparse::Assembly;
using sparse::Token;
using sparse::Tokens;

template <class T, class I>
const sparse::ProductKernels<T, I>& kernels_for() {
  const sparse::Kernels& table = sparse::kernels();
  if constexpr (std::is_same_v<T, float> && sizeof(I) == 4) return table.f32_i32;
  if constexpr (std::is_same_v<T, float> && sizeof(I) == 8) return table.f32_i64;
  if constexpr (std::is_same_v<T, double> && sizeof(I) == 4) return table.f64_i32;
  if constexpr (std::is_same_v<T, double> && sizeof(I) == 8) return table.f64_i64;
}

template <class T, class I>
bool same_memory(const CsrView<T, I>& A, const CsrView<T, I>& B) {
  return A.rows == B.rows && A.cols == B.cols && A.indptr.data() == B.indptr.data() &&
         A.indices.data() == B.indices.data();
}

/// Whether dense accumulators take so little memory that nobody minds: little in itself, or beside the operands. (Where
/// they are larger, they are also slow: most of what they touch they touch for the first time.)
template <class T, class I>
bool dense_is_affordable(const CsrView<T, I>& A, const CsrView<T, I>& B, int threads) {
  constexpr Index always = Index{16} << 20;
  const Index operands = (A.nnz() + B.nnz()) * static_cast<Index>(sizeof(T) + sizeof(I));
  return B.cols <= std::max(always, operands / 4) / (sparse::DenseMemory<T>::bytes_per_column * threads);
}

/// The product with row pointers of 64 bits.
template <class T, class I>
struct WideProduct {
  Array<Index> indptr;
  Array<I> indices;
  Array<T> data;
};

template <class T, class I>
WideProduct<T, I> multiply(const CsrView<T, I>& A, const CsrView<T, I>& B, Accumulator choice, int n_threads,
                           Monitor& monitor) {
  monitor.enter_stage(0.05, 0.1);
  const Tokens tokens = sparse::cut_tokens(A, B, n_threads, monitor);
  const auto count = static_cast<Index>(tokens.list.size());
  const int threads = static_cast<int>(std::clamp<Index>(count, 1, tokens.threads));
  const bool dense =
      choice == Accumulator::dense || (choice == Accumulator::automatic && dense_is_affordable(A, B, threads));

  const sparse::Operands<T, I> operands{A.indptr.data(), A.indices.data(), A.data.data(),
                                        B.indptr.data(), B.indices.data(), B.data.data()};
  const auto& kernels = kernels_for<T, I>();
  std::vector<sparse::DenseMemory<T>> dense_memory(static_cast<std::size_t>(threads));
  std::vector<sparse::HashMemory<T, I>> hash_memory(static_cast<std::size_t>(threads));
  Assembly<T, I> assembly(tokens.list, A.rows, threads);

  const auto compute_all = [&] {
    Monitor unwatched{KeepGoing{}};  // polled below: what stops one worker must not leave another waiting for it
    parallel_for_workers(count, threads, unwatched, [&](Index t, int worker) {
      try {
        if (worker == 0) monitor.poll(static_cast<double>(t) / static_cast<double>(count));
        const Token& token = tokens.list[static_cast<std::size_t>(t)];
        const auto place = assembly.begin(t, worker);
        const auto w = static_cast<std::size_t>(worker);
        const Index entries =
            dense ? kernels.multiply_dense(operands, token, dense_memory[w].accumulator(B.cols), place.indices,
                                           place.data, place.row_sizes)
                  : kernels.multiply_hash(operands, token, hash_memory[w].accumulator(token.largest_row), place.indices,
                                          place.data, place.row_sizes);
        assembly.finish(t, worker, entries);
      } catch (...) {
        assembly.abandon();
        throw;
      }
    });
  };

  if (assembly.reserve(tokens.capacity)) {
    monitor.enter_stage(0.1, 1);
    compute_all();
  } else {
    monitor.enter_stage(0.1, 0.55);
    compute_all();
    assembly.allocate_exactly();
    monitor.enter_stage(0.55, 1);
    compute_all();
  }
  parallel_for(threads, threads, monitor, [&](Index worker) { assembly.place_rest(static_cast<int>(worker)); });
  return {assembly.take_row_ends(), assembly.take_indices(), assembly.take_data()};
}

template <class T, class I>
WideProduct<T, I> checked_product_of(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options,
                                     const RunOptions& run) {
  Monitor monitor(run.keep_going);
  const bool a_is_canonical = require_valid_csr(A, "matmul", "A", run);
  const bool b_is_canonical = same_memory(A, B) ? a_is_canonical : require_valid_csr(B, "matmul", "B", run);
  require(A.cols == B.rows, "matmul: A is ", Shape{A.rows, A.cols}, " but B is ", Shape{B.rows, B.cols},
          "; A must have as many columns as B has rows");
  if (b_is_canonical) return multiply(A, B, options.accumulator, run.n_threads, monitor);
  const CsrMatrix<T, I> canonical = sum_duplicates(B, run);
  return multiply(A, canonical.view(), options.accumulator, run.n_threads, monitor);
}

template <class J, class I>
Array<J> converted(Array<I>&& array) {
  if constexpr (sizeof(I) == sizeof(J)) {
    return std::move(array);
  } else {
    Array<J> result(array.size());
    std::transform(array.begin(), array.end(), result.begin(), [](I value) { return static_cast<J>(value); });
    return result;
  }
}

template <class J, class T, class I>
CsrMatrix<T, J> with_index(Index rows, Index cols, WideProduct<T, I>&& product) {
  return {rows, cols, converted<J>(std::move(product.indptr)), converted<J>(std::move(product.indices)),
          std::move(product.data)};
}

template <class I>
bool can_count(Index entries) {
  return entries <= static_cast<Index>(std::numeric_limits<I>::max());
}

}  // namespace

template <class T, class I>
CsrMatrix<T, I> matmul(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options,
                       const RunOptions& run) {
  WideProduct<T, I> product = checked_product_of(A, B, options, run);
  if (!can_count<I>(product.indices.size()))
    throw std::overflow_error(
        "matmul: the product has " + std::to_string(product.indices.size()) +
        " entries, more than 32-bit indices can count; pass 64-bit ones, or call matmul_any_size");
  return with_index<I>(A.rows, B.cols, std::move(product));
}

template <class T>
CsrMatrixOfAnySize<T> matmul_any_size(const CsrView<T, std::int32_t>& A, const CsrView<T, std::int32_t>& B,
                                      const MatmulOptions& options, const RunOptions& run) {
  WideProduct<T, std::int32_t> product = checked_product_of(A, B, options, run);
  if (can_count<std::int32_t>(product.indices.size()))
    return with_index<std::int32_t>(A.rows, B.cols, std::move(product));
  return with_index<std::int64_t>(A.rows, B.cols, std::move(product));
}

#define NEARLINEAR_INSTANTIATE(T, I) \
  template CsrMatrix<T, I> matmul(const CsrView<T, I>&, const CsrView<T, I>&, const MatmulOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE
template CsrMatrixOfAnySize<float> matmul_any_size(const CsrView<float, std::int32_t>&,
                                                   const CsrView<float, std::int32_t>&, const MatmulOptions&,
                                                   const RunOptions&);
template CsrMatrixOfAnySize<double> matmul_any_size(const CsrView<double, std::int32_t>&,
                                                    const CsrView<double, std::int32_t>&, const MatmulOptions&,
                                                    const RunOptions&);

}  // namespace nearlinear
