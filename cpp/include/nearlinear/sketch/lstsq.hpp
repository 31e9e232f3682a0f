/// Least squares: as accurate as QR, at the speed of memory where there is a way.
#pragma once

#include <functional>
#include <optional>

#include "nearlinear/linalg/operator.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/sketch/row_sketch.hpp"

namespace nearlinear {

/// How a least-squares problem is solved. P stands for the inverse of a triangular factor R of A, or of something like
/// A.
enum class LstsqMethod {
  automatic,     ///< The fastest of cholesky, gram, sketch_cg and tsqr that is accurate; see lstsq().
  cholesky,      ///< R from A^T A; refinement. For condition numbers (of A with scaled columns) up to some 10^7.
  gram,          ///< R from a sketch; then P^T A^T A P, well conditioned, is formed and factored; refinement.
  sketch_cg,     ///< R from a sketch; conjugate gradients with P; refinement.
  sketch_solve,  ///< argmin |S (A x - b)|: one pass, an estimate with error bars.
  tsqr,          ///< QR of A. Where A has no full rank, the singular values of R.
};

enum class LstsqStatus {
  converged = 0,  ///< The backward error is below `tol`, or as small as rounding allows.
  maxiter = 1,    ///< `maxiter` iterations were not enough.
  stagnated = 2,  ///< Refinement makes no progress: A is too ill-conditioned for the method.
  estimate = 3,   ///< sketch_solve: not the solution, but one with error bars.
};

struct LstsqOptions {
  LstsqMethod method = LstsqMethod::automatic;
  std::optional<SketchKind> sketch = {};  ///< unset: block_hadamard, for sparse A sjlt
  Index sketch_rows = 0;                  ///< m; 0: chosen by cost, for sketch_solve 16 d
  double delta = 0.05;                    ///< sketch_solve: probability that linf_bound fails
  double ridge = 0;                       ///< lambda >= 0
  std::optional<double> rcond = {};       ///< singular values below rcond s_1 count as 0; unset: see lstsq()
  std::optional<double> tol = {};         ///< of the backward error relative to |A|_F; unset: the unit round-off of T
  Index maxiter = 100;                    ///< of conjugate gradients, in all
  std::uint64_t seed = 0;
  bool has_guess = false;  ///< X holds a guess of the solution
};

template <class T>
struct LstsqResult {
  LstsqMethod method = LstsqMethod::automatic;  ///< the one that yielded X
  LstsqStatus status = LstsqStatus::converged;
  Index rank = 0;
  double condition = 0;              ///< 2-norm condition number of A (for ridge, of A over sqrt(lambda) I), estimated
  double backward_error = 0;         ///< relative to |A|_F, the largest of all right-hand sides; see lstsq()
  Index passes = 0;                  ///< how often A was read
  Index iterations = 0;              ///< of conjugate gradients and of refinement
  Array<double> residual_norm = {};  ///< |b - A x|_2 for every right-hand side; for sketch_solve an estimate
  /// R, d x d, with R^T R = A^T A + lambda I, as far as the method has it: all but sketch_cg and those of wide
  /// matrices and of deficient rank. Upper triangular for cholesky and tsqr.
  Array<double> factor = {};
  SketchSolution<T> sketch = {};  ///< of sketch_solve
};

/// A matrix that is read block by block: next(A, B) sets views of the next rows, which stay valid until it is called
/// again, and answers false behind the last; rewind() goes back to the first.
template <class T>
struct RowBlocks {
  Index cols = 0;
  Index rhs = 1;
  std::function<bool(MatrixView<const T>& A, MatrixView<const T>& B)> next = {};
  std::function<void()> rewind = {};  ///< empty: the rows can be read once
};

/// Least squares, or the solution of least norm.
///
///     min |A x - b|_2^2 + lambda |x|_2^2, and where many x attain it, the one of least norm
///
/// - A is n x d, B is n x p, X is d x p: each column of B on its own. n >= d or n < d.
/// - `automatic`, for n >= d: costs of the methods are compared by n, d and p. A^T A is tried where it is cheapest,
///   that is for d up to some hundred, and left when its Cholesky factor is ill conditioned; then gram, sketch_cg or
///   tsqr follow. What does not converge to full accuracy gives way to tsqr. n < 4 d and small problems: tsqr.
/// - n < d: R of A^T by `cholesky` or `tsqr`, x = A^T R^{-1} R^{-T} b, and refinement.
/// - Rank: the condition number of R with columns scaled to one length, from 1 / (15 eps) on, means deficient
///   rank; then R is decomposed, singular values below 15 eps s_1 of the scaled R are dropped, and x is made that of
///   least norm.
///   With `rcond`, singular values of A itself are compared, as LAPACK's gelsd does, by tsqr.
/// - Error: X is the solution for A + dA with |dA|_F <= backward_error |A|_F, which is measured: after Karlson and
/// Walden
///   (1997) the smallest such error, up to a factor of 1.6 (Gratton, Jiranek and Titley-Peloux 2012), is
///
///       |(A^T A + omega I)^{-1/2} A^T r| theta / sqrt(1 + theta^2 |x|^2), omega = theta^2 |r|^2 / (1 + theta^2 |x|^2),
///
///   theta = |A|_F / |b|, where R^T R takes the place of A^T A; for d > 256 an upper bound of it. It is NaN where A can
///   be read only once.
/// - Cost: `cholesky` n d^2 operations and 3 or 4 passes, `gram` 2 n d^2 and 5, `sketch_cg` some 25 passes and
///   O(m d^2), `tsqr` 2 n d^2. Memory: O(d^2), for `tsqr` of n < 16 d a copy of A.
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when shapes do not match, A or B holds NaN or infinities or an option is out of
/// range,
///   std::bad_alloc, and `interrupted` when run.keep_going answers false; X is then unspecified.
///
/// Sources: Epperly, Meier and Nakatsukasa, Fast randomized least-squares solvers can be just as accurate and stable as
/// classical direct solvers, Comm. Pure Appl. Math. 2025; Rokhlin and Tygert, A fast randomized algorithm for
/// overdetermined linear least-squares regression, PNAS 105 (2008).
///
///     const std::vector<double> a{1, 0, 1, 1, 1, 2}, b{6, 0, 0};
///     std::vector<double> x(2);
///     const auto result = nearlinear::lstsq<double>({a.data(), 3, 2}, {b.data(), 3, 1}, {x.data(), 2, 1});   // 5 -3
template <class T>  // float, double
LstsqResult<T> lstsq(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> X, const LstsqOptions& options = {},
                     const RunOptions& run = {});

/// The same for A with weights w_i >= 0 of rows, |W^{1/2} (A x - b)|; and for a matrix that is stored by columns, as
/// A^T. `root_weights` are the square roots of w, or empty.
template <class T>
LstsqResult<T> weighted_lstsq(MatrixView<const T> A, Transpose op_A, MatrixView<const T> B, MatrixView<T> X,
                              std::span<const T> root_weights, const LstsqOptions& options = {},
                              const RunOptions& run = {});

/// The same for a sparse A: `cholesky` or `sketch_cg` by themselves, in time proportional to nnz but for what is d x d.
template <class T, class I>
LstsqResult<T> lstsq(const CsrView<T, I>& A, MatrixView<const T> B, MatrixView<T> X, const LstsqOptions& options = {},
                     const RunOptions& run = {});

/// The same for a matrix that is known by its products alone: sketch_cg or sketch_solve. n >= d.
template <class T>
LstsqResult<T> lstsq(const LinearOperator<T>& A, MatrixView<const T> B, MatrixView<T> X,
                     const LstsqOptions& options = {}, const RunOptions& run = {});

/// The same for a matrix that is larger than the memory. n >= d. Where it can be read only once, tsqr or sketch_solve.
template <class T>
LstsqResult<T> lstsq(const RowBlocks<T>& blocks, MatrixView<T> X, const LstsqOptions& options = {},
                     const RunOptions& run = {});

}  // namespace nearlinear
