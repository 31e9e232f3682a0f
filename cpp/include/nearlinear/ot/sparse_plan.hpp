/// Optimal transport with at most k entries per row or column of the plan.
#pragma once

#include "nearlinear/ot/quadratic.hpp"

namespace nearlinear {

enum class SparsePlanStatus {
  optimal,     ///< no plan with so few entries has a lower value, up to the tolerance
  maxiter,     ///< the iterations are used up
  stopped,     ///< the callback stopped it
  feasible,    ///< the plan satisfies everything; its value is above the least one by at most the gap
  violated,    ///< the plan has few enough entries, but misses the marginals of one side; the bound holds
  infeasible,  ///< the pairs that are not forbidden admit no plan of any kind
};

/// How the lower bound is maximised.
enum class SparsePlanMethod {
  automatic,    ///< Newton's steps as far as they lead, then L-BFGS, then supergradients
  newton,       ///< semismooth Newton steps
  lbfgs,        ///< L-BFGS, then supergradients
  alternating,  ///< the best plan on some pairs, and the best pairs for its dual variables, in turn
};

/// What the methods that use gradients alone take as their variables.
enum class SparsePlanFormulation {
  semi_dual,  ///< the dual variables of the side without limits; the others are the best ones for them
  dual,       ///< all of them
};

struct SparsePlanOptions {
  double reg = 0;    ///< > 0, absolute
  Index max_nz = 0;  ///< >= 1: the most entries
  int axis = 0;      ///< 0: of each column, 1: of each row
  SparsePlanFormulation formulation = SparsePlanFormulation::semi_dual;
  SparsePlanMethod method = SparsePlanMethod::automatic;
  bool feasible = true;  ///< search for a plan that meets the marginals; else return what the bound implies
  double tol = 1e-9;     ///< of the marginal error, relative to sum(a), and of the gap
  /// Iterations on bounds in all. Searches for a vertex take a hundred times as many pivots in each of some rounds.
  Index maxiter = 1000;
  std::span<const double> f = {};  ///< dual variables to start from, or none: n of them
  std::span<const double> g = {};  ///< and m
  /// Called after every iteration on the calling thread; false stops with the status `stopped`.
  std::function<bool(const SinkhornIteration&)> callback = {};
};

template <class T>
struct SparsePlanResult {
  SparsePlanStatus status = SparsePlanStatus::maxiter;
  /// Sorted, without zeros. For axis 1 the plan, n x m; for axis 0 its transpose, m x n, which is the plan by columns.
  CsrMatrix<T, Index> plan;
  std::vector<double> f;      ///< n, mean 0: those of the bound
  std::vector<double> g;      ///< m
  double primal_value = 0;    ///< <C, P> + reg/2 * sum P^2
  double dual_value = 0;      ///< a lower bound of the value of every plan that satisfies everything
  double cost = 0;            ///< <C, P>
  double marginal_error = 0;  ///< |P 1 - a|_1 + |P^T 1 - b|_1
  bool feasible = false;      ///< whether that is within the tolerance
  Index ties = 0;             ///< lines in which pairs are as good as the last one chosen: corners of the bound
  Index iterations = 0;
  Index passes = 0;  ///< over all pairs
  std::vector<SinkhornIteration> history;
};

/// Transport with sparsity constraints,
///
///     min  <C, P> + reg/2 * sum_ij P_ij^2    subject to    P 1 = a,  P^T 1 = b,  P >= 0,
///                                                           at most max_nz entries per column (or row).
///
/// Without the limit this is quadratic(), and where its solution keeps to the limit, that is the answer. Where it does
/// not, the problem is combinatorial. With t_j the j-th column, Lagrangian relaxation of the row sums gives
///
///     F(f) = a f + sum_j  min { <C_j - f, t> + reg/2 |t|^2 : t >= 0, sum t = b_j, |t|_0 <= max_nz },
///
/// which is concave and a lower bound for every f; `dual_value` is the largest that was found. A plan that satisfies
/// all constraints, and so an upper bound, is found by solving the quadratic problem on few pairs: those of a vertex of
/// exact transport, whose rows and columns have few entries, and the best ones beside. Then pairs without mass are
/// exchanged for such as lower the value, until there are none. With uniform masses, n = m, a vertex has one entry per
/// column, and there always is a plan. With others, vertices may have more than max_nz; pivots, by simulated annealing,
/// search for one that has not. If none is found, the status is `violated`; whether there is one is NP-hard to tell.
///
/// - Masses, forbidden pairs, starts, points, threads and errors as for sinkhorn(). Throws std::invalid_argument too if
///   max_nz is so small that there clearly is no plan, and one is asked for: when the largest max_nz masses of the
///   other side are less than a column has, or when there are more rows than max_nz entries per column reach.
/// - Cost: that of quadratic() and exact() where the limit binds, and one reading of all costs for each iteration on
///   the bound. Memory: a copy of C for axis 0, and as for quadratic().
///
/// T. Liu, J. Puigcerver and M. Blondel, "Sparsity-constrained optimal transport", ICLR 2023: the bound, and its
/// gradients by top-k selection and projection.
///
///     const std::vector<double> cost{0, 1, 1, 0};
///     const nearlinear::MatrixView<const double> C(cost.data(), 2, 2);
///     const auto result = nearlinear::sparse_plan<double>({.cost = C}, {.reg = 0.1, .max_nz = 1});
template <class T>  // float, double
SparsePlanResult<T> sparse_plan(const TransportProblem<T>& problem, const SparsePlanOptions& options,
                                const RunOptions& run = {});

}  // namespace nearlinear
