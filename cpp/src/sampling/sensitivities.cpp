#include "nearlinear/sampling/sensitivities.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "linalg/progress.hpp"
#include "nearlinear/core/random.hpp"
#include "sampling/lewis_iteration.hpp"
#include "sampling/rows_in_white.hpp"

namespace nearlinear {
namespace {

using sampling::LossFunction;
using sampling::Scratch;
using sampling::SensitivityPrograms;
using sampling::WhiteRows;

constexpr int signings = 8;  // sums of a bucket with random signs

/// body(k, scratch) for k < count, each of some `nanoseconds`.
template <class Body>
void for_programs(Index count, double nanoseconds, const RunOptions& run, const Body& body) {
  const double total = std::min(1e18, static_cast<double>(count) * nanoseconds);
  const int threads = thread_count(run.n_threads, static_cast<Index>(total));
  std::vector<Scratch> scratch(static_cast<std::size_t>(threads));
  Monitor monitor(run.keep_going);
  parallel_for_workers(count, threads, monitor,
                       [&](Index k, int worker) { body(k, scratch[static_cast<std::size_t>(worker)]); });
}

/// values_k <- the sensitivity of the k-th row.
SensitivityResult sensitivities_of(const WhiteRows& V, const SensitivityPrograms& programs, std::span<const Index> rows,
                                   std::span<double> values, const RunOptions& run) {
  const auto count = std::ssize(rows);
  const Array<double> gaps(count), fails(count);
  for_programs(count, programs.nanoseconds(), run, [&](Index k, Scratch& scratch) {
    const auto c = std::span<double>(scratch.room(23, V.rank), static_cast<std::size_t>(V.rank));
    const Index row = rows[static_cast<std::size_t>(k)];
    V.copy(row, c.data());
    const auto outcome = programs.sensitivity(c, row, scratch);
    values[static_cast<std::size_t>(k)] = outcome.value;
    gaps[k] = outcome.gap;
    fails[k] = outcome.converged ? 0 : 1;
  });
  SensitivityResult result{.programs = count};
  for (Index k = 0; k < count; ++k) {
    result.gap = std::max(result.gap, gaps[k]);
    result.unconverged += fails[k] > 0 ? 1 : 0;
  }
  return result;
}

/// Rows are dealt into buckets, and what a bucket's sums with random signs have is an upper bound, as a rule, of what
/// its rows have: for the x that is best for row i, |sum_j +-a_j^T x| >= |a_i^T x| with probability 1/2 or more.
SensitivityResult bucket_sensitivities(const WhiteRows& V, const SensitivityPrograms& programs, Index alpha,
                                       std::uint64_t seed, std::span<double> all, const RunOptions& run) {
  const Index n = V.rows, buckets = ceil_divide(n, alpha);
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  const RandomStream shuffle(seed, 1), signs(seed, 2);
  for (Index i = n - 1; i > 0; --i) {
    const auto other = static_cast<Index>(shuffle.uniform(static_cast<std::uint64_t>(i)) * static_cast<double>(i + 1));
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(other)]);
  }
  const Array<double> found(buckets * signings), fails(buckets * signings);
  for_programs(buckets * signings, programs.nanoseconds(), run, [&](Index k, Scratch& scratch) {
    const Index bucket = k / signings, signing = k % signings;
    const auto c = std::span<double>(scratch.room(23, V.rank), static_cast<std::size_t>(V.rank));
    std::fill(c.begin(), c.end(), 0.0);
    for (Index at = bucket * alpha; at < std::min(n, (bucket + 1) * alpha); ++at) {
      const Index i = order[static_cast<std::size_t>(at)];
      const double sign = signs.sign(static_cast<std::uint64_t>(signing * n + i));
      for (Index j = 0; j < V.rank; ++j) c[static_cast<std::size_t>(j)] += sign * V.entries[j * n + i];
    }
    const auto outcome = programs.sensitivity(c, -1, scratch);
    found[k] = outcome.value;
    fails[k] = outcome.converged ? 0 : 1;
  });
  SensitivityResult result{.programs = buckets * signings};
  for (Index k = 0; k < buckets * signings; ++k) result.unconverged += fails[k] > 0 ? 1 : 0;
  for (Index at = 0; at < n; ++at) {
    const Index i = order[static_cast<std::size_t>(at)], bucket = at / alpha;
    const double* const of_bucket = found.data() + bucket * signings;
    all[static_cast<std::size_t>(i)] = V.leverage[i] > 0 ? *std::max_element(of_bucket, of_bucket + signings) : 0;
  }
  return result;
}

/// For p = 1, 2, ... upper bounds of all sensitivities from Lewis weights and leverage scores.
void bound_sensitivities(const WhiteRows& V, double p, std::span<const double> lewis, std::span<double> bounds) {
  const auto n = static_cast<double>(V.rows), d = static_cast<double>(V.rank);
  for (Index i = 0; i < V.rows; ++i) {
    const double by_lewis = std::pow(d, std::max(p / 2 - 1, 0.0)) * lewis[static_cast<std::size_t>(i)];
    const double by_leverage = std::pow(V.leverage[i], p / 2) * (p > 2 ? std::pow(n, p / 2 - 1) : 1);
    bounds[static_cast<std::size_t>(i)] = std::min({1.0, by_lewis, by_leverage});
  }
}

}  // namespace

SensitivityResult sensitivities(const StoredMatrix& A, double p, std::span<const Index> rows, std::span<double> values,
                                const SensitivityOptions& options, const RunOptions& run) {
  constexpr const char* name = "sensitivities";
  const auto matrix = sampling::matrix_of(A, name);
  const bool is_lp = options.loss == RowLoss::lp;
  if (is_lp) sampling::require_valid_p(p, name);
  require(rows.size() == values.size(), name, ": rows has ", rows.size(), " entries and values has ", values.size());
  for (std::size_t k = 0; k < rows.size(); ++k)
    require(rows[k] >= 0 && rows[k] < matrix->rows(), name, ": rows has the entry ", rows[k], " at index ", k,
            "; A has ", matrix->rows(), " rows");
  require(options.alpha >= 0, name, ": alpha is ", options.alpha, "; it must be positive");
  require(is_lp || options.method != SensitivityMethod::bucket, name, ": method bucket goes with loss lp alone");
  linalg::Progress progress(run);
  const WhiteRows V = sampling::white_rows(*matrix, name, progress.part(0, 0.05));
  if (V.rank == 0) {  // log 2 each for logistic loss, and nothing for the others
    const double value = options.loss == RowLoss::logistic ? 1 / static_cast<double>(V.rows) : 0;
    std::fill(values.begin(), values.end(), value);
    return {};
  }
  if (is_lp && p == 2 && options.method != SensitivityMethod::bucket) {
    for (std::size_t k = 0; k < rows.size(); ++k) values[k] = std::min(1.0, V.leverage[rows[k]]);
    return {};
  }
  const bool is_exact = options.method == SensitivityMethod::exact;
  const SensitivityPrograms programs(V, LossFunction(options.loss, p), is_exact, options.seed,
                                     progress.part(0.05, 0.1));
  if (options.method != SensitivityMethod::bucket)
    return sensitivities_of(V, programs, rows, values, progress.part(0.1, 1));
  constexpr Index default_alpha = 32;
  const Array<double> all(V.rows);
  const Index alpha = std::min(V.rows, options.alpha == 0 ? default_alpha : options.alpha);
  const SensitivityResult result =
      bucket_sensitivities(V, programs, alpha, options.seed, all.span(), progress.part(0.1, 1));
  for (std::size_t k = 0; k < rows.size(); ++k) values[k] = all[rows[k]];
  return result;
}

SensitivityEstimate total_sensitivity(const StoredMatrix& A, double p, Index programs, SensitivityMethod method,
                                      std::uint64_t seed, const RunOptions& run) {
  constexpr const char* name = "total_sensitivity";
  const auto matrix = sampling::matrix_of(A, name);
  sampling::require_valid_p(p, name);
  require(programs >= 0, name, ": programs is ", programs, "; it must not be negative");
  require(method != SensitivityMethod::bucket, name, ": method is bucket; it must be exact or coreset");
  linalg::Progress progress(run);
  const WhiteRows V = sampling::white_rows(*matrix, name, progress.part(0, 0.1));
  if (V.rank == 0 || p == 2) return {static_cast<double>(V.rank), 0, 0, 0};
  const auto white = sampling::matrix_of(TransposedView{V.view()}, name);
  const Array<double> weights(V.rows), cumulative(V.rows);
  (void)sampling::find_lewis_weights(*white, p, weights.span(), {.tol = 0.05, .maxiter = 50}, name,
                                     progress.part(0.1, 0.2));
  std::partial_sum(weights.begin(), weights.end(), cumulative.begin());
  const double total = cumulative[V.rows - 1];
  const Index wanted =
      programs > 0 ? programs : std::max<Index>(64, static_cast<Index>(8 * std::sqrt(static_cast<double>(V.rank))));
  const RandomStream random(seed, 3);
  std::vector<Index> rows(static_cast<std::size_t>(wanted));
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const double target = total * random.uniform(k);
    rows[k] = std::min(V.rows - 1, static_cast<Index>(std::upper_bound(cumulative.begin(), cumulative.end(), target) -
                                                      cumulative.begin()));
  }
  const SensitivityPrograms solver(V, LossFunction(RowLoss::lp, p), method == SensitivityMethod::exact, seed,
                                   progress.part(0.2, 0.25));
  const Array<double> values(wanted);
  const SensitivityResult solved = sensitivities_of(V, solver, rows, values.span(), progress.part(0.25, 1));
  double sum = 0, squares = 0;
  for (Index k = 0; k < wanted; ++k) {
    values[k] *= total / weights[rows[static_cast<std::size_t>(k)]];
    sum += values[k];
  }
  const double mean = sum / static_cast<double>(wanted);
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double error =
      wanted > 1 ? std::sqrt(squares / static_cast<double>(wanted - 1) / static_cast<double>(wanted)) : mean;
  return {mean, error, wanted, solved.unconverged};
}

LargestSensitivity max_sensitivity(const StoredMatrix& A, double p, Index most_programs, const RunOptions& run) {
  constexpr const char* name = "max_sensitivity";
  const auto matrix = sampling::matrix_of(A, name);
  sampling::require_valid_p(p, name);
  require(most_programs >= 1, name, ": most_programs is ", most_programs, "; it must be at least 1");
  linalg::Progress progress(run);
  const WhiteRows V = sampling::white_rows(*matrix, name, progress.part(0, 0.1));
  LargestSensitivity result;
  if (V.rank == 0) return result;
  if (p == 2) {
    const double* const largest = std::max_element(V.leverage.begin(), V.leverage.end());
    const double value = std::min(1.0, *largest);
    return {value, value, largest - V.leverage.begin(), 0, 0};
  }
  const auto white = sampling::matrix_of(TransposedView{V.view()}, name);
  const Array<double> lewis(V.rows), bounds(V.rows);
  const LewisOptions accurate{.tol = 1e-6, .maxiter = 200};
  const LewisResult found =
      sampling::find_lewis_weights(*white, p, lewis.span(), accurate, name, progress.part(0.1, 0.2));
  const double slack = 1 + found.certificate * std::max(1.0, p);  // of bounds by weights that are not quite exact
  for (double& weight : lewis) weight *= slack;
  bound_sensitivities(V, p, lewis.span(), bounds.span());
  std::vector<Index> order(static_cast<std::size_t>(V.rows));
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(),
            [&](Index a, Index b) { return bounds[a] > bounds[b] || (bounds[a] == bounds[b] && a < b); });
  const SensitivityPrograms solver(V, LossFunction(RowLoss::lp, p), true, 0, progress.part(0.2, 0.25));
  constexpr Index batch = 32;
  Array<double> values(batch);
  for (Index begin = 0; begin < V.rows; begin += batch) {
    if (bounds[order[static_cast<std::size_t>(begin)]] <= result.value) break;
    if (result.programs >= most_programs) break;
    const Index size = std::min({batch, V.rows - begin, most_programs - result.programs});
    const std::span<const Index> rows(order.data() + begin, static_cast<std::size_t>(size));
    const double done = static_cast<double>(begin) / static_cast<double>(V.rows);
    result.unconverged += sensitivities_of(V, solver, rows, values.span().first(static_cast<std::size_t>(size)),
                                           progress.part(0.25 + 0.75 * done, 0.25 + 0.75 * done))
                              .unconverged;
    for (Index k = 0; k < size; ++k)
      if (values[k] > result.value) result.value = values[k], result.row = rows[static_cast<std::size_t>(k)];
    result.programs += size;
  }
  const Index next = result.programs;
  const double left = next < V.rows ? bounds[order[static_cast<std::size_t>(next)]] : 0;
  result.bound = std::max(result.value, left);
  return result;
}

}  // namespace nearlinear
