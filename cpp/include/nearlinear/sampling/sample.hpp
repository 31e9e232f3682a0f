/// Samples of rows that stand for all of them, and how well they do.
#pragma once

#include "nearlinear/sampling/scores.hpp"

namespace nearlinear {

/// What rows are sampled by. n, d: the shape of A, S = sum_i s_i. The numbers of rows are those with which
/// |S A x|_p = (1 +- eps) |A x|_p holds for all x with high probability, without eps^-2 and logarithms.
enum class RowScore {
  automatic,             ///< p = 2: leverage. p < 2: lewis. p > 2: the better bound of lewis and, for n <= 20000,
                         ///< sensitivity_leverage
  uniform,               ///< 1: no bound
  leverage,              ///< tau_i: d rows for p = 2
  root_leverage,         ///< tau_i^{p/2}: for p < 2, d rows by recursion; for p > 2, n^{1 - 2/p} d rows
  lewis,                 ///< w_i: d rows for p <= 2, d^{p/2} for p > 2
  sensitivity,           ///< s_i: d^{1 - p/2} S rows for p < 2, S^{2 - 2/p} for p > 2
  sensitivity_leverage,  ///< s_i + tau_i: S + d rows for p <= 2, d^{2/p} S^{2 - 4/p} for p > 2
};

struct SampleOptions {
  RowScore score = RowScore::automatic;
  std::span<const double> scores = {};  ///< used in place of `score` where it is not empty; n entries
  Index rows = 0;                       ///< m: expected number of rows; 0: by eps
  double eps = 0;                       ///< distortion to be kept; used where m is 0
  double delta = 0.05;                  ///< probability that eps does not suffice
  bool with_replacement = false;        ///< m independent draws in place of one decision for every row
  bool exact_size = false;              ///< exactly m rows, by systematic sampling; not with replacement
  std::uint64_t seed = 0;
};

struct RowSample {
  Array<Index> indices = {};         ///< of the rows, ascending
  Array<double> weights = {};        ///< 1 / q_i for each of them: sum_i weight_i f(a_i) is unbiased for sum_i f(a_i)
  Array<double> scale = {};          ///< q_i^{-1/p}: |S A x|_p^p is unbiased for |A x|_p^p
  Array<double> probabilities = {};  ///< q of all n rows; with replacement, expected numbers of draws
  Array<double> scores = {};         ///< of all n rows
  RowScore score = RowScore::automatic;
};

/// q_i = min(1, c s_i) with sum_i q_i = min(m, the number of positive scores). Throws std::invalid_argument when a
/// score is negative, NaN or infinite, all are 0, or m is not positive.
void sampling_probabilities(std::span<const double> scores, double m, std::span<double> probabilities);

/// A sample of rows.
///
///     E |S A x|_p^p = |A x|_p^p    for all x,    S A: row i of A times q_i^{-1/p} for each i of the sample
///
/// - Each row is kept by itself with probability q_i = min(1, c s_i), c such that m are expected; how many there are
///   varies by some sqrt(m). With `exact_size`, systematic sampling in random order keeps exactly m, with the same q_i.
///   `with_replacement`: m draws with probabilities s_i / sum s; rows that were drawn more often are there as often.
/// - Whether row i is kept depends on the seed, i and q_i alone, but for `exact_size` and `with_replacement`.
/// - m >= n: all rows, with weight 1. Rows of zeros are never kept: they add nothing, but `uniform` and given scores
///   may.
/// - eps: m = 2 K ln(2 d / delta) / eps^2, K the number of rows that RowScore names for the score, with S as it is
/// found
///   (sensitivities by `coreset`). For p = 2 that suffices by the matrix Chernoff inequality (|S A x|^2 within 1 +-
///   eps, Tropp 2012, theorem 1.1, up to eps / 3); for other p proofs ask for more logarithms, and measurements for
///   less rows.
/// - root_leverage, p < 2: n_0 = n, n_{k+1} = max(m, sqrt(n_k m)) rows in each round, of which log log(n / m) bring n
/// to
///   m (Woodruff and Yasuda 2023, theorem 1.5); `probabilities` are products up to the round that a row was lost in.
/// - Throws as leverage_scores(), and when a score is negative, NaN or infinite, or 0 for a row that is not 0: such a
///   row would be lost for good, which biases every estimate.
///
/// Sources: Woodruff and Yasuda 2023, theorems 1.2 to 1.6; Munteanu and Omlor 2024, theorem 1.1; Cohen and Peng 2015.
[[nodiscard]] RowSample sample_rows(const StoredMatrix& A, double p, const SampleOptions& options,
                                    const RunOptions& run = {});

/// max_x | |S A x|_p / |A x|_p - 1 | for S A of the rows `indices`, each times weight^{1/p}.
///
/// - p = 2: exactly, by singular values. Else the largest over `directions` random x, Gaussian in coordinates in which
///   A's columns are orthonormal, improved by 10 steps of ascent for the best 8 of either sign: a lower bound, which is
///   close to it for small d.
[[nodiscard]] double embedding_distortion(const StoredMatrix& A, double p, std::span<const Index> indices,
                                          std::span<const double> weights, Index directions = 400,
                                          std::uint64_t seed = 0, const RunOptions& run = {});

}  // namespace nearlinear
