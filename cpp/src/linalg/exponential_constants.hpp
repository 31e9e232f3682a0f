/// Numbers for exponentials and logarithms of registers: polynomials, and log 2 in two parts.
#pragma once

#include <array>
#include <cstdint>

namespace nearlinear::linalg {

template <class T>
struct ExponentialConstants;

template <>
struct ExponentialConstants<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr Bits bias = 1023;
  static constexpr double log2_e = 0x1.71547652b82fep+0;
  static constexpr double ln2_high = 0x1.62e42fefa2000p-1;  // its product with an exponent is exact
  static constexpr double ln2_low = 0x1.9ef35793c7673p-41;
  static constexpr double sqrt_half = 0x1.6a09e667f3bcdp-1;
  static constexpr double exp_is_zero = -746;
  static constexpr double exp_is_infinite = 710;
  // (exp(r) - 1 - r) / r^2, interpolated in Chebyshev's points of |r| <= 0.34665; the error is below 2e-17 exp(r).
  static constexpr std::array exp_terms{0x1.0000000000001p-1,  0x1.5555555555556p-3,  0x1.5555555553d5dp-5,
                                        0x1.11111111109b1p-7,  0x1.6c16c1788e279p-10, 0x1.a01a01a7c588ap-13,
                                        0x1.a019b90435244p-16, 0x1.71de0da8e0958p-19, 0x1.289190088364dp-22,
                                        0x1.af38b6cc9f96ap-26};
  // (log((1 + s) / (1 - s)) - 2 s) / s^3 as a polynomial in s^2, in the same manner for |s| <= 3 - sqrt(8); 1e-17.
  static constexpr std::array log_terms{0x1.5555555555558p-1, 0x1.99999999952d7p-2, 0x1.2492492df281ap-2,
                                        0x1.c71c62e3f11e6p-3, 0x1.7462b51cb66b1p-3, 0x1.39fe51a7c18f9p-3,
                                        0x1.2b5900de53b31p-3};
};

template <>
struct ExponentialConstants<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr Bits bias = 127;
  static constexpr float log2_e = 0x1.715476p+0F;
  static constexpr float ln2_high = 0x1.62e4p-1F;
  static constexpr float ln2_low = 0x1.7f7d1cp-20F;
  static constexpr float sqrt_half = 0x1.6a09e6p-1F;
  static constexpr float exp_is_zero = -104;
  static constexpr float exp_is_infinite = 89;
  static constexpr std::array exp_terms{0x1.000000p-1F, 0x1.5554dcp-3F, 0x1.55551ap-5F, 0x1.120b7ep-7F,
                                        0x1.6d1118p-10F};  // 8e-9 exp(r)
  static constexpr std::array log_terms{0x1.555556p-1F, 0x1.9999ecp-2F, 0x1.245c40p-2F, 0x1.ddcf72p-3F};
};

}  // namespace nearlinear::linalg
