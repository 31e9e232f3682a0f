// Gram matrices of gradients.
#include <algorithm>

#include "fisher/gradients.hpp"
#include "fisher/gram_kernels.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"

namespace nearlinear::fisher {
namespace {

constexpr Index largest_grouped = 256;  // gradients up to which every group of tiles affords a result of its own

/// The rows [row, row + rows) of a tile as numbers of type W at aligned addresses, without the columns that are not
/// kept. Loads that lie across two lines of the cache would take twice as long, for every product anew.
template <class W, class S>
class Widened {
 public:
  Widened(const Tiles<S>& tiles, const std::uint8_t* kept, Index most_rows)
      : tiles_(tiles),
        kept_(kept),
        in_place_(std::is_same_v<S, W> && kept == nullptr && is_aligned()),
        buffer_(in_place_ ? 0 : most_rows * tile_cols) {}

  Rows<W> rows(Index tile, Index row, Index rows) {
    if constexpr (std::is_same_v<S, W>)
      if (in_place_) return {tiles_.at(tile, row), rows, tiles_.row_stride};
    for (Index i = 0; i < rows; ++i) {
      W* const out = buffer_.data() + i * tile_cols;
      widen(tiles_.at(tile, row + i), tiles_.width(tile), out);
      if (kept_ != nullptr) compress(kept_ + tile * tile_cols, tiles_.width(tile), out);
    }
    return {buffer_.data(), rows, tile_cols};
  }

  /// The same rows of the next tile where they lie, for a processor to fetch in time.
  [[nodiscard]] Rows<W> next(Index tile, Index row, Index rows) const {
    if constexpr (std::is_same_v<S, W>)
      if (tile + 1 < tiles_.count()) return {tiles_.at(tile + 1, row), rows, tiles_.row_stride};
    return {nullptr, 0, 0};
  }

  [[nodiscard]] Index width(Index tile) const {
    const Index all = tiles_.width(tile);
    if (kept_ == nullptr) return all;
    const std::uint8_t* const kept = kept_ + tile * tile_cols;
    return all - std::count(kept, kept + all, std::uint8_t{0});
  }

 private:
  [[nodiscard]] bool is_aligned() const {
    constexpr Index line = 64 / Index{sizeof(S)};
    return reinterpret_cast<std::uintptr_t>(tiles_.data) % 64 == 0 && tiles_.row_stride % line == 0 &&
           tiles_.tile_stride % line == 0;
  }

  static void widen(const S* from, Index count, W* to) {
    if constexpr (std::is_same_v<W, double>)
      kernels_for<S>().to_double(from, count, to);
    else
      kernels_for<S>().to_float(from, count, to);
  }

  static void compress(const std::uint8_t* kept, Index count, W* row) {
    Index end = 0;
    for (Index j = 0; j < count; ++j) {
      row[end] = row[j];
      end += kept[j] != 0 ? 1 : 0;
    }
  }

  const Tiles<S>& tiles_;
  const std::uint8_t* kept_;
  bool in_place_;
  Array<W> buffer_;
};

template <class W, class S>
void gram_by_groups(const Tiles<S>& tiles, const std::uint8_t* kept, int threads, Monitor& monitor,
                    MatrixView<double> K) {
  const Index m = tiles.rows;
  const Index groups = linalg::group_count(tiles.count(), 1, m * m * Index{sizeof(double)});
  const Array<double> sums(m * m);
  linalg::sum_over_groups<double>(
      groups, m * m, threads, monitor, sums.data(), [&](Index group, double* partial, const linalg::Poll& poll) {
        Widened<W, S> widened(tiles, kept, m);
        const linalg::RowGroup range(tiles.count(), 1, groups, group);
        for (Index t = range.begin; t < range.end; ++t) {
          poll(range.fraction(t));
          const Rows<W> rows = widened.rows(t, 0, m);
          gram_kernels_for<W>().multiply(rows, rows, widened.width(t), true, widened.next(t, 0, m), partial, m);
        }
      });
  for (Index i = 0; i < m; ++i) std::copy_n(sums.data() + i * m, i + 1, &K(i, 0));
}

template <class W, class S>
void gram_by_blocks(const Tiles<S>& tiles, const std::uint8_t* kept, int threads, Monitor& monitor,
                    MatrixView<double> K) {
  const Index m = tiles.rows, side = m <= 512 ? 128 : 192;  // two blocks of a tile in the second-level cache
  const Index along = ceil_divide(m, side), blocks = along * (along + 1) / 2;
  parallel_for_workers(blocks, threads, monitor, [&](Index block, int worker) {
    Index r = 0;  // of the lower triangle, row by row
    while ((r + 1) * (r + 2) / 2 <= block) ++r;
    const Index c = block - r * (r + 1) / 2;
    const Index row = r * side, rows = std::min(side, m - row), col = c * side, cols = std::min(side, m - col);
    const Array<double> sums = Array<double>::zeros(rows * cols);
    Widened<W, S> left(tiles, kept, rows), right(tiles, kept, cols);
    for (Index t = 0; t < tiles.count(); ++t) {
      if (worker == 0)
        monitor.poll((static_cast<double>(block) + static_cast<double>(t) / static_cast<double>(tiles.count())) /
                     static_cast<double>(blocks));
      const Rows<W> a = left.rows(t, row, rows), b = r == c ? a : right.rows(t, col, cols);
      gram_kernels_for<W>().multiply(a, b, left.width(t), r == c, left.next(t, row, rows), sums.data(), cols);
    }
    for (Index i = 0; i < rows; ++i) std::copy_n(sums.data() + i * cols, r == c ? i + 1 : cols, &K(row + i, col));
  });
}

template <class W, class S>
void gram_of(const Tiles<S>& tiles, const std::uint8_t* kept, int n_threads, Monitor& monitor, MatrixView<double> K) {
  const int threads = linalg::threads_at(linalg::product_rate, n_threads, tiles.rows, tiles.rows, tiles.cols);
  if (tiles.rows <= largest_grouped)
    gram_by_groups<W>(tiles, kept, threads, monitor, K);
  else
    gram_by_blocks<W>(tiles, kept, threads, monitor, K);
}

}  // namespace

void Gradients::gram(MatrixView<double> K, bool precise, const std::uint8_t* kept, Pass pass) const {
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        if (std::is_same_v<S, double> || precise)
          gram_of<double>(tiles, kept, pass.n_threads, pass.monitor, K);
        else
          gram_of<float>(tiles, kept, pass.n_threads, pass.monitor, K);
      },
      tiles_);
  for (Index i = 0; i < rows_; ++i)
    for (Index j = 0; j <= i; ++j) {
      if (!scales_.empty()) K(i, j) *= scales_[static_cast<std::size_t>(i)] * scales_[static_cast<std::size_t>(j)];
      K(j, i) = K(i, j);
    }
}

}  // namespace nearlinear::fisher
