/// The Cholesky factorisation, what is solved with it, and its updates when a matrix changes by a row.
///
/// A matrix is taken as symmetric by its lower triangle, and a factor L as lower triangular: what lies above the
/// diagonal is neither read nor written, unless a function says so. Rows may be any distance apart.
#pragma once

#include "nearlinear/linalg/products.hpp"

namespace nearlinear {

/// Which triangle of a matrix is meant; the other one is not read.
enum class Triangle { lower, upper };

/// Cholesky factorisation, in place.
///
///     A = L L^T
///
/// - A is n x n; its lower triangle becomes L, with a positive diagonal.
/// - Returns 0 or, as LAPACK's `info` does, the order k >= 1 of the first leading minor that is not positive definite,
///   be it that the k-th pivot is not positive, NaN or infinite; the lower triangle is then unspecified. A matrix
///   that is not positive definite is no error: whether it is can be what one wants to know. NaN in the lower
///   triangle is always found.
/// - Cost: n^3 / 3 operations, nearly all of them in products on several threads; each packs blocks of some 2 MB.
/// - |A - L L^T| <= gamma_{n+1} |L| |L^T| entrywise, gamma_k = k u / (1 - k u), u the unit round-off (Higham, Accuracy
///   and Stability of Numerical Algorithms, 2nd edition, SIAM 2002, theorem 10.3). It succeeds whenever the condition
///   number of A, scaled to a unit diagonal, is below some 1 / (n gamma_{n+1}) (theorem 10.7).
/// - Equal to the last bit for every number of threads on one instruction set: the blocks depend on n alone.
/// - Throws std::invalid_argument when A is not square or not a view of real memory, std::bad_alloc, and `interrupted`
///   when run.keep_going answers false; the lower triangle is then unspecified.
///
///     std::vector<double> a{4, 0, 2, 5};                              // 4 2 2 5, its upper triangle left out
///     const nearlinear::MatrixView<double> A(a.data(), 2, 2);
///     if (nearlinear::cholesky(A) != 0) return;                       // not positive definite
///     std::vector<double> b{8, 8};                                    // A x = b
///     nearlinear::cholesky_solve<double>(A, nearlinear::MatrixView<double>(b.data(), 2, 1));   // b = 1.5 1
template <class T>  // float, double
[[nodiscard]] Index cholesky(MatrixView<T> A, const RunOptions& run = {});

/// Solves triangular systems, in place.
///
///     B <- op(L)^{-1} B,    op(L) = L or L^T
///
/// - L is n x n, lower or upper triangular; B is n x p and does not overlap it.
/// - Cost: n^2 p operations, nearly all of them in products on several threads; each packs blocks of some 2 MB.
/// - Each column x of the result solves a system nearby: (op(L) + dL) x = b, |dL| <= gamma_{n+1} |op(L)| entrywise,
///   whatever the condition of L (Higham, theorem 8.5).
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when shapes do not match, a diagonal entry is 0 or a view is not one of real memory,
///   std::bad_alloc, and `interrupted` when run.keep_going answers false; after the last two, B is unspecified.
///
///     const std::vector<double> l{2, 0, 1, 4};
///     std::vector<double> b{2, 9};
///     nearlinear::triangular_solve<double>(nearlinear::Triangle::lower, nearlinear::Transpose::no,
///                                          {l.data(), 2, 2}, {b.data(), 2, 1});   // b = 1 2
template <class T>
void triangular_solve(Triangle triangle, Transpose op, MatrixView<const T> L, MatrixView<T> B,
                      const RunOptions& run = {});

/// The same from the right: what turns A into the Q of A = Q R.
///
///     B <- B op(L)^{-1}
///
/// - L is n x n, B is p x n. Cost, bits and errors are triangular_solve's; the bound holds for each row of B.
template <class T>
void triangular_solve_right(Triangle triangle, Transpose op, MatrixView<const T> L, MatrixView<T> B,
                            const RunOptions& run = {});

/// Solves systems with a matrix that cholesky() has factored, in place.
///
///     B <- A^{-1} B,    A = L L^T
///
/// - L is n x n, B is n x p and does not overlap it. Cost: 2 n^2 p operations.
/// - Each column x of the result solves a system nearby: (A + dA) x = b, |dA| <= gamma_{3n+3} |L| |L^T| entrywise, the
///   factorisation's errors included (Higham, theorem 10.4).
/// - Throws like triangular_solve.
template <class T>
void cholesky_solve(MatrixView<const T> L, MatrixView<T> B, const RunOptions& run = {});

/// Inverse of a matrix that cholesky() has factored, in place of the factor.
///
///     L -> A^{-1} = L^{-T} L^{-1}
///
/// - Both triangles are written, and are symmetric to the last bit. To solve systems, cholesky_solve is faster and more
///   accurate.
/// - Cost: 2 n^3 / 3 operations and n^2 numbers of memory for L^{-1}.
/// - |A X - I| is bounded by a multiple of n u cond(L)^2, as for every way to invert a matrix (Higham, section 14.4.1).
/// - Equal to the last bit for every number of threads on one instruction set. Throws like triangular_solve.
template <class T>
void cholesky_inverse(MatrixView<T> L, const RunOptions& run = {});

/// The factor of a matrix that a vector was added to, in place.
///
///     L' L'^T = L L^T + x x^T
///
/// - L is n x n with a positive diagonal; x has n entries and is used as working memory: its content is lost.
/// - Returns 0, or the first row, counted from 1, whose pivot is not a positive number: for a factor L it is NaN,
///   infinite or has overflowed. L is then unspecified.
/// - Cost: 3 n^2 operations and 2 n numbers of memory: one pass over L.
/// - Each row of (L, x) is multiplied by n plane rotations (Gill, Golub, Murray and Saunders, Methods for modifying
///   matrix factorizations, Mathematics of Computation 28, 1974, method C3), which is backward stable: L' is close to
///   the factor of (L, x) (L, x)^T with rows of (L, x) changed by gamma_{cn} times their norms (Higham, lemma 19.9), c
///   a small constant; after many updates these errors add up, but are never amplified.
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when shapes do not match or L is not a view of real memory, std::bad_alloc, and
///   `interrupted` when run.keep_going answers false; after this, L is unspecified.
///
///     std::vector<double> l{3, 0, 0, 1}, x{4, 0};
///     const nearlinear::MatrixView<double> L(l.data(), 2, 2);
///     const nearlinear::Index status = nearlinear::cholesky_update<double>(L, x);   // 0; l = 5 0 0 1
template <class T>
[[nodiscard]] Index cholesky_update(MatrixView<T> L, std::span<T> x, const RunOptions& run = {});

/// The factor of a matrix whose first row and column go and which gets new last ones, in place: a window that slides.
///
///     L L^T = [ a    b^T ]        L' L'^T = [ C    k ]
///             [ b    C   ]   ->             [ k^T  g ],    (k^T, g) = last_row
///
/// - L is n x n with a positive diagonal; last_row has n entries, the diagonal one last, and does not overlap L.
/// - C = L_22 L_22^T + l_21 l_21^T, a positive update: no subtraction, so that the window can slide for ever without a
///   new factorisation. The new row of L' is y^T = (L_C^{-1} k)^T with the pivot sqrt(g - y^T y).
/// - Returns 0, or the first row of L', counted from 1, whose pivot is not a positive number. When it is n, the new
///   matrix is not positive definite (or last_row holds NaN): the factor of C stands in the first n - 1 rows, and the
///   last row is unspecified. When it is less, L was no factor, and is now unspecified.
/// - Cost: 4 n^2 operations and 3 n numbers of memory: three passes over L.
/// - Errors of the update as for cholesky_update; of the last row as for cholesky.
/// - Equal to the last bit for every number of threads on one instruction set. Throws like cholesky_update.
///
///     std::vector<double> l{1, 0, 4, 3};                              // 1 4 4 25
///     const std::vector<double> last_row{10, 13};
///     const nearlinear::MatrixView<double> L(l.data(), 2, 2);
///     const nearlinear::Index status = nearlinear::cholesky_slide<double>(L, last_row);   // 0; l = 5 . 2 3
template <class T>
[[nodiscard]] Index cholesky_slide(MatrixView<T> L, std::span<const T> last_row, const RunOptions& run = {});

}  // namespace nearlinear
