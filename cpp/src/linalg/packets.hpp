/// Registers, as Eigen has them, for files that are compiled once per instruction set alone (core/dispatch.hpp).
#pragma once

#include <Eigen/Core>

// GCC: a type of a register loses its alignment as a template's argument. In arrays on the stack it has it, and nothing
// here stores one elsewhere.
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace nearlinear::linalg {

namespace ei = Eigen::internal;

template <class T>
using Packet = typename ei::packet_traits<T>::type;
template <class T>
constexpr int width = ei::unpacket_traits<Packet<T>>::size;

/// The square root, rounded to the nearest. Eigen's own is made for speed on some instruction sets: of a denormal
/// number it is 0.
template <class P>
P square_root(const P& x) {
  return ei::psqrt(x);
}
#if defined(__SSE2__)
inline __m128 square_root(const __m128& x) { return _mm_sqrt_ps(x); }
inline __m128d square_root(const __m128d& x) { return _mm_sqrt_pd(x); }
#endif
#if defined(__AVX__)
inline __m256 square_root(const __m256& x) { return _mm256_sqrt_ps(x); }
inline __m256d square_root(const __m256d& x) { return _mm256_sqrt_pd(x); }
#endif
#if defined(__AVX512F__)
inline __m512 square_root(const __m512& x) { return _mm512_sqrt_ps(x); }
inline __m512d square_root(const __m512d& x) { return _mm512_sqrt_pd(x); }
#endif

}  // namespace nearlinear::linalg
