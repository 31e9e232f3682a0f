/// Low-rank approximation by randomised subspace iteration.
#pragma once

#include <cstdint>

#include "nearlinear/linalg/operator.hpp"

namespace nearlinear {

constexpr Index automatic = -1;

struct RandomizedSvdOptions {
  Index oversampling = 10;             ///< Columns beyond the rank that the iteration works with.
  Index power_iterations = automatic;  ///< q >= 0 in (A A^T)^q A, or until the singular values settle.
  /// With tol > 0 `rank` is an upper limit: the smallest rank is returned at which |A - U diag(s) V^T|_F <= tol |A|_F,
  /// and the iteration begins with few columns and doubles them until there is one.
  double tol = 0;
  std::uint64_t seed = 0;
  double frobenius_norm = automatic;  ///< |A|_F of a LinearOperator, should it be known: it saves a pass.
};

template <class T>
struct RandomizedSvd {
  Index rows = 0;
  Index cols = 0;
  Index rank = 0;
  Array<T> left = {};             ///< U, rows x rank, stored by rows.
  Array<T> singular_values = {};  ///< `rank` of them, descending.
  Array<T> right = {};            ///< V, cols x rank, stored by rows.
  double error = 0;               ///< |A - U diag(s) V^T|_F, or an estimate of it; see randomized_svd().
  double frobenius_norm = 0;      ///< |A|_F: given, computed, or estimated alike.
  Index passes = 0;               ///< How often A or its transpose was multiplied by a block of columns.
  bool settled = false;           ///< The singular values had settled, or the subspace was known to be good enough.
  bool converged = true;          ///< error <= tol frobenius_norm, or no tol was asked for.

  [[nodiscard]] MatrixView<T> U() const { return {left.data(), rows, rank}; }
  [[nodiscard]] MatrixView<T> V() const { return {right.data(), cols, rank}; }
};

/// The dominant singular values and vectors of a matrix, approximately.
///
///     A ~ U diag(s) V^T,    U^T U = V^T V = I,    s_1 >= ... >= s_k >= 0,    k = min(rank, m, n)
///
/// - A is m x n. Of each column of U, the first entry of largest absolute value is positive.
/// - Algorithm: l = k + oversampling Gaussian columns are multiplied by A and A^T in turn, and made orthonormal after
///   every product (Halko, Martinsson and Tropp, Finding structure with randomness, SIAM Review 53, 2011,
///   algorithms 4.4 and 5.1). The last product, of A or A^T with an orthonormal Z, is decomposed: with n <= m and an
///   even number of passes, 2 q + 2, that is the algorithm of the paper. It begins at the shorter side, where there is
///   less to draw.
/// - Automatic power iterations end after the pass in which every s_i^2, i <= k, grew by less than 1e-3 s_{k+1}^2 (the
///   per-vector error of Musco and Musco, Randomized block Krylov methods, NIPS 2015, by how fast it changes), as soon
///   as |A|_F^2 - sum s_i^2 over all l, which bounds every sigma_i^2 - s_i^2, is below 1e-3 s_k^2, or after 16 passes,
///   q = 7. The first is a test of progress, not a proof: where singular values are close, vectors still turn long
///   after values and errors have settled.
/// - Error: with n <= m and q power iterations, for every k and p = oversampling >= 2,
///   E |A - Q Q^T A|_2 <= ((1 + sqrt(k / (p - 1))) sigma_{k+1}^r + e sqrt(k + p) / p (sum_{j>k}
///   sigma_j^{2r})^{1/2})^{1/r}, r = 2 q + 1 (Halko, Martinsson and Tropp, theorem 10.6 and corollary 10.10); dropping
///   the l - k smallest singular values adds at most sigma_{k+1} (theorem 9.3). Roundings add a modest multiple of
///   sqrt(n) u |A|_2.
/// - `error`: |A|_F^2 - sum s_i^2, exact but for roundings, where |A|_F is known and the difference is not lost in
/// them.
///   Otherwise one more product, with 10 Gaussian columns orthogonal to the subspace, estimates it without bias; it is
///   below 1/4 of the truth with probability less than 1e-4 (chi-square with 10 degrees of freedom; section 4.3 there).
/// - Cost: about 2 m n l operations for every pass, 4 (m + n) l^2 for bases, O(l^3) for l x l matrices on one thread,
///   and 4 (m + n) l numbers of memory. Worth it while l is well below min(m, n); otherwise take svd().
/// - float: products in float, bases and everything small in double.
/// - A dense A is scaled where it must be; a singular value beyond the range of T is infinite. What an operator returns
///   must be finite.
/// - The same bits for every number of threads on one instruction set, for an operator if its products are so.
/// - Throws std::invalid_argument when rank is less than 1, an option is out of range, or A holds NaN or infinities,
///   std::bad_alloc, and `interrupted` when run.keep_going answers false. Not reaching `tol` is told by `converged`.
///
///     const auto A = ...;   // MatrixView<const double>, 10000 x 2000
///     const nearlinear::RandomizedSvd<double> low_rank = nearlinear::randomized_svd<double>(A, 20, {.seed = 1});
///     // low_rank.singular_values[0], low_rank.U()(i, 0), low_rank.error
template <class T>  // float, double
[[nodiscard]] RandomizedSvd<T> randomized_svd(MatrixView<const T> A, Index rank,
                                              const RandomizedSvdOptions& options = {}, const RunOptions& run = {});
template <class T>
[[nodiscard]] RandomizedSvd<T> randomized_svd(const LinearOperator<T>& A, Index rank,
                                              const RandomizedSvdOptions& options = {}, const RunOptions& run = {});

}  // namespace nearlinear
