/// Powers of sparse matrices.
#pragma once

#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// Power of a square sparse matrix, by repeated squaring.
///
///     C = A^k,    A^0 = I
///
/// - `A` is n x n, k >= 0. C is canonical. k = 1 gives A with its duplicates summed.
/// - The bits of k are taken from the highest on: the power is squared, and where the bit is set multiplied with A from
///   the right by matmul(), whose bits every step has. In exact arithmetic any order gives the same; A^5 is
///   (A^2 A^2) A here.
/// - Cost: at most 2 log2(k) products of matmul(). Powers fill up: A^k has an entry wherever there is a walk of k
/// steps.
/// - Throws what matmul() throws, also when A is not square or k is negative.
///
///     const auto walks = nearlinear::matpow(A, 3);                                     // A as for matmul(): 1 62 0
///     125
template <class T, class I>
CsrMatrix<T, I> matpow(const CsrView<T, I>& A, Index k, const RunOptions& run = {});

}  // namespace nearlinear
