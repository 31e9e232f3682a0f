// Passes over all pairs.
#include "ot/row_passes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "linalg/reduction.hpp"

namespace nearlinear::ot {
namespace {

constexpr Index block_rows = 8;           // groups are whole blocks of it
constexpr double largest_exponent = 600;  // of a marginal's ratio to its mass: products with it are numbers

double dot(std::span<const double> x, const double* y) { return std::inner_product(x.begin(), x.end(), y, 0.0); }

}  // namespace

void Problem::col_targets(double reg, std::span<const double> g, std::span<double> targets) const {
  if (!is_soft_in_columns()) {
    std::copy(b.begin(), b.end(), targets.begin());
    return;
  }
  for (std::size_t j = 0; j < b.size(); ++j)
    targets[j] = b[j] * std::exp(std::min(largest_exponent, -(g[j] + shift(reg)) / rho_b));
}

double Problem::log_sum_of_targets(double reg, std::span<const double> g) const {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const double entry : g) largest = std::max(largest, -(entry + shift(reg)) / rho_b);
  for (std::size_t j = 0; j < g.size(); ++j) sum += b[j] * std::exp(-(g[j] + shift(reg)) / rho_b - largest);
  return largest + std::log(sum);
}

double Problem::semi_dual_value(double reg, std::span<const double> f, std::span<const double> g,
                                std::span<const double> r) const {
  double value = 0;
  if (rho_a < std::numeric_limits<double>::infinity())
    for (std::size_t i = 0; i < f.size(); ++i)
      value -= rho_a * a[i] * std::expm1(std::min(largest_exponent, -f[i] / rho_a)) + reg * r[i];
  else
    value = dot(a, f.data());
  if (!is_soft_in_columns()) return value + dot(b, g.data());
  for (std::size_t j = 0; j < b.size(); ++j)
    value -= rho_b * b[j] * std::expm1(std::min(largest_exponent, -(g[j] + shift(reg)) / rho_b));
  return value;
}

RowPasses::RowPasses(const Problem& problem, int n_threads, Monitor& monitor, PassMemory& memory)
    : problem_(problem),
      n_threads_(n_threads),
      monitor_(monitor),
      memory_(memory),
      groups_(linalg::group_count(problem.rows(), block_rows, problem.cols() * Index{sizeof(double)})),
      row_scratch_(problem.cols() + 8 + Costs::tile + 32),
      workers_(threads(problem.costs.nanoseconds_per_pair())),
      row_values_(problem.rows()) {
  reserve(memory.partials, checked_product(groups_, problem.cols()));
  reserve(memory.scratch, checked_product(workers_, row_scratch_));
}

int RowPasses::threads(double nanoseconds) const {
  constexpr double most = 1e18;
  return thread_count(n_threads_, static_cast<Index>(std::min(most, problem_.pairs() * nanoseconds)));
}

void RowPasses::add_partials(double* total) {
  const Index m = problem_.cols();
  std::copy_n(memory_.partials.data(), m, total);
  for (Index group = 1; group < groups_; ++group)
    kernels().add_scaled(memory_.partials.data() + group * m, m, 1.0, total);
}

void RowPasses::sum_groups(double nanoseconds, double* total,
                           const std::function<void(Index begin, Index end, double* sums)>& body) {
  constexpr Index rows_between_polls = 64;
  const Index n = problem_.rows(), m = problem_.cols();
  parallel_for_workers(groups_, threads(nanoseconds), monitor_, [&](Index group, int worker) {
    const linalg::RowGroup rows(n, block_rows, groups_, group);
    double* const sums = memory_.partials.data() + group * m;
    if (total != nullptr) std::fill_n(sums, m, 0.0);
    for (Index begin = rows.begin; begin < rows.end; begin += rows_between_polls) {
      if (worker == 0)
        monitor_.poll((static_cast<double>(group) + rows.fraction(begin)) / static_cast<double>(groups_));
      body(begin, std::min(begin + rows_between_polls, rows.end), sums);
    }
  });
  if (total != nullptr) add_partials(total);
}

void RowPasses::for_groups(double nanoseconds, const std::function<void(Index begin, Index end)>& body) {
  sum_groups(nanoseconds, nullptr, [&body](Index begin, Index end, double*) { body(begin, end); });
}

void RowPasses::sum_rows(double nanoseconds, double* total,
                         const std::function<void(Index i, const RowScratch& scratch, double* sums)>& body) {
  const Index n = problem_.rows(), m = problem_.cols();
  const int workers = std::min(threads(nanoseconds), workers_);
  parallel_for_workers(groups_, workers, monitor_, [&](Index group, int worker) {
    const linalg::RowGroup rows(n, block_rows, groups_, group);
    double* const t = memory_.scratch.data() + worker * row_scratch_;
    const RowScratch scratch{t, t + m + 8};
    double* const sums = memory_.partials.data() + group * m;
    if (total != nullptr) std::fill_n(sums, m, 0.0);
    for (Index i = rows.begin; i < rows.end; ++i) {
      if (worker == 0) monitor_.poll((static_cast<double>(group) + rows.fraction(i)) / static_cast<double>(groups_));
      body(i, scratch, sums);
    }
  });
  if (total != nullptr) add_partials(total);
}

void RowPasses::for_rows(double nanoseconds, const std::function<void(Index i, const RowScratch& scratch)>& body) {
  sum_rows(nanoseconds, nullptr, [&body](Index i, const RowScratch& scratch, double*) { body(i, scratch); });
}

double RowPasses::plan_row(Index i, double reg, double f, const double* g, const RowScratch& scratch,
                           bool is_coarse) const {
  double sum = 0;
  problem_.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
    const auto& rows = row_kernels<T>();
    const auto exponentials = is_coarse ? rows.coarse_exponentials : rows.exponentials;
    sum += exponentials(cost, g + first, count, f, 1 / reg, scratch.t + first);
  });
  return sum;
}

void RowPasses::fit_rows(double reg, std::span<const double> g, std::span<double> f, std::span<double> r,
                         std::span<double> c, float* stored) {
  const double smallest_sum = is_coarse_ ? 1e-30 : 1e-280, largest_sum = is_coarse_ ? 1e30 : 1e280;
  const Index m = problem_.cols();
  const double rho = problem_.rho_a;
  const bool is_soft = rho < std::numeric_limits<double>::infinity();
  ++passes_;
  sum_rows(problem_.costs.nanoseconds_per_pair(), c.data(), [&](Index row, const RowScratch& scratch, double* sums) {
    const auto i = static_cast<std::size_t>(row);
    double sum = plan_row(row, reg, f[i], g.data(), scratch, is_coarse_);
    if (!(sum > smallest_sum && sum < largest_sum)) {
      // f_i is too far from where it should be: begin where the largest exponential is 1.
      double largest = -std::numeric_limits<double>::infinity();
      problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
        largest = std::max(largest, row_kernels<T>().largest_slack(cost, g.data() + first, count));
      });
      f[i] = -largest;
      sum = plan_row(row, reg, f[i], g.data(), scratch, is_coarse_);
    }
    f[i] += reg * std::log(problem_.a[i] / sum);  // of exact rows
    r[i] = problem_.a[i];
    if (is_soft) {
      f[i] /= 1 + reg / rho;
      r[i] *= std::exp(std::min(largest_exponent, -f[i] / rho));
    }
    kernels().add_scaled(scratch.t, m, r[i] / sum, sums);
    if (stored != nullptr) kernels().store_scaled(scratch.t, m, 1 / sum, stored + row * m);
  });
}

PlanTotals RowPasses::totals(double reg, const double* f, const double* g, double* r, double* c, bool with_cost) {
  const Index m = problem_.cols();
  ++passes_;
  sum_rows(problem_.costs.nanoseconds_per_pair(), c, [&](Index i, const RowScratch& scratch, double* sums) {
    r[i] = plan_row(i, reg, f[i], g, scratch);
    kernels().add_scaled(scratch.t, m, 1.0, sums);
    if (!with_cost) return;
    double cost = 0;
    problem_.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* costs, Index first, Index count) {
      cost += row_kernels<T>().total_cost(costs, scratch.t + first, count);
    });
    row_values_[i] = cost;
  });
  PlanTotals totals;
  for (Index i = 0; i < problem_.rows(); ++i) {
    totals.mass += r[i];
    if (with_cost) totals.cost += row_values_[i];
  }
  return totals;
}

void RowPasses::normal_product(double reg, const double* f, const double* g, const double* x, const double* w,
                               double* q) {
  const Index m = problem_.cols();
  ++passes_;
  sum_rows(problem_.costs.nanoseconds_per_pair(), q, [&](Index i, const RowScratch& scratch, double* sums) {
    plan_row(i, reg, f[i], g, scratch);
    kernels().add_scaled(scratch.t, m, w[i] * kernels().dot(scratch.t, x, m), sums);
  });
}

}  // namespace nearlinear::ot
