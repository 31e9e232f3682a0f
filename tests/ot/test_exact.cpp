#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "check.hpp"
#include "ot/problems.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

ExactResult<double> solve(const DenseProblem& problem, const ExactOptions& options = {}, const RunOptions& run = {}) {
  return exact<double>({problem.a, problem.b, problem.cost()}, options, run);
}

/// Marginals, dual inequalities and the absence of a gap: optimal, whoever computed it.
void check_optimal(const DenseProblem& problem, const ExactResult<double>& result) {
  CHECK(result.status == ExactStatus::optimal);
  std::vector<double> rows(problem.a.size()), cols(problem.b.size());
  double cost = 0;
  for (Index i = 0; i < problem.n; ++i)
    for (Index k = result.plan.indptr[i]; k < result.plan.indptr[i + 1]; ++k) {
      const Index j = result.plan.indices[k];
      CHECK(result.plan.data[k] > 0);
      rows[static_cast<std::size_t>(i)] += result.plan.data[k];
      cols[static_cast<std::size_t>(j)] += result.plan.data[k];
      cost += result.plan.data[k] * problem.cost()(i, j);
    }
  for (std::size_t i = 0; i < rows.size(); ++i) CHECK(std::abs(rows[i] - problem.a[i]) < 4e-15);
  for (std::size_t j = 0; j < cols.size(); ++j) CHECK(std::abs(cols[j] - problem.b[j]) < 4e-15);
  CHECK(result.plan.nnz() <= problem.n + problem.m - 1);
  double duals = 0;
  for (Index i = 0; i < problem.n; ++i)
    for (Index j = 0; j < problem.m; ++j)
      CHECK(result.f[static_cast<std::size_t>(i)] + result.g[static_cast<std::size_t>(j)] <=
            problem.cost()(i, j) + 1e-12);
  for (std::size_t i = 0; i < rows.size(); ++i) duals += problem.a[i] * result.f[i];
  for (std::size_t j = 0; j < cols.size(); ++j) duals += problem.b[j] * result.g[j];
  CHECK(std::abs(cost - duals) < 1e-12);
  CHECK(std::abs(cost - result.cost) < 1e-14);
  CHECK(std::abs(result.gap) < 1e-12);
}

}  // namespace

TEST("the example of exact's header") {
  const std::vector<double> cost{0, 1, 1, 0};
  const MatrixView<const double> C(cost.data(), 2, 2);
  const auto result = exact<double>({.cost = C});
  CHECK(result.status == ExactStatus::optimal);
  CHECK(result.cost == 0);
  CHECK(result.plan.nnz() == 2);
}

TEST("plans are optimal, and float costs and points give them, too") {
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {1, 5}, {5, 1}, {30, 20}, {70, 90}, {7, 2500}}) {
    DenseProblem problem = random_problem(n, m, static_cast<std::uint64_t>(n + m));
    check_optimal(problem, solve(problem));
    const std::vector<float> single(problem.C.begin(), problem.C.end());
    std::copy(single.begin(), single.end(), problem.C.begin());
    const auto result = exact<float>({problem.a, problem.b, MatrixView<const float>(single.data(), n, m)});
    CHECK(result.status == ExactStatus::optimal);
    CHECK(result.cost == solve(problem).cost);

    std::vector<double> x(static_cast<std::size_t>(2 * n)), y(static_cast<std::size_t>(2 * m));
    const RandomStream numbers(7, 0);
    for (std::size_t k = 0; k < x.size(); ++k) x[k] = numbers.uniform(k);
    for (std::size_t k = 0; k < y.size(); ++k) y[k] = numbers.uniform(k + 100000);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < m; ++j) {
        double sum = 0;
        for (Index k = 0; k < 2; ++k)
          sum += std::abs(x[static_cast<std::size_t>(2 * i + k)] - y[static_cast<std::size_t>(2 * j + k)]);
        problem.C[static_cast<std::size_t>(i * m + j)] = sum;
      }
    check_optimal(problem,
                  exact<double>({problem.a, problem.b,
                                 PointCloudCost<double>{{x.data(), n, 2}, {y.data(), m, 2}, CostMetric::cityblock}}));
  }
}

TEST("ties everywhere do not make the simplex method cycle") {
  DenseProblem problem = random_problem(60, 60, 1);
  for (double& mass : problem.a) mass = 1.0 / 60;
  problem.b = problem.a;
  for (double& cost : problem.C) cost = std::floor(3 * cost);
  check_optimal(problem, solve(problem));
}

TEST("the smallest masses and forbidden pairs") {
  DenseProblem problem = random_problem(50, 50, 2);
  for (Index i = 0; i < 50; ++i)
    for (Index j = 0; j < 50; ++j)
      if (std::abs(i - j) > 25) problem.C[static_cast<std::size_t>(50 * i + j)] = infinity;
  check_optimal(problem, solve(problem));
  for (Index i = 0; i < 50; ++i)
    for (Index j = 0; j < 50; ++j)
      if (std::abs(i - j) > 1) problem.C[static_cast<std::size_t>(50 * i + j)] = infinity;
  const auto none = solve(problem);
  CHECK(none.status == ExactStatus::infeasible);
  double proof = 0;
  for (std::size_t i = 0; i < 50; ++i) proof += problem.a[i] * none.f[i] + problem.b[i] * none.g[i];
  CHECK(proof > 1e-6);
  CHECK(none.gap == infinity);
}

TEST("bad arguments of exact are named") {
  DenseProblem problem = random_problem(3, 4, 7);
  CHECK_THROWS(solve(problem, {.maxiter = -1}), std::invalid_argument, "maxiter");
  CHECK_THROWS(solve(problem, {.f = problem.a}), std::invalid_argument, "f and g");
  CHECK_THROWS(solve(problem, {.f = problem.b, .g = problem.b}), std::invalid_argument, "f has 4");
  DenseProblem changed = problem;
  changed.C[5] = 1e308;
  CHECK_THROWS(solve(changed), std::invalid_argument, "C has the entry 1e+308");
  changed.C[5] = -infinity;
  CHECK_THROWS(solve(changed), std::invalid_argument, "exact: C has an entry in row 1");
  changed = problem;
  changed.a[2] = -1;
  CHECK_THROWS(solve(changed), std::invalid_argument, "exact: a has the entry -1");
}

TEST("exact stops where it is told to") {
  const DenseProblem problem = random_problem(100, 100, 8);
  const auto stopped = solve(problem, {.callback = [](const ExactIteration&) { return false; }});
  CHECK(stopped.status == ExactStatus::stopped);
  CHECK(stopped.iterations == 0);
  CHECK(stopped.gap > 0);
  const auto cut = solve(problem, {.maxiter = 5});
  CHECK(cut.status == ExactStatus::maxiter);
  CHECK(cut.iterations == 5);
  const DenseProblem large = random_problem(4000, 4000, 8);
  CHECK_THROWS(solve(large, {}, {.keep_going = [](double) { return false; }}), interrupted, "stopped by the caller");
}

TEST("memory that is not there is bad_alloc in exact, too") {
  DenseProblem problem = random_problem(20, 30, 9);
  CHECK(check::count_survived_allocation_failures([&] { solve(problem); }) > 10);
}
