/// Assignment of tokens to experts of limited capacity, for sparse mixtures of experts.
#pragma once

#include <span>
#include <vector>

#include "nearlinear/core.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

struct RouteOptions {
  Index capacity = 0;  ///< tokens that an expert takes at most
  Index k = 1;         ///< experts of each token
};

template <class T>
struct RouteResult {
  CsrMatrix<T, Index> plan;    ///< tokens x experts: k entries in each row, sorted, which hold the scores
  std::vector<double> prices;  ///< of the experts, not negative, 0 where capacity is left
  double score = 0;            ///< the sum of the scores of all pairs that are assigned
  double bound = 0;            ///< what no assignment exceeds, by the prices; equal to `score` up to rounding
  Index moved = 0;             ///< augmenting paths that were taken
};

/// The assignment of tokens to experts that keeps the largest score,
///
///     max  sum_te X_te S_te    subject to    X 1 = k,  X^T 1 <= capacity,  X in {0, 1}.
///
/// A linear program with these constraints has a solution in integers. With prices p >= 0 of the experts, its dual is
/// min_p sum_t (the k largest S_te - p_e of token t) + capacity sum_e p_e: tokens choose their best k experts, less
/// prices. Prices rise in turn, as far as an expert then has no more tokens than it takes; what is left over after some
/// rounds moves along shortest paths between experts, from those with too many to those with capacity left.
///
/// - Of equal experts, a token takes the one with fewer tokens so far, and then the first.
/// - Cost: O(tokens experts) for the choice, O(experts) for each token that moves in a round, and for a path
/// O(experts^2)
///   and the tokens of the experts on it. Memory: O(tokens experts / 8 + experts^2). On one thread.
/// - Throws std::invalid_argument when a score is not finite, k is not between 1 and the number of experts, or
///   tokens * k > experts * capacity, std::bad_alloc, and `interrupted` when run.keep_going answers false.
///
/// The use: T. Liu, J. Puigcerver and M. Blondel, "Sparsity-constrained optimal transport", ICLR 2023, section 6.2.
/// Shortest paths: R. K. Ahuja, T. L. Magnanti and J. B. Orlin, "Network flows", 1993, section 9.7.
///
///     const std::vector<double> scores{3, 1, 2, 0};
///     const auto result = nearlinear::route<double>({scores.data(), 2, 2}, {.capacity = 1});   // result.score = 3
template <class T>  // float, double
RouteResult<T> route(MatrixView<const T> scores, const RouteOptions& options, const RunOptions& run = {});

/// Many batches of tokens with the same options, several at a time.
template <class T>  // float, double
std::vector<RouteResult<T>> route_batch(std::span<const MatrixView<const T>> scores, const RouteOptions& options,
                                        const RunOptions& run = {});

}  // namespace nearlinear
