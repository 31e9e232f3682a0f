// Compiled once per instruction set; see core/dispatch.hpp for the rules. Products and sums are not fused, and lanes do
// not mix: a column has the same bits with any instruction set, in any company.
#include "linalg/fourier_kernels.hpp"

#include <Eigen/Core>
#include <cstddef>
#include <utility>

// GCC: a type of a register loses its alignment as a template's argument. Nothing here stores one in memory.
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace {

namespace ei = Eigen::internal;
using nearlinear::Index;
using nearlinear::linalg::CosineStrip;
using nearlinear::linalg::FourierKernelsOf;
using nearlinear::linalg::FourierStage;
using nearlinear::linalg::largest_fourier_radix;

template <class T>
using Packet = typename ei::packet_traits<T>::type;

/// A complex number, or as many as a register has lanes.
template <class Number>
struct Complex {
  Number re;
  Number im;
};

template <class Number>
Complex<Number> operator+(const Complex<Number>& a, const Complex<Number>& b) {
  return {ei::padd(a.re, b.re), ei::padd(a.im, b.im)};
}
template <class Number>
Complex<Number> operator-(const Complex<Number>& a, const Complex<Number>& b) {
  return {ei::psub(a.re, b.re), ei::psub(a.im, b.im)};
}
/// -i z
template <class Number>
Complex<Number> turn(const Complex<Number>& z) {
  return {z.im, ei::pnegate(z.re)};
}
template <class Number>
Complex<Number> conjugate(const Complex<Number>& z) {
  return {z.re, ei::pnegate(z.im)};
}
template <class Number>
Complex<Number> exchanged(const Complex<Number>& z) {
  return {z.im, z.re};
}
/// factor * z for the real number *factor
template <class Number, class T>
Complex<Number> scaled(const Complex<Number>& z, T factor) {
  const auto f = ei::pset1<Number>(factor);
  return {ei::pmul(z.re, f), ei::pmul(z.im, f)};
}
/// (root[0] + i root[1]) z
template <class Number, class T>
Complex<Number> product(const Complex<Number>& z, const T* root) {
  const auto c = ei::pset1<Number>(root[0]), s = ei::pset1<Number>(root[1]);
  return {ei::psub(ei::pmul(z.re, c), ei::pmul(z.im, s)), ei::padd(ei::pmul(z.re, s), ei::pmul(z.im, c))};
}

template <class Number, class T>
Complex<Number> load(const T* x, Index width) {
  return {ei::ploadu<Number>(x), ei::ploadu<Number>(x + width)};
}
template <class Number, class T>
void store(T* x, Index width, const Complex<Number>& z) {
  ei::pstoreu(x, z.re);
  ei::pstoreu(x + width, z.im);
}

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

/// Where row `row` of a matrix goes: even rows first, then the odd ones backwards (Makhoul 1980).
template <class T>
T* place(const CosineStrip<T>& strip, Index element, Index part) {
  return strip.buffer + (2 * element + part) * strip.width;
}
constexpr Index makhoul(Index n, Index row) { return row % 2 == 0 ? row / 2 : n - 1 - row / 2; }

/// Rows are so short that a call of memcpy would count.
template <class Number, class T>
void copy_row(const T* from, T* to, Index cols) {
  constexpr Index lanes = ei::unpacket_traits<Number>::size;
  Index j = 0;
  for (; j + lanes <= cols; j += lanes) ei::pstoreu(to + j, ei::ploadu<Number>(from + j));
  for (; j < cols; ++j) to[j] = from[j];
}

template <class Number, class T>
void gather_with(const CosineStrip<T>& strip, const T* matrix, Index row_stride, Index begin, Index end) {
  const bool even = strip.n % 2 == 0;
  for (Index row = begin; row < end; ++row) {
    const Index i = makhoul(strip.n, row);
    T* const to = even ? place(strip, i / 2, i % 2) : place(strip, i, 0);
    const T* const from = matrix + row * row_stride;
    copy_row<Number>(from, to, strip.cols);
    for (Index j = strip.cols; j < strip.width; ++j) to[j] = 0;
    if (!even)
      for (Index j = 0; j < strip.width; ++j) to[strip.width + j] = 0;
  }
}

/// The buffer holds the inverse with its parts exchanged.
template <class Number, class T>
void scatter_with(const CosineStrip<T>& strip, T* matrix, Index row_stride, Index begin, Index end) {
  const bool even = strip.n % 2 == 0;
  for (Index row = begin; row < end; ++row) {
    const Index i = makhoul(strip.n, row);
    const T* const from = even ? place(strip, strip.positions[i / 2], 1 - i % 2) : place(strip, strip.positions[i], 1);
    T* const to = matrix + row * row_stride;
    copy_row<Number>(from, to, strip.cols);
  }
}

template <class T>
void gather(const CosineStrip<T>& strip, const T* matrix, Index row_stride, Index begin, Index end) noexcept {
  if (strip.width == 1) return gather_with<T>(strip, matrix, row_stride, begin, end);
  gather_with<Packet<T>>(strip, matrix, row_stride, begin, end);
}

template <class T>
void scatter(const CosineStrip<T>& strip, T* matrix, Index row_stride, Index begin, Index end) noexcept {
  if (strip.width == 1) return scatter_with<T>(strip, matrix, row_stride, begin, end);
  scatter_with<Packet<T>>(strip, matrix, row_stride, begin, end);
}

/// A register of columns [p, p + lanes) of a row, of which the strip may have fewer.
template <class Number, class T>
class Columns {
 public:
  Columns(Index p, Index cols) : p_(p), count_(cols - p) {}

  void store(T* row, const Number& value) const {
    if (count_ >= lanes) return ei::pstoreu(row + p_, value);
    T copy[lanes];
    ei::pstoreu(copy, value);
    for (Index j = 0; j < count_; ++j) row[p_ + j] = copy[j];
  }
  [[nodiscard]] Number load(const T* row) const {
    if (count_ >= lanes) return ei::ploadu<Number>(row + p_);
    T copy[lanes] = {};
    for (Index j = 0; j < count_; ++j) copy[j] = row[p_ + j];
    return ei::ploadu<Number>(copy);
  }

 private:
  static constexpr Index lanes = ei::unpacket_traits<Number>::size;
  Index p_;
  Index count_;
};

/// With V the Fourier transform of the reordered column, y_k = Re(rotation_k V_k) and y_{n-k} = -Im(rotation_k V_k).
/// For even n, S = Z_k + conj(Z_{n/2-k}) and E = -i root_k (Z_k - conj(Z_{n/2-k})) give 2 V_k = S + E and
/// 2 V_{n/2-k} = conj(S - E).
template <class Number, class T>
void to_cosines_with(const CosineStrip<T>& strip, T* matrix, Index row_stride, Index begin, Index end) {
  constexpr Index lanes = ei::unpacket_traits<Number>::size;
  const Index n = strip.n, size = nearlinear::linalg::complex_size(n);
  const auto row = [=](Index k) { return matrix + k * row_stride; };
  for (Index k = begin; k < end; ++k) {
    const T* const at = place(strip, strip.positions[k], 0);
    const T* const mirrored = place(strip, strip.positions[k == 0 ? 0 : size - k], 0);
    for (Index p = 0; p < strip.width && p < strip.cols; p += lanes) {
      const Columns<Number, T> columns(p, strip.cols);
      const auto write = [&](Index frequency, const Complex<Number>& v) {
        const auto y = product(v, strip.rotations + 2 * frequency);
        columns.store(row(frequency), y.re);
        if (frequency > 0 && 2 * frequency != n) columns.store(row(n - frequency), ei::pnegate(y.im));
      };
      const auto z = load<Number>(at + p, strip.width);
      if (n % 2 != 0) {
        write(k, z);
        continue;
      }
      const auto other = conjugate(load<Number>(mirrored + p, strip.width));
      const auto sum = z + other, turned = turn(product(z - other, strip.roots + 2 * k));
      write(k, sum + turned);
      if (2 * k != size) write(size - k, conjugate(sum - turned));
    }
  }
}

/// The same backwards, with the conjugate rotations: V_k = rotation_k (y_k - i y_{n-k}), y_n = 0. For even n,
/// S = V_k + conj(V_{n/2-k}) and E = i conj(root_k) (V_k - conj(V_{n/2-k})) give Z_k = S + E, Z_{n/2-k} = conj(S - E).
/// The parts are exchanged on the way into the buffer: a forward transform of such numbers is the inverse.
template <class Number, class T>
void from_cosines_with(const CosineStrip<T>& strip, const T* matrix, Index row_stride, Index begin, Index end) {
  constexpr Index lanes = ei::unpacket_traits<Number>::size;
  const Index n = strip.n, size = nearlinear::linalg::complex_size(n);
  const auto row = [=](Index k) { return matrix + k * row_stride; };
  for (Index k = begin; k < end; ++k)
    for (Index p = 0; p < strip.width; p += lanes) {
      const Columns<Number, T> columns(p, strip.cols);
      const auto zero = ei::pset1<Number>(T{0});
      const auto read = [&](Index frequency) {
        if (p >= strip.cols) return Complex<Number>{zero, zero};
        const auto im = frequency == 0 ? zero : ei::pnegate(columns.load(row(n - frequency)));
        return product(Complex<Number>{columns.load(row(frequency)), im}, strip.rotations + 2 * frequency);
      };
      const auto write = [&](Index element, const Complex<Number>& z) {
        store(place(strip, element, 0) + p, strip.width, exchanged(z));
      };
      const auto v = read(k);
      if (n % 2 != 0) {
        write(k, v);
        if (k > 0) write(n - k, conjugate(v));
        continue;
      }
      const auto other = conjugate(read(size - k));
      const T conjugate_root[2] = {strip.roots[2 * k], -strip.roots[2 * k + 1]};
      const auto sum = v + other, turned = turn(product(other - v, conjugate_root));
      write(k, sum + turned);
      if (k > 0 && 2 * k != size) write(size - k, conjugate(sum - turned));
    }
}

template <class T>
void to_cosines(const CosineStrip<T>& strip, T* matrix, Index row_stride, Index begin, Index end) noexcept {
  if (strip.width == 1) return to_cosines_with<T>(strip, matrix, row_stride, begin, end);
  to_cosines_with<Packet<T>>(strip, matrix, row_stride, begin, end);
}

template <class T>
void from_cosines(const CosineStrip<T>& strip, const T* matrix, Index row_stride, Index begin, Index end) noexcept {
  if (strip.width == 1) return from_cosines_with<T>(strip, matrix, row_stride, begin, end);
  from_cosines_with<Packet<T>>(strip, matrix, row_stride, begin, end);
}

template <class T>
constexpr FourierKernelsOf<T> table = {
    .lanes = ei::unpacket_traits<Packet<T>>::size,
    .forward = transform<Order::forward, T>,
    .backward = transform<Order::backward, T>,
    .forward_pass = pass<Order::forward, T>,
    .backward_pass = pass<Order::backward, T>,
    .multiply = multiply<T>,
    .gather = gather<T>,
    .scatter = scatter<T>,
    .to_cosines = to_cosines<T>,
    .from_cosines = from_cosines<T>,
};

}  // namespace

const nearlinear::linalg::FourierKernels nearlinear::linalg::fourier_kernels = {.f32 = table<float>,
                                                                                .f64 = table<double>};
