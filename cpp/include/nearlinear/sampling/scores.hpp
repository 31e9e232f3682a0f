/// Leverage scores and Lewis weights: how much each row of a matrix matters for norms of A x.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "nearlinear/core.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// A^T of a matrix that is stored by rows: what is stored by columns.
struct TransposedView {
  MatrixView<const double> matrix;
};

/// The n x d matrix whose rows are sampled, in any of the forms that it can be stored in. Entries must be finite.
using StoredMatrix = std::variant<MatrixView<const double>, TransposedView, CsrView<double, std::int32_t>,
                                  CsrView<double, std::int64_t>>;

enum class LeverageMethod {
  automatic,  ///< exact
  exact,      ///< to rounding: as accurate as by Householder's QR
  sketch,     ///< by a sketch of A and random projections: right within some tens of per cent, in O(n d log d)
};

struct LeverageOptions {
  LeverageMethod method = LeverageMethod::automatic;
  double ridge = 0;                  ///< lambda >= 0
  std::optional<double> rcond = {};  ///< singular values below rcond s_1 count as 0; unset: see leverage_scores()
  std::uint64_t seed = 0;            ///< of the sketch
};

struct LeverageResult {
  Index rank = 0;        ///< of A
  double condition = 0;  ///< of A with its columns scaled to one length, estimated
};

/// Leverage scores.
///
///     tau_i = a_i^T (A^T A + lambda I)^+ a_i = max_x (a_i^T x)^2 / (|A x|_2^2 + lambda |x|_2^2)
///
/// - A is n x d; `scores` has n entries. 0 <= tau_i <= 1, and for lambda = 0 their sum is the rank of A, else its
///   effective dimension.
/// - `exact` takes the Gram matrix and its Cholesky factor where A, with columns scaled to one length, has a condition
///   number kappa below some 3000: relative errors are then below 1e-8, and as a rule some u kappa^2. Up to 10^7 a
///   second Gram matrix corrects the factor, as in CholeskyQR2; beyond that QR. Errors are then those of |q_i|^2 by
///   Householder's QR up to a small factor. Where R shows deficient rank (the condition number of scaled columns is
///   above 1 / (15 eps)), small singular values are dropped; with `rcond`, those of A itself, as LAPACK's gelsd does.
/// - `sketch`: R from a sketch of 12 d + 128 rows, and |a_i R^{-1} G|^2 with a Gaussian G of 96 columns if d is
///   larger than 192. Factors of tau_i within 0.5 to 1.9 for d <= 192 (Gaussian embedding, (1 +- sqrt(1/12))^-2), and a
///   standard deviation of 15 % more beyond.
/// - Cost: `exact` 2 n d^2 operations and two reads of A, for ill-conditioned ones 4 n d^2 and up to four; for sparse
///   A, O(d sum_i nnz_i + d^3) and the squares of rows' nnz. `sketch` n d^2 or 192 n d. Memory: O(d^2).
/// - n < d: by the singular value decomposition of the n x n factor of A^T.
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when sizes do not match, A has no rows or columns, an entry is NaN or infinite or an
///   option is out of range, std::bad_alloc, and `interrupted` when run.keep_going answers false.
///
/// Source: Drineas, Magdon-Ismail, Mahoney and Woodruff, Fast approximation of matrix coherence and statistical
/// leverage, JMLR 13 (2012), algorithm 1 (`sketch`).
///
///     const std::vector<double> a{1, 0, 0, 1, 0, 1};                    // 3 x 2
///     std::vector<double> scores(3);
///     nearlinear::leverage_scores(nearlinear::MatrixView<const double>(a.data(), 3, 2), scores);   // 1 0.5 0.5
LeverageResult leverage_scores(const StoredMatrix& A, std::span<double> scores, const LeverageOptions& options = {},
                               const RunOptions& run = {});

struct LewisOptions {
  double tol = 1e-2;    ///< of the certificate
  Index maxiter = 300;  ///< 4 to 50 are enough as a rule
};

enum class LewisStatus {
  converged = 0,  ///< certificate <= tol
  maxiter = 1,    ///< `maxiter` iterations were not enough
  stagnated = 2,  ///< rounding allows no smaller certificate
};

struct LewisResult {
  LewisStatus status = LewisStatus::converged;
  double certificate = 0;  ///< max_i |tau_i / w_i - 1| over rows that are not zero
  Index iterations = 0;
};

/// Lewis weights.
///
///     w_i = tau_i(W^{1/2 - 1/p} A),    W = diag(w),
///
/// the only positive weights that are the leverage scores of the rows that they scale; 0 for rows of zeros.
///
/// - A is n x d, 1 <= p < inf; `weights` has n entries. Their sum is the rank of A, but so is that of any leverage
///   scores: the certificate max |tau_i / w_i - 1| tells how good they are. To first order it bounds their
///   relative error in the norm that w weighs, up to a factor of max(1, p / 2).
/// - Iteration: w <- w^{1 - a} tau^a, with a = p / 2 and a = 1 in turn: the first ends errors of many rows that share
/// what
///   there is, the second those of rows that have a direction for themselves, and near the weights both together
///   multiply by at most (p - 2)^2 / (8 p). Where the certificate does not go down, a = p / 2 alone follows for p < 2,
///   a contraction with the rate |1 - p / 2| (Cohen and Peng 2015, lemma 3.2). For p > 2 it is a = 2 p / (p + 2), with
///   the local rate |p - 2| / (p + 2), and where extreme data defeat that, a = 1, which converges from everywhere: log
///   det(A^T V A) is convex in log v and
///
///       -log det(A^T V A) <= const - sum_i tau_i log(v_i / v_i'),    v_i = w_i^{1 - 2 / p},
///
///   so that w <- tau minimises an upper bound of F(v) = -log det(A^T V A) + (1 - 2 / p) sum_i v_i^{p / (p - 2)}, the
///   convex function whose minimum Lewis weights are (Cohen and Peng 2015, section 4).
/// - With tol >= 1e-3, iterations run in single precision, with sums in double, while the condition number of scaled
///   columns is below 100: that costs some 1e-4 of accuracy.
/// - Cost: 2 n d^2 operations for every iteration, of which 3 to 10 are enough for the default tol. Memory: O(n + d^2),
///   and n d where A is ill conditioned or stored sparsely with dense rows.
/// - Equal to the last bit for every number of threads on one instruction set. Throws as leverage_scores().
///
/// Sources: Lewis, Finite dimensional subspaces of L_p, Studia Math. 63 (1978); Cohen and Peng, l_p row sampling by
/// Lewis weights, STOC 2015.
///
///     std::vector<double> weights(n);
///     const auto result = nearlinear::lewis_weights(A, 1.0, weights, {.tol = 1e-6});
LewisResult lewis_weights(const StoredMatrix& A, double p, std::span<double> weights, const LewisOptions& options = {},
                          const RunOptions& run = {});

/// max_i |tau_i(W^{1/2 - 1/p} A) / w_i - 1| over rows that are not zero, infinite where such a row has no positive
/// weight: how far w are from being Lewis weights.
[[nodiscard]] double lewis_certificate(const StoredMatrix& A, double p, std::span<const double> weights,
                                       const RunOptions& run = {});

}  // namespace nearlinear
