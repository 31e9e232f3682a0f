/// Stages of Hadamard transforms in registers, for files that are compiled once per instruction set alone
/// (core/dispatch.hpp).
#pragma once

#include <cstddef>
#include <utility>

#include "linalg/packets.hpp"

namespace nearlinear::linalg {

/// (a, b) <- (a + b, a - b), of numbers or of registers full of them.
template <class Number>
[[gnu::always_inline]] inline void butterfly(Number& a, Number& b) {
  const Number difference = ei::psub(a, b);
  a = ei::padd(a, b);
  b = difference;
}

template <class Number, std::size_t... k>
[[gnu::always_inline]] inline void butterflies(Number* a, Number* b, std::index_sequence<k...> /*numbers*/) {
  (butterfly(a[k], b[k]), ...);
}

/// x <- H_radix x, lower stages first; without loops and calls, so that x stays in registers.
template <int radix, class Number>
[[gnu::always_inline]] inline void transform_registers(Number* x) {
  if constexpr (radix > 1) {
    transform_registers<radix / 2>(x);
    transform_registers<radix / 2>(x + radix / 2);
    butterflies(x, x + radix / 2, std::make_index_sequence<radix / 2>{});
  }
}

}  // namespace nearlinear::linalg
