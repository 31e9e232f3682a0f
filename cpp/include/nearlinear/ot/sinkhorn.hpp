/// Entropic optimal transport.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "nearlinear/ot/cost.hpp"

namespace nearlinear {

enum class SinkhornMethod {
  automatic,  ///< regularisation that comes down by halves, sweeps, and sparse Newton steps on the semi-dual
  sns,        ///< Sinkhorn-Newton-Sparse in its two stages, as its paper has it
  sinkhorn,   ///< Sinkhorn's algorithm in the logarithmic domain
};

enum class SinkhornStatus {
  converged,   ///< |P 1 - a|_1 + |P^T 1 - b|_1 <= tol * sum(a)
  maxiter,     ///< the iterations are used up
  stopped,     ///< the callback stopped it
  stagnated,   ///< no step makes progress: the precision of double is reached
  infeasible,  ///< the pairs that C allows admit no plan with these marginals
};

/// After an iteration.
struct SinkhornIteration {
  Index iteration = 0;
  double reg = 0;             ///< the regularisation that it was made at
  double marginal_error = 0;  ///< relative to sum(a), there
  bool newton = false;        ///< a Newton step, else a sweep of Sinkhorn's algorithm
  Index cg_iterations = 0;    ///< of the Newton step, 0 where its system was factored
  Index nnz = 0;              ///< entries of the plan in the Newton step's Hessian
};

struct SinkhornOptions {
  double reg = 0;  ///< > 0, absolute
  SinkhornMethod method = SinkhornMethod::automatic;
  double tol = 1e-9;  ///< of the marginal error, relative to sum(a)
  /// Penalties rho_a and rho_b of marginals that may differ from a and b; infinite: that one holds exactly.
  std::array<double, 2> reg_marginals = {std::numeric_limits<double>::infinity(),
                                         std::numeric_limits<double>::infinity()};
  std::optional<Index> maxiter = {};  ///< sweeps and Newton steps in all; unset: 1000, and 10000 for `sinkhorn`
  /// Dual variables to start from, n and m of them, or none. Where they are close to the solution, regularisation does
  /// not come down to `reg`, but begins there.
  std::span<const double> f = {};
  std::span<const double> g = {};
  Index sns_sweeps = 20;  ///< of `sns`: sweeps before the first Newton step
  /// Of `sns`: the fraction of the plan's n m entries, zeros included, that the Hessian keeps, in (0, 1]; 0: 2 / max(n,
  /// m).
  double sns_density = 0;
  /// Called after every iteration on the calling thread; false stops with the status `stopped`.
  std::function<bool(const SinkhornIteration&)> callback = {};
};

struct SinkhornResult {
  SinkhornStatus status = SinkhornStatus::maxiter;
  std::vector<double> f;      ///< n, mean 0
  std::vector<double> g;      ///< m
  double value = 0;           ///< <C, P> + reg * sum P log P, and the penalties
  double cost = 0;            ///< <C, P>
  double marginal_error = 0;  ///< |P 1 - a|_1 + |P^T 1 - b|_1 of the plan of the returned f and g, see sinkhorn()
  Index iterations = 0;
  Index newton_iterations = 0;
  Index passes = 0;  ///< over all pairs, with an exponential for each
  std::vector<SinkhornIteration> history;
};

namespace ot {
struct Workspace;
}

/// Memory that repeated solves share: it grows to what the largest of them needs. One call at a time may use it.
class SinkhornWorkspace {
 public:
  SinkhornWorkspace();
  SinkhornWorkspace(SinkhornWorkspace&&) noexcept;
  SinkhornWorkspace& operator=(SinkhornWorkspace&&) noexcept;
  ~SinkhornWorkspace();

  [[nodiscard]] std::size_t nbytes() const;
  [[nodiscard]] ot::Workspace& memory() const { return *memory_; }  ///< for the library

 private:
  std::unique_ptr<ot::Workspace> memory_;
};

/// Entropic optimal transport,
///
///     min  <C, P> + reg * sum_ij P_ij log P_ij    subject to    P 1 = a,  P^T 1 = b,
///
/// whose solution is P_ij = exp((f_i + g_j - C_ij) / reg), mean(f) = 0.
///
/// Eliminating f, which makes the rows exact, leaves the concave semi-dual F(g) = a f(g) + b g with
///
///     grad F = b - P^T 1,    -Hess F = (1/reg) (diag(P^T 1) - P^T diag(1/a) P).
///
/// `automatic` maximises it by Newton's method, where the plan is sparse in the Hessian: entries below a threshold that
/// falls with the error are left out of P, but not out of diag(P^T 1), so that the matrix stays positive semidefinite.
/// Systems are solved by LDL^T where their graph is like a tree, else by conjugate gradients with the diagonal as
/// preconditioner. Regularisation comes down from a quarter of the range of C by halves. Where reg is large, the plan
/// is full, but Sinkhorn's sweeps converge in few passes: then they, and conjugate gradients, work on a stored matrix
/// exp((f + g - C) / reg) of floats and take no exponentials.
///
/// - a and b, n and m masses that are not negative, have the same sum, up to 1e-6 of it, which scales the plan; empty
///   means 1/n and 1/m. A mass of zero takes no part: its row or column of the plan is zero, and its dual variable is
///   min_j C_ij - g_j over the columns with mass, or the same for columns.
/// - +Inf in C forbids a pair; no row or column may have nothing else. If the others admit no plan, the status says so,
///   as soon as the semi-dual is above the largest cost.
/// - Soft marginals: with finite `reg_marginals`, rho_a KL(P 1 | a) + rho_b KL(P^T 1 | b) is minimised in addition,
/// where
///   KL(p | q) = sum p log(p / q) - p + q, and masses may have different sums. Then P 1 = a exp(-u / rho_a), with u = f
///   up to a constant, and the marginal error is the distance from it, and from the same for b, over the plan's mass.
///   Not for `sns`.
/// - Float costs are converted where they are read: the dual variables, and all that is computed, are double.
/// - Cost: an exponential for each pair and pass, a few passes at large reg and some 20 to 60 at small; plus the Newton
/// steps' linear algebra.
///   Memory: O(n + m) and the Hessian's, up to 512 MiB of it. Where masses are zero, the rest of C is copied.
/// - The same bits for every number of threads on one instruction set.
/// - Throws std::invalid_argument when a shape, a mass, a cost or an option is wrong, std::bad_alloc, and `interrupted`
///   when run.keep_going answers false.
///
/// Newton's method, sparse: X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini, K. K. Thekumparampil, T. Xiao and
/// L. Ying, "Accelerating Sinkhorn algorithm with sparse Newton iterations", ICLR 2024. A Hessian that stays
/// semidefinite: Z. Tang and Y. Qiu, "Safe and sparse Newton method for entropic-regularized optimal transport",
/// NeurIPS 2024. Sinkhorn's algorithm: M. Cuturi, "Sinkhorn distances", NeurIPS 2013. Soft marginals: L. Chizat,
/// G. Peyre, B. Schmitzer and F.-X. Vialard, "Scaling algorithms for unbalanced optimal transport problems",
/// Mathematics of Computation 87, 2018.
///
///
///     const std::vector<double> cost{0, 1, 1, 0};
///     const nearlinear::MatrixView<const double> C(cost.data(), 2, 2);
///     const auto result = nearlinear::sinkhorn<double>({.cost = C}, {.reg = 0.1});   // result.cost = 4.54e-5
template <class T>  // float, double
SinkhornResult sinkhorn(const TransportProblem<T>& problem, const SinkhornOptions& options, const RunOptions& run = {},
                        SinkhornWorkspace* workspace = nullptr);

/// Many problems with the same options: each on one thread, several at a time, where there are more problems than
/// threads; results as of sinkhorn(), to the last bit. Neither a start nor a callback may be given.
template <class T>  // float, double
std::vector<SinkhornResult> sinkhorn_batch(std::span<const TransportProblem<T>> problems,
                                           const SinkhornOptions& options, const RunOptions& run = {});

}  // namespace nearlinear
