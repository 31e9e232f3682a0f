// Transport with sparsity constraints: a bound, and a plan that satisfies everything. Rows are the side with limits.
#include "nearlinear/ot/sparse_plan.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "nearlinear/core/errors.hpp"
#include "nearlinear/ot/exact.hpp"
#include "ot/cost_range.hpp"
#include "ot/mass_units.hpp"
#include "ot/quadratic_plan.hpp"
#include "ot/row_limits.hpp"
#include "ot/sparse_bound.hpp"
#include "ot/sparse_rounding.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr double infinity = std::numeric_limits<double>::infinity();

void require_options(const SparsePlanOptions& options, Index n, Index m) {
  require(options.reg >= 4 * std::numeric_limits<double>::min() && options.reg < infinity, "sparse_plan: reg is ",
          options.reg, "; it must be positive and finite");
  require(options.max_nz >= 1, "sparse_plan: max_nz is ", options.max_nz, "; it must be at least 1");
  require(options.axis == 0 || options.axis == 1, "sparse_plan: axis is ", options.axis, "; it must be 0 or 1");
  require(options.tol > 0 && options.tol < infinity, "sparse_plan: tol is ", options.tol,
          "; it must be positive and finite");
  require(options.maxiter >= 0, "sparse_plan: maxiter is ", options.maxiter, "; it must not be negative");
  require(options.f.empty() == options.g.empty() &&
              (options.f.empty() || (std::ssize(options.f) == n && std::ssize(options.g) == m)),
          "sparse_plan: f has ", std::ssize(options.f), " entries and g has ", std::ssize(options.g),
          "; there must be ", n, " and ", m, ", or none");
}

/// The transpose of the costs, which a matrix is copied to `memory` for.
template <class T>
TransportCost<T> transposed(const TransportCost<T>& cost, Array<T>& memory) {
  if (const auto* clouds = std::get_if<PointCloudCost<T>>(&cost))
    return PointCloudCost<T>{clouds->y, clouds->x, clouds->metric};
  constexpr Index block = 32;
  const auto& C = std::get<MatrixView<const T>>(cost);
  const Index n = C.rows(), m = C.cols();
  memory = Array<T>(checked_product(n, m));
  for (Index first_row = 0; first_row < n; first_row += block)
    for (Index first_col = 0; first_col < m; first_col += block)
      for (Index j = first_col; j < std::min(first_col + block, m); ++j)
        for (Index i = first_row; i < std::min(first_row + block, n); ++i) memory[j * n + i] = C(i, j);
  return MatrixView<const T>(static_cast<const T*>(memory.data()), m, n);
}

/// Throws where a count of masses shows that no plan has so few entries per row.
void require_entries(const Marginal& rows, const Marginal& cols, Index most, int axis) {
  constexpr double rounding = 1e-9;
  const char* const line = axis == 0 ? "column" : "row";
  const char* const other = axis == 0 ? "row" : "column";
  const Index n = std::ssize(rows.mass), m = std::ssize(cols.mass);
  require(most >= (m + n - 1) / n, "sparse_plan: max_nz is ", most, ", too small for any plan: ", n, " ", line,
          "s with so many entries each do not reach all ", m, " ", other, "s");
  std::vector<double> largest(cols.mass);
  std::partial_sort(largest.begin(), largest.begin() + most, largest.end(), std::greater<>());
  const double reach = std::accumulate(largest.begin(), largest.begin() + most, 0.0);
  for (std::size_t i = 0; i < rows.mass.size(); ++i)
    require(rows.mass[i] <= reach * (1 + rounding), "sparse_plan: max_nz is ", most, ", too small for any plan: ", line,
            " ", rows.place(i), " has more mass than any ", most, " ", other, "s together");
}

/// The problem with limits on rows.
template <class T>
class Solver {
 public:
  Solver(const TransportProblem<T>& given, const SparsePlanOptions& options, const RunOptions& run, Monitor& monitor)
      : given_(given),
        options_(options),
        run_(run),
        monitor_(monitor),
        n_(cost_rows(given.cost)),
        m_(cost_cols(given.cost)),
        rows_(marginal_of(given.a, n_, "sparse_plan", options.axis == 0 ? "b" : "a")),
        cols_(marginal_of(given.b, m_, "sparse_plan", options.axis == 0 ? "a" : "b")),
        mass_((options.axis == 0 ? cols_ : rows_).total),  // of the user's a
        reg_(options.reg * mass_),
        goal_(0.9 * options.tol),
        costs_(given.cost, rows_.kept(), cols_.kept()),
        problem_{costs_, rows_.mass, cols_.mass},
        passes_(problem_, run.n_threads, monitor, memory_.passes),
        most_(std::min(options.max_nz, problem_.cols())),
        journal_(options.callback, options.maxiter, monitor),
        all_(problem_, passes_, problem_.cols()),
        limited_(problem_, passes_, most_) {}

  SparsePlanResult<T> solve(std::span<const double> g) {
    if (options_.axis == 0)  // sums are those of the user's a and b in this order
      require_equal_sums(cols_, rows_, "sparse_plan");
    else
      require_equal_sums(rows_, cols_, "sparse_plan");
    range_ = checked_range(problem_, rows_, cols_, passes_, "sparse_plan", options_.axis == 0);
    if (options_.feasible) require_entries(rows_, cols_, most_, options_.axis);
    SparsePlanResult<T> result;
    run(g, result);
    result.iterations = journal_.iterations();
    result.passes = passes_of_start_ + all_.passes() + limited_.passes();
    result.history = std::move(journal_.history());
    return result;
  }

 private:
  void run(std::span<const double> g, SparsePlanResult<T>& result) {
    const double most_value = range_.finite ? infinity : range_.largest;
    QuadraticNewton unlimited(problem_, passes_, all_, journal_, memory_.plan, most_value);
    using Outcome = QuadraticNewton<LimitedRows>::Outcome;
    SparseBound bound(problem_, passes_, limited_, journal_, memory_.plan, reg_, goal_);
    if (!g.empty()) {
      cols_.gather(g, unlimited.current().g);
      unlimited.evaluate(reg_);
    }
    if (most_ > 1 || problem_.cols() == 1) {
      Outcome outcome;
      if (g.empty()) {
        const QuadraticStart start = entropic_start(given_, rows_, cols_, range_.typical, reg_, run_);
        passes_of_start_ = start.passes;
        unlimited.current().g = start.g;
        outcome = unlimited.solve_from_above(reg_, start.level, goal_);
      } else {
        outcome = unlimited.solve(reg_, goal_, journal_.left());
      }
      if (outcome == Outcome::reached && unlimited.current().most_entries() <= most_) {
        finish(unlimited, unlimited.current(), SparsePlanStatus::optimal, result);
        return;
      }
      if (outcome == Outcome::infeasible || most_ == problem_.cols()) {
        bound.offer(unlimited.current().g);
        bound.newton().current() = bound.best();
        finish(bound.newton(), bound.best(),
               outcome == Outcome::infeasible ? SparsePlanStatus::infeasible : SparsePlanStatus::violated, result);
        return;
      }
    }
    bound.offer(unlimited.current().g);
    if (!g.empty()) {
      std::vector<double> start(cols_.mass.size());
      cols_.gather(g, start);
      bound.offer(start);
    }
    std::optional<SparseRounding> rounding;
    if (options_.feasible || most_ == 1) {
      const ExactResult<T> exact = vertex();
      if (exact.status == ExactStatus::infeasible) {
        bound.newton().current() = bound.best();
        finish(bound.newton(), bound.best(), SparsePlanStatus::infeasible, result);
        return;
      }
      std::vector<double> f(rows_.mass.size()), duals(cols_.mass.size());
      rows_.gather(exact.f, f);
      cols_.gather(exact.g, duals);
      bound.offer(duals);
      Pairs pairs = pairs_of(exact.plan);
      if (options_.feasible && (keeps_limit(pairs) || limit(f, duals, pairs))) {
        rounding.emplace(problem_, passes_, limited_, monitor_, memory_.plan, std::move(pairs), reg_, goal_,
                         most_value);
        if (improve(rounding, bound.best().g, bound)) bound.offer(rounding->g());
      }
    }
    const auto upper = [&] { return rounding ? rounding->value() : infinity; };
    const bool is_solved = !bound.proves(upper()) && ascend(bound, rounding);
    if (is_solved) {
      finish(bound.newton(), bound.best(), SparsePlanStatus::optimal, result);
    } else if (rounding && rounding->has_plan()) {
      const SparsePlanStatus status = bound.proves(upper()) ? SparsePlanStatus::optimal : SparsePlanStatus::feasible;
      finish(write(*rounding, result.plan), bound.best(), status, result);
    } else {
      bound.newton().current() = bound.best();
      finish(bound.newton(), bound.best(), SparsePlanStatus::violated, result);
    }
    result.ties = limited_.ties(bound.best(), 1e-12 * std::max(range_.largest, reg_));
  }

  /// Whether the bound's plan has turned out to satisfy everything.
  bool ascend(SparseBound& bound, std::optional<SparseRounding>& rounding) {
    constexpr Index most_newton = 60, most_newton_alone = 200, most_lbfgs = 150, most_supergradients = 250,
                    most_turns = 20;
    const auto upper = [&] { return rounding ? rounding->value() : infinity; };
    const auto improve_and_offer = [&](const std::vector<double>& g) {
      const bool is_better = rounding && improve(rounding, g, bound);
      if (is_better) bound.offer(rounding->g());
      return is_better;
    };
    switch (options_.method) {
      case SparsePlanMethod::newton:
        if (bound.ascend_by_newton(most_newton_alone)) return true;
        improve_and_offer(bound.best().g);
        return false;
      case SparsePlanMethod::alternating:
        for (Index turn = 0; turn < most_turns && rounding && rounding->has_plan() && !bound.proves(upper()); ++turn)
          if (!improve_and_offer(std::vector<double>(rounding->g()))) break;
        return false;
      case SparsePlanMethod::automatic:
        if (most_ > 1 && bound.ascend_by_newton(most_newton)) return true;
        break;
      case SparsePlanMethod::lbfgs:
        break;
    }
    bound.ascend_by_lbfgs(options_.formulation, upper(), most_lbfgs);
    if (bound.best().error <= goal_) {
      bound.newton().current() = bound.best();
      return true;
    }
    improve_and_offer(bound.best().g);
    bound.ascend_by_supergradients(upper(), most_supergradients);
    improve_and_offer(bound.best().g);
    return false;
  }

  static bool improve(std::optional<SparseRounding>& rounding, std::span<const double> g, const SparseBound& bound) {
    return rounding->improve(g, [&bound](double value) { return bound.proves(value); });
  }

  [[nodiscard]] ExactResult<T> vertex() const { return nearlinear::exact<T>(given_, {}, run_); }

  [[nodiscard]] bool keeps_limit(const Pairs& pairs) const {
    return std::all_of(pairs.begin(), pairs.end(), [this](const auto& cols) { return std::ssize(cols) <= most_; });
  }

  /// From a vertex to one whose rows keep the limit, by pivots. Those of exact transport have rows with many entries
  /// where rows of much mass lie among columns of little: so it is tried without such pairs as well, and from a vertex
  /// that takes no notice of costs.
  bool limit(std::span<const double> f, std::span<const double> g, Pairs& pairs) {
    constexpr double most_pairs = 2e8;  // for which a matrix is made
    constexpr std::uint64_t more_rounds = 3;
    constexpr Index pivots_per_iteration = 100, most_iterations = 1000;
    const Index most_pivots = pivots_per_iteration * std::min(options_.maxiter, most_iterations);
    const MassUnits units = mass_units(rows_, cols_, given_.a, given_.b);
    const auto search = [&](const Pairs& from, std::uint64_t seed) {
      Pairs found = from;
      const bool is_found = limit_rows(costs_, units, f, g, range_.typical, most_, most_pivots, seed, monitor_, found);
      if (is_found) pairs = std::move(found);
      return is_found;
    };
    if (search(pairs, 0)) return true;
    if (problem_.pairs() <= most_pairs)
      for (const double least : {0.5, 1.0, 0.25})
        if (const auto without = vertex_without_small(least); without && search(*without, 0)) return true;
    if (range_.finite && search(north_west_plan(units), 0)) return true;
    for (std::uint64_t seed = 1; seed <= more_rounds; ++seed)
      if (search(pairs, seed)) return true;
    return false;
  }

  /// A vertex of exact transport that moves nothing from rows to columns with less than `least` of what an entry of the
  /// row has on average if it has as many as it may; none if there is none.
  [[nodiscard]] std::optional<Pairs> vertex_without_small(double least) const {
    const Index n = problem_.rows(), m = problem_.cols();
    Array<double> C(checked_product(n, m));
    std::vector<double> tile(Costs::tile + 32);
    for (Index i = 0; i < n; ++i) {
      const double smallest = least * rows_.mass[static_cast<std::size_t>(i)] / static_cast<double>(most_);
      costs_.for_tiles(i, tile.data(), [&](const auto* cost, Index first, Index count) {
        for (Index j = 0; j < count; ++j)
          C[i * m + first + j] =
              cols_.mass[static_cast<std::size_t>(first + j)] < smallest ? infinity : static_cast<double>(cost[j]);
      });
    }
    const MatrixView<const double> view(static_cast<const double*>(C.data()), n, m);
    for (Index i = 0; i < n; ++i) {  // which exact() refuses
      const double* const row = C.data() + i * m;
      if (std::none_of(row, row + m, [](double cost) { return cost < infinity; })) return {};
    }
    for (Index j = 0; j < m; ++j) {
      bool is_open = false;
      for (Index i = 0; i < n && !is_open; ++i) is_open = C[i * m + j] < infinity;
      if (!is_open) return {};
    }
    const ExactResult<double> exact = nearlinear::exact<double>({rows_.mass, cols_.mass, view}, {}, run_);
    if (exact.status != ExactStatus::optimal) return {};
    Pairs pairs(rows_.mass.size());
    for (Index i = 0; i < n; ++i)
      for (Index k = exact.plan.indptr[i]; k < exact.plan.indptr[i + 1]; ++k)
        pairs[static_cast<std::size_t>(i)].push_back(static_cast<std::int32_t>(exact.plan.indices[k]));
    return pairs;
  }

  [[nodiscard]] Pairs pairs_of(const CsrMatrix<T, Index>& plan) const {
    std::vector<std::int32_t> place(static_cast<std::size_t>(m_), 0);
    for (std::size_t j = 0; j < cols_.mass.size(); ++j) place[cols_.place(j)] = static_cast<std::int32_t>(j);
    Pairs pairs(rows_.mass.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto row = static_cast<Index>(rows_.place(i));
      for (Index k = plan.indptr[row]; k < plan.indptr[row + 1]; ++k)
        pairs[i].push_back(place[static_cast<std::size_t>(plan.indices[k])]);
    }
    return pairs;
  }

  PlanFigures write(const SparseRounding& rounding, CsrMatrix<T, Index>& plan) const {
    std::vector<double> tile(Costs::tile + 32);
    Index nnz = 0;
    for (const auto& cols : rounding.pairs()) nnz += std::ssize(cols);
    PlanWriter<T> writer(mass_, rows_, cols_, n_, m_, nnz, plan);
    for (std::size_t i = 0; i < rounding.pairs().size(); ++i)
      for (std::size_t k = 0; k < rounding.pairs()[i].size(); ++k) {
        const std::int32_t col = rounding.pairs()[i][k];
        writer.add(i, static_cast<std::size_t>(col), rounding.entries()[i][k],
                   costs_.cost(static_cast<Index>(i), col, tile.data()));
      }
    return writer.finish(given_);
  }

  /// The plan of a solver's point, and the bound with its dual variables.
  template <class Rows>
  void finish(QuadraticNewton<Rows>& solver, const QuadraticPoint& bound, SparsePlanStatus status,
              SparsePlanResult<T>& result) {
    finish(figures_of(solver, reg_, mass_, rows_, cols_, given_, n_, m_, result.plan), bound, status, result);
  }

  void finish(const PlanFigures& figures, const QuadraticPoint& bound, SparsePlanStatus status,
              SparsePlanResult<T>& result) {
    result.f.resize(static_cast<std::size_t>(n_));
    result.g.resize(static_cast<std::size_t>(m_));
    rows_.scatter(bound.f, result.f);
    cols_.scatter(bound.g, result.g);
    if (rows_.kept() != nullptr || cols_.kept() != nullptr) refill(given_.cost, rows_, cols_, result.f, result.g);
    result.cost = figures.cost;
    result.primal_value = figures.cost + 0.5 * options_.reg * figures.squares;
    result.dual_value = mass_ * bound.value;
    result.marginal_error = figures.marginal_error;
    result.feasible = figures.error_before_rounding <= options_.tol * mass_;
    if (!result.feasible && status == SparsePlanStatus::feasible) status = SparsePlanStatus::violated;
    if (journal_.stopped())
      status = SparsePlanStatus::stopped;
    else if (status != SparsePlanStatus::optimal && status != SparsePlanStatus::infeasible && journal_.left() == 0)
      status = SparsePlanStatus::maxiter;
    result.status = status;
  }

  const TransportProblem<T>& given_;
  const SparsePlanOptions& options_;
  const RunOptions& run_;
  Monitor& monitor_;
  Index n_, m_;
  Marginal rows_, cols_;
  double mass_, reg_, goal_;
  Costs costs_;
  Problem problem_;
  Workspace memory_;
  RowPasses passes_;
  Index most_;
  Journal journal_;
  LimitedRows all_, limited_;
  CostRange range_{};
  Index passes_of_start_ = 0;
};

}  // namespace

template <class T>
SparsePlanResult<T> sparse_plan(const TransportProblem<T>& given, const SparsePlanOptions& options,
                                const RunOptions& run) {
  require_valid_cost(given.cost, "sparse_plan");
  require_options(options, cost_rows(given.cost), cost_cols(given.cost));
  Monitor monitor(run.keep_going);
  monitor.enter_stage(0, 0);
  Array<T> memory;
  const bool turns = options.axis == 0;
  const TransportProblem<T> turned =
      turns ? TransportProblem<T>{given.b, given.a, transposed(given.cost, memory)} : given;
  SparsePlanResult<T> result = Solver<T>(turned, options, run, monitor).solve(turns ? options.f : options.g);
  if (turns) std::swap(result.f, result.g);
  const double mean = std::accumulate(result.f.begin(), result.f.end(), 0.0) / static_cast<double>(result.f.size());
  for (double& entry : result.f) entry -= mean;
  for (double& entry : result.g) entry += mean;
  return result;
}

template SparsePlanResult<float> sparse_plan(const TransportProblem<float>&, const SparsePlanOptions&,
                                             const RunOptions&);
template SparsePlanResult<double> sparse_plan(const TransportProblem<double>&, const SparsePlanOptions&,
                                              const RunOptions&);

}  // namespace nearlinear
