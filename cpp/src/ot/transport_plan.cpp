// Plans, row by row.
#include "nearlinear/ot/transport_plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "linalg/reduction.hpp"
#include "nearlinear/core/errors.hpp"
#include "ot/costs.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr Index block_rows = 8;

/// Room for a row of the plan and for a tile of costs.
struct Scratch {
  std::vector<double> t, tile;

  explicit Scratch(Index m) : t(static_cast<std::size_t>(m) + 8), tile(static_cast<std::size_t>(Costs::tile + 32)) {}
};

}  // namespace

template <class T>
struct TransportPlan<T>::State {
  Costs costs;
  std::vector<double> f, g;  // -Inf in columns without mass
  std::vector<bool> is_zero_row;
  double reg;

  [[nodiscard]] int threads(const RunOptions& run, double nanoseconds) const {
    constexpr double most = 1e18;
    const double pairs = static_cast<double>(costs.rows()) * static_cast<double>(costs.cols());
    return thread_count(run.n_threads,
                        static_cast<Index>(std::min(most, pairs * (costs.nanoseconds_per_pair() + nanoseconds))));
  }

  /// scratch.t <- row i; returns its sum.
  double row(Index i, Scratch& scratch) const {
    if (is_zero_row[static_cast<std::size_t>(i)]) {
      std::fill(scratch.t.begin(), scratch.t.end(), 0.0);
      return 0;
    }
    double sum = 0;
    costs.for_tiles(i, scratch.tile.data(), [&]<class Cost>(const Cost* cost, Index first, Index count) {
      sum += row_kernels<Cost>().exponentials(cost, g.data() + first, count, f[static_cast<std::size_t>(i)], 1 / reg,
                                              scratch.t.data() + first);
    });
    return sum;
  }

  /// body(i, scratch, sum of the row) for the rows [begin, end), in blocks.
  template <class Body>
  void for_rows(Index begin, Index end, double nanoseconds, const RunOptions& run, const Body& body) const {
    Monitor monitor(run.keep_going);
    const Index blocks = (end - begin + block_rows - 1) / block_rows;
    const int workers = threads(run, nanoseconds);
    std::vector<Scratch> scratch(static_cast<std::size_t>(workers), Scratch(costs.cols()));
    parallel_for_workers(blocks, workers, monitor, [&](Index block, int worker) {
      Scratch& own = scratch[static_cast<std::size_t>(worker)];
      const Index first = begin + block * block_rows;
      for (Index i = first; i < std::min(end, first + block_rows); ++i) {
        const double sum = row(i, own);
        body(i, own, sum);
      }
    });
  }

  /// The columns that are kept of a row, ascending.
  void select(const std::vector<double>& t, double sum, const PlanSelection& selection,
              std::vector<Index>& kept) const {
    const Index m = costs.cols();
    const double bound = std::max(0.0, selection.tol * sum);
    kept.clear();
    for (Index j = 0; j < m; ++j)
      if (t[static_cast<std::size_t>(j)] > bound) kept.push_back(j);
    const auto larger = [&t](Index i, Index j) {
      const double x = t[static_cast<std::size_t>(i)], y = t[static_cast<std::size_t>(j)];
      return x > y || (x == y && i < j);
    };
    const bool bounds_mass = selection.mass > 0;
    if (selection.top_k > 0 && selection.top_k < std::ssize(kept)) {
      std::nth_element(kept.begin(), kept.begin() + selection.top_k, kept.end(), larger);
      kept.resize(static_cast<std::size_t>(selection.top_k));
    }
    if (bounds_mass) {
      std::sort(kept.begin(), kept.end(), larger);
      double held = 0;
      std::size_t count = 0;
      while (count < kept.size() && held < selection.mass * sum) held += t[static_cast<std::size_t>(kept[count++])];
      kept.resize(count);
    }
    if (bounds_mass || selection.top_k > 0) std::sort(kept.begin(), kept.end());
  }
};

template <class T>
TransportPlan<T>::TransportPlan(const TransportCost<T>& cost, std::span<const double> f, std::span<const double> g,
                                double reg, std::span<const double> a, std::span<const double> b) {
  require_valid_cost(cost, "TransportPlan");
  const Index n = cost_rows(cost), m = cost_cols(cost);
  require(std::ssize(f) == n && std::ssize(g) == m, "TransportPlan: f has ", std::ssize(f), " entries and g has ",
          std::ssize(g), "; there must be ", n, " and ", m);
  require(a.empty() || std::ssize(a) == n, "TransportPlan: a has ", std::ssize(a), " entries; there must be ", n);
  require(b.empty() || std::ssize(b) == m, "TransportPlan: b has ", std::ssize(b), " entries; there must be ", m);
  require(reg > 0 && std::isfinite(1 / reg), "TransportPlan: reg is ", reg, "; it must be positive and finite");
  state_ = std::make_unique<State>(State{.costs = Costs(cost, nullptr, nullptr),
                                         .f = {f.begin(), f.end()},
                                         .g = {g.begin(), g.end()},
                                         .is_zero_row = std::vector<bool>(f.size(), false),
                                         .reg = reg});
  for (std::size_t i = 0; i < a.size(); ++i) state_->is_zero_row[i] = !(a[i] > 0);
  for (std::size_t j = 0; j < b.size(); ++j)
    if (!(b[j] > 0)) state_->g[j] = -std::numeric_limits<double>::infinity();
}

template <class T>
TransportPlan<T>::TransportPlan(TransportPlan&&) noexcept = default;
template <class T>
TransportPlan<T>& TransportPlan<T>::operator=(TransportPlan&&) noexcept = default;
template <class T>
TransportPlan<T>::~TransportPlan() = default;

template <class T>
Index TransportPlan<T>::rows() const {
  return state_->costs.rows();
}
template <class T>
Index TransportPlan<T>::cols() const {
  return state_->costs.cols();
}

template <class T>
void TransportPlan<T>::normalize_rows(const RunOptions& run) {
  State& state = *state_;
  Monitor monitor(run.keep_going);
  const int workers = state.threads(run, 1);
  std::vector<Scratch> scratch(static_cast<std::size_t>(workers), Scratch(cols()));
  std::fill(state.is_zero_row.begin(), state.is_zero_row.end(), false);
  parallel_for_workers(rows(), workers, monitor, [&](Index i, int worker) {
    Scratch& own = scratch[static_cast<std::size_t>(worker)];
    double largest = -std::numeric_limits<double>::infinity();
    state.costs.for_tiles(i, own.tile.data(), [&]<class Cost>(const Cost* cost, Index first, Index count) {
      largest = std::max(largest, row_kernels<Cost>().largest_slack(cost, state.g.data() + first, count));
    });
    double& f = state.f[static_cast<std::size_t>(i)];
    f = -largest;
    f -= state.reg * std::log(state.row(i, own));
  });
}

template <class T>
void TransportPlan<T>::dense(Index begin, MatrixView<T> out, const RunOptions& run) const {
  require(out.cols() == cols() && begin >= 0 && begin + out.rows() <= rows(), "TransportPlan: out is ", shape(out),
          " for rows from ", begin, " on of a plan that is ", rows(), " x ", cols());
  state_->for_rows(begin, begin + out.rows(), 0.2, run, [&](Index i, const Scratch& scratch, double) {
    std::transform(scratch.t.begin(), scratch.t.begin() + cols(), out.row(i - begin).begin(),
                   [](double entry) { return static_cast<T>(entry); });
  });
}

template <class T>
void TransportPlan<T>::multiply(MatrixView<const double> X, MatrixView<double> Y, const RunOptions& run) const {
  const Index k = X.cols();
  require(X.rows() == cols() && Y.rows() == rows() && Y.cols() == k, "TransportPlan: X is ", shape(X), " and Y is ",
          shape(Y), "; the plan is ", rows(), " x ", cols());
  std::vector<double> by_columns(static_cast<std::size_t>(cols() * k));
  for (Index j = 0; j < cols(); ++j)
    for (Index l = 0; l < k; ++l) by_columns[static_cast<std::size_t>(l * cols() + j)] = X(j, l);
  state_->for_rows(0, rows(), 0.2 * static_cast<double>(k), run, [&](Index i, const Scratch& scratch, double) {
    for (Index l = 0; l < k; ++l) Y(i, l) = kernels().dot(scratch.t.data(), by_columns.data() + l * cols(), cols());
  });
}

template <class T>
void TransportPlan<T>::multiply_transposed(MatrixView<const double> X, MatrixView<double> Y,
                                           const RunOptions& run) const {
  const Index n = rows(), m = cols(), k = X.cols();
  require(X.rows() == n && Y.rows() == m && Y.cols() == k, "TransportPlan: X is ", shape(X), " and Y is ", shape(Y),
          "; the transposed plan is ", m, " x ", n);
  const Index size = checked_product(m, k);
  const Index groups = linalg::group_count(n, block_rows, size * Index{sizeof(double)});
  std::vector<double> by_columns(static_cast<std::size_t>(size));
  Monitor monitor(run.keep_going);
  linalg::sum_over_groups<double>(groups, size, state_->threads(run, 0.2 * static_cast<double>(k)), monitor,
                                  by_columns.data(), [&](Index group, double* partial, const linalg::Poll& poll) {
                                    const linalg::RowGroup range(n, block_rows, groups, group);
                                    Scratch scratch(m);
                                    for (Index i = range.begin; i < range.end; ++i) {
                                      poll(range.fraction(i));
                                      state_->row(i, scratch);
                                      for (Index l = 0; l < k; ++l)
                                        kernels().add_scaled(scratch.t.data(), m, X(i, l), partial + l * m);
                                    }
                                  });
  for (Index j = 0; j < m; ++j)
    for (Index l = 0; l < k; ++l) Y(j, l) = by_columns[static_cast<std::size_t>(l * m + j)];
}

template <class T>
CsrMatrix<T, Index> TransportPlan<T>::sparse(const PlanSelection& selection, const RunOptions& run) const {
  require(selection.tol < 1 && selection.mass >= 0 && selection.mass <= 1 && selection.top_k >= 0,
          "TransportPlan: tol must be below 1, mass in [0, 1], top_k not negative");
  const Index n = rows();
  const Index blocks = (n + block_rows - 1) / block_rows;
  std::vector<std::vector<Index>> columns(static_cast<std::size_t>(blocks));
  std::vector<std::vector<T>> values(columns.size());
  CsrMatrix<T, Index> plan{n, cols(), Array<Index>(n + 1), {}, {}};
  state_->for_rows(0, n, 2, run, [&](Index i, const Scratch& scratch, double sum) {
    std::vector<Index> kept;
    state_->select(scratch.t, sum, selection, kept);
    const auto block = static_cast<std::size_t>(i / block_rows);
    columns[block].insert(columns[block].end(), kept.begin(), kept.end());
    for (const Index j : kept) values[block].push_back(static_cast<T>(scratch.t[static_cast<std::size_t>(j)]));
    plan.indptr[i + 1] = std::ssize(kept);
  });
  plan.indptr[0] = 0;
  for (Index i = 0; i < n; ++i) plan.indptr[i + 1] += plan.indptr[i];
  plan.indices = Array<Index>(plan.indptr[n]);
  plan.data = Array<T>(plan.indptr[n]);
  Index place = 0;
  for (std::size_t block = 0; block < columns.size(); ++block) {
    std::copy(columns[block].begin(), columns[block].end(), plan.indices.begin() + place);
    std::copy(values[block].begin(), values[block].end(), plan.data.begin() + place);
    place += std::ssize(columns[block]);
  }
  return plan;
}

template class TransportPlan<float>;
template class TransportPlan<double>;

}  // namespace nearlinear
