/// Products of three sparse matrices.
#pragma once

#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

enum class TripleProductMethod {
  automatic,  ///< separate, unless fused takes a fifth fewer scalar products, by a sample of the rows
  fused,      ///< (R A) P, a block of rows after the other, so that R A is never stored
  separate,   ///< R (A P), with A P stored
};

struct TripleProductOptions {
  TripleProductMethod method = TripleProductMethod::automatic;
};

/// Product of three sparse matrices: with R = P^T, the Galerkin product of algebraic multigrid.
///
///     C = R A P,    C_ij = sum over k and l of R_ik A_kl P_lj
///
/// - `R` is n x k, `A` is k x l, `P` is l x m. C is canonical and has an entry wherever three stored ones meet.
/// - fused has the bits of matmul(matmul(R, A), P), separate those of matmul(R, matmul(A, P)), for every thread count
///   and instruction set. |error_ij| <= (p + q) u (|R| |A| |P|)_ij to first order, p and q the largest numbers of
///   entries in a row of the two left factors, u the unit round-off. The choice depends on the patterns alone.
/// - Cost: with f(A, B) the scalar products of A B, f(R, A) + f(R A, P) fused and f(A, P) + f(R, A P) separate. Memory:
///   fused, C twice and some 50 MB; separate, C and A P. The choice takes two products of about 1000 rows each.
/// - Throws what matmul() throws.
///
///     const auto coarse = nearlinear::triple_product(R, A, P);                         // matrices as for matmul()
template <class T, class I>
CsrMatrix<T, I> triple_product(const CsrView<T, I>& R, const CsrView<T, I>& A, const CsrView<T, I>& P,
                               const TripleProductOptions& options = {}, const RunOptions& run = {});

}  // namespace nearlinear
