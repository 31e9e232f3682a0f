#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "check.hpp"
#include "ot/problems.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

SinkhornResult solve(const DenseProblem& problem, const SinkhornOptions& options, const RunOptions& run = {}) {
  return sinkhorn<double>({problem.a, problem.b, problem.cost()}, options, run);
}

}  // namespace

TEST("the example of the header") {
  const std::vector<double> cost{0, 1, 1, 0};
  const MatrixView<const double> C(cost.data(), 2, 2);
  const auto result = sinkhorn<double>({.cost = C}, {.reg = 0.1});
  CHECK(result.status == SinkhornStatus::converged);
  CHECK(std::abs(result.cost - 4.54e-5) < 1e-7);
}

TEST("every method finds a plan with the marginals, at every regularisation") {
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {1, 5}, {5, 1}, {30, 20}, {70, 90}})
    for (const double reg : {1.0, 0.1, 0.01, 0.001})
      for (const SinkhornMethod method : {SinkhornMethod::automatic, SinkhornMethod::sns, SinkhornMethod::sinkhorn}) {
        if (method != SinkhornMethod::automatic && reg < 0.1) continue;  // thousands of sweeps
        const DenseProblem problem = random_problem(n, m, static_cast<std::uint64_t>(n + m));
        const auto result = solve(problem, {.reg = reg, .method = method, .sns_density = 1});
        CHECK(result.status == SinkhornStatus::converged);
        CHECK(result.marginal_error <= 1e-9);
        CHECK(marginal_error(problem, reg, result.f, result.g) <= 2e-9);
        CHECK(std::abs(std::accumulate(result.f.begin(), result.f.end(), 0.0)) < 1e-12);
        CHECK(result.iterations == std::ssize(result.history));
      }
}

TEST("points have the costs of their metric, and float ones too") {
  const RandomStream numbers(5, 0);
  constexpr Index n = 40, m = 30, d = 3;
  std::vector<double> x(n * d), y(m * d);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = numbers.uniform(k) + 0.1;
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = numbers.uniform(k + 1000) + 0.1;
  const std::vector<float> x32(x.begin(), x.end()), y32(y.begin(), y.end());
  for (const CostMetric metric :
       {CostMetric::sqeuclidean, CostMetric::euclidean, CostMetric::cityblock, CostMetric::cosine})
    for (const double reg : {0.1, 0.01}) {
      DenseProblem problem = random_problem(n, m, 1);
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < m; ++j) {
          double squares = 0, magnitudes = 0, product = 0, xx = 0, yy = 0;
          for (Index k = 0; k < d; ++k) {
            const double left = x[static_cast<std::size_t>(i * d + k)], right = y[static_cast<std::size_t>(j * d + k)];
            squares += (left - right) * (left - right);
            magnitudes += std::abs(left - right);
            product += left * right;
            xx += left * left;
            yy += right * right;
          }
          double& cost = problem.C[static_cast<std::size_t>(i * m + j)];
          if (metric == CostMetric::sqeuclidean) cost = squares;
          if (metric == CostMetric::euclidean) cost = std::sqrt(squares);
          if (metric == CostMetric::cityblock) cost = magnitudes;
          if (metric == CostMetric::cosine) cost = 1 - product / std::sqrt(xx * yy);
        }
      const TransportCost<double> clouds = PointCloudCost<double>{{x.data(), n, d}, {y.data(), m, d}, metric};
      const TransportCost<float> clouds32 = PointCloudCost<float>{{x32.data(), n, d}, {y32.data(), m, d}, metric};
      const auto result = sinkhorn<double>({problem.a, problem.b, clouds}, {.reg = reg});
      CHECK(result.status == SinkhornStatus::converged);
      CHECK(marginal_error(problem, reg, result.f, result.g) <= 2e-9);
      const auto single = sinkhorn<float>({problem.a, problem.b, clouds32}, {.reg = reg});
      CHECK(single.status == SinkhornStatus::converged);
      CHECK(std::abs(single.cost - result.cost) < 1e-5);
    }
}

TEST("any number of threads gives the same bits") {
  const DenseProblem problem = random_problem(400, 500, 3);
  for (const double reg : {0.1, 0.02, 0.001}) {
    const auto one = solve(problem, {.reg = reg}, {.n_threads = 1});
    for (const int threads : {2, 4}) {
      const auto many = solve(problem, {.reg = reg}, {.n_threads = threads});
      CHECK(one.f == many.f);
      CHECK(one.g == many.g);
      CHECK(one.value == many.value);
    }
  }
}

TEST("masses of zero take no part") {
  DenseProblem problem = random_problem(9, 8, 4);
  problem.a[2] = problem.b[0] = problem.b[5] = 0;
  double sum = std::accumulate(problem.a.begin(), problem.a.end(), 0.0);
  for (double& mass : problem.a) mass /= sum;
  sum = std::accumulate(problem.b.begin(), problem.b.end(), 0.0);
  for (double& mass : problem.b) mass /= sum;
  const auto result = solve(problem, {.reg = 0.05});
  CHECK(result.status == SinkhornStatus::converged);
  CHECK(marginal_error(problem, 0.05, result.f, result.g) <= 2e-9);
  const TransportPlan<double> plan(problem.cost(), result.f, result.g, 0.05, problem.a, problem.b);
  std::vector<double> P(72);
  plan.dense(0, {P.data(), 9, 8});
  for (std::size_t j = 0; j < 8; ++j) CHECK(P[16 + j] == 0);
  for (std::size_t i = 0; i < 9; ++i) CHECK(P[8 * i] == 0 && P[8 * i + 5] == 0);
}

TEST("a plan's products and its sparse form are those of its entries") {
  const DenseProblem problem = random_problem(50, 40, 6);
  const auto result = solve(problem, {.reg = 0.02});
  const TransportPlan<double> plan(problem.cost(), result.f, result.g, 0.02);
  std::vector<double> P(2000), x(80), y(100), expected(100), back(80);
  plan.dense(0, {P.data(), 50, 40});
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = std::sin(static_cast<double>(k));
  plan.multiply({x.data(), 40, 2}, {y.data(), 50, 2});
  plan.multiply_transposed({y.data(), 50, 2}, {back.data(), 40, 2});
  for (std::size_t i = 0; i < 50; ++i)
    for (std::size_t l = 0; l < 2; ++l)
      for (std::size_t j = 0; j < 40; ++j) expected[2 * i + l] += P[40 * i + j] * x[2 * j + l];
  for (std::size_t k = 0; k < 100; ++k) CHECK(std::abs(y[k] - expected[k]) < 1e-15);
  const auto largest = plan.sparse({.top_k = 3});
  CHECK(largest.nnz() == 150);
  CHECK(plan.sparse({.tol = 0}).nnz() <= 2000);
  CHECK(plan.sparse({.mass = 0.5}).nnz() < 1000);
}

TEST("soft marginals are those of their dual variables") {
  DenseProblem problem = random_problem(40, 30, 10);
  for (double& mass : problem.a) mass *= 2;
  constexpr double reg = 0.02, rho_a = 0.3, rho_b = 0.7;
  for (const SinkhornMethod method : {SinkhornMethod::automatic, SinkhornMethod::sinkhorn}) {
    const auto result = solve(problem, {.reg = reg, .method = method, .tol = 1e-11, .reg_marginals = {rho_a, rho_b}});
    CHECK(result.status == SinkhornStatus::converged);
    const TransportPlan<double> plan(problem.cost(), result.f, result.g, reg);
    std::vector<double> ones(40, 1.0), rows(40), cols(30);
    plan.multiply({ones.data(), 30, 1}, {rows.data(), 40, 1});
    plan.multiply_transposed({ones.data(), 40, 1}, {cols.data(), 30, 1});
    // u - f and v - g are constants, and (u + v) - (f + g) = reg.
    const double u = -rho_a * std::log(rows[0] / problem.a[0]) - result.f[0];
    const double v = -rho_b * std::log(cols[0] / problem.b[0]) - result.g[0];
    CHECK(std::abs(u + v - reg) < 1e-9);
    for (std::size_t i = 0; i < 40; ++i)
      CHECK(std::abs(-rho_a * std::log(rows[i] / problem.a[i]) - result.f[i] - u) < 1e-9);
    for (std::size_t j = 0; j < 30; ++j)
      CHECK(std::abs(-rho_b * std::log(cols[j] / problem.b[j]) - result.g[j] - v) < 1e-9);
  }
}

TEST("a workspace changes nothing but allocations") {
  SinkhornWorkspace workspace;
  CHECK(workspace.nbytes() == 0);
  for (const Index size : {50, 300, 20})
    for (const double reg : {0.1, 0.002}) {
      const DenseProblem problem = random_problem(size, size + 10, static_cast<std::uint64_t>(size));
      const auto fresh = solve(problem, {.reg = reg});
      const auto again = sinkhorn<double>({problem.a, problem.b, problem.cost()}, {.reg = reg}, {}, &workspace);
      CHECK(fresh.f == again.f && fresh.g == again.g && fresh.value == again.value);
    }
  const std::size_t bytes = workspace.nbytes();
  CHECK(bytes > 300 * 310 * sizeof(float));
  const DenseProblem problem = random_problem(300, 310, 300);
  CHECK(sinkhorn<double>({problem.a, problem.b, problem.cost()}, {.reg = 0.1}, {}, &workspace).status ==
        SinkhornStatus::converged);
  CHECK(workspace.nbytes() == bytes);
  const SinkhornWorkspace moved = std::move(workspace);
  CHECK(moved.nbytes() == bytes);
}

TEST("many problems have the results of one at a time, on any number of threads") {
  std::vector<DenseProblem> data;
  std::vector<TransportProblem<double>> problems;
  for (std::uint64_t k = 0; k < 20; ++k) data.push_back(random_problem(30 + static_cast<Index>(k), 40, k));
  for (const DenseProblem& problem : data) problems.push_back({problem.a, problem.b, problem.cost()});
  const std::span<const TransportProblem<double>> all(problems);
  for (const int threads : {1, 2, 4})
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{3}, data.size()}) {
      const auto results = sinkhorn_batch(all.first(count), {.reg = 0.01}, {.n_threads = threads});
      CHECK(results.size() == count);
      for (std::size_t k = 0; k < count; ++k) {
        const auto single = solve(data[k], {.reg = 0.01});
        CHECK(results[k].f == single.f && results[k].g == single.g && results[k].value == single.value);
      }
    }
  const double mass = std::exchange(data[7].a[0], -1);
  CHECK_THROWS(sinkhorn_batch(all, {.reg = 0.01}, {.n_threads = 2}), std::invalid_argument, "problem 7: sinkhorn: a");
  data[7].a[0] = mass;
  const DenseProblem large = random_problem(800, 800, 1);
  const std::vector<TransportProblem<double>> many(20, {large.a, large.b, large.cost()});
  CHECK_THROWS(sinkhorn_batch(std::span<const TransportProblem<double>>(many), {.reg = 1e-4, .tol = 1e-14},
                              {.n_threads = 2, .keep_going = [](double) { return false; }}),
               interrupted, "stopped by the caller");
}

TEST("pairs that are forbidden may leave no plan") {
  DenseProblem problem = random_problem(6, 6, 11);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 1; j < 6; ++j) problem.C[6 * i + j] = infinity;
  for (const double reg : {0.1, 0.001}) CHECK(solve(problem, {.reg = reg}).status == SinkhornStatus::infeasible);
}

TEST("bad arguments are named") {
  DenseProblem problem = random_problem(3, 4, 7);
  const auto solve_with = [](DenseProblem changed, std::size_t index, double value) {
    changed.C[index] = value;
    return solve(changed, {.reg = 0.1});
  };
  CHECK_THROWS(solve(problem, {}), std::invalid_argument, "reg");
  CHECK_THROWS(solve(problem, {.reg = -1}), std::invalid_argument, "reg");
  CHECK_THROWS(solve(problem, {.reg = not_a_number}), std::invalid_argument, "reg");
  CHECK_THROWS(solve(problem, {.reg = 1, .tol = 0}), std::invalid_argument, "tol");
  CHECK_THROWS(solve(problem, {.reg = 1, .maxiter = -1}), std::invalid_argument, "maxiter");
  CHECK_THROWS(solve(problem, {.reg = 1, .sns_density = 2}), std::invalid_argument, "sns_density");
  CHECK_THROWS(solve(problem, {.reg = 1, .reg_marginals = {0, 1}}), std::invalid_argument, "reg_marginals");
  CHECK_THROWS(solve(problem, {.reg = 1, .method = SinkhornMethod::sns, .reg_marginals = {1, 1}}),
               std::invalid_argument, "reg_marginals");
  CHECK_THROWS(solve_with(problem, 5, not_a_number), std::invalid_argument, "C has an entry in row 1");
  CHECK_THROWS(solve_with(problem, 5, -infinity), std::invalid_argument, "C has an entry in row 1");
  std::vector<double> a{0.5, 0.5};
  CHECK_THROWS(sinkhorn<double>({a, {}, problem.cost()}, {.reg = 1}), std::invalid_argument, "a has 2 entries");
  a = {0.5, 0.7, -0.2};
  CHECK_THROWS(sinkhorn<double>({a, {}, problem.cost()}, {.reg = 1}), std::invalid_argument, "a has the entry -0.2");
  a = {1, 1, 1};
  CHECK_THROWS(sinkhorn<double>({a, {}, problem.cost()}, {.reg = 1}), std::invalid_argument, "sums");
  CHECK_THROWS(sinkhorn<double>({{}, {}, MatrixView<const double>(nullptr, 0, 3)}, {.reg = 1}), std::invalid_argument,
               "C is 0 x 3");
  for (std::size_t j = 0; j < 4; ++j) problem.C[4 + j] = infinity;
  CHECK_THROWS(solve(problem, {.reg = 1}), std::invalid_argument, "row 1");
}

TEST("a callback stops, and so does keep_going") {
  const DenseProblem problem = random_problem(40, 40, 8);
  const auto stopped =
      solve(problem, {.reg = 1e-3, .callback = [](const SinkhornIteration& at) { return at.iteration < 3; }});
  CHECK(stopped.status == SinkhornStatus::stopped);
  CHECK(stopped.iterations == 3);
  const DenseProblem large = random_problem(1500, 1500, 8);
  // Sweeps take seconds, while keep_going is asked every 50 ms or so.
  CHECK_THROWS(solve(large, {.reg = 1e-4, .method = SinkhornMethod::sinkhorn, .tol = 1e-14},
                     {.keep_going = [](double) { return false; }}),
               interrupted, "stopped by the caller");
}

TEST("memory that is not there is bad_alloc") {
  const DenseProblem problem = random_problem(20, 30, 9);
  for (const double reg : {0.1, 0.01}) {
    const long allocations = check::count_survived_allocation_failures([&] { solve(problem, {.reg = reg}); });
    CHECK(allocations > 10);
  }
}
