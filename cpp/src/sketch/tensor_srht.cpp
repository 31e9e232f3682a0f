// TensorSRHT by a binary tree. Of a matrix, no node holds more than m rows, since rows of H D X (x) H D Y are made from
// one row of each alone. Of a vector, the modes of a pair are transformed where they are, and only what is picked is
// kept. As pairs that a sketch would not shorten are left as they are, no tensor on the way is longer than the vector.
#include "sketch/tensor_srht.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "core/arithmetic.hpp"
#include "linalg/progress.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/hadamard.hpp"
#include "sketch/kernels.hpp"

namespace nearlinear {
namespace sketch {
namespace {

constexpr std::uint64_t first_stream = 16;       // of the tree; those of other sketches are less
constexpr Index most_rows = Index{1} << 30;      // of S, as for other sketches
constexpr Index block_entries = Index{1} << 14;  // of what one call of a loop's body writes, about
constexpr double copy_rate = 1;                  // entries per nanosecond

enum Child : std::uint64_t { left = 0, right = 1 };

/// A sketch of two matrices or modes: which random numbers are its own.
struct Node {
  std::uint64_t seed;
  Index number;

  [[nodiscard]] std::uint64_t stream(std::uint64_t which) const {
    return first_stream + 3 * static_cast<std::uint64_t>(number) + which;
  }
};

struct Pick {
  Index left;
  Index right;
};

Index transform_size(Index n) { return static_cast<Index>(std::bit_ceil(static_cast<std::uint64_t>(n))); }

template <class T>
Array<T> draw_signs(const Node& node, Child child, Index count) {
  const Index words = ceil_divide(count, 32), counters = ceil_divide(words, 4);
  const Array<std::uint32_t> bits(4 * counters);
  kernels().random_words(node.seed, node.stream(child), 0, counters, bits.data());
  Array<T> signs(count);
  for (Index i = 0; i < count; ++i) signs[i] = ((bits[i / 32] >> (i % 32)) & 1U) != 0 ? T{-1} : T{1};
  return signs;
}

/// Pairs of rows of transforms of the given sizes, powers of two.
std::vector<Pick> draw_picks(const Node& node, Index m, Index left_size, Index right_size) {
  const Array<std::uint32_t> words(4 * m);
  kernels().random_words(node.seed, node.stream(2), 0, m, words.data());
  const auto low_bits = [](const std::uint32_t* word, Index size) {
    const std::uint64_t bits = (std::uint64_t{word[1]} << 32) | word[0];
    return static_cast<Index>(bits & (static_cast<std::uint64_t>(size) - 1));
  };
  std::vector<Pick> picks(static_cast<std::size_t>(m));
  for (Index k = 0; k < m; ++k)
    picks[static_cast<std::size_t>(k)] = {low_bits(words.data() + 4 * k, left_size),
                                          low_bits(words.data() + 4 * k + 2, right_size)};
  return picks;
}

/// A matrix that may own its memory.
template <class T>
struct Matrix {
  Array<T> memory;
  MatrixView<const T> view;
};

/// H D X, X filled up with rows of zeros.
template <class T>
Array<T> transform(const Node& node, Child child, MatrixView<const T> X, const RunOptions& run) {
  const Index n = X.rows(), d = X.cols(), size = transform_size(n), rows = std::max<Index>(1, block_entries / d);
  const Array<T> signs = draw_signs<T>(node, child, n);
  Array<T> result(checked_product(size, d));
  linalg::Progress progress(run);
  const RunOptions copying = progress.part(0, 0.2);
  Monitor monitor(copying.keep_going);
  parallel_for(ceil_divide(size, rows), linalg::threads_at(copy_rate, run.n_threads, size, d), monitor, [&](Index b) {
    for (Index i = b * rows; i < std::min(size, (b + 1) * rows); ++i)
      if (T* const row = result.data() + i * d; i < n)
        std::transform(&X(i, 0), &X(i, 0) + d, row, [sign = signs[i]](T entry) { return sign * entry; });
      else
        std::fill_n(row, d, T{0});
  });
  hadamard_transform<T>({result.data(), size, d}, progress.part(0.2, 1));
  return result;
}

/// Whether a pair below the root is left as it is.
bool is_formed(Index left_rows, Index right_rows, Index m) { return left_rows <= m / right_rows; }

/// out <- the Kronecker or the entrywise product of two rows, times `scale`.
template <class T>
void multiply_pair(std::span<const T> x, std::span<const T> y, bool is_khatri_rao, T scale, T* out) {
  if (is_khatri_rao)
    std::transform(x.begin(), x.end(), y.begin(), out, [scale](T a, T c) { return scale * a * c; });
  else
    multiply_rows(x, y, scale, out);
}

/// All products of a row of X and a row of Y.
template <class T>
void form_pair(MatrixView<const T> X, MatrixView<const T> Y, bool is_khatri_rao, MatrixView<T> product,
               const RunOptions& run) {
  const Index rows = std::max<Index>(1, block_entries / product.cols());
  Monitor monitor(run.keep_going);
  parallel_for(ceil_divide(product.rows(), rows),
               linalg::threads_at(copy_rate, run.n_threads, product.rows(), product.cols()), monitor, [&](Index b) {
                 for (Index k = b * rows; k < std::min(product.rows(), (b + 1) * rows); ++k)
                   multiply_pair<T>(X.row(k / Y.rows()), Y.row(k % Y.rows()), is_khatri_rao, 1, &product(k, 0));
               });
}

/// The sketch of X and Y, or of X alone where Y is null.
template <class T>
void sketch_pair(const Node& node, MatrixView<const T> X, const MatrixView<const T>* Y, bool is_khatri_rao,
                 MatrixView<T> SA, const RunOptions& run) {
  const Index m = SA.rows(), width = SA.cols(), rows = std::max<Index>(1, block_entries / width);
  linalg::Progress progress(run);
  const Index x_size = transform_size(X.rows()), y_size = Y != nullptr ? transform_size(Y->rows()) : 1;
  const Array<T> x = transform(node, left, X, progress.part(0, 0.4));
  const Array<T> y = Y != nullptr ? transform(node, right, *Y, progress.part(0.4, 0.8)) : Array<T>();
  const Index x_cols = X.cols(), y_cols = Y != nullptr ? Y->cols() : 0;
  const std::vector<Pick> picks = draw_picks(node, m, x_size, y_size);
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(m)));
  const RunOptions picking = progress.part(0.8, 1);
  Monitor monitor(picking.keep_going);
  parallel_for(ceil_divide(m, rows), linalg::threads_at(copy_rate, run.n_threads, m, width), monitor, [&](Index b) {
    for (Index k = b * rows; k < std::min(m, (b + 1) * rows); ++k) {
      const Pick& pick = picks[static_cast<std::size_t>(k)];
      const std::span<const T> first(x.data() + pick.left * x_cols, static_cast<std::size_t>(x_cols));
      const std::span<const T> second(y.data() + pick.right * y_cols, static_cast<std::size_t>(y_cols));
      T* const out = SA.data() + k * SA.row_stride();
      if (Y == nullptr)
        std::transform(first.begin(), first.end(), out, [scale](T entry) { return scale * entry; });
      else
        multiply_pair(first, second, is_khatri_rao, scale, out);
    }
  });
}

template <class T>
void sketch_factors(std::span<const MatrixView<const T>> factors, std::uint64_t seed, bool is_khatri_rao,
                    MatrixView<T> SA, const RunOptions& run) {
  const Index m = SA.rows();
  if (factors.size() == 1) return sketch_pair<T>({seed, 0}, factors[0], nullptr, is_khatri_rao, SA, run);
  std::vector<Matrix<T>> level;
  for (const auto& factor : factors) level.push_back({{}, factor});
  linalg::Progress progress(run);
  const auto nodes = static_cast<double>(factors.size() - 1);
  Index number = 0;
  while (level.size() > 1) {
    std::vector<Matrix<T>> next;
    for (std::size_t at = 0; at < level.size(); at += 2) {
      if (at + 1 == level.size()) {
        next.push_back(std::move(level[at]));
        continue;
      }
      const MatrixView<const T> X = level[at].view, Y = level[at + 1].view;
      const Index width = is_khatri_rao ? X.cols() : checked_product(X.cols(), Y.cols());
      const bool is_root = level.size() == 2, is_whole = !is_root && is_formed(X.rows(), Y.rows(), m);
      const Index rows = is_whole ? X.rows() * Y.rows() : m;
      Array<T> memory(is_root ? 0 : checked_product(rows, width));
      const MatrixView<T> target = is_root ? SA : MatrixView<T>(memory.data(), rows, width);
      const auto node = static_cast<double>(number);
      const RunOptions part = progress.part(node / nodes, (node + 1) / nodes);
      if (is_whole)
        form_pair<T>(X, Y, is_khatri_rao, target, part);
      else
        sketch_pair<T>({seed, number}, X, &Y, is_khatri_rao, target, part);
      ++number;
      level[at].memory = Array<T>();
      level[at + 1].memory = Array<T>();
      next.push_back({std::move(memory), target});
    }
    level = std::move(next);
  }
}

/// Y <- X^T, for a tensor whose first mode becomes the last.
template <class T>
Array<T> transposed(const T* X, Index rows, Index cols, const RunOptions& run) {
  constexpr Index tile = 32;
  Array<T> result(rows * cols);
  Monitor monitor(run.keep_going);
  parallel_for(ceil_divide(cols, tile), linalg::threads_at(copy_rate, run.n_threads, rows, cols), monitor,
               [&](Index stripe) {
                 const Index begin = stripe * tile, end = std::min(cols, begin + tile);
                 for (Index top = 0; top < rows; top += tile)
                   for (Index j = begin; j < end; ++j)
                     for (Index i = top; i < std::min(rows, top + tile); ++i) result[j * rows + i] = X[i * cols + j];
               });
  return result;
}

/// The sketch of the first two modes of an n_1 x n_2 x rest tensor, m x rest.
template <class T>
Array<T> sketch_modes(const Node& node, const T* b, Index n_1, Index n_2, Index rest, Index m, const RunOptions& run) {
  linalg::Progress progress(run);
  const Index cols = checked_product(n_2, rest), size = transform_size(n_2);
  const Array<T> first = transform<T>(node, left, {b, n_1, cols}, progress.part(0, 0.6));
  const Array<T> signs = draw_signs<T>(node, right, n_2);
  const std::vector<Pick> picks = draw_picks(node, m, transform_size(n_1), size);
  std::vector<Index> order(static_cast<std::size_t>(m));  // rows of S, those that pick the same left row together
  for (Index k = 0; k < m; ++k) order[static_cast<std::size_t>(k)] = k;
  const auto left_of = [&](Index k) { return picks[static_cast<std::size_t>(k)].left; };
  std::stable_sort(order.begin(), order.end(), [&](Index j, Index k) { return left_of(j) < left_of(k); });
  std::vector<std::size_t> groups{0};
  for (std::size_t at = 1; at <= order.size(); ++at)
    if (at == order.size() || left_of(order[at]) != left_of(order[at - 1])) groups.push_back(at);

  Array<T> result(checked_product(m, rest));
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(m)));
  const Index width = std::min(rest, std::max<Index>(16, 16 * block_entries / size)),
              stripes = ceil_divide(rest, width);
  const auto rows = static_cast<Index>(groups.size()) - 1;
  const int threads = linalg::threads_at(copy_rate / 4, run.n_threads, rows, size, rest);
  std::vector<Array<T>> buffers(static_cast<std::size_t>(threads));
  const RunOptions picking = progress.part(0.6, 1);
  Monitor monitor(picking.keep_going);
  parallel_for_workers(rows * stripes, threads, monitor, [&](Index task, int worker) {
    Array<T>& buffer = buffers[static_cast<std::size_t>(worker)];
    if (buffer.size() == 0) buffer = Array<T>(checked_product(size, width));
    const auto group = static_cast<std::size_t>(task / stripes);
    const Index begin = task % stripes * width, count = std::min(width, rest - begin);
    const T* const row = first.data() + left_of(order[groups[group]]) * cols;
    for (Index j = 0; j < n_2; ++j)
      std::transform(row + j * rest + begin, row + j * rest + begin + count, buffer.data() + j * count,
                     [sign = signs[j]](T entry) { return sign * entry; });
    std::fill_n(buffer.data() + n_2 * count, (size - n_2) * count, T{0});
    hadamard_transform<T>({buffer.data(), size, count}, {.n_threads = 1});
    for (std::size_t at = groups[group]; at < groups[group + 1]; ++at) {
      const Index k = order[at];
      const T* const picked = buffer.data() + picks[static_cast<std::size_t>(k)].right * count;
      std::transform(picked, picked + count, result.data() + k * rest + begin,
                     [scale](T entry) { return scale * entry; });
    }
  });
  return result;
}

void require_rows(Index m, const char* function) {
  require(m >= 1 && m <= most_rows, function, ": the sketch has ", m,
          " rows; it must have at least 1 and at most 2^30");
}

}  // namespace

template <class T>
void require_factors(std::span<const MatrixView<const T>> factors, const char* function) {
  require(!factors.empty(), function, ": there are no factors");
  for (std::size_t t = 0; t < factors.size(); ++t) {
    require_valid_view(factors[t], function, "a factor");
    require(factors[t].rows() > 0 && factors[t].cols() > 0, function, ": factors[", t, "] is ", shape(factors[t]),
            "; it must have a row and a column");
  }
}

template void require_factors(std::span<const MatrixView<const float>>, const char*);
template void require_factors(std::span<const MatrixView<const double>>, const char*);

}  // namespace sketch

template <class T>
void tensor_srht(std::span<const MatrixView<const T>> factors, std::uint64_t seed, MatrixView<T> SA,
                 const RunOptions& run) {
  sketch::require_factors(factors, "tensor_srht");
  require_valid_view(SA, "tensor_srht", "SA");
  sketch::require_rows(SA.rows(), "tensor_srht");
  const Index cols = sketch::kron_cols(factors);
  require(SA.cols() == cols, "tensor_srht: SA is ", shape(SA), " but the factors have ", cols,
          " columns in all; SA must have as many");
  sketch::sketch_factors(factors, seed, false, SA, run);
}

template <class T>
void tensor_srht_khatri_rao(std::span<const MatrixView<const T>> factors, std::uint64_t seed, MatrixView<T> SA,
                            const RunOptions& run) {
  sketch::require_factors(factors, "tensor_srht_khatri_rao");
  require_valid_view(SA, "tensor_srht_khatri_rao", "SA");
  sketch::require_rows(SA.rows(), "tensor_srht_khatri_rao");
  for (std::size_t t = 0; t < factors.size(); ++t)
    require(factors[t].cols() == SA.cols(), "tensor_srht_khatri_rao: factors[", t, "] is ", shape(factors[t]),
            " and SA is ", shape(SA), "; they must have as many columns");
  sketch::sketch_factors(factors, seed, true, SA, run);
}

template <class T>
void tensor_srht_vector(std::span<const Index> sizes, std::span<const T> b, std::uint64_t seed, std::span<T> Sb,
                        const RunOptions& run) {
  require(!sizes.empty(), "tensor_srht_vector: there are no sizes");
  const auto m = static_cast<Index>(Sb.size());
  sketch::require_rows(m, "tensor_srht_vector");
  Index n = 1;
  for (std::size_t t = 0; t < sizes.size(); ++t) {
    require(sizes[t] >= 1, "tensor_srht_vector: sizes[", t, "] is ", sizes[t], "; it must be positive");
    n = checked_product(n, sizes[t]);
  }
  require(static_cast<Index>(b.size()) == n, "tensor_srht_vector: b has ", b.size(), " entries; it must have ", n,
          ", the product of the sizes");
  if (sizes.size() == 1) {
    const MatrixView<T> column(Sb.data(), m, 1);
    return sketch::sketch_pair<T>({seed, 0}, {b.data(), n, 1}, nullptr, false, column, run);
  }

  // Each mode or pair of modes is the first of the tensor when its turn comes, and the last afterwards. Where a level
  // sketches nothing, they can stay where they are.
  std::vector<Index> modes(sizes.begin(), sizes.end());
  Array<T> memory;
  const T* tensor = b.data();
  Index entries = n, number = 0;
  linalg::Progress progress(run);
  const auto nodes = static_cast<double>(sizes.size() - 1);
  while (modes.size() > 1) {
    const auto is_whole = [&](std::size_t at) {
      return at + 1 == modes.size() || (modes.size() > 2 && sketch::is_formed(modes[at], modes[at + 1], m));
    };
    bool is_level_whole = true;
    for (std::size_t at = 0; at < modes.size(); at += 2) is_level_whole = is_level_whole && is_whole(at);
    std::vector<Index> next;
    for (std::size_t at = 0; at < modes.size(); at += 2) {
      const bool is_pair = at + 1 < modes.size();
      const Index size = is_pair ? checked_product(modes[at], modes[at + 1]) : modes[at], rest = entries / size;
      const double begin = std::min(1.0, static_cast<double>(number) / nodes), end = std::min(1.0, begin + 1 / nodes);
      next.push_back(is_whole(at) ? size : m);
      if (!is_whole(at)) {
        memory = sketch::sketch_modes<T>({seed, number}, tensor, modes[at], modes[at + 1], rest, m,
                                         progress.part(begin, 0.1 * begin + 0.9 * end));
        tensor = memory.data();
        entries = checked_product(m, rest);
      }
      if (!is_level_whole && rest > 1) {
        memory = sketch::transposed(tensor, next.back(), rest, progress.part(0.1 * begin + 0.9 * end, end));
        tensor = memory.data();
      }
      if (is_pair) ++number;
    }
    modes = std::move(next);
  }
  std::copy_n(tensor, m, Sb.data());
}

template void tensor_srht(std::span<const MatrixView<const float>>, std::uint64_t, MatrixView<float>,
                          const RunOptions&);
template void tensor_srht(std::span<const MatrixView<const double>>, std::uint64_t, MatrixView<double>,
                          const RunOptions&);
template void tensor_srht_khatri_rao(std::span<const MatrixView<const float>>, std::uint64_t, MatrixView<float>,
                                     const RunOptions&);
template void tensor_srht_khatri_rao(std::span<const MatrixView<const double>>, std::uint64_t, MatrixView<double>,
                                     const RunOptions&);
template void tensor_srht_vector(std::span<const Index>, std::span<const float>, std::uint64_t, std::span<float>,
                                 const RunOptions&);
template void tensor_srht_vector(std::span<const Index>, std::span<const double>, std::uint64_t, std::span<double>,
                                 const RunOptions&);

}  // namespace nearlinear
