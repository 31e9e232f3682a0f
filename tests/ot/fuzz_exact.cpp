// Any bytes make a problem of exact transport with small costs, forbidden pairs, zero masses and ties: an optimal plan
// must be one, and what is called infeasible must have its proof.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "ot/problems.hpp"

namespace {

using namespace nearlinear;
using namespace nearlinear::test;

constexpr double rounding = 1e-12;

void require_that(bool condition) {
  if (!condition) std::abort();
}

/// f_i + g_j <= C_ij, or 0 for a proof, where pairs are allowed.
void require_dual_inequalities(const DenseProblem& problem, const ExactResult<double>& result, bool is_proof) {
  for (Index i = 0; i < problem.n; ++i)
    for (Index j = 0; j < problem.m; ++j) {
      const double cost = problem.cost()(i, j);
      if (!std::isfinite(cost)) continue;
      const double sum = result.f[static_cast<std::size_t>(i)] + result.g[static_cast<std::size_t>(j)];
      require_that(sum <= (is_proof ? 0 : cost) + 16 * rounding);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const DenseProblem problem = problem_of_bytes(data, size, 3, 12, 200);
  try {
    const auto result = exact<double>({problem.a, problem.b, problem.cost()});
    double duals = 0;
    for (std::size_t i = 0; i < problem.a.size(); ++i) duals += problem.a[i] * result.f[i];
    for (std::size_t j = 0; j < problem.b.size(); ++j) duals += problem.b[j] * result.g[j];
    require_that(std::isfinite(duals) && std::isfinite(result.cost));
    require_that(result.plan.nnz() <= problem.n + problem.m - 1);
    if (result.status == ExactStatus::optimal) {
      require_that(result.marginal_error <= rounding && std::abs(result.cost - duals) <= 16 * rounding);
      require_dual_inequalities(problem, result, false);
    } else {
      require_that(result.status == ExactStatus::infeasible && duals > 0);
      require_dual_inequalities(problem, result, true);
    }
  } catch (const std::invalid_argument&) {
    // No mass, or NaN.
  }
  return 0;
}
