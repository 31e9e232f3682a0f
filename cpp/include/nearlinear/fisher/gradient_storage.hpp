/// How gradients are kept.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear {

/// The type of the numbers that a window of gradients is made of. Sums are in double whatever it is.
enum class GradientStorage {
  float64,
  float32,
  float16,   ///< IEEE binary16 times a power of two of its own for every gradient: 11 bits, of the largest entry
  bfloat16,  ///< the upper half of a float: 8 bits and a float's range
};

[[nodiscard]] constexpr Index bytes_per_entry(GradientStorage storage) {
  if (storage == GradientStorage::float64) return 8;
  return storage == GradientStorage::float32 ? 4 : 2;
}

}  // namespace nearlinear
