/// Kernels of products of two sparse matrices of complex numbers, integers or booleans. Compiled for the baseline
/// instruction set only, so that the build stays small.
#pragma once

#include <complex>
#include <cstdint>

#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

template <class T, class I>
struct PlainKernels {
  MultiplyDense<T, I> multiply_dense;
  MultiplyHash<T, I> multiply_hash;
};

/// Integers have no sign here: sums and products modulo 2^64 are the same for those that have one.
struct PlainKernelsOfTypes {
  PlainKernels<bool, std::int32_t> bool_i32;  // "or" and "and"
  PlainKernels<bool, std::int64_t> bool_i64;
  PlainKernels<std::uint64_t, std::int32_t> u64_i32;
  PlainKernels<std::uint64_t, std::int64_t> u64_i64;
  PlainKernels<std::complex<float>, std::int32_t> c64_i32;
  PlainKernels<std::complex<float>, std::int64_t> c64_i64;
  PlainKernels<std::complex<double>, std::int32_t> c128_i32;
  PlainKernels<std::complex<double>, std::int64_t> c128_i64;
};

/// Named like the tables of core/dispatch.hpp, whose rules hold here.
extern "C" const PlainKernelsOfTypes nearlinear_plain_base;

}  // namespace nearlinear::sparse
