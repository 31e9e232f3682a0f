/// Completion of a matrix of low rank by robust alternating minimisation.
#pragma once

#include <functional>
#include <vector>

#include "nearlinear/completion/model.hpp"

namespace nearlinear {

/// In place of a rank: one that the observations tell.
constexpr Index unknown_rank = -1;

/// How the alternating least squares problems are solved.
enum class CompletionSolver {
  automatic,            ///< alternating_exact up to 20 unknowns for a line, else conjugate_gradients; variable
                        ///< projection where these contract slowly and it has the memory for
  alternating_exact,    ///< normal equations by Cholesky factorisation, k^2 operations for each entry
  conjugate_gradients,  ///< a few warm-started steps of conjugate gradients for each line, k operations for each
                        ///< entry; of residuals in double precision, by products in single precision
  variable_projection,  ///< Newton steps for U, of which V is a function: superlinear
  sketch,               ///< the paper's: each line by a sketched preconditioner and conjugate gradients
};

/// Whether lambda comes down from far above, along which path the solution is unique at first.
enum class Homotopy { automatic, on, off };

/// What is done about rows and columns with fewer entries than unknowns when lambda = 0.
enum class Underdetermined {
  refuse,  ///< std::invalid_argument
  ridge,   ///< the solution of least norm for the factor that the sweep has, as fold_in() describes it
  drop,    ///< they and their entries are left out, and so on until all others have enough; their factors are 0
};

enum class DuplicateEntries {
  refuse,  ///< std::invalid_argument
  mean,    ///< their weighted mean, with the sum of their weights: for least squares the same as all of them
  sum,     ///< of values; weights are averaged
  last,    ///< the one that is stored last
};

/// Where a fit is. Lines of the history, and what a callback is shown.
struct CompletionStep {
  enum class Phase {
    biases,      ///< mu, b and c alone
    descent,     ///< a sweep for each of a few lambdas that fall fast
    plain,       ///< sweeps that tell how fast it contracts
    homotopy,    ///< sweeps along the path
    polish,      ///< sweeps at lambda
    projection,  ///< Newton steps at lambda
  };

  Index iteration = 0;  ///< sweeps (an update of U and one of V) or Newton steps so far
  Phase phase = Phase::plain;
  double lam = 0;
  double objective = 0;
  double training_rmse = 0;    ///< (sum w r^2 / sum w)^{1/2} over the observed entries
  double validation_rmse = 0;  ///< NaN without validation entries
  double seconds = 0;          ///< since the call began
  Index inner_iterations = 0;  ///< of conjugate gradients, of a Newton step
};

struct CompletionOptions {
  double lam = 0;            ///< lambda >= 0; with chooses_lam, the least one to try
  bool chooses_lam = false;  ///< of the path, the lambda whose model is best on the validation entries
  bool biases = false;
  bool nonnegative = false;  ///< U, V >= 0
  bool implicit = false;     ///< entries are how often something happened; what is not stored is a weak zero
  CompletionSolver solver = CompletionSolver::automatic;
  Homotopy homotopy = Homotopy::automatic;
  Underdetermined underdetermined = Underdetermined::refuse;
  DuplicateEntries duplicates = DuplicateEntries::refuse;
  double tol = 1e-8;       ///< of residuals, and of changes of the objective
  Index maxiter = 500;     ///< sweeps and Newton steps
  Index patience = 5;      ///< steps, or lambdas of the path, for which the validation error need not fall
  std::uint64_t seed = 0;  ///< of the singular vectors that it begins with, of sketches and of entries left out
  const LowRankModel* start = nullptr;  ///< U, V and biases to begin with, of the same shape; its mu is not used
  std::function<bool(const CompletionStep&)> callback = {};  ///< after every iteration; false ends the fit
};

enum class CompletionStatus {
  converged = 0,   ///< the residual is below tol, or the objective changes by less than tol of itself
  maxiter = 1,     ///< `maxiter` iterations were not enough
  stopped = 2,     ///< by the callback
  early_stop = 3,  ///< the validation error had not fallen for `patience` iterations; the best model is returned
};

struct Completion {
  LowRankModel model;
  CompletionStatus status = CompletionStatus::converged;
  Index iterations = 0;
  double lam = 0;
  double objective = 0;
  double training_rmse = 0;
  double validation_rmse = 0;  ///< of the model that is returned; NaN without validation entries
  bool used_homotopy = false;
  std::vector<CompletionStep> history = {};
  std::vector<Index> left_out_rows = {};  ///< without entries, or dropped
  std::vector<Index> left_out_cols = {};
};

/// Entries that are not fitted but watched.
struct ValidationEntries {
  std::span<const std::int64_t> rows = {};
  std::span<const std::int64_t> cols = {};
  std::span<const double> values = {};
};

/// A matrix of low rank from some of its entries.
///
///     min_{U, V, b, c} 1/2 sum over observed (i, j) of w_ij (x_ij - mu - b_i - c_j - u_i^T v_j)^2
///                      + lambda / 2 (|U|_F^2 + |V|_F^2 + |b|^2 + |c|^2)
///
/// - X is m x n; what it stores is what was observed, explicit zeros included. `weights` has a number w >= 0 for every
///   entry of X, in the same order, or is empty: all are 1. Entries of weight 0 count as not observed.
/// - rank: k, 1 <= k <= min(m, n), 0 for biases alone, or `unknown_rank`: see below.
/// - biases: with them mu is the weighted mean of the entries, without them mu, b and c are 0.
/// - nonnegative: U, V >= 0. Each line is solved by coordinate descent.
/// - implicit: with c = 1 + x and p = 1 where an entry x > 0 is stored, and c = 1, p = 0 elsewhere,
///   1/2 sum over all (i, j) of c_ij (p_ij - u_i^T v_j)^2 + lambda / 2 (|U|_F^2 + |V|_F^2) is minimised (Hu, Koren and
///   Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008, equation 3, with x for alpha r).
/// - Algorithm: alternating least squares, half a sweep for V and half a sweep for U, from the dominant singular
/// vectors
///   of what was observed (Jain, Netrapalli and Sanghavi, STOC 2013), a sweep for each of a few lambdas that fall fast.
///   Three more at lambda tell how fast it contracts. Where it does, sweeps go on from combinations of the last four
///   (Anderson's acceleration of U); where it does not, or not for long, lambda comes down slowly from half the largest
///   singular value of what was observed, along which path minima of low rank are followed to where sweeps alone would
///   not have come (`homotopy`). What contracts slowly at the end is left to Newton's method for U, of which V is a
///   function. `sketch` and `nonnegative` are not accelerated.
/// - solver `sketch` is the algorithm of the source: the first basis is clipped and made orthonormal, and each line is
///   solved to 1e-3 of the accuracy that it has by conjugate gradients on A R^{-1}, R the triangular factor of a random
///   sketch of its |Omega_i| x k matrix A. With errors of relative size e in every half-sweep the limit is within 3 e
///   of the truth (its theorem on robustness; a test measures 1.5 e).
/// - tol: the fit ends when (sum w r^2)^{1/2} <= tol (sum w x^2)^{1/2}, or when the objective changes by no more than
///   tol of itself in a sweep or step. maxiter counts sweeps and Newton steps.
/// - validation: entries that are not fitted. The model that is best on them is returned, and the fit ends when it has
///   not got better for `patience` steps, of the path for `patience` values of lambda. With biases, these alone are
///   returned where factors make the validation error less by no more than its standard error. chooses_lam takes the
///   whole path to `lam`, each lambda until the objective has settled, and says in `lam` at which the best model was
///   found.
/// - rank = unknown_rank: the path is taken with the largest rank for which there are 1.2 times as many entries as
///   degrees of freedom, 1.2 k (m + n - k), and at most 50. Ranks that stay along it, the singular value after them ten
///   times below the last for three lambdas or more, and the largest are fitted without a tenth of the entries, and the
///   least is taken whose error on these is within two per cent, or the error's standard error, of the best.
/// - Cost: O(nnz k^2) operations for a sweep with `als`, O(nnz k) with `cg` and `sketch`, O(nnz k) for every inner
///   iteration of `vp`. Memory: 24 nnz bytes for the entries from both sides, 32 with weights; some (m + n) k numbers,
///   and for `vp` (m + n) k^2.
/// - The same bits for every number of threads on one instruction set.
/// - Throws std::invalid_argument when an option is out of range or options exclude each other; when X is not a valid
///   matrix, an entry is not finite, a weight negative or not finite, a place is stored twice and `duplicates` does not
///   say what that means; with lambda = 0 when a row or a column has fewer entries than unknowns or all have fewer than
///   the k (m + n - k) degrees of freedom and `underdetermined` does not say what to do; when nothing is observed;
///   std::overflow_error when X has 2^31 rows or columns or more, std::bad_alloc, and `interrupted` when run.keep_going
///   answers false.
///
/// Source: Gu, Song, Yin and Zhang, Low rank matrix completion via robust alternating minimization in nearly linear
/// time, ICLR 2024. Variable projection: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973).
///
///     const std::vector<std::int32_t> indptr{0, 2, 5, 7}, indices{0, 1, 0, 1, 2, 1, 2};
///     const std::vector<double> x{1, 2, 2, 4, 6, 6, 9};                       // of (1, 2, 3)^T (1, 2, 3)
///     const nearlinear::CsrView<double, std::int32_t> X{3, 3, indptr, indices, x};
///     const nearlinear::Completion fit = nearlinear::complete(X, {}, 1);
///     // the model's entry (0, 2), which was not observed, is 3
template <class I>  // std::int32_t, std::int64_t
[[nodiscard]] Completion complete(const CsrView<double, I>& X, std::span<const double> weights, Index rank,
                                  const CompletionOptions& options = {}, const ValidationEntries& validation = {},
                                  const RunOptions& run = {});

}  // namespace nearlinear
