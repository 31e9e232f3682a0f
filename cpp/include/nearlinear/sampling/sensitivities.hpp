/// Sensitivities: the largest share that a row can have of a loss.
#pragma once

#include "nearlinear/sampling/scores.hpp"

namespace nearlinear {

/// A convex function rho of residuals.
enum class RowLoss {
  lp,        ///< |t|^p
  huber,     ///< t^2 / 2 for |t| <= 1, |t| - 1/2 beyond
  logistic,  ///< log(1 + exp(t)); rows are -y_i x_i for labels y_i = +-1
};

enum class SensitivityMethod {
  exact,    ///< every one by a convex program over all rows, with a certificate
  coreset,  ///< over a sample of rows by Lewis weights, and what it finds is looked at with all rows
  bucket,   ///< overestimates by random combinations of rows, for n / alpha programs
};

struct SensitivityOptions {
  RowLoss loss = RowLoss::lp;
  SensitivityMethod method = SensitivityMethod::exact;
  Index alpha = 0;  ///< rows in a bucket; 0: 32
  std::uint64_t seed = 0;
};

struct SensitivityResult {
  Index programs = 0;     ///< convex programs that were solved
  Index unconverged = 0;  ///< of these, without the accuracy that they should have
  double gap = 0;         ///< exact: the largest of 1 - lower / upper bound over all rows
};

/// Sensitivities of rows.
///
///     s_i = max_{A x != 0} |a_i^T x|^p / |A x|_p^p = 1 / min { |A x|_p^p : a_i^T x = 1 },
///     s_i = sup_x rho(a_i^T x) / sum_j rho(a_j^T x)    for the other losses
///
/// - A is n x d, 1 <= p < inf; `rows` says for which rows, `values` is as long. p is not looked at for the other
/// losses.
///   s_i is 0 for a row of zeros.
/// - lp: p = 2, leverage scores. Else `exact` solves the convex program by Newton's method with a line search; for
///   p = 1, a linear program, by a primal-dual interior point method. Dual solutions, |v|_q for A^T v = a_i, bound s_i
///   from above: the gap between both is below 1e-6, as a rule 1e-9, and values are what x attains, never above s_i but
///   for rounding.
/// - Other losses: s_i = sup_t rho(t) / min { sum_j rho(a_j^T x) : a_i^T x = t }: a convex program for every t, and
///   t on a grid of factors of 2, refined about the best of it by golden section: from below, exact to 1e-3 or so.
/// - `coreset` solves the programs for some 100 d rows sampled by Lewis weights, and evaluates their solutions with all
///   rows, or with up to 2^15 rows of another such sample: an error of second order in what the sample distorts.
/// - `bucket` (lp alone): rows are dealt at random into buckets of alpha, and each gets the largest sensitivity of 8
///   sums of the rows of its bucket with random signs, by `coreset`. A row's value is at least its sensitivity with
///   probability 1 - 2^-8, and no more than alpha^p times the largest of its bucket (Padmanabhan, Woodruff and Zhang
///   2023, algorithm 1).
/// - Cost: O(n d^2) for each program and iteration, of which 5 to 20 are taken; `coreset` O(d^3) in place of n d^2, and
///   n d. Memory: n d numbers and 8 n for every thread.
/// - Equal to the last bit for every number of threads on one instruction set. Throws as leverage_scores(), and when an
///   index is out of range.
///
/// Sources: Woodruff and Yasuda, Sharper bounds for l_p sensitivity sampling, ICML 2023; Padmanabhan, Woodruff and
/// Zhang, Computing approximate l_p sensitivities, NeurIPS 2023; Munteanu and Omlor, Optimal bounds for l_p sensitivity
/// sampling via l_2 augmentation, ICML 2024.
SensitivityResult sensitivities(const StoredMatrix& A, double p, std::span<const Index> rows, std::span<double> values,
                                const SensitivityOptions& options = {}, const RunOptions& run = {});

struct SensitivityEstimate {
  double value = 0;
  double standard_error = 0;
  Index programs = 0;
  Index unconverged = 0;  ///< programs that did not come to the accuracy that they should have
};

/// Total sensitivity sum_i s_i, by importance sampling with Lewis weights:
///
///     (1 / k) sum over k rows drawn with probability w_i / d of s_i d / w_i
///
/// - `programs`: k; 0: max(64, 8 sqrt(d)). s_i by `method`, exact or coreset. For p = 2 it is the rank, exactly.
/// - The estimate is unbiased (for exact s_i), and the standard error is that of the k values.
/// - Source: Padmanabhan, Woodruff and Zhang 2023, theorem 1.3.
[[nodiscard]] SensitivityEstimate total_sensitivity(const StoredMatrix& A, double p, Index programs = 0,
                                                    SensitivityMethod method = SensitivityMethod::exact,
                                                    std::uint64_t seed = 0, const RunOptions& run = {});

struct LargestSensitivity {
  double value = 0;  ///< a lower bound of the largest, attained by `row`
  double bound = 0;  ///< an upper bound of it
  Index row = 0;
  Index programs = 0;
  Index unconverged = 0;
};

/// The largest sensitivity max_i s_i: rows in the order of the upper bounds
///
///     s_i <= d^{max(p/2 - 1, 0)} w_i,    s_i <= tau_i^{p/2} (p < 2),    s_i <= n^{p/2 - 1} tau_i^{p/2} (p > 2),
///
/// until none of those left can be larger than what was found: then bound = value. Or `most_programs` were solved.
[[nodiscard]] LargestSensitivity max_sensitivity(const StoredMatrix& A, double p, Index most_programs = 10000,
                                                 const RunOptions& run = {});

}  // namespace nearlinear
