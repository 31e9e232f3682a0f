// Any bytes make a problem of transport with few entries per line, with forbidden pairs, zero masses and ties: what is
// called feasible must be, and no plan may be below the bound.
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

void require_that(bool condition) {
  if (!condition) std::abort();
}

void require_plan(const DenseProblem& problem, const SparsePlanResult<double>& result,
                  const SparsePlanOptions& options) {
  std::vector<double> rows(problem.a.size()), cols(problem.b.size());
  for (Index line = 0; line < result.plan.rows; ++line) {
    require_that(result.plan.indptr[line + 1] - result.plan.indptr[line] <= options.max_nz);
    for (Index k = result.plan.indptr[line]; k < result.plan.indptr[line + 1]; ++k) {
      const Index other = result.plan.indices[k], i = options.axis == 1 ? line : other,
                  j = options.axis == 1 ? other : line;
      require_that(result.plan.data[k] > 0 && std::isfinite(problem.cost()(i, j)));
      rows[static_cast<std::size_t>(i)] += result.plan.data[k];
      cols[static_cast<std::size_t>(j)] += result.plan.data[k];
    }
  }
  const double total = std::accumulate(problem.a.begin(), problem.a.end(), 0.0);
  const double scale = total / std::accumulate(problem.b.begin(), problem.b.end(), 0.0);
  double error = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) error += std::abs(rows[i] - problem.a[i]);
  for (std::size_t j = 0; j < cols.size(); ++j) error += std::abs(cols[j] - scale * problem.b[j]);
  require_that(!result.feasible || error <= 2 * options.tol * total);
  const double size = std::abs(result.primal_value) + options.reg;
  require_that(!result.feasible || result.primal_value - result.dual_value >= -1e-7 * size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  const DenseProblem problem = problem_of_bytes(data, size, 6, 10, 230);
  SparsePlanOptions options{.reg = std::ldexp(1.0, data[3] % 16 - 6), .max_nz = 1 + data[4] % 5, .axis = data[5] % 2};
  options.method = static_cast<SparsePlanMethod>(data[5] / 2 % 4);
  options.formulation = data[5] / 8 % 2 == 0 ? SparsePlanFormulation::semi_dual : SparsePlanFormulation::dual;
  options.feasible = data[5] / 16 % 4 != 0;
  options.maxiter = 10;
  try {
    const auto result = sparse_plan<double>({problem.a, problem.b, problem.cost()}, options);
    for (const double entry : result.f) require_that(std::isfinite(entry));
    for (const double entry : result.g) require_that(std::isfinite(entry));
    require_that(!std::isnan(result.primal_value) && !std::isnan(result.dual_value));
    require_plan(problem, result, options);
  } catch (const std::invalid_argument&) {
    return 0;  // a line of nothing but forbidden pairs, NaN, no mass, or a limit that is plainly too small
  }
  return 0;
}
