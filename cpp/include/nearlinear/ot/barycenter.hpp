/// Averages of masses by optimal transport.
#pragma once

#include "nearlinear/ot/sinkhorn.hpp"

namespace nearlinear {

struct BarycenterOptions {
  double reg = 0;        ///< > 0, absolute
  double tol = 1e-9;     ///< of the marginal error
  Index maxiter = 1000;  ///< sweeps and Newton steps in all
  std::span<const double> weights =
      {};  ///< K of them, not negative, some positive; empty: 1/K each. Their sum is made 1.
  /// Called after every iteration on the calling thread; false stops with the status `stopped`.
  std::function<bool(const SinkhornIteration&)> callback = {};
};

struct BarycenterResult {
  SinkhornStatus status = SinkhornStatus::maxiter;
  std::vector<double> masses;  ///< p, m masses, with the sum of those of A
  std::vector<double> f;       ///< K x n, by rows; mean 0
  std::vector<double> g;       ///< K x m, by rows; sum_k w_k g_k is constant
  double value = 0;            ///< sum_k w_k (<C, P_k> + reg * sum P_k log P_k)
  double cost = 0;             ///< sum_k w_k <C, P_k>
  double marginal_error = 0;   ///< sum_k w_k (|P_k 1 - a_k|_1 + |P_k^T 1 - p|_1)
  Index iterations = 0;
  Index newton_iterations = 0;
  Index passes = 0;  ///< over all pairs, each for one of the K
  std::vector<SinkhornIteration> history;
};

/// The barycentre of the K rows a_k of A, each n masses, on m places,
///
///     min_p  sum_k w_k OT(a_k, p),    OT(a, p) = min <C, P> + reg * sum_ij P_ij log P_ij,  P 1 = a,  P^T 1 = p,
///
/// where C_ij is the cost between place i of the masses and place j of the barycentre.
///
/// With f_k(g_k) eliminated as in sinkhorn(), its dual is the maximum of the concave sum_k w_k a_k f_k(g_k) under the
/// constraint sum_k w_k g_k = 0, whose multiplier is p. Sweeps, g_k += reg (log p - log P_k^T 1) with p the geometric
/// mean of the column sums, are those of iterated Bregman projections; Newton steps solve for all g_k at once by
/// conjugate gradients in the subspace of the constraint, on the sparse Hessians of sinkhorn(). Regularisation comes
/// down by halves.
///
/// - All rows of A have the same sum, up to 1e-6 of it. Masses of zero take no part; their f is min_j C_ij - g_j. A row
/// of
///   weight 0 takes no part at all: its f and g are 0.
/// - Cost: K passes for each that sinkhorn() takes. Memory: O(K (n + m)) and the Hessians', up to 512 MiB; where A has
///   zeros, K copies of C.
/// - The same bits for every number of threads on one instruction set.
/// - Throws std::invalid_argument when a shape, a mass, a cost or an option is wrong, std::bad_alloc, and `interrupted`
///   when run.keep_going answers false.
///
/// Sweeps: J.-D. Benamou, G. Carlier, M. Cuturi, L. Nenna and G. Peyre, "Iterative Bregman projections for regularized
/// transportation problems", SIAM Journal on Scientific Computing 37, 2015, section 3.2. Projected conjugate gradients:
/// N. Gould, M. Hribar and J. Nocedal, "On the solution of equality constrained quadratic programming problems arising
/// in optimization", SIAM Journal on Scientific Computing 23, 2001, algorithm 6.2.
///
///     const std::vector<double> masses{1, 0, 0, 1}, cost{0, 1, 1, 0};
///     const auto result = nearlinear::barycenter<double>({masses.data(), 2, 2},
///         nearlinear::MatrixView<const double>(cost.data(), 2, 2), {.reg = 0.1});   // result.masses = 0.5, 0.5
template <class T>  // float, double
BarycenterResult barycenter(MatrixView<const double> A, const TransportCost<T>& cost, const BarycenterOptions& options,
                            const RunOptions& run = {});

}  // namespace nearlinear
