/// Transposes of sparse matrices.
#pragma once

#include <algorithm>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"

namespace nearlinear::sparse {

/// The transpose, and where its entries come from.
template <class T, class I>
struct Transposed {
  CsrMatrix<T, I> matrix;
  Array<I> source;  // of an entry of the transpose: its place in A
};

/// Rows of the transpose have the order of A's: increasing, if no place is stored twice. The entries are cut into parts
/// of equal size. Each part counts its columns, so that it knows where in every row of the transpose its own entries
/// go, and moves them there.
template <class T, class I>
Transposed<T, I> transpose(const CsrView<T, I>& A, const RunOptions& run) {
  constexpr Index entries_at_once = Index{1} << 19;  // of a part, between two polls
  constexpr Index columns_at_once = Index{1} << 18;
  const Index nnz = A.nnz(), cols = A.cols;
  const int threads = thread_count(run.n_threads, 5 * nnz);
  const Index parts = std::clamp<Index>(nnz / std::max<Index>(cols, 1), 1, threads);  // whose counts fit beside A
  const Index part_size = ceil_divide(nnz, parts);
  Monitor monitor(run.keep_going);
  Array<I> places = Array<I>::zeros(parts * cols);  // of part p, at p * cols + k: of its entries in column k
  const auto for_each_entry = [&](double stage, const auto& body) {
    const Index steps = ceil_divide(part_size, entries_at_once);
    for (Index step = 0; step < steps; ++step) {
      const double before = static_cast<double>(step), all = static_cast<double>(2 * steps);
      monitor.enter_stage(stage + before / all, stage + (before + 1) / all);
      parallel_for(parts, threads, monitor, [&](Index p) {
        const Index part_end = std::min((p + 1) * part_size, nnz);
        const Index begin = std::min(p * part_size + step * entries_at_once, part_end);
        body(begin, std::min(begin + entries_at_once, part_end), places.data() + p * cols);
      });
    }
  };

  for_each_entry(0, [&](Index begin, Index end, I* counts) {
    for (Index e = begin; e < end; ++e) ++counts[A.indices[static_cast<std::size_t>(e)]];
  });
  Transposed<T, I> result{{cols, A.rows, Array<I>(cols + 1), Array<I>(nnz), Array<T>(nnz)}, Array<I>(nnz)};
  CsrMatrix<T, I>& transposed = result.matrix;
  I next = 0;
  for (Index k = 0; k < cols; ++k) {
    if (k % columns_at_once == 0) monitor.poll(1);
    transposed.indptr[k] = next;
    for (Index p = 0; p < parts; ++p) {
      const I count = places[p * cols + k];
      places[p * cols + k] = next;
      next = static_cast<I>(next + count);
    }
  }
  transposed.indptr[cols] = next;
  for_each_entry(0.5, [&](Index begin, Index end, I* ends) {
    Index row = std::upper_bound(A.indptr.begin(), A.indptr.end(), static_cast<I>(begin)) - A.indptr.begin() - 1;
    for (Index e = begin; e < end; ++row) {
      const Index row_end = std::min<Index>(end, A.indptr[static_cast<std::size_t>(row) + 1]);
      for (; e < row_end; ++e) {
        const auto from = static_cast<std::size_t>(e);
        const Index to = ends[A.indices[from]]++;
        transposed.indices[to] = static_cast<I>(row);
        transposed.data[to] = A.data[from];
        result.source[to] = static_cast<I>(e);
      }
    }
  });
  return result;
}

}  // namespace nearlinear::sparse
