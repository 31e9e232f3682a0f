/// Problems of optimal transport, and what their solutions must satisfy.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "nearlinear/ot.hpp"

namespace nearlinear::test {

struct DenseProblem {
  Index n, m;
  std::vector<double> C, a, b;

  [[nodiscard]] MatrixView<const double> cost() const { return {C.data(), n, m}; }
};

/// Costs and masses of random numbers.
inline DenseProblem random_problem(Index n, Index m, std::uint64_t seed) {
  const RandomStream costs(seed, 0), masses(seed, 1);
  DenseProblem problem{n, m, std::vector<double>(static_cast<std::size_t>(n * m)),
                       std::vector<double>(static_cast<std::size_t>(n)),
                       std::vector<double>(static_cast<std::size_t>(m))};
  for (std::size_t k = 0; k < problem.C.size(); ++k) problem.C[k] = costs.uniform(k);
  double sum = 0;
  for (std::size_t i = 0; i < problem.a.size(); ++i) sum += problem.a[i] = 0.1 + masses.uniform(i);
  for (double& mass : problem.a) mass /= sum;
  sum = 0;
  for (std::size_t j = 0; j < problem.b.size(); ++j) sum += problem.b[j] = 0.1 + masses.uniform(j + 1000000);
  for (double& mass : problem.b) mass /= sum;
  return problem;
}

/// Any bytes as a problem with small costs, zero masses and ties: costs from `first_forbidden` on are +Inf, and the
/// byte before is NaN. Sizes and seed are the first three bytes; the rest is read from `next` on.
inline DenseProblem problem_of_bytes(const std::uint8_t* data, std::size_t size, std::size_t next, Index most,
                                     std::uint8_t first_forbidden) {
  DenseProblem problem = random_problem(1 + data[0] % most, 1 + data[1] % most, data[2]);
  for (double& cost : problem.C) {
    const std::uint8_t byte = data[next++ % size];
    cost = byte >= first_forbidden ? std::numeric_limits<double>::infinity() : static_cast<double>(byte % 16);
    if (byte + 1 == first_forbidden) cost = std::numeric_limits<double>::quiet_NaN();
  }
  const bool has_ties = data[next++ % size] % 2 == 0;
  for (auto* masses : {&problem.a, &problem.b}) {
    for (double& mass : *masses) {
      const std::uint8_t byte = data[next++ % size];
      if (has_ties || byte % 8 == 0) mass = byte % 4;
    }
    const double sum = std::accumulate(masses->begin(), masses->end(), 0.0);
    for (double& mass : *masses)
      if (sum > 0) mass /= sum;
  }
  return problem;
}

/// |P 1 - a|_1 + |P^T 1 - b|_1 of the plan that the dual variables stand for, by std::exp.
inline double marginal_error(const DenseProblem& problem, double reg, const std::vector<double>& f,
                             const std::vector<double>& g) {
  std::vector<double> rows(problem.a.size()), cols(problem.b.size());
  for (Index i = 0; i < problem.n; ++i)
    for (Index j = 0; j < problem.m; ++j) {
      const auto row = static_cast<std::size_t>(i), col = static_cast<std::size_t>(j);
      if (problem.a[row] == 0 || problem.b[col] == 0) continue;
      const double entry = std::exp((f[row] + g[col] - problem.cost()(i, j)) / reg);
      rows[row] += entry;
      cols[col] += entry;
    }
  double error = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) error += std::abs(rows[i] - problem.a[i]);
  for (std::size_t j = 0; j < cols.size(); ++j) error += std::abs(cols[j] - problem.b[j]);
  return error;
}

}  // namespace nearlinear::test
