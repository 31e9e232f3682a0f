// The kinds that need the whole column at once, a stripe of columns at a time: dct, and the pooled transform
//
//     S = B G Pi N^{-1/2} H_N D J,    row j of S A = sum over t in pool j of g_t (N^{-1/2} H_N D J A)_{pi(t)},
//
// whose pools are the m stretches [j N / m, (j + 1) N / m).
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "linalg/progress.hpp"
#include "nearlinear/linalg/dct.hpp"
#include "nearlinear/linalg/hadamard.hpp"
#include "sketch/apply.hpp"
#include "sketch/random_map.hpp"

namespace nearlinear::sketch {
namespace {

constexpr Index stripe_bytes = Index{1} << 27;

/// A stripe of all columns at once that takes some 128 MB, but is no narrower than a line of the cache.
template <class T>
Index stripe_width(Index rows, Index width) {
  return std::clamp<Index>(stripe_bytes / (rows * Index{sizeof(T)}), 64 / Index{sizeof(T)}, std::max<Index>(1, width));
}

/// The pooled diagonal and permutation, for N numbers: drawn by sorting random keys.
struct Pools {
  std::vector<Index> permutation;
  std::vector<double> factors;
  Index rows;

  Pools(const SketchSpec& spec, Index length)
      : permutation(static_cast<std::size_t>(length)), factors(permutation.size()), rows(spec.rows) {
    const RandomStream keys(spec.seed, permutation_stream);
    std::vector<double> key(permutation.size());
    for (std::size_t t = 0; t < key.size(); ++t) key[t] = keys.uniform(t);
    std::iota(permutation.begin(), permutation.end(), Index{0});
    std::sort(permutation.begin(), permutation.end(), [&](Index a, Index b) {
      const double at_a = key[static_cast<std::size_t>(a)], at_b = key[static_cast<std::size_t>(b)];
      return at_a < at_b || (at_a == at_b && a < b);
    });
    // E[S^T S] = (1 / N) sum over t of E[g_t^2] H^T H's diagonal = N I / N.
    draw_normals(spec.seed, pool_stream, 0, 1, length, factors.data());
    for (double& factor : factors) factor /= std::sqrt(static_cast<double>(length));
  }

  [[nodiscard]] std::size_t begin(Index pool) const {
    return static_cast<std::size_t>(pool) * permutation.size() / static_cast<std::size_t>(rows);
  }
};

/// Signed rows of [first, last) with zeros below.
template <class T>
void copy_signed(const SketchSpec& spec, const RowSource<T>& rows, Index first, Index last, T* stripe, Index length,
                 Monitor& monitor) {
  constexpr Index block = 1024;
  const Index width = last - first;
  const Array<T> factors(block);
  for (Index begin = 0; begin < rows.rows(); begin += block) {
    monitor.poll(0);
    const Index end = std::min(rows.rows(), begin + block);
    draw_signs(spec, begin, end - begin, factors.data());
    rows.weigh(begin, end, factors.data());
    rows.copy(begin, end, first, last, factors.data(), stripe + begin * width);
  }
  std::fill(stripe + rows.rows() * width, stripe + length * width, T{0});
}

template <class T>
void multiply_by_signs(const SketchSpec& spec, const T* stripe, Index width, double factor, MatrixView<T> X,
                       Index col) {
  const Array<T> signs(X.rows());
  draw_signs(spec, 0, X.rows(), signs.data());
  for (Index i = 0; i < X.rows(); ++i)
    for (Index c = 0; c < width; ++c)
      X(i, col + c) =
          static_cast<T>(factor * static_cast<double>(signs[i]) * static_cast<double>(stripe[i * width + c]));
}

}  // namespace

template <class T>
void sketch_whole(const SketchSpec& spec, const RowSource<T>& rows, MatrixView<T> SAB, const RunOptions& run) {
  const bool is_pooled = spec.kind == SketchKind::pooled;
  const Index n = rows.rows(), length = is_pooled ? spec.length : n;
  const Index width = stripe_width<T>(length, rows.width());
  const std::unique_ptr<Pools> pools = is_pooled ? std::make_unique<Pools>(spec, length) : nullptr;
  const std::vector<Index> picks = is_pooled ? std::vector<Index>() : draw_cosine_rows(spec, n);
  const double factor = std::sqrt(static_cast<double>(n) / static_cast<double>(spec.rows));
  const Array<T> stripe(checked_product(length, width));
  linalg::Progress progress(run);
  Monitor monitor(run.keep_going);
  for (Index col = 0; col < rows.width(); col += width) {
    const Index last = std::min(rows.width(), col + width), cols = last - col;
    const double begin = static_cast<double>(col) / static_cast<double>(rows.width());
    const double end = static_cast<double>(last) / static_cast<double>(rows.width());
    monitor.enter_stage(begin, begin);
    copy_signed(spec, rows, col, last, stripe.data(), length, monitor);
    const MatrixView<T> view(stripe.data(), length, cols);
    if (is_pooled)
      hadamard_transform(view, progress.part(begin, end));
    else
      dct<T>(view, view, {.orthonormal = true, .run = progress.part(begin, end)});
    for (Index j = 0; j < spec.rows; ++j)
      for (Index c = 0; c < cols; ++c) {
        double sum = 0;
        if (is_pooled)
          for (std::size_t t = pools->begin(j); t < pools->begin(j + 1); ++t)
            sum += pools->factors[t] * static_cast<double>(view(pools->permutation[t], c));
        else
          sum = factor * static_cast<double>(view(picks[static_cast<std::size_t>(j)], c));
        SAB(j, col + c) = static_cast<T>(sum);
      }
  }
}

template <class T>
void sketch_whole_transposed(const SketchSpec& spec, MatrixView<const T> Y, MatrixView<T> X, const RunOptions& run) {
  const bool is_pooled = spec.kind == SketchKind::pooled;
  const Index n = X.rows(), length = is_pooled ? spec.length : n;
  const Index width = stripe_width<T>(length, X.cols());
  const std::unique_ptr<Pools> pools = is_pooled ? std::make_unique<Pools>(spec, length) : nullptr;
  const std::vector<Index> picks = is_pooled ? std::vector<Index>() : draw_cosine_rows(spec, n);
  const double factor = is_pooled ? 1.0 : std::sqrt(static_cast<double>(n) / static_cast<double>(spec.rows));
  linalg::Progress progress(run);
  for (Index col = 0; col < X.cols(); col += width) {
    const Index cols = std::min(width, X.cols() - col);
    const Array<T> stripe = Array<T>::zeros(checked_product(length, cols));
    const MatrixView<T> view(stripe.data(), length, cols);
    for (Index j = 0; j < spec.rows; ++j)
      for (Index c = 0; c < cols; ++c) {
        if (!is_pooled) {
          view(picks[static_cast<std::size_t>(j)], c) += Y(j, col + c);
          continue;
        }
        for (std::size_t t = pools->begin(j); t < pools->begin(j + 1); ++t)
          view(pools->permutation[t], c) = static_cast<T>(pools->factors[t] * static_cast<double>(Y(j, col + c)));
      }
    const double begin = static_cast<double>(col) / static_cast<double>(X.cols());
    const RunOptions part = progress.part(begin, 1);
    if (is_pooled)
      hadamard_transform(view, part);
    else
      dct<T>(view, view, {.orthonormal = true, .inverse = true, .run = part});
    multiply_by_signs(spec, stripe.data(), cols, factor, X, col);
  }
}

#define NEARLINEAR_INSTANTIATE(T)                                                                       \
  template void sketch_whole(const SketchSpec&, const RowSource<T>&, MatrixView<T>, const RunOptions&); \
  template void sketch_whole_transposed(const SketchSpec&, MatrixView<const T>, MatrixView<T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sketch
