#include "core/pages.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <type_traits>
#include <utility>

#include "nearlinear/core/array.hpp"

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace nearlinear {

#if __has_include(<sys/mman.h>)
namespace {

struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;
};

void* map_fresh(std::size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
  madvise(data, bytes, MADV_HUGEPAGE);  // one fault for 2 MiB instead of 512; a refusal costs speed alone
#endif
  return data;
}

// mremap, which lets a kept block grow into a larger reservation, and MADV_FREE, which lets the system take a kept
// block's memory when it runs short, are Linux's. Sanitizers must see that freed memory is freed.
#if defined(__linux__) && !defined(NEARLINEAR_SANITIZED)

class Cache {
 public:
  /// A block grown or trimmed to `bytes`, or an empty one.
  Block take(std::size_t bytes) {
    Block found;
    {
      // Not to wait: a fork may have left the mutex locked for ever.
      const std::unique_lock lock(mutex_, std::try_to_lock);
      if (!lock) return {};
      const auto best =
          std::ranges::min_element(blocks_, {}, [bytes](const Block& block) { return waste(block, bytes); });
      if (waste(*best, bytes) == useless) return {};
      found = std::exchange(*best, {});
      total_ -= found.bytes;
    }
    if (found.bytes > bytes) {
      munmap(static_cast<char*>(found.data) + bytes, found.bytes - bytes);
    } else if (found.bytes < bytes) {
      void* grown = mremap(found.data, found.bytes, bytes, MREMAP_MAYMOVE);
      if (grown == MAP_FAILED) {
        munmap(found.data, found.bytes);
        return {};
      }
      found.data = grown;
    }
    return {found.data, bytes};
  }

  bool keep(Block block) {
    if (block.bytes > most_bytes) return false;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || total_ + block.bytes > most_bytes) return false;
    for (Block& place : blocks_) {
      if (place.data != nullptr) continue;
      madvise(block.data, block.bytes, MADV_FREE);
      place = block;
      total_ += block.bytes;
      return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t most_bytes = std::size_t{256} << 20;

  static constexpr std::size_t useless = SIZE_MAX;

  /// How badly a block suits: the best is the largest that is not larger, because reservations are seldom used in full
  /// and the block began as one; otherwise the smallest of those that would not mostly be given back.
  static std::size_t waste(const Block& block, std::size_t bytes) {
    if (block.bytes == 0 || block.bytes / 2 > bytes) return useless;
    return block.bytes <= bytes ? bytes - block.bytes : bytes + block.bytes;
  }

  std::mutex mutex_;
  std::array<Block, 8> blocks_{};
  std::size_t total_ = 0;
};

// Trivially destructible, since results may outlive everything else.
constinit Cache shared_cache;
static_assert(std::is_trivially_destructible_v<Cache>);

Cache& cache() { return shared_cache; }

#else

class Cache {
 public:
  static Block take(std::size_t) { return {}; }
  static bool keep(Block) { return false; }
};

Cache cache() { return {}; }

#endif

}  // namespace

std::size_t whole_pages(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

void* map_pages(std::size_t bytes) noexcept {
  void* kept = cache().take(bytes).data;
  return kept != nullptr ? kept : map_fresh(bytes);
}

void* map_zero_pages(std::size_t bytes) noexcept { return map_fresh(bytes); }

void unmap_pages(void* data, std::size_t bytes) noexcept {
  if (!cache().keep({data, bytes})) munmap(data, bytes);
}

void trim_pages(void* data, std::size_t bytes, std::size_t kept) noexcept {
  munmap(static_cast<char*>(data) + kept, bytes - kept);
}

#else

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + Memory::alignment - 1) / Memory::alignment * Memory::alignment;
}
void* map_pages(std::size_t bytes) noexcept { return std::aligned_alloc(Memory::alignment, bytes); }
void* map_zero_pages(std::size_t bytes) noexcept {
  void* data = map_pages(bytes);
  return data == nullptr ? nullptr : std::memset(data, 0, bytes);
}
void unmap_pages(void* data, std::size_t) noexcept { std::free(data); }
void trim_pages(void*, std::size_t, std::size_t) noexcept {}

#endif

}  // namespace nearlinear
