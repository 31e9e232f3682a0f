// Any bytes make a problem of optimal transport with small costs, forbidden pairs and zero masses: what converges must
// have the marginals, whatever else must be finite or refused.
#include <array>
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const Index n = 1 + data[0] % 9, m = 1 + data[1] % 9;
  const double reg = std::pow(10.0, -static_cast<double>(data[2] % 4)) * 4;
  const auto method = static_cast<SinkhornMethod>(data[3] % 3);
  const bool is_soft = data[3] >= 128 && method != SinkhornMethod::sns;
  const double infinity = std::numeric_limits<double>::infinity();
  std::array<double, 2> penalties{infinity, infinity};
  if (is_soft) penalties = {0.5 * (1 + data[3] % 7), data[3] % 2 == 0 ? infinity : 2.0};
  DenseProblem problem = random_problem(n, m, data[4]);
  std::size_t next = 5;
  for (double& cost : problem.C) {
    const std::uint8_t byte = data[next++ % size];
    cost = byte >= 250 ? std::numeric_limits<double>::infinity() : static_cast<double>(byte % 16);
    if (byte == 249) cost = std::numeric_limits<double>::quiet_NaN();
  }
  for (auto* masses : {&problem.a, &problem.b}) {
    for (double& mass : *masses)
      if (data[next++ % size] % 8 == 0) mass = 0;
    const double sum = std::accumulate(masses->begin(), masses->end(), 0.0);
    for (double& mass : *masses)
      if (sum > 0) mass /= sum;
  }
  try {
    const auto result = sinkhorn<double>({problem.a, problem.b, problem.cost()},
                                         {.reg = reg, .method = method, .reg_marginals = penalties, .maxiter = 200});
    for (const double f : result.f) require_that(std::isfinite(f));
    for (const double g : result.g) require_that(std::isfinite(g));
    require_that(std::isfinite(result.value) && std::isfinite(result.cost) && std::isfinite(result.marginal_error));
    if (result.status == SinkhornStatus::converged && !is_soft)
      require_that(marginal_error(problem, reg, result.f, result.g) <= 2e-9);
  } catch (const std::invalid_argument&) {
    // No mass, NaN, or a row or column that is forbidden altogether.
  }
  return 0;
}
