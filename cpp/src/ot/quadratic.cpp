// Quadratically regularised transport: semismooth Newton steps on the semi-dual, at regularisations that come down.
#include "nearlinear/ot/quadratic.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "nearlinear/core/errors.hpp"
#include "ot/bipartite_laplacian.hpp"
#include "ot/cost_range.hpp"
#include "ot/journal.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Point {
  std::vector<double> f, g, c;
  double value = 0;
  double error = 0;
};

/// What is to be taken off the entries x, so that what is left of their positive parts sums to `total`; their sum must
/// not be below it. Newton's method from below on a convex function, linear in pieces: it ends after finitely many
/// steps.
double excess(std::span<const double> x, double total) {
  double taken = 0;
  for (;;) {
    double sum = 0;
    Index count = 0;
    for (const double entry : x)
      if (entry > taken) {
        sum += entry;
        ++count;
      }
    if (count == 0) return taken;
    const double next = (sum - total) / static_cast<double>(count);
    if (!(next > taken)) return taken;
    taken = next;
  }
}

class QuadraticSolver {
 public:
  QuadraticSolver(const Problem& problem, RowPasses& passes, Journal& journal, PlanMemory& memory, double largest_cost)
      : problem_(problem),
        passes_(passes),
        journal_(journal),
        largest_cost_(largest_cost),
        active_(problem, passes, memory),
        vectors_(problem.cols()),
        weights_(problem.a.size()),
        diagonal_(problem.b.size()),
        jacobi_(problem.b.size()),
        gradient_(problem.b.size()),
        step_(problem.b.size()) {
    current_.f.resize(problem.a.size());
    current_.g.resize(problem.b.size());
    current_.c.resize(problem.b.size());
    trial_ = current_;
  }

  [[nodiscard]] Point& current() { return current_; }
  [[nodiscard]] Index passes() const { return count_; }
  void evaluate(double reg) { evaluate(reg, current_); }

  enum class Outcome { reached, over, stuck, infeasible };

  Outcome solve(double reg, double goal, Index most_iterations) {
    constexpr double most_damping = 1e6;
    damping_ = 1e-2;
    for (Index k = 0; current_.error > goal; ++k) {
      // The value of a plan is at most this: no entry is above 1, and so is their sum.
      if (current_.value > largest_cost_ + 0.5 * reg) return Outcome::infeasible;
      if (k == most_iterations || !journal_.may_go_on()) return Outcome::over;
      const auto [accepted, cg_iterations] = take_newton_step(reg);
      journal_.show(0, 1, current_.error, goal);
      journal_.add({.reg = reg,
                    .marginal_error = current_.error,
                    .newton = true,
                    .cg_iterations = cg_iterations,
                    .nnz = active_.nnz()});
      if (!accepted && damping_ >= most_damping) return Outcome::stuck;
    }
    return Outcome::reached;
  }

  /// <C, P> of what plan() has collected, entry by entry: C = f + g - slack.
  [[nodiscard]] double cost(double reg) {
    double sum = 0;
    const auto indptr = active_.indptr();
    for (std::size_t i = 0; i < current_.f.size(); ++i)
      for (Index k = indptr[i]; k < indptr[i + 1]; ++k) {
        const auto place = static_cast<std::size_t>(k);
        const double g = current_.g[static_cast<std::size_t>(active_.indices()[place])];
        sum += slacks_[place] / reg * ((g + current_.f[i]) - slacks_[place]);
      }
    return sum;
  }

  /// Positive entries of the plan of the current point.
  template <class T>
  CsrMatrix<T, Index> plan(double reg, const Marginal& rows, const Marginal& cols, double mass, Index n, Index m) {
    collect(current_);
    CsrMatrix<T, Index> plan;
    plan.rows = n;
    plan.cols = m;
    plan.indptr = Array<Index>::zeros(n + 1);
    plan.indices = Array<Index>(active_.nnz());
    plan.data = Array<T>(active_.nnz());
    const auto indptr = active_.indptr();
    for (std::size_t i = 0; i < current_.f.size(); ++i)
      plan.indptr[static_cast<Index>(rows.place(i)) + 1] = indptr[i + 1] - indptr[i];
    for (Index i = 0; i < n; ++i) plan.indptr[i + 1] += plan.indptr[i];
    for (Index k = 0; k < active_.nnz(); ++k) {
      plan.indices[k] =
          static_cast<Index>(cols.place(static_cast<std::size_t>(active_.indices()[static_cast<std::size_t>(k)])));
      plan.data[k] = static_cast<T>(mass * slacks_[static_cast<std::size_t>(k)] / reg);
    }
    return plan;
  }

 private:
  void evaluate(double reg, Point& at) {
    ++count_;
    std::vector<double> squares(at.f.size());
    passes_.sum_rows(1.2, at.c.data(), [&](Index row, const RowScratch& scratch, double* sums) {
      const auto i = static_cast<std::size_t>(row);
      const double total = reg * problem_.a[i];
      double largest = -infinity;
      problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
        largest = std::max(largest, row_kernels<T>().largest_slack(cost, at.g.data() + first, count));
      });
      const double most = total - largest;  // with this f, the largest entry alone would be a_i
      Index collected = 0;
      std::int32_t numbers[Costs::tile + 8];
      problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
        collected += row_kernels<T>().collect(cost, at.g.data() + first, count, most, 0.0,
                                              static_cast<std::int32_t>(first), numbers, scratch.t + collected);
      });
      at.f[i] = most - excess({scratch.t, static_cast<std::size_t>(collected)}, total);
      double sum = 0;
      problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
        sum += row_kernels<T>().add_positive(cost, at.g.data() + first, count, at.f[i], 1 / reg, sums + first);
      });
      squares[i] = sum;
    });
    at.value = std::inner_product(at.f.begin(), at.f.end(), problem_.a.begin(), 0.0) +
               std::inner_product(at.g.begin(), at.g.end(), problem_.b.begin(), 0.0) -
               std::accumulate(squares.begin(), squares.end(), 0.0) / (2 * reg);
    at.error = 0;
    for (std::size_t j = 0; j < at.c.size(); ++j) at.error += std::abs(problem_.b[j] - at.c[j]);
  }

  /// The pairs with positive entries, and how much f + g - C is there.
  void collect(const Point& at) {
    const auto indptr = active_.indptr();
    passes_.for_rows(0.3, [&](Index row, const RowScratch& scratch) {
      Index count = 0;
      problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index size) {
        count += row_kernels<T>().count(cost, at.g.data() + first, size, at.f[static_cast<std::size_t>(row)], 0.0);
      });
      indptr[static_cast<std::size_t>(row) + 1] = count;
    });
    indptr[0] = 0;
    std::partial_sum(indptr.begin(), indptr.end(), indptr.begin());
    active_.make_room();
    slacks_.resize(static_cast<std::size_t>(active_.nnz()));
    passes_.for_rows(0.5, [&](Index row, const RowScratch& scratch) {
      Index place = indptr[static_cast<std::size_t>(row)];
      std::int32_t numbers[Costs::tile + 8];
      problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index size) {
        const Index count =
            row_kernels<T>().collect(cost, at.g.data() + first, size, at.f[static_cast<std::size_t>(row)], 0.0,
                                     static_cast<std::int32_t>(first), numbers, scratch.t);
        std::copy_n(numbers, count, active_.indices().data() + place);
        std::copy_n(scratch.t, count, slacks_.data() + place);
        place += count;
      });
    });
    std::fill_n(active_.values().begin(), active_.nnz(), 1.0);
  }

  std::pair<bool, Index> take_newton_step(double reg) {
    constexpr double of_a_tree = 8, of_what_may_be_factored = 40;
    const std::size_t n = current_.f.size(), m = current_.g.size();
    collect(current_);
    const auto indptr = active_.indptr();
    std::fill(diagonal_.begin(), diagonal_.end(), 0.0);
    for (Index k = 0; k < active_.nnz(); ++k)
      diagonal_[static_cast<std::size_t>(active_.indices()[static_cast<std::size_t>(k)])] += 1;
    const double mean = static_cast<double>(active_.nnz()) / static_cast<double>(m);
    for (std::size_t j = 0; j < m; ++j) {
      diagonal_[j] += damping_ * std::min(1.0, current_.error) * mean;
      gradient_[j] = problem_.b[j] - current_.c[j];
    }
    for (std::size_t i = 0; i < n; ++i)
      weights_[i] = indptr[i + 1] > indptr[i] ? 1 / static_cast<double>(indptr[i + 1] - indptr[i]) : 0.0;

    Index iterations = 0;
    const double entries = active_.entries_per_column();
    if (!(entries < of_a_tree && active_.factor(weights_, diagonal_, false, gradient_, step_))) {
      active_.transpose();
      jacobi_ = diagonal_;
      active_.subtract_diagonal(weights_, jacobi_);
      for (std::size_t j = 0; j < m; ++j) jacobi_[j] = 1 / std::max(jacobi_[j], 1e-12 * diagonal_[j]);
      const Index most = entries < of_what_may_be_factored ? 400 : 3000;
      const auto multiply = [this](std::span<const double> x, std::span<double> y) {
        active_.multiply(weights_, x, y);
        for (std::size_t j = 0; j < x.size(); ++j) y[j] = diagonal_[j] * x[j] - y[j];
      };
      iterations = conjugate_gradients(multiply, jacobi_, gradient_, std::clamp(0.1 * current_.error, 1e-8, 1e-2), most,
                                       vectors_, step_);
      if (iterations == most && entries < of_what_may_be_factored &&
          active_.factor(weights_, diagonal_, false, gradient_, vectors_.z.span()))
        std::copy(vectors_.z.begin(), vectors_.z.end(), step_.begin());
    }
    return {search(reg), iterations};
  }

  /// Goes along step_ to about where F is largest: by its derivative, whose corners are where pairs come in or go. The
  /// derivative falls from `slope`, and where parts of the plan hang together no longer, it falls late and steeply.
  bool search(double reg) {
    constexpr double sufficient = 1e-4, flat = 0.3;
    constexpr int most_trials = 30;
    const auto derivative = [&](const Point& at) {
      double sum = 0;
      for (std::size_t j = 0; j < step_.size(); ++j) sum += step_[j] * (problem_.b[j] - at.c[j]);
      return reg * sum;
    };
    const double slope = derivative(current_);
    const double rounding = 1e-13 * std::max(reg, std::abs(current_.value));
    double low = 0, high = infinity, of_low = slope, of_high = 0, alpha = 1;  // Illinois' variant of the secant method
    int side = 0;
    for (int trial = 0; trial < most_trials; ++trial) {
      for (std::size_t j = 0; j < step_.size(); ++j) trial_.g[j] = current_.g[j] + alpha * reg * step_[j];
      evaluate(reg, trial_);
      const double here = derivative(trial_);
      const bool rises = trial_.value >= current_.value + sufficient * alpha * slope;
      const bool is_noise = alpha * slope < rounding;
      const bool falls_in_error = trial_.error < 0.7 * current_.error && trial_.value >= current_.value - rounding;
      if ((rises && std::abs(here) <= flat * slope && (!is_noise || trial_.error < current_.error)) || falls_in_error ||
          (rises && here > 0 && trial == most_trials - 1)) {
        damping_ = trial == 0 ? std::max(0.1 * damping_, 1e-10) : std::min(2 * damping_, 1e2);
        std::swap(current_, trial_);
        return true;
      }
      if (here > 0) {
        low = alpha;
        of_low = here;
        if (side == 1) of_high *= 0.5;
        side = 1;
      } else {
        high = alpha;
        of_high = here;
        if (side == -1) of_low *= 0.5;
        side = -1;
      }
      if (high == infinity)
        alpha *= 2;
      else
        alpha = std::clamp(low + (high - low) * of_low / (of_low - of_high), low + 1e-3 * (high - low),
                           high - 1e-3 * (high - low));
    }
    damping_ *= 100;
    return false;
  }

  Problem problem_;
  RowPasses& passes_;
  Journal& journal_;
  double largest_cost_;
  BipartiteLaplacian active_;
  ConjugateGradientsMemory vectors_;
  std::vector<double> weights_, diagonal_, jacobi_, gradient_, step_, slacks_;
  Point current_, trial_;
  double damping_ = 1e-2;
  Index count_ = 0;
};

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
  QuadraticSolver solver(problem, passes, journal, memory.plan, range.finite ? infinity : range.largest);
  using Outcome = QuadraticSolver::Outcome;
  const double goal = 0.9 * options.tol;
  Point& at = solver.current();
  Outcome outcome = Outcome::reached;
  if (!options.g.empty()) {
    cols.gather(options.g, at.g);
  } else {
    // Where a row has a tenth of all entries or so, one step from anywhere comes close.
    constexpr double first_level = 0.1, factor = 0.25, level_goal = 0.05;
    constexpr Index most_iterations_of_level = 30;
    const double size = static_cast<double>(std::max(n, m));
    for (double level = first_level * range.typical * size; level > reg && journal.may_go_on(); level *= factor) {
      solver.evaluate(level);
      outcome = solver.solve(level, std::max(goal, level_goal), std::min(journal.left(), most_iterations_of_level));
      if (outcome == Outcome::infeasible) break;
    }
  }
  if (outcome != Outcome::infeasible) {
    solver.evaluate(reg);
    outcome = solver.solve(reg, goal, journal.left());
  }

  QuadraticResult<T> result;
  result.plan = solver.plan<T>(reg, rows, cols, mass, n, m);
  std::vector<double> r(static_cast<std::size_t>(n)), c(static_cast<std::size_t>(m));
  double squares = 0;
  for (Index i = 0; i < n; ++i)
    for (Index k = result.plan.indptr[i]; k < result.plan.indptr[i + 1]; ++k) {
      const auto entry = static_cast<double>(result.plan.data[k]);
      r[static_cast<std::size_t>(i)] += entry;
      c[static_cast<std::size_t>(result.plan.indices[k])] += entry;
      squares += entry * entry;
    }
  result.f.resize(r.size());
  result.g.resize(c.size());
  rows.scatter(at.f, result.f);
  cols.scatter(at.g, result.g);
  if (rows.kept() != nullptr || cols.kept() != nullptr) refill(cost, rows, cols, result.f, result.g);
  double error = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    error += std::abs(r[i] - (given.a.empty() ? 1 / static_cast<double>(n) : given.a[i]));
  }
  for (std::size_t j = 0; j < c.size(); ++j) {
    error += std::abs(c[j] - (given.b.empty() ? 1 / static_cast<double>(m) : given.b[j] * (mass / cols.total)));
  }
  result.cost = mass * solver.cost(reg);
  result.primal_value = result.cost + 0.5 * options.reg * squares;
  result.dual_value = mass * at.value;
  result.marginal_error = error;
  const double mean = std::accumulate(result.f.begin(), result.f.end(), 0.0) / static_cast<double>(n);
  for (double& entry : result.f) entry -= mean;
  for (double& entry : result.g) entry += mean;
  result.iterations = journal.iterations();
  result.passes = solver.passes();
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
