// Norms of whitened columns, by which diagonals of inverses are found: m^2 d operations.
#include <algorithm>
#include <cmath>
#include <limits>

#include "fisher/gradients.hpp"
#include "fisher/norm_kernels.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear::fisher {
namespace {

/// L^{-1} with its columns multiplied by the gradients' scales, in packed form, and the largest norm of a column.
template <class W>
class Whitening {
 public:
  Whitening(const Array<double>& inverse, Index m) : rows_(m), packed_(norm_kernels_for<W>().packed_size(m)) {
    norm_kernels_for<W>().pack(m, inverse.data(), m, packed_.data());
    for (Index j = 0; j < m; ++j) {
      double square = 0;
      for (Index i = j; i < m; ++i) square += inverse[i * m + j] * inverse[i * m + j];
      largest_ = std::max(largest_, std::sqrt(square));
    }
  }

  /// Of the `count` columns from `offset` on in a tile.
  template <class S>
  void squares(const Tiles<S>& tiles, Index tile, Index offset, Index count, W* whitened, W* plain) const {
    const auto& kernels = norm_kernels_for<W>();
    const Array<W> scratch(rows_ * kernels.scratch_cols), widened(std::is_same_v<S, W> ? 0 : rows_ * count);
    const W* first = widened.data();
    Index stride = count;
    if constexpr (std::is_same_v<S, W>) {
      first = tiles.at(tile, 0) + offset;
      stride = tiles.row_stride;
    } else {
      for (Index i = 0; i < rows_; ++i) {
        const S* const from = tiles.at(tile, i) + offset;
        if constexpr (std::is_same_v<W, double>)
          kernels_for<S>().to_double(from, count, widened.data() + i * count);
        else
          kernels_for<S>().to_float(from, count, widened.data() + i * count);
      }
    }
    kernels.squares(rows_, packed_.data(), first, stride, count, scratch.data(), whitened, plain);
  }

  [[nodiscard]] double largest() const { return largest_; }

 private:
  Index rows_;
  Array<W> packed_;
  double largest_ = 0;
};

/// L^{-1}, as the solution of X L = I: the residual that bounds the error of a product with columns is the left one
/// (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, section 14.2.1).
Array<double> inverse_of(MatrixView<const double> L, int n_threads) {
  const Index m = L.rows();
  const Array<double> transposed = Array<double>::zeros(m * m);
  Array<double> inverse(m * m);
  for (Index i = 0; i < m; ++i) transposed[i * m + i] = 1;
  triangular_solve<double>(Triangle::lower, Transpose::yes, L, MatrixView<double>(transposed.data(), m, m),
                           {.n_threads = n_threads});
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < m; ++j) inverse[i * m + j] = transposed[j * m + i];
  return inverse;
}

}  // namespace

void Gradients::squared_norms(MatrixView<const double> L, bool precise, double* q, Pass pass) const {
  constexpr Index part = 256;  // columns: with 1024 gradients, 2 MB of doubles
  static_assert(tile_cols % part == 0);
  Array<double> inverse = inverse_of(L, pass.n_threads);
  if (!scales_.empty())
    for (Index i = 0; i < rows_; ++i)
      for (Index j = 0; j <= i; ++j) inverse[i * rows_ + j] *= scales_[static_cast<std::size_t>(j)];
  const Whitening<double> in_double(inverse, rows_);
  const Whitening<float> in_float(inverse, rows_);
  // A float's product is off by some sqrt(m) u |W| |g|, W's largest column for its norm.
  const double unit = std::sqrt(static_cast<double>(rows_)) * 0x1p-24;
  const auto suffices = [&](double whitened, double plain) {
    const double error = 2 * unit * (std::sqrt(whitened * plain) * in_float.largest() + whitened);
    return error <= 0x1p-22 * (1 - whitened);  // of 1 - whitened, what all this is for; and not for NaN
  };
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const int threads = linalg::threads_at(linalg::product_rate, pass.n_threads, rows_, rows_, cols_);
        parallel_for(ceil_divide(cols_, part), threads, pass.monitor, [&](Index p) {
          const Index begin = p * part, width = std::min(part, cols_ - begin);
          const Index tile = begin / tile_cols, offset = begin % tile_cols;
          if constexpr (!std::is_same_v<S, double>) {
            alignas(64) float whitened[part], plain[part];
            bool good = !precise;
            if (good) in_float.squares(tiles, tile, offset, width, whitened, plain);
            for (Index j = 0; j < width; ++j) good = good && suffices(whitened[j], plain[j]);
            if (good) {
              std::copy_n(whitened, width, q + begin);
              return;
            }
          }
          alignas(64) double plain[part];
          in_double.squares(tiles, tile, offset, width, q + begin, plain);
        });
      },
      tiles_);
}

}  // namespace nearlinear::fisher
