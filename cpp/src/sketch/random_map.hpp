/// What a SketchSpec draws: signs, targets of rows, rows of the Hadamard matrix. The streams of one seed are numbered
/// here, and tests/sketch/reference.py draws the same; those from 8 on belong to nearlinear/sketch/kron.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include "nearlinear/sketch/sketch.hpp"
#include "sketch/kernels.hpp"

namespace nearlinear::sketch {

enum Stream : std::uint64_t {
  signs_stream = 0,        // of row i: bit i % 32 of the word i / 32
  picks_stream = 1,        // row j of srht and dct: the first two words of counter j
  targets_stream = 2,      // entry t of column i of a sparse map: word zeta i + t
  gaussian_stream = 3,     // entries 2 j and 2 j + 1 of column i: Box and Muller of counter ceil(m / 2) i + j
  pool_stream = 4,         // of entry t of the pooled diagonal: half t % 2 of counter t / 2
  permutation_stream = 5,  // keys of the pooled permutation: the first two words of counter t
};

/// Nonzeros in a column of the sparse map: 8 for sjlt or m if that is less, 1 for the others.
[[nodiscard]] Index column_nonzeros(const SketchSpec& spec);

/// The factor that turns sums of signed rows into S A.
[[nodiscard]] double scale(const SketchSpec& spec);

/// factors_i <- the sign of row begin + i, or 1 for kinds without signs.
template <class T>
void draw_signs(const SketchSpec& spec, Index begin, Index count, T* factors);

/// Row j of the Hadamard matrix that srht picks: its low bits count, as many as n has.
[[nodiscard]] std::vector<std::uint64_t> draw_hadamard_rows(const SketchSpec& spec);

/// The column of N numbers that dct picks for row j.
[[nodiscard]] std::vector<Index> draw_cosine_rows(const SketchSpec& spec, Index length);

/// N(0, 1), `cols` for each of the rows [begin, begin + count) of S^T, without gaps but for an odd number of columns,
/// whose last is followed by one more: their distance is 2 ceil(cols / 2).
template <class T>
void draw_normals(std::uint64_t seed, Stream stream, Index begin, Index count, Index cols, T* normals);

/// Schedules of tiles, in memory that is used again and again.
class Scheduler {
 public:
  /// For tiles of `tile_rows` rows.
  Scheduler(const SketchSpec& spec, Index tile_rows);

  /// Of the rows begin, ..., begin + tile_rows - 1 of a sparse map.
  [[nodiscard]] Schedule targets(Index begin);

  /// Of the rows of H D A's block number `block` of tile_rows rows: those that srht picks.
  [[nodiscard]] Schedule picks(Index block, const std::vector<std::uint64_t>& hadamard_rows);

 private:
  SketchSpec spec_;
  Index tile_rows_;
  Index nonzeros_;
  std::vector<std::int32_t> begin_;
  std::vector<std::uint32_t> entries_;
  std::vector<std::uint32_t> words_;
  std::vector<std::uint32_t> target_;
};

}  // namespace nearlinear::sketch
