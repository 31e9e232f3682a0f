// Entropic optimal transport: checks, masses of zero, the way that regularisation takes, and what is reported.
#include "nearlinear/ot/sinkhorn.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "nearlinear/core/errors.hpp"
#include "ot/semi_dual.hpp"
#include "ot/sns.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A marginal: where there is mass, how much of it relative to the sum, and the sum.
struct Marginal {
  std::vector<double> mass;
  Indices places;  // of `mass`, when some of the entries are zero
  Index size = 0;
  double total = 1;

  [[nodiscard]] const Indices* kept() const { return places.empty() ? nullptr : &places; }
  [[nodiscard]] std::size_t place(std::size_t k) const {
    return places.empty() ? k : static_cast<std::size_t>(places[k]);
  }
};

Marginal marginal_of(std::span<const double> given, Index size, const char* argument) {
  Marginal marginal;
  marginal.size = size;
  if (given.empty()) {
    marginal.mass.assign(static_cast<std::size_t>(size), 1 / static_cast<double>(size));
    return marginal;
  }
  require(std::ssize(given) == size, "sinkhorn: ", argument, " has ", std::ssize(given), " entries; there must be ",
          size);
  double largest = 0;
  for (Index i = 0; i < size; ++i) {
    const double mass = given[static_cast<std::size_t>(i)];
    require(mass >= 0 && mass < infinity, "sinkhorn: ", argument, " has the entry ", mass, " at index ", i,
            "; masses must be finite and not negative");
    largest = std::max(largest, mass);
  }
  require(largest > 0, "sinkhorn: ", argument, " has no mass; at least one entry must be positive");
  double scaled_total = 0;  // which cannot overflow
  for (const double mass : given) scaled_total += mass / largest;
  marginal.total = scaled_total * largest;
  require(marginal.total < infinity, "sinkhorn: the sum of ", argument, " is not a double");
  const bool has_zeros = std::any_of(given.begin(), given.end(), [&](double mass) {
    return !(mass / largest / scaled_total > 0);  // or too small beside the others for a number
  });
  for (Index i = 0; i < size; ++i) {
    const double mass = given[static_cast<std::size_t>(i)] / largest / scaled_total;
    if (!(mass > 0)) continue;
    marginal.mass.push_back(mass);
    if (has_zeros) marginal.places.push_back(i);
  }
  return marginal;
}

/// Throws unless every column has a finite cost.
void require_open_columns(const Problem& problem, const Marginal& b, RowPasses& passes) {
  std::vector<double> finite(problem.b.size());
  passes.sum_rows(1, finite.data(), [&](Index i, const RowScratch& scratch, double* sums) {
    problem.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
      for (Index j = 0; j < count; ++j) sums[first + j] += cost[j] < std::numeric_limits<T>::infinity() ? 1.0 : 0.0;
    });
  });
  for (std::size_t j = 0; j < finite.size(); ++j)
    require(finite[j] > 0, "sinkhorn: C forbids all pairs of column ", b.place(j),
            ", which has mass; no plan has these marginals");
}

/// The range of finite costs, of a matrix whose rows and columns all have some.
Range checked_range(const Problem& problem, const Marginal& a, const Marginal& b, RowPasses& passes) {
  const Range none{infinity, -infinity, true, true};
  const auto join = [](const Range& x, const Range& y) {
    return Range{std::min(x.smallest, y.smallest), std::max(x.largest, y.largest), x.valid && y.valid,
                 x.finite && y.finite};
  };
  std::vector<Range> ranges(problem.a.size(), none);
  passes.for_rows(0.3, [&](Index i, const RowScratch& scratch) {
    Range& range = ranges[static_cast<std::size_t>(i)];
    problem.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index, Index count) {
      range = join(range, row_kernels<T>().range(cost, count));
    });
  });
  Range all = none;
  bool has_finite_row = false;  // then no column is forbidden altogether
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    require(ranges[i].valid, "sinkhorn: C has an entry in row ", a.place(i),
            " that is NaN or -Inf; entries must be finite, or +Inf for forbidden pairs");
    require(ranges[i].smallest < infinity, "sinkhorn: C forbids all pairs of row ", a.place(i),
            ", which has mass; no plan has these marginals");
    has_finite_row = has_finite_row || ranges[i].finite;
    all = join(all, ranges[i]);
  }
  if (!has_finite_row) require_open_columns(problem, b, passes);
  require(all.largest - all.smallest < infinity, "sinkhorn: the range of C is not a double");
  return all;
}

/// Solves with regularisation that comes down.
Outcome solve_by_levels(SemiDualSolver& solver, Journal& journal, double reg, double goal, double range, bool is_warm) {
  constexpr double first_level = 0.25;  // of the range of costs
  constexpr double factor = 0.5;        // smaller ones need fewer levels and more steps in all
  constexpr double level_goal = 2e-2;   // tighter ones gain nothing
  constexpr Index most_iterations_of_level = 60;
  constexpr double large = 0.01;  // of the range: sweeps converge at once, and exponentials of all pairs are floats
  constexpr double close = 0.1;   // error from which Newton's method gets on as well as on the way down

  if (is_warm) solver.evaluate(reg);
  if (!is_warm || solver.current().error >= close) {
    bool goes_down = true;
    if (reg >= large * range) {
      if (solver.sweep_stored(reg, goal) == Outcome::over) return Outcome::over;
      goes_down = !solver.has_stored() || solver.current().error >= close;
    }
    if (goes_down) {
      const double levels = std::max(1.0, std::ceil(std::log(first_level * range / reg) / std::log(1 / factor)));
      double level = first_level * range, done = 0;
      while (level > reg && journal.may_go_on()) {
        solver.set_stage(std::min(done, levels) / (levels + 1), (std::min(done, levels) + 1) / (levels + 1));
        solver.evaluate(level);
        const Index before = journal.iterations();
        solver.solve(level, std::max(goal, level_goal), std::min(journal.left(), most_iterations_of_level));
        const bool was_easy = journal.iterations() - before <= 1;
        level *= was_easy ? factor * factor : factor;
        done += was_easy ? 2 : 1;
      }
      solver.set_stage(levels / (levels + 1), 1);
      solver.evaluate(reg);
    }
  }
  return solver.solve(reg, goal, journal.left());
}

/// f_i <- min_j C_ij - g_j over the columns with mass, for the rows without, and the same for columns.
template <class T>
void refill(const TransportCost<T>& cost, const Marginal& a, const Marginal& b, std::vector<double>& f,
            std::vector<double>& g) {
  const Costs costs(cost, nullptr, nullptr);
  std::vector<double> t(static_cast<std::size_t>(Costs::tile + 32)), g_with_mass(g.size(), -infinity);
  std::vector<double> least(g.size(), infinity);
  std::vector<bool> row_has_mass(f.size(), a.places.empty());
  for (const Index i : a.places) row_has_mass[static_cast<std::size_t>(i)] = true;
  for (std::size_t k = 0; k < b.mass.size(); ++k) g_with_mass[b.place(k)] = g[b.place(k)];
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (row_has_mass[i] && b.places.empty()) continue;
    double largest = -infinity;
    costs.for_tiles(static_cast<Index>(i), t.data(), [&](const auto* row, Index first, Index count) {
      for (Index j = 0; j < count; ++j) {
        const auto column = static_cast<std::size_t>(first + j);
        const auto here = static_cast<double>(row[j]);
        if (row_has_mass[i])
          least[column] = std::min(least[column], here - f[i]);
        else if (here < infinity)
          largest = std::max(largest, g_with_mass[column] - here);
      }
    });
    if (!row_has_mass[i]) f[i] = largest > -infinity ? -largest : 0;
  }
  if (b.places.empty()) return;
  for (std::size_t j = 0; j < g.size(); ++j)
    if (g_with_mass[j] == -infinity) g[j] = least[j] < infinity ? least[j] : 0;
}

void require_options(const SinkhornOptions& options, Index n, Index m) {
  require(options.reg >= 4 * std::numeric_limits<double>::min() && options.reg < infinity, "sinkhorn: reg is ",
          options.reg, "; it must be positive and finite");
  require(options.tol > 0 && options.tol < infinity, "sinkhorn: tol is ", options.tol,
          "; it must be positive and finite");
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

}  // namespace

template <class T>
SinkhornResult sinkhorn(std::span<const double> a, std::span<const double> b, const TransportCost<T>& cost,
                        const SinkhornOptions& options, const RunOptions& run) {
  require_valid_cost(cost, "sinkhorn");
  const Index n = cost_rows(cost), m = cost_cols(cost);
  require_options(options, n, m);
  const Marginal rows = marginal_of(a, n, "a"), cols = marginal_of(b, m, "b");
  constexpr double same = 1e-6;
  require(std::abs(rows.total - cols.total) <= same * std::max(rows.total, cols.total), "sinkhorn: a sums to ",
          rows.total, " and b to ", cols.total, "; the sums must be equal");
  const double mass = rows.total, reg = options.reg;

  Monitor monitor(run.keep_going);
  monitor.enter_stage(0, 0);
  const Costs costs(cost, rows.kept(), cols.kept());
  const Problem problem{costs, rows.mass, cols.mass};
  RowPasses passes(problem, run.n_threads, monitor);
  const Range range = checked_range(problem, rows, cols, passes);
  constexpr Index default_maxiter = 1000, sweeps_alone = 10000;
  const bool only_sweeps = options.method == SinkhornMethod::sinkhorn;
  Journal journal(options, options.maxiter.value_or(only_sweeps ? sweeps_alone : default_maxiter), monitor);
  SemiDualSolver solver(problem, passes, journal);
  Iterate& at = solver.current();
  const bool is_warm = !options.g.empty();
  if (is_warm) {
    for (std::size_t i = 0; i < at.f.size(); ++i) at.f[i] = options.f[rows.place(i)];
    for (std::size_t j = 0; j < at.g.size(); ++j) at.g[j] = options.g[cols.place(j)];
  }

  // A little below tol: the error that counts is that of the plan of f and g after they have been centred.
  const double goal = 0.9 * options.tol;
  Outcome outcome = Outcome::reached;
  switch (options.method) {
    case SinkhornMethod::automatic:
      outcome = solve_by_levels(solver, journal, reg, goal, range.largest - range.smallest, is_warm);
      break;
    case SinkhornMethod::sns:
      outcome = solve_sns(problem, passes, journal, options, goal, at.f, at.g);
      break;
    case SinkhornMethod::sinkhorn:
      solver.evaluate(reg);
      outcome = solver.sweep(reg, goal);
      break;
  }

  // The plan is `mass` times the one that was computed: f + g rises by reg log(mass).
  SinkhornResult result;
  result.f.assign(static_cast<std::size_t>(n), 0.0);
  result.g.assign(static_cast<std::size_t>(m), 0.0);
  for (std::size_t i = 0; i < at.f.size(); ++i) result.f[rows.place(i)] = at.f[i];
  for (std::size_t j = 0; j < at.g.size(); ++j) result.g[cols.place(j)] = at.g[j];
  if (rows.kept() != nullptr || cols.kept() != nullptr) refill(cost, rows, cols, result.f, result.g);
  for (int round = 0; round < 2; ++round) {  // once more for what rounding left, where f was far from 0
    const double mean = std::accumulate(result.f.begin(), result.f.end(), 0.0) / static_cast<double>(n);
    for (double& entry : result.f) entry -= mean;
    for (double& entry : result.g) entry += mean;
  }
  for (std::size_t i = 0; i < at.f.size(); ++i) at.f[i] = result.f[rows.place(i)];
  for (std::size_t j = 0; j < at.g.size(); ++j) at.g[j] = result.g[cols.place(j)];

  std::vector<double> r(at.f.size());
  const PlanTotals totals = passes.totals(reg, at.f.data(), at.g.data(), r.data(), at.c.data(), true);
  double error = 0, duals = 0;  // sum_ij P_ij (f_i + g_j) = <C, P> + reg sum P log P
  for (std::size_t i = 0; i < r.size(); ++i) {
    error += std::abs(r[i] - rows.mass[i]);
    duals += r[i] * at.f[i];
  }
  for (std::size_t j = 0; j < at.c.size(); ++j) {
    error += std::abs(at.c[j] - cols.mass[j]);
    duals += at.c[j] * at.g[j];
  }
  const double shift = reg * std::log(mass);
  for (double& entry : result.g) entry += shift;
  result.cost = mass * totals.cost;
  result.value = mass * (duals + shift * totals.mass);
  result.marginal_error = mass * error;
  result.iterations = journal.iterations();
  result.newton_iterations = journal.newton_iterations();
  result.passes = passes.passes();
  result.history = std::move(journal.history());
  if (journal.stopped())
    result.status = SinkhornStatus::stopped;
  else if (error <= options.tol)
    result.status = SinkhornStatus::converged;
  else
    result.status = outcome == Outcome::over ? SinkhornStatus::maxiter : SinkhornStatus::stagnated;
  return result;
}

template SinkhornResult sinkhorn(std::span<const double>, std::span<const double>, const TransportCost<float>&,
                                 const SinkhornOptions&, const RunOptions&);
template SinkhornResult sinkhorn(std::span<const double>, std::span<const double>, const TransportCost<double>&,
                                 const SinkhornOptions&, const RunOptions&);

}  // namespace nearlinear
