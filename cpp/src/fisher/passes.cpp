// Passes over all gradients with one vector or several: G x, and alpha x + G^T c.
#include <algorithm>
#include <functional>

#include "fisher/gradients.hpp"
#include "fisher/many_kernels.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"

namespace nearlinear::fisher {
namespace {

static_assert(many_cols <= linalg::largest_depth);

/// How many threads a pass is worth that reads every entry once for every one of `vectors`.
template <class S>
int threads_for(const Tiles<S>& tiles, Index vectors, int n_threads) {
  return linalg::threads_at(linalg::memory_rate, n_threads, 2, tiles.rows, tiles.cols, vectors);
}

/// Calls make_body()(tile, partial sums) for the tiles of every group, with a body of its own, and adds the groups'
/// sums in order.
template <class S, class MakeBody>
void sum_over_tiles(const Tiles<S>& tiles, Index size, Index vectors, const Pass& pass, double* sums,
                    const MakeBody& make_body) {
  const Index groups = linalg::group_count(tiles.count(), 1, size * Index{sizeof(double)});
  linalg::sum_over_groups<double>(groups, size, threads_for(tiles, vectors, pass.n_threads), pass.monitor, sums,
                                  [&](Index group, double* partial, const linalg::Poll& poll) {
                                    const linalg::RowGroup range(tiles.count(), 1, groups, group);
                                    const auto body = make_body();
                                    for (Index t = range.begin; t < range.end; ++t) {
                                      poll(range.fraction(t));
                                      body(t, partial);
                                    }
                                  });
}

}  // namespace

template <class T>
void Gradients::multiply(std::span<const T> x, double* u, Pass pass) const {
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const auto& kernels = kernels_for<S>();
        sum_over_tiles(tiles, rows_, 1, pass, u, [&] {
          return [&](Index t, double* partial) {
            alignas(64) double entries[tile_cols];
            std::copy_n(x.data() + t * tile_cols, tiles.width(t), entries);
            kernels.multiply(tiles.at(t, 0), tiles.row_stride, rows_, tiles.width(t), entries, partial);
          };
        });
      },
      tiles_);
  if (!scales_.empty())
    for (Index i = 0; i < rows_; ++i) u[i] *= scales_[static_cast<std::size_t>(i)];
}

template <class T>
void Gradients::combine(const double* c, double alpha, std::span<const T> x, std::span<T> y, Pass pass) const {
  std::vector<double> scaled(c, c + rows_);
  if (!scales_.empty())
    std::transform(scaled.begin(), scaled.end(), scales_.begin(), scaled.begin(), std::multiplies<>());
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
        const auto& kernels = many_kernels_for<S>();
        const auto& products = linalg::product_kernels_for<double>();
        const Index panels = ceil_divide(p, products.panel_cols);
        sum_over_tiles(tiles, rows_ * p, p, pass, U, [&] {
          return [&, vectors = Array<double>(p * many_cols), scratch = Array<double>(many_scratch),
                  packed = Array<double>(panels * products.panel_cols * many_cols)](Index t, double* partial) {
            for (Index col = 0; col < tiles.width(t); col += many_cols) {
              const Index cols = std::min(many_cols, tiles.width(t) - col);
              for (Index q = 0; q < p; ++q)
                std::copy_n(X.data() + q * X.row_stride() + t * tile_cols + col, cols, vectors.data() + q * many_cols);
              products.pack(cols, p, {vectors.data(), 1, many_cols}, packed.data());
              kernels.multiply(tiles.at(t, 0) + col, tiles.row_stride, rows_, cols, packed.data(), p, scratch.data(),
                               partial);
            }
          };
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
  const Index stride = ceil_divide(p, many_unit) * many_unit;
  std::vector<double> scaled(static_cast<std::size_t>(rows_ * stride));
  for (Index i = 0; i < rows_; ++i) {
    const double scale = scales_.empty() ? 1.0 : scales_[static_cast<std::size_t>(i)];
    for (Index q = 0; q < p; ++q) scaled[static_cast<std::size_t>(i * stride + q)] = scale * C[i * p + q];
  }
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const int threads = threads_for(tiles, p, pass.n_threads);
        const Array<double> sums_of_workers(threads * p * tile_cols), scratch_of_workers(threads * many_scratch);
        parallel_for_workers(tiles.count(), threads, pass.monitor, [&](Index body, int worker) {
          const Index t = tiles.count() - 1 - body, width = tiles.width(t);
          double* const sums = sums_of_workers.data() + worker * p * tile_cols;
          std::fill_n(sums, p * tile_cols, 0.0);
          many_kernels_for<S>().combine(tiles.at(t, 0), tiles.row_stride, rows_, width, scaled.data(), stride, p,
                                        scratch_of_workers.data() + worker * many_scratch, sums, tile_cols);
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
