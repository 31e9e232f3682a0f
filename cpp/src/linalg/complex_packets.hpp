/// Complex numbers in registers, for kernels alone: whoever includes this is compiled once per instruction set.
/// Products and sums are not fused, and lanes do not mix.
#pragma once

#include "linalg/packets.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::linalg {

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

}  // namespace nearlinear::linalg
