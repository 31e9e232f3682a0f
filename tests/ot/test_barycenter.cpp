#include <cmath>
#include <numeric>
#include <stdexcept>

#include "check.hpp"
#include "ot/problems.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

TEST("the example of the header") {
  const std::vector<double> masses{1, 0, 0, 1}, cost{0, 1, 1, 0};
  const auto result =
      barycenter<double>({masses.data(), 2, 2}, MatrixView<const double>(cost.data(), 2, 2), {.reg = 0.1});
  CHECK(result.status == SinkhornStatus::converged);
  CHECK(std::abs(result.masses[0] - 0.5) < 1e-9 && std::abs(result.masses[1] - 0.5) < 1e-9);
}

TEST("every plan has the row and the barycentre as its marginals") {
  constexpr Index n = 30, m = 25, K = 3;
  const DenseProblem problem = random_problem(n, m, 1);
  std::vector<double> A;
  for (std::uint64_t k = 0; k < K; ++k) {
    const DenseProblem other = random_problem(n, m, 10 + k);
    A.insert(A.end(), other.a.begin(), other.a.end());
  }
  const std::vector<double> weights{1, 2, 3};
  for (const double reg : {1.0, 0.1, 0.01}) {
    const auto result = barycenter<double>({A.data(), K, n}, problem.cost(), {.reg = reg, .weights = weights});
    CHECK(result.status == SinkhornStatus::converged);
    CHECK(result.marginal_error <= 1e-9);
    CHECK(std::abs(std::accumulate(result.masses.begin(), result.masses.end(), 0.0) - 1) < 1e-12);
    double error = 0;
    for (std::size_t k = 0; k < K; ++k) {
      DenseProblem of_row = problem;
      of_row.a.assign(A.begin() + static_cast<Index>(k) * n, A.begin() + static_cast<Index>(k + 1) * n);
      of_row.b = result.masses;
      const std::vector<double> f(result.f.begin() + static_cast<Index>(k) * n,
                                  result.f.begin() + static_cast<Index>(k + 1) * n);
      const std::vector<double> g(result.g.begin() + static_cast<Index>(k) * m,
                                  result.g.begin() + static_cast<Index>(k + 1) * m);
      error += weights[k] / 6 * marginal_error(of_row, reg, f, g);
    }
    CHECK(error <= 2e-9);
    for (const int threads : {1, 2, 4})
      CHECK(
          barycenter<double>({A.data(), K, n}, problem.cost(), {.reg = reg, .weights = weights}, {.n_threads = threads})
              .masses == result.masses);
  }
}

TEST("bad arguments are named") {
  const DenseProblem problem = random_problem(4, 3, 2);
  const std::vector<double> A(8, 0.25), uneven{0.25, 0.25, 0.25, 0.25, 1, 1, 1, 1}, negative{1, -1};
  const auto solve = [&](const std::vector<double>& masses, Index cols, const BarycenterOptions& options) {
    return barycenter<double>({masses.data(), static_cast<Index>(masses.size()) / cols, cols}, problem.cost(), options);
  };
  CHECK(solve(A, 4, {.reg = 1}).status == SinkhornStatus::converged);
  CHECK_THROWS(solve(A, 2, {.reg = 1}), std::invalid_argument, "A is 4 x 2");
  CHECK_THROWS(solve(uneven, 4, {.reg = 1}), std::invalid_argument, "row 0 of A sums to 1 and row 1 to 4");
  CHECK_THROWS(solve(A, 4, {}), std::invalid_argument, "reg");
  CHECK_THROWS(solve(A, 4, {.reg = 1, .tol = 0}), std::invalid_argument, "tol");
  CHECK_THROWS(solve(A, 4, {.reg = 1, .maxiter = -1}), std::invalid_argument, "maxiter");
  CHECK_THROWS(solve(A, 4, {.reg = 1, .weights = negative}), std::invalid_argument, "weights");
}

TEST("memory that is not there is bad_alloc") {
  const DenseProblem problem = random_problem(20, 30, 9);
  std::vector<double> A = problem.a;
  A.insert(A.end(), problem.a.rbegin(), problem.a.rend());
  const long allocations = check::count_survived_allocation_failures(
      [&] { barycenter<double>({A.data(), 2, 20}, problem.cost(), {.reg = 0.02}); });
  CHECK(allocations > 10);
}
