/// A sketch of rows that arrive one block after the other, in any order and on any number of machines.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "nearlinear/sketch/sketch.hpp"

namespace nearlinear {

/// What the small problem tells of the large one: x = argmin |S (A x - b)|_2 and how far it may be from argmin
/// |A x - b|_2.
///
///     se_i = |S (b - A x)|_2 / sqrt(m - d) * sqrt([((S A)^T S A)^{-1}]_ii)
///
/// For Gaussian S, (x_i - x*_i) / se_i has Student's t distribution with m - d degrees of freedom, whatever A and b
/// are: S r is independent of S A, r = b - A x*. For srht, dct, block_hadamard and pooled it is close to that, for
/// sparse sketches it need not be (docs/theory/sketch.md).
template <class T>
struct SketchSolution {
  Index cols = 0;
  Index rhs = 0;
  Array<T> x = {};                       ///< cols x rhs, stored by rows
  Array<double> coefficient_error = {};  ///< se_i, cols x rhs, stored by rows
  Array<double> residual_norm = {};      ///< |S (b - A x)|_2, an estimate of |b - A x|_2, for every right-hand side
  Array<double> linf_bound = {};         ///< max_i |x_i - x*_i| with probability 1 - delta
  Index rank = 0;                        ///< of S A
  double condition = 0;                  ///< of S A, estimated

  [[nodiscard]] MatrixView<T> X() const { return {x.data(), cols, rhs}; }
};

/// S [A B] for rows of A and B that are added block by block.
///
/// - A has d columns and B p; S has m rows and is of any kind but dct and pooled, which need all rows at once.
/// - Entries of S depend on the seed and on where a row stands in the whole matrix alone: any split of the rows, in any
///   order, gives the same sums but for roundings. Adding the same blocks in the same order gives the same bits, for
///   every number of threads.
/// - Cost: as apply_sketch(); a block is cut at multiples of spec.block (1024 for srht), and each part takes
///   a transform of that size. Memory: m (d + p) numbers.
///
///     nearlinear::RowSketch<double> sketch(2, 1, {.kind = nearlinear::SketchKind::srht, .rows = 40});
///     sketch.add_rows(0, A, b);              // rows 0, ..., A.rows() - 1
///     other.add_rows(A.rows(), C, c);        // the rows behind them, perhaps on another machine
///     sketch.merge(other);
///     const auto solution = sketch.solve();
template <class T>  // float, double
class RowSketch {
 public:
  /// Throws std::invalid_argument when a size is negative or the spec is not one of rows.
  RowSketch(Index cols, Index rhs, const SketchSpec& spec);

  /// Takes in rows that stand at first_row, first_row + 1, ... of the whole matrix. Throws std::invalid_argument when
  /// shapes do not match or a row was taken in before, and leaves the sketch unchanged then; `interrupted` leaves sums
  /// unspecified.
  void add_rows(Index first_row, MatrixView<const T> A, MatrixView<const T> B, const RunOptions& run = {});
  template <class I>
  void add_rows(Index first_row, const CsrView<T, I>& A, MatrixView<const T> B, const RunOptions& run = {});

  /// Adds the sums of a sketch of other rows. Throws std::invalid_argument unless it has the same spec and shape, and
  /// no row in common.
  void merge(const RowSketch& other);

  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] Index rhs() const { return rhs_; }
  [[nodiscard]] const SketchSpec& spec() const { return spec_; }
  /// The number of rows so far, and the stretches [begin, end) of them, in order.
  [[nodiscard]] Index rows_seen() const;
  [[nodiscard]] const std::vector<std::pair<Index, Index>>& stretches() const { return stretches_; }

  /// SA <- S A (m x d), SB <- S B (m x p).
  void matrices(MatrixView<T> SA, MatrixView<T> SB) const;

  /// The least-squares problem of the sketch. `ridge` >= 0 adds ridge |x|^2; linf_bound holds with probability
  /// 1 - delta. Throws std::invalid_argument unless m > d, p > 0, ridge >= 0 and 0 < delta < 1.
  [[nodiscard]] SketchSolution<T> solve(double ridge = 0, double delta = 0.05, const RunOptions& run = {}) const;

  /// All of it, as bytes that the same machine or one like it can read. from_bytes throws std::invalid_argument when
  /// they are not what to_bytes wrote.
  [[nodiscard]] std::vector<std::byte> to_bytes() const;
  [[nodiscard]] static RowSketch from_bytes(std::span<const std::byte> bytes);

 private:
  [[nodiscard]] MatrixView<T> sums() const { return {sums_.data(), spec_.rows, cols_ + rhs_}; }

  Index cols_;
  Index rhs_;
  SketchSpec spec_;
  Array<T> sums_;  // without the scale of S
  std::vector<std::pair<Index, Index>> stretches_;
};

/// The number of rows of a sketch that gives the l_inf guarantee for Gaussian S:
///
///     |x_i - x*_i| <= eps / sqrt(d) |b - A x*|_2 |A^+|_2    for all i, with probability 1 - delta,
///
/// the least m with t / sqrt(m - d + 1) <= eps / sqrt(d), t the quantile 1 - delta / (2 d) of Student's distribution
/// with m - d + 1 degrees of freedom; about d + 2 d log(2 d / delta) / eps^2.
///
/// Throws std::invalid_argument unless d >= 1, eps > 0 and 0 < delta < 1; std::overflow_error above 2^30 rows.
[[nodiscard]] Index sketch_rows(Index d, double eps, double delta = 0.05);

/// The quantile of Student's t distribution: P(t <= student_quantile(p, nu)) = p. Throws std::invalid_argument unless
/// 0 < p < 1 and nu > 0. Relative error below 1e-10.
[[nodiscard]] double student_quantile(double probability, double degrees_of_freedom);

}  // namespace nearlinear
