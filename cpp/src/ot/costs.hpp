/// Costs as the algorithms read them: rows of tiles, from a matrix or computed from points, between masses that are
/// positive.
#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "nearlinear/core/array.hpp"
#include "nearlinear/ot/cost.hpp"
#include "ot/kernels.hpp"

namespace nearlinear::ot {

/// The range of no entry, and that of two parts together.
constexpr Range range_of_nothing{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                                 true, true};
inline Range joined(const Range& x, const Range& y) {
  return {std::min(x.smallest, y.smallest), std::max(x.largest, y.largest), x.valid && y.valid, x.finite && y.finite};
}

/// Numbers of rows or columns in ascending order.
using Indices = std::vector<Index>;

/// An n x m matrix that may exist or not.
class Costs {
 public:
  /// Costs come in tiles of at most this many columns: as much as the nearest cache holds beside a row of g.
  static constexpr Index tile = 1024;

  /// The rows and columns given, or all where there are none given. Refers to a matrix, unless only some of its columns
  /// are wanted; copies points.
  template <class T>
  Costs(const TransportCost<T>& cost, const Indices* rows, const Indices* cols);

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] bool is_computed() const { return dim_ > 0; }

  /// Rough time of a pass in nanoseconds per pair.
  [[nodiscard]] double nanoseconds_per_pair() const { return 1.0 + 0.1 * static_cast<double>(dim_); }

  /// A column and g_j - C_ij there.
  struct Best {
    Index col;
    double slack;
  };

  /// The first column of row i with the largest slack; g may be -Inf. `scratch` has room for a tile and 32 more.
  [[nodiscard]] Best best(Index i, const double* g, double* scratch) const;

  /// C_ij, to the bits that the tiles have.
  [[nodiscard]] double cost(Index i, Index j, double* scratch) const;

  /// body(costs, first, count) for the tiles of row i, costs of float or double; `scratch` has room for a tile.
  template <class Body>
  void for_tiles(Index i, double* scratch, const Body& body) const {
    for (Index first = 0; first < cols_; first += tile) {
      const Index count = std::min(tile, cols_ - first);
      if (f64_ != nullptr)
        body(f64_ + i * row_stride_ + first, first, count);
      else if (f32_ != nullptr)
        body(f32_ + i * row_stride_ + first, first, count);
      else {
        distances_(x_.data() + i * dim_, y_.data() + first, dim_, y_stride_, count, scratch);
        body(static_cast<const double*>(scratch), first, count);
      }
    }
  }

 private:
  template <class T>
  void gather(MatrixView<const T> matrix, const Indices* rows, const Indices* cols);
  template <class T>
  void gather(const PointCloudCost<T>& clouds, const Indices* rows, const Indices* cols);

  Index rows_ = 0;
  Index cols_ = 0;
  const double* f64_ = nullptr;
  const float* f32_ = nullptr;
  Index row_stride_ = 0;
  Memory copy_;
  Distances distances_ = nullptr;
  Index dim_ = 0;
  Index y_stride_ = 0;
  Array<double> x_;  // by points
  Array<double> y_;  // by coordinates, followed by zeros up to whole vectors
};

/// n and m.
template <class T>
Index cost_rows(const TransportCost<T>& cost) {
  if (const auto* C = std::get_if<MatrixView<const T>>(&cost)) return C->rows();
  return std::get<PointCloudCost<T>>(cost).x.rows();
}
template <class T>
Index cost_cols(const TransportCost<T>& cost) {
  if (const auto* C = std::get_if<MatrixView<const T>>(&cost)) return C->cols();
  return std::get<PointCloudCost<T>>(cost).y.rows();
}

/// Throws std::invalid_argument in the name of `function` unless there are rows and columns, and points are finite, of
/// the same dimension, and not zero where their angle counts. A matrix's entries are looked at by cost_range().
template <class T>
void require_valid_cost(const TransportCost<T>& cost, const char* function);

}  // namespace nearlinear::ot
