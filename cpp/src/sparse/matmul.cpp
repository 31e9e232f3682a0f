// Sparse product in one phase: cut into tokens, sum each row in its accumulator, drop what is not wanted, assemble in
// order.
#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/accumulators.hpp"
#include "sparse/assembly.hpp"
#include "sparse/kernels.hpp"
#include "sparse/largest_sums.hpp"
#include "sparse/multiply.hpp"
#include "sparse/selection.hpp"
#include "sparse/tokens.hpp"

namespace nearlinear {
namespace {

using sparse::Assembly;
using sparse::Token;
using sparse::Tokens;

template <class T, class I>
const sparse::ProductKernels<T, I>& product_kernels() {
  return sparse::of_types<T, I>(sparse::kernels().product);
}

template <class T, class I>
bool same_memory(const CsrView<T, I>& A, const CsrView<T, I>& B) {
  return A.rows == B.rows && A.cols == B.cols && A.indptr.data() == B.indptr.data() &&
         A.indices.data() == B.indices.data();
}

/// Bytes of a CsrMatrix.
template <class T, class I>
Index bytes_of(Index rows, Index nnz) {
  return checked_sum(checked_product(rows + 1, Index{sizeof(I)}), checked_product(nnz, Index{sizeof(T) + sizeof(I)}));
}

/// The product with row pointers of 64 bits.
template <class T, class I>
struct WideProduct {
  Array<Index> indptr;
  Array<I> indices;
  Array<T> data;
};

/// The kernels at work on all tokens of a product.
template <class T, class I>
class Multiplication {
 public:
  Multiplication(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options, int n_threads,
                 Monitor& monitor)
      : A_(A),
        B_(B),
        selection_{options.prune_zeros, options.threshold, options.top_k},
        max_bytes_(options.max_bytes),
        monitor_(monitor),
        tokens_((monitor.enter_stage(0.05, 0.1), sparse::cut_tokens(A, B, options.top_k, n_threads, monitor))),
        threads_(static_cast<int>(std::clamp<Index>(std::ssize(tokens_.list), 1, tokens_.threads))),
        dense_(options.accumulator == Accumulator::dense ||
               (options.accumulator == Accumulator::automatic && sparse::dense_is_affordable(A, B, threads_))),
        workers_(static_cast<std::size_t>(threads_)),
        assembly_(tokens_.list, A.rows, threads_) {}

  WideProduct<T, I> product() {
    const Index bytes = bytes_of<T, I>(A_.rows, tokens_.nnz_bound);
    if (max_bytes_ > 0 && bytes > max_bytes_)
      throw out_of_memory(static_cast<std::size_t>(bytes), static_cast<std::size_t>(max_bytes_));
    sparse::assemble(assembly_, tokens_.list, tokens_.capacity, threads_, monitor_, computation());
    return {assembly_.take_row_ends(), assembly_.take_indices(), assembly_.take_data()};
  }

  Index count() {
    monitor_.enter_stage(0.1, 1);
    sparse::compute_tokens(assembly_, tokens_.list, threads_, monitor_, computation());
    return assembly_.nnz();
  }

 private:
  using Place = typename Assembly<T, I>::Place;

  struct Worker {
    sparse::DenseMemory<T> dense = {};
    sparse::HashMemory<T, I> hash = {};
    sparse::LargestSums<T, I> largest_sums = {};
    LargestEntries<T> largest{product_kernels<T, I>().collect_above};
  };

  auto computation() {
    return [this](const Token& token, int worker, const Place& place) {
      Worker& mine = workers_[static_cast<std::size_t>(worker)];
      const bool from_sums = sparse::LargestSums<T, I>::are_worth_a_look(selection_, token, dense_);
      return from_sums ? compute_from_sums(token, mine, place) : compute_rows(token, mine, place);
    };
  }

  Index compute_rows(const Token& token, Worker& mine, const Place& place) {
    const auto& kernels = product_kernels<T, I>();
    const Index entries = dense_ ? kernels.multiply_dense(operands_, token, mine.dense.accumulator(B_.cols),
                                                          place.indices, place.data, place.row_sizes)
                                 : kernels.multiply_hash(operands_, token, mine.hash.accumulator(token.largest_row),
                                                         place.indices, place.data, place.row_sizes);
    if (selection_.keeps_all()) return entries;
    return sparse::select_entries(selection_, token.row_end - token.row_begin, place.indices, place.data,
                                  place.row_sizes, mine.largest);
  }

  Index compute_from_sums(const Token& token, Worker& mine, const Place& place) {
    const std::span<T> sums(mine.dense.accumulator(B_.cols).sums, static_cast<std::size_t>(B_.cols));
    Index entries = 0;
    for (Index row = token.row_begin; row < token.row_end; ++row) {
      const Place rest{place.indices + entries, place.data + entries, place.row_sizes + (row - token.row_begin)};
      const std::optional<Index> size = mine.largest_sums.compute(product_kernels<T, I>(), operands_, selection_, row,
                                                                  sums, mine.largest, rest.indices, rest.data);
      if (size) {
        *rest.row_sizes = *size;
        entries += *size;
      } else {
        Token one_row = token;
        one_row.row_begin = row;
        one_row.row_end = row + 1;
        entries += compute_rows(one_row, mine, rest);
      }
    }
    return entries;
  }

  const CsrView<T, I>& A_;
  const CsrView<T, I>& B_;
  const sparse::Operands<T, I> operands_{A_.indptr.data(), A_.indices.data(), A_.data.data(),
                                         B_.indptr.data(), B_.indices.data(), B_.data.data()};
  sparse::Selection selection_;
  Index max_bytes_;
  Monitor& monitor_;
  Tokens tokens_;
  int threads_;
  bool dense_;
  std::vector<Worker> workers_;
  Assembly<T, I> assembly_;
};

/// Calls body(A, B), with B's rows sorted and without duplicates, when the operands have been checked.
template <class T, class I, class Body>
auto with_checked_operands(const char* function, const CsrView<T, I>& A, const CsrView<T, I>& B, bool assume_valid,
                           const RunOptions& run, const Body& body) {
  const bool a_is_canonical = assume_valid || require_valid_csr(A, function, "A", run);
  const bool b_is_canonical =
      assume_valid || (same_memory(A, B) ? a_is_canonical : require_valid_csr(B, function, "B", run));
  require(A.cols == B.rows, function, ": A is ", Shape{A.rows, A.cols}, " but B is ", Shape{B.rows, B.cols},
          "; A must have as many columns as B has rows");
  if (b_is_canonical) return body(A, B);
  const CsrMatrix<T, I> canonical = sum_duplicates(B, run);
  return body(A, canonical.view());
}

template <class T, class I>
WideProduct<T, I> checked_product_of(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options,
                                     const RunOptions& run) {
  Monitor monitor(run.keep_going);
  detail::require_valid_options("matmul", options);
  return with_checked_operands("matmul", A, B, options.assume_valid, run,
                               [&](const CsrView<T, I>& a, const CsrView<T, I>& b) {
                                 return Multiplication<T, I>(a, b, options, run.n_threads, monitor).product();
                               });
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

/// Sorted lists are for all semirings alike.
template <class T, class I>
CsrMatrixOfAnySize<T> product_by_sorting(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options,
                                         const RunOptions& run) {
  return matmul_any_size(NamedSemiring{}, A, B, SemiringOptions<T, I>{.matmul = options}, run);
}

/// With the operands' indices, if they can count the entries.
template <class T, class I>
CsrMatrix<T, I> counted(Index rows, Index cols, WideProduct<T, I>&& product) {
  detail::require_can_count<I>(product.indices.size());
  return with_index<I>(rows, cols, std::move(product));
}

}  // namespace

void detail::require_valid_options(const char* function, const MatmulOptions& options) {
  require(options.threshold >= 0 && options.threshold <= std::numeric_limits<double>::max(), function,
          ": threshold is ", options.threshold, "; it must be finite and not negative");
  require(options.top_k >= 0, function, ": top_k is ", options.top_k, "; it must not be negative");
  require(options.max_bytes >= 0, function, ": max_bytes is ", options.max_bytes, "; it must not be negative");
}

template <class T, class I>
CsrMatrix<T, I> matmul(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options,
                       const RunOptions& run) {
  if (options.accumulator == Accumulator::sort) {
    auto product = product_by_sorting(A, B, options, run);
    detail::require_can_count<I>(std::visit([](const auto& matrix) { return matrix.nnz(); }, product));
    return std::get<CsrMatrix<T, I>>(std::move(product));
  }
  return counted(A.rows, B.cols, checked_product_of(A, B, options, run));
}

template <class T, class I>
CsrMatrix<T, I> sparse::multiply(const CsrView<T, I>& A, const CsrView<T, I>& B, const RunOptions& run) {
  Monitor monitor(run.keep_going);
  return counted(A.rows, B.cols, Multiplication<T, I>(A, B, {}, run.n_threads, monitor).product());
}

template <class T>
CsrMatrixOfAnySize<T> matmul_any_size(const CsrView<T, std::int32_t>& A, const CsrView<T, std::int32_t>& B,
                                      const MatmulOptions& options, const RunOptions& run) {
  if (options.accumulator == Accumulator::sort) return product_by_sorting(A, B, options, run);
  WideProduct<T, std::int32_t> product = checked_product_of(A, B, options, run);
  if (detail::can_count<std::int32_t>(product.indices.size()))
    return with_index<std::int32_t>(A.rows, B.cols, std::move(product));
  return with_index<std::int64_t>(A.rows, B.cols, std::move(product));
}

template <class T, class I>
MatmulEstimate estimate_matmul(const CsrView<T, I>& A, const CsrView<T, I>& B, const RunOptions& run) {
  Monitor monitor(run.keep_going);
  return with_checked_operands(
      "estimate_matmul", A, B, false, run, [&](const CsrView<T, I>& a, const CsrView<T, I>& b) {
        const Tokens tokens = sparse::cut_tokens(a, b, Index{0}, run.n_threads, monitor);
        return MatmulEstimate{tokens.products, tokens.nnz_bound, bytes_of<T, I>(a.rows, tokens.nnz_bound)};
      });
}

template <class T, class I>
Index matmul_nnz(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulOptions& options, const RunOptions& run) {
  Monitor monitor(run.keep_going);
  detail::require_valid_options("matmul_nnz", options);
  return with_checked_operands("matmul_nnz", A, B, options.assume_valid, run,
                               [&](const CsrView<T, I>& a, const CsrView<T, I>& b) {
                                 return Multiplication<T, I>(a, b, options, run.n_threads, monitor).count();
                               });
}

#define NEARLINEAR_INSTANTIATE(T, I)                                                                        \
  template CsrMatrix<T, I> matmul(const CsrView<T, I>&, const CsrView<T, I>&, const MatmulOptions&,         \
                                  const RunOptions&);                                                       \
  template CsrMatrix<T, I> sparse::multiply(const CsrView<T, I>&, const CsrView<T, I>&, const RunOptions&); \
  template MatmulEstimate estimate_matmul(const CsrView<T, I>&, const CsrView<T, I>&, const RunOptions&);   \
  template Index matmul_nnz(const CsrView<T, I>&, const CsrView<T, I>&, const MatmulOptions&, const RunOptions&);
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
