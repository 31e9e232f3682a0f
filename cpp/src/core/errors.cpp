#include "nearlinear/core/errors.hpp"

#include <cstdio>

namespace nearlinear {

out_of_memory::out_of_memory(std::size_t bytes) noexcept {
  std::snprintf(message_.data(), message_.size(), "out of memory: %zu bytes (%.3g GB) are needed in one piece", bytes,
                static_cast<double>(bytes) * 1e-9);
}

out_of_memory::out_of_memory(std::size_t bytes, std::size_t allowed) noexcept {
  std::snprintf(message_.data(), message_.size(), "the result may take %zu bytes, but max_bytes is %zu", bytes,
                allowed);
}

}  // namespace nearlinear
