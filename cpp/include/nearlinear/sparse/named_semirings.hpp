/// Semirings that are chosen at run time, for the types of numbers that arrays have.
#pragma once

#include "nearlinear/sparse/semiring_matmul.hpp"

namespace nearlinear {

enum class SemiringName { plus_times, min_plus, max_plus, max_times, or_and, plus_pair, min_first };

/// A semiring of semirings.hpp, for integers of fewer bits than those that they are computed with, and with exchanged
/// factors: what the transposed product, C^T = B^T A^T, needs.
struct NamedSemiring {
  SemiringName name = SemiringName::plus_times;
  int bits = 64;           ///< Integers wrap around as if they had so many bits, 1 to 64.
  bool exchanged = false;  ///< multiply(x, y) is the semiring's multiply(y, x).
};

/// matmul over a semiring with a name. T and the semirings that it is compiled for, with I = std::int32_t or
/// std::int64_t:
///
/// | T                                          | semirings                                                    |
/// |--------------------------------------------|--------------------------------------------------------------|
/// | bool                                       | or_and, plus_times, which are the same                       |
/// | std::int64_t                               | plus_times, min_plus, max_plus, max_times, min_first, plus_pair |
/// | std::uint64_t, float, double               | plus_times, min_plus, max_plus, max_times, min_first         |
/// | std::complex<float>, std::complex<double>  | plus_times                                                   |
///
/// Throws std::invalid_argument for other pairs, and as matmul_any_size over a semiring does.
template <class T, class I>
CsrMatrixOfAnySize<T> matmul_any_size(const NamedSemiring& semiring, const CsrView<T, I>& A, const CsrView<T, I>& B,
                                      const SemiringOptions<T, I>& options = {}, const RunOptions& run = {});

}  // namespace nearlinear
