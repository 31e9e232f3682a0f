// Checks, scaling, and what a fit's caller sees of it.
#include "nearlinear/completion/complete.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "completion/fit.hpp"
#include "completion/journal.hpp"
#include "completion/rank_search.hpp"
#include "completion/spectral_start.hpp"
#include "linalg/progress.hpp"

namespace nearlinear {
namespace {

constexpr const char* caller = "complete";

using completion::Goal;
using completion::HalfSweeps;
using completion::Journal;
using completion::Observations;
using completion::PaddedFactor;
using completion::Scale;
using completion::Side;

void check(Index rows, Index cols, Index rank, const CompletionOptions& options) {
  require(rows >= 1 && cols >= 1, caller, ": X is ", Shape{rows, cols}, "; it must have rows and columns");
  require(rank >= (options.biases ? 0 : 1) || rank == unknown_rank, caller, ": rank is ", rank,
          "; it must be at least ", options.biases ? "0" : "1, or 0 with biases");
  require(rank != unknown_rank || (!options.implicit && !options.nonnegative), caller,
          ": rank must be given for implicit feedback and for a non-negative model");
  require(rank != unknown_rank || options.start == nullptr, caller, ": rank must be given with a start");
  require(rank <= std::min(rows, cols), caller, ": rank is ", rank, " and X is ", Shape{rows, cols},
          "; the rank of such a matrix is at most ", std::min(rows, cols));
  require(options.lam >= 0 && std::isfinite(options.lam), caller, ": lam is ", options.lam,
          "; it must be finite and not negative");
  require(options.tol >= 0 && std::isfinite(options.tol), caller, ": tol is ", options.tol,
          "; it must be finite and not negative");
  require(options.maxiter >= 1, caller, ": maxiter is ", options.maxiter, "; it must be at least 1");
  require(options.patience >= 1, caller, ": patience is ", options.patience, "; it must be at least 1");
  const bool is_projection = options.solver == CompletionSolver::variable_projection;
  require(!options.nonnegative || options.solver == CompletionSolver::automatic ||
              options.solver == CompletionSolver::alternating_exact,
          caller, ": a non-negative model needs the solver `als`");
  require(!options.nonnegative || !options.biases, caller,
          ": a non-negative model has no biases: they would make what the factors fit negative");
  require(!options.implicit || !options.biases, caller, ": a model of implicit feedback has no biases");
  require(!options.implicit || !options.nonnegative, caller,
          ": a model of implicit feedback cannot be non-negative too");
  require(!options.implicit || !is_projection, caller, ": implicit feedback cannot be fitted by the solver `vp`");
  require(!options.implicit || options.solver != CompletionSolver::sketch, caller,
          ": implicit feedback cannot be fitted by the solver `sketch`");
}

void require_valid(const ValidationEntries& validation, Index rows, Index cols) {
  const auto count = validation.values.size();
  require(validation.rows.size() == count && validation.cols.size() == count, caller, ": validation has ",
          validation.rows.size(), " rows, ", validation.cols.size(), " columns and ", count,
          " values; they must be as many");
  for (std::size_t e = 0; e < count; ++e) {
    require(validation.rows[e] >= 0 && validation.rows[e] < rows, caller, ": validation has the row ",
            validation.rows[e], " at index ", e, "; X has ", rows, " rows");
    require(validation.cols[e] >= 0 && validation.cols[e] < cols, caller, ": validation has the column ",
            validation.cols[e], " at index ", e, "; X has ", cols, " columns");
    require(std::isfinite(validation.values[e]), caller, ": validation has the value ", validation.values[e],
            " at index ", e, "; all must be finite");
  }
}

void require_valid_start(const LowRankModel& start, Index rows, Index cols, Index rank, bool has_biases) {
  require(start.rows == rows && start.cols == cols && start.rank == rank, caller, ": the start is ",
          Shape{start.rows, start.cols}, " of rank ", start.rank, "; it must be ", Shape{rows, cols}, " of rank ",
          rank);
  require(start.has_biases() == has_biases, caller, ": the start must have biases if and only if the model does");
  for (const Array<double>* part : {&start.left, &start.right, &start.row_bias, &start.col_bias})
    for (const double value : *part) require(std::isfinite(value), caller, ": the start has the entry ", value);
}

void require_nonnegative(const Observations& observed) {
  const Side& rows = observed.rows;
  for (Index i = 0; i < rows.lines; ++i)
    for (Index e = rows.begin[i]; e < rows.begin[i + 1]; ++e)
      require(rows.value[e] >= 0, caller, ": X has the entry ", rows.value[e], " in row ", i, ", column ", rows.at[e],
              "; a non-negative model needs entries that are not negative");
}

/// Which entries are left once lines of fewer than `needed` entries are dropped, and lines that have fewer for that,
/// and so on.
std::vector<bool> core_of(const Observations& observed, Index needed) {
  struct Half {
    const Side& side;
    std::vector<Index> counts;
    std::vector<bool> keeps;
  };
  struct Line {
    std::size_t half;
    Index number;
  };
  Half halves[] = {{observed.rows, {}, {}}, {observed.cols, {}, {}}};
  std::vector<Line> gone;
  for (std::size_t h = 0; h < 2; ++h) {
    const Side& side = halves[h].side;
    halves[h].keeps.assign(static_cast<std::size_t>(side.lines), true);
    for (Index i = 0; i < side.lines; ++i) {
      halves[h].counts.push_back(side.count(i));
      if (side.count(i) >= needed) continue;
      halves[h].keeps[static_cast<std::size_t>(i)] = false;
      gone.push_back({h, i});
    }
  }
  while (!gone.empty()) {
    const Line line = gone.back();
    gone.pop_back();
    const Side& side = halves[line.half].side;
    Half& other = halves[1 - line.half];
    for (Index e = side.begin[line.number]; e < side.begin[line.number + 1]; ++e) {
      const auto at = static_cast<std::size_t>(side.at[e]);
      if (!other.keeps[at] || --other.counts[at] >= needed) continue;
      other.keeps[at] = false;
      gone.push_back({1 - line.half, side.at[e]});
    }
  }
  std::vector<bool> keeps;
  keeps.reserve(static_cast<std::size_t>(observed.nnz()));
  for (Index i = 0; i < observed.rows.lines; ++i)
    for (Index e = observed.rows.begin[i]; e < observed.rows.begin[i + 1]; ++e)
      keeps.push_back(halves[0].keeps[static_cast<std::size_t>(i)] &&
                      halves[1].keeps[static_cast<std::size_t>(observed.rows.at[e])]);
  return keeps;
}

/// Refuses too few entries, each kind with its first offender.
void require_enough(const Observations& observed, Index rank, bool has_biases) {
  const Index needed = rank + (has_biases ? 1 : 0);
  const auto look = [&](const Side& side, const char* name) {
    Index count = 0, first = -1;
    for (Index i = 0; i < side.lines; ++i) {
      if (side.count(i) >= needed) continue;
      if (count++ == 0) first = i;
    }
    require(count == 0, caller, ": ", name, " ", first, " has ", first < 0 ? 0 : side.count(first), " of the ", needed,
            " entries that its unknowns need, as have ", count, " ", name,
            "s in all; with lam = 0, say by `underdetermined` what to do");
  };
  look(observed.rows, "row");
  look(observed.cols, "column");
  const Index m = observed.rows.lines, n = observed.cols.lines, freedom = rank * (m + n - rank);
  require(observed.nnz() >= freedom, caller, ": X has ", observed.nnz(), " entries, and a matrix of rank ", rank,
          " and this shape has ", freedom, " degrees of freedom; with lam = 0, say by `underdetermined` what to do");
}

/// The largest rank for which all lines have enough entries.
Index determined_rank(const Observations& observed, bool has_biases) {
  Index least = std::min(observed.rows.lines, observed.cols.lines);
  for (const Side* side : {&observed.rows, &observed.cols})
    for (Index i = 0; i < side->lines; ++i) least = std::min(least, side->count(i) - (has_biases ? 1 : 0));
  return least;
}

PaddedFactor factor(const Array<double>& rows, const Array<double>& biases, Index lines, Index rank,
                    const Scale& scale) {
  PaddedFactor result(lines, rank, biases.size() > 0);
  for (Index i = 0; i < lines; ++i) {
    for (Index k = 0; k < rank; ++k) result.row(i)[k] = scale.factor(rows[i * rank + k]);
    if (result.has_bias) result.row(i)[rank] = scale.value(biases[i]);
  }
  return result;
}

void copy_back(const PaddedFactor& factor, const Scale& scale, Array<double>& rows, Array<double>& biases) {
  rows = Array<double>(factor.lines * factor.rank);
  biases = Array<double>(factor.has_bias ? factor.lines : 0);
  for (Index i = 0; i < factor.lines; ++i) {
    for (Index k = 0; k < factor.rank; ++k) rows[i * factor.rank + k] = scale.factor_back(factor.row(i)[k]);
    if (factor.has_bias) biases[i] = scale.value_back(factor.row(i)[factor.rank]);
  }
}

}  // namespace

template <class I>
Completion complete(const CsrView<double, I>& X, std::span<const double> weights, Index rank,
                    const CompletionOptions& options, const ValidationEntries& validation, const RunOptions& run) {
  const auto begin_time = Journal::Clock::now();
  check(X.rows, X.cols, rank, options);
  require_valid(validation, X.rows, X.cols);
  require(!options.chooses_lam || !validation.values.empty(), caller,
          ": lambda cannot be chosen without validation entries");
  linalg::Progress progress(run);
  Observations observed = completion::observe(X, weights, options.duplicates, caller, progress.part(0, 0.05));
  if (options.nonnegative) require_nonnegative(observed);
  const double offset = options.implicit ? completion::make_implicit(observed, caller, progress.part(0.05, 0.05)) : 0;
  require(observed.nnz() > 0, caller, ": X has no observed entry");
  const Scale scale = options.implicit ? Scale{} : completion::rescale(observed);
  double mu = options.biases ? completion::mean(observed) : 0;
  completion::subtract(observed, mu);
  Goal goal{.ridge = {scale.ridge(options.lam), options.lam},
            .is_nonnegative = options.nonnegative,
            .solver = options.solver,
            .homotopy = options.homotopy,
            .tol = options.tol,
            .maxiter = options.maxiter,
            .seed = options.seed,
            .takes_whole_path = options.chooses_lam,
            .bias_unit = scale.ridge_back(1)};
  const bool must_determine = options.lam == 0 && !options.chooses_lam && !options.implicit;
  const bool may_refuse = must_determine && options.underdetermined == Underdetermined::refuse;
  if (rank == unknown_rank) {
    const Index most = may_refuse ? determined_rank(observed, options.biases) : std::min(X.rows, X.cols);
    rank = completion::find_rank(observed, most, options.biases, goal, progress.part(0.05, 0.5));
  }
  if (options.start != nullptr) require_valid_start(*options.start, X.rows, X.cols, rank, options.biases);

  if (may_refuse) require_enough(observed, rank, options.biases);
  if (must_determine && options.underdetermined == Underdetermined::drop) {
    observed =
        completion::select(observed, core_of(observed, rank + (options.biases ? 1 : 0)), progress.part(0.5, 0.5));
    require(observed.nnz() > 0, caller, ": no row and column of X have enough entries for the rank ", rank);
    const double shift = options.biases ? completion::mean(observed) : 0;
    completion::subtract(observed, shift);
    mu += shift;
  }
  Completion result;
  for (const auto& [side, left_out] :
       {std::pair{&observed.rows, &result.left_out_rows}, std::pair{&observed.cols, &result.left_out_cols}})
    for (Index i = 0; i < side->lines; ++i)
      if (side->count(i) == 0) left_out->push_back(i);

  Journal journal(options, validation, scale, mu, 0.5 * offset, begin_time);
  HalfSweeps sweeps(observed, options.implicit, progress.part(0.5, 1));
  goal.report = [&journal](const CompletionStep& step, const PaddedFactor& U, const PaddedFactor& V) {
    return journal.report(step, U, V);
  };
  const auto begin = [&](bool is_left) {
    if (options.start == nullptr) return PaddedFactor(is_left ? X.rows : X.cols, rank, options.biases);
    const LowRankModel& start = *options.start;
    return is_left ? factor(start.left, start.row_bias, X.rows, rank, scale)
                   : factor(start.right, start.col_bias, X.cols, rank, scale);
  };
  completion::Fit fit(sweeps, begin(true), begin(false), goal, {.n_threads = run.n_threads});
  if (options.start != nullptr)
    fit.run_from_given_start();
  else
    fit.run_from_spectral_start();

  PaddedFactor& U = journal.has_best() ? journal.best_U() : fit.U();
  PaddedFactor& V = journal.has_best() ? journal.best_V() : fit.V();
  LowRankModel& model = result.model;
  model.rows = X.rows;
  model.cols = X.cols;
  model.rank = rank;
  model.mu = scale.value_back(mu);
  const RunOptions threads{.n_threads = run.n_threads};
  model.singular_values =
      options.nonnegative ? completion::singular_values(U, V, threads) : completion::balance(U, V, threads);
  double squares = sweeps.residuals(observed.rows, V, U, nullptr);
  // Without a ridge, factors may have grown to where their product cancels: what balancing has lost of it by rounding,
  // a sweep brings back. Where the residual is below what was asked for, nothing is lost.
  constexpr int most_repairs = 3;
  constexpr double notable = 1e-3;
  const bool may_cancel = must_determine && !options.nonnegative && rank > 0 && !journal.has_best();
  const double enough = std::max((1 + notable) * fit.squares(), options.tol * options.tol * square_sum(observed));
  for (int s = 0; s < most_repairs && may_cancel && squares > enough; ++s) {
    const completion::Ridge none{};
    sweeps.update(observed.cols, U, V, none, {}, false);
    sweeps.update(observed.rows, V, U, none, {}, false);
    model.singular_values = completion::balance(U, V, threads);
    squares = sweeps.residuals(observed.rows, V, U, nullptr);
  }
  for (double& s : model.singular_values) s = scale.value_back(s);
  result.lam = options.chooses_lam ? journal.best_lam() : options.lam;
  result.training_rmse = scale.value_back(std::sqrt(squares / observed.total_weight));
  result.objective =
      scale.objective_back(sweeps.objective(squares, U, V, {scale.ridge(result.lam), result.lam})) - 0.5 * offset;
  copy_back(U, scale, model.left, model.row_bias);
  copy_back(V, scale, model.right, model.col_bias);
  result.status = journal.status(fit.status());
  result.history = std::move(journal.history());
  result.used_homotopy = fit.used_homotopy();
  result.iterations = std::ssize(result.history);
  result.validation_rmse = journal.best();
  return result;
}

template Completion complete(const CsrView<double, std::int32_t>&, std::span<const double>, Index,
                             const CompletionOptions&, const ValidationEntries&, const RunOptions&);
template Completion complete(const CsrView<double, std::int64_t>&, std::span<const double>, Index,
                             const CompletionOptions&, const ValidationEntries&, const RunOptions&);

}  // namespace nearlinear
