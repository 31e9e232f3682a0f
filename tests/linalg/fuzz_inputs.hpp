/// What fuzz targets make of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nearlinear/core.hpp"

namespace nearlinear::test {

/// Bytes one after the other, again and again; there must be one.
struct FuzzInput {
  const std::uint8_t* data;
  std::size_t size;
  std::size_t next = 0;
  std::uint8_t operator()() { return data[next++ % size]; }
};

/// Exactly as large as the view, so that AddressSanitizer sees a step beyond it.
struct FuzzMatrix {
  Index rows, cols, stride;
  std::vector<double> storage;

  FuzzMatrix(Index row_count, Index col_count, Index gap) : rows(row_count), cols(col_count), stride(col_count + gap) {
    storage.resize(static_cast<std::size_t>(rows > 0 ? (rows - 1) * stride + cols : 0));
  }
  [[nodiscard]] MatrixView<const double> view() const { return {storage.data(), rows, cols, stride}; }
  [[nodiscard]] MatrixView<double> view() { return {storage.data(), rows, cols, stride}; }
};

}  // namespace nearlinear::test
