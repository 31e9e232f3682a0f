// Compiled once per instruction set; see core/dispatch.hpp for the rules. Every loop is plain C++ without branches,
// over blocks of `lanes` entries, which the compiler turns into vectors of any width; results go to arrays of the
// function's own, which it knows to overlap nothing.
#include "linalg/elementwise_kernels.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/collect_above.hpp"
#include "linalg/exponential_constants.hpp"

namespace {

using nearlinear::Index;
using nearlinear::linalg::ExponentialConstants;
using nearlinear::linalg::Exponentials;
using nearlinear::linalg::lanes;

/// a b + c, in one rounding where that is one instruction.
template <class T>
T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// c_i + c_{i+1} x + ... by Horner's rule: unrolled, because the compiler makes vectors of loops without loops inside.
template <std::size_t i = 0, class T, std::size_t terms>
[[gnu::always_inline]] inline T polynomial(T x, const std::array<T, terms>& c) {
  if constexpr (i + 1 == terms)
    return c[i];
  else
    return multiply_add(polynomial<i + 1>(x, c), x, c[i]);
}

/// condition ? a : b by masks: of a choice between numbers, compilers like to make a branch, and then no vectors.
template <class T>
[[gnu::always_inline]] inline T choose(bool condition, T a, T b) {
  using Bits = typename ExponentialConstants<T>::Bits;
  const Bits mask = Bits{0} - (condition ? Bits{1} : Bits{0});
  return std::bit_cast<T>((std::bit_cast<Bits>(a) & mask) | (std::bit_cast<Bits>(b) & ~mask));
}

/// exp(x) = 2^n exp(r), n = round(x / log 2), r = x - n log 2 in two parts (Cody and Waite, Software Manual for the
/// Elementary Functions, 1980, chapter 6). Times 2^power: processors need a hundred times longer for a subnormal
/// result.
template <class T, unsigned power>
[[gnu::always_inline]] inline T scaled_exp_of(T x) {
  using C = ExponentialConstants<T>;
  using Bits = typename C::Bits;
  x = choose(x < C::exp_is_zero, C::exp_is_zero, x);  // NaN stays
  x = choose(x > C::exp_is_infinite, C::exp_is_infinite, x);

  // Adding 1.5 * 2^mantissa_bits leaves the nearest integer in the lowest bits.
  constexpr T shift = T(Bits{3} << (C::mantissa_bits - 1));
  const T shifted = multiply_add(x, C::log2_e, shift);
  const T n = shifted - shift;
  const T r = multiply_add(n, -C::ln2_low, multiply_add(n, -C::ln2_high, x));
  const T p = multiply_add(r * r, polynomial(r, C::exp_terms), r) + 1;

  // 2^n = 2^half 2^(n - half): neither factor is out of range, and where the result is subnormal, the second product
  // alone is rounded. Both exponents are biased, n twice, which makes it positive.
  const Bits biased = std::bit_cast<Bits>(shifted) - std::bit_cast<Bits>(shift) + (2 * C::bias + power);
  const Bits half = biased >> 1U;
  const T first = std::bit_cast<T>(half << C::mantissa_bits);
  const T second = std::bit_cast<T>((biased - half) << C::mantissa_bits);
  return p * first * second;
}

template <class T>
[[gnu::always_inline]] inline T exp_of(T x) {
  return scaled_exp_of<T, 0>(x);
}

/// log(x) = k log 2 + log(m), m in [sqrt(1/2), sqrt(2)), and with f = m - 1, s = f / (2 + f),
/// log(1 + f) = 2 s + s^3 P(s^2) = f - (f^2 / 2 - s (f^2 / 2 + s^2 P(s^2))), whose leading terms are exact.
template <class T>
[[gnu::always_inline]] inline T log_of(T x) {
  using C = ExponentialConstants<T>;
  using Bits = typename C::Bits;
  using Limits = std::numeric_limits<T>;
  constexpr T two_to_mantissa_bits = T(Bits{1} << C::mantissa_bits);  // whose lowest bit is worth 1
  const bool subnormal = x < Limits::min();
  const T normal = x * choose(subnormal, two_to_mantissa_bits, T{1});
  const T bias = choose(subnormal, T(C::bias + C::mantissa_bits), T(C::bias));

  constexpr Bits sqrt_half = std::bit_cast<Bits>(C::sqrt_half);
  const Bits bits = std::bit_cast<Bits>(normal) + (std::bit_cast<Bits>(T{1}) - sqrt_half);
  const Bits mantissa = bits & ((Bits{1} << C::mantissa_bits) - 1);
  const Bits exponent = (bits >> C::mantissa_bits) | std::bit_cast<Bits>(two_to_mantissa_bits);
  const T k = std::bit_cast<T>(exponent) - two_to_mantissa_bits - bias;
  const T f = std::bit_cast<T>(mantissa + sqrt_half) - 1;

  const T s = f / (2 + f);
  const T z = s * s;
  const T half_square = T{0.5} * f * f;
  const T tail = multiply_add(s, multiply_add(z, polynomial(z, C::log_terms), half_square), k * C::ln2_low);
  const T result = k * C::ln2_high - ((half_square - tail) - f);

  // `result` is finite for any bits; where x is not a positive number, adding the answer replaces it.
  T correction = choose(x < Limits::infinity(), T{0}, x);
  correction = choose(x < 0, Limits::quiet_NaN(), correction);
  correction = choose(x == 0, -Limits::infinity(), correction);
  return result + correction;
}

/// block(first, count) for every `lanes` entries; the last may be fewer.
template <class Block>
void for_each_block(Index size, const Block& block) {
  for (Index first = 0; first < size; first += lanes) block(first, std::min(lanes, size - first));
}

/// The entries first, first + 1, ... of x, in place where there are `lanes` of them, else followed by `padding`.
template <class T>
const T* padded(const T* x, Index first, Index count, T padding, T (&copy)[lanes]) {
  if (count == lanes) return x + first;
  std::fill(std::copy_n(x + first, count, copy), copy + lanes, padding);
  return copy;
}

template <class T, T (*function)(T)>
void map(const T* x, T* y, Index size) noexcept {
  // Longer blocks first: fewer loads of the constants.
  constexpr Index long_block = 512;
  const Index in_long_blocks = size / long_block * long_block;
  for (Index first = 0; first < in_long_blocks; first += long_block) {
    T result[long_block];
    for (Index i = 0; i < long_block; ++i) result[i] = function(x[first + i]);
    std::copy_n(result, long_block, y + first);
  }
  for_each_block(size - in_long_blocks, [=](Index first, Index count) {
    T copy[lanes], result[lanes];
    const T* const block = padded(x + in_long_blocks, first, count, T{1}, copy);
    for (Index l = 0; l < lanes; ++l) result[l] = function(block[l]);
    std::copy_n(result, count, y + in_long_blocks + first);
  });
}

/// The entries of `values` folded by halves.
template <class T, class Operation>
T fold(T (&values)[lanes], const Operation& operation) {
  for (Index half = lanes / 2; half > 0; half /= 2)
    for (Index l = 0; l < half; ++l) values[l] = operation(values[l], values[l + half]);
  return values[0];
}

double add(double a, double b) { return a + b; }

template <class Term>
double sum_terms(Index size, const Term& term) {
  double sums[lanes] = {};
  for_each_block(size, [&](Index first, Index count) {
    if (count == lanes)
      for (Index l = 0; l < lanes; ++l) sums[l] = term(first + l, sums[l]);
    else
      for (Index l = 0; l < count; ++l) sums[l] = term(first + l, sums[l]);
  });
  return fold(sums, add);
}

template <class T>
double sum(const T* x, Index size) noexcept {
  return sum_terms(size, [x](Index i, double before) { return before + static_cast<double>(x[i]); });
}

template <class T>
double dot(const T* x, const T* y, Index size) noexcept {
  return sum_terms(size, [x, y](Index i, double before) {
    return multiply_add(static_cast<double>(x[i]), static_cast<double>(y[i]), before);
  });
}

template <class T>
double sum_of_squares(const T* x, Index size, double scale) noexcept {
  return sum_terms(size, [x, scale](Index i, double before) {
    const double scaled = scale * static_cast<double>(x[i]);
    return multiply_add(scaled, scaled, before);
  });
}

template <class T>
T larger(T a, T b) {
  return b > a ? b : a;
}

// Terms of sums of exponentials are taken times 2^64: then none is subnormal, which would take the processor some
// hundred cycles.
constexpr unsigned term_power = 64;
constexpr double term_unit = 0x1p-64;

/// 2^64 exp(x) for x <= 0, or +0 where exp(x) is below half the smallest number.
template <class T>
[[gnu::always_inline]] inline T term_of(T x) {
  return choose(x < ExponentialConstants<T>::exp_is_zero, T{0}, scaled_exp_of<T, term_power>(x));
}

/// What is subtracted before exp: an infinite maximum would make NaN of itself.
template <class T>
T shift_for(T maximum) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  return maximum == infinity || maximum == -infinity ? T{0} : maximum;
}

/// With the shift 0, a maximum of +Inf makes the rest Inf or NaN, of which NaN alone has a meaning.
template <class T>
Exponentials exponentials(T maximum, double rest) {
  const bool infinite = maximum == std::numeric_limits<T>::infinity() && !std::isnan(rest);
  return {static_cast<double>(maximum), infinite ? 0.0 : rest};
}

template <class T>
Exponentials sum_exponentials(const T* x, Index size) noexcept {
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  T copy[lanes], largest[lanes], folded[lanes];
  std::fill_n(largest, lanes, lowest);
  for_each_block(size, [&](Index first, Index count) {
    const T* const block = padded(x, first, count, lowest, copy);
    for (Index l = 0; l < lanes; ++l) largest[l] = larger(largest[l], block[l]);
  });
  std::copy_n(largest, lanes, folded);
  const T maximum = fold(folded, larger<T>);
  const T shift = shift_for(maximum);

  Index position = -1;  // of the term that is left out of the rest
  if (maximum > lowest) {
    position = std::find(largest, largest + lanes, maximum) - largest;
    while (x[position] != maximum) position += lanes;
  }
  double sums[lanes] = {};
  for_each_block(size, [&](Index first, Index count) {
    const T* const block = padded(x, first, count, lowest, copy);
    T terms[lanes];
    for (Index l = 0; l < lanes; ++l) terms[l] = term_of(block[l] - shift);
    if (position >= first && position < first + lanes) terms[position - first] = 0;
    for (Index l = 0; l < lanes; ++l) sums[l] += static_cast<double>(terms[l]);
  });
  return exponentials(maximum, term_unit * fold(sums, add));
}

template <class T>
void sum_column_exponentials(const T* a, Index rows, Index cols, Index row_stride, Exponentials* results) noexcept {
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  T maximum[lanes], row_of_maximum[lanes], shift[lanes];  // the row as a T, so that all have the same width
  double sums[lanes] = {};
  std::fill_n(maximum, lanes, lowest);
  std::fill_n(row_of_maximum, lanes, T{-1});
  for (Index i = 0; i < rows; ++i) {
    const T* const row = a + i * row_stride;
    const T number = static_cast<T>(i);
    for (Index j = 0; j < cols; ++j) {
      const bool above = row[j] > maximum[j];
      row_of_maximum[j] = above ? number : row_of_maximum[j];
      maximum[j] = above ? row[j] : maximum[j];
    }
  }
  for (Index j = 0; j < cols; ++j) shift[j] = shift_for(maximum[j]);
  for (Index i = 0; i < rows; ++i) {
    const T* const row = a + i * row_stride;
    const T number = static_cast<T>(i);
    T terms[lanes];
    for (Index j = 0; j < cols; ++j) terms[j] = term_of(row[j] - shift[j]);
    for (Index j = 0; j < cols; ++j) terms[j] = row_of_maximum[j] == number ? T{0} : terms[j];
    for (Index j = 0; j < cols; ++j) sums[j] += static_cast<double>(terms[j]);
  }
  for (Index j = 0; j < cols; ++j) results[j] = exponentials(maximum[j], term_unit * sums[j]);
}

template <class T>
constexpr nearlinear::linalg::ElementwiseKernelsOf<T> kernels_of = {
    .exp = map<T, exp_of<T>>,
    .log = map<T, log_of<T>>,
    .sum = sum<T>,
    .dot = dot<T>,
    .sum_of_squares = sum_of_squares<T>,
    .sum_exponentials = sum_exponentials<T>,
    .sum_column_exponentials = sum_column_exponentials<T>,
    .collect_above = nearlinear::collect_above<T>,
};

}  // namespace

const nearlinear::linalg::ElementwiseKernels nearlinear::linalg::elementwise_kernels = {
    .f32 = kernels_of<float>,
    .f64 = kernels_of<double>,
};
