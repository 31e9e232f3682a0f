// Barycentres: K semi-dual problems at once, whose variables have the weighted sum 0.
#include "nearlinear/ot/barycenter.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <utility>

#include "nearlinear/core/errors.hpp"
#include "ot/cost_range.hpp"
#include "ot/journal.hpp"
#include "ot/schur_complement.hpp"

namespace nearlinear {
namespace {

using namespace ot;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double smallest_mass = 1e-300;

using Vectors = std::vector<std::vector<double>>;

/// What belongs to one of the rows of A.
struct Part {
  Part(const Costs& costs, Marginal row, double w, std::span<const double> any, int n_threads, Monitor& monitor,
       PassMemory& memory, double memory_share)
      : marginal(std::move(row)),
        weight(w),
        problem{costs, marginal.mass, any},
        passes(problem, n_threads, monitor, memory),
        schur(problem, passes, plan, memory_share) {}

  Marginal marginal;
  double weight;
  Problem problem;
  RowPasses passes;
  PlanMemory plan;
  SchurComplement schur;
};

struct Point {
  std::vector<Iterate> parts;
  std::vector<double> p;  // the geometric mean of the column sums
  double value = 0;
  double error = 0;
};

class BarycenterSolver {
 public:
  BarycenterSolver(std::deque<Part>& parts, Index m, Journal& journal) : parts_(parts), journal_(journal) {
    current_.p.resize(static_cast<std::size_t>(m));
    for (const Part& part : parts) {
      Iterate at;
      at.f.resize(part.problem.a.size());
      at.r = at.f;
      at.g.resize(current_.p.size());
      at.c = at.targets = at.g;
      current_.parts.push_back(std::move(at));
    }
    trial_ = current_;
    step_.assign(parts.size(), std::vector<double>(current_.p.size()));
    residual_ = z_ = direction_ = image_ = step_;
  }

  [[nodiscard]] Point& current() { return current_; }
  void evaluate(double reg) { evaluate(reg, current_); }

  /// Sweeps while they halve the error, then Newton steps.
  bool solve(double reg, double goal, Index most_iterations) {
    constexpr double most_damping = 1e3, first_threshold = 1e-3;
    Index sweeps_left = 1;
    damping_ = 1e-2;
    threshold_ = std::max(threshold_, first_threshold);
    for (Index k = 0; current_.error > goal; ++k) {
      if (k == most_iterations || !journal_.may_go_on()) return true;
      const double before = current_.error;
      if (sweeps_left > 0) {
        sweep(reg);
        note(reg, goal, false, 0);
        if (!(current_.error < 0.5 * before)) --sweeps_left;
        continue;
      }
      Index cg_iterations = 0;
      const bool accepted = take_newton_step(reg, goal, cg_iterations);
      note(reg, goal, true, cg_iterations);
      if (accepted) continue;
      if (damping_ >= most_damping) return false;
      sweeps_left = 3;
    }
    return true;
  }

 private:
  void evaluate(double reg, Point& at) {
    std::vector<double> logarithms(at.p.size());
    at.value = 0;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      Iterate& part = at.parts[k];
      const double w = parts_[k].weight;
      parts_[k].passes.fit_rows(reg, part.g, part.f, part.r, part.c);
      at.value += w * std::inner_product(part.f.begin(), part.f.end(), parts_[k].problem.a.begin(), 0.0);
      for (std::size_t j = 0; j < at.p.size(); ++j) logarithms[j] += w * std::log(std::max(part.c[j], smallest_mass));
    }
    std::transform(logarithms.begin(), logarithms.end(), at.p.begin(), [](double x) { return std::exp(x); });
    at.error = 0;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      at.parts[k].targets = at.p;
      for (std::size_t j = 0; j < at.p.size(); ++j) at.error += parts_[k].weight * std::abs(at.p[j] - at.parts[k].c[j]);
    }
  }

  void note(double reg, double goal, bool newton, Index cg_iterations) {
    journal_.show(0, 1, current_.error, goal);
    Index nnz = 0;
    if (newton)
      for (const Part& part : parts_) nnz += part.schur.nnz();
    journal_.add(
        {.reg = reg, .marginal_error = current_.error, .newton = newton, .cg_iterations = cg_iterations, .nnz = nnz});
  }

  void sweep(double reg) {
    for (Iterate& part : current_.parts)
      for (std::size_t j = 0; j < part.g.size(); ++j)
        part.g[j] +=
            reg * (std::log(std::max(current_.p[j], smallest_mass)) - std::log(std::max(part.c[j], smallest_mass)));
    evaluate(reg);
  }

  /// z_k <- (r_k / w_k - mu) / D_k with sum_k w_k z_k = 0, D_k the diagonal of the k-th Hessian: the preconditioner of
  /// the constrained system. Returns r z.
  double precondition() {
    const std::size_t m = current_.p.size();
    double product = 0;
    std::vector<double> numerator(m), denominator(m);
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const auto jacobi = parts_[k].schur.jacobi();
      for (std::size_t j = 0; j < m; ++j) {
        numerator[j] += residual_[k][j] * jacobi[j];
        denominator[j] += parts_[k].weight * jacobi[j];
      }
    }
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const auto jacobi = parts_[k].schur.jacobi();
      for (std::size_t j = 0; j < m; ++j) {
        z_[k][j] = (residual_[k][j] / parts_[k].weight - numerator[j] / denominator[j]) * jacobi[j];
        product += residual_[k][j] * z_[k][j];
      }
    }
    return product;
  }

  /// Minimises sum_k w_k (d_k S_k d_k / 2 - d_k (p - c_k)) over steps d of the weighted sum 0.
  Index solve_step(double tol) {
    constexpr Index most_iterations = 1000;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      std::fill(step_[k].begin(), step_[k].end(), 0.0);
      for (std::size_t j = 0; j < current_.p.size(); ++j)
        residual_[k][j] = parts_[k].weight * (current_.p[j] - current_.parts[k].c[j]);
    }
    double rho = precondition();
    const double goal = tol * tol * rho;  // in the norm of the preconditioner, which sees no multiplier
    direction_ = z_;
    for (Index iteration = 1; iteration <= most_iterations; ++iteration) {
      double curvature = 0;
      for (std::size_t k = 0; k < parts_.size(); ++k) {
        parts_[k].schur.multiply(direction_[k], image_[k]);
        for (double& entry : image_[k]) entry *= parts_[k].weight;
        curvature += std::inner_product(direction_[k].begin(), direction_[k].end(), image_[k].begin(), 0.0);
      }
      if (!(curvature > 0)) return iteration;
      const double alpha = rho / curvature, before = rho;
      for (std::size_t k = 0; k < parts_.size(); ++k)
        for (std::size_t j = 0; j < current_.p.size(); ++j) {
          step_[k][j] += alpha * direction_[k][j];
          residual_[k][j] -= alpha * image_[k][j];
        }
      rho = precondition();
      if (rho <= goal) return iteration;
      const double beta = rho / before;
      for (std::size_t k = 0; k < parts_.size(); ++k)
        for (std::size_t j = 0; j < current_.p.size(); ++j) direction_[k][j] = z_[k][j] + beta * direction_[k][j];
    }
    return most_iterations;
  }

  /// As SemiDualSolver's, for all parts at once.
  bool take_newton_step(double reg, double goal, Index& cg_iterations) {
    constexpr double longest_step = 20, shorter = 0.4, sufficient = 1e-4, least_threshold = 1e-15;
    constexpr int most_trials = 12;
    threshold_ = std::clamp(0.01 * std::max(current_.error, std::sqrt(goal)), least_threshold, threshold_);
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      parts_[k].schur.build(reg, current_.parts[k], threshold_);
      parts_[k].schur.set_diagonal(damping_ * current_.error);
    }
    cg_iterations = solve_step(std::clamp(std::max(current_.error, 0.1 * goal / current_.error), 1e-4, 0.1));
    double slope = 0, largest = 0;
    for (std::size_t k = 0; k < parts_.size(); ++k)
      for (std::size_t j = 0; j < current_.p.size(); ++j) {
        slope += reg * parts_[k].weight * step_[k][j] * (current_.p[j] - current_.parts[k].c[j]);
        largest = std::max(largest, std::abs(step_[k][j]));
      }
    double alpha = largest > longest_step ? longest_step / largest : 1.0;
    int trial = 0;
    for (; trial < most_trials; ++trial, alpha *= shorter) {
      for (std::size_t k = 0; k < parts_.size(); ++k) {
        trial_.parts[k].f = current_.parts[k].f;
        for (std::size_t j = 0; j < current_.p.size(); ++j)
          trial_.parts[k].g[j] = current_.parts[k].g[j] + alpha * reg * step_[k][j];
      }
      evaluate(reg, trial_);
      const double rounding = 1e-12 * std::max(reg, std::abs(current_.value));
      if (trial_.value >= current_.value + sufficient * alpha * slope ||
          (trial_.error < 0.7 * current_.error && trial_.value >= current_.value - rounding))
        break;
    }
    if (trial == most_trials) {
      damping_ *= 10;
      threshold_ = std::max(0.1 * threshold_, least_threshold);
      return false;
    }
    if (trial_.error > 0.3 * current_.error && trial == 0) threshold_ = std::max(0.1 * threshold_, least_threshold);
    damping_ = trial == 0 ? std::max(0.3 * damping_, 1e-6) : std::min(2 * damping_, 10.0);
    std::swap(current_, trial_);
    return true;
  }

  std::deque<Part>& parts_;
  Journal& journal_;
  Point current_, trial_;
  Vectors step_, residual_, z_, direction_, image_;
  double threshold_ = 1e-3, damping_ = 1e-2;
};

std::vector<double> checked_weights(std::span<const double> given, Index count) {
  if (given.empty()) return std::vector<double>(static_cast<std::size_t>(count), 1 / static_cast<double>(count));
  require(std::ssize(given) == count, "barycenter: weights has ", std::ssize(given), " entries; there must be ", count);
  double sum = 0;
  for (const double w : given) {
    require(w >= 0 && w < infinity, "barycenter: weights has the entry ", w, "; weights are finite and not negative");
    sum += w;
  }
  require(sum > 0 && sum < infinity, "barycenter: the sum of weights is ", sum, "; it must be positive and finite");
  std::vector<double> weights(given.begin(), given.end());
  for (double& w : weights) w /= sum;
  return weights;
}

}  // namespace

template <class T>
BarycenterResult barycenter(MatrixView<const double> A, const TransportCost<T>& cost, const BarycenterOptions& options,
                            const RunOptions& run) {
  require_valid_cost(cost, "barycenter");
  require_valid_view(A, "barycenter", "A");
  const Index count = A.rows(), n = cost_rows(cost), m = cost_cols(cost);
  require(count > 0 && A.cols() == n, "barycenter: A is ", shape(A), "; it must have rows, with ", n, " masses each");
  require(options.reg >= 4 * std::numeric_limits<double>::min() && options.reg < infinity, "barycenter: reg is ",
          options.reg, "; it must be positive and finite");
  require(options.tol > 0 && options.tol < infinity, "barycenter: tol is ", options.tol,
          "; it must be positive and finite");
  require(options.maxiter >= 0, "barycenter: maxiter is ", options.maxiter, "; it must not be negative");
  const std::vector<double> weights = checked_weights(options.weights, count);

  Monitor monitor(run.keep_going);
  monitor.enter_stage(0, 0);
  const std::vector<double> any(static_cast<std::size_t>(m), 1 / static_cast<double>(m));
  const Costs all_rows(cost, nullptr, nullptr);
  PassMemory memory;
  std::deque<Costs> some_rows;
  std::deque<Part> parts;
  std::vector<Index> used;
  double mass = 0;
  for (Index k = 0; k < count; ++k) {
    constexpr double same = 1e-6;
    Marginal row = marginal_of(A.row(k), n, "barycenter", "a row of A");
    if (k == 0) mass = row.total;
    require(std::abs(row.total - mass) <= same * std::max(row.total, mass), "barycenter: row 0 of A sums to ", mass,
            " and row ", k, " to ", row.total, "; the sums must be equal");
    const double w = weights[static_cast<std::size_t>(k)];
    if (w == 0) continue;
    const Costs& costs = row.kept() == nullptr ? all_rows : some_rows.emplace_back(cost, row.kept(), nullptr);
    parts.emplace_back(costs, std::move(row), w, any, run.n_threads, monitor, memory, 1 / static_cast<double>(count));
    used.push_back(k);
  }
  const Marginal cols = marginal_of({}, m, "barycenter", "p");
  double scale = 0;
  for (Part& part : parts)
    scale = std::max(scale, checked_range(part.problem, part.marginal, cols, part.passes, "barycenter").typical);

  constexpr double first_level = 1.0 / 3, factor = 0.5, level_goal = 2e-2;
  constexpr Index most_iterations_of_level = 60;
  const double reg = options.reg, goal = 0.9 * options.tol;
  Journal journal(options.callback, options.maxiter, monitor);
  BarycenterSolver solver(parts, m, journal);
  const auto set_coarse = [&parts](bool is_coarse) {
    for (Part& part : parts) part.passes.set_coarse(is_coarse);
  };
  set_coarse(level_goal > goal);
  for (double level = first_level * scale; level > reg && journal.may_go_on(); level *= factor) {
    solver.evaluate(level);
    solver.solve(level, std::max(goal, level_goal), std::min(journal.left(), most_iterations_of_level));
  }
  set_coarse(false);
  solver.evaluate(reg);
  const bool made_progress = solver.solve(reg, goal, journal.left());

  BarycenterResult result;
  Point& at = solver.current();
  result.masses = at.p;
  const double total = std::accumulate(at.p.begin(), at.p.end(), 0.0);
  for (double& entry : result.masses) entry /= total;
  result.f.resize(static_cast<std::size_t>(count * n));
  result.g.resize(static_cast<std::size_t>(count * m));
  const double shift = reg * std::log(mass);
  double error = 0;
  for (std::size_t l = 0; l < parts.size(); ++l) {
    Part& part = parts[l];
    Iterate& here = at.parts[l];
    const double w = part.weight;
    std::vector<double> f(static_cast<std::size_t>(n));
    part.marginal.scatter(here.f, f);
    if (part.marginal.kept() != nullptr) refill(cost, part.marginal, cols, f, here.g);
    const double mean = std::accumulate(f.begin(), f.end(), 0.0) / static_cast<double>(n);
    for (double& entry : f) entry -= mean;
    for (double& entry : here.g) entry += mean;
    part.marginal.gather(f, here.f);
    const PlanTotals totals = part.passes.totals(reg, here.f.data(), here.g.data(), here.r.data(), here.c.data(), true);
    double duals = 0;
    for (std::size_t i = 0; i < here.r.size(); ++i) {
      error += w * std::abs(here.r[i] - part.problem.a[i]);
      duals += here.r[i] * here.f[i];
    }
    for (std::size_t j = 0; j < here.c.size(); ++j) {
      error += w * std::abs(here.c[j] - result.masses[j]);
      duals += here.c[j] * here.g[j];
    }
    result.cost += mass * w * totals.cost;
    result.value += mass * w * (duals + shift * totals.mass);
    result.passes += part.passes.passes();
    const Index k = used[l];
    std::copy(f.begin(), f.end(), result.f.begin() + k * n);
    std::transform(here.g.begin(), here.g.end(), result.g.begin() + k * m, [shift](double g) { return g + shift; });
  }
  for (double& entry : result.masses) entry *= mass;
  result.marginal_error = mass * error;
  result.iterations = journal.iterations();
  result.newton_iterations = journal.newton_iterations();
  result.history = std::move(journal.history());
  if (journal.stopped())
    result.status = SinkhornStatus::stopped;
  else if (error <= options.tol)
    result.status = SinkhornStatus::converged;
  else
    result.status = journal.may_go_on() || !made_progress ? SinkhornStatus::stagnated : SinkhornStatus::maxiter;
  return result;
}

template BarycenterResult barycenter(MatrixView<const double>, const TransportCost<float>&, const BarycenterOptions&,
                                     const RunOptions&);
template BarycenterResult barycenter(MatrixView<const double>, const TransportCost<double>&, const BarycenterOptions&,
                                     const RunOptions&);

}  // namespace nearlinear
