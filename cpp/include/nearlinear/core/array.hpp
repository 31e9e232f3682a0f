/// Memory that a result owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "nearlinear/core/views.hpp"

namespace nearlinear {

/// A block of memory from the heap or, from 1 MiB on, pages of its own, which can be reserved far beyond what is used
/// and given back where they were not: only what is written takes memory. Freed without touching it.
class Memory {
 public:
  static constexpr std::size_t alignment = 64;  ///< Of a block that was not shrunk: a line of the cache.

  Memory() = default;
  Memory(const Memory&) = delete;
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Memory();

  /// At least `bytes` bytes, of unspecified content; throws out_of_memory, which states the size.
  [[nodiscard]] static Memory allocate(std::size_t bytes);

  /// The same, all zero.
  [[nodiscard]] static Memory allocate_zeros(std::size_t bytes);

  /// The same as allocate(), but answers an empty block where the system refuses.
  [[nodiscard]] static Memory try_allocate(std::size_t bytes) noexcept;

  /// Gives back what lies behind the first `bytes` bytes, which may move.
  void shrink(std::size_t bytes) noexcept;

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] bool empty() const { return data_ == nullptr; }

 private:
  Memory(void* data, std::size_t bytes) : data_(data), bytes_(bytes) {}

  void* data_ = nullptr;
  std::size_t bytes_ = 0;  // the heap's below the threshold, whole pages from there on
};

/// An array that owns its memory and can only be moved: what a std::vector would be if it neither filled its memory
/// when it grows nor kept what it no longer needs.
template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Array() = default;
  explicit Array(Index size) : Array(Memory::allocate(bytes(size)), size) {}
  Array(Memory memory, Index size) : memory_(std::move(memory)), size_(size) {}

  [[nodiscard]] static Array zeros(Index size) { return {Memory::allocate_zeros(bytes(size)), size}; }

  /// Of `size` elements; more than there can be in any case, where their product with the size of one overflows.
  [[nodiscard]] static std::size_t bytes(Index size) {
    std::size_t product = 0;
    return __builtin_mul_overflow(static_cast<std::size_t>(size), sizeof(T), &product) ? SIZE_MAX : product;
  }

  /// Keeps the first `size` elements.
  void shrink(Index size) noexcept {
    memory_.shrink(bytes(size));
    size_ = size;
  }

  /// The memory, which is the caller's from now on; the array is empty.
  [[nodiscard]] Memory release() noexcept {
    size_ = 0;
    return std::move(memory_);
  }

  [[nodiscard]] T* data() const { return static_cast<T*>(memory_.data()); }
  [[nodiscard]] Index size() const { return size_; }
  [[nodiscard]] T* begin() const { return data(); }
  [[nodiscard]] T* end() const { return data() + size_; }
  [[nodiscard]] T& operator[](Index i) const { return data()[i]; }
  [[nodiscard]] std::span<T> span() const { return {data(), static_cast<std::size_t>(size_)}; }

 private:
  Memory memory_;
  Index size_ = 0;
};

}  // namespace nearlinear
