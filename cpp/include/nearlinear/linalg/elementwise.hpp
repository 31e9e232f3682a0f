/// Functions of every entry, sums of all, and the largest few.
///
/// Each of them gives the same bits for every number of threads on one instruction set, accepts empty input, any finite
/// or infinite numbers and NaN, and throws `interrupted` when run.keep_going answers false; what it writes is then
/// unspecified. u is the unit round-off of T: 2^-53 for double, 2^-24 for float.
///
///     #include <nearlinear/linalg.hpp>
///     #include <cstdio>
///     #include <vector>
///
///     int main() {
///       const std::vector<double> x{1000, 1001, 999};
///       std::vector<nearlinear::Index> best(2);
///       nearlinear::top_k<double>(x, 2, best);
///       std::printf("%.4f %td %td\n", nearlinear::log_sum_exp<double>(x), best[0], best[1]);   // 1001.4076 1 0
///     }
#pragma once

#include <limits>
#include <span>
#include <type_traits>

#include "nearlinear/core.hpp"

namespace nearlinear {

/// Exponential function of every entry.
///
///     y_i <- exp(x_i)
///
/// - x and y have the same length; they are the same memory or do not overlap.
/// - Error: below 2 units in the last place (1.03 measured), also where the result is subnormal. Overflow gives +Inf,
/// NaN gives NaN.
/// - Cost: some 0.75 ns per double and 0.3 ns per float with AVX-512 (measured), more where the result is subnormal; no
///   allocation.
/// - Throws std::invalid_argument when the lengths differ or x and y overlap in part.
template <class T>  // float, double
void exp(std::span<const T> x, std::span<T> y, const RunOptions& run = {});

/// Natural logarithm of every entry.
///
///     y_i <- log(x_i)
///
/// - As exp: lengths, memory, errors thrown. Error: below 2 units in the last place (0.8 measured), for subnormal
///   x too.
/// - log(+0) = log(-0) = -Inf, log(+Inf) = +Inf; negative numbers and NaN give NaN.
/// - Cost: some 1 ns per double and 0.4 ns per float with AVX-512 (measured).
template <class T>
void log(std::span<const T> x, std::span<T> y, const RunOptions& run = {});

/// Logarithm of a sum of exponentials, without overflow or underflow.
///
///     log sum_i exp(x_i) = m + log(1 + sum_{i != k} exp(x_i - m)),    m = x_k = max_i x_i
///
/// - -Inf when there is no entry or all are -Inf; +Inf when an entry is +Inf; NaN when one is NaN.
/// - Error, to first order and for n entries: at most u (|result| + 2 log n + 4 + d). Here d bounds the additions that
///   a term goes through, 70 + 5 n / 4096, for double; for float, which is summed in double, it is 0. In particular a
///   result that is tiny because m = 0 keeps its digits. The term log n comes from the rounding of x_i - m, whose mean,
///   weighted by exp(x_i - m), is at most log n: an entropy.
/// - Cost: n exponentials; one read of memory, by blocks that stay in the nearest cache between their two passes.
///   Blocks are joined by their maxima.
///
/// Source: Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and softmax functions", IMA
/// Journal of Numerical Analysis 41 (2021) 2311-2330: the algorithm with a shift and log1p.
template <class T>
[[nodiscard]] T log_sum_exp(std::span<const T> x, const RunOptions& run = {});

/// The same of every row of a matrix, or of every column.
///
///     result_i = log sum_j exp(A_ij),    result_j = log sum_i exp(A_ij)
///
/// - A is n x d with any row stride; `result` has n entries, or d, and does not overlap A.
/// - Error as log_sum_exp for the length of a row; for columns with d = 521 + 5 n / 512 in the bound.
/// - Cost: n d exponentials, one read of memory; 16 bytes per row for every 65536 columns, or up to 512 bytes
///   per column.
/// - Throws std::invalid_argument when the length of `result` does not match or the view is not one of real memory, and
///   std::bad_alloc.
template <class T>
void row_log_sum_exp(MatrixView<const T> A, std::span<T> result, const RunOptions& run = {});
template <class T>
void column_log_sum_exp(MatrixView<const T> A, std::span<T> result, const RunOptions& run = {});

/// Sum of all entries, 0 if there is none.
///
///     sum_i x_i
///
/// - Taken in double in 64 interleaved parts of blocks of 4096 entries, which are then added pairwise:
///   |error| <= gamma_k sum_i |x_i| with k = 70 + log2(n / 4096) and u of double, gamma_k = k u / (1 - k u); for float,
///   the rounding to float adds u |result| (Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM
///   2002, section 4.2).
/// - Cost: n additions, one read of memory; 8 bytes per block.
/// - Infinities, NaN and overflow follow IEEE arithmetic in double. Throws std::bad_alloc.
template <class T>
[[nodiscard]] T sum(std::span<const T> x, const RunOptions& run = {});

/// Inner product.
///
///     sum_i x_i y_i
///
/// - As sum, with sum_i |x_i y_i| and k larger by 1. Throws std::invalid_argument when the lengths differ.
template <class T>
[[nodiscard]] T dot(std::span<const T> x, std::span<const T> y, const RunOptions& run = {});

/// Euclidean norm, which overflows or underflows only where the result itself does.
///
///     (sum_i x_i^2)^(1/2)
///
/// - Error: relative, at most k u with k as for sum, u of double; for float, the rounding to float adds u.
/// - Cost: as dot of x with itself; twice that when a sum of squares leaves the range of double. The second pass is
///   taken of 2^600 x or of 2^-600 x, where no square that counts does (after Blue, "A portable Fortran program to
///   find the Euclidean norm of a vector", ACM Transactions on Mathematical Software 4 (1978) 15-23).
/// - NaN when an entry is NaN, otherwise +Inf when one is infinite. Throws as sum.
template <class T>
[[nodiscard]] T norm(std::span<const T> x, const RunOptions& run = {});

/// Where the k largest entries are.
///
///     x[indices_0] >= x[indices_1] >= ... >= x[indices_{k-1}] >= every other entry
///
/// - Among equal entries (+0 and -0 are) the lower index comes first. NaN counts as smaller than every number, -Inf
///   too: it is taken only when nothing else is left, in order of the index.
/// - `indices` has k entries, 0 <= k <= n.
/// - `warm_threshold`: a guess of the k-th largest value, best a little below it, such as that of a similar row before.
///   It decides nothing but time: entries below it are passed over at once, and should fewer than k be left, a second
///   pass begins anew. NaN is no guess.
/// - Cost: n comparisons, and expected O(n) in any case: of candidates, which lie above the k-th largest of those
///   before them, at least k gather before they are thinned out to k. O(k log k) for their order. Up to 2 k + 512
///   indices of memory, and one thread: call it for many rows from as many threads.
/// - Throws std::invalid_argument when k is negative or larger than n, or `indices` has another length; std::bad_alloc.
template <class T>
void top_k(std::span<const T> x, Index k, std::span<Index> indices,
           std::type_identity_t<T> warm_threshold = -std::numeric_limits<T>::infinity(), const RunOptions& run = {});

}  // namespace nearlinear
