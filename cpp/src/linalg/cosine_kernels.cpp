// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "linalg/cosine_kernels.hpp"

#include "linalg/complex_packets.hpp"

namespace {

namespace ei = Eigen::internal;
using nearlinear::Index;
using nearlinear::linalg::Complex;
using nearlinear::linalg::complex_size;
using nearlinear::linalg::conjugate;
using nearlinear::linalg::CosineKernelsOf;
using nearlinear::linalg::CosineStrip;
using nearlinear::linalg::exchanged;
using nearlinear::linalg::load;
using nearlinear::linalg::Packet;
using nearlinear::linalg::product;
using nearlinear::linalg::store;
using nearlinear::linalg::turn;

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
  const Index n = strip.n, size = complex_size(n);
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
  const Index n = strip.n, size = complex_size(n);
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
constexpr CosineKernelsOf<T> table = {
    .gather = gather<T>,
    .scatter = scatter<T>,
    .to_cosines = to_cosines<T>,
    .from_cosines = from_cosines<T>,
};

}  // namespace

const nearlinear::linalg::CosineKernels nearlinear::linalg::cosine_kernels = {.f32 = table<float>,
                                                                              .f64 = table<double>};
