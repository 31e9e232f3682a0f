/// The hot loops between a matrix and the Fourier transforms of its columns (fourier_kernels.hpp).
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

/// A strip of a matrix and the memory that it is transformed in; result k of the complex transform is at positions[k].
template <class T>
struct CosineStrip {
  Index n;     // rows
  Index cols;  // at most width
  Index width;
  T* buffer;
  const Index* positions;
  const T* rotations;  // exp(-+ pi i k / (2 n)), scaled, k = 0, ..., n / 2; conjugate for the inverse
  const T* roots;      // exp(-2 pi i k / n), k = 0, ..., n / 4; for even n alone
};

template <class T>
struct CosineKernelsOf {
  // The rows [begin, end) of a matrix into the buffer, in the order of Makhoul, and from it.
  void (*gather)(const CosineStrip<T>& strip, const T* matrix, Index row_stride, Index begin, Index end) noexcept;
  void (*scatter)(const CosineStrip<T>& strip, T* matrix, Index row_stride, Index begin, Index end) noexcept;

  // The transform of the strip's rows into rows of cosine coefficients: those that frequencies [begin, end) of
  // 0, ..., frequencies(n) - 1 determine. And back.
  void (*to_cosines)(const CosineStrip<T>& strip, T* matrix, Index row_stride, Index begin, Index end) noexcept;
  void (*from_cosines)(const CosineStrip<T>& strip, const T* matrix, Index row_stride, Index begin, Index end) noexcept;
};

/// An even number of rows is transformed as half as many complex numbers, whose frequencies k and n / 2 - k give those
/// of the rows; an odd number as complex numbers without an imaginary part.
constexpr Index complex_size(Index n) { return n % 2 == 0 ? n / 2 : n; }
constexpr Index frequencies(Index n) { return complex_size(n) / 2 + 1; }

struct CosineKernels {
  CosineKernelsOf<float> f32;
  CosineKernelsOf<double> f64;
};

extern const CosineKernels cosine_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
