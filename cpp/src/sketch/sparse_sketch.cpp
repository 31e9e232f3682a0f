// Sketches of sparse rows by sparse maps, in time proportional to their entries.
//
// Every entry of A is added to some places of one column of S A. Row by row, these places are anywhere in S A, which
// exceeds the caches; column by column, they are in m numbers side by side, which do not. So rows are taken in blocks,
// whose entries are sorted by their columns, and S A is transposed until the end.
#include <algorithm>
#include <utility>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "sketch/apply.hpp"
#include "sketch/random_map.hpp"

namespace nearlinear::sketch {
namespace {

constexpr Index block_rows = Index{1} << 17;

/// Where the entries of a column of S go: 2 * row + (1 if the sign is negative), `nonzeros` for each column.
class Targets {
 public:
  Targets(const SketchSpec& spec, Index rows)
      : spec_(spec), nonzeros_(column_nonzeros(spec)), codes_(checked_product(nonzeros_, rows)) {}

  [[nodiscard]] Index nonzeros() const { return nonzeros_; }
  [[nodiscard]] const std::uint32_t* of(Index row) const { return codes_.data() + nonzeros_ * row; }

  /// Of the columns begin, ..., begin + count - 1 of S.
  void draw(Index begin, Index count, int threads, Monitor& monitor) {
    constexpr Index chunk = 4096;
    parallel_for(ceil_divide(count, chunk), threads, monitor, [&](Index c) {
      const Index first_row = c * chunk, rows = std::min(chunk, count - first_row);
      const Index first = nonzeros_ * (begin + first_row), words = nonzeros_ * rows;
      const Array<std::uint32_t> storage(4 * ceil_divide(first % 4 + words, 4));
      kernels().random_words(spec_.seed, targets_stream, static_cast<std::uint64_t>(first / 4), storage.size() / 4,
                             storage.data());
      const std::uint32_t* const word = storage.data() + first % 4;
      std::uint32_t* const code = codes_.data() + nonzeros_ * first_row;
      for (Index t = 0; t < nonzeros_; ++t) {
        const Index stripe = t * spec_.rows / nonzeros_;
        const auto size = static_cast<std::uint64_t>((t + 1) * spec_.rows / nonzeros_ - stripe);
        for (Index i = t; i < words; i += nonzeros_)
          code[i] = 2 * (static_cast<std::uint32_t>(stripe) + static_cast<std::uint32_t>((word[i] * size) >> 32)) +
                    (word[i] & 1U);
      }
    });
  }

 private:
  SketchSpec spec_;
  Index nonzeros_;
  Array<std::uint32_t> codes_;
};

/// column <- column + value times a column of S.
template <class T>
void add(const std::uint32_t* codes, Index nonzeros, T value, T* column) {
  const T signed_values[] = {value, -value};
  for (Index t = 0; t < nonzeros; ++t) column[codes[t] >> 1] += signed_values[codes[t] & 1U];
}

/// Entries of a block of rows, by columns.
template <class T>
struct SortedEntries {
  Array<Index> ends;  // of the entries of each column
  Array<std::int32_t> rows;
  Array<T> values;

  explicit SortedEntries(Index cols) : ends(cols) {}

  template <class I>
  void sort(const CsrView<T, I>& A, Index begin, Index end) {
    const auto first = static_cast<Index>(A.indptr[static_cast<std::size_t>(begin)]);
    const auto last = static_cast<Index>(A.indptr[static_cast<std::size_t>(end)]);
    if (rows.size() < last - first) {
      rows = Array<std::int32_t>(last - first);
      values = Array<T>(last - first);
    }
    std::fill(ends.begin(), ends.end(), Index{0});
    for (Index k = first; k < last; ++k) ++ends[A.indices[static_cast<std::size_t>(k)]];
    Index next = 0;
    for (Index& count : ends) next += std::exchange(count, next);
    for (Index i = begin; i < end; ++i)
      for (I k = A.indptr[static_cast<std::size_t>(i)]; k < A.indptr[static_cast<std::size_t>(i) + 1]; ++k) {
        const Index place = ends[A.indices[static_cast<std::size_t>(k)]]++;
        rows[place] = static_cast<std::int32_t>(i - begin);
        values[place] = A.data[static_cast<std::size_t>(k)];
      }
  }
};

/// sums <- sums + transposed^T, in squares that fit the cache.
template <class T>
void add_transposed(const Array<T>& transposed, MatrixView<T> sums, int threads, Monitor& monitor) {
  constexpr Index side = 32;
  const Index m = sums.rows();
  parallel_for(ceil_divide(m, side), threads, monitor, [&](Index band) {
    const Index begin = band * side, end = std::min(m, begin + side);
    for (Index first = 0; first < sums.cols(); first += side)
      for (Index j = begin; j < end; ++j)
        for (Index c = first; c < std::min(sums.cols(), first + side); ++c) sums(j, c) += transposed[c * m + j];
  });
}

/// Few entries beside what there is to add up: row by row.
template <class T, class I>
void add_row_by_row(const SketchSpec& spec, Index offset, const CsrRows<T, I>& rows, MatrixView<T> sums,
                    Monitor& monitor) {
  const CsrView<T, I>& A = rows.matrix();
  Targets targets(spec, rows.rows());
  targets.draw(offset, rows.rows(), 1, monitor);
  for (Index i = 0; i < rows.rows(); ++i)
    for (Index t = 0; t < targets.nonzeros(); ++t) {
      const std::uint32_t code = targets.of(i)[t];
      const T sign = (code & 1U) != 0 ? T{-1} : T{1};
      T* const row = &sums(static_cast<Index>(code >> 1), 0);
      for (I k = A.indptr[static_cast<std::size_t>(i)]; k < A.indptr[static_cast<std::size_t>(i) + 1]; ++k)
        row[A.indices[static_cast<std::size_t>(k)]] += sign * A.data[static_cast<std::size_t>(k)];
      for (Index c = 0; c < rows.rhs(); ++c) row[rows.cols() + c] += sign * rows.B()(i, c);
    }
}

}  // namespace

template <class T, class I>
void add_sparse_to_sketch(const SketchSpec& spec, Index offset, const CsrRows<T, I>& rows, MatrixView<T> sums,
                          const RunOptions& run) {
  if (spec.kind != SketchKind::sjlt && spec.kind != SketchKind::countsketch)
    return add_to_sketch<T>(spec, offset, rows, sums, run);
  const CsrView<T, I>& A = rows.matrix();
  const Index m = spec.rows, d = rows.cols(), p = rows.rhs();
  const Index additions = column_nonzeros(spec) * (A.nnz() + rows.rows() * p);
  Monitor monitor(run.keep_going);
  if (rows.rows() == 0) return;
  if (additions < m * (d + p)) return add_row_by_row(spec, offset, rows, sums, monitor);

  const int threads = thread_count(run.n_threads, 2 * additions);
  const Array<T> transposed = Array<T>::zeros(checked_product(d + p, m));
  Targets targets(spec, std::min(rows.rows(), block_rows));
  SortedEntries<T> entries(d);
  for (Index begin = 0; begin < rows.rows(); begin += block_rows) {
    const Index end = std::min(rows.rows(), begin + block_rows);
    monitor.enter_stage(static_cast<double>(begin) / static_cast<double>(rows.rows()),
                        static_cast<double>(end) / static_cast<double>(rows.rows()));
    targets.draw(offset + begin, end - begin, threads, monitor);
    entries.sort(A, begin, end);
    parallel_for(d + p, threads, monitor, [&](Index c) {
      T* const column = transposed.data() + c * m;
      if (c >= d) {
        for (Index i = begin; i < end; ++i) add(targets.of(i - begin), targets.nonzeros(), rows.B()(i, c - d), column);
        return;
      }
      for (Index k = c > 0 ? entries.ends[c - 1] : 0; k < entries.ends[c]; ++k)
        add(targets.of(entries.rows[k]), targets.nonzeros(), entries.values[k], column);
    });
  }
  add_transposed(transposed, sums, threads, monitor);
}

#define NEARLINEAR_INSTANTIATE(T, I) \
  template void add_sparse_to_sketch(const SketchSpec&, Index, const CsrRows<T, I>&, MatrixView<T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sketch
