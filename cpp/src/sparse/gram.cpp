// A A^T or A^T A: the upper half by the product's kernels, the lower half as its mirror image, where that is cheaper
// than the whole product.
#include "nearlinear/sparse/gram.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "sparse/multiply.hpp"
#include "sparse/numbering.hpp"
#include "sparse/sample.hpp"
#include "sparse/stages.hpp"
#include "sparse/transpose.hpp"

namespace nearlinear {
namespace {

constexpr Index rows_between_polls = Index{1} << 13;

/// The entries of F S on and above the diagonal, where S is the transpose of F and entry j of F, in row i and column k,
/// is mirrored at mirror[j] in S: there row k of S reaches column i. So each entry of F has a row of its own to be
/// multiplied with, which begins there.
template <class T, class I>
CsrMatrix<T, I> upper_half(const CsrView<T, I>& F, const CsrView<T, I>& S, const Array<I>& mirror,
                           const RunOptions& run) {
  const Index nnz = F.nnz();
  Array<I> rows(nnz), bounds(2 * nnz);
  sparse::for_each_chunk(nnz, sparse::stage(run, 0, 0), [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      rows[j] = static_cast<I>(2 * j);
      bounds[2 * j] = mirror[j];
      bounds[2 * j + 1] = S.indptr[static_cast<std::size_t>(F.indices[static_cast<std::size_t>(j)]) + 1];
    }
  });
  const CsrView<T, I> left{F.rows, std::max<Index>(2 * nnz - 1, 0), F.indptr, rows.span(), F.data};
  const CsrView<T, I> right{left.cols, F.rows, bounds.span(), S.indices, S.data};
  return sparse::multiply(left, right, run);
}

/// Rows [begin, end) of a symmetric matrix take what is above the diagonal in columns of these numbers:
/// body(i, place) for every such entry of U, row after row, as long as goes_on().
template <class T, class I, class GoesOn, class Body>
void for_each_above(const CsrMatrix<T, I>& U, Index begin, Index end, const GoesOn& goes_on, const Body& body) {
  const I* const indices = U.indices.data();
  for (Index i = 0; i < end; ++i) {
    if (i % rows_between_polls == 0 && !goes_on()) return;
    const I* const last = indices + U.indptr[i + 1];
    const I* entry = indices + U.indptr[i];
    if (entry == last) continue;
    ++entry;  // the diagonal, which every row that is not empty begins with
    if (begin > i + 1) entry = std::lower_bound(entry, last, static_cast<I>(begin));
    for (; entry < last && *entry < end; ++entry) body(i, entry - indices);
  }
}

/// The symmetric matrix with this upper half.
template <class T, class I>
CsrMatrix<T, I> mirrored(const CsrMatrix<T, I>& U, const RunOptions& run) {
  const Index n = U.rows;
  Array<I> lower = Array<I>::zeros(n);  // entries below the diagonal; later, where the next one goes
  // Blocks of rows that fit a second-level cache, unless going through all of U for each costs more than it saves; and
  // small enough to be polled between.
  constexpr Index entries_of_block = Index{1} << 17;
  constexpr Index longest_block = Index{1} << 21;
  const int threads = thread_count(run.n_threads, 8 * U.nnz());
  const Index worth = U.nnz() / std::max<Index>(16 * n, 1);
  const Index blocks = std::clamp<Index>(std::min(2 * U.nnz() / entries_of_block, worth),
                                         std::max<Index>(threads, U.nnz() / longest_block), std::max<Index>(n, 1));
  Monitor monitor(run.keep_going);
  std::atomic<bool> stopped{false};  // by what the monitor throws: blocks of other threads are left as they are
  const auto for_each_block = [&](const auto& body) {
    parallel_for_workers(blocks, threads, monitor, [&](Index b, int worker) {
      const auto goes_on = [&] {
        if (worker != 0) return !stopped;
        try {
          monitor.poll(static_cast<double>(b) / static_cast<double>(blocks));
        } catch (...) {
          stopped = true;
          throw;
        }
        return true;
      };
      body(n * b / blocks, n * (b + 1) / blocks, goes_on);
    });
  };
  monitor.enter_stage(0.7, 0.8);
  for_each_block([&](Index begin, Index end, const auto& goes_on) {
    for_each_above(U, begin, end, goes_on, [&](Index, Index place) { ++lower[U.indices[place]]; });
  });

  Array<I> indptr(n + 1);
  indptr[0] = 0;
  for (Index i = 0; i < n; ++i) {
    if (i % rows_between_polls == 0) monitor.poll(1);
    const Index size = Index{lower[i]} + U.indptr[i + 1] - U.indptr[i];
    const Index next = indptr[i] + size;
    if (next > static_cast<Index>(std::numeric_limits<I>::max()))
      throw std::overflow_error("gram: the product has more entries than 32-bit indices can count; pass 64-bit ones");
    indptr[i + 1] = static_cast<I>(next);
    lower[i] = indptr[i];
  }
  const Index nnz = indptr[n];
  CsrMatrix<T, I> C{n, n, std::move(indptr), Array<I>(nnz), Array<T>(nnz)};
  monitor.enter_stage(0.8, 1);
  for_each_block([&](Index begin, Index end, const auto& goes_on) {
    for_each_above(U, begin, end, goes_on, [&](Index i, Index place) {
      const I to = lower[U.indices[place]]++;
      C.indices[to] = static_cast<I>(i);
      C.data[to] = U.data[place];
    });
    for (Index i = begin; i < end; ++i) {
      const Index size = U.indptr[i + 1] - U.indptr[i];
      std::copy_n(U.indices.data() + U.indptr[i], size, C.indices.data() + C.indptr[i + 1] - size);
      std::copy_n(U.data.data() + U.indptr[i], size, C.data.data() + C.indptr[i + 1] - size);
    }
  });
  return C;
}

/// Whether so many scalar products meet in an entry that half of them outweigh the mirroring of an entry (measured).
template <class T, class I>
bool half_is_cheaper(const CsrView<T, I>& F, const CsrView<T, I>& S, const RunOptions& run) {
  constexpr Index products_per_entry = 12;
  const CsrMatrix<T, I> some = sparse::sample_of(F, std::clamp<Index>(F.rows / 16, 1, 256));
  Index products = 0;
  for (Index i = 0; i < some.rows; ++i) products += sparse::products_of_row(some.view(), S, i);
  return products / products_per_entry >= sparse::multiply(some.view(), S, run).nnz();
}

template <class T, class I>
CsrMatrix<T, I> gram_of_canonical(const CsrView<T, I>& A, const GramOptions& options, const RunOptions& run) {
  sparse::Transposed<T, I> transposed = sparse::transpose(A, sparse::stage(run, 0, 0.05));
  const CsrView<T, I> At = transposed.matrix.view();
  const bool right = options.side == GramSide::right;
  const CsrView<T, I> F = right ? A : At, S = right ? At : A;
  const bool whole =
      options.method == GramMethod::whole ||
      A.nnz() > static_cast<Index>(std::numeric_limits<I>::max() / 2) ||  // no numbers for bounds
      (options.method == GramMethod::automatic && !half_is_cheaper(F, S, sparse::stage(run, 0.05, 0.05)));
  if (whole) return sparse::multiply(F, S, sparse::stage(run, 0.05, 1));
  Array<I> mirror = std::move(transposed.source);
  if (right) {
    Array<I> place(A.nnz());  // in the transpose, of an entry of A
    sparse::for_each_chunk(A.nnz(), sparse::stage(run, 0.05, 0.05), [&](Index begin, Index end) {
      for (Index q = begin; q < end; ++q) place[mirror[q]] = static_cast<I>(q);
    });
    mirror = std::move(place);
  }
  return mirrored(upper_half(F, S, mirror, sparse::stage(run, 0.05, 0.7)), run);
}

}  // namespace

template <class T, class I>
CsrMatrix<T, I> gram(const CsrView<T, I>& A, const GramOptions& options, const RunOptions& run) {
  const bool is_canonical = require_valid_csr(A, "gram", "A", run);
  CsrMatrix<T, I> canonical;
  if (!is_canonical) canonical = sum_duplicates(A, run);
  CsrView<T, I> summed = is_canonical ? A : canonical.view();
  if (options.side == GramSide::left || !sparse::has_idle_columns(A.cols, summed.nnz()))
    return gram_of_canonical(summed, options, run);

  const auto columns = summed.indices.first(static_cast<std::size_t>(summed.nnz()));
  const std::vector<I> used = sparse::columns_in_use<I>(columns, run);
  const Array<I> numbered(summed.nnz());
  sparse::number_columns<I>(used, columns, numbered.data(), run);
  return gram_of_canonical(CsrView<T, I>{A.rows, std::ssize(used), summed.indptr, numbered.span(), summed.data},
                           options, run);
}

#define NEARLINEAR_INSTANTIATE(T, I) \
  template CsrMatrix<T, I> gram(const CsrView<T, I>&, const GramOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear
