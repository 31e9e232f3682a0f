// Compiled once per instruction set; see core/dispatch.hpp for the rules. Products and sums are not fused, and lanes do
// not mix: a column has the same bits with any instruction set, in any company.
#include "linalg/fourier_kernels.hpp"

#include <cstddef>
#include <utility>

#include "linalg/complex_packets.hpp"

namespace {

namespace ei = Eigen::internal;
using nearlinear::Index;
using nearlinear::linalg::Complex;
using nearlinear::linalg::exchanged;
using nearlinear::linalg::FourierKernelsOf;
using nearlinear::linalg::FourierStage;
using nearlinear::linalg::largest_fourier_radix;
using nearlinear::linalg::load;
using nearlinear::linalg::Packet;
using nearlinear::linalg::product;
using nearlinear::linalg::scaled;
using nearlinear::linalg::store;
using nearlinear::linalg::turn;

/// x <- F_radix x in registers; `root` holds exp(-2 pi i k / radix).
template <class Number, class T>
void butterfly(Complex<Number> (&x)[2], const T* /*root*/) {
  const auto difference = x[0] - x[1];
  x[0] = x[0] + x[1];
  x[1] = difference;
}

template <class Number, class T>
void butterfly(Complex<Number> (&x)[3], const T* root) {
  const auto sum = x[1] + x[2];
  const auto middle = x[0] + scaled(sum, root[2]);
  const auto side = scaled(turn(x[1] - x[2]), -root[3]);
  x[0] = x[0] + sum;
  x[1] = middle + side;
  x[2] = middle - side;
}

template <class Number, class T>
void butterfly(Complex<Number> (&x)[4], const T* /*root*/) {
  const auto a = x[0] + x[2], b = x[0] - x[2];
  const auto c = x[1] + x[3], d = turn(x[1] - x[3]);
  x[0] = a + c;
  x[1] = b + d;
  x[2] = a - c;
  x[3] = b - d;
}

template <class Number, class T>
void butterfly(Complex<Number> (&x)[5], const T* root) {
  const auto sum_1 = x[1] + x[4], sum_2 = x[2] + x[3];
  const auto turned_1 = turn(x[1] - x[4]), turned_2 = turn(x[2] - x[3]);
  const T cos_1 = root[2], sin_1 = -root[3], cos_2 = root[4], sin_2 = -root[5];
  const auto middle_1 = x[0] + scaled(sum_1, cos_1) + scaled(sum_2, cos_2);
  const auto middle_2 = x[0] + scaled(sum_1, cos_2) + scaled(sum_2, cos_1);
  const auto side_1 = scaled(turned_1, sin_1) + scaled(turned_2, sin_2);
  const auto side_2 = scaled(turned_1, sin_2) - scaled(turned_2, sin_1);
  x[0] = x[0] + sum_1 + sum_2;
  x[1] = middle_1 + side_1;
  x[4] = middle_1 - side_1;
  x[2] = middle_2 + side_2;
  x[3] = middle_2 - side_2;
}

enum class Order { forward, backward };  // decimation in frequency: the roots after the butterfly; in time: before

template <Order order, bool has_roots, class Number, class T, std::size_t... k>
void butterfly_at(T* x, Index distance, Index width, const T* roots, const T* small_roots,
                  std::index_sequence<k...> /*numbers*/) {
  Complex<Number> z[] = {load<Number>(x + Index{k} * distance, width)...};
  if constexpr (has_roots && order == Order::backward)
    ((k == 0 ? void() : void(z[k] = product(z[k], roots + 2 * (k - 1)))), ...);
  butterfly(z, small_roots);
  if constexpr (has_roots && order == Order::forward)
    ((k == 0 ? void() : void(z[k] = product(z[k], roots + 2 * (k - 1)))), ...);
  (store(x + Index{k} * distance, width, z[k]), ...);
}

/// The butterflies [begin, end) for one register of columns: any odd radix, in memory.
template <Order order, class Number, class T>
void odd_butterfly_at(T* x, Index radix, Index distance, Index width, const T* roots, const T* small_roots) {
  Complex<Number> z[largest_fourier_radix], sums[largest_fourier_radix / 2], turned[largest_fourier_radix / 2];
  const Index half = radix / 2;
  const auto first = load<Number>(x, width);
  for (Index k = 1; k < radix; ++k) {
    z[k] = load<Number>(x + k * distance, width);
    if constexpr (order == Order::backward) z[k] = product(z[k], roots + 2 * (k - 1));
  }
  auto total = first;
  for (Index k = 1; k <= half; ++k) {
    sums[k - 1] = z[k] + z[radix - k];
    turned[k - 1] = turn(z[k] - z[radix - k]);
    total = total + sums[k - 1];
  }
  store(x, width, total);
  for (Index q = 1; q <= half; ++q) {
    auto middle = first;
    Complex<Number> side{ei::pset1<Number>(T{0}), ei::pset1<Number>(T{0})};
    Index power = 0;
    for (Index k = 1; k <= half; ++k) {
      power += q;
      if (power >= radix) power -= radix;
      middle = middle + scaled(sums[k - 1], small_roots[2 * power]);
      side = side + scaled(turned[k - 1], -small_roots[2 * power + 1]);
    }
    auto low = middle + side, high = middle - side;
    if constexpr (order == Order::forward) {
      low = product(low, roots + 2 * (q - 1));
      high = product(high, roots + 2 * (radix - q - 1));
    }
    store(x + q * distance, width, low);
    store(x + (radix - q) * distance, width, high);
  }
}

template <Order order, class Number, int radix, class T>
void pass_of(const FourierStage<T>& stage, T* x, Index width, Index begin, Index end) {
  constexpr Index lanes = ei::unpacket_traits<Number>::size;
  constexpr std::make_index_sequence<radix> numbers;
  const Index distance = 2 * width * stage.count;
  if (stage.count == 1) {
    for (Index p = 0; p < width; p += lanes)
      butterfly_at<order, false, Number>(x + p, distance, width, stage.roots, stage.small_roots, numbers);
    return;
  }
  for (Index j = begin; j < end; ++j)
    for (Index p = 0; p < width; p += lanes)
      butterfly_at<order, true, Number>(x + 2 * width * j + p, distance, width, stage.roots + 2 * (radix - 1) * j,
                                        stage.small_roots, numbers);
}

template <Order order, class Number, class T>
void odd_pass_of(const FourierStage<T>& stage, T* x, Index width, Index begin, Index end) {
  constexpr Index lanes = ei::unpacket_traits<Number>::size;
  for (Index j = begin; j < end; ++j)
    for (Index p = 0; p < width; p += lanes)
      odd_butterfly_at<order, Number>(x + 2 * width * j + p, stage.radix, 2 * width * stage.count, width,
                                      stage.roots + 2 * (stage.radix - 1) * j, stage.small_roots);
}

template <Order order, class Number, class T>
void pass_with(const FourierStage<T>& stage, T* x, Index width, Index begin, Index end) {
  switch (stage.radix) {
    case 2:
      return pass_of<order, Number, 2>(stage, x, width, begin, end);
    case 3:
      return pass_of<order, Number, 3>(stage, x, width, begin, end);
    case 4:
      return pass_of<order, Number, 4>(stage, x, width, begin, end);
    case 5:
      return pass_of<order, Number, 5>(stage, x, width, begin, end);
    default:
      return odd_pass_of<order, Number>(stage, x, width, begin, end);
  }
}

template <Order order, class T>
void pass(const FourierStage<T>& stage, T* x, Index width, Index begin, Index end) noexcept {
  if (width == 1) return pass_with<order, T>(stage, x, width, begin, end);
  pass_with<order, Packet<T>>(stage, x, width, begin, end);
}

constexpr Index level_1_bytes = Index{1} << 14;

/// All passes over a block: one after the other where it fits the first-level cache, else part by part.
template <Order order, class T>
void transform(const FourierStage<T>* stage, Index stages, T* x, Index size, Index width) noexcept {
  if (stages == 0) return;
  if (2 * size * width * Index{sizeof(T)} <= level_1_bytes) {
    for (Index number = 0; number < stages; ++number) {
      const FourierStage<T>& now = order == Order::forward ? stage[number] : stage[stages - 1 - number];
      const Index block = now.radix * now.count;
      for (Index first = 0; first < size; first += block) pass<order>(now, x + 2 * width * first, width, 0, now.count);
    }
    return;
  }
  const Index count = stage->count;
  if constexpr (order == Order::forward) pass<order>(*stage, x, width, 0, count);
  for (Index k = 0; k < stage->radix; ++k)
    transform<order>(stage + 1, stages - 1, x + 2 * width * k * count, count, width);
  if constexpr (order == Order::backward) pass<order>(*stage, x, width, 0, count);
}

template <class Number, class T>
void multiply_with(T* x, Index width, const T* factors, Index begin, Index end, bool before, bool after) {
  constexpr Index lanes = ei::unpacket_traits<Number>::size;
  for (Index j = begin; j < end; ++j)
    for (Index p = 0; p < width; p += lanes) {
      T* const at = x + 2 * width * j + p;
      auto z = load<Number>(at, width);
      if (before) z = exchanged(z);
      z = product(z, factors + 2 * j);
      store(at, width, after ? exchanged(z) : z);
    }
}

template <class T>
void multiply(T* x, Index width, const T* factors, Index begin, Index end, bool before, bool after) noexcept {
  if (width == 1) return multiply_with<T>(x, width, factors, begin, end, before, after);
  multiply_with<Packet<T>>(x, width, factors, begin, end, before, after);
}

template <class T>
constexpr FourierKernelsOf<T> table = {
    .lanes = ei::unpacket_traits<Packet<T>>::size,
    .forward = transform<Order::forward, T>,
    .backward = transform<Order::backward, T>,
    .forward_pass = pass<Order::forward, T>,
    .backward_pass = pass<Order::backward, T>,
    .multiply = multiply<T>,
};

}  // namespace

const nearlinear::linalg::FourierKernels nearlinear::linalg::fourier_kernels = {.f32 = table<float>,
                                                                                .f64 = table<double>};
