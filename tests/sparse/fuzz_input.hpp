/// Matrices that are made of a fuzz target's bytes, valid or not.
#pragma once

#include <complex>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

#include "table.hpp"

/// Reads bytes from the input, and 0 behind its end.
struct Reader {
  const std::uint8_t* data;
  std::size_t size;
  std::size_t next = 0;
  std::uint8_t operator()() { return next < size ? data[next++] : std::uint8_t{0}; }
};

/// Exactly as large as the view: AddressSanitizer sees a step beyond it. Small integers: the arithmetic is exact.
template <class T, class I>
struct FuzzedMatrix {
  nearlinear::Index rows, cols;
  std::vector<I> indptr, indices;
  std::unique_ptr<T[]> data;  // a vector of bool has no array

  FuzzedMatrix(Reader& read, nearlinear::Index row_count, nearlinear::Index col_count)
      : rows(row_count), cols(col_count) {
    const bool broken = read() % 8 == 0;
    const int longest_row = 1 + read() % 16;
    const nearlinear::Index spread = cols > 4096 ? 97 : 1;
    std::vector<int> values;
    indptr.push_back(0);
    for (nearlinear::Index i = 0; i < rows; ++i) {
      const int length = cols == 0 ? 0 : read() % longest_row;
      for (int e = 0; e < length; ++e) {
        indices.push_back(static_cast<I>((read() * 7 + read()) * spread % cols));
        values.push_back(read() % 16 - 7);
      }
      indptr.push_back(static_cast<I>(indices.size()));
    }
    data = std::make_unique<T[]>(values.size());
    for (std::size_t e = 0; e < values.size(); ++e) data[e] = number(values[e]);
    if (!broken) return;
    const int rubbish = read() - 100;
    if (read() % 2 == 0 && !indices.empty())
      indices[read() % indices.size()] = rubbish;
    else
      indptr[read() % indptr.size()] = rubbish;
  }

  [[nodiscard]] nearlinear::CsrView<T, I> view() const {
    return {rows, cols, indptr, indices, std::span<const T>(data.get(), indices.size())};
  }
  [[nodiscard]] std::vector<T> dense() const {
    std::vector<T> result(static_cast<std::size_t>(rows * cols));
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i)
      for (auto e = static_cast<std::size_t>(indptr[i]); e < static_cast<std::size_t>(indptr[i + 1]); ++e)
        result[i * static_cast<std::size_t>(cols) + static_cast<std::size_t>(indices[e])] += data[e];
    return result;
  }
  [[nodiscard]] bool valid() const {
    for (std::size_t i = 0; i + 1 < indptr.size(); ++i)
      if (indptr[i] > indptr[i + 1]) return false;
    if (indptr.front() != 0 || static_cast<std::size_t>(indptr.back()) > indices.size()) return false;
    for (std::size_t e = 0; e < static_cast<std::size_t>(indptr.back()); ++e)
      if (indices[e] < 0 || indices[e] >= cols) return false;
    return true;
  }

 private:
  static T number(int value) {
    if constexpr (std::is_arithmetic_v<T>)
      return static_cast<T>(value);
    else
      return T(static_cast<float>(value), static_cast<float>(value % 3));
  }
};

inline void require_that(bool condition) {
  if (!condition) std::abort();
}

/// Runs check(), which must throw std::invalid_argument unless the input is valid, and then must not.
template <class Check>
void check_or_refuse(bool valid, const Check& check) {
  bool refused = false;
  try {
    check();
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  require_that(refused == !valid);
}
