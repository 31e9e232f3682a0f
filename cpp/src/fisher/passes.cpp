// Passes over all gradients with one vector or several: G x, and alpha x + G^T c.
#include <algorithm>

#include "fisher/gradients.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"

namespace nearlinear::fisher {
namespace {

constexpr Index rows_at_once = 64;  // gradients of a tile that are widened to double for a product with several vectors

/// How many threads a pass is worth that reads every entry once for every one of `vectors`.
template <class S>
int threads_for(const Tiles<S>& tiles, Index vectors, int n_threads) {
  return linalg::threads_at(linalg::memory_rate, n_threads, 2, tiles.rows, tiles.cols, vectors);
}

/// Calls body(tile, partial sums, poll) for the tiles of every group and adds the groups' sums in order.
template <class S, class Body>
void sum_over_tiles(const Tiles<S>& tiles, Index size, Index vectors, const Pass& pass, double* sums,
                    const Body& body) {
  const Index groups = linalg::group_count(tiles.count(), 1, size * Index{sizeof(double)});
  linalg::sum_over_groups<double>(groups, size, threads_for(tiles, vectors, pass.n_threads), pass.monitor, sums,
                                  [&](Index group, double* partial, const linalg::Poll& poll) {
                                    const linalg::RowGroup range(tiles.count(), 1, groups, group);
                                    for (Index t = range.begin; t < range.end; ++t) {
                                      poll(range.fraction(t));
                                      body(t, partial);
                                    }
                                  });
}

/// The same memory as doubles, or a copy in `buffer`.
template <class S>
linalg::Operand<double> widened(const Tiles<S>& tiles, Index tile, Index row, Index rows, double* buffer) {
  if constexpr (std::is_same_v<S, double>) {
    return {tiles.at(tile, row), tiles.row_stride, 1};
  } else {
    for (Index i = 0; i < rows; ++i)
      kernels_for<S>().to_double(tiles.at(tile, row + i), tiles.width(tile), buffer + i * tile_cols);
    return {buffer, tile_cols, 1};
  }
}

template <class S>
Index buffer_size(const Tiles<S>& tiles) {
  return std::is_same_v<S, double> ? 0 : std::min(rows_at_once, tiles.rows) * tile_cols;
}

}  // namespace

template <class T>
void Gradients::multiply(std::span<const T> x, double* u, Pass pass) const {
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const auto& kernels = kernels_for<S>();
        sum_over_tiles(tiles, rows_, 1, pass, u, [&](Index t, double* partial) {
          alignas(64) double entries[tile_cols];
          std::copy_n(x.data() + t * tile_cols, tiles.width(t), entries);
          kernels.multiply(tiles.at(t, 0), tiles.row_stride, rows_, tiles.width(t), entries, partial);
        });
      },
      tiles_);
  if (!scales_.empty())
    for (Index i = 0; i < rows_; ++i) u[i] *= scales_[static_cast<std::size_t>(i)];
}

/// C with every row multiplied by its gradient's scale.
void Gradients::combine_scales(const double* c, std::vector<double>& scaled, Index stride) const {
  scaled.assign(c, c + rows_ * stride);
  if (scales_.empty()) return;
  for (Index i = 0; i < rows_; ++i)
    for (Index q = 0; q < stride; ++q)
      scaled[static_cast<std::size_t>(i * stride + q)] *= scales_[static_cast<std::size_t>(i)];
}

template <class T>
void Gradients::combine(const double* c, double alpha, std::span<const T> x, std::span<T> y, Pass pass) const {
  std::vector<double> scaled;
  combine_scales(c, scaled, 1);
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const auto& kernels = kernels_for<S>();
        const int threads = threads_for(tiles, 1, pass.n_threads);
        // From the last tile to the first: the pass before ended there, and some of it may still be in a cache.
        parallel_for(tiles.count(), threads, pass.monitor, [&](Index body) {
          const Index t = tiles.count() - 1 - body, width = tiles.width(t), begin = t * tile_cols;
          alignas(64) double sums[tile_cols];
          std::fill_n(sums, width, 0.0);
          kernels.combine(tiles.at(t, 0), tiles.row_stride, rows_, width, scaled.data(), sums);
          for (Index j = 0; j < width; ++j) {
            const auto at = static_cast<std::size_t>(begin + j);
            y[at] = static_cast<T>(alpha == 0 ? sums[j] : alpha * static_cast<double>(x[at]) + sums[j]);
          }
        });
      },
      tiles_);
}

template <class T>
void Gradients::multiply_many(MatrixView<const T> X, double* U, Pass pass) const {
  const Index p = X.rows();
  if (p == 1) return multiply<T>(X.row(0), U, pass);
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const auto gemm = linalg::gemm_kernel<double>();
        sum_over_tiles(tiles, rows_ * p, p, pass, U, [&](Index t, double* partial) {
          const Index width = tiles.width(t);
          const Array<double> vectors(p * tile_cols), buffer(buffer_size(tiles));
          for (Index q = 0; q < p; ++q)
            std::copy_n(X.data() + q * X.row_stride() + t * tile_cols, width, vectors.data() + q * tile_cols);
          for (Index i = 0; i < rows_; i += rows_at_once) {
            const Index rows = std::min(rows_at_once, rows_ - i);
            gemm(rows, p, width, 1.0, widened(tiles, t, i, rows, buffer.data()), {vectors.data(), 1, tile_cols},
                 partial + i * p, p);
          }
        });
      },
      tiles_);
  if (!scales_.empty())
    for (Index i = 0; i < rows_; ++i)
      for (Index q = 0; q < p; ++q) U[i * p + q] *= scales_[static_cast<std::size_t>(i)];
}

template <class T>
void Gradients::combine_many(const double* C, double alpha, MatrixView<const T> X, MatrixView<T> Y, Pass pass) const {
  const Index p = Y.rows();
  if (p == 1) return combine<T>(C, alpha, alpha == 0 ? std::span<const T>{} : X.row(0), Y.row(0), pass);
  std::vector<double> scaled;
  combine_scales(C, scaled, p);
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const auto gemm = linalg::gemm_kernel<double>();
        const int threads = threads_for(tiles, p, pass.n_threads);
        parallel_for(tiles.count(), threads, pass.monitor, [&](Index body) {
          const Index t = tiles.count() - 1 - body, width = tiles.width(t);
          const Array<double> sums = Array<double>::zeros(p * tile_cols), buffer(buffer_size(tiles));
          for (Index i = 0; i < rows_; i += rows_at_once) {
            const Index rows = std::min(rows_at_once, rows_ - i);
            gemm(p, width, rows, 1.0, {scaled.data() + i * p, 1, p}, widened(tiles, t, i, rows, buffer.data()),
                 sums.data(), tile_cols);
          }
          for (Index q = 0; q < p; ++q)
            for (Index j = 0; j < width; ++j) {
              const double sum = sums[q * tile_cols + j];
              const Index at = t * tile_cols + j;
              Y(q, at) = static_cast<T>(alpha == 0 ? sum : alpha * static_cast<double>(X(q, at)) + sum);
            }
        });
      },
      tiles_);
}

#define NEARLINEAR_INSTANTIATE(T)                                                                        \
  template void Gradients::multiply(std::span<const T>, double*, Pass) const;                            \
  template void Gradients::combine(const double*, double, std::span<const T>, std::span<T>, Pass) const; \
  template void Gradients::multiply_many(MatrixView<const T>, double*, Pass) const;                      \
  template void Gradients::combine_many(const double*, double, MatrixView<const T>, MatrixView<T>, Pass) const;
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::fisher
