// Entropic optimal transport: checks, the way that regularisation takes, and what is reported.
#include "nearlinear/ot/sinkhorn.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "nearlinear/core/errors.hpp"
#include "ot/cost_range.hpp"
#include "ot/semi_dual.hpp"
#include "ot/sns.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Solves with regularisation that comes down. `scale`: what most costs differ by.
Outcome solve_by_levels(SemiDualSolver& solver, Journal& journal, double reg, double goal, double scale, bool is_warm) {
  constexpr double first_level = 1.0 / 3;
  constexpr double factor = 0.5;       // smaller ones need fewer levels and more steps in all
  constexpr double level_goal = 2e-2;  // tighter ones gain nothing
  constexpr Index most_iterations_of_level = 60;
  constexpr double large = 0.01;  // of the scale: sweeps converge at once, and exponentials of all pairs are floats
  constexpr double close = 0.1;   // error from which Newton's method gets on as well as on the way down

  if (is_warm) solver.evaluate(reg);
  if (!is_warm || solver.current().error >= close) {
    bool goes_down = true;
    if (reg >= large * scale) {
      if (solver.sweep_stored(reg, goal) == Outcome::over) return Outcome::over;
      goes_down = !solver.has_stored() || solver.current().error >= close;
    }
    if (goes_down) {
      const double levels = std::max(1.0, std::ceil(std::log(first_level * scale / reg) / std::log(1 / factor)));
      double level = first_level * scale, before = is_warm ? reg : 0, done = 0;
      while (level > reg && journal.may_go_on()) {
        solver.set_stage(std::min(done, levels) / (levels + 1), (std::min(done, levels) + 1) / (levels + 1));
        solver.centre();
        solver.set_coarse(level_goal > goal);
        solver.change_reg(std::exchange(before, level), level);
        solver.evaluate(level);
        const Index iterations = journal.iterations();
        const Outcome outcome =
            solver.solve(level, std::max(goal, level_goal), std::min(journal.left(), most_iterations_of_level), true);
        if (outcome == Outcome::infeasible) return outcome;
        const bool was_easy = journal.iterations() - iterations <= 1;
        level *= was_easy ? factor * factor : factor;
        done += was_easy ? 2 : 1;
      }
      solver.set_coarse(false);
      solver.set_stage(levels / (levels + 1), 1);
      solver.change_reg(before, reg);
      solver.evaluate(reg);
    }
  }
  return solver.solve(reg, goal, journal.left());
}

void require_options(const SinkhornOptions& options, Index n, Index m) {
  require(options.reg >= 4 * std::numeric_limits<double>::min() && options.reg < infinity, "sinkhorn: reg is ",
          options.reg, "; it must be positive and finite");
  require(options.tol > 0 && options.tol < infinity, "sinkhorn: tol is ", options.tol,
          "; it must be positive and finite");
  for (const double rho : options.reg_marginals)
    require(rho > 0, "sinkhorn: reg_marginals has the entry ", rho, "; penalties must be positive, or infinite");
  require(
      options.method != SinkhornMethod::sns || std::min(options.reg_marginals[0], options.reg_marginals[1]) == infinity,
      "sinkhorn: reg_marginals is finite and method is sns, which is for marginals that hold exactly");
  require(options.maxiter.value_or(0) >= 0, "sinkhorn: maxiter is ", options.maxiter.value_or(0),
          "; it must not be negative");
  require(options.sns_sweeps >= 0, "sinkhorn: sns_sweeps is ", options.sns_sweeps, "; it must not be negative");
  require(options.sns_density >= 0 && options.sns_density <= 1, "sinkhorn: sns_density is ", options.sns_density,
          "; it must be in (0, 1], or 0 for the default");
  require(m <= std::numeric_limits<std::int32_t>::max() && n <= std::numeric_limits<std::int32_t>::max(),
          "sinkhorn: a marginal has more than 2^31 - 1 entries");
  require(options.f.empty() == options.g.empty(), "sinkhorn: f and g to start from must both be given, or neither");
  require(options.f.empty() || (std::ssize(options.f) == n && std::ssize(options.g) == m), "sinkhorn: f has ",
          std::ssize(options.f), " entries and g has ", std::ssize(options.g), "; there must be ", n, " and ", m);
  for (const auto dual : {options.f, options.g})
    require(std::all_of(dual.begin(), dual.end(), [](double entry) { return std::isfinite(entry); }),
            "sinkhorn: dual variables to start from must be finite");
}

/// Marginals whose sums must be equal, or which share the scale of a, where one of them is soft.
std::pair<Marginal, Marginal> marginals_of(std::span<const double> a, std::span<const double> b, Index n, Index m,
                                           bool is_soft) {
  Marginal rows = marginal_of(a, n, "sinkhorn", "a"), cols = marginal_of(b, m, "sinkhorn", "b");
  if (is_soft)
    for (double& mass : cols.mass) mass *= cols.total / rows.total;
  else
    require_equal_sums(rows, cols, "sinkhorn");
  return {std::move(rows), std::move(cols)};
}

/// rho sum p log(p / q) - p + q, and 0 for a marginal that is not soft.
double penalty(double rho, std::span<const double> p, std::span<const double> q) {
  if (rho == infinity) return 0;
  double sum = 0;
  for (std::size_t k = 0; k < p.size(); ++k) sum += (p[k] > 0 ? p[k] * std::log(p[k] / q[k]) : 0.0) - p[k] + q[k];
  return rho * sum;
}

double distance(std::span<const double> x, std::span<const double> y) {
  double sum = 0;
  for (std::size_t k = 0; k < x.size(); ++k) sum += std::abs(x[k] - y[k]);
  return sum;
}

}  // namespace

SinkhornWorkspace::SinkhornWorkspace() : memory_(std::make_unique<Workspace>()) {}
SinkhornWorkspace::SinkhornWorkspace(SinkhornWorkspace&&) noexcept = default;
SinkhornWorkspace& SinkhornWorkspace::operator=(SinkhornWorkspace&&) noexcept = default;
SinkhornWorkspace::~SinkhornWorkspace() = default;

std::size_t SinkhornWorkspace::nbytes() const {
  const PlanMemory& plan = memory_->plan;
  const auto bytes = [](const auto&... arrays) { return (std::size_t{0} + ... + arrays.span().size_bytes()); };
  return bytes(memory_->passes.partials, memory_->passes.scratch, plan.indices, plan.row_indices, plan.values,
               plan.col_values, plan.stored);
}

template <class T>
SinkhornResult sinkhorn(const TransportProblem<T>& given, const SinkhornOptions& options, const RunOptions& run,
                        SinkhornWorkspace* workspace) {
  const TransportCost<T>& cost = given.cost;
  require_valid_cost(cost, "sinkhorn");
  const Index n = cost_rows(cost), m = cost_cols(cost);
  require_options(options, n, m);
  const auto [rho_a, rho_b] = options.reg_marginals;
  const bool is_soft = rho_a < infinity || rho_b < infinity;
  const auto [rows, cols] = marginals_of(given.a, given.b, n, m, is_soft);
  const double mass = rows.total, reg = options.reg;

  Monitor monitor(run.keep_going);
  monitor.enter_stage(0, 0);
  const Costs costs(cost, rows.kept(), cols.kept());
  const Problem problem{costs, rows.mass, cols.mass, rho_a, rho_b, std::log(mass)};
  Workspace own;
  Workspace& memory = workspace == nullptr ? own : workspace->memory();
  RowPasses passes(problem, run.n_threads, monitor, memory.passes);
  const CostRange range = checked_range(problem, rows, cols, passes, "sinkhorn");
  constexpr Index default_maxiter = 1000, sweeps_alone = 10000;
  const bool only_sweeps = options.method == SinkhornMethod::sinkhorn;
  Journal journal(options.callback, options.maxiter.value_or(only_sweeps ? sweeps_alone : default_maxiter), monitor);
  SemiDualSolver solver(problem, passes, journal, memory.plan, range.finite || is_soft ? infinity : range.largest);
  Iterate& at = solver.current();
  const bool is_warm = !options.g.empty();
  if (is_warm) {
    rows.gather(options.f, at.f);
    cols.gather(options.g, at.g);
    for (double& entry : at.g) entry -= reg * std::log(mass);
  }

  // A little below tol: the error that counts is that of the plan of f and g after they have been centred.
  const double goal = 0.9 * options.tol;
  Outcome outcome = Outcome::reached;
  switch (options.method) {
    case SinkhornMethod::automatic:
      outcome = solve_by_levels(solver, journal, reg, goal, range.typical, is_warm);
      break;
    case SinkhornMethod::sns:
      outcome = solve_sns(problem, passes, journal, options, {n, m}, goal, at.f, at.g);
      break;
    case SinkhornMethod::sinkhorn:
      if (!is_warm) solver.change_reg(0, reg);
      solver.evaluate(reg);
      outcome = solver.sweep(reg, goal);
      break;
  }

  std::vector<double> row_targets = rows.mass, col_targets(cols.mass.size());
  if (rho_a < infinity)
    for (std::size_t i = 0; i < at.f.size(); ++i) row_targets[i] *= std::exp(-at.f[i] / rho_a);
  problem.col_targets(reg, at.g, col_targets);

  // The plan is `mass` times the one that was computed: f + g rises by reg log(mass).
  SinkhornResult result;
  result.f.resize(static_cast<std::size_t>(n));
  result.g.resize(static_cast<std::size_t>(m));
  rows.scatter(at.f, result.f);
  cols.scatter(at.g, result.g);
  if (rows.kept() != nullptr || cols.kept() != nullptr) refill(cost, rows, cols, result.f, result.g);
  for (int round = 0; round < 2; ++round) {  // once more for what rounding left, where f was far from 0
    const double mean = std::accumulate(result.f.begin(), result.f.end(), 0.0) / static_cast<double>(n);
    for (double& entry : result.f) entry -= mean;
    for (double& entry : result.g) entry += mean;
  }
  rows.gather(result.f, at.f);
  cols.gather(result.g, at.g);

  const PlanTotals totals = passes.totals(reg, at.f.data(), at.g.data(), at.r.data(), at.c.data(), true);
  double error = distance(at.r, row_targets) + distance(at.c, col_targets);
  if (is_soft) error /= std::max(totals.mass, std::numeric_limits<double>::min());
  // sum_ij P_ij (f_i + g_j) = <C, P> + reg sum P log P.
  const double duals = std::inner_product(at.r.begin(), at.r.end(), at.f.begin(), 0.0) +
                       std::inner_product(at.c.begin(), at.c.end(), at.g.begin(), 0.0);
  const double penalties = penalty(rho_a, at.r, rows.mass) + penalty(rho_b, at.c, cols.mass);
  const double shift = reg * std::log(mass);
  for (double& entry : result.g) entry += shift;
  result.cost = mass * totals.cost;
  result.value = mass * (duals + shift * totals.mass + penalties);
  result.marginal_error = is_soft ? error : mass * error;
  result.iterations = journal.iterations();
  result.newton_iterations = journal.newton_iterations();
  result.passes = passes.passes();
  result.history = std::move(journal.history());
  if (journal.stopped())
    result.status = SinkhornStatus::stopped;
  else if (error <= options.tol)
    result.status = SinkhornStatus::converged;
  else if (outcome == Outcome::infeasible)
    result.status = SinkhornStatus::infeasible;
  else
    result.status = outcome == Outcome::over ? SinkhornStatus::maxiter : SinkhornStatus::stagnated;
  return result;
}

template SinkhornResult sinkhorn(const TransportProblem<float>&, const SinkhornOptions&, const RunOptions&,
                                 SinkhornWorkspace*);
template SinkhornResult sinkhorn(const TransportProblem<double>&, const SinkhornOptions&, const RunOptions&,
                                 SinkhornWorkspace*);

}  // namespace nearlinear
