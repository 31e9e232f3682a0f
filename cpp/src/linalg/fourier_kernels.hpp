/// The hot loops of Fourier transforms. All numbers of a column of the matrix see the same operations, and
/// `width` columns lie side by side: an element is `width` real parts, then `width` imaginary parts. `width` is 1 or a
/// multiple of lanes.
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

constexpr Index largest_fourier_radix = 31;

/// A pass over blocks of radix * count elements. `roots` holds exp(-2 pi i j k / (radix * count)) for k = 1, ...,
/// radix - 1 of j = 0, then of j = 1, and so on; `small_roots` exp(-2 pi i k / radix), k = 0, ..., radix - 1.
template <class T>
struct FourierStage {
  Index radix;
  Index count;
  const T* roots;
  const T* small_roots;
};

template <class T>
struct FourierKernelsOf {
  Index lanes;

  // Decimation in frequency: natural order in, that of positions out. And its transpose, decimation in time: the order
  // of positions in, natural order out.
  void (*forward)(const FourierStage<T>* stage, Index stages, T* x, Index size, Index width) noexcept;
  void (*backward)(const FourierStage<T>* stage, Index stages, T* x, Index size, Index width) noexcept;
  // The butterflies [begin, end) of one pass over one block.
  void (*forward_pass)(const FourierStage<T>& stage, T* x, Index width, Index begin, Index end) noexcept;
  void (*backward_pass)(const FourierStage<T>& stage, T* x, Index width, Index begin, Index end) noexcept;

  // x_j <- x_j factors_j for j in [begin, end); the parts of x_j are exchanged before, or after, or neither.
  void (*multiply)(T* x, Index width, const T* factors, Index begin, Index end, bool before, bool after) noexcept;
};

struct FourierKernels {
  FourierKernelsOf<float> f32;
  FourierKernelsOf<double> f64;
};

extern const FourierKernels fourier_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
