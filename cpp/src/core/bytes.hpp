/// Objects as bytes, to be read on machines of the same byte order.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace nearlinear {

class ByteWriter {
 public:
  template <class T>
  void put(const T& value) {
    put_all(std::span<const T>(&value, 1));
  }

  template <class T>
  void put_all(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::size_t before = bytes_.size();
    bytes_.resize(before + values.size_bytes());
    if (!values.empty()) std::memcpy(bytes_.data() + before, values.data(), values.size_bytes());
  }

  [[nodiscard]] std::vector<std::byte> finish() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Throws std::invalid_argument with `message` where bytes are missing.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, const char* message) : rest_(bytes), message_(message) {}

  template <class T>
  [[nodiscard]] T get() {
    T value{};
    get_all(std::span<T>(&value, 1));
    return value;
  }

  template <class T>
  void get_all(std::span<T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    check(values.size_bytes() <= rest_.size());
    if (!values.empty()) std::memcpy(values.data(), rest_.data(), values.size_bytes());
    rest_ = rest_.subspan(values.size_bytes());
  }

  void check(bool condition) const {
    if (!condition) throw std::invalid_argument(message_);
  }

  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  const char* message_;
};

}  // namespace nearlinear
