// R A P as two products: one after the other, or block by block of the rows of R.
#include "nearlinear/sparse/triple_product.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "sparse/multiply.hpp"
#include "sparse/sample.hpp"
#include "sparse/stages.hpp"

namespace nearlinear {
namespace {

// Of the first product, in a block of rows: large enough for all threads, and a result of at most some 50 MB, most of
// which the second product finds in the last cache.
constexpr Index products_of_block = Index{1} << 22;

/// Rows that a choice is made by: few enough that it costs a small part of the product.
Index sampled(Index rows) { return std::clamp<Index>(rows / 16, 1, 1024); }

using sparse::at;
using sparse::products_of_row;
using sparse::sample_of;

/// The sum of value(i) over [0, count), in an order of its own for any number of threads.
template <class Value>
double sum_over(Index count, const RunOptions& run, const Value& value) {
  constexpr Index at_once = Index{1} << 12;
  std::vector<double> sums(static_cast<std::size_t>(ceil_divide(count, at_once)));
  Monitor monitor(run.keep_going);
  parallel_for(std::ssize(sums), thread_count(run.n_threads, 20 * count), monitor, [&](Index c) {
    for (Index i = c * at_once; i < std::min((c + 1) * at_once, count); ++i)
      sums[static_cast<std::size_t>(c)] += static_cast<double>(value(i));
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// Scalar products of all rows of A B.
template <class T, class I>
double products_of(const CsrView<T, I>& A, const CsrView<T, I>& B, const RunOptions& run) {
  return sum_over(A.rows, run, [&](Index i) { return products_of_row(A, B, i); });
}

/// Whether (R A) P takes clearly fewer scalar products than R (A P), as it does not where A is symmetric and R = P^T.
/// What the first products take is counted. What the second ones take depends on how far the first ones merge, which a
/// sample of rows tells.
template <class T, class I>
bool fused_is_cheaper(const CsrView<T, I>& R, const CsrView<T, I>& A, const CsrView<T, I>& P, const RunOptions& run) {
  const Array<Index> of_row(A.rows);  // scalar products of A P
  const double products_AP = sum_over(A.rows, run, [&](Index k) { return of_row[k] = products_of_row(A, P, k); });
  const auto unmerged = [&](const CsrView<T, I>& rows) {  // of either second product, if the first merged nothing
    return sum_over(rows.rows, run, [&](Index i) {
      double products = 0;
      for (Index j = at(rows.indptr, i); j < at(rows.indptr, i + 1); ++j)
        products += static_cast<double>(of_row[at(rows.indices, j)]);
      return products;
    });
  };
  const CsrMatrix<T, I> some_of_R = sample_of(R, sampled(R.rows)), some_of_A = sample_of(A, sampled(A.rows));
  const CsrMatrix<T, I> RA = sparse::multiply(some_of_R.view(), A, run);
  const CsrMatrix<T, I> AP = sparse::multiply(some_of_A.view(), P, run);
  const auto ratio = [](double part, double whole) { return whole == 0 ? 1.0 : part / whole; };
  const double merged_RA = ratio(products_of(RA.view(), P, run), unmerged(some_of_R.view()));
  const double merged_AP = ratio(static_cast<double>(AP.nnz()), products_of(some_of_A.view(), P, run));
  const double second = unmerged(R);
  constexpr double slower = 1.25;  // is a fused product, scalar product for scalar product (measured)
  return slower * (products_of(R, A, run) + merged_RA * second) < products_AP + merged_AP * second;
}

/// One below another.
template <class T, class I>
CsrMatrix<T, I> stacked(std::vector<CsrMatrix<T, I>>&& blocks, Index rows, Index cols) {
  if (blocks.size() == 1) return std::move(blocks.front());
  Index nnz = 0;
  for (const auto& block : blocks) nnz += block.nnz();
  if (nnz > static_cast<Index>(std::numeric_limits<I>::max()))
    throw std::overflow_error(
        "triple_product: the product has more entries than 32-bit indices can count; pass 64-bit ones");
  CsrMatrix<T, I> result{rows, cols, Array<I>(rows + 1), Array<I>(nnz), Array<T>(nnz)};
  result.indptr[0] = 0;
  Index row = 0;
  for (auto& block : blocks) {
    const I before = result.indptr[row];
    for (Index i = 0; i < block.rows; ++i) result.indptr[++row] = static_cast<I>(before + block.indptr[i + 1]);
    std::copy(block.indices.begin(), block.indices.end(), result.indices.data() + before);
    std::copy(block.data.begin(), block.data.end(), result.data.data() + before);
    block = {};
  }
  return result;
}

/// (R A) P, of so many rows of R at a time that the first product takes about products_of_block scalar products.
template <class T, class I>
CsrMatrix<T, I> fused_product(const CsrView<T, I>& R, const CsrView<T, I>& A, const CsrView<T, I>& P,
                              const RunOptions& run) {
  std::vector<CsrMatrix<T, I>> blocks;
  Monitor monitor(run.keep_going);
  Index begin = 0;
  do {
    Index end = begin;
    for (Index products = 0; end < R.rows && (end == begin || products < products_of_block); ++end)
      products += products_of_row(R, A, end) + 1;
    const double rows = static_cast<double>(std::max<Index>(R.rows, 1));
    const double done = static_cast<double>(begin) / rows, next = static_cast<double>(end) / rows;
    monitor.poll(done);

    Array<I> indptr(end - begin + 1);
    for (Index i = begin; i <= end; ++i) indptr[i - begin] = static_cast<I>(at(R.indptr, i) - at(R.indptr, begin));
    const auto first = static_cast<std::size_t>(at(R.indptr, begin));
    const CsrView<T, I> block{end - begin, R.cols, indptr.span(), R.indices.subspan(first), R.data.subspan(first)};
    const CsrMatrix<T, I> RA = sparse::multiply(block, A, sparse::stage(run, done, (done + next) / 2));
    blocks.push_back(sparse::multiply(RA.view(), P, sparse::stage(run, (done + next) / 2, next)));
    begin = end;
  } while (begin < R.rows);
  return stacked(std::move(blocks), R.rows, P.cols);
}

/// A right factor with its duplicates summed, in `summed`.
template <class T, class I>
CsrView<T, I> canonical(const CsrView<T, I>& matrix, CsrMatrix<T, I>& summed, const RunOptions& run) {
  summed = sum_duplicates(matrix, run);
  return summed.view();
}

}  // namespace

template <class T, class I>
CsrMatrix<T, I> triple_product(const CsrView<T, I>& R, const CsrView<T, I>& A, const CsrView<T, I>& P,
                               const TripleProductOptions& options, const RunOptions& run) {
  require_valid_csr(R, "triple_product", "R", run);
  const bool a_is_canonical = require_valid_csr(A, "triple_product", "A", run);
  const bool p_is_canonical = require_valid_csr(P, "triple_product", "P", run);
  require(R.cols == A.rows, "triple_product: R is ", Shape{R.rows, R.cols}, " but A is ", Shape{A.rows, A.cols},
          "; R must have as many columns as A has rows");
  require(A.cols == P.rows, "triple_product: A is ", Shape{A.rows, A.cols}, " but P is ", Shape{P.rows, P.cols},
          "; A must have as many columns as P has rows");
  CsrMatrix<T, I> summed_A, summed_P;
  const CsrView<T, I> p = p_is_canonical ? P : canonical(P, summed_P, run);
  if (options.method != TripleProductMethod::separate) {
    const CsrView<T, I> a = a_is_canonical ? A : canonical(A, summed_A, run);
    if (options.method == TripleProductMethod::fused || fused_is_cheaper(R, a, p, sparse::stage(run, 0, 0)))
      return fused_product(R, a, p, run);
  }
  const CsrMatrix<T, I> AP = sparse::multiply(A, p, sparse::stage(run, 0, 0.5));
  return sparse::multiply(R, AP.view(), sparse::stage(run, 0.5, 1));
}

#define NEARLINEAR_INSTANTIATE(T, I)                                                                        \
  template CsrMatrix<T, I> triple_product(const CsrView<T, I>&, const CsrView<T, I>&, const CsrView<T, I>&, \
                                          const TripleProductOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear
