/// Arithmetic of sizes.
#pragma once

#include "nearlinear/core/views.hpp"

namespace nearlinear {

/// a / b rounded up, for a >= 0 and b > 0: the number of blocks of b that cover a.
constexpr Index ceil_divide(Index a, Index b) { return (a + b - 1) / b; }

}  // namespace nearlinear
