/// The Walsh-Hadamard transform.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear {

/// Fast Walsh-Hadamard transform of every column of a matrix, in place.
///
///     X <- H_n X,    H_1 = (1),    H_2m = ( H_m   H_m )        that is    (H_n)_ij = (-1)^popcount(i & j),
///                                         ( H_m  -H_m )
///
/// in natural (Hadamard) order and unnormalised: H_n H_n = n I, so that a second transform divided by n restores X.
///
/// - `matrix`: n x d, n a power of two, d any number of columns (0 too); any row stride.
/// - Cost: n d log2(n) additions, ceil(log2(n) / 10) passes over memory; up to 385 KiB of scratch memory per thread.
/// - The result is equal to the last bit for every thread count and instruction set: each entry is one fixed tree of
///   additions. Its error is at most log2(n) u sum_i |x_ij| to first order, u the unit round-off.
/// - Infinities, NaN and overflow follow IEEE arithmetic, column by column.
/// - Throws std::invalid_argument when n is no power of two or the view is not one of real memory, std::bad_alloc,
///   and `interrupted` when run.keep_going answers false; `matrix` is then unspecified.
///
/// Source: Fino and Algazi, "Unified matrix treatment of the fast Walsh-Hadamard transform", IEEE Transactions on
/// Computers C-25 (1976) 1142-1146.
///
///     #include <nearlinear/linalg.hpp>
///     #include <cstdio>
///     #include <vector>
///
///     int main() {
///       std::vector<double> x{1, 0, 1, 0, 0, 1, 1, 0};
///       nearlinear::hadamard_transform(nearlinear::MatrixView<double>(x.data(), 8, 1));
///       for (const double value : x) std::printf("%g ", value);   // 4 2 0 -2 0 2 0 2
///     }
template <class T>  // float, double
void hadamard_transform(MatrixView<T> matrix, const RunOptions& run = {});

}  // namespace nearlinear
