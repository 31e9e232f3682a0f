// Exact optimal transport: checks, masses of zero, forbidden pairs, and what is reported.
#include "nearlinear/ot/exact.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/core/errors.hpp"
#include "ot/first_plan.hpp"
#include "ot/marginals.hpp"
#include "ot/mass_units.hpp"
#include "ot/multilevel_plan.hpp"
#include "ot/network_simplex.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr double infinity = std::numeric_limits<double>::infinity();

void require_options(const ExactOptions& options, Index n, Index m) {
  require(options.maxiter.value_or(0) >= 0, "exact: maxiter is ", options.maxiter.value_or(0),
          "; it must not be negative");
  require(n + m < std::numeric_limits<std::int32_t>::max(), "exact: a and b have more than 2^31 - 2 entries together");
  require(options.f.empty() == options.g.empty(), "exact: f and g to start from must both be given, or neither");
  require(options.f.empty() || (std::ssize(options.f) == n && std::ssize(options.g) == m), "exact: f has ",
          std::ssize(options.f), " entries and g has ", std::ssize(options.g), "; there must be ", n, " and ", m);
  for (const auto dual : {options.f, options.g})
    require(std::all_of(dual.begin(), dual.end(), [](double entry) { return std::isfinite(entry); }),
            "exact: dual variables to start from must be finite");
}

/// The range of finite costs. Throws where one is NaN or -Inf.
Range checked_range(const Costs& costs, const Marginal& a, int n_threads, Monitor& monitor) {
  constexpr Index block = 16;
  const Index n = costs.rows(), blocks = ceil_divide(n, block);
  const double nanoseconds =
      0.3 * costs.nanoseconds_per_pair() * static_cast<double>(n) * static_cast<double>(costs.cols());
  std::vector<Range> ranges(static_cast<std::size_t>(n), range_of_nothing);
  parallel_for(blocks, thread_count(n_threads, static_cast<Index>(std::min(nanoseconds, 1e18))), monitor,
               [&](Index at) {
                 std::vector<double> scratch(static_cast<std::size_t>(Costs::tile + 32));
                 for (Index i = at * block; i < std::min(n, (at + 1) * block); ++i)
                   costs.for_tiles(i, scratch.data(), [&]<class T>(const T* cost, Index, Index count) {
                     Range& range = ranges[static_cast<std::size_t>(i)];
                     range = joined(range, row_kernels<T>().range(cost, count));
                   });
               });
  Range all = range_of_nothing;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    require(ranges[i].valid, "exact: C has an entry in row ", a.place(i),
            " that is NaN or -Inf; entries must be finite, or +Inf for forbidden pairs");
    all = joined(all, ranges[i]);
  }
  return all;
}

/// An n x m matrix of entry(i, j, C_ij).
template <class T, class Entry>
Memory matrix_of(const Costs& costs, Monitor& monitor, const Entry& entry) {
  const Index n = costs.rows(), m = costs.cols();
  Memory memory = Memory::allocate(Array<T>::bytes(checked_product(n, m)));
  T* const matrix = static_cast<T*>(memory.data());
  std::vector<double> scratch(static_cast<std::size_t>(Costs::tile + 32));
  for (Index i = 0; i < n; ++i) {
    monitor.poll(0);
    costs.for_tiles(i, scratch.data(), [&](const auto* row, Index first, Index count) {
      for (Index j = 0; j < count; ++j)
        matrix[i * m + first + j] = static_cast<T>(entry(i, first + j, static_cast<double>(row[j])));
    });
  }
  return memory;
}

/// The simplex method in one phase, or two where the first plan needs forbidden pairs.
class Solver {
 public:
  Solver(const Costs& costs, const MassUnits& units, const ExactOptions& options, Monitor& monitor)
      : costs_(costs), units_(units), options_(options), monitor_(monitor), scratch_(Costs::tile + 32) {}

  /// Afterwards, f() and g() are those of the status.
  ExactStatus solve(const FirstPlan& first) {
    SpanningTree tree(costs_.rows(), costs_.cols(), first.shipments, first.f.data());
    ExactStatus status = ExactStatus::optimal;
    if (first.has_forbidden) {
      status = avoid_forbidden_pairs(tree);
    } else {
      status = minimise(costs_, tree);
      take_duals(tree);
    }
    plan_ = tree.plan();
    for (Shipment& shipment : plan_) shipment.cost = costs_.cost(shipment.row, shipment.col, scratch_.data());
    if (status == ExactStatus::maxiter || status == ExactStatus::stopped) make_feasible();
    return status;
  }

  [[nodiscard]] const std::vector<double>& f() const { return f_; }
  [[nodiscard]] const std::vector<double>& g() const { return g_; }
  [[nodiscard]] Index pivots() const { return pivots_; }

  /// Shipments with their costs, which are +Inf where the plan still needs forbidden pairs.
  [[nodiscard]] const std::vector<Shipment>& plan() const { return plan_; }

  /// Whether it needs none.
  [[nodiscard]] bool has_plan() const {
    std::int64_t forbidden = 0;
    for (const Shipment& shipment : plan_) forbidden += shipment.cost < infinity ? 0 : shipment.units;
    return is_negligible(forbidden);
  }

 private:
  /// Pivots until `tree` is optimal for `costs`.
  ExactStatus minimise(const Costs& costs, SpanningTree& tree) {
    NetworkSimplex simplex(costs, tree, monitor_, pivots_);
    bool is_stopped = false;
    const auto round = [&] {
      is_stopped = options_.callback && !options_.callback(iteration(tree, simplex.pivots()));
      return !is_stopped;
    };
    const bool is_optimal =
        round() && simplex.solve(options_.maxiter.value_or(std::numeric_limits<Index>::max()), round);
    pivots_ = simplex.pivots();
    if (is_optimal) return ExactStatus::optimal;
    return is_stopped ? ExactStatus::stopped : ExactStatus::maxiter;
  }

  /// Minimises the mass that forbidden pairs move; if that is zero, goes on with the costs of the others.
  ///
  /// With the dual variables F and G of the first problem, whose costs are 1 for forbidden pairs and 0 for others, a
  /// plan without forbidden pairs has mass only where F_i + G_j is the cost. So the second problem takes these pairs
  /// alone; forbidden ones that are left in the tree cannot move anything, whatever they cost. A large enough multiple
  /// of F and G makes its dual variables satisfy the inequalities of the pairs that were left out.
  ExactStatus avoid_forbidden_pairs(SpanningTree& tree) {
    f_.assign(units_.rows.size(), 0.0);
    g_.assign(units_.cols.size(), 0.0);
    const auto is_forbidden = [](Index, Index, double cost) { return cost < infinity ? 0.0 : 1.0; };
    {
      const Memory memory = matrix_of<float>(costs_, monitor_, is_forbidden);
      const TransportCost<float> counts =
          MatrixView<const float>(static_cast<const float*>(memory.data()), costs_.rows(), costs_.cols());
      const Costs first_costs(counts, nullptr, nullptr);
      tree.replace_costs([&](Index i, Index j) { return first_costs.cost(i, j, scratch_.data()); });
      const ExactStatus status = minimise(first_costs, tree);
      if (status != ExactStatus::optimal) return status;
    }
    const std::vector<double> F(tree.f(), tree.f() + f_.size()), G(tree.g(), tree.g() + g_.size());
    const auto sum = [&](Index i, Index j) { return F[static_cast<std::size_t>(i)] + G[static_cast<std::size_t>(j)]; };
    std::int64_t stuck = 0;
    for (const Shipment& shipment : tree.plan()) stuck += shipment.cost > 0 ? shipment.units : 0;
    if (!is_negligible(stuck)) {
      f_ = F;
      g_ = G;
      return ExactStatus::infeasible;
    }

    constexpr double below = -0.5;  // they are whole numbers
    const auto left = [&](Index i, Index j, double cost) { return sum(i, j) < below ? infinity : cost; };
    const Memory memory = matrix_of<double>(costs_, monitor_, left);
    const TransportCost<double> second =
        MatrixView<const double>(static_cast<const double*>(memory.data()), costs_.rows(), costs_.cols());
    const Costs second_costs(second, nullptr, nullptr);
    tree.replace_costs([&](Index i, Index j) {
      const double cost = second_costs.cost(i, j, scratch_.data());
      return cost < infinity ? cost : 0.0;
    });
    const ExactStatus status = minimise(second_costs, tree);
    take_duals(tree);
    double multiple = 0;
    for (Index i = 0; i < costs_.rows(); ++i)
      costs_.for_tiles(i, scratch_.data(), [&](const auto* row, Index from, Index count) {
        for (Index j = from; j < from + count; ++j) {
          const double excess =
              f_[static_cast<std::size_t>(i)] + g_[static_cast<std::size_t>(j)] - static_cast<double>(row[j - from]);
          if (excess > 0 && sum(i, j) < below) multiple = std::max(multiple, excess / -sum(i, j));
        }
      });
    for (std::size_t i = 0; i < f_.size(); ++i) f_[i] += multiple * F[i];
    for (std::size_t j = 0; j < g_.size(); ++j) g_[j] += multiple * G[j];
    return status;
  }

  /// Masses are known up to rounding: what it amounts to may have nowhere to go.
  [[nodiscard]] bool is_negligible(std::int64_t units) const {
    constexpr double rounding = 0x1p-53;
    return static_cast<double>(units) * units_.unit <=
           rounding * static_cast<double>(units_.rows.size() + units_.cols.size());
  }

  void take_duals(const SpanningTree& tree) {
    f_.assign(tree.f(), tree.f() + units_.rows.size());
    g_.assign(tree.g(), tree.g() + units_.cols.size());
  }

  /// f_i <- min_j C_ij - g_j, where the method was stopped.
  void make_feasible() {
    for (std::size_t i = 0; i < f_.size(); ++i)
      f_[i] = -costs_.best(static_cast<Index>(i), g_.data(), scratch_.data()).slack;
  }

  [[nodiscard]] ExactIteration iteration(const SpanningTree& tree, Index pivots) {
    ExactIteration at{.iteration = pivots};
    for (const Shipment& shipment : tree.plan()) {
      const double cost = costs_.cost(shipment.row, shipment.col, scratch_.data());
      const double mass = static_cast<double>(shipment.units) * units_.unit;
      (cost < infinity ? at.cost : at.forbidden_mass) += cost < infinity ? mass * cost : mass;
    }
    return at;
  }

  const Costs& costs_;
  const MassUnits& units_;
  const ExactOptions& options_;
  Monitor& monitor_;
  std::vector<double> scratch_;
  std::vector<double> f_, g_;
  std::vector<Shipment> plan_;
  Index pivots_ = 0;
};

/// The largest dual variables of rows and columns without mass that satisfy the inequalities: of rows first. `cost_of`
/// says what a finite cost counts.
template <class T, class CostOf>
void complete_duals(const TransportCost<T>& cost, const Marginal& a, const Marginal& b, const CostOf& cost_of,
                    std::vector<double>& f, std::vector<double>& g) {
  const Costs costs(cost, nullptr, nullptr);
  std::vector<double> t(static_cast<std::size_t>(Costs::tile + 32)), least(g.size(), infinity);
  std::vector<bool> row_has_mass(f.size(), a.places.empty()), col_has_mass(g.size(), b.places.empty());
  for (const Index i : a.places) row_has_mass[static_cast<std::size_t>(i)] = true;
  for (const Index j : b.places) col_has_mass[static_cast<std::size_t>(j)] = true;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const auto pass = [&](const auto& body) {
      costs.for_tiles(static_cast<Index>(i), t.data(), [&](const auto* row, Index first, Index count) {
        for (Index j = 0; j < count; ++j)
          if (static_cast<double>(row[j]) < infinity)
            body(static_cast<std::size_t>(first + j), cost_of(static_cast<double>(row[j])));
      });
    };
    if (!row_has_mass[i]) {
      f[i] = infinity;
      pass([&](std::size_t j, double here) {
        if (col_has_mass[j]) f[i] = std::min(f[i], here - g[j]);
      });
      if (f[i] == infinity) f[i] = 0;
    }
    if (!b.places.empty()) pass([&](std::size_t j, double here) { least[j] = std::min(least[j], here - f[i]); });
  }
  for (std::size_t j = 0; j < g.size(); ++j)
    if (!col_has_mass[j]) g[j] = least[j] < infinity ? least[j] : 0;
}

/// The plan in masses, and what it costs and misses.
template <class T>
void report_plan(const Solver& solver, const Marginal& rows, const Marginal& cols, double unit,
                 ExactResult<T>& result) {
  constexpr double negligible = std::numeric_limits<double>::epsilon();
  const double mass = rows.total;
  std::vector<double> row_error(rows.mass.size()), col_error(cols.mass.size());
  for (std::size_t i = 0; i < row_error.size(); ++i) row_error[i] = -mass * rows.mass[i];
  for (std::size_t j = 0; j < col_error.size(); ++j) col_error[j] = -mass * cols.mass[j];
  std::vector<std::pair<Index, double>> entries;  // columns and masses, by rows
  std::vector<Shipment> plan = solver.plan();
  std::sort(plan.begin(), plan.end(),
            [](const Shipment& x, const Shipment& y) { return x.row < y.row || (x.row == y.row && x.col < y.col); });
  CsrMatrix<T, Index>& P = result.plan;
  const Index n = std::ssize(result.f);
  P = {n, std::ssize(result.g), Array<Index>::zeros(n + 1), {}, {}};
  for (const Shipment& shipment : plan) {
    const auto i = static_cast<std::size_t>(shipment.row), j = static_cast<std::size_t>(shipment.col);
    const double limit = mass * std::min(rows.mass[i], cols.mass[j]);
    // What is left of a tie that rounding to units has broken is no entry.
    const double moved = std::min(limit, mass * (static_cast<double>(shipment.units) * unit));
    if (!(shipment.cost < infinity) || moved <= negligible * limit) continue;
    result.cost += moved * shipment.cost;
    row_error[i] += moved;
    col_error[j] += moved;
    entries.emplace_back(cols.place(j), moved);
    ++P.indptr[static_cast<Index>(rows.place(i)) + 1];
  }
  for (Index i = 0; i < n; ++i) P.indptr[i + 1] += P.indptr[i];
  P.indices = Array<Index>(std::ssize(entries));
  P.data = Array<T>(std::ssize(entries));
  for (std::size_t k = 0; k < entries.size(); ++k) {
    P.indices[static_cast<Index>(k)] = entries[k].first;
    P.data[static_cast<Index>(k)] = static_cast<T>(entries[k].second);
  }
  for (const double error : row_error) result.marginal_error += std::abs(error);
  for (const double error : col_error) result.marginal_error += std::abs(error);
}

}  // namespace

template <class T>
ExactResult<T> exact(const TransportProblem<T>& problem, const ExactOptions& options, const RunOptions& run) {
  const auto& [a, b, cost] = problem;
  require_valid_cost(cost, "exact");
  const Index n = cost_rows(cost), m = cost_cols(cost);
  require_options(options, n, m);
  const Marginal rows = marginal_of(a, n, "exact", "a"), cols = marginal_of(b, m, "exact", "b");
  require_equal_sums(rows, cols, "exact");

  Monitor monitor(run.keep_going);
  monitor.enter_stage(0, 0);
  const Costs costs(cost, rows.kept(), cols.kept());
  const Range range = checked_range(costs, rows, run.n_threads, monitor);
  const bool is_open = range.smallest < infinity;  // some pair is
  const double most = is_open ? std::max(std::abs(range.smallest), std::abs(range.largest)) : 0;
  require(most < std::numeric_limits<double>::max() / (8 * static_cast<double>(n + m)), "exact: C has the entry ", most,
          ", which is too large: sums of costs must be doubles");

  const MassUnits units = mass_units(rows, cols, a, b);
  Solver solver(costs, units, options, monitor);
  FirstPlan first;
  if (options.g.empty() && range.finite) {
    first = multilevel_plan(cost, costs, rows, cols, units, monitor);
  } else {
    std::vector<double> guess(cols.mass.size(), 0.0);
    for (std::size_t j = 0; j < guess.size() && !options.g.empty(); ++j) guess[j] = options.g[cols.place(j)];
    first = make_first_plan(costs, units.rows, units.cols, guess.data(), monitor);
  }
  monitor.enter_stage(0, 1);
  ExactResult<T> result;
  result.status = solver.solve(first);
  result.iterations = solver.pivots();
  result.f.resize(static_cast<std::size_t>(n));
  result.g.resize(static_cast<std::size_t>(m));
  rows.scatter(solver.f(), result.f);
  cols.scatter(solver.g(), result.g);
  report_plan(solver, rows, cols, units.unit, result);
  if (rows.kept() != nullptr || cols.kept() != nullptr) {
    const double counts = result.status == ExactStatus::infeasible ? 0 : 1;
    complete_duals(cost, rows, cols, [counts](double finite) { return counts * finite; }, result.f, result.g);
  }
  for (int round = 0; round < 2; ++round) {  // once more for what rounding left, where f was far from 0
    const double mean = std::accumulate(result.f.begin(), result.f.end(), 0.0) / static_cast<double>(n);
    for (double& entry : result.f) entry -= mean;
    for (double& entry : result.g) entry += mean;
  }
  double duals = 0;
  for (std::size_t i = 0; i < rows.mass.size(); ++i) duals += rows.mass[i] * result.f[rows.place(i)];
  for (std::size_t j = 0; j < cols.mass.size(); ++j) duals += cols.mass[j] * result.g[cols.place(j)];
  result.gap = solver.has_plan() ? result.cost - rows.total * duals : infinity;
  return result;
}

template ExactResult<float> exact(const TransportProblem<float>&, const ExactOptions&, const RunOptions&);
template ExactResult<double> exact(const TransportProblem<double>&, const ExactOptions&, const RunOptions&);

}  // namespace nearlinear
