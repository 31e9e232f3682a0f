// Roots of unity to the precision of long double, and plans of Fourier transforms.
#include "linalg/fourier.hpp"

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <type_traits>

#include "linalg/kernels.hpp"
#include "nearlinear/core/errors.hpp"

namespace nearlinear::linalg {
namespace {

constexpr Index longest_fourier = Index{1} << 38;  // within which no product of indices overflows

/// exp(-2 pi i k / order), its angle reduced to the first octant in integers; 0 <= k < order < 2^60.
Root octant_root(Index k, Index order) {
  const Index octant = 8 * k / order;
  Index rest = 8 * k % order;
  if (octant % 2 != 0) rest = order - rest;
  const long double angle =
      std::numbers::pi_v<long double> / 4 * (static_cast<long double>(rest) / static_cast<long double>(order));
  long double x = std::cos(angle), y = std::sin(angle);
  if (octant % 4 == 1 || octant % 4 == 2) std::swap(x, y);
  if (octant >= 2 && octant < 6) x = -x;
  if (octant >= 4) y = -y;
  return {x, -y};
}

template <class T>
const FourierKernelsOf<T>& table() {
  if constexpr (std::is_same_v<T, float>) return kernels().fourier->f32;
  if constexpr (std::is_same_v<T, double>) return kernels().fourier->f64;
}

}  // namespace

Roots::Roots(Index order) {
  while (Index{1} << (2 * bits_) < order) ++bits_;
  const Index step = Index{1} << bits_;
  for (Index k = 0; k < step && k < order; ++k) small_.push_back(octant_root(k, order));
  for (Index k = 0; k < order; k += step) large_.push_back(octant_root(k, order));
}

Root Roots::operator()(Index k) const {
  const auto number = static_cast<std::size_t>(k);
  const Root a = small_[number & ((std::size_t{1} << bits_) - 1)], b = large_[number >> bits_];
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

std::vector<Index> fourier_radices(Index size) {
  std::vector<Index> radices;
  const auto divide = [&](Index radix) {
    for (; size % radix == 0; size /= radix) radices.push_back(radix);
  };
  for (const Index radix : {31, 29, 23, 19, 17, 13, 11, 7, 5, 3, 4, 2}) divide(radix);
  return size == 1 ? radices : std::vector<Index>{};
}

Index smooth_size(Index least) {
  Index best = std::numeric_limits<Index>::max();
  for (Index fives = 1; fives < 5 * least; fives *= 5)
    for (Index threes = fives; threes < 3 * least; threes *= 3) {
      Index size = threes;
      while (size < least) size *= 2;
      best = std::min(best, size);
    }
  return best;
}

template <class T>
FourierPlan<T>::FourierPlan(Index size, int threads, Monitor& monitor) : size_(size), padded_(size) {
  require(size < longest_fourier, "a transform of ", size, " complex numbers is too long");
  std::vector<Index> radices = fourier_radices(size);
  if (radices.empty() && size > 1) {
    padded_ = smooth_size(checked_product(2, size) - 1);
    radices = fourier_radices(padded_);
  }
  make_stages(radices, threads, monitor);
  positions_ = Array<Index>(size_);
  if (by_convolution()) {
    std::iota(positions_.begin(), positions_.end(), Index{0});
    make_chirp(threads, monitor);
  } else {
    make_positions(monitor);
  }
}

template <class T>
void FourierPlan<T>::make_stages(const std::vector<Index>& radices, int threads, Monitor& monitor) {
  const Roots roots(padded_);
  Index block = padded_;
  for (const Index radix : radices) {
    const Index count = block / radix, step = padded_ / block, row = radix - 1;
    Array<T> own(checked_product(2 * row, count));
    fill_table(own.data(), count, row, threads, monitor, [&](Index j, Index k) { return roots(j * (k + 1) * step); });
    Array<T> small(2 * radix);
    const Roots small_roots(radix);
    fill_table(small.data(), radix, 1, 1, monitor, [&](Index k, Index /*one*/) { return small_roots(k); });
    stages_.push_back({radix, count, own.data(), small.data()});
    tables_.push_back(std::move(own));
    tables_.push_back(std::move(small));
    block = count;
  }
}

template <class T>
void FourierPlan<T>::make_positions(Monitor& monitor) {
  // The digits of k = q_1 + r_1 (q_2 + r_2 (...)) times the sizes of the blocks that the passes leave.
  positions_[0] = 0;
  Index known = 1;
  for (const FourierStage<T>& stage : stages_) {
    for (Index q = 1; q < stage.radix; ++q) {
      monitor.poll(0);
      for (Index k = 0; k < known; ++k) positions_[q * known + k] = positions_[k] + q * stage.count;
    }
    known *= stage.radix;
  }
}

template <class T>
void FourierPlan<T>::make_chirp(int threads, Monitor& monitor) {
  const Index N = size_, M = padded_;
  const Roots roots(2 * N);
  const auto square = [N](Index j) {  // j^2 modulo 2 N; in two parts, because j^2 may overflow
    constexpr Index part = Index{1} << 20;
    return (j * (j / part) % (2 * N) * part + j * (j % part)) % (2 * N);
  };
  chirp_ = Array<T>(2 * N);
  fill_table(chirp_.data(), N, 1, threads, monitor, [&](Index j, Index /*one*/) { return roots(square(j)); });
  chirp_transform_ = Array<T>(2 * M);
  const long double scale = 1 / static_cast<long double>(M);
  fill_table(chirp_transform_.data(), M, 1, threads, monitor, [&](Index j, Index /*one*/) -> Root {
    const Index distance = std::min(j, M - j);
    if (distance >= N) return {0, 0};
    const Root root = roots(square(distance));
    return {root.re * scale, -root.im * scale};
  });
  forward_passes(table<T>(), stages_.data(), std::ssize(stages_), chirp_transform_.data(), 1, [&] { monitor.poll(0); });
}

template class FourierPlan<float>;
template class FourierPlan<double>;

}  // namespace nearlinear::linalg
