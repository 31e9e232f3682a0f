/// Optimal transport without regularisation.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "nearlinear/ot/cost.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

enum class ExactStatus {
  optimal,     ///< the plan costs the least, and f and g prove it
  maxiter,     ///< the pivots are used up
  stopped,     ///< the callback stopped it
  infeasible,  ///< the pairs that are not forbidden admit no plan, and f and g prove it
};

/// Where the simplex method is.
struct ExactIteration {
  Index iteration = 0;        ///< pivots so far
  double cost = 0;            ///< of the plan, over pairs that are allowed
  double forbidden_mass = 0;  ///< what the plan moves over forbidden pairs, which must become 0 first
};

struct ExactOptions {
  std::optional<Index> maxiter = {};  ///< pivots; unset: as many as it takes
  /// A guess of the dual variables, n and m of them, or none: what they make cheap is tried first.
  std::span<const double> f = {};
  std::span<const double> g = {};
  /// Called at the start and after every n + m pivots or so on the calling thread; false stops with the status
  /// `stopped`.
  std::function<bool(const ExactIteration&)> callback = {};
};

template <class T>
struct ExactResult {
  ExactStatus status = ExactStatus::maxiter;
  CsrMatrix<T, Index> plan;   ///< n x m, at most n + m - 1 entries, all of them positive
  std::vector<double> f;      ///< n, mean 0
  std::vector<double> g;      ///< m
  double cost = 0;            ///< <C, P>
  double gap = 0;             ///< <C, P> - a f - b g: what the cost may be above the optimum
  double marginal_error = 0;  ///< |P 1 - a|_1 + |P^T 1 - b|_1 of the plan before its entries become T
  Index iterations = 0;       ///< pivots
};

/// Exact optimal transport,
///
///     min  <C, P>    subject to    P 1 = a,  P^T 1 = b,  P >= 0,
///
/// by the network simplex method: a linear program, whose plan is a vertex and whose dual variables satisfy
/// f_i + g_j <= C_ij everywhere, with equality where P_ij > 0, up to the rounding of f_i + g_j.
///
/// - a and b, n and m masses that are not negative, have the same sum, up to 1e-6 of it; b is scaled to the sum of a.
///   Empty means 1/n and 1/m. A mass of zero takes no part: its row or column of the plan is empty, and its dual
///   variable is the largest that the others admit.
/// - The pairs with P_ij > 0 are a forest. Where the best plan is not unique, it is one of the vertices.
/// - +Inf in C forbids a pair. If the others admit no plan, that is the status `infeasible`, and the plan moves as much
///   as can be moved. Then f_i + g_j <= 0 for all pairs that are allowed, but a f + b g > 0, which no plan could
///   satisfy.
/// - A call that ends early returns a plan that is no worse than any before, and f and g that satisfy the inequalities.
/// - Cost: exponential in theory; in practice a small multiple of n + m pivots, which `iterations` counts. Each looks
///   at some rows of C and changes a part of the tree. Problems with a 16th of the pairs and less give it a start.
///   Memory: some 100 (n + m) bytes, and a 16th of a matrix C. Where masses are zero, the rest of C is copied, and
///   where forbidden pairs get in the way of a first plan, C too.
/// - The same bits for every number of threads on one instruction set.
/// - Throws std::invalid_argument when a shape, a mass, a cost or an option is wrong, std::bad_alloc, and `interrupted`
///   when run.keep_going answers false.
///
/// Network simplex: R. K. Ahuja, T. L. Magnanti and J. B. Orlin, "Network flows", 1993, chapter 11. Bases that do not
/// cycle: W. H. Cunningham, "A network simplex method", Mathematical Programming 11, 1976.
///
///     const std::vector<double> cost{0, 1, 1, 0};
///     const nearlinear::MatrixView<const double> C(cost.data(), 2, 2);
///     const auto result = nearlinear::exact<double>({.cost = C});   // result.cost = 0
template <class T>  // float, double
ExactResult<T> exact(const TransportProblem<T>& problem, const ExactOptions& options = {}, const RunOptions& run = {});

}  // namespace nearlinear
