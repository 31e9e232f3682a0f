/// Convex programs over the rows of a tall matrix with one linear constraint: what sensitivities and regression are.
#pragma once

#include <vector>

#include "sampling/kernels.hpp"
#include "sampling/parallel.hpp"
#include "sampling/row_loss.hpp"
#include "sketch/preconditioner.hpp"

namespace nearlinear::sampling {

struct ProgramResult {
  double value = 0;  ///< of the loss at x
  double bound = 0;  ///< of the minimum, from below
  Index iterations = 0;
  bool is_stuck = false;  ///< rounding allows no progress
  [[nodiscard]] double gap() const { return value > 0 ? 1 - bound / value : 0; }
};

struct ProgramOptions {
  double tol = 1e-8;  ///< of the gap
  Index maxiter = 200;
  bool has_guess = false;  ///< x holds a guess
  bool is_rough = false;   ///< the gap may be an estimate, without a bound
  Index own = -1;          ///< which row c is, if it is one: steps leave it as it is
};

/// min sum_j w_j rho(v_j^T x) subject to c^T x = t.
///
/// V is d x n, the columns v_j, and its rows are about orthonormal. Objects do not change: solve() may run on several
/// threads at once, each with memory of its own.
class RowProgram {
 public:
  /// Weights are positive; there are as many as V has columns. Both stay where they are.
  RowProgram(MatrixView<const double> V, std::span<const double> weights, LossFunction loss);

  [[nodiscard]] Index cols() const { return V_.rows(); }
  [[nodiscard]] Index rows() const { return V_.cols(); }
  [[nodiscard]] const LossFunction& loss() const { return loss_; }

  /// x has d entries. There is no constraint where c is 0.
  [[nodiscard]] ProgramResult solve(std::span<const double> c, double t, std::span<double> x,
                                    const ProgramOptions& options, Scratch& scratch) const;

  /// The loss at x.
  [[nodiscard]] double value(std::span<const double> x, Scratch& scratch) const;

 private:
  [[nodiscard]] ProgramResult solve_by_newton(std::span<const double> c, double t, std::span<double> x,
                                              const ProgramOptions& options, Scratch& scratch) const;
  [[nodiscard]] ProgramResult solve_by_fixed_signs(std::span<const double> c, double t, std::span<double> x,
                                                   const ProgramOptions& options, Scratch& scratch) const;

  MatrixView<const double> V_;
  std::span<const double> weights_;
  LossFunction loss_;
  sketch::Square metric_;  ///< the Cholesky factor of V W V^T, lower
  Array<double> lengths_;  ///< |v_j|
};

/// A <- L, A + (a little of its diagonal) = L L^T, for a symmetric A that is positive definite but for rounding. False
/// if it is not.
[[nodiscard]] bool factor_definite(const sketch::Square& A);
/// x <- A^{-1} x.
void solve_definite(const sketch::Square& L, double* x);

/// G <- V diag(h) V^T, both triangles unspecified above the diagonal.
void weighted_gram(MatrixView<const double> V, const double* h, const sketch::Square& G, Scratch& scratch);

[[nodiscard]] inline Columns columns(MatrixView<const double> V) { return {V.data(), V.rows(), V.row_stride()}; }

/// A linear program: min sum_j w_j |v_j^T x| + g^T x subject to c^T x = t, by a primal-dual interior point method. x
/// holds a guess with c^T x = t. The bound is that of a dual solution, for weights of 1 or more and V whose rows are
/// orthonormal, or with those columns beside it that g stands for.
[[nodiscard]] ProgramResult solve_least_absolute(MatrixView<const double> V, std::span<const double> weights,
                                                 std::span<const double> g, std::span<const double> c, double t,
                                                 std::span<double> x, const ProgramOptions& options, Scratch& scratch);

}  // namespace nearlinear::sampling
