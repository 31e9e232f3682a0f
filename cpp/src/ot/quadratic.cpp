// Quadratically regularised transport: semismooth Newton steps on the semi-dual, at regularisations that come down.
#include "nearlinear/ot/quadratic.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "nearlinear/core/errors.hpp"
#include "ot/cost_range.hpp"
#include "ot/quadratic_newton.hpp"
#include "ot/quadratic_plan.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

template <class T>
QuadraticResult<T> quadratic(const TransportProblem<T>& given, const QuadraticOptions& options, const RunOptions& run) {
  const TransportCost<T>& cost = given.cost;
  require_valid_cost(cost, "quadratic");
  const Index n = cost_rows(cost), m = cost_cols(cost);
  require(options.reg >= 4 * std::numeric_limits<double>::min() && options.reg < infinity, "quadratic: reg is ",
          options.reg, "; it must be positive and finite");
  require(options.tol > 0 && options.tol < infinity, "quadratic: tol is ", options.tol,
          "; it must be positive and finite");
  require(options.maxiter >= 0, "quadratic: maxiter is ", options.maxiter, "; it must not be negative");
  require(options.f.empty() == options.g.empty() &&
              (options.f.empty() || (std::ssize(options.f) == n && std::ssize(options.g) == m)),
          "quadratic: f has ", std::ssize(options.f), " entries and g has ", std::ssize(options.g), "; there must be ",
          n, " and ", m, ", or none");
  const Marginal rows = marginal_of(given.a, n, "quadratic", "a"), cols = marginal_of(given.b, m, "quadratic", "b");
  require_equal_sums(rows, cols, "quadratic");
  const double mass = rows.total, reg = options.reg * mass;  // of a plan that sums to 1

  Monitor monitor(run.keep_going);
  monitor.enter_stage(0, 0);
  const Costs costs(cost, rows.kept(), cols.kept());
  const Problem problem{costs, rows.mass, cols.mass};
  Workspace memory;
  RowPasses passes(problem, run.n_threads, monitor, memory.passes);
  const CostRange range = checked_range(problem, rows, cols, passes, "quadratic");
  Journal journal(options.callback, options.maxiter, monitor);
  LimitedRows all(problem, passes, problem.cols());
  QuadraticNewton solver(problem, passes, all, journal, memory.plan, range.finite ? infinity : range.largest);
  using Outcome = QuadraticNewton<LimitedRows>::Outcome;
  const double goal = 0.9 * options.tol;
  QuadraticPoint& at = solver.current();
  Outcome outcome;
  Index passes_of_start = 0;
  if (options.g.empty()) {
    const QuadraticStart start = entropic_start(given, rows, cols, range.typical, reg, run);
    passes_of_start = start.passes;
    at.g = start.g;
    outcome = solver.solve_from_above(reg, start.level, goal);
  } else {
    cols.gather(options.g, at.g);
    solver.evaluate(reg);
    outcome = solver.solve(reg, goal, journal.left());
  }

  QuadraticResult<T> result;
  const PlanFigures figures = figures_of(solver, reg, mass, rows, cols, given, n, m, result.plan);
  result.f.resize(static_cast<std::size_t>(n));
  result.g.resize(static_cast<std::size_t>(m));
  rows.scatter(at.f, result.f);
  cols.scatter(at.g, result.g);
  if (rows.kept() != nullptr || cols.kept() != nullptr) refill(cost, rows, cols, result.f, result.g);
  result.cost = figures.cost;
  result.primal_value = figures.cost + 0.5 * options.reg * figures.squares;
  result.marginal_error = figures.marginal_error;
  result.dual_value = mass * at.value;
  const double mean = std::accumulate(result.f.begin(), result.f.end(), 0.0) / static_cast<double>(n);
  for (double& entry : result.f) entry -= mean;
  for (double& entry : result.g) entry += mean;
  result.iterations = journal.iterations();
  result.passes = passes_of_start + all.passes();
  result.history = std::move(journal.history());
  if (journal.stopped())
    result.status = SinkhornStatus::stopped;
  else if (at.error <= options.tol)
    result.status = SinkhornStatus::converged;
  else if (outcome == Outcome::infeasible)
    result.status = SinkhornStatus::infeasible;
  else
    result.status = outcome == Outcome::over ? SinkhornStatus::maxiter : SinkhornStatus::stagnated;
  return result;
}

template QuadraticResult<float> quadratic(const TransportProblem<float>&, const QuadraticOptions&, const RunOptions&);
template QuadraticResult<double> quadratic(const TransportProblem<double>&, const QuadraticOptions&, const RunOptions&);

}  // namespace nearlinear
