/// A sample of rows that arrive one block after the other.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "nearlinear/sampling/scores.hpp"

namespace nearlinear {

/// Rows that stand for many, with what they count.
struct CoresetRows {
  Index cols = 0;
  Array<double> rows = {};     ///< as they came, indices.size() x cols, stored by rows
  Array<Index> indices = {};   ///< where they stand in the whole matrix, ascending
  Array<double> weights = {};  ///< sum_i weight_i f(a_i) is unbiased for the sum over all rows

  [[nodiscard]] MatrixView<const double> view() const { return {rows.data(), indices.size(), cols}; }
};

/// A coreset for |A x|_p of rows that are added block by block, by merging and reducing.
///
/// - Rows are gathered until there are `budget` of them. Two sets of the same level are joined and reduced to `budget`
///   rows of the next level, by systematic sampling with the Lewis weights of the rows as they are scaled. So a stream
///   of n rows has log2(n / budget) levels at the most, each row has gone through as many reductions, and distortions
///   add up: for one of eps in all, the budget is that of a single sample times log2(n / budget)^2 in the worst case,
///   and times log2(n / budget) where errors are independent, as they are here.
/// - The same rows in the same order give the same coreset, however they are cut into blocks, for every number
///   of threads. Coresets of different rows can be merged, in the manner of a sum; rows are told apart by where they
///   stand in the whole matrix.
/// - Cost: 2 d^2 operations and the iterations of Lewis weights, 4 to 10, for each row and level. Memory: budget
///   d numbers for each level.
///
/// Source: Bentley and Saxe, Decomposable searching problems I: static-to-dynamic transformation, J. Algorithms 1
/// (1980); Har-Peled and Mazumdar, On coresets for k-means and k-median clustering, STOC 2004, section 7.
///
///     nearlinear::StreamingCoreset coreset(d, 1.0, 2000, 7);
///     coreset.add_rows(0, block);
///     coreset.merge(of_another_machine);
///     const nearlinear::CoresetRows rows = coreset.result();
class StreamingCoreset {
 public:
  /// Throws std::invalid_argument unless cols >= 1, 1 <= p < inf and budget > cols.
  StreamingCoreset(Index cols, double p, Index budget, std::uint64_t seed = 0);

  /// Takes in rows that stand at first_row, first_row + 1, ... of the whole matrix. Throws std::invalid_argument when
  /// the number of columns does not match, an entry is NaN or infinite, or a row was taken in before, and leaves the
  /// coreset unchanged then; `interrupted` leaves it without some of the rows.
  void add_rows(Index first_row, MatrixView<const double> A, const RunOptions& run = {});

  /// Takes in what another one has. Throws std::invalid_argument unless it has the same cols, p, budget and seed, and
  /// no row in common.
  void merge(const StreamingCoreset& other, const RunOptions& run = {});

  /// At most `budget` rows for all so far; all of them, with weight 1, while there are no more.
  [[nodiscard]] CoresetRows result(const RunOptions& run = {}) const;

  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] double p() const { return p_; }
  [[nodiscard]] Index budget() const { return budget_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  [[nodiscard]] Index rows_seen() const;
  /// The stretches [begin, end) of rows so far, in order.
  [[nodiscard]] const std::vector<std::pair<Index, Index>>& stretches() const { return stretches_; }

  /// All of it, as bytes that the same machine or one like it can read. from_bytes throws std::invalid_argument when
  /// they are not what to_bytes wrote.
  [[nodiscard]] std::vector<std::byte> to_bytes() const;
  [[nodiscard]] static StreamingCoreset from_bytes(std::span<const std::byte> bytes);

 private:
  struct Level {
    std::vector<Index> indices;
    std::vector<double> rows;
    std::vector<double> weights;
  };

  void append(Index row, std::span<const double> entries, double weight, const RunOptions& run);
  void carry(Level level, std::size_t at, const RunOptions& run);
  [[nodiscard]] Level reduced(Level level, std::uint64_t stream, const RunOptions& run) const;
  [[nodiscard]] bool holds_rows_seen() const;
  static void join(Level& level, const Level& other);

  Index cols_;
  double p_;
  Index budget_;
  std::uint64_t seed_;
  Level gathered_;                            // rows that are not yet enough for a level
  std::vector<std::optional<Level>> levels_;  // of budget rows each
  std::vector<std::pair<Index, Index>> stretches_;
};

}  // namespace nearlinear
