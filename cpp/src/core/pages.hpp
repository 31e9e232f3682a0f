/// Pages from the system, of which the last ones freed are kept for reuse: to touch a page for the first time costs as
/// much as to fill it ten times.
#pragma once

#include <cstddef>

namespace nearlinear {

/// `bytes`, rounded up to whole pages.
[[nodiscard]] std::size_t whole_pages(std::size_t bytes);

/// Null when the system refuses. Pages take memory when they are first written, so that a reservation may be far larger
/// than the machine. `bytes` must be whole pages, here and below.
[[nodiscard]] void* map_pages(std::size_t bytes) noexcept;

/// The same, all zero.
[[nodiscard]] void* map_zero_pages(std::size_t bytes) noexcept;

/// Keeps the pages for the next map_pages(), as long as the system does not want them back: 256 MiB and 8 blocks at
/// most.
void unmap_pages(void* data, std::size_t bytes) noexcept;

/// Gives the last pages of a block back: those behind the first `kept` bytes.
void trim_pages(void* data, std::size_t bytes, std::size_t kept) noexcept;

}  // namespace nearlinear
