/// The QR factorisation of tall matrices.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear {

/// How a QR factorisation is computed.
enum class QrMethod {
  automatic,    ///< The fastest one that is as accurate as Householder's; see qr().
  cholesky,     ///< CholeskyQR2: two Gram matrices and their Cholesky factors.
  tall_skinny,  ///< TSQR: reflections of blocks of rows, which stay in the cache, then of their R, in a tree.
  householder,  ///< Blocked Householder reflections of the whole matrix.
};

/// The triangular factor of a tall matrix.
///
///     A = Q R,    Q^T Q = I,    R upper triangular with a diagonal >= 0
///
/// - A is n x d, n >= d; R is d x d, and is written with zeros below its diagonal.
/// - When A has full rank, R is unique: that of every method, up to rounding, and the transpose of the Cholesky factor
///   of A^T A. A matrix of any rank has a QR factorisation; R then shows no rank, for there are no pivots.
/// - Returns the method that was used, never `automatic`.
///   * `automatic` is `householder` where n < 16 d, else `tall_skinny` or, where Q is wanted, `cholesky`.
///   * `cholesky` squares the condition number of A, with its columns scaled to one length, and is refused where that
///     is above some u^{-1/2} / 10, u the unit round-off. Whether it is shows in a pivot of the first Cholesky
///     factorisation that has lost its digits, or in the second Gram matrix, which must satisfy
///     |Q_1^T Q_1 - I|_F <= 1/2. Then the method is one of the other two, also where `cholesky` was asked for.
///   * `tall_skinny` works on blocks of max(2 d, 2^16 / d) rows or a few less; with fewer rows than two of these it is
///     `householder`.
/// - Cost: 2 n d^2 - 2 d^3 / 3 operations for `householder` and `tall_skinny`, 3 n d^2 for `cholesky`, which runs at
///   the speed of products. `tall_skinny` reads A once, `cholesky` twice. Memory: n d numbers for `householder`; for
///   the others up to 32 d^2, and some 2 MB per thread.
/// - R is the exact factor of A + dA with |da_j|_2 <= gamma_{c n d} |a_j|_2 for every column j, c a small constant,
///   whatever the condition of A (Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM 2002,
///   theorem 19.4); for `cholesky`, |dA|_F <= 5 d^2 sqrt(d) u |A|_F (Yamamoto, Nakatsukasa, Yanagisawa and Fukaya,
///   Roundoff error analysis of the CholeskyQR2 algorithm, ETNA 44, 2015, theorem 3.3).
/// - Entries may be as large or small as numbers go: norms are scaled where their squares would overflow or underflow.
///   NaN or Inf in A gives NaN in R.
/// - Equal to the last bit for every number of threads on one instruction set: blocks depend on the shape alone.
/// - Throws std::invalid_argument when shapes do not match, n < d, or a view is not one of real memory, std::bad_alloc,
///   and `interrupted` when run.keep_going answers false; R is then unspecified. A is never written to.
///
/// Sources: Demmel, Grigori, Hoemmen and Langou, Communication-optimal parallel and sequential QR and LU
/// factorizations, SIAM J. Sci. Comput. 34, 2012, algorithm 2 (TSQR); Schreiber and Van Loan, A storage-efficient WY
/// representation for products of Householder transformations, SIAM J. Sci. Stat. Comput. 10, 1989; Yamamoto et al. as
/// above (CholeskyQR2).
///
///     const std::vector<double> a{3, 1, 4, 2, 0, 5};
///     std::vector<double> r(4);
///     nearlinear::qr<double>({a.data(), 3, 2}, {r.data(), 2, 2});   // r = 5 2.2 0 5.016
template <class T>  // float, double
QrMethod qr(MatrixView<const T> A, MatrixView<T> R, QrMethod method = QrMethod::automatic, const RunOptions& run = {});

/// The same with Q^T B, what least squares needs: min |A X - B| has the solution R^{-1} C.
///
///     A = Q R,    C = Q^T B
///
/// - B is n x p, C is d x p. Takes 4 n d p operations more; p columns more in every block.
/// - R and C are exact for A + dA, with the bound above, and B + dB with |db_j|_2 <= gamma_{c n d} |b_j|_2; hence least
///   squares by them is backward stable (Higham, theorem 20.3).
template <class T>
QrMethod qr_multiply(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> R, MatrixView<T> C,
                     QrMethod method = QrMethod::automatic, const RunOptions& run = {});

/// The same with the factor Q, whose columns are an orthonormal basis of what the columns of A span.
///
///     A = Q R,    |Q^T Q - I|_F <= gamma_{c n d} sqrt(d)
///
/// - Q is n x d and does not overlap A. `tall_skinny` is `householder` here.
/// - Cost: 2 n d^2 operations more for `householder`, n d^2 for `cholesky`.
template <class T>
QrMethod qr_thin(MatrixView<const T> A, MatrixView<T> Q, MatrixView<T> R, QrMethod method = QrMethod::automatic,
                 const RunOptions& run = {});

}  // namespace nearlinear
