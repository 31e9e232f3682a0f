/// Ridge regression for many ridges, and what leaving out each row would change, from one factorisation.
#pragma once

#include "nearlinear/linalg/products.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// Entry (l, ...) belongs to ridge l.
struct RidgePath {
  Index ridges = 0;
  Index cols = 0;
  Index rhs = 0;
  Array<double> x = {};                   ///< ridges x cols x rhs, stored by rows
  Array<double> residual_norm = {};       ///< |b - A x|_2, ridges x rhs
  Array<double> loo_error = {};           ///< mean squared error of rows that are left out, ridges x rhs
  Array<double> degrees_of_freedom = {};  ///< trace of H = A (A^T A + lambda I)^{-1} A^T
};

/// The solutions of min |A x - b|^2 + lambda |x|^2 for several lambda >= 0, and their leave-one-out errors
///
///     (1 / n) sum_i ((b_i - a_i^T x) / (1 - h_i))^2,    h_i = a_i^T (A^T A + lambda I)^{-1} a_i,
///
/// where the i-th term is the square of b_i - a_i^T x^(i), x^(i) being the solution without row i.
///
/// - A is n x d of any shape and rank, B is n x p. `root_weights` are square roots of weights of rows, or empty; errors
///   are weighted with them.
/// - With lambda = 0, x is the solution of least norm: singular values up to 15 eps s_1 count as 0.
/// - Cost: R of A, 2 n d^2 operations; its singular values, some 22 d^3 on one thread; one more pass of
///   2 n d (d + L (1 + p)) for L ridges. Memory: O(d^2 + L d p).
/// - A row with h_i = 1, which alone decides a coefficient, has no leave-one-out error: that is infinite then.
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when shapes do not match, an entry is NaN or infinite or a ridge is negative,
///   std::bad_alloc, and `interrupted` when run.keep_going answers false.
///
/// Source: Golub, Heath and Wahba, Generalized cross-validation as a method for choosing a good ridge parameter,
/// Technometrics 21 (1979); Allen, The relationship between variable selection and data augmentation, Technometrics 16
/// (1974).
///
///     const std::vector<double> a{1, 0, 1, 1, 1, 2}, b{6, 0, 0}, ridges{0, 1};
///     const auto path = nearlinear::ridge_path<double>({a.data(), 3, 2}, nearlinear::Transpose::no, {b.data(), 3, 1},
///                                                      {}, ridges);   // path.x = 5 -3 2.4 -1.2
template <class T>  // float, double
[[nodiscard]] RidgePath ridge_path(MatrixView<const T> A, Transpose op_A, MatrixView<const T> B,
                                   std::span<const T> root_weights, std::span<const double> ridges,
                                   const RunOptions& run = {});
template <class T, class I>  // std::int32_t, std::int64_t
[[nodiscard]] RidgePath ridge_path(const CsrView<T, I>& A, MatrixView<const T> B, std::span<const double> ridges,
                                   const RunOptions& run = {});

/// The errors of rows that are left out, one by one: residuals(i, c) <- (b_i - a_i^T x) / (1 - h_i), n x p. As above.
template <class T>
void leave_one_out(MatrixView<const T> A, Transpose op_A, MatrixView<const T> B, std::span<const T> root_weights,
                   double ridge, MatrixView<double> residuals, const RunOptions& run = {});
template <class T, class I>
void leave_one_out(const CsrView<T, I>& A, MatrixView<const T> B, double ridge, MatrixView<double> residuals,
                   const RunOptions& run = {});

}  // namespace nearlinear
