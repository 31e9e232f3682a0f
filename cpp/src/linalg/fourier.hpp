/// Plans of discrete Fourier transforms: factors, roots of unity, and where results lie.
#pragma once

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "linalg/fourier_kernels.hpp"
#include "nearlinear/core/array.hpp"

namespace nearlinear::linalg {

struct Root {
  long double re;
  long double im;
};

/// exp(-2 pi i k / order) for 0 <= k < order, to the precision of long double: the product of two entries of short
/// tables.
class Roots {
 public:
  explicit Roots(Index order);
  [[nodiscard]] Root operator()(Index k) const;

 private:
  int bits_ = 0;
  std::vector<Root> small_;  // k = 0, ..., 2^bits - 1
  std::vector<Root> large_;  // k a multiple of 2^bits
};

/// table <- root(i, k), real and imaginary part, row by row: `rows` of `cols` roots, on several threads.
template <class T, class RootOf>
void fill_table(T* table, Index rows, Index cols, int threads, Monitor& monitor, const RootOf& root) {
  constexpr Index roots_per_chunk = 4096;
  const Index chunk = ceil_divide(roots_per_chunk, cols);
  const int useful = thread_count(threads, rows * cols * 16);
  parallel_for(ceil_divide(rows, chunk), useful, monitor, [&](Index c) {
    for (Index i = c * chunk; i < std::min(rows, (c + 1) * chunk); ++i)
      for (Index k = 0; k < cols; ++k) {
        const Root value = root(i, k);
        table[2 * (i * cols + k)] = static_cast<T>(value.re);
        table[2 * (i * cols + k) + 1] = static_cast<T>(value.im);
      }
  });
}

/// A complex transform of any length N. Where N has no prime factor above 31, that many passes as N has factors 2 to 5,
/// 7, ..., 31; elsewhere Bluestein's convolution, of a length M >= 2 N - 1 with factors 2, 3 and 5.
template <class T>
class FourierPlan {
 public:
  FourierPlan(Index size, int threads, Monitor& monitor);

  [[nodiscard]] Index size() const { return size_; }
  /// N, or M: how many elements the memory of a transform has.
  [[nodiscard]] Index padded_size() const { return padded_; }
  [[nodiscard]] bool by_convolution() const { return padded_ != size_; }
  /// Result k lies at element positions()[k].
  [[nodiscard]] const Index* positions() const { return positions_.data(); }
  [[nodiscard]] const std::vector<FourierStage<T>>& stages() const { return stages_; }
  [[nodiscard]] const T* chirp() const { return chirp_.data(); }
  [[nodiscard]] const T* chirp_transform() const { return chirp_transform_.data(); }

 private:
  void make_stages(const std::vector<Index>& radices, int threads, Monitor& monitor);
  void make_positions(Monitor& monitor);
  void make_chirp(int threads, Monitor& monitor);

  Index size_;
  Index padded_;
  std::vector<FourierStage<T>> stages_;
  std::vector<Array<T>> tables_;
  Array<Index> positions_;
  Array<T> chirp_;            // exp(-i pi j^2 / N)
  Array<T> chirp_transform_;  // of its conjugate, periodic, over M, in the order that the first passes leave
};

/// The radices of an efficient transform of length `size`, or none if it has a prime factor above 31.
[[nodiscard]] std::vector<Index> fourier_radices(Index size);

/// The smallest number >= `least` without prime factors above 5.
[[nodiscard]] Index smooth_size(Index least);

// Blocks up to this size are left to a kernel; larger ones are cut, so that the monitor is asked between the parts.
constexpr Index fourier_block_bytes = Index{1} << 21;

/// How many elements of `numbers` complex numbers a kernel gets at a time.
template <class T>
constexpr Index fourier_part(Index numbers) {
  return std::max<Index>(1, fourier_block_bytes / (2 * numbers * Index{sizeof(T)}));
}

/// All passes over x, elements of `width` columns; `poll` is called every few milliseconds.
template <class T, class Poll>
void forward_passes(const FourierKernelsOf<T>& table, const FourierStage<T>* stage, Index stages, T* x, Index width,
                    const Poll& poll) {
  if (stages == 0) return;
  const Index size = stage->radix * stage->count;
  if (stages == 1 || 2 * size * width * Index{sizeof(T)} <= fourier_block_bytes)
    return table.forward(stage, stages, x, size, width);
  const Index part = fourier_part<T>(stage->radix * width);
  for (Index j = 0; j < stage->count; j += part) {
    poll();
    table.forward_pass(*stage, x, width, j, std::min(j + part, stage->count));
  }
  for (Index k = 0; k < stage->radix; ++k) {
    poll();
    forward_passes(table, stage + 1, stages - 1, x + 2 * k * stage->count * width, width, poll);
  }
}

template <class T, class Poll>
void backward_passes(const FourierKernelsOf<T>& table, const FourierStage<T>* stage, Index stages, T* x, Index width,
                     const Poll& poll) {
  if (stages == 0) return;
  const Index size = stage->radix * stage->count;
  if (stages == 1 || 2 * size * width * Index{sizeof(T)} <= fourier_block_bytes)
    return table.backward(stage, stages, x, size, width);
  for (Index k = 0; k < stage->radix; ++k) {
    poll();
    backward_passes(table, stage + 1, stages - 1, x + 2 * k * stage->count * width, width, poll);
  }
  const Index part = fourier_part<T>(stage->radix * width);
  for (Index j = 0; j < stage->count; j += part) {
    poll();
    table.backward_pass(*stage, x, width, j, std::min(j + part, stage->count));
  }
}

/// x <- its transform; x has plan.padded_size() elements, of which the first plan.size() are given.
template <class T, class Poll>
void transform(const FourierKernelsOf<T>& table, const FourierPlan<T>& plan, T* x, Index width, const Poll& poll) {
  const auto* const stages = plan.stages().data();
  const Index count = std::ssize(plan.stages());
  if (!plan.by_convolution()) return forward_passes(table, stages, count, x, width, poll);

  // With w_j = exp(-i pi j^2 / N), result k is w_k sum_j (x_j w_j) conj(w_{k-j}): a convolution.
  const auto multiply = [&](const T* factors, Index size, bool before, bool after) {
    const Index part = fourier_part<T>(width);
    for (Index j = 0; j < size; j += part) {
      poll();
      table.multiply(x, width, factors, j, std::min(j + part, size), before, after);
    }
  };
  multiply(plan.chirp(), plan.size(), false, false);
  std::fill(x + 2 * plan.size() * width, x + 2 * plan.padded_size() * width, T{0});
  forward_passes(table, stages, count, x, width, poll);
  multiply(plan.chirp_transform(), plan.padded_size(), false, true);
  backward_passes(table, stages, count, x, width, poll);
  multiply(plan.chirp(), plan.size(), true, false);
}

}  // namespace nearlinear::linalg
