/// Spectral decompositions of dense matrices of moderate size.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear {

/// Eigenvalues and eigenvectors of a symmetric matrix.
///
///     A = V diag(values) V^T,    values_1 <= ... <= values_n,    V^T V = I
///
/// - A is n x n and taken as symmetric by its lower triangle: what lies above the diagonal is not read. `values` has n
///   entries, V is n x n, its columns the eigenvectors, or has 0 columns when they are not wanted. Neither overlaps A.
/// - Of each eigenvector, the first entry of largest absolute value is positive.
/// - Cost: 4 n^3 / 3 operations for the values, some 9 n^3 with vectors, on one thread, and 3 n^2 numbers of memory.
///   It is meant for n up to a few thousand. run.keep_going is asked before and after the decomposition, which cannot
///   be interrupted: it takes a second or so for n = 1000, with vectors.
/// - float is computed in double. A is scaled first, so that no scale of its entries does harm; an eigenvalue beyond
///   the range of T is infinite.
/// - |A - V diag(values) V^T|_F <= p(n) u |A|_F and |V^T V - I|_F <= p(n) u, p a modest function, u the unit
///   round-off of double, and the result is then rounded to T: tridiagonal reduction and the implicit QR algorithm are
///   products of reflections and rotations (Golub and Van Loan, Matrix Computations, 4th edition, 2013, section 8.3.5).
///   Hence values are right up to p(n) u |A|_2 (Weyl).
/// - Returns true, or false should the QR algorithm not converge within 30 n steps; the result is then unspecified.
/// - The same bits for every number of threads on one instruction set.
/// - Throws std::invalid_argument when A is not square, an entry of its lower triangle is NaN or infinite, or shapes do
///   not match, std::bad_alloc, and `interrupted` when run.keep_going answers false.
///
///     const std::vector<double> a{2, 0, 1, 2};                         // 2 1 1 2, its upper triangle left out
///     std::vector<double> values(2), v(4);
///     if (!nearlinear::symmetric_eigen<double>({a.data(), 2, 2}, values, {v.data(), 2, 2})) return;   // values = 1 3
template <class T>  // float, double
[[nodiscard]] bool symmetric_eigen(MatrixView<const T> A, std::span<T> values, MatrixView<T> V,
                                   const RunOptions& run = {});

/// How svd() decomposes the square matrix that is left when a tall one has been reduced.
enum class SvdMethod {
  divide_and_conquer,  ///< and jacobi wherever its result does not pass a check
  jacobi,              ///< one-sided rotations of columns, several times slower
};

/// Singular value decomposition, the thin one.
///
///     A = U diag(s) V^T,    s_1 >= ... >= s_k >= 0,    U^T U = V^T V = I,    k = min(m, n)
///
/// - A is m x n, U is m x k, V is n x k and `s` has k entries; U and V have 0 columns, both of them, when vectors are
///   not wanted. None overlaps A.
/// - Of each column of U, the first entry of largest absolute value is positive.
/// - Cost: 4 m n^2 operations for m >= n on several threads to reduce A to a triangular n x n matrix and to apply the
///   result, some 22 n^3 on one thread to decompose that, and 2 m n + 8 n^2 numbers of memory in double. It is meant
///   for k up to some hundred. Divide and conquer cannot be interrupted (it takes some 0.2 s for k = 500); all else
///   asks run.keep_going as it should, but for the decomposition of blocks of 4 k rows where A is ill conditioned.
/// - float is computed in double. A is scaled first, so that no scale of its entries does harm; a singular value beyond
///   the range of T is infinite.
/// - |A - U diag(s) V^T|_F <= p(m, n) u |A|_F, |U^T U - I|_F <= p u, |V^T V - I|_F <= p u, p a modest function, u the
///   unit round-off of double, and the result is then rounded to T. Hence s_i is right up to p u s_1 (Weyl). Divide
///   and conquer has inputs on which implementations of it lose accuracy: residual and orthogonality are checked
///   against 32 k eps, and where they are worse, one-sided Jacobi rotations (Golub and Van Loan, Matrix Computations,
///   4th edition, 2013, section 8.6.3) begin anew.
/// - Returns true, or false should 60 sweeps of rotations, or 60 k steps of the QR algorithm that finds values alone,
///   not be enough; the result is then unspecified.
/// - The same bits for every number of threads on one instruction set.
/// - Throws std::invalid_argument when an entry of A is NaN or infinite or shapes do not match, std::bad_alloc, and
///   `interrupted` when run.keep_going answers false.
///
///     const std::vector<double> a{3, 0, 0, -4, 0, 0};                  // 3 x 2
///     std::vector<double> u(6), s(2), v(4);
///     if (!nearlinear::svd<double>({a.data(), 3, 2}, {u.data(), 3, 2}, s, {v.data(), 2, 2})) return;   // s = 4 3
template <class T>  // float, double
[[nodiscard]] bool svd(MatrixView<const T> A, MatrixView<T> U, std::span<T> s, MatrixView<T> V,
                       SvdMethod method = SvdMethod::divide_and_conquer, const RunOptions& run = {});

}  // namespace nearlinear
