/// Semirings: what takes the place of + and of * in a product of sparse matrices.
#pragma once

#include <complex>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace nearlinear {

/// A semiring is an object with
///
///     using Value = ...;                          // trivially copyable, of 1, 2, 4, 8, 16 or 32 bytes
///     Value add(Value, Value) const;              // associative and commutative; rounding errors are forgiven
///     Value multiply(Value, Value) const;         // of an entry of A and one of B, in this order
///     Value zero() const;                         // add(zero(), x) is x: what MatmulOptions::prune_zeros drops
///     static constexpr bool distributive = true;  // optional: multiply(add(x, y), z) is
///                                                 // add(multiply(x, z), multiply(y, z))
///
/// Operations that do not distribute make no semiring in the strict sense, but are useful all the same (PlusPair).
template <class S>
concept Semiring = requires(const S semiring, typename S::Value value) {
  { semiring.add(value, value) } -> std::same_as<typename S::Value>;
  { semiring.multiply(value, value) } -> std::same_as<typename S::Value>;
  { semiring.zero() } -> std::same_as<typename S::Value>;
} && std::is_trivially_copyable_v<typename S::Value>;

namespace detail {

/// a + b and a b: of integers modulo 2^bits, of bool "or" and "and", of complex numbers without the repairs of
/// Infinity that C's annex G asks for.
template <class T>
T plus(T a, T b) {
  if constexpr (std::is_same_v<T, bool>)
    return a || b;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  else
    return a + b;
}

template <class T>
T times(T a, T b) {
  if constexpr (std::is_same_v<T, bool>)
    return a && b;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  else
    return a * b;
}

template <class T>
std::complex<T> times(std::complex<T> a, std::complex<T> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

/// NaN wins, as in NumPy.
template <class T>
T minimum(T a, T b) {
  return b < a || b != b ? b : a;
}

template <class T>
T maximum(T a, T b) {
  return a < b || b != b ? b : a;
}

template <class T>
constexpr T highest() {
  if constexpr (std::numeric_limits<T>::has_infinity) return std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::max();
}

template <class T>
constexpr T lowest() {
  if constexpr (std::numeric_limits<T>::has_infinity) return -std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::lowest();
}

}  // namespace detail

/// The ordinary product. T is a real or complex type; integers wrap around, and of bool this is OrAnd.
template <class T>
struct PlusTimes {
  using Value = T;
  static constexpr bool distributive = true;
  [[nodiscard]] T add(T a, T b) const { return detail::plus(a, b); }
  [[nodiscard]] T multiply(T a, T b) const { return detail::times(a, b); }
  [[nodiscard]] T zero() const { return T{}; }
};

/// Which places can be reached: paths of a graph.
using OrAnd = PlusTimes<bool>;

/// Lengths of shortest paths: C_ij = min over k of A_ik + B_kj.
template <class T>
struct MinPlus {
  using Value = T;
  static constexpr bool distributive = true;
  [[nodiscard]] T add(T a, T b) const { return detail::minimum(a, b); }
  [[nodiscard]] T multiply(T a, T b) const { return detail::plus(a, b); }
  [[nodiscard]] T zero() const { return detail::highest<T>(); }
};

/// Lengths of longest paths: C_ij = max over k of A_ik + B_kj.
template <class T>
struct MaxPlus {
  using Value = T;
  static constexpr bool distributive = true;
  [[nodiscard]] T add(T a, T b) const { return detail::maximum(a, b); }
  [[nodiscard]] T multiply(T a, T b) const { return detail::plus(a, b); }
  [[nodiscard]] T zero() const { return detail::lowest<T>(); }
};

/// Most reliable paths: C_ij = max over k of A_ik B_kj. It distributes over numbers that are not negative.
template <class T>
struct MaxTimes {
  using Value = T;
  [[nodiscard]] T add(T a, T b) const { return detail::maximum(a, b); }
  [[nodiscard]] T multiply(T a, T b) const { return detail::times(a, b); }
  [[nodiscard]] T zero() const { return detail::lowest<T>(); }
};

/// How many k there are with A_ik and B_kj stored. Values are not looked at.
template <class T>
struct PlusPair {
  using Value = T;
  [[nodiscard]] T add(T a, T b) const { return detail::plus(a, b); }
  [[nodiscard]] T multiply(T, T) const { return T{1}; }
  [[nodiscard]] T zero() const { return T{}; }
};

/// The least A_ik among those with B_kj stored: labels and parents along edges. B's values are not looked at.
template <class T>
struct MinFirst {
  using Value = T;
  static constexpr bool distributive = true;
  [[nodiscard]] T add(T a, T b) const { return detail::minimum(a, b); }
  [[nodiscard]] T multiply(T a, T) const { return a; }
  [[nodiscard]] T zero() const { return detail::highest<T>(); }
};

}  // namespace nearlinear
