#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "check.hpp"
#include "ot/problems.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

QuadraticResult<double> solve(const DenseProblem& problem, const QuadraticOptions& options,
                              const RunOptions& run = {}) {
  return quadratic<double>({problem.a, problem.b, problem.cost()}, options, run);
}

}  // namespace

TEST("the example of the header") {
  const std::vector<double> cost{0, 1, 1, 0};
  const MatrixView<const double> C(cost.data(), 2, 2);
  const auto result = quadratic<double>({.cost = C}, {.reg = 0.1});
  CHECK(result.status == SinkhornStatus::converged);
  CHECK(result.plan.nnz() == 2);
  CHECK(std::abs(result.plan.data[0] - 0.5) < 1e-12 && std::abs(result.plan.data[1] - 0.5) < 1e-12);
}

TEST("plans are the positive parts that their dual variables stand for, with the marginals") {
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {1, 5}, {5, 1}, {30, 20}, {70, 90}})
    for (const double reg : {0.5, 20.0, 1000.0}) {
      const DenseProblem problem = random_problem(n, m, static_cast<std::uint64_t>(n + m));
      const auto result = solve(problem, {.reg = reg});
      CHECK(result.status == SinkhornStatus::converged);
      CHECK(result.marginal_error <= 1e-9);
      CHECK(std::abs(result.primal_value - result.dual_value) <= 1e-8);
      std::vector<double> rows(problem.a.size()), cols(problem.b.size());
      Index found = 0;
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < m; ++j) {
          const auto row = static_cast<std::size_t>(i), col = static_cast<std::size_t>(j);
          const double slack = result.f[row] + result.g[col] - problem.cost()(i, j);
          const Index k = result.plan.indptr[i] + found;
          const bool is_stored = k < result.plan.indptr[i + 1] && result.plan.indices[k] == j;
          if (j == m - 1) found = -1;
          if (is_stored) {
            CHECK(std::abs(result.plan.data[k] - slack / reg) < 1e-12);
            rows[row] += result.plan.data[k];
            cols[col] += result.plan.data[k];
            ++found;
          } else {
            CHECK(slack / reg < 1e-12);
          }
          if (j == m - 1) found = 0;
        }
      double error = 0;
      for (std::size_t i = 0; i < rows.size(); ++i) error += std::abs(rows[i] - problem.a[i]);
      for (std::size_t j = 0; j < cols.size(); ++j) error += std::abs(cols[j] - problem.b[j]);
      CHECK(error <= 2e-9);
      for (const int threads : {2, 4}) CHECK(solve(problem, {.reg = reg}, {.n_threads = threads}).f == result.f);
    }
}

TEST("bad arguments are named, and problems without a plan have a status") {
  DenseProblem problem = random_problem(4, 4, 1);
  CHECK_THROWS(solve(problem, {}), std::invalid_argument, "reg");
  CHECK_THROWS(solve(problem, {.reg = 1, .tol = 0}), std::invalid_argument, "tol");
  CHECK_THROWS(solve(problem, {.reg = 1, .maxiter = -1}), std::invalid_argument, "maxiter");
  const std::vector<double> start(3, 0.0);
  CHECK_THROWS(solve(problem, {.reg = 1, .f = start, .g = start}), std::invalid_argument, "f has 3 entries");
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 1; j < 4; ++j) problem.C[4 * i + j] = std::numeric_limits<double>::infinity();
  CHECK(solve(problem, {.reg = 1}).status == SinkhornStatus::infeasible);
  problem.C[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS(solve(problem, {.reg = 1}), std::invalid_argument, "C has an entry in row 0");
}

TEST("memory that is not there is bad_alloc") {
  const DenseProblem problem = random_problem(20, 30, 9);
  const long allocations = check::count_survived_allocation_failures([&] { solve(problem, {.reg = 5.0}); });
  CHECK(allocations > 10);
}
