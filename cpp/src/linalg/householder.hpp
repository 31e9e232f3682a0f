/// Blocked Householder QR of a matrix that is stored by columns.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "linalg/reflectors.hpp"
#include "nearlinear/core/array.hpp"

namespace nearlinear::linalg {

/// Factors the first d columns of the n x (d + p) matrix M, n >= d, in place, panel by panel. The first d rows become
/// R and, in the further columns, Q^T B; below them stand the reflectors.
///
/// A panel is the columns [c, c + w). Its diagonal block, w x w, is factored first, A_cc = P R, and P^T applied to the
/// rows of that block; reflections of (R; rows below) do the rest.
template <class T>
class Householder {
 public:
  static constexpr Index panel_width = 64;

  Householder(Columns<T> M, Index n, Index d, Index p);

  [[nodiscard]] Index panels() const { return static_cast<Index>(diagonal_.size()); }
  [[nodiscard]] Index begin(Index panel) const { return panel * panel_width; }
  [[nodiscard]] Index width(Index panel) const { return std::min(panel_width, d_ - begin(panel)); }

  /// All of it, on the calling thread.
  void factor(const Pause& pause);
  /// All of it, on several threads.
  void factor(int threads, Monitor& monitor);

  /// Z <- Q Z for `cols` columns of n rows, of which those from `nonzero_rows` on are zero: the panels behind them do
  /// nothing.
  void multiply_by_q(Columns<T> Z, Index cols, Index nonzero_rows, const Pause& pause) const;

 private:
  [[nodiscard]] Reflectors<T> below(Index panel) const;
  void factor_panel(Index panel, const Pause& pause);
  void apply_transposed(Index panel, Index first, Index last, const Pause& pause) const;

  Columns<T> M_;
  Index n_;
  Index d_;
  Index p_;
  std::vector<Array<T>> diagonal_;  // P of every panel
  std::vector<Array<T>> t_;
};

/// The same matrix by columns, with room between them so that they do not compete for the cache.
template <class T>
class ByColumns {
 public:
  ByColumns(Index rows, Index cols) : stride_(stride(rows)), storage_(checked_product(stride_, cols)) {}

  [[nodiscard]] Columns<T> columns() const { return {storage_.data(), stride_}; }

  [[nodiscard]] static Index stride(Index rows) {
    constexpr Index line = 64 / Index{sizeof(T)};
    return ((rows + line - 1) / line | 1) * line;  // an odd number of cache lines
  }

 private:
  Index stride_;
  Array<T> storage_;
};

/// Copies rows [begin, end) of a matrix to those rows of another, stored by columns.
template <class T>
void copy_to_columns(MatrixView<const T> from, Index begin, Index end, Columns<T> to);

}  // namespace nearlinear::linalg
