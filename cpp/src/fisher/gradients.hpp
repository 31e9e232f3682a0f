/// Gradients in memory of any type, seen as tiles of columns, and the passes over them that everything here is made of.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "core/arithmetic.hpp"
#include "fisher/kernels.hpp"
#include "nearlinear/core.hpp"
#include "nearlinear/core/array.hpp"
#include "nearlinear/fisher/gradient_storage.hpp"

namespace nearlinear::fisher {

/// Columns of a tile: a tile's part of x, in double, stays in the nearest cache while all gradients pass by.
constexpr Index tile_cols = 1024;

/// `rows` gradients of `cols` entries. Entry (i, j) lies at data + (j / tile_cols) tile_stride + i row_stride +
/// j % tile_cols. Stored by rows, tiles are tile_cols apart; stored by tiles, as a window is that grows and slides, a
/// pass reads memory from its beginning to its end.
template <class S>
struct Tiles {
  S* data;
  Index rows;
  Index cols;
  Index row_stride;
  Index tile_stride;

  [[nodiscard]] Index count() const { return ceil_divide(cols, tile_cols); }
  [[nodiscard]] Index width(Index tile) const { return std::min(tile_cols, cols - tile * tile_cols); }
  [[nodiscard]] S* at(Index tile, Index row) const { return data + tile * tile_stride + row * row_stride; }

  /// Of gradients that are stored by rows.
  [[nodiscard]] Tiles columns(Index begin, Index end) const {
    return {data + begin, rows, end - begin, row_stride, tile_stride};
  }
};

/// How a pass runs.
struct Pass {
  int n_threads;
  Monitor& monitor;
};

/// A matrix of gradients by rows, of which it may own the memory. All sums are taken in double, in an order that
/// depends on shapes alone: the same bits for every number of threads.
class Gradients {
 public:
  enum class Layout { by_rows, by_tiles };

  /// A view of somebody's memory, which stays as it is as long as this is used.
  template <class T>
  explicit Gradients(MatrixView<const T> gradients);

  /// Zeros in memory of its own.
  Gradients(GradientStorage storage, Index rows, Index cols, Layout layout);

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] GradientStorage storage() const { return storage_; }
  [[nodiscard]] std::size_t nbytes() const;  ///< of its own memory

  /// The columns [begin, end) of gradients that are stored by rows. The memory stays this object's.
  [[nodiscard]] Gradients columns(Index begin, Index end) const;

  /// The first gradients.
  [[nodiscard]] Gradients first(Index rows) const;

  /// Of a gradient: the largest absolute value of an entry and |g|^2.
  struct Size {
    double largest;
    double square;
  };

  /// Throws std::invalid_argument, of `function` and `argument`, when an entry of `gradient` is NaN or infinite,
  /// std::overflow_error when the storage or a double cannot hold it or |g|^2.
  template <class T>
  [[nodiscard]] Size check(std::span<const T> gradient, const char* function, const char* argument, Pass pass) const;

  /// Row `row` becomes the gradient, rounded to what is stored.
  template <class T>
  void set_row(Index row, std::span<const T> gradient, double largest, Pass pass);

  /// out <- what set_row() would store.
  template <class T>
  void round(std::span<const T> gradient, double largest, std::span<T> out, Pass pass) const;

  /// The same for any part of a gradient, on the calling thread. `out` may be the part itself.
  template <class T>
  void round(std::span<const T> part, double largest, std::span<T> out) const;

  /// What numbers are multiplied by before they are stored: a power of two for float16, otherwise 1.
  [[nodiscard]] double factor(double largest) const;

  /// Whether nothing of a T is rounded.
  template <class T>
  [[nodiscard]] bool holds() const {
    return storage_ == GradientStorage::float64 || (storage_ == GradientStorage::float32 && sizeof(T) == 4);
  }

  template <class T>
  void get_row(Index row, std::span<T> out) const;

  /// The bytes of a row as they are stored, tile after tile, and the number that stands before them.
  void save_row(Index row, std::byte* out, double& scale) const;
  void load_row(Index row, const std::byte* in, double scale);

  /// u <- G x.
  template <class T>
  void multiply(std::span<const T> x, double* u, Pass pass) const;

  /// y <- alpha x + G^T c. With alpha = 0, x is not looked at. y may be x.
  template <class T>
  void combine(const double* c, double alpha, std::span<const T> x, std::span<T> y, Pass pass) const;

  /// U <- G X^T, a row of X for every vector; and Y <- alpha X + C^T G, where U and C have a column for every one.
  template <class T>
  void multiply_many(MatrixView<const T> X, double* U, Pass pass) const;
  template <class T>
  void combine_many(const double* C, double alpha, MatrixView<const T> X, MatrixView<T> Y, Pass pass) const;

  /// K <- G G^T, both triangles; of the columns j where kept[j] != 0, if it is given. Not `precise`: the products of a
  /// tile are summed in float, unless the gradients are double.
  void gram(MatrixView<double> K, bool precise, const std::uint8_t* kept, Pass pass) const;

  /// q_j <- |L^{-1} g_j|^2 for every column g_j of G and the lower triangular L. Not `precise`: in float where that is
  /// enough for an error of 2^-24 (1 - q_j), unless the gradients are double.
  void squared_norms(MatrixView<const double> L, bool precise, double* q, Pass pass) const;

  /// The columns of these numbers, side by side, in double.
  void gather(std::span<const Index> columns, MatrixView<double> out) const;

  struct Entry {
    Index row;
    Index col;
    double value;
  };

  /// The first entry that is NaN or infinite, row by row; nothing if there is none.
  [[nodiscard]] std::optional<Entry> find_not_finite() const;

 private:
  using AnyTiles = std::variant<Tiles<double>, Tiles<float>, Tiles<Half>, Tiles<BFloat16>>;

  Gradients() = default;

  AnyTiles tiles_;
  GradientStorage storage_ = GradientStorage::float64;
  Index rows_ = 0;
  Index cols_ = 0;
  Array<std::byte> memory_;
  std::vector<double> scales_;  // powers of two, of float16 alone
};

}  // namespace nearlinear::fisher
