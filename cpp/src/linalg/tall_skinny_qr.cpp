// TSQR. The rows are cut into groups, and these into blocks that stay in the cache: a group's R takes in one block
// after the other, then the groups' triangles are merged in pairs. Groups and pairs are the tasks of the threads.
#include <algorithm>
#include <vector>

#include "core/arithmetic.hpp"
#include "linalg/householder.hpp"
#include "linalg/qr_methods.hpp"
#include "linalg/rates.hpp"

namespace nearlinear::linalg {
namespace {

constexpr Index block_entries = Index{1} << 16;  // half a megabyte in double
constexpr Index most_groups = 16;
constexpr Index panel_width = 32;

[[nodiscard]] Index block_rows(Index cols) {
  return std::max(2 * cols, std::max<Index>(64, block_entries / std::max<Index>(1, cols) / 8 * 8));
}

/// (R, C) takes in the rows of X. When these are a triangle themselves, column j has j + 1 of them.
template <class T>
void take_in(Columns<T> R, Index d, Index p, Columns<T> X, Index rows, bool is_triangle, const Pause& pause) {
  const Array<T> t(panel_width * panel_width);
  for (Index c = 0; c < d; c += panel_width) {
    const Index w = std::min(panel_width, d - c), next = c + w;
    const Reflectors<T> h{is_triangle ? std::min(rows, next) : rows, w, X.at(0, c), {t.data(), w}};
    factor(R.at(c, c), h, pause);
    if (next < d + p) apply(h, true, d + p - next, R.at(c, next), X.at(0, next), pause);
  }
}

/// The upper triangle of the first d columns, zeros below it, and the p columns behind.
template <class T>
void keep_reduced(Columns<T> from, Index d, Index p, Columns<T> to) {
  for (Index j = 0; j < d + p; ++j) {
    const Index kept = std::min(j + 1, d);
    std::copy_n(&from(0, j), kept, &to(0, j));
    std::fill_n(&to(0, j) + kept, d - kept, T{0});
  }
}

template <class T>
void reduce_rows(const QrProblem<T>& problem, Index begin, Index end, Columns<T> R, const Pause& pause) {
  const Index d = problem.cols(), p = problem.rhs(), block = block_rows(d);
  const ByColumns<T> storage(2 * block, d + p);  // the first block takes what the division leaves over
  const Columns<T> X = storage.columns();
  const auto read = [&](Index from, Index to) {
    const auto rows_of = [&](MatrixView<const T> matrix) {
      return MatrixView<const T>(matrix.data() + from * matrix.row_stride(), to - from, matrix.cols(),
                                 matrix.row_stride());
    };
    copy_to_columns(rows_of(problem.A), 0, to - from, X);
    if (p > 0) copy_to_columns(rows_of(problem.B), 0, to - from, X.at(0, d));
  };
  Index next = std::min(end, begin + block + (end - begin) % block);
  read(begin, next);
  Householder<T>(X, next - begin, d, p).factor(pause);
  keep_reduced(X, d, p, R);
  for (; next < end; next += block) {
    read(next, next + block);
    take_in(R, d, p, X, block, false, pause);
  }
}

}  // namespace

bool is_tall_skinny(Index rows, Index cols) { return rows >= 2 * block_rows(cols); }

template <class T>
void tall_skinny_qr(const QrProblem<T>& problem, const RunOptions& run) {
  const Index n = problem.rows(), d = problem.cols(), p = problem.rhs();
  const int threads = threads_at(reflection_rate, run.n_threads, problem.operations());
  Monitor monitor(run.keep_going);
  const Index groups = std::clamp<Index>(n / block_rows(d), 1, most_groups);
  std::vector<ByColumns<T>> reduced;  // of a group: R and the first d entries of Q^T B, side by side
  for (Index group = 0; group < groups; ++group) reduced.emplace_back(d, d + p);

  const auto pause_of = [&](Index task, Index tasks, int worker) -> Pause {
    return [&monitor, task, tasks, worker] {
      if (worker == 0) monitor.poll(static_cast<double>(task) / static_cast<double>(tasks));
    };
  };
  parallel_for_workers(groups, threads, monitor, [&](Index group, int worker) {
    reduce_rows(problem, group * n / groups, (group + 1) * n / groups,
                reduced[static_cast<std::size_t>(group)].columns(), pause_of(group, groups, worker));
  });
  for (Index distance = 1; distance < groups; distance *= 2) {
    const Index pairs = ceil_divide(groups - distance, 2 * distance);
    const int useful = static_cast<int>(std::min<Index>(threads, pairs));
    parallel_for_workers(pairs, useful, monitor, [&](Index pair, int worker) {
      const auto first = static_cast<std::size_t>(2 * distance * pair),
                 second = first + static_cast<std::size_t>(distance);
      take_in(reduced[first].columns(), d, p, reduced[second].columns(), d, true, pause_of(1, 1, worker));
    });
  }
  const Columns<T> result = reduced[0].columns();
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) problem.R(i, j) = result(i, j);
    for (Index j = 0; j < p; ++j) problem.C(i, j) = result(i, d + j);
  }
}

template void tall_skinny_qr(const QrProblem<float>&, const RunOptions&);
template void tall_skinny_qr(const QrProblem<double>&, const RunOptions&);

}  // namespace nearlinear::linalg
