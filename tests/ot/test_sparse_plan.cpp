#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "check.hpp"
#include "ot/problems.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

SparsePlanResult<double> solve(const DenseProblem& problem, const SparsePlanOptions& options,
                               const RunOptions& run = {}) {
  return sparse_plan<double>({problem.a, problem.b, problem.cost()}, options, run);
}

/// Costs between as many rows as columns, with equal masses, for which there is a plan with one entry per column.
DenseProblem even_problem(Index n, std::uint64_t seed) {
  DenseProblem problem = random_problem(n, n, seed);
  std::fill(problem.a.begin(), problem.a.end(), 1 / static_cast<double>(n));
  problem.b = problem.a;
  return problem;
}

/// The plan by lines: rows for axis 1, columns for axis 0.
void check_plan(const DenseProblem& problem, const SparsePlanResult<double>& result, const SparsePlanOptions& options) {
  const bool by_rows = options.axis == 1;
  const std::vector<double>&lines = by_rows ? problem.a : problem.b, &others = by_rows ? problem.b : problem.a;
  std::vector<double> sums(others.size());
  double error = 0, value = 0;
  CHECK(result.plan.rows == std::ssize(lines) && result.plan.cols == std::ssize(others));
  for (Index i = 0; i < result.plan.rows; ++i) {
    CHECK(result.plan.indptr[i + 1] - result.plan.indptr[i] <= options.max_nz);
    double sum = 0;
    for (Index k = result.plan.indptr[i]; k < result.plan.indptr[i + 1]; ++k) {
      const Index j = result.plan.indices[k];
      const double entry = result.plan.data[k], cost = by_rows ? problem.cost()(i, j) : problem.cost()(j, i);
      CHECK(entry > 0);
      CHECK(k == result.plan.indptr[i] || result.plan.indices[k - 1] < j);
      sum += entry;
      sums[static_cast<std::size_t>(j)] += entry;
      value += entry * (cost + 0.5 * options.reg * entry);
    }
    error += std::abs(sum - lines[static_cast<std::size_t>(i)]);
  }
  for (std::size_t j = 0; j < sums.size(); ++j) error += std::abs(sums[j] - others[j]);
  CHECK(std::abs(error - result.marginal_error) < 1e-13);
  CHECK(result.feasible == (error <= options.tol));
  CHECK(std::abs(value - result.primal_value) < 1e-12);
}

}  // namespace

TEST("the example of the header") {
  const std::vector<double> cost{0, 1, 1, 0};
  const MatrixView<const double> C(cost.data(), 2, 2);
  const auto result = sparse_plan<double>({.cost = C}, {.reg = 0.1, .max_nz = 1});
  CHECK(result.status == SparsePlanStatus::optimal);
  CHECK(result.plan.nnz() == 2);
  CHECK(std::abs(result.primal_value - 0.025) < 1e-12 && std::abs(result.dual_value - 0.025) < 1e-12);
}

TEST("plans keep to the limit, have the marginals, and are near to the bound") {
  for (const Index n : {1, 2, 7, 40})
    for (const Index max_nz : {1, 2, 3, 40})
      for (const int axis : {0, 1})
        for (const auto method : {SparsePlanMethod::automatic, SparsePlanMethod::newton, SparsePlanMethod::lbfgs,
                                  SparsePlanMethod::alternating}) {
          const DenseProblem problem = even_problem(n, static_cast<std::uint64_t>(n));
          const SparsePlanOptions options{.reg = 2, .max_nz = max_nz, .axis = axis, .method = method};
          const auto result = solve(problem, options);
          CHECK(result.status == SparsePlanStatus::optimal || result.status == SparsePlanStatus::feasible);
          check_plan(problem, result, options);
          CHECK(result.feasible);
          CHECK(result.primal_value - result.dual_value > -1e-10);
          CHECK(result.primal_value - result.dual_value < 0.3 * result.primal_value);
          if (max_nz == 1 || max_nz >= n) CHECK(result.primal_value - result.dual_value < 1e-8);
          const auto parallel = solve(problem, options, {.n_threads = 4});
          CHECK(parallel.f == result.f && parallel.g == result.g);
        }
}

TEST("without the wish for the marginals, the plan is what the bound implies") {
  const DenseProblem problem = random_problem(30, 20, 3);
  for (const int axis : {0, 1}) {
    const SparsePlanOptions options{.reg = 5, .max_nz = 2, .axis = axis, .feasible = false};
    const auto result = solve(problem, options);
    check_plan(problem, result, options);
    CHECK(result.status == SparsePlanStatus::violated || result.feasible);
  }
}

TEST("bad arguments are named, and problems without a plan have a status") {
  DenseProblem problem = random_problem(4, 4, 1);
  CHECK_THROWS(solve(problem, {.max_nz = 2}), std::invalid_argument, "reg");
  CHECK_THROWS(solve(problem, {.reg = 1}), std::invalid_argument, "max_nz is 0");
  CHECK_THROWS(solve(problem, {.reg = 1, .max_nz = 2, .axis = 2}), std::invalid_argument, "axis");
  CHECK_THROWS(solve(problem, {.reg = 1, .max_nz = 2, .tol = 0}), std::invalid_argument, "tol");
  CHECK_THROWS(solve(problem, {.reg = 1, .max_nz = 2, .maxiter = -1}), std::invalid_argument, "maxiter");
  const std::vector<double> start(3, 0.0);
  CHECK_THROWS(solve(problem, {.reg = 1, .max_nz = 2, .f = start, .g = start}), std::invalid_argument,
               "f has 3 entries");
  DenseProblem uneven = problem;
  uneven.b = {0.97, 0.01, 0.01, 0.01};
  CHECK_THROWS(solve(uneven, {.reg = 1, .max_nz = 1}), std::invalid_argument, "too small for any plan: column 0");
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 1; j < 4; ++j) problem.C[4 * i + j] = std::numeric_limits<double>::infinity();
  CHECK(solve(problem, {.reg = 1, .max_nz = 3}).status == SparsePlanStatus::infeasible);
  problem.C[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS(solve(problem, {.reg = 1, .max_nz = 3}), std::invalid_argument, "C has an entry in column 2");
  CHECK_THROWS(solve(problem, {.reg = 1, .max_nz = 3, .axis = 1}), std::invalid_argument, "C has an entry in row 0");
}

TEST("memory that is not there is bad_alloc") {
  const DenseProblem problem = even_problem(12, 9);
  const long allocations =
      check::count_survived_allocation_failures([&] { solve(problem, {.reg = 5.0, .max_nz = 2, .maxiter = 20}); });
  CHECK(allocations > 10);
}
