/// Iterative methods: systems and least-squares problems with a matrix that is known by its products alone.
///
/// Not converging is a status of the result, never an exception: what comes back is the best that was found, with the
/// residual that it has. Scalars and inner products are double for float input too, and norms neither overflow nor
/// underflow where the result does not.
#pragma once

#include <functional>
#include <optional>

#include "nearlinear/linalg/batched.hpp"
#include "nearlinear/linalg/operator.hpp"

namespace nearlinear {

enum class ConjugateGradientStatus {
  converged,  ///< ||b - A x|| <= tol ||b||, for the residual itself, computed anew from x
  maxiter,    ///< the iterations are used up
  stopped,    ///< the callback stopped it
  stagnated,  ///< what the precision of T allows is reached, and tol is below it
  breakdown,  ///< A or the preconditioner is not positive definite, or a product is not finite
};

struct ConjugateGradientResult {
  ConjugateGradientStatus status = ConjugateGradientStatus::maxiter;
  Index iterations = 0;
  double residual_norm = 0;  ///< of the x that is returned: ||b - A x||
};

/// After an iteration. Residual norms are those of the recurrence, one for every right-hand side; where a right-hand
/// side is done, its last.
struct ConjugateGradientProgress {
  Index iteration;
  std::span<const double> residual_norms;
};

struct ConjugateGradientOptions {
  std::optional<double> tol = {};     ///< relative to ||b||; unset: 1e-8 for double, 1e-4 for float
  std::optional<Index> maxiter = {};  ///< unset: 10 n
  /// Called after every iteration on the calling thread; false stops with the status `stopped`.
  std::function<bool(const ConjugateGradientProgress&)> callback = {};
};

/// Preconditioned conjugate gradients for a symmetric positive definite system.
///
///     A x = b,    M ~ A^{-1} symmetric positive definite
///
/// - A is n x n, and so is M, or M.apply is empty: no preconditioner. x holds the guess to start from, zeros as a rule,
///   and becomes the solution. Only apply() of both is called, with one vector at a time.
/// - Each iteration multiplies by A and by M once and lowers ||x - x*||_A; after j of them it is at most
///   2 ((sqrt(c) - 1) / (sqrt(c) + 1))^j times what it was at first, c the condition number of M A (Saad, Iterative
///   Methods for Sparse Linear Systems, 2nd edition, SIAM 2003, section 6.11.3).
/// - The residual of the recurrence drifts away from b - A x. So whenever it is small enough the true one is computed,
///   and iterations begin anew from it if that is not; when this no longer halves it, or it is below u ||A|| ||x||, the
///   status is `stagnated`. tol = 0 asks for all that T can give.
/// - 4 n numbers of memory, 5 n with M.
/// - Equal to the last bit for every number of threads, when products with A and M are. Vectors may lie anywhere
///   between the smallest and largest numbers of T: they are scaled by powers of two.
/// - Throws std::invalid_argument when shapes do not match, A has no apply or tol or maxiter is negative,
/// std::bad_alloc,
///   and `interrupted` when run.keep_going answers false; x is then unspecified. What A, M and the callback throw
///   comes out.
///
/// Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems, Journal of Research of the National
/// Bureau of Standards 49 (1952) 409-436; residuals: Greenbaum, Estimating the attainable accuracy of recursively
/// computed residual methods, SIAM Journal on Matrix Analysis and Applications 18 (1997) 535-551.
///
///     const std::vector<double> a{4, 1, 1, 3}, b{1, 2};
///     std::vector<double> x(2);
///     const auto result = nearlinear::conjugate_gradient<double>(
///         nearlinear::as_operator<double>({a.data(), 2, 2}), b, x);   // x = 1/11 7/11
template <class T>  // float, double
ConjugateGradientResult conjugate_gradient(const LinearOperator<T>& A, std::span<const T> b, std::span<T> x,
                                           const LinearOperator<T>& M = {},
                                           const ConjugateGradientOptions& options = {}, const RunOptions& run = {});

/// The same for many right-hand sides, which share the products with A.
///
///     A X = B
///
/// - B and X are n x p, results has p entries. Each column runs the method above on its own, and stops on its own;
///   products are then of the columns that still run, in the order of B. It depends on other columns only as far as
///   the operator's product of a column does.
/// - 4 n p numbers of memory, 5 n p with M. Otherwise as conjugate_gradient.
template <class T>
void conjugate_gradient_batch(const LinearOperator<T>& A, MatrixView<const T> B, MatrixView<T> X,
                              std::span<ConjugateGradientResult> results, const LinearOperator<T>& M = {},
                              const ConjugateGradientOptions& options = {}, const RunOptions& run = {});

enum class BatchPreconditioner {
  none,
  diagonal,  ///< Jacobi's: M = diag(A)^{-1}
};

/// The same for many small dense systems, each with a matrix of its own.
///
///     A_s x_s = b_s,    s = 0, ..., count - 1
///
/// - A is count x k x k, both triangles of it; B and X are count x k, a row for every system. results has `count`
///   entries. A system depends on nothing but itself, to the last bit.
/// - For a few iterations from a good guess, 2 k^2 operations each; to solve from nothing, cholesky_solve_batch is
///   faster up to k of several hundred.
/// - options.callback is not called: run.keep_going watches the call. Otherwise as conjugate_gradient.
template <class T>
void conjugate_gradient_batch(BatchView<const T> A, MatrixView<const T> B, MatrixView<T> X,
                              std::span<ConjugateGradientResult> results,
                              BatchPreconditioner preconditioner = BatchPreconditioner::none,
                              const ConjugateGradientOptions& options = {}, const RunOptions& run = {});

/// Why lsqr ended; the numbers up to 7 are `istop` of Paige and Saunders.
enum class LsqrStatus {
  zero_residual = 0,    ///< the guess x0 is a solution: A^T (b - A x0) = 0 to start with
  compatible = 1,       ///< A x = b holds, to atol and btol
  least_squares = 2,    ///< A^T r = 0 holds, to atol
  condition_limit = 3,  ///< the estimate of cond(A) exceeds conlim
  compatible_eps = 4,   ///< as 1 and 2, and as 3, as far as the precision of T goes
  least_squares_eps = 5,
  condition_eps = 6,
  maxiter = 7,
  stopped = 8,    ///< the callback stopped it
  breakdown = 9,  ///< a product with A is not finite
};

/// Norms are those of the damped problem; estimates, which the recurrence yields for nothing.
struct LsqrResult {
  LsqrStatus status = LsqrStatus::maxiter;
  Index iterations = 0;
  double residual_norm = 0;         ///< || (b - A x, damp d) ||
  double normal_residual_norm = 0;  ///< || A^T (b - A x) - damp^2 d ||
  double norm = 0;                  ///< Frobenius norm of (A, damp I), from below
  double condition = 0;             ///< condition number of (A, damp I), in the Frobenius norm
  double solution_norm = 0;         ///< || d ||
};

struct LsqrOptions {
  double damp = 0;
  std::optional<double> atol = {};  ///< relative error of A, of b; unset: 1e-8 for double, 1e-4 for float
  std::optional<double> btol = {};
  std::optional<double> conlim = {};  ///< 0: no limit; unset: 1e8 for double, 1e4 for float
  std::optional<Index> maxiter = {};  ///< unset: 4 n
  /// Called after every iteration on the calling thread; false stops with the status `stopped`.
  std::function<bool(const LsqrResult&)> callback = {};
};

/// Least squares and, where there are many, the solution nearest to x0; or damped least squares.
///
///     min over d of ||b - A (x0 + d)||^2 + damp^2 ||d||^2,    x = x0 + d
///
/// - A is m x n, of any rank. x holds x0, zeros as a rule, and becomes the solution. apply() and apply_transposed() are
///   called once an iteration.
/// - N, n x n, is a preconditioner from the right, or has no apply: then A N takes the place of A, d = N y, damp and
///   all norms but the residual's are those of y. Good are N = R^{-1} with A ~ Q R, and scalings of the columns.
/// - Stops, in this order, when ||r|| <= btol ||b|| + atol ||A|| ||d||: then x solves a system whose A and b differ by
///   these relative errors; when ||A^T r|| <= atol ||A|| ||r||; or by `conlim`.
/// - Takes the iterations of conjugate gradients on A^T A, without squaring the condition in what rounding does.
/// - 2 m + 4 n numbers of memory, n more with N.
/// - Equal to the last bit for every number of threads, when products are. Throws like conjugate_gradient.
///
/// Paige and Saunders, LSQR: an algorithm for sparse linear equations and sparse least squares, ACM Transactions on
/// Mathematical Software 8 (1982) 43-71.
///
///     const std::vector<double> a{1, 0, 1, 1, 1, 2}, b{6, 0, 0};
///     std::vector<double> x(2);
///     const auto result = nearlinear::lsqr<double>(nearlinear::as_operator<double>({a.data(), 3, 2}), b, x);   // 5 -3
template <class T>
LsqrResult lsqr(const LinearOperator<T>& A, std::span<const T> b, std::span<T> x, const LsqrOptions& options = {},
                const LinearOperator<T>& N = {}, const RunOptions& run = {});

}  // namespace nearlinear
