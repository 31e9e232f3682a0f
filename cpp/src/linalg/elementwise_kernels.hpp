/// The hot loops of elementwise functions, of sums and of selection.
#pragma once

#include "core/largest_entries.hpp"

namespace nearlinear::linalg {

/// y_i <- f(x_i) for i < size; y is x or overlaps it nowhere.
template <class T>
using Map = void (*)(const T* x, T* y, Index size) noexcept;

/// How many entries a sum may have at most between two calls, so that its error does not grow with their number: it is
/// taken in double in `lanes` interleaved parts.
constexpr Index sum_block = 4096;
constexpr Index lanes = 64;

/// The sum of x_i, of x_i y_i, of (scale x_i)^2.
template <class T>
using SumBlock = double (*)(const T* x, Index size) noexcept;
template <class T>
using DotBlock = double (*)(const T* x, const T* y, Index size) noexcept;
template <class T>
using SquaresBlock = double (*)(const T* x, Index size, double scale) noexcept;

/// A sum of exponentials as exp(maximum) (1 + rest), where 1 stands for the first of the largest terms: it keeps the
/// digits of log(1 + rest) when the rest is small. `maximum` is never NaN; `rest` is when any of the entries is.
struct Exponentials {
  double maximum;
  double rest;
};

/// The sum over a block of at most sum_block entries, at least one; over every column of a block of at most sum_block
/// rows and `lanes` columns, its rows `row_stride` elements apart.
template <class T>
using SumExponentials = Exponentials (*)(const T* x, Index size) noexcept;
template <class T>
using SumColumnExponentials = void (*)(const T* a, Index rows, Index cols, Index row_stride,
                                       Exponentials* sums) noexcept;

template <class T>
struct ElementwiseKernelsOf {
  Map<T> exp;
  Map<T> log;
  SumBlock<T> sum;
  DotBlock<T> dot;
  SquaresBlock<T> sum_of_squares;
  SumExponentials<T> sum_exponentials;
  SumColumnExponentials<T> sum_column_exponentials;
  CollectAbove<T> collect_above;
};

struct ElementwiseKernels {
  ElementwiseKernelsOf<float> f32;
  ElementwiseKernelsOf<double> f64;
};

extern const ElementwiseKernels
    elementwise_kernels;  // one per instruction set: code reaches it through kernels() alone

}  // namespace nearlinear::linalg
