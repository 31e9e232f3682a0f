// A few plain sweeps show how fast alternating minimisation contracts. Where it does not, lambda comes down from above
// the largest singular value: with a ridge on both factors the minimum is that of the nuclear norm's problem, which is
// convex, as long as its rank is below k (Srebro, Rennie and Jaakkola, Maximum-margin matrix factorization, NIPS 2004),
// and it is followed to where alternating minimisation alone would not have found it.
#include "completion/fit.hpp"

#include <algorithm>
#include <cmath>

#include "completion/spectral_start.hpp"
#include "completion/variable_projection.hpp"

namespace nearlinear::completion {
namespace {

/// b + t, c - t, for lines that have entries and the t that makes |b|^2 + |c|^2 least: sweeps take long to find it.
void shift_biases(const Observations& observed, PaddedFactor& U, PaddedFactor& V) {
  if (!U.has_bias) return;
  double sum = 0;
  Index lines = 0;
  const auto add = [&](const Side& side, const PaddedFactor& factor, double sign) {
    for (Index i = 0; i < side.lines; ++i) {
      if (side.count(i) == 0) continue;
      sum += sign * factor.row(i)[factor.rank];
      ++lines;
    }
  };
  const auto shift = [](const Side& side, PaddedFactor& factor, double by) {
    for (Index i = 0; i < side.lines; ++i)
      if (side.count(i) > 0) factor.row(i)[factor.rank] += by;
  };
  add(observed.rows, U, -1);
  add(observed.cols, V, 1);
  const double by = sum / static_cast<double>(lines);
  shift(observed.rows, U, by);
  shift(observed.cols, V, -by);
}

/// How fast the changes of the objective fall by which alternating minimisation is said to contract.
constexpr double contraction = 0.5;

}  // namespace

Fit::Fit(HalfSweeps& sweeps, PaddedFactor U, PaddedFactor V, Goal goal, const RunOptions& run)
    : sweeps_(sweeps),
      U_(std::move(U)),
      V_(std::move(V)),
      goal_(std::move(goal)),
      acceleration_(method().solver == LineSolver::conjugate_gradients, run),
      run_(run),
      norm_(std::sqrt(square_sum(sweeps.observed()))) {}

LineMethod Fit::method() const {
  LineMethod result{.steps = 3, .tol = 1e-3, .seed = goal_.seed};
  constexpr Index most_for_cholesky = 20;  // unknowns up to which normal equations are as fast
  if (goal_.is_nonnegative)
    result.solver = LineSolver::nonnegative;
  else if (goal_.solver == CompletionSolver::sketch)
    result.solver = LineSolver::sketch;
  else if (goal_.solver == CompletionSolver::conjugate_gradients ||
           (goal_.solver == CompletionSolver::automatic && U_.unknowns > most_for_cholesky))
    result.solver = LineSolver::conjugate_gradients;
  return result;
}

bool Fit::allows_acceleration() const {
  // The paper's algorithm stays as it is, and combinations of nonnegative factors need not be nonnegative.
  return !goal_.is_nonnegative && goal_.solver != CompletionSolver::sketch && U_.rank > 0;
}

bool Fit::allows_projection() const {
  if (goal_.is_nonnegative || sweeps_.is_implicit() || U_.rank == 0) return false;
  return goal_.solver == CompletionSolver::automatic || goal_.solver == CompletionSolver::variable_projection;
}

void Fit::record(double square_sum, double objective, Phase phase, double ridge, Index inner_iterations,
                 bool may_settle) {
  const CompletionStep before = last_;
  square_sum_ = square_sum;
  last_ = {.iteration = before.iteration + 1,
           .phase = phase,
           .lam = ridge,
           .objective = objective,
           .training_rmse = std::sqrt(square_sum / sweeps_.observed().total_weight),
           .inner_iterations = inner_iterations};
  if (!goal_.report(last_, U_, V_)) {
    is_over_ = true;
    return;
  }
  if (may_settle && (phase == Phase::plain || phase == Phase::polish || phase == Phase::projection)) {
    const bool is_settled = before.iteration > 0 && phase == before.phase &&
                            std::abs(before.objective - objective) <= goal_.tol * std::abs(objective);
    if (std::sqrt(square_sum) <= goal_.tol * norm_ || is_settled) {
      is_over_ = true;
      status_ = CompletionStatus::converged;
      return;
    }
  }
  if (last_.iteration >= goal_.maxiter) is_over_ = true;
}

void Fit::enter_iteration() {
  const auto done = [this](Index iterations) {
    return static_cast<double>(iterations) / static_cast<double>(goal_.maxiter);
  };
  sweeps_.enter_stage(done(last_.iteration), done(last_.iteration + 1));
}

void Fit::sweep(const Ridge& ridge, Phase phase) {
  enter_iteration();
  const auto [squares, objective] = update(ridge);
  record(squares, objective, phase, ridge.factors, 0);
}

std::pair<double, double> Fit::update(const Ridge& ridge) {
  const LineMethod lines = method();
  sweeps_.update(sweeps_.observed().cols, U_, V_, ridge, lines, false);
  const double squares = sweeps_.update(sweeps_.observed().rows, V_, U_, ridge, lines, true);
  shift_biases(sweeps_.observed(), U_, V_);
  return {squares, sweeps_.objective(squares, U_, V_, ridge)};
}

void Fit::accelerated_sweep(const Ridge& ridge, Phase phase) {
  if (!allows_acceleration()) return sweep(ridge, phase);
  enter_iteration();
  acceleration_.begin(U_);
  // Without a ridge, factors may grow until rounding is all that sweeps bring: the last ones are kept from that.
  const bool is_extrapolated = acceleration_.is_extrapolated();
  const bool may_rise = !is_extrapolated && phase == Phase::polish && last_.phase == phase && ridge.factors == 0;
  PaddedFactor V = may_rise ? V_.copy() : PaddedFactor();
  const auto [squares, objective] = update(ridge);
  const bool has_risen = !(objective <= last_.objective);
  if (has_risen && is_extrapolated) {
    acceleration_.undo(U_, V_);
    return record(square_sum_, last_.objective, phase, ridge.factors, 0, false);
  }
  if (has_risen && may_rise) {
    acceleration_.restore(U_);
    V_ = std::move(V);
    is_over_ = true;
    status_ = CompletionStatus::converged;
    return;
  }
  record(squares, objective, phase, ridge.factors, 0);
  acceleration_.remember(U_, V_);
}

void Fit::extrapolate() {
  if (!is_over_ && allows_acceleration()) acceleration_.extrapolate(U_, V_);
}

void Fit::fit_biases() {
  if (!U_.has_bias) return;
  PaddedFactor row(U_.lines, 0, true), col(V_.lines, 0, true);
  constexpr int most_sweeps = 100;
  constexpr double tol = 1e-12;
  double objective = 0;
  for (int s = 0; s < most_sweeps; ++s) {
    sweeps_.update(sweeps_.observed().cols, row, col, goal_.ridge, {}, false);
    const double squares = sweeps_.update(sweeps_.observed().rows, col, row, goal_.ridge, {}, true);
    shift_biases(sweeps_.observed(), row, col);
    const double before = objective;
    objective = sweeps_.objective(squares, row, col, goal_.ridge);
    const bool is_settled = s > 0 && before - objective <= tol * objective;
    if (!is_settled && s + 1 < most_sweeps) continue;
    for (Index i = 0; i < U_.lines; ++i) U_.row(i)[U_.rank] = row.row(i)[0];
    for (Index j = 0; j < V_.lines; ++j) V_.row(j)[V_.rank] = col.row(j)[0];
    record(squares, objective, Phase::biases, goal_.ridge.biases, 0);
    break;
  }
  if (U_.rank == 0 && !is_over_) {
    is_over_ = true;
    status_ = CompletionStatus::converged;
  }
}

double Fit::start() {
  const double largest = spectral_start(sweeps_, U_, V_, goal_.seed, run_);
  if (goal_.is_nonnegative)
    for (PaddedFactor* factor : {&U_, &V_})
      for (double& entry : factor->data) entry = std::abs(entry);
  if (goal_.solver == CompletionSolver::sketch) clip(U_, run_);
  return largest;
}

void Fit::run_from_given_start() { finish(); }

void Fit::run_from_spectral_start() {
  fit_biases();
  if (is_over_) return;
  largest_ = start();
  if (goal_.takes_whole_path) return follow_path();
  const bool is_plain = goal_.homotopy == Homotopy::off ||
                        (goal_.homotopy == Homotopy::automatic && goal_.solver == CompletionSolver::sketch);
  if (is_plain) return finish();
  if (goal_.homotopy == Homotopy::automatic) {
    start_U_ = U_.copy();
    start_V_ = V_.copy();
    descend();
    if (is_over_ || contracts()) return finish();
    turn();
  }
  follow_path();
  finish();
}

void Fit::turn() {
  U_ = std::exchange(start_U_, PaddedFactor());
  V_ = std::exchange(start_V_, PaddedFactor());
}

void Fit::run_path_alone() {
  fit_biases();
  if (is_over_) return;
  largest_ = start();
  follow_path();
}

void Fit::descend() {
  constexpr double factor = 0.1, bottom = 1e-3;
  for (double ridge = 0.5 * largest_; ridge > std::max(goal_.ridge.factors, bottom * largest_) && !is_over_;
       ridge *= factor)
    sweep({ridge, goal_.ridge.biases}, Phase::descent);
}

bool Fit::contracts() {
  constexpr int sweeps = 3;  // of which the first one changes the ridge
  double previous = 0, change = 0;
  for (int s = 0; s < sweeps && !is_over_; ++s) {
    const double before = last_.objective;
    accelerated_sweep(goal_.ridge, Phase::plain);
    previous = change;
    change = before - last_.objective;
  }
  if (!is_over_ && change >= contraction * previous) return false;
  extrapolate();
  return true;
}

/// Whether the entries are well above what the degrees of freedom need, and what it takes for every line to have some.
bool Fit::has_plenty() const {
  const Observations& observed = sweeps_.observed();
  const auto m = static_cast<double>(U_.lines), n = static_cast<double>(V_.lines), k = static_cast<double>(U_.rank);
  const auto entries = static_cast<double>(observed.nnz());
  const double lines = std::max(m, n);
  return entries >= 1.4 * k * (m + n - k) && entries >= 1.5 * lines * (k + std::log(lines));
}

bool Fit::settle(const Ridge& ridge, double enough, int most) {
  acceleration_.forget();
  for (int s = 0; s < most && !is_over_; ++s) {
    const double before = last_.objective;
    accelerated_sweep(ridge, Phase::homotopy);
    const double change = before - last_.objective;
    if (s > 0 && change != 0 && change < enough * last_.objective) return 2 * s < most;
    if (s + 1 < most) extrapolate();
  }
  return false;
}

void Fit::follow_path() {
  constexpr double factor = 0.6, bottom = 1e-7;
  // Of the whole path each model may be the one that is wanted; otherwise it is where the next one begins.
  const bool is_whole = goal_.takes_whole_path, is_quick = !is_whole && !goal_.show_spectrum;
  const double enough = is_whole ? 1e-6 : is_quick && has_plenty() ? 1e-3 : 1e-4;
  const int most = is_whole ? 30 : 10;  // sweeps for each lambda
  const double last = std::max(goal_.ridge.factors, bottom * largest_);
  for (double ridge = is_whole ? largest_ : 0.5 * largest_; !is_over_ && (ridge > last || is_whole);) {
    const bool is_last = ridge * factor < last;
    used_homotopy_ = true;
    Ridge here{ridge, goal_.ridge.biases};
    if (is_whole) {
      here.factors = is_last ? last : ridge;
      here.biases = goal_.bias_unit * here.factors;
    }
    const bool is_easy = settle(here, enough, most);
    if (!goal_.is_nonnegative) {
      const Array<double> s = balance(U_, V_, run_);
      if (goal_.show_spectrum) goal_.show_spectrum(s.span());
      if (!is_over_ && !sweeps_.is_implicit()) revive(sweeps_, U_, V_, s.span(), here.factors, goal_.seed, run_);
    }
    if (is_last) break;
    ridge *= is_easy && is_quick ? factor * factor : factor;
  }
  acceleration_.forget();
  if (!is_over_ && goal_.takes_whole_path) {
    is_over_ = true;
    status_ = CompletionStatus::converged;
  }
}

void Fit::finish() {
  constexpr double most_memory = 2e9, settled = 1e-4;
  constexpr int patience = 5;
  const bool is_asked = goal_.solver == CompletionSolver::variable_projection;
  const bool has_memory = is_asked || VariableProjection::memory(U_, V_) <= most_memory;
  int slow = is_asked ? patience : 0;
  double change = 0;
  while (!is_over_) {
    if (start_U_.lines > 0 && slow >= patience && change > settled * last_.objective) {
      // It contracted, but not to where it should: what was taken for a start of the polish is none.
      turn();
      slow = 0;
      follow_path();
      continue;
    }
    if (allows_projection() && has_memory && slow >= patience) return project();
    const double before = last_.objective, previous = change;
    accelerated_sweep(goal_.ridge, Phase::polish);
    extrapolate();
    if (last_.objective == before) {
      ++slow;
      continue;
    }
    change = before - last_.objective;
    slow = change > contraction * previous ? slow + 1 : 0;
  }
}

void Fit::project() {
  constexpr int most_rejections = 12;
  VariableProjection projection(sweeps_, U_, V_);
  projection.begin(U_, V_, goal_.ridge);
  for (int rejections = 0; !is_over_ && rejections < most_rejections;) {
    enter_iteration();
    const ProjectionStep step = projection.step(U_, V_, goal_.ridge);
    rejections = step.is_accepted ? 0 : rejections + 1;
    record(step.square_sum, step.objective, Phase::projection, goal_.ridge.factors, step.inner_iterations,
           step.is_accepted);
  }
  if (!is_over_) status_ = CompletionStatus::converged;
}

}  // namespace nearlinear::completion
