/// Sensitivities need all rows many times: here they are in coordinates in which the columns of A are orthonormal.
#pragma once

#include <memory>
#include <vector>

#include "sampling/row_program.hpp"
#include "sampling/whitening.hpp"

namespace nearlinear::sampling {

/// Columns of V (rank x n) are P^T a_i.
struct WhiteRows {
  Index rank = 0;
  Index rows = 0;
  Array<double> entries;
  Array<double> leverage;  ///< |v_i|^2

  [[nodiscard]] MatrixView<const double> view() const { return {entries.data(), rank, rows}; }
  void copy(Index i, double* to) const {
    for (Index k = 0; k < rank; ++k) to[k] = entries[k * rows + i];
  }
};

[[nodiscard]] WhiteRows white_rows(Matrix& A, const char* function, const RunOptions& run);

/// Rows that stand for all of them in norms |V^T x|_p, scaled by their weights or not.
struct Coreset {
  Array<double> columns;  ///< rank x size
  Array<double> weights;
  Array<Index> places;  ///< of all rows in the coreset, -1 for those that are not in it
  Index size = 0;

  [[nodiscard]] MatrixView<const double> view(Index rank) const { return {columns.data(), rank, size}; }
};

/// Some m rows by the scores; all with weight 1 if there are no more than 2 m. Rows of zeros only if they are wanted.
[[nodiscard]] Coreset coreset_of(const WhiteRows& V, std::span<const double> scores, Index m, bool keeps_zeros,
                                 std::uint64_t seed);

/// Convex programs over a coreset and over all rows, for any direction c.
class SensitivityPrograms {
 public:
  SensitivityPrograms(const WhiteRows& V, LossFunction loss, bool is_exact, std::uint64_t seed, const RunOptions& run);

  struct Outcome {
    double value = 0;
    double gap = 0;
    bool converged = true;
  };
  /// max |c^T x|^p / |V^T x|_p^p, or the supremum of rho(t) / sum rho for the other losses.
  /// c may be row `own`, else -1.
  [[nodiscard]] Outcome sensitivity(std::span<const double> c, Index own, Scratch& scratch) const;

  /// What a program costs, roughly, in nanoseconds.
  [[nodiscard]] double nanoseconds() const;

 private:
  [[nodiscard]] Outcome share(std::span<const double> c, Index own, double t, std::span<double> x, bool has_guess,
                              Scratch& scratch) const;

  const WhiteRows& V_;
  LossFunction loss_;
  bool is_exact_;
  Coreset few_, many_;
  Array<double> ones_;
  std::unique_ptr<RowProgram> few_rows_, many_rows_;
};

}  // namespace nearlinear::sampling
