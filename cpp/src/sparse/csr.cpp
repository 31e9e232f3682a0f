// Checks and repairs of matrices in compressed rows.
#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>
#include <vector>

#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/checks.hpp"
#include "sparse/kernels.hpp"

namespace nearlinear {
namespace {

constexpr Index chunk = Index{1} << 16;  // entries that are looked at between two polls

/// Calls body(begin, end) for stretches that cover [0, count).
template <class Body>
void for_each_chunk(Index count, const RunOptions& run, Monitor& monitor, const Body& body) {
  const Index chunks = (count + chunk - 1) / chunk;
  parallel_for(chunks, thread_count(run.n_threads, count / 4), monitor,
               [&](Index c) { body(c * chunk, std::min((c + 1) * chunk, count)); });
}

/// Counts the i in [0, count) for which is_bad(i) holds. Looks at all of them: to stop at the first would keep the
/// compiler from using vectors, and bad input is rare. Counters are as wide as the numbers that I stands for, likewise;
/// no chunk is longer than they can count.
template <class I, class Predicate>
Index count_bad(Index count, const RunOptions& run, Monitor& monitor, const Predicate& is_bad) {
  std::atomic<Index> total{0};
  for_each_chunk(count, run, monitor, [&](Index begin, Index end) {
    I here = 0;
    for (Index i = begin; i < end; ++i) here += is_bad(i) ? 1 : 0;
    total += here;
  });
  return total;
}

/// How often columns fail to increase from entry k to entry k + 1 of the next row, for k in [begin, end).
template <class I>
Index steps_back_between_rows(const detail::CsrPlaces<I>& matrix, Index begin, Index end) {
  const I* const indptr = matrix.indptr.data();
  const I* const indices = matrix.indices.data();
  const auto first_row_at = [&](Index entry) {
    return std::lower_bound(indptr, indptr + matrix.rows, entry, [](I a, Index b) { return Index{a} < b; });
  };
  Index steps = 0;
  for (const I* row = first_row_at(begin + 1); row < indptr + matrix.rows && *row <= end; ++row)
    steps += row[0] < row[1] && indices[*row - 1] >= indices[*row] ? 1 : 0;
  return steps;
}

}  // namespace

template <class I>
void sparse::require_valid_rows(const detail::CsrPlaces<I>& matrix, const char* function, const char* argument,
                                const RunOptions& run) {
  const auto check = [&](bool condition, const auto&... message) {
    require(condition, function, ": ", argument, message...);
  };
  const I* const indptr = matrix.indptr.data();
  check(matrix.rows >= 0 && matrix.cols >= 0, " has the negative shape ", Shape{matrix.rows, matrix.cols});
  check(matrix.cols <= static_cast<Index>(std::numeric_limits<I>::max()), " has ", matrix.cols,
        " columns, more than its index type can number");
  check(matrix.indptr.size() == static_cast<std::size_t>(matrix.rows) + 1, ".indptr has ", matrix.indptr.size(),
        " entries; with ", matrix.rows, " rows it must have ", matrix.rows + 1);
  check(indptr[0] == 0, ".indptr begins with ", indptr[0], "; it must begin with 0");

  Monitor monitor(run.keep_going);
  if (count_bad<I>(matrix.rows, run, monitor, [=](Index i) { return indptr[i + 1] < indptr[i]; }) != 0) {
    Index row = 0;
    while (indptr[row + 1] >= indptr[row]) ++row;
    check(false, ".indptr decreases from ", indptr[row], " to ", indptr[row + 1], " at index ", row + 1);
  }

  const Index nnz = indptr[matrix.rows];
  check(static_cast<std::size_t>(nnz) <= matrix.indices.size(), ".indptr ends with ", nnz, " but ", argument,
        ".indices has ", matrix.indices.size(), " entries");
  check(static_cast<std::size_t>(nnz) <= matrix.data_size, ".indptr ends with ", nnz, " but ", argument, ".data has ",
        matrix.data_size, " entries");
}

template <class I>
bool detail::require_valid_places(const CsrPlaces<I>& matrix, const char* function, const char* argument,
                                  const RunOptions& run) {
  sparse::require_valid_rows(matrix, function, argument, run);
  const I* const indptr = matrix.indptr.data();
  const I* const indices = matrix.indices.data();
  const Index nnz = indptr[matrix.rows];
  Monitor monitor(run.keep_going);

  // Every row increases strictly if and only if the columns fail to increase nowhere but between two rows.
  const auto is_outside = [cols = matrix.cols](I column) { return column < 0 || column >= cols; };
  std::atomic<Index> outside{0};
  std::atomic<Index> steps_back{0};
  for_each_chunk(nnz, run, monitor, [&](Index begin, Index end) {
    const Index last = std::min(end, nnz - 1);
    const sparse::ColumnFaults faults = sparse::count_column_faults(indices + begin, last - begin, matrix.cols);
    const Index outside_here = faults.outside + (end == nnz && is_outside(indices[nnz - 1]) ? 1 : 0);
    const Index steps_back_here = faults.steps_back - steps_back_between_rows(matrix, begin, last);
    if (outside_here != 0) outside += outside_here;
    if (steps_back_here != 0) steps_back += steps_back_here;
  });
  if (outside != 0) {
    const Index entry = std::find_if(indices, indices + nnz, is_outside) - indices;
    require(false, function, ": ", argument, ".indices has the column ", indices[entry], " at index ", entry, "; ",
            argument, " has ", matrix.cols, " columns");
  }
  return steps_back == 0;
}

template <class T, class I>
CsrMatrix<T, I> sum_duplicates(const CsrView<T, I>& matrix, const RunOptions& run) {
  require_valid_csr(matrix, "sum_duplicates", "matrix", run);
  const Index nnz = matrix.nnz();
  CsrMatrix<T, I> result{matrix.rows, matrix.cols, Array<I>(matrix.rows + 1), Array<I>(nnz), Array<T>(nnz)};
  Monitor monitor(run.keep_going);

  // Each row is sorted and summed where it stands, and its size noted ...
  constexpr Index rows_per_body = 256;
  const Index bodies = (matrix.rows + rows_per_body - 1) / rows_per_body;
  parallel_for(bodies, thread_count(run.n_threads, 20 * nnz), monitor, [&](Index b) {
    std::vector<std::pair<I, std::size_t>> entries;  // column and place: their order is that of the sums
    for (Index i = b * rows_per_body; i < std::min((b + 1) * rows_per_body, matrix.rows); ++i) {
      const auto first = static_cast<std::size_t>(matrix.indptr[static_cast<std::size_t>(i)]);
      const auto last = static_cast<std::size_t>(matrix.indptr[static_cast<std::size_t>(i) + 1]);
      entries.clear();
      for (std::size_t k = first; k < last; ++k) entries.emplace_back(matrix.indices[k], k);
      std::sort(entries.begin(), entries.end());
      auto out = static_cast<Index>(first);
      for (std::size_t e = 0; e < entries.size(); ++e) {
        const auto [column, place] = entries[e];
        if (e > 0 && column == entries[e - 1].first) {
          result.data[out - 1] += matrix.data[place];
        } else {
          result.indices[out] = column;
          result.data[out++] = matrix.data[place];
        }
      }
      result.indptr[i + 1] = static_cast<I>(out - static_cast<Index>(first));
    }
  });

  // ... then the rows move together.
  result.indptr[0] = 0;
  for (Index i = 0; i < matrix.rows; ++i) {
    const Index from = matrix.indptr[static_cast<std::size_t>(i)];
    const Index to = result.indptr[i];
    const Index size = result.indptr[i + 1];
    std::copy_n(result.indices.data() + from, size, result.indices.data() + to);
    std::copy_n(result.data.data() + from, size, result.data.data() + to);
    result.indptr[i + 1] = static_cast<I>(to + size);
  }
  result.indices.shrink(result.indptr[matrix.rows]);
  result.data.shrink(result.indptr[matrix.rows]);
  return result;
}

#define NEARLINEAR_INSTANTIATE(I)                                                                                     \
  template void sparse::require_valid_rows(const detail::CsrPlaces<I>&, const char*, const char*, const RunOptions&); \
  template bool detail::require_valid_places(const CsrPlaces<I>&, const char*, const char*, const RunOptions&);       \
  template CsrMatrix<float, I> sum_duplicates(const CsrView<float, I>&, const RunOptions&);                           \
  template CsrMatrix<double, I> sum_duplicates(const CsrView<double, I>&, const RunOptions&);
NEARLINEAR_INSTANTIATE(std::int32_t)
NEARLINEAR_INSTANTIATE(std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear
