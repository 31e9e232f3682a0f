#include "nearlinear/core/array.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/pages.hpp"
#include "nearlinear/core/errors.hpp"

namespace nearlinear {
namespace {

// From here on a block has pages of its own. Below, the heap is faster: it takes no system call.
constexpr std::size_t smallest_mapping = std::size_t{1} << 20;

// Up to here zeros are written into pages that are kept from before. Beyond, fresh pages, which are zero: much of such
// a block is often never touched.
constexpr std::size_t largest_written_zeros = std::size_t{8} << 20;

constexpr std::size_t most_bytes = PTRDIFF_MAX / 2;  // so that rounding up cannot overflow

/// What aligned_alloc takes: a multiple of the alignment, and not 0.
std::size_t whole_lines(std::size_t bytes) {
  constexpr std::size_t line = Memory::alignment;
  return std::max(line, (bytes + line - 1) / line * line);
}

}  // namespace

Memory::~Memory() {
  if (bytes_ < smallest_mapping)
    std::free(data_);
  else
    unmap_pages(data_, bytes_);
}

Memory Memory::try_allocate(std::size_t bytes) noexcept {
  if (bytes > most_bytes) return {};
  bytes = bytes < smallest_mapping ? whole_lines(bytes) : whole_pages(bytes);
  void* data = bytes < smallest_mapping ? std::aligned_alloc(Memory::alignment, bytes) : map_pages(bytes);
  return data == nullptr ? Memory() : Memory(data, bytes);
}

Memory Memory::allocate(std::size_t bytes) {
  Memory memory = try_allocate(bytes);  // NOLINT(clang-analyzer-unix.Malloc): the caller has it
  if (memory.empty()) throw out_of_memory(bytes);
  return memory;
}

Memory Memory::allocate_zeros(std::size_t bytes) {
  if (bytes <= largest_written_zeros) {
    Memory memory = allocate(bytes);
    std::memset(memory.data_, 0, bytes);
    return memory;
  }
  void* data = bytes > most_bytes ? nullptr : map_zero_pages(whole_pages(bytes));
  if (data == nullptr) throw out_of_memory(bytes);
  return {data, whole_pages(bytes)};
}

void Memory::shrink(std::size_t bytes) noexcept {
  if (bytes_ < smallest_mapping) {
    bytes = std::max<std::size_t>(bytes, 1);
    if (bytes >= bytes_) return;
    if (void* smaller = std::realloc(data_, bytes)) {
      data_ = smaller;
      bytes_ = bytes;
    }
    return;
  }
  // Never below the threshold, which tells mappings from the heap; pages there that nobody touched take no memory.
  const std::size_t kept = whole_pages(std::max(bytes, smallest_mapping));
  if (kept >= bytes_) return;
  trim_pages(data_, bytes_, kept);
  bytes_ = kept;
}

}  // namespace nearlinear
